"""What a client does with a meter, without I/O: read a register, the clock, the object list, a profile.

Both clients drive these generators the same way: send the yielded ``Get``, ``Set`` or ``Action``, send the result back
in, and throw in a ``ServiceError`` that came instead of a result. What the generator returns is the answer.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, tzinfo

from cosemic.codec import axdr
from cosemic.codec.axdr import Value
from cosemic.cosem.access import (
    ItemResult,
    MeterCache,
    Obis,
    Procedure,
    access,
    call_method,
    get,
    get_data,
    get_list,
    get_request,
    got,
    set_attribute,
)
from cosemic.cosem.object_list import ObjectEntry, decode_object_list
from cosemic.cosem.profile_reading import read_profile
from cosemic.cosem.push_objects import PUSH_SETUP, decode_push_objects
from cosemic.cosem.selection import Moment
from cosemic.cosem.short_names import NamedObject, ShortNameTable, decode_named_objects, decode_object_entries
from cosemic.cosem.values import CAPTURED_ATTRIBUTES, SCALER_ATTRIBUTE, Reading, ScalerUnit, reading
from cosemic.enums import DataAccessResult, InterfaceClass
from cosemic.errors import DataAccessError, DecodeError, ServiceError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

__all__ = [
    "ItemResult",
    "MeterCache",
    "ObjectEntry",
    "Procedure",
    "access",
    "call_method",
    "get",
    "get_data",
    "get_request",
    "got",
    "get_list",
    "moment",
    "read_clock",
    "read_objects",
    "read_objects_by_short_names",
    "read_profile",
    "read_push_definition",
    "read_register",
    "read_short_names",
    "set_attribute",
    "set_clock",
]

CLOCK = ObisCode(0, 0, 1, 0, 0, 255)
CURRENT_ASSOCIATION = ObisCode(0, 0, 40, 0, 0, 255)


def read_register(
    obis: Obis, *, class_id: int | None = None, with_list: bool = True, cache: MeterCache | None = None
) -> Procedure[Reading]:
    """Read a register, extended register or demand register with its unit, and where it has them status and time.

    ``class_id`` 3, 4 or 5; without it the object list of ``cache`` decides, else the three are tried in this order.
    A demand register gives its current average value. The scaler_unit is taken from ``cache`` when it is there.
    """
    code = ObisCode.parse(obis)
    known = None if cache is None else cache.registers.get(code)
    if known is not None and class_id in (None, known[0]):
        candidates: tuple[int, ...] = (known[0],)
    elif class_id is not None:
        if class_id not in _REGISTERS:
            raise ValueError(f"class {class_id} is no register; registers are classes 3, 4 and 5")
        candidates, known = (class_id,), None
    else:
        candidates, known = _register_classes(code, cache), None
    first_error: ServiceError | None = None
    for candidate in candidates:
        numbers = (
            _REGISTERS[candidate]
            if known is None
            else tuple(n for n in _REGISTERS[candidate] if n != SCALER_ATTRIBUTE[candidate])
        )
        results = yield from get_list([(candidate, code, n) for n in numbers], with_list=with_list, cache=cache)
        found = {result.attribute: result for result in results}
        error = found[2].error
        if error is None:
            return _reading(candidate, code, found, known, cache)
        first_error = first_error or error
        if not isinstance(error, DataAccessError) or error.result not in _WRONG_CLASS:
            break
    assert first_error is not None
    raise first_error


_REGISTERS: dict[int, tuple[int, ...]] = {3: (2, 3), 4: (2, 3, 4, 5), 5: (2, 4, 5, 6)}
_WRONG_CLASS = (
    DataAccessResult.OBJECT_CLASS_INCONSISTENT,
    DataAccessResult.OBJECT_UNDEFINED,
    DataAccessResult.OBJECT_UNAVAILABLE,
)


def _register_classes(code: ObisCode, cache: MeterCache | None) -> tuple[int, ...]:
    if cache is not None:
        listed = tuple(class_id for class_id in _REGISTERS if (class_id, code) in cache.objects)
        if listed:
            return listed
    return tuple(_REGISTERS)


def _reading(
    class_id: int,
    code: ObisCode,
    found: dict[int, ItemResult],
    known: tuple[int, ScalerUnit] | None,
    cache: MeterCache | None,
) -> Reading:
    if known is None:
        answer = found[SCALER_ATTRIBUTE[class_id]]
        if answer.error is not None:
            raise answer.error
        scaler_unit = ScalerUnit.from_value(answer.value)
        if cache is not None:
            cache.registers[code] = (class_id, scaler_unit)
    else:
        scaler_unit = known[1]
    status, time = (found.get(number) for number in CAPTURED_ATTRIBUTES.get(class_id, (0, 0)))
    return reading(
        found[2].value,
        scaler_unit,
        obis=code,
        status=None if status is None else status.value,
        time=None if time is None or time.value is None else moment(time.value),
    )


def read_clock(
    obis: Obis = CLOCK, *, zone: tzinfo | None = None, cache: MeterCache | None = None
) -> Procedure[datetime | CosemDateTime]:
    """The meter's time: an aware datetime, or the raw CosemDateTime where fields for one are missing.

    ``zone`` reads a clock whose deviation is not specified.
    """
    return moment((yield from get(InterfaceClass.CLOCK, obis, 2, cache=cache)), zone)


def read_push_definition(obis: Obis = PUSH_SETUP, *, cache: MeterCache | None = None) -> Procedure[list[Value]]:
    """What a push setup pushes: its push_object_list, as the decoder of pushes takes it for a definition.

    DecodeError where the meter gives none. ``push_objects.decode_push_objects`` has it as ``PushObject``s.
    """
    value = yield from get(InterfaceClass.PUSH_SETUP, obis, 2, cache=cache)
    decode_push_objects(value)
    assert isinstance(value, list)
    return value


def set_clock(time: Moment, obis: Obis = CLOCK, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Set the meter's time. Give an aware datetime in the meter's own zone, or a CosemDateTime."""
    octets = bytes(time if isinstance(time, CosemDateTime) else CosemDateTime.from_datetime(time))
    yield from set_attribute(InterfaceClass.CLOCK, obis, 2, axdr.octet_string(octets), cache=cache)


