"""Labels: which node of a body is which attribute of which object, and how its value is to be read."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cosemic.codec.scalars import FORMATS
from cosemic.cosem.values import SCALED_ATTRIBUTES, ScalerUnit
from cosemic.enums import InterfaceClass
from cosemic.obis import ObisCode
from cosemic.push.meaning.nodes import Node
from cosemic.push.messages import Label

if TYPE_CHECKING:
    from cosemic.push.meaning.captured import Captured


class Kind(enum.Enum):
    """How a value is read."""

    PLAIN = "plain"
    """As it came; a number with its scaler where that is known."""
    TEXT = "text"
    """An octet-string that is text where it is printable."""
    TIME = "time"
    """An octet-string of twelve octets that is a date-time."""
    NAME = "name"
    """An octet-string of six octets that is an OBIS code."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One value with what is known of it. ``time`` is the node of a time of capture."""

    node: Node
    label: Label
    obis: ObisCode | None = None
    class_id: int | None = None
    attribute: int | None = None
    data_index: int = 0
    scaler_unit: ScalerUnit | None = None
    kind: Kind | None = None
    name: str | None = None
    time: Node | None = None
    captured: Captured | None = None
    """What the columns are, where the value is a buffer of captured values."""


@dataclass(slots=True)
class Labels:
    """What was found in one body. ``pinned`` are the nodes that the finding rests on: names, scalers, lists."""

    items: list[Labelled] = field(default_factory=list)
    rest: list[Node] = field(default_factory=list)
    pinned: list[Node] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    codes: frozenset[ObisCode] = frozenset()
    """Codes that the push names besides those of the items."""


def kind_of(item: Labelled) -> Kind:
    """How the value of an object is read where nothing else says so."""
    if item.kind is not None:
        return item.kind
    if item.attribute == 1:
        return Kind.NAME
    obis = item.obis
    if obis is None:
        return Kind.PLAIN
    a, _, c, d, e, _ = obis.octets
    if a == 0 and c == 1 and d == 0 and e == 0 and item.attribute in (None, 2):
        return Kind.TIME
    if item.class_id not in (None, InterfaceClass.DATA, InterfaceClass.REGISTER):
        return Kind.PLAIN
    if (a == 0 and (c == _DEVICE_NAME or (c == _OPERATION and d in _TEXTS))) or (c == 0 and d in _ELECTRICITY_TEXTS):
        return Kind.TEXT
    return Kind.PLAIN


_DEVICE_NAME: Final = 42
_OPERATION: Final = 96
_TEXTS: Final = frozenset((1, 13, 14))
"""Identifiers, messages to the consumer, the tariff: D of 0-n:96.D."""
_ELECTRICITY_TEXTS: Final = frozenset((0, 2))
"""Identifiers and versions: D of 1-n:0.D."""
_MBUS: Final = 24


def device_of(obis: ObisCode) -> int:
    """The channel of the device behind the meter that a code belongs to; 0 for the meter itself."""
    a, b, c, d, _, _ = obis.octets
    if a > 1:
        return b
    if a == 0 and (c == _MBUS or (c == _OPERATION and d == 1)):
        return b
    return 0


def identity_rank(obis: ObisCode) -> int | None:
    """How well a code tells which meter it is, 0 being the best; None for codes that do not."""
    a, b, c, d, e, _ = obis.octets
    if a == 0 and b == 0 and c == _OPERATION and d == 1 and e < _IDENTITIES:
        return e if e < 2 else _IDENTITIES + e
    if a == 1 and c == 0 and d == 0:
        return 2 + e
    if a == 0 and b == 0 and c == _DEVICE_NAME:
        return 2 * _IDENTITIES
    return None


_IDENTITIES: Final = 10


def lacks_scaler(item: Labelled) -> bool:
    """Whether the item should have a scaler and a unit, as a measured value has."""
    if item.scaler_unit is not None or item.obis is None or item.node.tag not in FORMATS:
        return False
    if item.class_id is not None:
        return item.attribute in SCALED_ATTRIBUTES.get(item.class_id, ())
    a, _, c, d, _, _ = item.obis.octets
    return a != 0 and not (c == 0 and d in _ELECTRICITY_TEXTS)
