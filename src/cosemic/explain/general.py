"""General-ciphering and general-signing, annotated; opened and checked where the keys are there (IEC 62056-5-3, 5.3).

Where the field has two readings of the standard, the message decides which one it is shown with, and the line says so:
whether a tag covers the fields of the header, whether a signature covers the length of the content, and what the
signature of an ephemeral key covers.
"""

from __future__ import annotations

from cosemic.errors import DlmsError
from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.explain.ciphering import Candidate, WalkApdu, content_lines, key_for, octets_line, open_content
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import moment_meaning, take_length, title_meaning
from cosemic.security.suites import EphemeralSignature

_KINDS = {0: "identified key", 1: "wrapped key", 2: "agreed key"}
_IDENTIFIED = {0: "global unicast encryption key", 1: "global broadcast encryption key"}
_SCHEMES = {b"\x01": "one-pass Diffie-Hellman C(1e, 1s)", b"\x02": "static unified model C(0e, 2s)"}
_SIGNATURES = {64: 1, 96: 2}
"""Suite by the octets of a signature, and of a public key."""


class _Header:
    """The five fields that both APDUs begin with."""

    def __init__(self, cursor: Cursor) -> None:
        start = cursor.position
        self.transaction_id = octets_line(cursor, "transaction id")
        self.originator = octets_line(cursor, "originator system title", title_meaning, Sensitivity.IDENTITY)
        self.recipient = octets_line(cursor, "recipient system title", title_meaning, Sensitivity.IDENTITY)
        octets_line(cursor, "date-time", moment_meaning)
        octets_line(cursor, "other information")
        self.octets = cursor.data[start : cursor.position]


class _KeyInfo:
    """The key info: which key, and what came with it."""

    def __init__(self) -> None:
        self.kind: int | None = None
        self.number = 0
        self.scheme = b""
        self.data = b""


