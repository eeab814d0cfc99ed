"""Where the values of a push lie in its octets: a tree of places, for bodies that are A-XDR or nearly so.

Names are found by what stands where, so the tree keeps places and tags and decodes a value when it is asked for.
"""

from __future__ import annotations

from typing import Final

from cosemic.codec.axdr import DEFAULT_LIMITS, Data, DataType, decode_prefix
from cosemic.codec.compact import decode_compact
from cosemic.codec.scalars import SIZE, TIMES, Budget, decode_length
from cosemic.codec.typed import Value
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode

ARRAY: Final = int(DataType.ARRAY)
STRUCTURE: Final = int(DataType.STRUCTURE)
OCTET_STRING: Final = int(DataType.OCTET_STRING)
VISIBLE_STRING: Final = int(DataType.VISIBLE_STRING)
UTF8_STRING: Final = int(DataType.UTF8_STRING)
COMPACT_ARRAY: Final = int(DataType.COMPACT_ARRAY)
BARE_DESCRIPTOR: Final = -1
"""In place of a tag: class, logical name and attribute in nine octets without any tag."""

BARE_SIZE: Final = 9
_STRINGS: Final = frozenset((OCTET_STRING, VISIBLE_STRING, UTF8_STRING, int(DataType.BIT_STRING)))
_WHOLE_NUMBERS: Final = frozenset(
    int(kind)
    for kind in (
        DataType.INTEGER, DataType.LONG, DataType.DOUBLE_LONG, DataType.LONG64, DataType.UNSIGNED,
        DataType.LONG_UNSIGNED, DataType.DOUBLE_LONG_UNSIGNED, DataType.LONG64_UNSIGNED, DataType.ENUM,
    )
)  # fmt: skip
_MEDIA: Final = frozenset((0, 1, 4, 5, 6, 7, 8, 9, 15))
_CONTAINERS: Final = frozenset((ARRAY, STRUCTURE))
_HIGHEST_ATTRIBUTE: Final = 64
_ANY: Final = 0xFF
_SWAPPED: Final = b"\x06\x09"
_SWAPPED_SIZE: Final = 8


class Node:
    """One value: its tag, its octets ``start:end``, where its content begins, and what it contains."""

    __slots__ = ("children", "content", "end", "start", "tag")

    def __init__(self, tag: int, start: int, content: int, end: int, children: tuple[Node, ...] | None) -> None:
        self.tag = tag
        self.start = start
        self.content = content
        self.end = end
        self.children = children


