"""Layouts: what a family of meters pushes, where the push itself does not say it. One TOML file a family.

A layout names values by their place, gives scalers and units that are not sent, and says how the line is set and which
keys are needed. ``cosemic.push.meaning.layouts`` has those that come with cosemic and reads files of yours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from cosemic.codec.axdr import DataType
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.obis_names.patterns import Pattern
from cosemic.push.meaning.labelling import Kind, Labelled, Labels, lacks_scaler
from cosemic.push.meaning.nodes import OCTET_STRING, VISIBLE_STRING, Body, Node
from cosemic.push.messages import Label
from cosemic.push.telegrams import Framing


class LayoutError(LocalProtocolError, ValueError):
    """A layout that is not there or a file that is none; the text names file, place and remedy."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at one place of a push. ``obis`` is None for a value that nobody knows the meaning of."""

    obis: ObisCode | None = None
    class_id: int | None = None
    attribute: int | None = None
    scaler_unit: ScalerUnit | None = None
    kind: Kind | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """How a push is recognised; every condition that is given must hold.

    ``elements`` are the numbers of elements that the body may have, ``types`` those of its first elements, ``text`` how
    the first text of the push begins, ``codes`` the OBIS codes that are named in it, ``sender`` how the system title of
    the sender begins where it is known, ``tagged_time`` whether the date-time has a type tag, ``bare_descriptors``
    whether its attribute descriptors have none.
    """

    elements: frozenset[int] = frozenset()
    types: tuple[int, ...] = ()
    text: str = ""
    codes: frozenset[ObisCode] = frozenset()
    sender: str = ""
    tagged_time: bool | None = None
    bare_descriptors: bool | None = None


