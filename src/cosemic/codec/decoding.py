"""A-XDR octets to plain values, and to typed ones."""

from __future__ import annotations

import struct

from cosemic.codec.compact import decode_compact
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import SIZE, TYPES, UNPACK, Budget, decode_length, leaf, truncated
from cosemic.codec.shapes import ROWS_WORTH_A_SHAPE, decode_rows
from cosemic.codec.typed import Typed, TypedWhole, Value
from cosemic.errors import DecodeError


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Value:
    """The plain value of exactly these octets; DecodeError for anything else."""
    value, end = decode_prefix(data, 0, limits=limits)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} octets after the value", offset=end)
    return value


def decode_prefix(data: bytes, offset: int = 0, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Value, int]:
    """The plain value that begins at ``offset``, and the offset after it."""
    try:
        tag = data[offset]
        unpack = UNPACK[tag]
        if unpack is not None and offset >= 0:
            offset += 1
            return unpack(data, offset)[0], offset + SIZE[tag]
        data = _whole(data, offset, limits)
        items, end = _items(data, offset, 1, limits.depth, Budget(limits.elements))
        return items[0], end
    except (IndexError, struct.error):
        raise DecodeError("the data end inside a value", offset=len(data)) from None
    except RecursionError:
        raise DecodeError("nested deeper than the stack allows") from None


def decode_typed(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Typed:
    """The typed value of exactly these octets; ``encode`` gives the same octets again."""
    typed, end = decode_typed_prefix(data, 0, limits=limits)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} octets after the value", offset=end)
    return typed


def decode_typed_prefix(data: bytes, offset: int = 0, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Typed, int]:
    """The typed value that begins at ``offset``, and the offset after it."""
    data = _whole(data, offset, limits)
    try:
        elements, end = _typed(data, offset, 1, limits.depth, Budget(limits.elements))
    except (IndexError, struct.error):
        raise DecodeError("the data end inside a value", offset=len(data)) from None
    except RecursionError:
        raise DecodeError("nested deeper than the stack allows") from None
    typed = elements[0]
    return TypedWhole(typed.type, typed.value, typed.description, data[offset:end]), end


def _whole(data: bytes, offset: int, limits: Limits) -> bytes:
    if offset < 0:
        raise ValueError(f"an offset cannot be {offset}")
    if len(data) - offset > limits.octets:
        raise DecodeError(f"{len(data) - offset} octets are more than the limit of {limits.octets}")
    return data if type(data) is bytes else bytes(data)


def _items(data: bytes, offset: int, count: int, depth: int, budget: Budget) -> tuple[list[Value], int]:
    """``count`` values one after another. Numbers are read on the spot: a call for each would double the time.

    IndexError and struct.error mean that the data end too early; the callers above turn them into DecodeError.
    """
    values: list[Value] = []
    append = values.append
    for _ in range(count):
        tag = data[offset]
        offset += 1
        unpack = UNPACK[tag]
        if unpack is not None:
            append(unpack(data, offset)[0])
            offset += SIZE[tag]
        elif tag == 0:
            append(None)
        elif tag == 9 and data[offset] < 0x80:
            end = offset + 1 + data[offset]
            if end > len(data):
                raise truncated(tag, end - len(data), offset)
            append(data[offset + 1 : end])
            offset = end
        elif tag <= 2:
            number, offset = _count(tag, data, offset, depth, budget)
            if tag == 2:
                items, offset = _items(data, offset, number, depth - 1, budget)
                append(tuple(items))
                continue
            if number < ROWS_WORTH_A_SHAPE:
                items, offset = _items(data, offset, number, depth - 1, budget)
            else:
                items, offset = decode_rows(data, offset, number, depth - 1, budget, _items)
            append(items)
        elif tag == 19:
            _, items, offset = decode_compact(data, offset, depth, budget)
            append(items)
        else:
            value, offset = leaf(tag, data, offset)
            append(value)
    return values, offset


def _typed(data: bytes, offset: int, count: int, depth: int, budget: Budget) -> tuple[list[Typed], int]:
    """``count`` typed values one after another; IndexError and struct.error as in ``_items``."""
    values: list[Typed] = []
    append = values.append
    for _ in range(count):
        tag = data[offset]
        kind = TYPES[tag]
        offset += 1
        unpack = UNPACK[tag]
        if unpack is not None:
            append(Typed(kind, unpack(data, offset)[0]))  # type: ignore[arg-type]
            offset += SIZE[tag]
        elif kind is None:
            raise DecodeError(f"tag {tag} is not a type of the standard", offset=offset - 1)
        elif tag == 1 or tag == 2:
            number, offset = _count(tag, data, offset, depth, budget)
            elements, offset = _typed(data, offset, number, depth - 1, budget)
            append(Typed(kind, tuple(elements)))
        elif tag == 19:
            description, items, offset = decode_compact(data, offset, depth, budget)
            append(TypedWhole(kind, items, description))
        else:
            value, offset = leaf(tag, data, offset)
            append(Typed(kind, value))
    return values, offset


def _count(tag: int, data: bytes, offset: int, depth: int, budget: Budget) -> tuple[int, int]:
    """The number of elements of an array or a structure; each takes an octet at least, so too many fail here."""
    number = data[offset]
    offset += 1
    if number >= 0x80:
        number, offset = decode_length(data, offset - 1)
    if number > len(data) - offset:
        kind = "array" if tag == 1 else "structure"
        raise DecodeError(
            f"{kind} announces {number} elements, but {len(data) - offset} octets are left", offset=offset
        )
    if depth <= 0:
        raise DecodeError("nested deeper than the limit allows", offset=offset)
    budget.elements -= number
    if budget.elements < 0:
        raise DecodeError("more elements than the limit allows", offset=offset)
    return number, offset