def moment(value: Value, zone: tzinfo | None = None) -> datetime | CosemDateTime:
    """A decoded date-time (octet-string of 12, or date-time) as an aware datetime if possible, else as it is."""
    if isinstance(value, bytes) and len(value) == 12:
        value = CosemDateTime.from_bytes(value)
    if not isinstance(value, CosemDateTime):
        raise DecodeError(f"a date-time was expected, not {value!r}")
    try:
        return value.to_datetime(zone)
    except ValueError:
        return value


def read_objects(
    association: Obis = CURRENT_ASSOCIATION, *, cache: MeterCache | None = None
) -> Procedure[list[ObjectEntry]]:
    """The objects that this association sees, with class, version, rights and name."""
    value = yield from get(InterfaceClass.ASSOCIATION_LN, association, 2)
    entries = decode_object_list(value)
    if cache is not None:
        cache.objects = {(entry.class_id, entry.obis): entry for entry in entries}
    return entries


def read_short_names(table: ShortNameTable) -> Procedure[list[NamedObject]]:
    """Read the object list of the Association SN object into a table; reading by short names needs it first."""
    objects = decode_named_objects((yield from get(InterfaceClass.ASSOCIATION_SN, CURRENT_ASSOCIATION, 2)))
    table.load(objects)
    return objects


def read_objects_by_short_names(*, cache: MeterCache) -> Procedure[list[ObjectEntry]]:
    """``read_objects`` in an association with short names.

    A meter without an access_rights_list counts as one that lets every declared attribute be read.
    """
    objects = yield from read_short_names(cache.short_names)
    rights: Value = None
    with contextlib.suppress(ServiceError):
        rights = yield from get(InterfaceClass.ASSOCIATION_SN, CURRENT_ASSOCIATION, 3)
    entries = decode_object_entries(objects, rights)
    cache.objects = {(entry.class_id, entry.obis): entry for entry in entries}
    return entries
