"""The fuzz target for profiles as columns: whatever the buffer, columns and rows say the same, errors included."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cosemic.codec import axdr
from cosemic.codec.deltas import resolve_deltas
from cosemic.cosem import profile as module
from cosemic.cosem.profile import Profile, decode_profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from fuzz.violation import require

_ENERGY = [CaptureObject(3, ObisCode(1, 0, 1, 8, rate, 255), 2) for rate in range(8)]
_SCALERS = [None, *(ScalerUnit(scaler, 30) for scaler in (-1, 0, 2, -3, 15, -31)), None]
_INSTALLED = all(importlib.util.find_spec(name) for name in ("numpy", "pyarrow"))


def profile_columns(data: bytes) -> None:
    """A buffer, or one row of it many times, as columns and as rows."""
    if len(data) < 2 or not _INSTALLED:
        return
    kind, times, octets = data[0], data[1], data[2:]
    width = 1 + (kind & 7)
    if times:
        count = 10 * times if len(octets) < 200 else 4
        octets = b"\x01" + axdr.encode_length(count) + octets * count
    columns = make_columns([CLOCK_TIME, *_ENERGY[1:]][:width], _SCALERS[:width])
    period, newest_first, repeat_nulls = (900 if kind & 8 else 0), bool(kind & 16), bool(kind & 32)
    zone = ZoneInfo("Europe/Berlin") if kind & 64 else None

    def by_rows() -> Profile:
        value = resolve_deltas(octets, axdr.decode(octets), width)
        return make_profile(
            columns, value, capture_period=period, newest_first=newest_first, repeat_nulls=repeat_nulls, zone=zone
        )

    def by_columns() -> Profile:
        worth, module._WORTH_COLUMNS = module._WORTH_COLUMNS, 0
        try:
            return decode_profile(
                columns, octets, capture_period=period, newest_first=newest_first, repeat_nulls=repeat_nulls, zone=zone
            )
        finally:
            module._WORTH_COLUMNS = worth

    rows, cols = _outcome(by_rows), _outcome(by_columns)
    if isinstance(rows, str) or isinstance(cols, str):
        require(rows == cols, "rows and columns differ about validity", rows, cols)
        return
    for scaled in (True, False):
        expected, table = rows.to_arrow(scaled=scaled), cols.to_arrow(scaled=scaled)
        require(table.schema.equals(expected.schema, check_metadata=True), "other types", expected.schema, table.schema)
        require(repr(table.to_pylist()) == repr(expected.to_pylist()), "other values")
    require(cols.gaps() == rows.gaps() and cols.marks() == rows.marks(), "other gaps or marks")
    require(cols.clock_statuses() == rows.clock_statuses(), "other clock statuses")


def _outcome(make: Callable[[], Profile]) -> Profile | str:
    try:
        return make()
    except DecodeError as error:
        return str(error)


TARGETS = {"profile-columns": profile_columns}


def seeds(target: str) -> list[bytes]:
    """Buffers of a few shapes, and rows to be repeated."""
    begin = datetime(2025, 10, 26, tzinfo=UTC)

    def row(number: int, *cells: axdr.Typed) -> bytes:
        time = CosemDateTime.from_datetime(
            (begin + number * timedelta(minutes=15)).astimezone(ZoneInfo("Europe/Berlin"))
        )
        stamp = axdr.null_data() if number % 3 else axdr.octet_string(bytes(time))
        return axdr.encode(axdr.structure(stamp, *cells))

    plain = [row(i, axdr.unsigned(i), axdr.double_long_unsigned(1000 * i), axdr.long(-i)) for i in range(9)]
    mixed = [
        row(0, axdr.unsigned(1), axdr.long64_unsigned(2**64 - 1), axdr.visible_string("ab")),
        row(1, axdr.delta_integer(-1), axdr.null_data(), axdr.utf8_string("Ž")),
        row(2, axdr.delta_unsigned(5), axdr.float32(0.5), axdr.octet_string(bytes(130))),
        row(3, axdr.boolean(True), axdr.structure(axdr.unsigned(1), axdr.enum(2)), axdr.bit_string("01")),
    ]
    arrays = [b"\x01" + bytes((len(rows),)) + b"".join(rows) for rows in (plain, mixed, plain[:2] + mixed)]
    found = [bytes((kind, 0)) + octets for kind in (3, 11, 27, 43, 75) for octets in arrays]
    return found + [bytes((kind, 30)) + octets for kind in (3, 107) for octets in (*plain[:2], *mixed)]