class Body:
    """The octets of a notification's values and the tree of their places."""

    __slots__ = ("announced", "damage", "is_valid", "octets", "root")

    def __init__(self, octets: bytes, root: Node, is_valid: bool) -> None:
        self.octets = octets
        self.root = root
        self.is_valid = is_valid
        self.damage: int | None = None
        """Where the octets cease to be values; what stands behind is not in the tree."""
        self.announced = 1 if root.children is None else len(root.children)
        """How many elements the push says that it has."""

    @property
    def elements(self) -> tuple[Node, ...]:
        """What the push consists of: the elements of its structure or array, or the one value that it is."""
        return (self.root,) if self.root.children is None else self.root.children

    @classmethod
    def of(cls, data: Data) -> Body:
        """The places of a value that was checked already."""
        octets = data.octets
        return cls(octets, _survey(octets, 0), True)

    @classmethod
    def with_bare_descriptors(cls, octets: bytes) -> Body:
        """Values whose attribute descriptors have no tags; DecodeError where the octets are not such either."""
        return cls._bent(_BareWalk(octets))

    @classmethod
    def with_swapped_names(cls, octets: bytes) -> Body:
        """Values some of whose OBIS codes begin with 06 09 instead of 09 06; DecodeError where they are not such."""
        return cls._bent(_SwappedWalk(octets))

    @classmethod
    def _bent(cls, walk: _Walk) -> Body:
        root, end = walk.value(0, DEFAULT_LIMITS.depth)
        if not walk.found or end != len(walk.octets):
            raise DecodeError(f"values without {walk.DEVIATION}", octets=walk.octets, offset=end)
        return cls(walk.octets, root, False)

    @classmethod
    def before_damage(cls, octets: bytes) -> Body:
        """As much as there is of a value whose octets are damaged or cut short; DecodeError where that is nothing."""
        walk = _DamagedWalk(octets)
        root = walk.value(0, DEFAULT_LIMITS.depth)
        if root is None or not root.children:
            raise DecodeError("no value is whole before the damage", octets=octets, offset=walk.damage)
        body = cls(octets, root, False)
        body.damage = root.end if walk.damage is None else walk.damage  # octets that are too many are damage as well
        body.announced, _ = decode_length(octets, 1)
        return body

    @property
    def has_bare_descriptors(self) -> bool:
        """Whether attribute descriptors in it have no tags."""
        return not self.is_valid and _has(self.root, BARE_DESCRIPTOR)

    def value(self, node: Node) -> Value:
        """The plain value, bare descriptors as nine octets."""
        if node.tag == BARE_DESCRIPTOR:
            return self.octets[node.start : node.end]
        if not self.is_valid and node.tag == OCTET_STRING:
            return self.string(node)
        if not self.is_valid and node.children is not None:
            values = [self.value(child) for child in node.children]
            return values if node.tag == ARRAY else tuple(values)
        return decode_prefix(self.octets, node.start)[0]

    def string(self, node: Node) -> bytes:
        """The content of a string."""
        return self.octets[node.content : node.end]

    def obis(self, node: Node) -> ObisCode | None:
        """The OBIS code that an octet-string of six octets is; None where it can hardly be one."""
        if node.tag != OCTET_STRING or node.end - node.content != 6:
            return None
        octets = self.octets[node.content : node.end]
        return ObisCode.from_bytes(octets) if octets[0] in _MEDIA else None

    def whole_number(self, node: Node) -> int | None:
        """The number, where it is one without a fraction."""
        if node.tag not in _WHOLE_NUMBERS:
            return None
        number = decode_prefix(self.octets, node.start)[0]
        return number if isinstance(number, int) else None

    def scaler_unit(self, node: Node) -> ScalerUnit | None:
        """The scaler_unit that a structure of an integer and an enum is."""
        parts = node.children
        if node.tag != STRUCTURE or parts is None or len(parts) != 2:
            return None
        if parts[0].tag != DataType.INTEGER or parts[1].tag != DataType.ENUM:
            return None
        scaler, unit = self.whole_number(parts[0]), self.whole_number(parts[1])
        return None if scaler is None or unit is None else ScalerUnit(scaler, unit)

    def descriptor(self, node: Node) -> tuple[int, ObisCode, int] | None:
        """Class, name and attribute of a bare descriptor, or of a structure that begins with these three."""
        if node.tag == BARE_DESCRIPTOR:
            octets = self.octets
            start = node.start
            return (
                int.from_bytes(octets[start : start + 2], "big"),
                ObisCode.from_bytes(octets[start + 2 : start + 8]),
                octets[start + 8],
            )
        parts = node.children
        if parts is None or not has_descriptor_form(node):
            return None
        class_id, obis, attribute = self.whole_number(parts[0]), self.obis(parts[1]), self.whole_number(parts[2])
        if class_id is None or obis is None or attribute is None or not 0 <= attribute <= _HIGHEST_ATTRIBUTE:
            return None
        return class_id, obis, attribute


_CLASS_TAGS: Final = frozenset((int(DataType.LONG_UNSIGNED), int(DataType.UNSIGNED)))


def has_descriptor_form(node: Node) -> bool:
    """Whether a structure begins with a number, an octet-string of six octets and a number."""
    parts = node.children
    return (
        node.tag == STRUCTURE
        and parts is not None
        and len(parts) > 2
        and parts[0].tag in _CLASS_TAGS
        and parts[1].tag == OCTET_STRING
        and parts[1].end - parts[1].content == 6
        and parts[2].tag in _WHOLE_NUMBERS
    )


def is_scaler_unit(node: Node) -> bool:
    """Whether a node has the form of a scaler_unit."""
    parts = node.children
    return (
        node.tag == STRUCTURE
        and parts is not None
        and len(parts) == 2
        and parts[0].tag == DataType.INTEGER
        and parts[1].tag == DataType.ENUM
    )


def is_null(node: Node) -> bool:
    """Whether the node is null-data."""
    return node.tag == DataType.NULL_DATA


def _survey(octets: bytes, start: int) -> Node:
    """The tree of a valid value: nothing is checked again."""
    tag = octets[start]
    offset = start + 1
    if tag in _CONTAINERS:
        count, offset = decode_length(octets, offset)
        content = offset
        children = []
        for _ in range(count):
            child = _survey(octets, offset)
            children.append(child)
            offset = child.end
        return Node(tag, start, content, offset, tuple(children))
    return _leaf(octets, start)


