"""What a P1 text says, read line by line: the plain way, which any text goes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from cosemic.obis import ObisCode
from cosemic.push.messages import Label, PushReading
from cosemic.push.p1.dialects import find_dialect
from cosemic.push.p1.values import LineReader

METER_ID: Final = tuple(
    ObisCode.parse(code).octets
    for code in ("0-0:96.1.1", "0-0:42.0.0", "0-0:96.1.0", "1-0:96.1.0", "0-0:0.0.0", "1-0:0.0.0")
)
"""The codes that say what meter it is, the best first."""


class Contents(NamedTuple):
    """The parts of a push that come of the text; they are named as in ``Push``."""

    readings: tuple[PushReading, ...]
    time: datetime | None
    meter_id: str | None
    layout: str
    notes: tuple[str, ...]


def read_contents(identification: str, body: str, zone: tzinfo) -> Contents:
    """What the text says. ``identification`` is its first line without the ``/``, ``body`` the others."""
    reader = LineReader(zone)
    readings = reader.read(body)
    found = {reading.obis.octets: reading for reading in readings if reading.obis is not None}
    return Contents(
        (identification_of(identification), *readings),
        time_of(found.get(ObisCode.CLOCK.octets)),
        meter_id_of(map(found.get, METER_ID)),
        find_dialect(identification, found),
        tuple(reader.notes),
    )


def identification_of(text: str) -> PushReading:
    """The first reading: the first line."""
    return PushReading("Identification", text, raw=text, label=Label.TEXT)


def time_of(clock: PushReading | None) -> datetime | None:
    """The time of the text, from the reading of its clock."""
    return clock.value if clock is not None and isinstance(clock.value, datetime) else None


def meter_id_of(readings: Iterable[PushReading | None]) -> str | None:
    """What the message says of its meter, from the readings of the codes ``METER_ID``, in their order."""
    for reading in readings:
        if reading is not None and isinstance(reading.value, str) and reading.value:
            return reading.value
    return None
