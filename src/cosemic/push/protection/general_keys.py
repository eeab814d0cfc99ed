"""Keys that come with a message of general-ciphering, and signatures (IEC 62056-5-3, clause 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cosemic.errors import AuthenticationError, DlmsError
from cosemic.push.messages import Diagnosis
from cosemic.push.protection.envelopes import Agreed, Envelope, Signed, Wrapped
from cosemic.push.protection.refusals import PushRefused, title_text
from cosemic.security.suites import EphemeralSignature, GeneralAad, SigningInput, key_octets, title_octets

if TYPE_CHECKING:
    from cosemic.security.ec import PrivateKey


class GeneralKeys:
    """What opens general-ciphering under wrapped and agreed keys, and checks general-signing.

    ``kek`` is the master key of the meter. ``agreement_key`` is our private key, ``peer_agreement_key`` and
    ``peer_signing_key`` are public keys of the meter (``X || Y``, hexadecimal, PEM), all of ``suite`` (1 or 2).
    ``own_system_title`` is whom the meter sends to; where it is given, messages to others are refused. The readings are
    those of ``SecurityContext``; one is used, and the other never tried.
    """

    __slots__ = (
        "agreement_key",
        "ephemeral_signature",
        "general_aad",
        "kek",
        "own_system_title",
        "peer_agreement_key",
        "peer_signing_key",
        "signing_input",
        "suite",
    )

    def __init__(
        self,
        suite: int = 1,
        *,
        kek: bytes | str | None = None,
        agreement_key: PrivateKey | None = None,
        peer_agreement_key: bytes | str | None = None,
        peer_signing_key: bytes | str | None = None,
        own_system_title: bytes | str | None = None,
        general_aad: GeneralAad = GeneralAad.WITH_HEADER,
        signing_input: SigningInput = SigningInput.CONTENT_WITH_LENGTH,
        ephemeral_signature: EphemeralSignature = EphemeralSignature.POINT,
    ) -> None:
        if agreement_key is not None and agreement_key.suite != suite:
            raise ValueError(f"the agreement key is one of suite {agreement_key.suite}, not {suite}")
        self.suite = suite
        self.kek = None if kek is None else key_octets(suite, kek, "kek")
        self.agreement_key = agreement_key
        self.peer_agreement_key = _public(suite, peer_agreement_key, "peer_agreement_key")
        self.peer_signing_key = _public(suite, peer_signing_key, "peer_signing_key")
        self.own_system_title = None if own_system_title is None else title_octets(own_system_title, "own_system_title")
        self.general_aad = general_aad
        self.signing_input = signing_input
        self.ephemeral_signature = ephemeral_signature

    def __repr__(self) -> str:
        names = ("kek", "agreement_key", "peer_agreement_key", "peer_signing_key")
        return f"<GeneralKeys suite {self.suite}: {', '.join(name for name in names if getattr(self, name))}>"


def check_recipient(keys: GeneralKeys, recipient: bytes, title: bytes) -> None:
    """PushRefused for a message to somebody else, where it is known who we are."""
    own = keys.own_system_title
    if own is not None and recipient not in (b"", own):
        raise PushRefused(
            Diagnosis.WRONG_KEY_OR_TITLE,
            f"the message of {title_text(title)} is for {title_text(recipient)}, and we are {title_text(own)}; it was "
            "not opened",
            system_title=title,
        )


def fresh_key(keys: GeneralKeys, envelope: Envelope, title: bytes) -> tuple[bytes, str, bytes]:
    """The key that a message brings or lets us agree on, what it is called, and what stands for it among counters.

    PushRefused: KEY_MISSING for what it takes and was not given, WRONG_KEY_OR_TITLE where a check fails.
    """
    info = envelope.key_info
    try:
        if isinstance(info, Wrapped):
            return _unwrapped(keys, info, title)
        assert isinstance(info, Agreed)
        return _agreed(keys, envelope, info, title)
    except AuthenticationError as error:
        raise PushRefused(
            Diagnosis.WRONG_KEY_OR_TITLE, f"the key of a message of {title_text(title)}: {error}", system_title=title
        ) from None
    except PushRefused:
        raise
    except (DlmsError, ValueError) as error:
        raise PushRefused(
            Diagnosis.NOT_UNDERSTOOD, f"the key of a message of {title_text(title)}: {error}", system_title=title
        ) from None


def check_signature(keys: GeneralKeys, signed: Signed, title: bytes) -> None:
    """PushRefused where a signature does not hold, or the public key for it was not given."""
    key = keys.peer_signing_key
    if key is None:
        raise PushRefused(
            Diagnosis.KEY_MISSING,
            f"the message of {title_text(title)} is signed; give the meter's public signing key (peer_signing_key), or "
            "ask for without_verifying",
            system_title=title,
        )
    from cosemic.security.ec import verify

    with_length = keys.signing_input is SigningInput.CONTENT_WITH_LENGTH
    message = signed.header.octets + (signed.content_with_length if with_length else signed.content)
    try:
        verify(keys.suite, key, message, signed.signature)
    except DlmsError as error:
        raise PushRefused(
            Diagnosis.WRONG_AUTHENTICATION_KEY,
            f"the message of {title_text(title)} is signed: {error}",
            system_title=title,
        ) from None


def _unwrapped(keys: GeneralKeys, info: Wrapped, title: bytes) -> tuple[bytes, str, bytes]:
    if info.kek_id:
        raise PushRefused(
            Diagnosis.NOT_SUPPORTED,
            f"a key wrapped with key {info.kek_id}; 0, the master key, is the only one",
            system_title=title,
        )
    if keys.kek is None:
        raise _missing("the key of the message is wrapped with the master key; give it (kek)", title)
    from cosemic.security.key_wrap import unwrap_key

    return unwrap_key(keys.kek, info.data), "wrapped key", b"push wrapped" + keys.kek


def _agreed(keys: GeneralKeys, envelope: Envelope, info: Agreed, title: bytes) -> tuple[bytes, str, bytes]:
    from cosemic.security import agreement

    header = envelope.header
    assert header is not None
    own = keys.agreement_key
    if own is None:
        raise _missing("the key of the message is agreed with our private key; give it (agreement_key)", title)
    if info.scheme == _ONE_PASS:
        if keys.peer_signing_key is None:
            raise _missing(
                "the meter's public signing key proves its part of the key; give it (peer_signing_key)", title
            )
        key = agreement.one_pass_finish(
            keys.suite, own, keys.peer_signing_key, info.data, title, header.recipient, keys.ephemeral_signature
        )
        return key, "key agreed by one pass", b"push one-pass" + own.public
    if info.scheme != _STATIC_UNIFIED or info.data:
        raise PushRefused(
            Diagnosis.NOT_SUPPORTED,
            f"key agreement by scheme {info.scheme.hex() or 'without a number'} with {len(info.data)} octets of data; "
            "01 and 02 are known",
            system_title=title,
        )
    if keys.peer_agreement_key is None:
        raise _missing("the key is agreed with the meter's public key; give it (peer_agreement_key)", title)
    key = agreement.static_unified_key(
        keys.suite, own, keys.peer_agreement_key, title, header.recipient, header.transaction_id
    )
    return key, "key agreed from static keys", b"push static" + b"".join(sorted((own.public, keys.peer_agreement_key)))


def _missing(text: str, title: bytes) -> PushRefused:
    return PushRefused(Diagnosis.KEY_MISSING, f"{text} (system title {title_text(title)})", system_title=title)


def _public(suite: int, key: bytes | str | None, name: str) -> bytes | None:
    if key is None:
        return None
    from cosemic.security.ec import public_octets

    return public_octets(suite, key, name)


_ONE_PASS: Final = b"\x01"
_STATIC_UNIFIED: Final = b"\x02"
NO_GENERAL_KEYS: Final = GeneralKeys()