@dataclass(frozen=True, slots=True)
class PushList:
    """One of the messages that meters of a family push: how it is recognised and what its places are.

    ``values`` are all elements of the body in their order, ``at`` some of them by number (-1 is the last). What the
    push names itself is not named again.
    """

    name: str
    when: When
    values: tuple[Place, ...] = ()
    at: tuple[tuple[int, Place], ...] = ()

    def places(self, count: int) -> list[tuple[int, Place]]:
        """Places by number in a body of ``count`` elements; none where the list is of another length."""
        places = [(number + count if number < 0 else number, place) for number, place in self.at]
        if len(self.values) == count:
            places += enumerate(self.values)
        return [(number, place) for number, place in places if 0 <= number < count and place.obis is not None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a layout was made from: a published capture (tested with it) or a document (not tested)."""

    text: str
    is_capture: bool


@dataclass(frozen=True, slots=True)
class Default:
    """Scaler, unit, kind and name of the objects that fit a pattern."""

    pattern: Pattern = field(repr=False)
    scaler_unit: ScalerUnit | None
    kind: Kind | None
    name: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One family of meters. ``line`` is like ``2400 8E1``; ``keys`` are those that a grid operator has to give.

    ``ignores_deviation`` says that what the times of these meters tell of their distance to UTC is not true. A layout
    without ``lists`` is used only where it is named.
    """

    name: str
    title: str
    country: str = ""
    meters: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    line: str = ""
    framing: Framing | None = None
    is_encrypted: bool | None = None
    keys: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    ignores_deviation: bool = False
    lists: tuple[PushList, ...] = ()
    defaults: tuple[Default, ...] = ()

    @property
    def is_tested(self) -> bool:
        """Whether it was tested with a published capture."""
        return any(evidence.is_capture for evidence in self.evidence)

    def list_for(self, body: Body, signs: Signs) -> PushList | None:
        """The list that a push is; None where it is none of this layout."""
        return next((known for known in self.lists if _holds(known.when, body, signs)), None)

    def default_for(self, obis: ObisCode) -> Default | None:
        """What the layout knows of an object that has no scaler of its own."""
        return next((known for known in self.defaults if known.pattern.fits(obis.octets)), None)

    def label(self, body: Body, labels: Labels, found: PushList | None) -> Labels:
        """The labels with what the layout adds: names by place, scalers, units, kinds."""
        items = list(labels.items)
        rest = {node.start: node for node in labels.rest}
        elements = body.elements
        for number, place in () if found is None else found.places(body.announced):
            if number >= len(elements):
                continue  # behind the damage
            node = elements[number]
            if rest.pop(node.start, None) is node:
                items.append(_placed(node, place))
        items.sort(key=lambda item: item.node.start)
        return replace(labels, items=[self._complete(item) for item in items], rest=list(rest.values()))

    def _complete(self, item: Labelled) -> Labelled:
        default = None if item.obis is None else self.default_for(item.obis)
        if default is None:
            return item
        scaler_unit = item.scaler_unit
        if scaler_unit is None and lacks_scaler(item):
            scaler_unit = default.scaler_unit
        return replace(item, scaler_unit=scaler_unit, kind=item.kind or default.kind, name=item.name or default.name)


@dataclass(frozen=True, slots=True)
class Signs:
    """What tells a push besides its elements."""

    codes: frozenset[ObisCode]
    text: str
    text_node: Node | None
    sender: str | None
    is_time_tagged: bool

    @classmethod
    def of(cls, body: Body, labels: Labels, sender: str | None, is_time_tagged: bool) -> Signs:
        """The signs of a push. ``sender`` is the begin of its system title, None where that is not known."""
        codes = frozenset(item.obis for item in labels.items if item.obis is not None) | labels.codes
        node = _first_text(body, body.root)
        text = "" if node is None else body.string(node).decode("latin-1")
        return cls(codes, text, node, sender, is_time_tagged)


def recognise(known: Iterable[Layout], body: Body, signs: Signs) -> tuple[Layout | None, PushList | None]:
    """The first layout that a push fits, with the list of it; (None, None) where there is none."""
    for layout in known:
        found = layout.list_for(body, signs)
        if found is not None:
            return layout, found
    return None, None


def _holds(when: When, body: Body, signs: Signs) -> bool:
    elements = body.elements
    return not (
        (when.elements and body.announced not in when.elements)
        or (when.types and when.types != tuple(node.tag for node in elements[: len(when.types)]))
        or (when.text and not signs.text.startswith(when.text))
        or not when.codes <= signs.codes
        or (when.sender and signs.sender is not None and not signs.sender.startswith(when.sender))
        or (when.tagged_time is not None and when.tagged_time != signs.is_time_tagged)
        or (when.bare_descriptors is not None and when.bare_descriptors != body.has_bare_descriptors)
    )


def _placed(node: Node, place: Place) -> Labelled:
    return Labelled(
        node,
        Label.LAYOUT,
        place.obis,
        place.class_id,
        place.attribute,
        scaler_unit=place.scaler_unit if node.tag in _NUMBERS else None,
        kind=place.kind,
        name=place.name,
    )


_NUMBERS: Final = frozenset(int(kind) for kind in DataType) - frozenset(
    (OCTET_STRING, VISIBLE_STRING, int(DataType.NULL_DATA), int(DataType.ARRAY), int(DataType.STRUCTURE))
)
_LOOKED_AT: Final = 8
_NO_TEXTS: Final = frozenset((0, 1, 4, 5, 6, 12))
"""Sizes of octet-strings that are rather names of objects, dates and times."""


def _first_text(body: Body, node: Node) -> Node | None:
    """The first string that may be a text, in the first elements of a push: found by types and sizes alone, so that
    all pushes of one shape have it at the same place."""
    if node.children is not None:
        for child in node.children[:_LOOKED_AT]:
            found = _first_text(body, child)
            if found is not None:
                return found
        return None
    is_text = node.tag == VISIBLE_STRING or (node.tag == OCTET_STRING and node.end - node.content not in _NO_TEXTS)
    return node if is_text else None
