"""The line under examination: what is known of it, and what was heard on it so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cosemic.doctor.heard import Heard, Sound, listen_to
from cosemic.doctor.knowledge import Answer, Known, Limits
from cosemic.transports.targets import Target


@dataclass(slots=True)
class Line:
    """The line under examination, and what was heard on it."""

    target: Target
    known: Known
    limits: Limits
    sounds: Counter[Sound] = field(default_factory=Counter)
    examples: dict[Sound, Heard] = field(default_factory=dict)
    pushes: list[bytes] = field(default_factory=list)
    echo: bool = False
    opened: Target | None = None
    closed: int = 0
    reason: str = ""
    """Why the other side hung up, where that was said."""
    sent: int = 0
    refused: str = ""
    """The address of a station that answered, though not with UA."""
    is_told: bool = False
    """Whether a finding says already why there is no way."""

    @property
    def is_serial(self) -> bool:
        """Whether speed and parity are ours to choose."""
        return self.target.scheme in ("serial", "rfc2217")

    def hear(self, answer: Answer, sent: bytes = b"") -> Heard:
        """Remember what an answer was."""
        heard = listen_to(answer.octets, sent)
        self.echo = self.echo or heard.echo
        self.closed += answer.closed
        self.reason = self.reason or answer.reason
        if heard.sound is not Sound.NOTHING:
            self.sounds[heard.sound] += 1
            self.examples.setdefault(heard.sound, heard)
        return heard

    def wait(self, target: Target) -> float:
        """How long one answer of the search is waited for: shorter than in an association, as many stay away."""
        slow = 2 * 64 * 11 / target.bit_rate if target.bit_rate else 0.0
        return self.limits.patience / 2 + slow
