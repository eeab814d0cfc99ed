"""Rows of a profile that are laid out alike, decoded many at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cosemic.codec.scalars import Budget
from cosemic.codec.typed import Value

ROWS_WORTH_A_SHAPE: Final = 16


def decode_rows(
    data: bytes,
    offset: int,
    count: int,
    depth: int,
    budget: Budget,
    decode_items: Callable[[bytes, int, int, int, Budget], tuple[list[Value], int]],
) -> tuple[list[Value], int]:
    """The ``count`` elements of an array."""
    return decode_items(data, offset, count, depth, budget)
