"""Opens protected pushes, and says why one does not open (IEC 62056-5-3, 5.3).

========================  ===========================================================================================
envelope                  opened with
========================  ===========================================================================================
general-glo-ciphering     the encryption key, or by the key-set bit of SC the broadcast key, of the title it names
glo- of a notification    the same; the title is that of the call, or of ``PushSecurity``
general-ded-, ded-        the dedicated key, where one was given
general-ciphering         the same, a key wrapped with the master key, or an agreed one (``GeneralKeys``)
general-signing           the meter's public signing key; around or inside ciphering
none                      nothing: taken where ``accept_plain`` says so, by default where no keys were given at all
========================  ===========================================================================================

The order is: tag; what is inside (a signature, or the likeness of a push where there is no tag); counter. A message
that fails in any leaves the state as it was, and nothing of it is told. One layer of ciphering and one signature are
taken, in either order.

``Protection.is_verified`` is True only where a tag or a signature was checked and held.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

from cosemic.apdu.protected import PLAIN_TAG
from cosemic.errors import SecurityError
from cosemic.push.messages import Diagnosis, Protection
from cosemic.push.protection.envelopes import (
    GENERAL_SIGNING,
    IS_DEDICATED,
    IS_PROTECTED,
    Envelope,
    Identified,
    Signed,
    unwrap,
    unwrap_signed,
)
from cosemic.push.protection.forms import KnownForms
from cosemic.push.protection.general_keys import check_recipient, check_signature, fresh_key
from cosemic.push.protection.keys import BROADCAST as BROADCAST_KEY
from cosemic.push.protection.keys import DEDICATED, ENCRYPTION, MeterKeys, PushKeys, UnusableKey, title_of
from cosemic.push.protection.opening import Opening, Sealed
from cosemic.push.protection.plausibility import Likeness, judge
from cosemic.push.protection.refusals import PushRefused, title_text
from cosemic.push.protection.seen import SeenCounters
from cosemic.push.telegrams import Content
from cosemic.security.replay import ReplayMemory
from cosemic.security.suites import (
    BROADCAST,
    COMPRESSED,
    HEADER,
    KEY_LENGTH,
    SUITE_MASK,
    GeneralAad,
)
from cosemic.tolerances import DEFAULT, Tolerance

__all__ = ["Opened", "PushRefused", "PushSecurity"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was inside: an APDU, or the text of a P1 port. ``protection`` is None where there was none around it."""

    apdu: bytes
    content: Content
    protection: Protection | None = None
    notes: tuple[str, ...] = ()


