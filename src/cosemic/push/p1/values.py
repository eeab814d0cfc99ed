"""The readings of the lines of a P1 text: everything that meters write into the brackets behind a code."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final

from cosemic.codec.typed import Value
from cosemic.push.messages import Label, PushReading, make_reading
from cosemic.push.p1.codes import KNOWN, MEDIA, UNITS, Code, Form, find_code
from cosemic.push.p1.times import TIME, read_time

# One line: the code; perhaps a time in brackets; then one number with its unit, or one text (with its bracket, so that
# an empty one is something), in brackets; or whatever else there is.
LINE: Final = re.compile(
    r"([^(\n]*)(?:\((?:([0-9]{12}[SWsw]?)\)\()?"
    r"(?:([-+]?[0-9]+(?:\.[0-9]+)?)(?:\*([^()\n]*))?\)|([^()\n]*\)))\n|([^\n]*)\n)"
)
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_COUNT: Final = re.compile(r"[0-9]{1,5}")
_CODE: Final = re.compile(r"[0-9]{1,3}-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:[.*][0-9]{1,3})?")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_LONGEST_KEPT: Final = 2048
_MAX_READINGS: Final = 4096
_BUFFER: Final = 7  # the class of a profile; attribute 2 is its buffer
_LAYING_OUT: Final = dict.fromkeys(map(ord, "\r\n\t"))
_TEXT: Final = Label.TEXT
_NO_DATES: Final = " has a time that is no date"


class LineReader:
    """Makes readings of the lines of one text. ``notes`` tells what was odd, ``media`` what the devices measure."""

    __slots__ = ("media", "notes", "readings", "zone")

    def __init__(self, zone: tzinfo, media: dict[int, str] | None = None) -> None:
        self.zone = zone
        self.media: dict[int, str] = {} if media is None else media
        self.notes: list[str] = []
        self.readings: list[PushReading] = []

    def read(self, body: str) -> list[PushReading]:
        """The readings of all lines (line feeds end them). What is not understood is a reading, its text the value."""
        body = body.replace("\n(", "(") + "\n"  # DSMR 2 and 3 put the value of a profile on a line of its own
        readings = self.readings
        add, known = readings.append, KNOWN
        for head, time, number, unit, group, rest in LINE.findall(body):
            code = known.get(head) or find_code(head)
            obis, device = code.obis, code.device
            if number and (unit or code.is_number):
                # By far the most lines; positions, since keywords cost a fifth more here.
                raw = f"{number}*{unit}" if unit else number
                symbol = (UNITS.get(unit) or _symbol(unit)) if unit else ""
                exact = Decimal(number)
                if time:
                    raws, moment, name = (time, raw), self._time(code, time), self._name(code)
                    add(make_reading(name, exact, symbol, obis, None, None, raws, None, 255, moment, device, _TEXT))
                else:
                    add(make_reading(code.name, exact, symbol, obis, None, None, raw, None, 255, None, device, _TEXT))
                    if code.is_device_type:
                        self._device(code, number)
            elif (number or group) and not time:
                raw = number or group[:-1]
                value, symbol = self._value(code, raw)
                add(make_reading(code.name, value, symbol, obis, None, None, raw, None, 255, None, device, _TEXT))
            elif head or rest or group:
                self._line(code, head, f"({time})({number or group[:-1]})" if time else rest)
            if len(readings) > _MAX_READINGS:
                self.notes.append(f"more than {_MAX_READINGS} values: the rest is left out")
                break
        return readings

    def _line(self, code: Code, head: str, rest: str) -> None:
        rest = rest.rstrip()
        if not (rest.startswith("(") and rest.endswith(")")):
            self._add(code, rest if rest else head, raw=rest)
            return
        groups = rest[1:-1].split(")(")
        if len(groups) == 1:
            self._add_value(code, groups[0])
        elif code.form is Form.PROFILE and self._profile(code, groups):
            return
        elif _COUNT.fullmatch(groups[0]) and _CODE.fullmatch(groups[1]):
            if len(rest) <= _LONGEST_KEPT:
                readings, notes = _log(head, rest, self.zone)
                self.readings += readings
                self.notes += notes
            else:
                self._buffer(code, groups)
        else:
            self._several(code, groups)

    def _several(self, code: Code, groups: list[str]) -> None:
        """``(time)(value)``, ``(time)(value)(value)…`` and ``(value)(value)…``."""
        time = None
        raw_time = groups[0]
        if TIME.fullmatch(raw_time):
            time = self._time(code, raw_time)
            groups = groups[1:]
        name = self._name(code)
        for number, group in enumerate(groups, 1):
            value, unit = self._value(code, group)
            raw = (raw_time, group) if groups[0] is not raw_time else group
            several = f"{name}, value {number}" if len(groups) > 1 else name
            self._add(code, value, unit, raw=raw, time=time, name=several)

    def _buffer(self, code: Code, groups: list[str]) -> None:
        """A log: the number of entries, the codes of what is in them, then the entries, each with its time before it.

        ``(2)(0-0:96.7.19)(time)(0000000240*s)(time)(…)``, and in Belgium ``(1)(1-0:1.6.0)(1-0:1.6.0)(end of the
        month)(time of the peak)(03.695*kW)``: a code that is there twice is the time of a value and the value.
        """
        size = 1
        while size < len(groups) and _CODE.fullmatch(groups[size]):
            size += 1
        columns = [find_code(_with_star(column)) for column in groups[1:size]]
        cells = groups[size:]
        self._add(code, Decimal(groups[0]), raw=groups[0], name=f"{code.name}, number of entries")
        if int(groups[0]) * size != len(cells):
            self.notes.append(f"{code.obis} says {int(groups[0])} entries and has {len(cells)} values of {size} each")
        add, obis, device, number = self.readings.append, code.obis, code.device, 0
        for entry in range(0, len(cells), size):
            row = tuple(cells[entry : entry + size])
            number += 1
            time = self._time(code, row[0])
            for index, cell in enumerate(row[1:], 1):
                column = columns[index - 1]
                if index + 1 < len(row) and columns[index] is column and TIME.fullmatch(cell):
                    time = self._time(code, cell)
                    continue
                value, unit = self._value(column, cell)
                name = f"{column.name}, entry {number}"
                add(make_reading(name, value, unit, obis, _BUFFER, 2, row, None, 255, time, device, _TEXT))

    def _profile(self, code: Code, groups: list[str]) -> bool:
        """``(time)(status)(minutes)(columns)(code)(unit)…(value)…``; whether it was one."""
        if len(groups) < 6 or not (TIME.fullmatch(groups[0]) and groups[2].isdecimal() and groups[3].isdecimal()):
            return False
        count = int(groups[3][:4])
        cells = groups[4 + 2 * count :]
        heads = groups[4 : 4 + 2 * count]
        if not count or len(heads) < 2 * count or not all(_CODE.fullmatch(head) for head in heads[::2]):
            return False
        start, step = self._time(code, groups[0]), timedelta(minutes=int(groups[2][:6]))
        columns = [find_code(_with_star(head)) for head in heads[::2]]
        if not cells:
            self._add(code, None, raw=tuple(groups))
        for place, cell in enumerate(cells):
            row, index = divmod(place, count)
            column = columns[index]
            value, unit = self._value(column, cell)
            unit = unit or _symbol(heads[2 * index + 1])
            time = None if start is None else _later(start, step * row)
            self._add(column, value, unit, raw=(*groups[:4], cell), time=time, name=self._name(column))
        return True

    def _add_value(self, code: Code, group: str) -> None:
        value, unit = self._value(code, group)
        self._add(code, value, unit, raw=group, name=self._name(code))

    def _add(
        self,
        code: Code,
        value: Value | Decimal | datetime,
        unit: str = "",
        *,
        raw: Value,
        time: datetime | None = None,
        name: str | None = None,
        class_id: int | None = None,
        attribute: int | None = None,
    ) -> None:
        name = code.name if name is None else name
        reading = make_reading(
            name, value, unit, code.obis, class_id, attribute, raw, None, 255, time, code.device, Label.TEXT
        )
        self.readings.append(reading)

    def _value(self, code: Code, group: str) -> tuple[Value | Decimal | datetime, str]:
        number, star, unit = group.partition("*")
        if star and not number:
            return None, _symbol(unit)
        if star and _NUMBER.fullmatch(number):
            return Decimal(number), _symbol(unit)
        return self._single(code, group), ""

    def _single(self, code: Code, group: str) -> Value | Decimal | datetime:
        """The value of one bracket without a unit."""
        form = code.form
        if form is Form.IDENTIFIER:
            return _decoded(group, ("ascii",))
        if form is Form.MESSAGE:
            return _decoded(group, ("utf-8", "latin-1"))
        if form is Form.TEXT:
            return group
        if TIME.fullmatch(group) and (form is Form.CLOCK or len(group) == 13):
            moment = self._time(code, group)
            return group if moment is None else moment
        if not group and form is Form.NUMBER:
            return None
        return Decimal(group) if _NUMBER.fullmatch(group) else group

    def _time(self, code: Code, text: str) -> datetime | None:
        moment = read_time(text, self.zone) if TIME.fullmatch(text) else None
        if moment is None and len(self.notes) < 20:
            self.notes.append(f"{code.obis or code.name}{_NO_DATES}: {text[:20]!r}")
        return moment

    def _device(self, code: Code, number: str) -> None:
        medium = MEDIA.get(int(number)) if number.isdecimal() and len(number) <= 3 else None
        if medium is not None:
            self.media[code.device] = medium

    def _name(self, code: Code) -> str:
        """With what the device measures, where the text has said it."""
        if code.is_device_value and code.device in self.media:
            return f"{code.name} ({self.media[code.device]})"
        return code.name


@lru_cache(maxsize=64)
def _log(head: str, rest: str, zone: tzinfo) -> tuple[tuple[PushReading, ...], tuple[str, ...]]:
    """The readings of a log, and notes. It stays the same for weeks, while the text comes every second."""
    reader = LineReader(zone)
    reader._buffer(find_code(head), rest[1:-1].split(")("))
    return tuple(reader.readings), tuple(reader.notes)


def _symbol(unit: str) -> str:
    """Our symbol of a unit, however a text writes it; one that we do not know stays as it is."""
    return UNITS.get(unit.lower(), unit)


def _with_star(code: str) -> str:
    """``0-0:96.7.19.255`` as ``0-0:96.7.19*255``."""
    return "*".join(code.rsplit(".", 1)) if code.count(".") == 3 else code


def _decoded(text: str, letters: tuple[str, ...]) -> str:
    """The text in hexadecimal octets; as it is where it is none, or stands for nothing that can be printed."""
    if not _HEX.fullmatch(text):
        return text
    octets = bytes.fromhex(text)
    for encoding in letters:
        try:
            decoded = octets.decode(encoding)
        except UnicodeDecodeError:
            continue
        return decoded if decoded.translate(_LAYING_OUT).isprintable() else text
    return text


def _later(start: datetime, by: timedelta) -> datetime | None:
    """By so much elapsed time."""
    if not by:
        return start
    try:
        return (start.astimezone(UTC) + by).astimezone(start.tzinfo)
    except OverflowError:
        return None
