"""Values of an APDU that was explained: which of them are masked.

Works on the lines of ``cosemic.explain``: each octet stands in one of them, and what is secret is marked there. Beyond
that everything is masked that is not known to be harmless: of strings only codes of objects, date-times and names of
list versions stay; numbers stay unless they belong to an object or attribute that identifies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cosemic.enums import DataType
from cosemic.explain.annotations import Line, Sensitivity
from cosemic.redacting.identifying import UNKNOWN, Member, is_list_version, is_moment, is_obis, names_tariff

_SIZES = {
    "double-long": 4, "double-long-unsigned": 4, "floating-point": 4, "integer": 1, "long": 2, "unsigned": 1,
    "long-unsigned": 2, "long64": 8, "long64-unsigned": 8, "enum": 1, "float32": 4, "float64": 8, "delta-integer": 1,
    "delta-long": 2, "delta-double-long": 4, "delta-unsigned": 1, "delta-long-unsigned": 2,
    "delta-double-long-unsigned": 4, "boolean": 1, "bcd": 1, "date-time": 12, "date": 5, "time": 4, "null-data": 0,
    "dont-care": 0,
}  # fmt: skip
_STRINGS = frozenset(("octet-string", "visible-string", "utf8-string", "bit-string"))
_CONTAINERS = frozenset(("array", "structure", "compact-array"))
_WHOLE = frozenset(
    name for name in _SIZES if name not in ("boolean", "enum", "date-time", "date", "time", "null-data", "dont-care")
) - {"floating-point", "float32", "float64"}
_TYPES = {int(kind): kind.name.lower().replace("_", "-") for kind in DataType}
_VALUE = re.compile(rf"(?:(?P<name>.*) )?(?P<type>{'|'.join(sorted((*_TYPES.values(), *_SIZES), key=len)[::-1])})")
_BARE = {"class id": "long-unsigned", "instance id": "octet-string", "attribute": "integer"}
_INDEX = re.compile(r"\[([0-9]+)\]")
_SHORT_TEXT = 4
_LONGEST_BITS = 8


@dataclass(slots=True)
class Node:
    """A value: its line, the content of which begins at ``offset`` of the buffer, and what it holds."""

    line: Line
    type: str
    name: str
    offset: int
    length: int
    inner: list[Node] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return self.line.octets[len(self.line.octets) - self.length :] if self.length else b""

    @property
    def index(self) -> int | None:
        """The number of a value in a list."""
        match = _INDEX.search(self.name)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Place:
    """Octets that are masked (``how``: ``octets``, ``secret`` or ``number``), or a number that stays (``kept``)."""

    offset: int
    length: int
    how: str
    is_signed: bool = False


def value_node(line: Line) -> Node | None:
    """The node of a line that is a value, or a descriptor that stands like one; None for other lines."""
    match = _VALUE.fullmatch(line.field)
    if match is None or line.layer == "acse":
        return None
    kind, name = match["type"], match["name"] or ""
    if kind in _CONTAINERS:
        return Node(line, kind, name, line.offset + line.length, 0)
    if not line.length or not _fits(line, kind):
        return None
    length = _SIZES[kind] if kind in _SIZES else _string_length(line, kind)
    return Node(line, kind, name, line.offset + line.length - length, length)


def _fits(line: Line, kind: str) -> bool:
    """Whether a line is as long as a value of a fixed size; fields of services may be called as a type is."""
    size = _SIZES.get(kind)
    if size is None or line.length == size:
        return True
    return line.length == size + 1 and _TYPES.get(line.octets[0]) == kind


def _string_length(line: Line, kind: str) -> int:
    """Octets of the content of a string, whose type may stand before it or, in a compact array, elsewhere."""
    octets = line.octets
    tag = next((number for number, name in _TYPES.items() if name == kind), -1)
    for start in (1, 0) if octets[:1] == bytes((tag,)) else (0,):
        at = start
        if at >= len(octets):
            continue
        first = octets[at]
        size = first & 0x7F if first >= 0x80 else 0
        length = int.from_bytes(octets[at + 1 : at + 1 + size], "big") if size else first
        length = (length + 7) // 8 if kind == "bit-string" else length
        if at + 1 + size + length == len(octets):
            return length
    return max(len(octets) - 1, 0)


def trees(lines: Sequence[Line]) -> Iterator[Node]:
    """Values that stand under each other by their depth, the outermost ones."""
    open_ones: list[Node] = []
    for line in lines:
        node = value_node(line) or _bare_descriptor(line)
        if node is None:
            continue
        while open_ones and open_ones[-1].line.depth >= line.depth:
            top = open_ones.pop()
            if not open_ones:
                yield top
        if open_ones:
            open_ones[-1].inner.append(node)
        elif line.field in _BARE:
            continue  # of the service, not of a value
        open_ones.append(node)
    if open_ones:
        yield open_ones[0]


def _bare_descriptor(line: Line) -> Node | None:
    """Class, name and attribute that stand in a value without their types, as some meters send them."""
    kind = _BARE.get(line.field)
    return None if kind is None else Node(line, kind, "", line.offset, line.length)


def places(node: Node, member: Member, *, keep_texts: bool = False) -> Iterator[Place]:
    """The places of a value that belongs to ``member``, in order."""
    stack: list[tuple[Node, Member]] = [(node, member)]
    while stack:
        node, member = stack.pop()
        if node.type in _CONTAINERS:
            stack += reversed(list(_members(node, member)))
        elif (place := _place(node, member, keep_texts)) is not None:
            yield place


def _members(node: Node, member: Member) -> Iterator[tuple[Node, Member]]:
    """What the elements of a container belong to: the codes among them say so, or a list of objects before them."""
    listed = _object_list(node.inner[0]) if node.inner else []
    following = node.inner[1:]
    if len(listed) > 1:
        yield node.inner[0], member
        if len(following) == len(listed) - 1:
            listed = listed[1:]  # the list is the first of its own objects
        if len(following) == 1 and len(following[0].inner) == len(listed):
            following = following[0].inner
        is_by_place = len(following) == len(listed)
        for number, element in enumerate(following):
            yield element, listed[number] if is_by_place else member
        return
    current = member
    class_id: int | None = None
    descriptor: list[int] = []
    for element in node.inner:
        if element.type == "octet-string" and is_obis(element.content):
            yield element, member
            current = Member(class_id, element.content)
            descriptor = []
            continue
        if element.type == "long-unsigned" and element.line.meaning.startswith("interface class"):
            class_id = int.from_bytes(element.content, "big")
        elif element.type == "integer" and current is not member and not descriptor and current.class_id is not None:
            descriptor.append(int.from_bytes(element.content, "big"))
            current = Member(current.class_id, current.obis, descriptor[0])
        if member.is_secret or member.is_identifying:
            yield element, member
        else:
            yield element, current


def _object_list(node: Node) -> list[Member]:
    """The objects in a list of push objects or of columns; empty where it is none."""
    if node.type not in _CONTAINERS or not node.inner:
        return []
    found: list[Member] = []
    for element in node.inner:
        parts = element.inner if element.type in _CONTAINERS else [element]
        code = next((part for part in parts[:2] if part.type == "octet-string" and is_obis(part.content)), None)
        if code is None or any(part.type in _CONTAINERS for part in parts[:3]):
            return []
        numbers = [part for part in parts if part.type in ("long-unsigned", "integer")]
        class_id = int.from_bytes(numbers[0].content, "big") if len(parts) > 2 and numbers else None
        number = int.from_bytes(numbers[1].content, "big") if class_id is not None and len(numbers) > 1 else None
        found.append(Member(class_id, code.content, number))
    return found


def _place(node: Node, member: Member, keep_texts: bool) -> Place | None:
    if not node.length:
        return None
    content = node.content
    if member.is_secret or node.line.sensitivity is Sensitivity.SECRET:
        return Place(node.offset, node.length, "secret")
    marked = member.is_identifying or node.line.sensitivity is Sensitivity.IDENTITY
    if node.type in _STRINGS:
        return None if _may_stay(node, content, member, marked, keep_texts) else _octets(node)
    if node.type == "date-time" and not is_moment(content):
        return _octets(node)
    if node.type not in _WHOLE:
        return _octets(node) if marked and node.type in ("floating-point", "float32", "float64") else None
    signed = node.type in ("integer", "long", "double-long", "long64")
    doubtful = member.is_of_network or member is UNKNOWN
    if (marked and node.length > 1) or (doubtful and node.length > 3):
        return Place(node.offset, node.length, "number", signed)
    return Place(node.offset, node.length, "kept", signed) if node.length > 1 else None


def _may_stay(node: Node, content: bytes, member: Member, marked: bool, keep_texts: bool) -> bool:
    if node.type == "bit-string":
        return not marked and len(content) <= _LONGEST_BITS
    if marked:
        return False
    if node.type == "octet-string" and (is_obis(content) or is_moment(content)):
        return True
    if is_list_version(content):
        return True
    is_text = content.isascii() and all(32 <= octet < 127 for octet in content)
    if not is_text:
        return False
    return keep_texts or (member.obis is not None and (len(content) <= _SHORT_TEXT or names_tariff(member.obis)))


def _octets(node: Node) -> Place:
    return Place(node.offset, node.length, "octets")
