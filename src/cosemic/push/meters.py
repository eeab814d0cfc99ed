"""What a user knows of the meters that push: the seam between the decoder and an inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cosemic.push.meaning.layout import Layout


@dataclass(frozen=True, slots=True)
class KnownMeter:
    """What helps to understand one meter. ``definition`` is what ``meaning.interpret`` takes for one.

    ``has_keys`` says that there are keys for this very meter: a message without protection is not taken for one of it,
    not even where such messages are accepted from others, since anybody can send from its address. ``accepts_plain``
    takes them from where this meter sends, whoever has keys.
    """

    name: str | None = None
    layout: Layout | str | None = None
    definition: object = None
    zone: tzinfo | None = None
    accepts_plain: bool = False
    has_keys: bool = False

    @property
    def is_of_use(self) -> bool:
        """Whether it changes how a message is understood."""
        return self.layout is not None or self.definition is not None or self.zone is not None


class KnownMeters(Protocol):
    """Finds meters by what a message tells of itself, the surest first."""

    def by_sender(self, system_title: bytes | None, source: str | None) -> KnownMeter | None:
        """Before the message is understood: by the title that protects it, else by where it came from."""

    def by_identity(self, meter_id: str) -> KnownMeter | None:
        """By what the message says of itself: a serial number, a logical device name."""


class OneMeter:
    """The same knowledge for every message: one meter on one line."""

    __slots__ = ("_known",)

    def __init__(self, known: KnownMeter) -> None:
        self._known = known

    def by_sender(self, system_title: bytes | None, source: str | None) -> KnownMeter | None:
        """The one meter."""
        return self._known

    def by_identity(self, meter_id: str) -> KnownMeter | None:
        """The one meter."""
        return self._known


class MetersByTitle:
    """Knowledge by system title."""

    __slots__ = ("_meters",)

    def __init__(self, meters: Mapping[bytes, KnownMeter]) -> None:
        self._meters = dict(meters)

    def by_sender(self, system_title: bytes | None, source: str | None) -> KnownMeter | None:
        """The meter with that title."""
        return None if system_title is None else self._meters.get(system_title)

    def by_identity(self, meter_id: str) -> KnownMeter | None:
        """None: only titles are known."""
        return None
