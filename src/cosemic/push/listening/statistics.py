"""What a listener has seen so far, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from cosemic.push.messages import Diagnosis


@dataclass(slots=True)
class Statistics:
    """Counts since the listener was made: a live object of the listener; ``as_dict`` copies it.

    ``pushes`` and ``octets`` are by kind of source ("tcp", "udp", "serial", "file" ...), ``undecoded`` by diagnosis,
    ``dropped`` by the reason of ``Dropped`` (up to a hundred of them, then "other"). ``connections`` are open now,
    ``accepted`` were ever let in, ``refused`` turned away and ``closed`` ended by us, by the limit that they broke.
    ``lost_datagrams`` came while the queue was full, ``suppressed`` had no reading and were more than are told of.
    ``confirmed`` pushes were answered, ``unconfirmed`` wanted an answer and could not have one. ``reopened`` counts
    lines that went away and came back, ``failures`` errors of our own (they are in the log).
    """

    pushes: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    undecoded: Counter[Diagnosis] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_octets: int = 0
    octets: Counter[str] = field(default_factory=Counter)
    datagrams: int = 0
    lost_datagrams: int = 0
    suppressed: int = 0
    connections: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    confirmed: int = 0
    unconfirmed: int = 0
    reopened: int = 0
    failures: int = 0

    def count_dropped(self, reason: str, octets: int) -> None:
        """One stretch of octets that belonged to no telegram."""
        known = reason in self.dropped or len(self.dropped) < _MOST_REASONS
        self.dropped[reason if known else "other"] += 1
        self.dropped_octets += octets

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """Plain numbers by name, counters as dictionaries with text keys: what JSON takes."""
        found: dict[str, int | dict[str, int]] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Counter):
                value = {key.value if isinstance(key, Diagnosis) else key: count for key, count in value.items()}
            found[item.name] = value
        return found


_MOST_REASONS = 100