def walk_general_ciphering(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """general-ciphering (0xDD): the header, the key info, the content, and what is inside."""
    cursor.take(1, "the tag")
    headline = cursor.head("general-ciphering")
    cursor.depth += 1
    cursor.write("tag", "general-ciphering")
    header = _Header(cursor)
    info = _key_info(cursor, conversation)
    length = take_length(cursor)
    cursor.write("length", length)
    with cursor.within(length, depth=0, layer="security") as content:
        control, counter, payload = content_lines(content)
        keys, why = _candidates(conversation, header, info, control)
        open_content(
            content, conversation, walk_apdu, headline, control=control, counter=counter, payload=payload, keys=keys,
            missing=why, titles=[header.originator] if len(header.originator) == 8 else conversation.titles_for(0xDD),
            covers={"the tag covers the header": header.octets, "the tag leaves out the header": b""},
        )  # fmt: skip
    cursor.depth -= 1


def _key_info(cursor: Cursor, conversation: Conversation) -> _KeyInfo:
    info = _KeyInfo()
    present = cursor.take(1, "key information")[0]
    cursor.write("key information", None, "present" if present else "absent")
    if not present:
        return info
    info.kind = cursor.take(1, "the kind of key")[0]
    if info.kind not in _KINDS:
        raise Fault(cursor.position - 1, f"{info.kind} is no kind of key; 0 to 2 exist")
    cursor.write("kind of key", info.kind, _KINDS[info.kind])
    if info.kind == 0:
        info.number = cursor.take(1, "the key id")[0]
        cursor.write("key id", info.number, _IDENTIFIED.get(info.number, "unknown"))
    elif info.kind == 1:
        info.number = cursor.take(1, "the key id")[0]
        cursor.write("kek id", info.number, "master key" if info.number == 0 else "unknown")
        info.data = octets_line(cursor, "wrapped key", sensitivity=Sensitivity.SECRET)
    else:
        info.scheme = octets_line(cursor, "key parameters", lambda octets: _SCHEMES.get(octets, "unknown scheme"))
        info.data = _key_data(cursor, conversation, info.scheme)
    return info


def _key_data(cursor: Cursor, conversation: Conversation, scheme: bytes) -> bytes:
    """What a key agreement brings: for one-pass an ephemeral public key and the signature of it."""
    length = take_length(cursor)
    half = length // 2
    if scheme != b"\x01" or half not in _SIGNATURES or length % 2:
        octets = cursor.take(length, "key ciphered data")
        cursor.write("key ciphered data", octets.hex(), "" if octets else "empty")
        return octets
    cursor.write("length of the key ciphered data", length)
    public = cursor.take(half, "the ephemeral public key")
    cursor.write("ephemeral public key", public.hex(), "P-256" if half == 64 else "P-384")
    signature = cursor.take(half, "the signature of the ephemeral key")
    messages = {
        "": EphemeralSignature.POINT.covers(public),
        " (over 01 and the key)": EphemeralSignature.SCHEME_AND_POINT.covers(public),
    }
    said, error = _checked(conversation, signature, messages)
    cursor.write("signature of the ephemeral key", signature.hex(), said, error=error)
    return public + signature


def _candidates(
    conversation: Conversation, header: _Header, info: _KeyInfo, control: int
) -> tuple[list[Candidate], str]:
    """Keys that the content may be under, and what is missing where there is none."""
    if info.kind in (None, 0):
        key, name = key_for(conversation, control if info.kind is None else 0x40 * (info.number == 1), dedicated=False)
        return ([] if key is None else [(key, name)]), f"no {name} was given"
    if info.kind == 1:
        return _wrapped(conversation, info)
    return _agreed(conversation, header, info, control & 0x0F)


def _wrapped(conversation: Conversation, info: _KeyInfo) -> tuple[list[Candidate], str]:
    from cosemic.security.key_wrap import unwrap_key

    kek = conversation.keys.kek
    if not isinstance(kek, bytes):
        return [], "the key is wrapped, and no master key (kek) was given"
    try:
        return [(unwrap_key(kek, info.data), "wrapped key")], ""
    except (DlmsError, ValueError) as error:
        return [], f"the wrapped key does not open: {error}"


def _agreed(conversation: Conversation, header: _Header, info: _KeyInfo, suite: int) -> tuple[list[Candidate], str]:
    from cosemic.security import agreement
    from cosemic.security.ec import PUBLIC_KEY_LENGTH

    own = [key for key in conversation.keys.agreement if key.suite == suite]
    if not own:
        return [], f"the key is agreed, and no private key agreement key of suite {suite} was given"
    found: list[Candidate] = []
    why = f"unknown key agreement scheme {info.scheme.hex()}"
    size = PUBLIC_KEY_LENGTH.get(suite, 0)
    try:
        if info.scheme == b"\x01":
            why = f"the key data has {len(info.data)} octets, which suite {suite} has not"
            if len(info.data) == 2 * size:
                for key in own:
                    z = key.agree(info.data[:size])
                    found.append((agreement.derive_key(suite, z, header.originator, header.recipient), "agreed key"))
        elif info.scheme == b"\x02":
            why = "the key is agreed from two static keys, and the public key of the other side was not given"
            others = [public for of, public in conversation.keys.known_public if of == suite]
            for key in own:
                for public in others:
                    agreed = agreement.static_unified_key(
                        suite, key, public, header.originator, header.recipient, header.transaction_id
                    )
                    found.append((agreed, "agreed key"))
    except DlmsError as error:
        return [], f"no key can be agreed: {error}"
    return found, why


def walk_general_signing(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """general-signing (0xDF): a signed APDU; the signature is checked with the public keys that were given."""
    cursor.take(1, "the tag")
    headline = cursor.head("general-signing")
    cursor.depth += 1
    cursor.write("tag", "general-signing")
    header = _Header(cursor)
    before = cursor.position
    length = take_length(cursor)
    cursor.write("length of the content", length)
    with_length = cursor.data[before : cursor.position + length]
    content = cursor.data[cursor.position : cursor.position + length]
    inner = cursor.within(length, depth=0)
    walk_apdu(inner, conversation)
    if inner.left:
        inner.rest("octets after the APDU", error=f"{inner.left} octets too many")
    signature = cursor.take(take_length(cursor), "signature")
    said, error = _checked(
        conversation, signature, {"": header.octets + with_length, " (without length)": header.octets + content}
    )
    cursor.write("signature", signature.hex(), said, error=error)
    cursor.page.amend(headline, meaning=error or said)
    cursor.depth -= 1


def _checked(conversation: Conversation, signature: bytes, messages: dict[str, bytes]) -> tuple[str, str | None]:
    """Whether one of the public keys signed one of the messages: words for the line, and the error if none did."""
    suite = _SIGNATURES.get(len(signature))
    if suite is None:
        return "", f"a signature has 64 or 96 octets, not {len(signature)}"
    public = [octets for of, octets in conversation.keys.known_public if of == suite]
    if not public:
        curve = "P-256" if suite == 1 else "P-384"
        return f"signature not checked: no public key on {curve} was given", None
    from cosemic.security.ec import verify

    for octets in public:
        for reading, message in messages.items():
            try:
                verify(suite, octets, message, signature)
            except DlmsError:
                continue
            return f"signature ok{reading}, by the public key {octets[:4].hex().upper()}…", None
    return "", "the signature fits none of the public keys that were given: another signer, or octets were changed"