def _leaf(octets: bytes, start: int) -> Node:
    tag = octets[start]
    offset = start + 1
    if tag in _STRINGS:
        length, offset = decode_length(octets, offset)
        return Node(tag, start, offset, offset + ((length + 7) // 8 if tag == DataType.BIT_STRING else length), None)
    if tag in TIMES:
        return Node(tag, start, offset, offset + TIMES[tag][0], None)
    if tag == COMPACT_ARRAY:
        _, _, end = decode_compact(octets, offset, DEFAULT_LIMITS.depth, Budget(DEFAULT_LIMITS.elements))
        return Node(tag, start, offset, end, None)
    return Node(tag, start, offset, offset + SIZE[tag], None)


def _has(node: Node, tag: int) -> bool:
    return node.tag == tag or any(_has(child, tag) for child in node.children or ())


class _Walk:
    """Reads values of which some bend the standard; ``found`` counts those."""

    DEVIATION = ""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.found = 0

    def value(self, start: int, depth: int) -> tuple[Node, int]:
        """The value that begins there and where it ends, or DecodeError."""
        octets = self.octets
        if start >= len(octets):
            raise DecodeError("the data end inside a value", octets=octets, offset=start)
        tag = octets[start]
        if tag not in _CONTAINERS:
            _, end = decode_prefix(octets, start)
            return _leaf(octets, start), end
        count, offset = decode_length(octets, start + 1)
        if count > len(octets) - offset or depth <= 0:
            raise DecodeError(f"{count} elements in {len(octets) - offset} octets", octets=octets, offset=offset)
        content = offset
        children: list[Node] = []
        first = self.first(tag, count, offset)
        if first is not None:
            self.found += 1
            children.append(first)
            offset = first.end
        while len(children) < count:
            child, offset = self.value(offset, depth - 1)
            children.append(child)
        return Node(tag, start, content, offset, tuple(children)), offset

    def first(self, tag: int, count: int, offset: int) -> Node | None:
        """A first element of its own form, of a container of that many."""
        return None


class _BareWalk(_Walk):
    """Structures of two begin with an attribute descriptor of nine octets without tags."""

    DEVIATION = "attribute descriptors that have no tags"

    def first(self, tag: int, count: int, offset: int) -> Node | None:
        """Class below 512, a code of a known medium that speaks of no billing period, an attribute there can be."""
        octets = self.octets[offset : offset + BARE_SIZE]
        if (
            tag == STRUCTURE
            and count == 2
            and len(octets) == BARE_SIZE
            and octets[0] <= 1
            and octets[2] in _MEDIA
            and octets[7] == _ANY
            and 0 < octets[8] <= _HIGHEST_ATTRIBUTE
        ):
            return Node(BARE_DESCRIPTOR, offset, offset, offset + BARE_SIZE, None)
        return None


class _SwappedWalk(_Walk):
    """OBIS codes at the begin of structures have length and tag in the wrong order."""

    DEVIATION = "OBIS codes that begin with 06 09"

    def first(self, tag: int, count: int, offset: int) -> Node | None:
        """06 09 and then six octets that are a code."""
        octets = self.octets[offset : offset + _SWAPPED_SIZE]
        if (
            tag == STRUCTURE
            and count > 1
            and len(octets) == _SWAPPED_SIZE
            and octets[:2] == _SWAPPED
            and octets[2] in _MEDIA
            and octets[7] == _ANY
        ):
            return Node(OCTET_STRING, offset, offset + 2, offset + _SWAPPED_SIZE, None)
        return None


class _DamagedWalk:
    """Reads values until the octets cannot be right any more; containers keep what they have by then."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.damage: int | None = None

    def value(self, start: int, depth: int) -> Node | None:
        octets = self.octets
        try:
            tag = octets[start]
            if tag not in _CONTAINERS:
                _, end = decode_prefix(octets, start)
                return _leaf(octets, start)
            count, content = decode_length(octets, start + 1)
            if depth <= 0:
                raise DecodeError("nested deeper than the limit allows")
        except (IndexError, DecodeError):
            self.damage = start
            return None
        end = content
        children: list[Node] = []
        for _ in range(count):
            child = self.value(end, depth - 1)
            if child is None:
                break
            children.append(child)
            end = child.end
            if self.damage is not None:
                break
        return Node(tag, start, content, end, tuple(children))
