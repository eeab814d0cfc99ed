"""How two meters differ: objects, versions, access rights, values."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cosemic.codec import text
from cosemic.codec.axdr import Data
from cosemic.cosem.catalog import attribute_target, method_target
from cosemic.cosem.meter_model import MeterModel, ModelObject
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError


class Subject(enum.Enum):
    """What differs."""

    OBJECT = "object"
    VERSION = "version"
    ACCESS = "access"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. ``target`` is the object, attribute or method in words; None means that it is not there."""

    subject: Subject
    target: str
    first: str | None
    second: str | None

    def __str__(self) -> str:
        missing = {Subject.OBJECT: "not there", Subject.VALUE: "not read"}.get(self.subject, "none")
        return f"{self.target}: {self.subject.value} {self.first or missing} | {self.second or missing}"


_MEASURED: dict[int, tuple[int, ...]] = {
    int(InterfaceClass.REGISTER): (2,),
    int(InterfaceClass.EXTENDED_REGISTER): (2, 4, 5),
    int(InterfaceClass.DEMAND_REGISTER): (2, 3, 5, 6, 7),
    int(InterfaceClass.PROFILE_GENERIC): (2, 7),
    int(InterfaceClass.CLOCK): (2, 4),
}
"""Attributes that differ between any two meters, and between two readings of the same one."""


def differences(first: MeterModel, second: MeterModel, *, measured: bool = False) -> list[Difference]:
    """What differs between two models, in the order of the objects.

    Values are compared by their octets, where both models have them; what is measured (the value of a register, the
    time of a clock, the rows of a profile) only with ``measured``. An attribute that only one model has a value of
    counts as different, unless it was refused to both.
    """
    left = {item.place: item for item in first.objects}
    right = {item.place: item for item in second.objects}
    found: list[Difference] = []
    for place in sorted({*left, *right}, key=lambda place: (place[1], place[0])):
        one, other = left.get(place), right.get(place)
        if one is None or other is None:
            item = one or other
            assert item is not None
            there = f"version {item.entry.version}"
            target = _object(item)
            found.append(Difference(Subject.OBJECT, target, there if one else None, there if other else None))
        else:
            found += _between(one, other, measured)
    return found


def _between(one: ModelObject, other: ModelObject, measured: bool) -> Iterator[Difference]:
    mine, theirs = one.entry, other.entry
    if mine.version != theirs.version:
        yield Difference(Subject.VERSION, _object(one), str(mine.version), str(theirs.version))
    class_id, obis = one.place
    for number in sorted({*mine.attributes, *theirs.attributes}):
        yield from _words(
            Subject.ACCESS,
            attribute_target(class_id, obis, number),
            mine.attribute_rights(number) if number in mine.attributes else None,
            theirs.attribute_rights(number) if number in theirs.attributes else None,
        )
    for number in sorted({*mine.methods, *theirs.methods}):
        yield from _words(
            Subject.ACCESS,
            method_target(class_id, obis, number),
            mine.method_rights(number) if number in mine.methods else None,
            theirs.method_rights(number) if number in theirs.methods else None,
        )
    left_out: Sequence[int] = () if measured else _MEASURED.get(class_id, ())
    for number in sorted({*one.values, *other.values}):
        a, b = one.values.get(number), other.values.get(number)
        if a != b and number not in left_out:
            yield Difference(Subject.VALUE, attribute_target(class_id, obis, number), _shown(a), _shown(b))


def _words(subject: Subject, target: str, first: str | None, second: str | None) -> Iterator[Difference]:
    if first != second:
        yield Difference(subject, target, first, second)


def _object(item: ModelObject) -> str:
    entry = item.entry
    return f"{entry.class_id}/{entry.obis} ({entry.class_name}: {entry.name})"


_LONGEST = 200


def _shown(data: Data | None) -> str | None:
    if data is None:
        return None
    try:
        line = " ".join(text.describe(data.typed).split())
    except DecodeError:
        line = data.octets.hex()
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… ({len(data.octets)} octets)"
