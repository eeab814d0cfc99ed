"""The buffer of Compact data (class 62): captured values without tags, by a template (IEC 62056-6-2, 4.3.10).

The template is a structure of types, one for each capture object. An array in it has the type of its elements and no
count, which stands in the buffer instead; some meters write the count into the template, as a compact-array has it.
Only one of the two fits both template and buffer, except by rare coincidence; they are tried in this order.
"""

from __future__ import annotations

from cosemic.codec.compact import TypeDescription, description_of
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import TYPES, Budget, decode_length, leaf
from cosemic.codec.typed import Value
from cosemic.enums import DataType
from cosemic.errors import DecodeError


def decode_compact_buffer(template: bytes, buffer: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Value, ...]:
    """The values of ``compact_buffer`` by its ``template_description``, one for each capture object.

    An empty buffer, of an object that has captured nothing yet, gives none. DecodeError where the two do not fit.
    """
    if max(len(template), len(buffer)) > limits.octets:
        raise DecodeError(f"{max(len(template), len(buffer))} octets are more than the limit of {limits.octets}")
    refusal: DecodeError | None = None
    for counted in (False, True):
        try:
            description = _template(bytes(template), counted, limits)
            return _values(description, bytes(buffer), counted, limits) if buffer else ()
        except DecodeError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _template(octets: bytes, counted: bool, limits: Limits) -> TypeDescription:
    if counted:
        description, end = description_of(octets, 0, limits)
    else:
        description, end = _uncounted(octets, 0, limits.depth, Budget(limits.elements))
    if description.type is not DataType.STRUCTURE:
        raise DecodeError(f"a template is a structure, not {description}")
    if end != len(octets):
        raise DecodeError(f"{len(octets) - end} octets after the template", offset=end)
    return description


def _uncounted(octets: bytes, offset: int, depth: int, budget: Budget) -> tuple[TypeDescription, int]:
    if offset >= len(octets):
        raise DecodeError("the data end where a type description is expected", offset=offset)
    kind = TYPES[octets[offset]]
    if kind is None or kind is DataType.COMPACT_ARRAY:
        raise DecodeError(f"tag {octets[offset]} cannot stand in a type description", offset=offset)
    offset += 1
    if kind is not DataType.ARRAY and kind is not DataType.STRUCTURE:
        return TypeDescription(kind), offset
    if depth <= 0:
        raise DecodeError("a type description nested deeper than the limit allows", offset=offset)
    count = 1
    if kind is DataType.STRUCTURE:
        count, offset = decode_length(octets, offset)
        if count > len(octets) - offset:
            raise DecodeError(f"a type description announces {count} elements beyond the data", offset=offset)
    budget.take(count, offset)
    elements = []
    for _ in range(count):
        element, offset = _uncounted(octets, offset, depth - 1, budget)
        elements.append(element)
    return TypeDescription(kind, tuple(elements)), offset


def _values(description: TypeDescription, buffer: bytes, counted: bool, limits: Limits) -> tuple[Value, ...]:
    # A null takes no octet: what a buffer can stand for is bounded by its size, as that of a compact-array is.
    budget = Budget(min(limits.elements, 16 * (len(buffer) + len(description.elements))))
    value, end = _value(description, buffer, 0, counted, budget)
    if end != len(buffer):
        raise DecodeError(f"{len(buffer) - end} octets after the values of the template", offset=end)
    assert isinstance(value, tuple)
    return value


def _value(
    description: TypeDescription, buffer: bytes, offset: int, counted: bool, budget: Budget
) -> tuple[Value, int]:
    kind = description.type
    if kind is DataType.STRUCTURE:
        elements = description.elements
    elif kind is DataType.ARRAY:
        count = description.count
        if not counted:
            count, offset = decode_length(buffer, offset)
        budget.take(count, offset)
        elements = description.elements * count
    else:
        return leaf(kind, buffer, offset)
    values: list[Value] = []
    if kind is DataType.STRUCTURE:
        budget.take(len(elements), offset)
    for element in elements:
        value, offset = _value(element, buffer, offset, counted, budget)
        values.append(value)
    return (tuple(values) if kind is DataType.STRUCTURE else values), offset
