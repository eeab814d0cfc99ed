"""Ciphered APDUs, annotated, and opened where the keys are there (IEC 62056-5-3, clause 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cosemic.enums import ApduTag
from cosemic.errors import DlmsError
from cosemic.explain.annotations import Cursor, Fault, Page, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import moment_meaning, take_length, title_meaning
from cosemic.security.cipher import CipherKey
from cosemic.security.suites import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED, HEADER, TAG_LENGTH

GLOBAL = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("GLO_"))
DEDICATED = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("DED_"))
GENERAL = frozenset({int(ApduTag.GENERAL_GLO_CIPHERING), int(ApduTag.GENERAL_DED_CIPHERING)})
DEEPEST = 4

WalkApdu = Callable[[Cursor, Conversation], None]


def tag_name(tag: int) -> str:
    """``glo-get-request``."""
    return ApduTag(tag).name.lower().replace("_", "-")


def walk_ciphered(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """glo-, ded-, general-glo- and general-ded-ciphering."""
    tag = cursor.take(1, "the tag")[0]
    headline = cursor.head(tag_name(tag))
    cursor.depth += 1
    cursor.write("tag", tag_name(tag))
    title = _octets(cursor, "system title", title_meaning, Sensitivity.IDENTITY) if tag in GENERAL else b""
    length = take_length(cursor)
    cursor.write("length", length)
    dedicated = tag in DEDICATED or tag == ApduTag.GENERAL_DED_CIPHERING
    with cursor.within(length, depth=0, layer="security") as content:
        walk_content(content, conversation, walk_apdu, headline, tag=tag, title=title, dedicated=dedicated)
    cursor.depth -= 1


def walk_general_ciphering(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """general-ciphering (0xDD): the header with its key information."""
    cursor.take(1, "the tag")
    headline = cursor.head("general-ciphering")
    cursor.depth += 1
    cursor.write("tag", "general-ciphering")
    title = _general_header(cursor)
    present = cursor.take(1, "key information")[0]
    cursor.write("key information", None, "present" if present else "absent")
    named = False
    if present:
        choice = cursor.take(1, "the kind of key")[0]
        kinds = {0: "identified key", 1: "wrapped key", 2: "agreed key"}
        if choice not in kinds:
            raise Fault(cursor.position - 1, f"{choice} is no kind of key; 0 to 2 exist")
        cursor.write("kind of key", choice, kinds[choice])
        if choice < 2:
            number = cursor.take(1, "the key id")[0]
            names = {0: "global unicast encryption key", 1: "global broadcast encryption key"}
            cursor.write("key id" if choice == 0 else "kek id", number, names.get(number, "") if choice == 0 else "")
            named = choice == 0
        else:
            _octets(cursor, "key parameters")
        if choice > 0:
            _octets(cursor, "wrapped key" if choice == 1 else "key ciphered data", sensitivity=Sensitivity.SECRET)
    length = take_length(cursor)
    cursor.write("length", length)
    with cursor.within(length, depth=0, layer="security") as content:
        if named or not present:
            walk_content(
                content, conversation, walk_apdu, headline, tag=0xDD, title=title, dedicated=False, general=True
            )
        else:
            _content_lines(content)
            content.head("not deciphered", "the key is wrapped or agreed in the APDU itself")
    cursor.depth -= 1


def walk_general_signing(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """general-signing (0xDF): a signed APDU; the signature is shown, not checked."""
    cursor.take(1, "the tag")
    cursor.head("general-signing", "signature not checked")
    cursor.depth += 1
    cursor.write("tag", "general-signing")
    _general_header(cursor)
    length = take_length(cursor)
    cursor.write("length of the content", length)
    walk_apdu(cursor.within(length, depth=0), conversation)
    _octets(cursor, "signature")
    cursor.depth -= 1


def walk_content(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, headline: int, *, tag: int, title: bytes,
    dedicated: bool, general: bool = False,
) -> None:  # fmt: skip
    """SC, IC, information and tag; then the plaintext, when a key fits."""
    control, counter, payload = _content_lines(cursor)
    cursor.page.amend(headline, meaning=f"{_protection(control)}, IC {counter}")
    if general:
        cursor.head("not deciphered", "the additional data of general-ciphering is not known to this version")
        return
    if not control & (AUTHENTICATED | ENCRYPTED):
        _plaintext(cursor, conversation, walk_apdu, payload, "not protected")
        return
    if control & COMPRESSED:
        cursor.head("not deciphered", "the content is compressed")
        return
    key, name = _key(conversation, control, dedicated=dedicated)
    if key is None:
        if not control & ENCRYPTED:
            _plaintext(
                cursor, conversation, walk_apdu, payload[:-TAG_LENGTH], f"not encrypted; tag not checked: no {name}"
            )
        else:
            cursor.head("not deciphered", f"no {name} was given")
        return
    titles = [title] if len(title) == 8 else conversation.titles_for(tag)
    if not titles:
        cursor.head("not deciphered", "the system title of the sender is not known: give it, or its AARQ or AARE too")
        return
    _open(cursor, conversation, walk_apdu, control, counter, payload, key, name, titles)


def _open(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, control: int, counter: int, payload: bytes,
    key: bytes, name: str, titles: list[bytes],
) -> None:  # fmt: skip
    authentication = conversation.keys.authentication_key
    assert authentication is None or isinstance(authentication, bytes)
    cipher = CipherKey(key, authentication, name)
    header = HEADER.pack(control, counter)
    body = payload[:-TAG_LENGTH] if control & AUTHENTICATED else payload
    tried = ", ".join(t.hex().upper() for t in titles)
    if control & AUTHENTICATED and len(payload) < TAG_LENGTH:
        cursor.head("not deciphered", "", f"{len(payload)} octets cannot hold a tag of {TAG_LENGTH}")
        return
    if control & AUTHENTICATED and authentication is not None:
        for title in titles:
            try:
                plain = cipher.open(control, title, counter, header + payload)
            except DlmsError:
                continue
            _plaintext(cursor, conversation, walk_apdu, plain, "tag ok")
            return
    opened: bytes | None = None
    for title in titles:
        candidate = cipher.open(control & ~AUTHENTICATED, title, counter, header + body)
        if _plausible(candidate, conversation, walk_apdu):
            opened = candidate
            break
    unchecked = "tag not checked: no authentication key" if control & AUTHENTICATED else "no tag: nothing proves it"
    if opened is not None and not (control & AUTHENTICATED and authentication is not None):
        _plaintext(cursor, conversation, walk_apdu, opened, unchecked)
    elif opened is not None and control & ENCRYPTED:
        cursor.head(
            "not accepted", f"{name} and system title are right: they give an APDU",
            "the tag does not fit: the authentication key is wrong, or octets were changed on the way",
        )  # fmt: skip
    elif control & AUTHENTICATED and authentication is not None:
        cursor.head(
            "not accepted", f"tried with system title {tried}",
            f"the tag does not fit: the {name}, the authentication key or the system title is wrong, "
            "or octets were changed on the way",
            sensitivity=Sensitivity.IDENTITY,
        )  # fmt: skip
    else:
        cursor.head(
            "not deciphered", f"tried with system title {tried}",
            f"the result is no APDU: the {name} or the system title is wrong, or octets were changed on the way",
            sensitivity=Sensitivity.IDENTITY,
        )  # fmt: skip


def _content_lines(cursor: Cursor) -> tuple[int, int, bytes]:
    cursor.layer = "security"
    control = cursor.take(1, "the security control octet")[0]
    cursor.write(
        "security control", control,
        f"suite {control & 0x0F}, {_protection(control)}{', broadcast key' if control & BROADCAST else ''}"
        f"{', compressed' if control & COMPRESSED else ''}",
    )  # fmt: skip
    counter = cursor.number(4, "invocation counter")
    start = cursor.position
    size = cursor.left - (TAG_LENGTH if control & AUTHENTICATED else 0)
    if size > 0:
        cursor.take(size, "the information")
        encrypted = bool(control & ENCRYPTED)
        cursor.write(
            "ciphertext" if encrypted else "information", None, f"{size} octets",
            sensitivity=Sensitivity.OPEN if encrypted else Sensitivity.SECRET,
        )  # fmt: skip
    if cursor.left:
        cursor.position = cursor.end
        cursor.write("authentication tag", None, f"{cursor.end - start - max(size, 0)} octets")
    return control, counter, cursor.data[start : cursor.end]


def _plaintext(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, plain: bytes, meaning: str
) -> None:  # fmt: skip
    if conversation.nesting >= DEEPEST:
        raise Fault(cursor.position, f"ciphered more than {DEEPEST} times over")
    conversation.opened += 1
    cursor.head("plaintext", f"{len(plain)} octets, {meaning}")
    inner = Cursor(
        plain, cursor.page, depth=cursor.depth + 1, layer="xdlms", buffer=f"plaintext {conversation.opened}"
    )  # fmt: skip
    conversation.nesting += 1
    if plain[:1] == b"/":
        inner.rest("text", "a DSMR telegram")
    else:
        walk_apdu(inner, conversation)
        if inner.left:
            inner.rest("octets after the APDU", error=f"{inner.left} octets too many")
    conversation.nesting -= 1


def _plausible(plain: bytes, conversation: Conversation, walk_apdu: WalkApdu) -> bool:
    """Whether the octets are an APDU to their very end."""
    if plain[:1] == b"/":
        return plain[:32].isascii()
    if not plain or conversation.nesting >= DEEPEST:
        return False
    page = Page(len(plain))
    scratch = replace(conversation, blocks={}, listed=set(), hidden=set(), nesting=DEEPEST)
    cursor = Cursor(plain, page, layer="xdlms")
    try:
        walk_apdu(cursor, scratch)
    except Fault:
        return False
    return not cursor.left and not any(line.error for line in page.lines)


def _key(conversation: Conversation, control: int, *, dedicated: bool) -> tuple[bytes | None, str]:
    keys = conversation.keys
    key: bytes | str | None
    if dedicated:
        key, name = keys.dedicated_key or conversation.dedicated_key, "dedicated key"
    elif control & BROADCAST:
        key, name = keys.broadcast_key or keys.encryption_key, "broadcast key"
    else:
        key, name = keys.encryption_key, "encryption key"
    assert not isinstance(key, str)
    return key, name


def _general_header(cursor: Cursor) -> bytes:
    _octets(cursor, "transaction id")
    title = _octets(cursor, "originator system title", title_meaning, Sensitivity.IDENTITY)
    _octets(cursor, "recipient system title", title_meaning, Sensitivity.IDENTITY)
    _octets(cursor, "date-time", moment_meaning)
    _octets(cursor, "other information")
    return title


def _octets(
    cursor: Cursor, field: str, meaning: Callable[[bytes], str] | None = None,
    sensitivity: Sensitivity = Sensitivity.OPEN,
) -> bytes:  # fmt: skip
    octets = cursor.take(take_length(cursor), field)
    text = meaning(octets) if meaning and octets else "" if octets else "empty"
    cursor.write(field, octets.hex(), text, sensitivity=sensitivity)
    return octets


def _protection(control: int) -> str:
    names = {0x30: "authenticated and encrypted", AUTHENTICATED: "authenticated only", ENCRYPTED: "encrypted only"}
    return names.get(control & 0x30, "not protected")
