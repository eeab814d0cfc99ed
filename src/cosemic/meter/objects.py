"""What simulated objects are made of: attributes that are stored or computed, methods, and who may use them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.model import ClassDeclaration, interface_class
from cosemic.enums import AccessRight, DataAccessResult, DataType
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode

if TYPE_CHECKING:
    from cosemic.meter.model import Access


class Refusal(Exception):
    """An object refuses a service; ``result`` is what the client is told (action-results have the same numbers)."""

    def __init__(self, result: DataAccessResult) -> None:
        super().__init__(result.name)
        self.result = result


class Level(enum.IntEnum):
    """How far a client is trusted; rights are given by level."""

    PUBLIC = 0
    READER = 1
    MANAGER = 2


Rights: TypeAlias = tuple[AccessRight, AccessRight, AccessRight]
"""What each level may do."""


def rights(public: str, reader: str, manager: str) -> Rights:
    """Rights from text: ``-``, ``r``, ``w`` or ``rw`` for each level; ``r`` on a method means call."""
    return _RIGHTS[public], _RIGHTS[reader], _RIGHTS[manager]


_RIGHTS = {
    "-": AccessRight.NONE,
    "r": AccessRight.READ,
    "w": AccessRight.WRITE,
    "rw": AccessRight.READ | AccessRight.WRITE,
}


def demanding(who: Rights, demands: AccessRight) -> Rights:
    """The same rights, but whoever has one must protect the request, and gets a response protected, as ``demands``."""
    verbs = AccessRight.READ | AccessRight.WRITE
    public, reader, manager = (right & verbs | demands if right else right for right in who)
    return public, reader, manager


READ_ALL = rights("r", "r", "r")
MANAGED = rights("r", "r", "rw")
FREE = rights("rw", "rw", "rw")
CALL_MANAGER = rights("-", "-", "r")
CALL_READER = rights("-", "r", "r")
CALL_ALL = rights("r", "r", "r")

Getter: TypeAlias = "Callable[[Access], Typed | Data]"
Setter: TypeAlias = "Callable[[Access, Data], None]"
Selector: TypeAlias = "Callable[[Access, SelectiveAccess], Data]"
Call: TypeAlias = "Callable[[Access, Data | None], Typed | None]"


@dataclass(slots=True)
class Attribute:
    """One attribute: how it is read, written and selected from, and by whom."""

    read: Getter
    rights: Rights = READ_ALL
    write: Setter | None = None
    select: Selector | None = None
    selectors: tuple[int, ...] = ()


@dataclass(slots=True)
class Method:
    """One method and who may call it."""

    call: Call
    rights: Rights = CALL_MANAGER


@dataclass(slots=True)
class MeterObject:
    """One object: attribute 1 is always its logical name."""

    class_id: int
    obis: ObisCode
    version: int = 0
    attributes: dict[int, Attribute] = field(default_factory=dict)
    methods: dict[int, Method] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = axdr.octet_string(bytes(self.obis))
        levels = [
            AccessRight.READ if any(item.rights[level] for item in self._items()) else AccessRight.NONE
            for level in Level
        ]
        self.attributes.setdefault(1, fixed(name, (levels[0], levels[1], levels[2])))

    def visible(self, level: Level) -> bool:
        """Whether clients of this level see the object at all."""
        return any(item.rights[level] for item in self._items())

    @property
    def declaration(self) -> ClassDeclaration:
        """The interface class of the object."""
        return interface_class(self.class_id, self.version)

    def _items(self) -> list[Attribute | Method]:
        return [*self.attributes.values(), *self.methods.values()]


def fixed(value: Typed, who: Rights = READ_ALL) -> Attribute:
    """An attribute that never changes."""
    data = Data.of(value)
    return Attribute(lambda access: data, who)


def stored(value: Typed, who: Rights = MANAGED, *, max_octets: int | None = None) -> Attribute:
    """An attribute that keeps what is written into it, as long as the type stays the same."""
    cell = [Data.of(value)]

    def write(access: Access, data: Data) -> None:
        expect_type_of(cell[0], data)
        if max_octets is not None and len(data.octets) > max_octets:
            raise Refusal(DataAccessResult.OTHER_REASON)
        cell[0] = data

    return Attribute(lambda access: cell[0], who, write)


def computed(read: Callable[[Access], Typed], who: Rights = READ_ALL) -> Attribute:
    """An attribute that is worked out when it is read, until somebody writes a value over it (calibration, tests)."""
    cell: list[Data | None] = [None]

    def current(access: Access) -> Typed | Data:
        return read(access) if cell[0] is None else cell[0]

    def write(access: Access, data: Data) -> None:
        expect_type_of(Data.of(read(access)), data)
        cell[0] = data

    return Attribute(current, who, write)


def expect_type_of(old: Data, new: Data) -> None:
    """Refuse a value whose type, or the types of whose structure, differ from what is there."""
    try:
        fits = _same_type(old.typed, new.typed)
    except DecodeError:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED) from None
    if not fits:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)


def expect_integer(parameters: Data | None, kind: DataType = DataType.INTEGER) -> int:
    """The number in the parameters of a method; anything else is refused as type-unmatched."""
    try:
        typed = None if parameters is None else parameters.typed
    except DecodeError:
        typed = None
    if typed is None or typed.type is not kind or not isinstance(typed.value, int):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return typed.value


def _same_type(old: Typed, new: Typed) -> bool:
    if old.type is not new.type:
        return False
    if old.type is DataType.STRUCTURE:
        before, after = old.elements, new.elements
        return len(before) == len(after) and all(map(_same_type, before, after))
    if old.type is DataType.ARRAY and old.elements:
        return all(_same_type(old.elements[0], element) for element in new.elements)
    return True
