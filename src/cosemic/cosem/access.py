"""One attribute, several attributes, one method: the steps that every procedure is made of.

Generators without I/O: send the yielded ``Get``, ``Set`` or ``Action``, send the result back in, and throw in a
``ServiceError`` that came instead of a result. What the generator returns is the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from cosemic.apdu.services import AccessAction, AccessSpecification, AttributeDescriptor, SelectiveAccess
from cosemic.codec.axdr import Data, Typed, Value
from cosemic.cosem.catalog import attribute_target, method_target
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.short_names import ShortNameTable
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import ActionResult, DataAccessResult
from cosemic.errors import ActionError, DataAccessError, DecodeError, ServiceError, action_error, data_access_error
from cosemic.obis import ObisCode
from cosemic.protocol.requests import (
    Access,
    AccessResult,
    AccessResults,
    Action,
    ActionResults,
    Get,
    GetResults,
    Request,
    Result,
    Set,
    SetResults,
)
from cosemic.times import CosemDateTime

_T = TypeVar("_T")

Procedure: TypeAlias = Generator[Request, Result, _T]
Obis: TypeAlias = ObisCode | str
GetItem: TypeAlias = "tuple[int, Obis, int] | tuple[int, Obis, int, SelectiveAccess | None]"
"""(class id, OBIS code, attribute), and a selective access where wanted."""


@dataclass(slots=True)
class MeterCache:
    """What does not change from one reading to the next; share one for all meters of the same type if you like."""

    registers: dict[ObisCode, tuple[int, ScalerUnit]] = field(default_factory=dict)
    """Class id and scaler_unit of each register that was read."""
    scalers: dict[tuple[int, ObisCode], ScalerUnit | None] = field(default_factory=dict)
    """Scaler_unit of captured registers; None where the meter gives none."""
    objects: dict[tuple[int, ObisCode], ObjectEntry] = field(default_factory=dict)
    """The object list, once it was read; errors then name the access right."""
    captures: dict[ObisCode, tuple[CaptureObject, ...]] = field(default_factory=dict)
    """Capture objects of profiles; nothing is taken from here unless the caller put it here."""
    short_names: ShortNameTable = field(default_factory=ShortNameTable)
    """With short names: the object list, read before the first request that needs it."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One answer of a list: ``value`` (and ``data``, its octets), or the ``error`` that the meter gave instead.

    ``attribute`` is the number of the method where one was invoked.
    """

    class_id: int
    obis: ObisCode
    attribute: int
    value: Value = None
    data: Data | None = field(default=None, repr=False)
    error: ServiceError | None = None


def get_data(
    class_id: int,
    obis: Obis,
    attribute: int,
    access: SelectiveAccess | None = None,
    *,
    decode_later: bool = False,
    cache: MeterCache | None = None,
) -> Procedure[Data]:
    """Read one attribute with its type; DataAccessError when the meter refuses.

    With ``decode_later`` an array is decoded, and so checked, when its value is asked for.
    """
    request = get_request(class_id, obis, attribute, access, decode_later=decode_later)
    return got(request, (yield request), cache)


def get_request(
    class_id: int,
    obis: Obis,
    attribute: int,
    access: SelectiveAccess | None = None,
    *,
    decode_later: bool = False,
) -> Get:
    """The request of ``get_data``; with ``got`` it is the whole procedure, for those who need it fast."""
    return Get(((AttributeDescriptor(class_id, ObisCode.parse(obis), attribute), access),), decode_later)


def got(request: Get, answer: Result, cache: MeterCache | None = None) -> Data:
    """What the meter answered to a ``get_request``; DataAccessError when it refuses."""
    if type(answer) is GetResults and len(answer.results) == 1:
        data = answer.results[0]
        if type(data) is Data:
            return data
    (data,) = _get_results(answer, 1)
    at = request.items[0][0]
    return _data(data, at.class_id, at.instance, at.attribute, cache)


def get(
    class_id: int,
    obis: Obis,
    attribute: int,
    access: SelectiveAccess | None = None,
    *,
    cache: MeterCache | None = None,
) -> Procedure[Value]:
    """Read one attribute as plain Python; DataAccessError when the meter refuses."""
    data = yield from get_data(class_id, obis, attribute, access, cache=cache)
    return data.value


def get_list(
    items: Iterable[GetItem], *, with_list: bool = True, cache: MeterCache | None = None
) -> Procedure[list[ItemResult]]:
    """Read several attributes: one result each, in order; what the meter refuses carries its error.

    ``with_list`` False reads one by one, for a meter without multiple references; a meter that answers a list with an
    error as a whole is read one by one as well.
    """
    described = [_described(item) for item in items]
    if not described:
        return []
    if with_list and len(described) > 1:
        try:
            answers = _get_results((yield Get(tuple(described))), len(described))
        except ServiceError:
            pass
        else:
            return [_item(pair[0], answer, cache) for pair, answer in zip(described, answers, strict=True)]
    results = []
    for pair in described:
        try:
            answer = _get_results((yield Get((pair,))), 1)[0]
        except ServiceError as error:
            at = pair[0]
            results.append(ItemResult(at.class_id, at.instance, at.attribute, error=error))
        else:
            results.append(_item(pair[0], answer, cache))
    return results


def access(
    requests: Iterable[Get | Set | Action],
    *,
    break_on_error: bool = False,
    self_descriptive: bool = False,
    date_time: CosemDateTime | None = None,
    cache: MeterCache | None = None,
) -> Procedure[list[ItemResult]]:
    """Read, write and invoke in one ACCESS, in this order: one result each; what the meter refuses carries its error.

    ``attribute`` of the result of an ACTION is its method. With ``break_on_error`` what follows a failure is not
    carried out and has the error other-reason. An unconfirmed ACCESS is never answered: no results then.
    """
    octets = b"" if date_time is None else bytes(date_time)
    request = Access.of(requests, self_descriptive=self_descriptive, break_on_error=break_on_error, date_time=octets)
    if not request.items:
        return []
    answer = yield request
    if isinstance(answer, AccessResults) and not answer.results:
        return []
    if not isinstance(answer, AccessResults) or len(answer.results) != len(request.items):
        raise DecodeError(f"the meter answered an ACCESS of {len(request.items)} items with {answer!r:.200}")
    return [_access_item(item, result, cache) for item, result in zip(request.items, answer.results, strict=True)]


def set_attribute(
    class_id: int,
    obis: Obis,
    attribute: int,
    value: Typed | Data | None,
    access: SelectiveAccess | None = None,
    *,
    check: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[DataAccessResult | int]:
    """Write one attribute. DataAccessError when the meter refuses; with ``check`` False its code is returned.

    An unconfirmed SET is never answered: success then means that it was sent.
    """
    code = ObisCode.parse(obis)
    answer = yield Set(((AttributeDescriptor(class_id, code, attribute), access),), (Data.of(value),))
    if isinstance(answer, SetResults) and not answer.results:
        return DataAccessResult.SUCCESS
    if not isinstance(answer, SetResults) or len(answer.results) != 1:
        raise DecodeError(f"the meter answered a SET of one attribute with {answer!r}")
    result = answer.results[0]
    if check and result != DataAccessResult.SUCCESS:
        raise _access_error(result, class_id, code, attribute, cache)
    return result


def call_method(
    class_id: int,
    obis: Obis,
    method: int,
    parameters: Typed | Data | None = None,
    *,
    cache: MeterCache | None = None,
) -> Procedure[Value]:
    """Invoke a method and return its return parameters, None without any; ActionError when the meter refuses.

    An unconfirmed ACTION is never answered: None then means that it was sent.
    """
    code = ObisCode.parse(obis)
    answer = yield Action.one(class_id, code, method, parameters)
    if isinstance(answer, ActionResults) and not answer.results:
        return None
    if not isinstance(answer, ActionResults) or len(answer.results) != 1:
        raise DecodeError(f"the meter answered an ACTION of one method with {answer!r}")
    outcome = answer.results[0]
    target = method_target(class_id, code, method)
    if outcome.result != ActionResult.SUCCESS:
        raise _method_error(outcome.result, class_id, code, method, cache)
    returned = outcome.return_parameters
    if returned is None or isinstance(returned, Data):
        return None if returned is None else returned.value
    raise data_access_error(returned, target=target, hint="the method was invoked, but what it returns is withheld")


def _described(item: GetItem) -> tuple[AttributeDescriptor, SelectiveAccess | None]:
    code = ObisCode.parse(item[1])
    return AttributeDescriptor(item[0], code, item[2]), item[3] if len(item) == 4 else None


def _item(at: AttributeDescriptor, answer: Data | DataAccessResult | int, cache: MeterCache | None) -> ItemResult:
    if isinstance(answer, Data):
        return ItemResult(at.class_id, at.instance, at.attribute, value=answer.value, data=answer)
    error = _access_error(answer, at.class_id, at.instance, at.attribute, cache)
    return ItemResult(at.class_id, at.instance, at.attribute, error=error)


def _access_item(item: AccessSpecification, result: AccessResult, cache: MeterCache | None) -> ItemResult:
    error: ServiceError | None = None
    if isinstance(item, AccessAction):
        method = item.method
        class_id, code, number = method.class_id, method.instance, method.method
        if result.result != ActionResult.SUCCESS:
            error = _method_error(result.result, class_id, code, number, cache)
    else:
        at = item.attribute
        class_id, code, number = at.class_id, at.instance, at.attribute
        if result.result != DataAccessResult.SUCCESS:
            error = _access_error(result.result, class_id, code, number, cache)
    data = result.data
    return ItemResult(class_id, code, number, value=None if data is None else data.value, data=data, error=error)


def _get_results(answer: Result, count: int) -> Sequence[Data | DataAccessResult | int]:
    if not isinstance(answer, GetResults) or len(answer.results) != count:
        raise DecodeError(f"the meter answered a GET of {count} attributes with {answer!r:.200}")
    return answer.results


def _data(
    answer: Data | DataAccessResult | int, class_id: int, code: ObisCode, attribute: int, cache: MeterCache | None
) -> Data:
    if isinstance(answer, Data):
        return answer
    raise _access_error(answer, class_id, code, attribute, cache)


def _method_error(
    result: ActionResult | int, class_id: int, code: ObisCode, method: int, cache: MeterCache | None
) -> ActionError:
    hint = None
    entry = None if cache is None else cache.objects.get((class_id, code))
    if entry is not None:
        hint = f"the object list grants {'the call' if entry.may_call(method) else 'no access'}"
    elif cache is not None and cache.short_names.lacks(class_id, code):
        hint = "the object is not in the object list of this association"
    return action_error(result, target=method_target(class_id, code, method), hint=hint)


def _access_error(
    result: DataAccessResult | int, class_id: int, code: ObisCode, attribute: int, cache: MeterCache | None
) -> DataAccessError:
    hint = None
    if cache is not None and cache.objects:
        entry = cache.objects.get((class_id, code))
        if entry is None:
            hint = "the object is not in the object list of this association"
        else:
            hint = f"the object list grants {entry.attribute_rights(attribute)}"
    elif cache is not None and cache.short_names.lacks(class_id, code):
        hint = "the object is not in the object list of this association"
    return data_access_error(result, target=attribute_target(class_id, code, attribute), hint=hint)
