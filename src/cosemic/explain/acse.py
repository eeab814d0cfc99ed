"""AARQ, AARE, RLRQ and RLRE, annotated (ACSE, BER)."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    ReleaseRequestReason,
    ReleaseResponseReason,
    known,
)
from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import title_meaning

NAMES = {0x60: "AARQ", 0x61: "AARE", 0x62: "RLRQ", 0x63: "RLRE"}
_WORDS = {
    "AARQ": "association request",
    "AARE": "association response",
    "RLRQ": "release request",
    "RLRE": "release response",
}
_REQUEST_FIELDS = {
    0x80: "protocol version",
    0xA1: "application context name",
    0xA2: "called AP title",
    0xA3: "called AE qualifier",
    0xA4: "called AP invocation id",
    0xA5: "called AE invocation id",
    0xA6: "calling AP title",
    0xA7: "calling AE qualifier",
    0xA8: "calling AP invocation id",
    0xA9: "calling AE invocation id",
    0x8A: "sender ACSE requirements",
    0x8B: "mechanism name",
    0xAC: "calling authentication value",
    0xBD: "implementation information",
    0xBE: "user information",
}
_RESPONSE_FIELDS = {
    0x80: "protocol version",
    0xA1: "application context name",
    0xA2: "result",
    0xA3: "result source diagnostic",
    0xA4: "responding AP title",
    0xA5: "responding AE qualifier",
    0xA6: "responding AP invocation id",
    0xA7: "responding AE invocation id",
    0x88: "responder ACSE requirements",
    0x89: "mechanism name",
    0xAA: "responding authentication value",
    0xBD: "implementation information",
    0xBE: "user information",
}
_RELEASE_FIELDS = {0x80: "reason", 0xBE: "user information"}
_OBJECT_PREFIX = bytes.fromhex("6085740508")


def words(number: object) -> str:
    """An enumeration member in words, a plain number as it is."""
    name = getattr(number, "name", None)
    return name.lower().replace("_", "-") if isinstance(name, str) else f"unknown ({number})"


def walk_acse(cursor: Cursor, conversation: Conversation, walk_inner: Callable[[Cursor], None]) -> None:
    """Annotate one ACSE APDU; ``walk_inner`` explains the xDLMS APDU in the user information."""
    tag = cursor.take(1, "the tag")[0]
    kind = NAMES[tag]
    headline = cursor.head(kind, _WORDS[kind])
    length = _length(cursor)
    cursor.depth += 1
    cursor.write("tag and length", kind, f"{length} octets")
    if length > cursor.left:
        raise Fault(cursor.mark, f"the length says {length} octets, {cursor.left} are there")
    if kind == "AARQ":
        conversation.mechanism = None
    fields = {"AARQ": _REQUEST_FIELDS, "AARE": _RESPONSE_FIELDS}.get(kind, _RELEASE_FIELDS)
    said: list[str] = []
    with cursor.within(length, depth=0) as inner:
        while inner.left:
            _field(inner, kind, fields, conversation, said, walk_inner)
    if said:
        cursor.page.amend(headline, meaning=f"{_WORDS[kind]}: {', '.join(said)}")
    cursor.depth -= 1


def _field(
    cursor: Cursor, kind: str, fields: dict[int, str], conversation: Conversation, said: list[str],
    walk_inner: Callable[[Cursor], None],
) -> None:  # fmt: skip
    tag = cursor.take(1, "a field's tag")[0]
    length = _length(cursor)
    name = fields.get(tag, f"field 0x{tag:02X}")
    if length > cursor.left:
        raise Fault(cursor.position, f"{name}: {length} octets announced, {cursor.left} are left")
    if name == "user information":
        _user_information(cursor, length, walk_inner)
        return
    content = cursor.take(length, name)
    if name == "application context name":
        context = known(ApplicationContext, content[-1]) if _is_object_id(content, 1) else content.hex()
        said.append(words(context))
        cursor.write(name, words(context), f"2.16.756.5.8.1.{content[-1]}" if _is_object_id(content, 1) else "")
    elif name == "mechanism name":
        number = content[-1] if content else 0
        mechanism = known(AuthenticationMechanism, number)
        if kind == "AARQ":
            conversation.mechanism = number
        said.append(words(mechanism))
        cursor.write(name, words(mechanism), f"2.16.756.5.8.2.{number}")
    elif name == "result":
        result = known(AssociationResult, _integer(content))
        said.append(words(result))
        cursor.write(name, words(result))
    elif name == "result source diagnostic":
        _diagnostic(cursor, content, said)
    elif name.endswith("AP title") and content[:1] == b"\x04":
        title = content[2:]
        conversation.learn_title(title, from_client=kind == "AARQ")
        cursor.write(
            name, title.hex(), f"system title, {title_meaning(title)}".rstrip(", "), sensitivity=Sensitivity.IDENTITY
        )
    elif name.endswith("authentication value"):
        _authentication_value(cursor, name, content, conversation, kind)
    elif name == "reason":
        reasons = ReleaseRequestReason if kind == "RLRQ" else ReleaseResponseReason
        cursor.write(name, words(known(reasons, _integer(content, bare=True))))
    elif name.endswith("requirements"):
        bit = len(content) > 1 and bool(content[1] & 0x80)
        cursor.write(name, content.hex(), "authentication functional unit" if bit else "no authentication")
    elif name.endswith("invocation id"):
        cursor.write(name, _integer(content), "user id" if "AE" in name and "calling" in name else "")
    else:
        cursor.write(name, content.hex(), sensitivity=Sensitivity.IDENTITY)


def _user_information(cursor: Cursor, length: int, walk_inner: Callable[[Cursor], None]) -> None:
    cursor.write("user information", None, f"{length} octets")
    with cursor.within(length) as outer:
        if outer.left < 2 or outer.peek() != 0x04:
            outer.rest("user information", error="an octet-string (04) belongs here")
            return
        outer.take(1, "the octet-string")
        inner_length = _length(outer)
        outer.write("octet-string", None, f"{inner_length} octets")
        with outer.within(inner_length, depth=0) as inner:
            walk_inner(inner)
        if outer.left:
            outer.rest("octets after the user information", error=f"{outer.left} octets too many")


def _authentication_value(cursor: Cursor, name: str, content: bytes, conversation: Conversation, kind: str) -> None:
    value = content[2:] if content[:1] in (b"\x80", b"\x04") and len(content) >= 2 else content
    lls = conversation.mechanism in (None, AuthenticationMechanism.LLS)
    words_ = f"{len(value)} octets, " + ("password" if lls and kind == "AARQ" else "challenge")
    if not lls and not 8 <= len(value) <= 64:
        words_ += "; 8 to 64 octets are the rule"
    cursor.write(name, value.hex(), words_, sensitivity=Sensitivity.SECRET if lls else Sensitivity.OPEN)


def _diagnostic(cursor: Cursor, content: bytes, said: list[str]) -> None:
    source = content[0] if content else 0
    number = _integer(content[2:])
    if source == 0xA2:
        diagnostic = words(known(AcseServiceProviderDiagnostic, number))
    else:
        diagnostic = words(known(AcseServiceUserDiagnostic, number))
    if number:
        said.append(diagnostic)
    cursor.write(
        "result source diagnostic", diagnostic, "from the ACSE provider" if source == 0xA2 else "from the ACSE user"
    )


def _integer(content: bytes, *, bare: bool = False) -> int:
    """The INTEGER in ``content``, with or without a tag of its own."""
    if not bare and len(content) >= 3 and content[0] == 0x02:
        return int.from_bytes(content[2 : 2 + content[1]], "big")
    if bare and len(content) == 3 and content[0] == 0x02:
        return content[2]
    return int.from_bytes(content[-4:], "big")


def _is_object_id(content: bytes, arc: int) -> bool:
    return len(content) == 9 and content[0] == 0x06 and content[2:7] == _OBJECT_PREFIX and content[7] == arc


def _length(cursor: Cursor) -> int:
    first = cursor.take(1, "a length")[0]
    if first < 0x80:
        return first
    size = first & 0x7F
    if size == 0:
        raise Fault(cursor.position - 1, "a BER length without an end; definite lengths only")
    if size > 4:
        raise Fault(cursor.position - 1, f"a BER length of {size} octets")
    return int.from_bytes(cursor.take(size, "a length"), "big")
