"""A-XDR values, annotated: the tree with OBIS names, dates, scalers and units."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cosemic.codec.axdr import BitString
from cosemic.cosem.model import class_name, interface_class
from cosemic.enums import DataType
from cosemic.errors import DlmsError
from cosemic.explain.annotations import Cursor, Fault, Page, Plain, Sensitivity
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime
from cosemic.units import unit_symbol

DEEPEST = 64
NOT_AXDR = "not A-XDR: class, name and attribute stand without their types, as some meters send them"

_FIXED: dict[int, tuple[int, str]] = {
    DataType.DOUBLE_LONG: (4, ">i"),
    DataType.DOUBLE_LONG_UNSIGNED: (4, ">I"),
    DataType.FLOATING_POINT: (4, ">f"),
    DataType.INTEGER: (1, ">b"),
    DataType.LONG: (2, ">h"),
    DataType.UNSIGNED: (1, ">B"),
    DataType.LONG_UNSIGNED: (2, ">H"),
    DataType.LONG64: (8, ">q"),
    DataType.LONG64_UNSIGNED: (8, ">Q"),
    DataType.ENUM: (1, ">B"),
    DataType.FLOAT32: (4, ">f"),
    DataType.FLOAT64: (8, ">d"),
    DataType.DELTA_INTEGER: (1, ">b"),
    DataType.DELTA_LONG: (2, ">h"),
    DataType.DELTA_DOUBLE_LONG: (4, ">i"),
    DataType.DELTA_UNSIGNED: (1, ">B"),
    DataType.DELTA_LONG_UNSIGNED: (2, ">H"),
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: (4, ">I"),
}
_TYPE_NAMES: dict[int, str] = {int(t): t.name.lower().replace("_", "-") for t in DataType}
_STRINGS = (DataType.VISIBLE_STRING, DataType.UTF8_STRING)


def type_name(tag: int) -> str:
    """The standard's name of a data type."""
    return _TYPE_NAMES.get(tag, f"unknown type {tag}")


def obis_meaning(octets: bytes) -> str:
    """``1-0:1.8.0*255 active energy import, total``."""
    code = ObisCode.from_bytes(octets)
    words = code.describe()
    return f"{code} {words}" if words and words != str(code) else str(code)


def moment_meaning(octets: bytes) -> str:
    """A COSEM date, time or date-time in words; raw fields where it is incomplete, empty when it is none."""
    try:
        if len(octets) == 12:
            moment: CosemDateTime | CosemDate | CosemTime = CosemDateTime.from_bytes(octets)
        elif len(octets) == 5:
            moment = CosemDate.from_bytes(octets)
        elif len(octets) == 4:
            moment = CosemTime.from_bytes(octets)
        else:
            return ""
        return str(moment)
    except (ValueError, ArithmeticError, DlmsError):
        return ""


def octets_meaning(octets: bytes) -> str:
    """What an octet-string probably holds: an OBIS code, a date-time, text; empty when nothing fits."""
    if len(octets) == 6 and (octets[5] == 255 or octets[0] in (0, 1) or octets[0] == 7):
        return obis_meaning(octets)
    if len(octets) == 12 and _may_be_moment(octets):
        return moment_meaning(octets)
    if len(octets) >= 3 and all(32 <= octet < 127 for octet in octets):
        return f'text "{octets.decode("ascii")}"'
    if len(octets) == 8 and _is_title(octets):
        return title_meaning(octets)
    return ""


def title_meaning(title: bytes) -> str:
    """A system title: the three letters of the manufacturer and the rest."""
    if _is_title(title):
        return f"manufacturer {title[:3].decode('ascii')}, number {title[3:].hex().upper()}"
    return "" if len(title) == 8 else f"{len(title)} octets where 8 are the rule"


@dataclass(slots=True)
class _Seen:
    """What a finished element was; parents read it to find scalers, OBIS codes and the like."""

    tag: int
    value: Plain
    octets: bytes
    index: int