class PushSecurity:
    """Opens the messages of many meters. Not for several threads at once.

    ``keys`` finds the keys of a meter: a ``MeterKeys`` for all of them, a ``KeyTable``, or an object of yours with
    ``find``. ``accept_plain`` takes messages without protection; by default only where there are no keys, for who gives
    keys expects that they protect. ``system_title`` (octets or hexadecimal) is whose messages those are that name no
    title. ``counters`` keeps the last counter of each sender and key; give a mapping that outlives the process, and
    messages recorded before a restart are refused after it.
    """

    __slots__ = ("_accept_plain", "_forms", "_judged", "_keys", "_may_have_more", "_seen", "_title")

    def __init__(
        self,
        keys: PushKeys | None = None,
        *,
        accept_plain: bool | None = None,
        system_title: bytes | str | None = None,
        counters: MutableMapping[str, int] | None = None,
        tolerances: frozenset[Tolerance] = DEFAULT,
    ) -> None:
        self._keys = keys
        self._accept_plain = keys is None if accept_plain is None else accept_plain
        self._title = b"" if system_title is None else title_of(system_title)
        self._seen = SeenCounters(counters)
        self._forms = KnownForms()
        self._may_have_more = Tolerance.TRAILING_OCTETS in tolerances
        # Octets left over are what random octets have: without a tag there must be none.
        self._judged = tolerances - {Tolerance.TRAILING_OCTETS}

    def __repr__(self) -> str:
        return f"<PushSecurity {self._keys!r}>"

    def with_keys(self, keys: PushKeys) -> PushSecurity:
        """The same, with other keys: what one has seen of counters, the other has seen too."""
        other = PushSecurity(keys, accept_plain=self._accept_plain)
        other._title, other._seen, other._forms = self._title, self._seen, self._forms
        other._may_have_more, other._judged = self._may_have_more, self._judged
        return other

    def open(self, apdu: bytes, *, system_title: bytes | None = None, accept_plain: bool | None = None) -> Opened:
        """What is inside, after everything was checked; PushRefused, and nothing else, for any other octets.

        ``system_title`` is the sender's, where the message names none; ``accept_plain`` is for this message. What comes
        out is not looked at further: a message with a right tag may hold another APDU than a push.
        """
        if type(apdu) is not bytes:
            apdu = bytes(apdu)
        if not apdu:
            raise PushRefused(Diagnosis.NOT_UNDERSTOOD, "a message of no octets")
        if not IS_PROTECTED[apdu[0]]:
            return self._plain(apdu, self._accept_plain if accept_plain is None else accept_plain)
        title = self._title if system_title is None else system_title
        if apdu[0] == GENERAL_SIGNING:
            return self._open_signed(apdu, title)
        return self._open_ciphered(unwrap(apdu, may_have_more=self._may_have_more), title)

    def _plain(self, apdu: bytes, is_accepted: bool) -> Opened:
        if not is_accepted:
            raise PushRefused(
                Diagnosis.NOT_PROTECTED,
                "the message is not protected, and keys were given; ask for accept_plain to take it, or look whether "
                "another device sends on this line",
            )
        return Opened(apdu, _content_of(apdu))

    # Ciphering

    def _open_ciphered(self, envelope: Envelope, title: bytes, signed: Signed | None = None) -> Opened:
        """``signed`` is the signature around it, checked already; None where there is none."""
        sealed = self._sealed(envelope, title)
        information, is_verified, notes = Opening(sealed, self._judged, self._forms, signed is not None).open()
        if not information:
            raise sealed.refused(Diagnosis.NOT_UNDERSTOOD, "the message holds nothing")
        first = PLAIN_TAG.get(envelope.tag)
        if first is not None and information[0] != first:
            raise sealed.refused(
                Diagnosis.NOT_UNDERSTOOD, f"the envelope promises an APDU with tag {first:02X}, and holds another"
            )
        token = b""
        if IS_PROTECTED[information[0]]:
            if signed is not None or information[0] != GENERAL_SIGNING:
                raise sealed.refused(
                    Diagnosis.NOT_SUPPORTED, "more layers of protection than one ciphering and one signature"
                )
            information, is_signed, token = self._signed_inside(sealed, information, is_verified)
            if not is_signed:
                notes += (_SIGNATURE_NOT_CHECKED,)
            elif not is_verified:
                is_verified = True
            else:
                token = b""  # the counter, which the tag covers, tells it from its repetition
        if sealed.is_to_all:
            notes += ("under the broadcast key, which does not tell one sender from another that has it",)
        if sealed.keys.check_replay:
            self._check_replay(sealed, is_verified and not token, token)
        protection = Protection(sealed.title, sealed.control, sealed.counter, is_verified)
        return Opened(information, _content_of(information), protection, notes)

    def _signed_inside(self, sealed: Sealed, octets: bytes, is_verified: bool) -> tuple[bytes, bool, bytes]:
        """What was signed inside ciphering, whether the signature was checked, and what to remember it by."""
        inside = unwrap_signed(octets)
        content = inside.content
        if IS_PROTECTED[content[0]]:
            raise sealed.refused(
                Diagnosis.NOT_SUPPORTED, "more layers of protection than one ciphering and one signature"
            )
        if is_verified and sealed.keys.general.peer_signing_key is None:
            return content, False, b""  # the tag proves it
        if self._verify(sealed.keys, inside, sealed.title):
            return content, True, _token(inside)
        if not is_verified and judge(content, self._judged).likeness < Likeness.BENT:
            raise sealed.refused(Diagnosis.WRONG_KEY_OR_TITLE, "what the message opens to is no push")
        return content, False, b""

    def _sealed(self, envelope: Envelope, fallback: bytes) -> Sealed:
        """The message with the keys that are to open it."""
        title = envelope.title or fallback
        control, counter = HEADER.unpack_from(envelope.content)
        if not title:
            raise PushRefused(
                Diagnosis.KEY_MISSING,
                "the message does not name its sender's system title, and it is needed to decrypt; give it "
                "(system_title), as another message or the type plate of the meter tells it",
                invocation_counter=counter,
            )
        keys = self._find(title, counter)
        sealed = Sealed(envelope, title, control, counter, keys)
        if keys.example is not None and not keys.allow_example_keys:
            raise sealed.refused(
                Diagnosis.EXAMPLE_KEY,
                f"{keys.example}; a key that is printed in documents protects nothing. Give the meter's own key, or "
                "ask for allow_example_keys",
            )
        if control & COMPRESSED:
            raise sealed.refused(Diagnosis.NOT_SUPPORTED, "the message is compressed, which is not supported")
        if control & SUITE_MASK not in KEY_LENGTH:
            raise sealed.refused(
                Diagnosis.NOT_SUPPORTED, f"security suite {control & SUITE_MASK}; suites 0, 1 and 2 are known"
            )
        info = envelope.key_info
        if envelope.header is not None:
            check_recipient(keys.general, envelope.header.recipient, title)
            if keys.general.general_aad is GeneralAad.WITH_HEADER:
                sealed.covered = envelope.header.octets
        if info is not None and not isinstance(info, Identified):
            key, kind, stands = fresh_key(keys.general, envelope, title)
            from cosemic.security.cipher import CipherKey

            sealed.cipher = CipherKey(key, keys.authentication_key, kind)
            sealed.key, sealed.stands, sealed.is_fresh = key, stands, True
        else:
            self._choose(sealed, info)
        length = KEY_LENGTH[control & SUITE_MASK]
        if len(sealed.key) != length:
            raise sealed.refused(
                Diagnosis.KEY_LENGTH,
                f"the message is of security suite {control & SUITE_MASK}, whose keys have {length} octets "
                f"({2 * length} hexadecimal digits), and the {sealed.cipher.name} has {len(sealed.key)}",
            )
        return sealed

    def _choose(self, sealed: Sealed, info: Identified | None) -> None:
        """Which of the meter's keys it is."""
        if info is not None and info.number > 1:
            raise sealed.refused(
                Diagnosis.NOT_SUPPORTED, f"a message under key {info.number}; 0 (unicast) and 1 (broadcast) are known"
            )
        to_all = bool(sealed.control & BROADCAST) if info is None else info.number == 1
        name = DEDICATED if IS_DEDICATED[sealed.envelope.tag] else BROADCAST_KEY if to_all else ENCRYPTION
        cipher, key = sealed.keys.cipher(name), sealed.keys.key(name)
        if cipher is None or key is None:
            raise sealed.refused(Diagnosis.KEY_MISSING, _LACKING[name])
        sealed.cipher, sealed.key, sealed.stands, sealed.is_to_all = cipher, key, key, to_all

    def _find(self, title: bytes, counter: int | None) -> MeterKeys:
        """The keys of that sender."""
        keys, problem, diagnosis = None, "", Diagnosis.KEY_MISSING
        try:
            keys = None if self._keys is None else self._keys.find(title)
        except UnusableKey as error:
            problem, diagnosis = str(error), error.diagnosis
        except SecurityError as error:
            problem = str(error)
        if keys is not None:
            return keys
        raise PushRefused(
            diagnosis,
            f"no key for system title {title_text(title)}: "
            + (problem or "give the encryption key of this meter, which its grid operator hands out"),
            system_title=title,
            invocation_counter=counter,
        )

    def _check_replay(self, sealed: Sealed, is_proved: bool, token: bytes) -> None:
        """Demand a counter above the last, and note it. Called last: a message that fails moves nothing."""
        seen = self._seen
        name = seen.name(sealed.title, sealed.stands)
        try:
            last = seen.last(name, is_proved)
            if sealed.is_fresh and not sealed.counter:  # the standard starts with each fresh key anew
                token = token or ReplayMemory.digest(name.encode(), sealed.envelope.content)
            elif last is not None and sealed.counter <= last:
                again = "came again" if sealed.counter == last else "is behind"
                raise sealed.refused(
                    Diagnosis.COUNTER_WENT_BACK,
                    f"invocation counter {sealed.counter} {again}; the last one accepted is {last}. Either a recorded "
                    "message was played back or repeated, or the meter starts its counter anew: check_replay=False "
                    "takes that from this meter",
                    last=last,
                )
            if token:
                seen.once.check(token)
            if last is None or sealed.counter > last:  # a fresh key that starts at 0 lowers nothing
                seen.take(name, sealed.counter, is_proved)
            if token:
                seen.once.add(token)
        except PushRefused:
            raise
        except SecurityError as error:
            raise sealed.refused(Diagnosis.COUNTER_WENT_BACK, str(error)) from None

    # Signatures

    def _open_signed(self, apdu: bytes, fallback: bytes) -> Opened:
        signed = unwrap_signed(apdu, may_have_more=self._may_have_more)
        title = signed.header.originator or fallback
        if not title:
            raise PushRefused(
                Diagnosis.KEY_MISSING, "the signed message does not name its sender; give its title (system_title)"
            )
        keys = self._find(title, None)
        is_verified = self._verify(keys, signed, title)
        content = signed.content
        if content[0] == GENERAL_SIGNING:
            raise PushRefused(
                Diagnosis.NOT_SUPPORTED, "a signed message inside a signed message; one signature is taken"
            )
        if IS_PROTECTED[content[0]]:
            inside = unwrap(content)
            if inside.title not in (b"", title):
                raise PushRefused(
                    Diagnosis.WRONG_KEY_OR_TITLE,
                    f"signed by {title_text(title)}, and inside it is a message of {title_text(inside.title)}",
                    system_title=title,
                )
            return self._open_ciphered(inside, title, signed if is_verified else None)
        if not is_verified and judge(content, self._judged).likeness < Likeness.BENT:
            raise PushRefused(
                Diagnosis.NOT_UNDERSTOOD, f"what {title_text(title)} signed is no push", system_title=title
            )
        if keys.check_replay and is_verified:
            token = _token(signed)
            try:
                self._seen.once.check(token)
            except SecurityError as error:
                raise PushRefused(Diagnosis.COUNTER_WENT_BACK, str(error), system_title=title) from None
            self._seen.once.add(token)
        notes = () if is_verified else (_SIGNATURE_NOT_CHECKED,)
        return Opened(content, _content_of(content), Protection(title, 0, 0, is_verified), notes)

    def _verify(self, keys: MeterKeys, signed: Signed, title: bytes) -> bool:
        """Check a signature; False where it was asked to do without. PushRefused where it does not hold."""
        if signed.header.originator not in (b"", title):
            raise PushRefused(
                Diagnosis.WRONG_KEY_OR_TITLE,
                f"a message of {title_text(title)}, signed by {title_text(signed.header.originator)}",
                system_title=title,
            )
        check_recipient(keys.general, signed.header.recipient, title)
        try:
            check_signature(keys.general, signed, title)
        except PushRefused:
            if keys.without_verifying:
                return False
            raise
        return True


def _content_of(octets: bytes) -> Content:
    return Content.P1_TEXT if octets[:1] in (b"/", b"\xaf") else Content.APDU  # AF: with an even parity in bit 7


def _token(signed: Signed) -> bytes:
    """What a signed message is remembered by; from one signature (r, s) anybody makes (r, n - s), so s is left out."""
    return ReplayMemory.digest(signed.header.octets, signed.content, signed.signature[: len(signed.signature) // 2])


_SIGNATURE_NOT_CHECKED: Final = "the signature was not checked, or does not hold"
_LACKING: Final = {
    ENCRYPTION: "no encryption key was given for this meter; give it",
    BROADCAST_KEY: "the message is under the broadcast key (key-set bit); give it (broadcast_key)",
    DEDICATED: "the message is under a dedicated key, which only those know who opened the association it was sent in; "
    "give it (dedicated_key)",
}
