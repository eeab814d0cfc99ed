"""Limits that keep a hostile or broken peer from using up memory or the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEEPEST: Final = 200
"""No limit on depth may exceed this: each level costs a frame of the interpreter's stack."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one decoded value may take: levels of nesting, elements in all, octets in all."""

    depth: int = 64
    elements: int = 1 << 22
    octets: int = 1 << 24

    def __post_init__(self) -> None:
        if not 0 < self.depth <= DEEPEST:
            raise ValueError(f"the limit on depth must be 1 to {DEEPEST}, not {self.depth}")
        if self.elements < 1 or self.octets < 1:
            raise ValueError("limits on elements and octets must be positive")


DEFAULT_LIMITS: Final = Limits()