def walk_value(cursor: Cursor, field: str = "value", *, sensitivity: Sensitivity = Sensitivity.OPEN) -> None:
    """Annotate one A-XDR value with its tag."""
    _walk(cursor, field, sensitivity, 0)


def _walk(cursor: Cursor, field: str, sensitivity: Sensitivity, nesting: int) -> _Seen:
    tag = cursor.take(1, "a data type")[0]
    if tag not in _TYPE_NAMES:
        raise Fault(cursor.position - 1, f"0x{tag:02X} is no data type of the standard")
    return _body(cursor, tag, field, sensitivity, nesting)


def _body(cursor: Cursor, tag: int, field: str, sensitivity: Sensitivity, nesting: int) -> _Seen:
    """The value after its tag; ``cursor.mark`` still stands before the tag."""
    name = type_name(tag)
    fixed = _FIXED.get(tag)
    value: Plain = None
    meaning = ""
    octets = b""
    error: str | None = None
    if fixed is not None:
        octets = cursor.take(fixed[0], name)
        number = struct.unpack(fixed[1], octets)[0]
        value = number if not isinstance(number, float) or number - number == 0 else str(number)
    elif tag == DataType.OCTET_STRING:
        octets = cursor.take(take_length(cursor), name)
        value, meaning = octets.hex(), octets_meaning(octets)
    elif tag in _STRINGS:
        octets = cursor.take(take_length(cursor), name)
        value = octets.decode("utf-8" if tag == DataType.UTF8_STRING else "latin-1", "replace")
        if tag == DataType.UTF8_STRING and value.encode() != octets:
            error = "these octets are no UTF-8 text"
    elif tag == DataType.BOOLEAN:
        value = cursor.take(1, name)[0] != 0
    elif tag == DataType.BCD:
        value = cursor.take(1, name).hex()
    elif tag == DataType.BIT_STRING:
        count = take_length(cursor)
        octets = cursor.take((count + 7) // 8, name)
        value = str(BitString.from_octets(octets, count))
    elif tag in (DataType.DATE_TIME, DataType.DATE, DataType.TIME):
        octets = cursor.take({DataType.DATE_TIME: 12, DataType.DATE: 5}.get(DataType(tag), 4), name)
        value, meaning = octets.hex(), moment_meaning(octets)
    elif tag in (DataType.ARRAY, DataType.STRUCTURE):
        return _container(cursor, tag, take_length(cursor), field, sensitivity, nesting, None)
    elif tag == DataType.COMPACT_ARRAY:
        return _compact_array(cursor, field, sensitivity, nesting)
    title = f"{field} {name}" if field else name
    if sensitivity == Sensitivity.OPEN and octets and _may_be_serial_number(octets):
        sensitivity = Sensitivity.IDENTITY
    index = cursor.write(title, value, meaning, sensitivity=sensitivity, error=error)
    return _Seen(tag, value, octets, index)


def _container(
    cursor: Cursor, tag: int, count: int, field: str, sensitivity: Sensitivity, nesting: int, shape: _Shape | None
) -> _Seen:
    if nesting >= DEEPEST:
        raise Fault(cursor.mark, f"nested more than {DEEPEST} deep")
    word = "elements" if tag == DataType.ARRAY else "fields"
    title = f"{field} {type_name(tag)}" if field else type_name(tag)
    index = cursor.write(title, None, f"{count} {word}", sensitivity=sensitivity)
    if shape is None and count > cursor.left:
        raise Fault(cursor.position, f"{count} {word} announced, {cursor.left} octets are left")
    cursor.depth += 1
    seen: list[_Seen] = []
    if cursor.page.bare_descriptors and tag == DataType.STRUCTURE and count == 2 and _is_bare_descriptor(cursor):
        _bare_descriptor(cursor)
        _walk(cursor, "value", sensitivity, nesting + 1)
        cursor.depth -= 1
        return _Seen(tag, None, b"", index)
    for number in range(count):
        before = cursor.position
        if shape is None:
            element = _walk(cursor, f"[{number}]", sensitivity, nesting + 1)
        else:
            inner = shape.inner[number] if tag == DataType.STRUCTURE else shape.inner[0]
            element = _described(cursor, inner, f"[{number}]", sensitivity, nesting + 1)
            if tag == DataType.ARRAY and cursor.position == before:
                break  # elements of no octets: one tells it all
        if tag == DataType.STRUCTURE:
            seen.append(element)
    cursor.depth -= 1
    if tag == DataType.STRUCTURE and sensitivity == Sensitivity.OPEN:
        _name_fields(cursor, index, seen)
    return _Seen(tag, None, b"", index)


def _is_bare_descriptor(cursor: Cursor) -> bool:
    """Class, name and attribute without types: some push messages of Sagemcom and of EG.D meters have them so."""
    octets = cursor.data[cursor.position : min(cursor.position + 9, cursor.end)]
    return len(octets) == 9 and octets[0] == 0 and octets[1] > 0 and octets[7] == 0xFF and 1 <= octets[8] <= 32


def _bare_descriptor(cursor: Cursor) -> None:
    class_id = int.from_bytes(cursor.take(2, "class id"), "big")
    cursor.write("class id", class_id, f"interface class {class_name(class_id)}")
    obis = cursor.take(6, "instance id")
    cursor.write("instance id", obis.hex(), obis_meaning(obis))
    number = cursor.take(1, "attribute")[0]
    cursor.write("attribute", number, interface_class(class_id).attribute_name(number))


def walk_pushed(cursor: Cursor) -> None:
    """The body of a push: a value; one with descriptors without types is told as such where it makes no sense else."""
    position, mark, depth, lines = cursor.position, cursor.mark, cursor.depth, len(cursor.page.lines)
    try:
        walk_value(cursor)
    except Fault:
        octets = cursor.data[position : cursor.end]
        scratch = Cursor(octets, Page(len(octets), bare_descriptors=True))
        try:
            walk_value(scratch)
        except Fault:
            scratch.position = 0
        if scratch.left:
            raise
        del cursor.page.lines[lines:]
        cursor.position, cursor.mark, cursor.depth = position, mark, depth
        cursor.head("note", NOT_AXDR)
        cursor.page.bare_descriptors = True
        try:
            walk_value(cursor)
        finally:
            cursor.page.bare_descriptors = False


def _name_fields(cursor: Cursor, index: int, seen: list[_Seen]) -> None:
    """Say what the usual small structures are: scaler and unit, object references."""
    tags = [element.tag for element in seen]
    if tags == [DataType.INTEGER, DataType.ENUM]:
        scaler, unit = seen[0].value, seen[1].value
        if isinstance(scaler, int) and isinstance(unit, int):
            text = unit_symbol(unit)
            cursor.page.amend(seen[0].index, meaning=f"scaler, x 10^{scaler}")
            cursor.page.amend(seen[1].index, meaning=f"unit {text}")
            cursor.page.amend(index, meaning=f"2 fields: scaler 10^{scaler}, unit {text}")
    elif tags[:1] == [DataType.LONG_UNSIGNED] and any(
        element.tag == DataType.OCTET_STRING and len(element.octets) == 6 for element in seen[1:3]
    ):
        class_id = seen[0].value
        if isinstance(class_id, int):
            cursor.page.amend(seen[0].index, meaning=f"interface class {class_name(class_id)}")
        for element in seen[1:3]:
            if len(element.octets) == 6:
                cursor.page.amend(element.index, meaning=obis_meaning(element.octets))


@dataclass(slots=True)
class _Shape:
    """A type description of a compact array."""

    tag: int
    count: int
    inner: list[_Shape]


def _compact_array(cursor: Cursor, field: str, sensitivity: Sensitivity, nesting: int) -> _Seen:
    title = f"{field} compact-array" if field else "compact-array"
    index = cursor.write(title, None, "", sensitivity=sensitivity)
    cursor.depth += 1
    shape = _shape(cursor, nesting)
    cursor.write("type description", _shape_text(shape))
    length = take_length(cursor)
    cursor.write("contents", None, f"{length} octets")
    number = 0
    with cursor.within(length) as contents:
        while contents.left:
            before = contents.position
            _described(contents, shape, f"[{number}]", sensitivity, nesting + 1)
            if contents.position == before:
                raise Fault(before, "the type description describes elements of no octets")
            number += 1
    cursor.depth -= 1
    cursor.page.amend(index, meaning=f"{number} elements")
    return _Seen(DataType.COMPACT_ARRAY, None, b"", index)


def _shape(cursor: Cursor, nesting: int) -> _Shape:
    if nesting >= DEEPEST:
        raise Fault(cursor.position, f"nested more than {DEEPEST} deep")
    tag = cursor.take(1, "a type description")[0]
    if tag == DataType.ARRAY:
        count = int.from_bytes(cursor.take(2, "the number of elements"), "big")
        return _Shape(tag, count, [_shape(cursor, nesting + 1)])
    if tag == DataType.STRUCTURE:
        count = take_length(cursor)
        if count > cursor.left:
            raise Fault(cursor.position, f"{count} fields announced, {cursor.left} octets are left")
        return _Shape(tag, count, [_shape(cursor, nesting + 1) for _ in range(count)])
    if tag not in _TYPE_NAMES or tag == DataType.COMPACT_ARRAY:
        raise Fault(cursor.position - 1, f"0x{tag:02X} cannot stand in a type description")
    return _Shape(tag, 0, [])


def _shape_text(shape: _Shape) -> str:
    if shape.tag == DataType.STRUCTURE:
        return f"structure({', '.join(_shape_text(inner) for inner in shape.inner)})"
    if shape.tag == DataType.ARRAY:
        return f"array({shape.count} x {_shape_text(shape.inner[0])})"
    return type_name(shape.tag)


def _described(cursor: Cursor, shape: _Shape, field: str, sensitivity: Sensitivity, nesting: int) -> _Seen:
    if shape.tag in (DataType.ARRAY, DataType.STRUCTURE):
        return _container(cursor, shape.tag, shape.count, field, sensitivity, nesting, shape)
    return _body(cursor, shape.tag, field, sensitivity, nesting)


def take_length(cursor: Cursor) -> int:
    """An A-XDR length: one octet, or 0x80 + n and n octets."""
    first = cursor.take(1, "a length")[0]
    if first < 0x80:
        return first
    size = first & 0x7F
    if not 1 <= size <= 8:
        raise Fault(cursor.position - 1, f"a length of {size} octets is not possible")
    return int.from_bytes(cursor.take(size, "a length"), "big")


def _may_be_serial_number(octets: bytes) -> bool:
    """Text with six digits and more: serial numbers, device ids, logical device names, system titles."""
    if _is_title(octets):
        return True
    return 7 <= len(octets) <= 64 and octets.isalnum() and sum(48 <= octet <= 57 for octet in octets) >= 6


def _is_title(octets: bytes) -> bool:
    return len(octets) == 8 and all(65 <= octet <= 90 for octet in octets[:3])


def _may_be_moment(octets: bytes) -> bool:
    month, day, hour, minute, second = octets[2], octets[3], octets[5], octets[6], octets[7]
    return (
        (1 <= month <= 12 or month >= 0xFD)
        and (1 <= day <= 31 or day >= 0xFD)
        and (octets[4] <= 7 or octets[4] == 0xFF)
        and (hour <= 23 or hour == 0xFF)
        and (minute <= 59 or minute == 0xFF)
        and (second <= 59 or second == 0xFF)
    )
