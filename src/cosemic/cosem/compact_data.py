"""Reading Compact data (class 62): captured values without tags, made whole by the object's template.

Buffer and template are read in one request where the meter takes lists, so that they belong together.
"""

from __future__ import annotations

from cosemic.codec.compact_data import decode_compact_buffer
from cosemic.cosem.access import ItemResult, MeterCache, Obis, Procedure, get_list
from cosemic.cosem.profile import Profile, make_columns, make_profile
from cosemic.cosem.profile_reading import read_scalers
from cosemic.cosem.selection import CaptureObject
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode

_CLASS = int(InterfaceClass.COMPACT_DATA)


def read_compact_data(
    obis: Obis, *, scale: bool = True, with_list: bool = True, cache: MeterCache | None = None
) -> Procedure[Profile]:
    """The captured values as a profile of one row, or of none where nothing was captured yet.

    Columns, units and exact values are as those of ``read_profile``. DataAccessError when the meter refuses buffer,
    capture objects or template; DecodeError where they do not fit together.
    """
    code = ObisCode.parse(obis)
    results = yield from get_list([(_CLASS, code, n) for n in (2, 3, 5)], with_list=with_list, cache=cache)
    buffer, captured, template = (_value(code, result) for result in results)
    if not isinstance(captured, list):
        raise DecodeError(f"{code}: capture_objects is an array, not {captured!r}")
    captures = [_capture(element) for element in captured]
    if not isinstance(buffer, bytes) or not isinstance(template, bytes):
        raise DecodeError(f"{code}: buffer and template of compact data are octet-strings")
    scalers = (
        (yield from read_scalers(captures, range(len(captures)), with_list, cache)) if scale else [None] * len(captures)
    )
    columns = make_columns(captures, scalers)
    values = decode_compact_buffer(template, buffer)
    if values and len(values) != len(captures):
        raise DecodeError(f"{code}: the template has {len(values)} values, the object captures {len(captures)}")
    return make_profile(columns, [values] if values else [])


def _value(code: ObisCode, result: ItemResult) -> object:
    if result.error is not None:
        raise result.error
    return result.value


def _capture(element: object) -> CaptureObject:
    """The first four elements are those of a profile; what restricts the capture follows in later versions."""
    return CaptureObject.from_value(element[:4] if isinstance(element, tuple) else element)
