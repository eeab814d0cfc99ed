"""Decrypts one ciphered message, and finds out why it cannot be decrypted.

What tells the causes apart:

================================  ==================================================================================
tag holds                         the message is proved
no tag, or it does not hold,      nothing like a push comes out: encryption key or title are wrong
decrypted all the same            a push comes out: the encryption key is right; the authentication key is wrong or was
                                  not given, or octets were altered
                                  the beginning of a push comes out: octets are missing or do not belong there
================================  ==================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosemic.errors import AuthenticationError
from cosemic.push.messages import Diagnosis
from cosemic.push.protection.envelopes import Envelope, truncated
from cosemic.push.protection.forms import KnownForms
from cosemic.push.protection.keys import MeterKeys
from cosemic.push.protection.plausibility import Judgement, Likeness, judge
from cosemic.push.protection.refusals import PushRefused, title_text
from cosemic.security.suites import AUTHENTICATED, ENCRYPTED, HEADER_LENGTH, TAG_LENGTH
from cosemic.tolerances import Tolerance

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey


class Sealed:
    """One ciphered message, with what is to open it."""

    __slots__ = (
        "cipher",
        "control",
        "counter",
        "covered",
        "envelope",
        "is_fresh",
        "is_to_all",
        "key",
        "keys",
        "stands",
        "title",
    )
    cipher: CipherKey
    key: bytes
    stands: bytes
    """What the counters are kept by: the key, or where each message has its own what it comes from."""

    def __init__(self, envelope: Envelope, title: bytes, control: int, counter: int, keys: MeterKeys) -> None:
        self.envelope = envelope
        self.title = title
        self.control = control
        self.counter = counter
        self.keys = keys
        self.covered = b""
        self.is_fresh = False
        self.is_to_all = False

    def refused(self, diagnosis: Diagnosis, text: str, *, last: int | None = None) -> PushRefused:
        """The error for this message."""
        return PushRefused(
            diagnosis,
            f"{text} (SC {self.control:02X}, IC {self.counter}, system title {title_text(self.title)})",
            system_title=self.title,
            invocation_counter=self.counter,
            last_counter=last,
        )


class Opening:
    """Decrypts one message, or finds out why it cannot be."""

    __slots__ = ("_forms", "_is_signed", "_sealed", "_tolerances")

    def __init__(self, sealed: Sealed, tolerances: frozenset[Tolerance], forms: KnownForms, is_signed: bool) -> None:
        self._sealed = sealed
        self._tolerances = tolerances
        self._forms = forms
        self._is_signed = is_signed

    def open(self) -> tuple[bytes, bool, tuple[str, ...]]:
        """What is inside, whether a tag (or the signature around it) proves it, and what to tell about it."""
        sealed = self._sealed
        control = sealed.control
        keys = sealed.keys
        if not control & AUTHENTICATED:
            return self._without_tag()
        if len(sealed.envelope.content) < HEADER_LENGTH + TAG_LENGTH:
            raise sealed.refused(
                Diagnosis.NOT_UNDERSTOOD, f"no room for the tag of {TAG_LENGTH} octets that SC tells of"
            )
        problem = ""
        if keys.authentication_key is None:
            problem = "no authentication key was given for the message, which has a tag"
        else:
            try:
                information = sealed.cipher.open(
                    control, sealed.title, sealed.counter, sealed.envelope.content, sealed.covered
                )
            except AuthenticationError:
                problem = "the tag of the message does not hold"
            else:
                return information, True, ()
        information = self._blind()
        judgement = judge(information, self._tolerances, self._forms)
        if keys.without_verifying:
            self._check_likeness(judgement, information)
            return information, False, (f"not verified: {problem}",)
        raise self._explained(problem, judgement)

    def _without_tag(self) -> tuple[bytes, bool, tuple[str, ...]]:
        sealed = self._sealed
        control = sealed.control
        if self._is_signed:
            information = self._blind()
            self._check_likeness(judge(information, self._tolerances, self._forms), information)
            return information, True, ()
        if not control & ENCRYPTED:
            if not sealed.keys.without_verifying:
                raise sealed.refused(
                    Diagnosis.NOT_PROTECTED, "the message is in an envelope, but neither encrypted nor authenticated"
                )
        elif sealed.keys.authentication_key is not None and not sealed.keys.without_verifying:
            # Whoever takes the tag off a message may alter what is inside, bit by bit.
            raise sealed.refused(
                Diagnosis.NOT_PROTECTED,
                "the message is encrypted, but has no tag, and an authentication key was given; leave that out, or ask "
                "for without_verifying, if this meter never sends a tag",
            )
        information = self._blind()
        self._check_likeness(judge(information, self._tolerances, self._forms), information)
        return information, False, ("not verified: the message has no tag",)

    def _blind(self) -> bytes:
        """The content decrypted, and no tag looked at."""
        return _decrypted(self._sealed, self._sealed.cipher)

    def _check_likeness(self, judgement: Judgement, information: bytes) -> None:
        """PushRefused where what was decrypted without proof is not like a push."""
        sealed = self._sealed
        likeness = judgement.likeness
        if likeness >= Likeness.BENT:
            return
        if likeness is Likeness.OTHER:
            raise sealed.refused(
                Diagnosis.NO_PUSH, "the message opens to an APDU that is no push, and nothing proves who sent it"
            )
        if likeness is Likeness.BEGINS:
            raise self._cut(judgement, len(information))
        raise self._wrong("encryption key or system title are wrong, or the message was altered")

    def _explained(self, problem: str, judgement: Judgement) -> PushRefused:
        """The error for a tag that could not be checked, or does not hold."""
        sealed = self._sealed
        if not sealed.control & ENCRYPTED:
            if sealed.keys.authentication_key is None:
                return sealed.refused(
                    Diagnosis.WRONG_AUTHENTICATION_KEY,
                    f"{problem}; give it, or ask for without_verifying. The message is not encrypted",
                )
            return sealed.refused(
                Diagnosis.WRONG_KEY_OR_TITLE,
                f"{problem}: encryption key, authentication key or system title are wrong, or the message was altered. "
                "It is not encrypted, so that the keys cannot be told apart",
            )
        if judgement.likeness is Likeness.BEGINS:
            return self._cut(judgement, len(sealed.envelope.content) - HEADER_LENGTH - TAG_LENGTH)
        if judgement.likeness is Likeness.NONE:
            return self._wrong(f"{problem}, and encryption key or system title are wrong")
        if sealed.keys.authentication_key is None:
            return sealed.refused(
                Diagnosis.WRONG_AUTHENTICATION_KEY,
                f"{problem}. The encryption key is right: give the authentication key too, or, where the operator does "
                "not hand it out, ask for without_verifying",
            )
        return sealed.refused(
            Diagnosis.WRONG_AUTHENTICATION_KEY,
            f"{problem}. The encryption key is right: the authentication key is wrong, or the message was altered",
        )

    def _cut(self, judgement: Judgement, total: int) -> PushRefused:
        sealed = self._sealed
        where = "then they end in the middle of a value" if judgement.is_cut else "what follows does not belong to them"
        return truncated(
            f"the encryption key is right, for {judgement.reach} of {total} octets inside are a push; {where}",
            sealed.title,
            sealed.counter,
        )

    def _wrong(self, text: str) -> PushRefused:
        sealed = self._sealed
        other = sealed.keys.authentication_key
        if other is not None and sealed.control & ENCRYPTED and not sealed.is_fresh and len(other) == len(sealed.key):
            from cosemic.security.cipher import CipherKey

            swapped = _decrypted(sealed, CipherKey(other, None, "authentication key"))
            if judge(swapped, self._tolerances).likeness > Likeness.NONE:
                text = "it opens with the authentication key in place of the encryption key: exchange the two"
        return sealed.refused(
            Diagnosis.WRONG_KEY_OR_TITLE,
            f"what the message opens to is no push: {text}. Compare the key with what the grid operator gave, digit by "
            "digit, and for which meter",
        )


def _decrypted(sealed: Sealed, cipher: CipherKey) -> bytes:
    """The content without its tag, decrypted where it is encrypted."""
    content = sealed.envelope.content
    control = sealed.control
    if control & AUTHENTICATED:
        content = content[:-TAG_LENGTH]
    return cipher.open(control & ~AUTHENTICATED, sealed.title, sealed.counter, content)
