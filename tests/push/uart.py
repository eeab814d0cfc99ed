"""A serial line, bit by bit: what a UART that is set in one way hears of octets that were sent in another.

The sender's bits become a level over time; the receiver waits for a falling edge and samples in the middle of its own
bits. ``resyncs_at_once`` is what a 16550 does with a stop bit that is 0: it takes it for the next start bit. Others
wait for the line to rest first.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    baud: int
    data_bits: int = 8
    parity: str = "N"


@dataclass(frozen=True)
class Line:
    """Levels: ``times[i]`` is when the level becomes ``levels[i]``."""

    times: list[float]
    levels: list[int]
    end: float

    def level(self, time: float) -> int:
        return self.levels[bisect_right(self.times, time) - 1]

    def next_change_to(self, level: int, time: float) -> float | None:
        """The first moment from ``time`` on at which the line changes to that level."""
        at = bisect_right(self.times, time)
        while at < len(self.times):
            if self.levels[at] == level and self.levels[at - 1] != level:
                return self.times[at]
            at += 1
        return None


def send(bursts: list[bytes], setting: Setting, *, pause: float = 0.05, inverted: bool = False) -> Line:
    """The line while these bursts are sent, one octet after the other, with a pause before, between and behind them."""
    bit, now, times, levels = 1 / setting.baud, 0.0, [0.0], [1]
    now += pause
    for burst in bursts:
        for octet in burst:
            value = octet & (1 << setting.data_bits) - 1
            bits = [0, *(value >> place & 1 for place in range(setting.data_bits))]
            if setting.parity != "N":
                bits.append(value.bit_count() & 1 ^ (setting.parity == "O"))
            for level in (*bits, 1):
                if level != levels[-1]:
                    times.append(now)
                    levels.append(level)
                now += bit
        now += pause
    if inverted:
        levels = [1 - level for level in levels]
    return Line(times, levels, now)


def receive(line: Line, setting: Setting, *, resyncs_at_once: bool = False) -> bytes:
    """The octets that a UART delivers; wrong parity and wrong stop bits do not keep it from that (Linux, raw mode)."""
    bit, heard, now = 1 / setting.baud, bytearray(), 0.0
    parity_bits = setting.parity != "N"
    start: float | None = line.next_change_to(0, now)
    while start is not None and start < line.end:
        if line.level(start + bit / 2):
            start = line.next_change_to(0, start)  # a spike, no start bit
            continue
        value = 0
        for place in range(setting.data_bits):
            value |= line.level(start + bit * (1.5 + place)) << place
        heard.append(value)
        stop = start + bit * (1.5 + setting.data_bits + parity_bits)
        if line.level(stop):
            start = line.next_change_to(0, stop)
        elif resyncs_at_once and value:
            start = stop - bit / 2
        else:
            rest = line.next_change_to(1, stop)
            start = None if rest is None else line.next_change_to(0, rest)
    return bytes(heard)
