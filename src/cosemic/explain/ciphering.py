"""Ciphered APDUs, annotated, and opened where the keys are there (IEC 62056-5-3, clause 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from cosemic.enums import ApduTag
from cosemic.errors import DlmsError
from cosemic.explain.annotations import Cursor, Fault, Page, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import take_length, title_meaning
from cosemic.security.cipher import CipherKey
from cosemic.security.suites import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED, HEADER, TAG_LENGTH

GLOBAL = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("GLO_"))
DEDICATED = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("DED_"))
GENERAL = frozenset({int(ApduTag.GENERAL_GLO_CIPHERING), int(ApduTag.GENERAL_DED_CIPHERING)})
DEEPEST = 4

WalkApdu = Callable[[Cursor, Conversation], None]
Candidate = tuple[bytes, str]
"""A key, and what it is called."""


def tag_name(tag: int) -> str:
    """``glo-get-request``."""
    return ApduTag(tag).name.lower().replace("_", "-")


def walk_ciphered(cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu) -> None:
    """glo-, ded-, general-glo- and general-ded-ciphering."""
    tag = cursor.take(1, "the tag")[0]
    headline = cursor.head(tag_name(tag))
    cursor.depth += 1
    cursor.write("tag", tag_name(tag))
    title = octets_line(cursor, "system title", title_meaning, Sensitivity.IDENTITY) if tag in GENERAL else b""
    length = take_length(cursor)
    cursor.write("length", length)
    dedicated = tag in DEDICATED or tag == ApduTag.GENERAL_DED_CIPHERING
    with cursor.within(length, depth=0, layer="security") as content:
        walk_content(content, conversation, walk_apdu, headline, tag=tag, title=title, dedicated=dedicated)
    cursor.depth -= 1


def walk_content(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, headline: int, *, tag: int, title: bytes,
    dedicated: bool,
) -> None:  # fmt: skip
    """SC, IC, information and tag; then the plaintext, when a key fits."""
    control, counter, payload = content_lines(cursor)
    key, name = key_for(conversation, control, dedicated=dedicated)
    open_content(
        cursor, conversation, walk_apdu, headline, control=control, counter=counter, payload=payload,
        keys=[] if key is None else [(key, name)], missing=f"no {name} was given",
        titles=[title] if len(title) == 8 else conversation.titles_for(tag), covers={"": b""},
    )  # fmt: skip


def open_content(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, headline: int, *, control: int, counter: int,
    payload: bytes, keys: list[Candidate], missing: str, titles: list[bytes], covers: dict[str, bytes],
) -> None:  # fmt: skip
    """The plaintext behind lines of content: with any of the keys, titles and readings of what the tag ``covers``."""
    cursor.page.amend(headline, meaning=f"{_protection(control)}, IC {counter}")
    if not control & (AUTHENTICATED | ENCRYPTED):
        _plaintext(cursor, conversation, walk_apdu, payload, "not protected")
    elif control & COMPRESSED:
        cursor.head("not deciphered", "the content is compressed")
    elif control & AUTHENTICATED and len(payload) < TAG_LENGTH:
        cursor.head("not deciphered", "", f"{len(payload)} octets cannot hold a tag of {TAG_LENGTH}")
    elif not keys and not control & ENCRYPTED:
        _plaintext(cursor, conversation, walk_apdu, payload[:-TAG_LENGTH], f"not encrypted; tag not checked: {missing}")
    elif not keys:
        cursor.head("not deciphered", missing)
    elif not titles:
        cursor.head("not deciphered", "the system title of the sender is not known: give it, or its AARQ or AARE too")
    else:
        _open(cursor, conversation, walk_apdu, control, counter, payload, keys, titles, covers)


def _open(
    cursor: Cursor, conversation: Conversation, walk_apdu: WalkApdu, control: int, counter: int, payload: bytes,
    keys: list[Candidate], titles: list[bytes], covers: dict[str, bytes],
) -> None:  # fmt: skip
    authentication = conversation.keys.authentication_key
    assert authentication is None or isinstance(authentication, bytes)
    ciphers = [CipherKey(key, authentication, name) for key, name in keys]
    header = HEADER.pack(control, counter)
    checks_tag = bool(control & AUTHENTICATED) and authentication is not None
    for cipher, title, reading in product(ciphers, titles, covers) if checks_tag else ():
        try:
            plain = cipher.open(control, title, counter, header + payload, covers[reading])
        except DlmsError:
            continue
        said = f"tag ok; {reading}" if reading else "tag ok"
        if cipher.name in ("wrapped key", "agreed key"):
            said += f"; under the {cipher.name}"
        _plaintext(cursor, conversation, walk_apdu, plain, said)
        return
    body = payload[:-TAG_LENGTH] if control & AUTHENTICATED else payload
    opened: bytes | None = None
    for cipher, title in product(ciphers, titles):
        candidate = cipher.open(control & ~AUTHENTICATED, title, counter, header + body)
        if _plausible(candidate, conversation, walk_apdu):
            opened = candidate
            break
    unchecked = "tag not checked: no authentication key" if control & AUTHENTICATED else "no tag: nothing proves it"
    if opened is not None and not checks_tag:
        _plaintext(cursor, conversation, walk_apdu, opened, unchecked)
        return
    _not_opened(cursor, control, keys[0][1], titles, opened is not None, checks_tag)


def _not_opened(
    cursor: Cursor, control: int, name: str, titles: list[bytes], deciphers: bool, checks_tag: bool
) -> None:  # fmt: skip
    tried = ", ".join(title.hex().upper() for title in titles)
    if deciphers and control & ENCRYPTED:
        cursor.head(
            "not accepted", f"{name} and system title are right: they give an APDU",
            "the tag does not fit: the authentication key is wrong, or octets were changed on the way",
        )  # fmt: skip
    elif checks_tag:
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


def content_lines(cursor: Cursor) -> tuple[int, int, bytes]:
    """SC, IC, ciphertext and tag, annotated: security control, invocation counter, and what follows them."""
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


def key_for(conversation: Conversation, control: int, *, dedicated: bool) -> tuple[bytes | None, str]:
    """The key that protects an APDU with this security control, if it is known, and its name."""
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


def octets_line(
    cursor: Cursor, field: str, meaning: Callable[[bytes], str] | None = None,
    sensitivity: Sensitivity = Sensitivity.OPEN,
) -> bytes:  # fmt: skip
    """An octet string with its length, annotated."""
    octets = cursor.take(take_length(cursor), field)
    text = meaning(octets) if meaning and octets else "" if octets else "empty"
    cursor.write(field, octets.hex(), text, sensitivity=sensitivity)
    return octets


def _protection(control: int) -> str:
    names = {0x30: "authenticated and encrypted", AUTHENTICATED: "authenticated only", ENCRYPTED: "encrypted only"}
    return names.get(control & 0x30, "not protected")
