"""What a client asks of a meter, and what comes back: the services free of invoke ids, blocks and protection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cosemic.obis import ObisCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cosemic.apdu.services import (
        AccessSpecification,
        ActionOutcome,
        AttributeDescriptor,
        MethodDescriptor,
        SelectiveAccess,
    )
    from cosemic.codec.axdr import Data
    from cosemic.enums import ActionResult, DataAccessResult


@dataclass(frozen=True, slots=True)
class Get:
    """Read one attribute or several. ``items`` holds (attribute, selective access or None).

    With ``decode_later`` the value of a single attribute, if it is an array, is decoded when it is asked for.
    """

    items: tuple[tuple[AttributeDescriptor, SelectiveAccess | None], ...]
    decode_later: bool = False

    @classmethod
    def one(cls, class_id: int, instance: ObisCode | str, attribute: int, access: SelectiveAccess | None = None) -> Get:
        """The request for a single attribute."""
        from cosemic.apdu.services import AttributeDescriptor

        return cls(((AttributeDescriptor(class_id, ObisCode.parse(instance), attribute), access),))


@dataclass(frozen=True, slots=True)
class Set:
    """Write one attribute or several. ``items`` as in ``Get``, ``values`` one for each."""

    items: tuple[tuple[AttributeDescriptor, SelectiveAccess | None], ...]
    values: tuple[Data, ...]

    @classmethod
    def one(
        cls,
        class_id: int,
        instance: ObisCode | str,
        attribute: int,
        value: object,
        access: SelectiveAccess | None = None,
    ) -> Set:
        """The request for a single attribute; ``value`` is a ``Data``, a ``Typed`` or None for null-data."""
        from cosemic.apdu.services import AttributeDescriptor
        from cosemic.codec.axdr import Data

        attribute_descriptor = AttributeDescriptor(class_id, ObisCode.parse(instance), attribute)
        return cls(((attribute_descriptor, access),), (Data.of(value),))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Action:
    """Invoke one method or several. ``parameters`` holds one for each; None where a method takes none."""

    items: tuple[MethodDescriptor, ...]
    parameters: tuple[Data | None, ...]

    @classmethod
    def one(cls, class_id: int, instance: ObisCode | str, method: int, parameters: object | None = None) -> Action:
        """The request for a single method; ``parameters`` is a ``Data``, a ``Typed``, or None for no parameters."""
        from cosemic.apdu.services import MethodDescriptor
        from cosemic.codec.axdr import Data

        data = None if parameters is None else Data.of(parameters)  # type: ignore[arg-type]
        return cls((MethodDescriptor(class_id, ObisCode.parse(instance), method),), (data,))


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """Read, write and invoke in one request, carried out in this order.

    ``data`` holds one for each item: the value of a SET, the parameters of an ACTION, None for a GET and for no
    parameters. ``date_time`` is raw: empty, or the twelve octets of a date-time.
    """

    items: tuple[AccessSpecification, ...]
    data: tuple[Data | None, ...]
    self_descriptive: bool = False
    """The answer shall repeat the items."""
    break_on_error: bool = False
    """What follows an item that fails is not carried out."""
    date_time: bytes = b""

    def __repr__(self) -> str:
        return f"Access({len(self.items)} items: {', '.join(map(repr, self.items))})"

    @classmethod
    def of(
        cls,
        requests: Iterable[Get | Set | Action],
        *,
        self_descriptive: bool = False,
        break_on_error: bool = False,
        date_time: bytes = b"",
    ) -> Access:
        """All items of other requests in one."""
        from cosemic.apdu.services import AccessAction, AccessGet, AccessSet

        items: list[AccessSpecification] = []
        data: list[Data | None] = []
        for request in requests:
            if isinstance(request, Get):
                items += [AccessGet(attribute, selection) for attribute, selection in request.items]
                data += [None] * len(request.items)
            elif isinstance(request, Set):
                items += [AccessSet(attribute, selection) for attribute, selection in request.items]
                data += request.values
            else:
                items += [AccessAction(method) for method in request.items]
                data += request.parameters
        return cls(tuple(items), tuple(data), self_descriptive, break_on_error, date_time)


@dataclass(frozen=True, slots=True)
class GetResults:
    """One result for each item of a ``Get``, in its order: the value, or the data-access-result that refuses it."""

    results: tuple[Data | DataAccessResult | int, ...]


@dataclass(frozen=True, slots=True)
class SetResults:
    """One data-access-result for each item of a ``Set``, in its order; none of an unconfirmed one."""

    results: tuple[DataAccessResult | int, ...]


@dataclass(frozen=True, slots=True)
class ActionResults:
    """One outcome for each item of an ``Action``, in its order; none of an unconfirmed one."""

    results: tuple[ActionOutcome, ...]


@dataclass(frozen=True, slots=True)
class AccessResult:
    """What became of one item: 0, or the data-access-result or action-result that refuses it.

    ``data`` is what a GET has read, or what a method returned; None for nothing.
    """

    result: DataAccessResult | ActionResult | int
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class AccessResults:
    """One result for each item of an ``Access``, in its order; none of an unconfirmed one."""

    results: tuple[AccessResult, ...]
    date_time: bytes = b""
    """Raw: empty, or the twelve octets of the meter's date-time."""


Request: TypeAlias = Get | Set | Action | Access
Result: TypeAlias = GetResults | SetResults | ActionResults | AccessResults


def target(request: Request, index: int | None = None) -> str:
    """Say in words what a request (or its item ``index``) is about, for error messages."""
    from cosemic.apdu.services import AccessAction

    if index is None:
        if len(request.items) > 1:
            return f"{target(request, 0)} and {len(request.items) - 1} more"
        index = 0
    verb = type(request).__name__.upper()
    if index >= len(request.items):
        return verb
    if isinstance(request, Access):
        item = request.items[index]
        at = item.method if isinstance(item, AccessAction) else item.attribute
        return f"ACCESS {type(item).__name__.removeprefix('Access').upper()} {at}"
    if isinstance(request, Action):
        method = request.items[index]
        return f"{verb} class {method.class_id}, {method.instance}, method {method.method}"
    attribute = request.items[index][0]
    return f"{verb} class {attribute.class_id}, {attribute.instance}, attribute {attribute.attribute}"
