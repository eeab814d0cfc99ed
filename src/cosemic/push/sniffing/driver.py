"""Listens on a port at one setting after the other; the only part of sniffing that waits.

Each setting has its time, the whole has a deadline. A sure find ends it at once, three telegrams of which nothing can
be read (five short ones) end a setting early, and a line that proves slower than a setting puts the faster ones last.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cosemic.errors import LinkError
from cosemic.link.signon_messages import LineSettings
from cosemic.push.sniffing.judging import MAX_OCTETS, Sound, Verdict, is_proven, judge
from cosemic.transports.streams import Stream, clock_of, wait_closed

PLAN: Final = (
    LineSettings(2400, 8, "E"),
    LineSettings(115200, 8, "N"),
    LineSettings(9600, 8, "N"),
    LineSettings(2400, 8, "N"),
    LineSettings(9600, 7, "E"),
    LineSettings(9600, 8, "E"),
    LineSettings(38400, 8, "N"),
    LineSettings(19200, 8, "N"),
    LineSettings(115200, 8, "E"),
    LineSettings(57600, 8, "N"),
    LineSettings(300, 7, "E"),
)
"""Settings of customer interfaces, the usual ones first."""

OpenLine: TypeAlias = Callable[[LineSettings | None], Awaitable[Stream]]
"""Opens the port with these settings, LinkError where it does not take them; None where they cannot be chosen."""

_OPENING: Final = 10.0
_CLOSING: Final = 2.0
_PAUSE: Final = 0.3
"""Seconds of silence that end a telegram."""

_ENOUGH_TELEGRAMS: Final = 2
_ENOUGH_OCTETS: Final = 64


@dataclass(frozen=True, slots=True)
class SniffLimits:
    """How long it may take: ``seconds`` for one setting, ``total`` for all of them. Meters push every 1 to 10 s."""

    seconds: float = 12.0
    total: float = 150.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 86_400 or not 0 < self.total <= 86_400:
            raise ValueError("seconds and total lie between 0 and 86400")


@dataclass(frozen=True, slots=True)
class Refused:
    """Settings that the port does not take."""

    settings: LineSettings | None
    text: str


Step: TypeAlias = Verdict | Refused


@dataclass(frozen=True, slots=True)
class SniffReport:
    """All that was tried, in order. ``best`` is the verdict to go by, None where there was none."""

    steps: tuple[Step, ...]

    @property
    def best(self) -> Verdict | None:
        """The surest verdict; of equals the one that explains more octets, then the earlier one."""
        verdicts = [step for step in self.steps if isinstance(step, Verdict)]
        return max(verdicts, key=lambda verdict: (verdict.score, verdict.counts.covered), default=None)

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard at any setting."""
        return all(not isinstance(step, Verdict) or step.sound is Sound.SILENCE for step in self.steps)


async def sniff(
    open_line: OpenLine,
    plan: Sequence[LineSettings | None] = PLAN,
    limits: SniffLimits | None = None,
    *,
    on_step: Callable[[Step], None] | None = None,
    clock: Callable[[], float] | None = None,
) -> SniffReport:
    """Listen at one setting after the other until one is proven. LinkError where the port does not open."""
    limits = SniffLimits() if limits is None else limits
    clock = asyncio.get_running_loop().time if clock is None else clock
    end = clock() + limits.total
    left, steps = list(plan), list[Step]()
    failure: LinkError | None = None
    while left and clock() < end:
        settings = left.pop(0)
        try:
            step: Step = await _listen(open_line, settings, limits.seconds, end)
        except TimeoutError:
            raise LinkError(f"the port did not open within {_OPENING:.0f} s") from None
        except LinkError as error:
            if getattr(error.__cause__, "errno", None) not in (None, errno.EINVAL):
                raise  # not the settings, but the port
            failure = error if failure is None else failure
            step = Refused(settings, str(error))
        steps.append(step)
        if on_step is not None:
            on_step(step)
        if isinstance(step, Verdict):
            if step.is_sure or step.sound is Sound.INVERTED:
                break
            if step.sound is Sound.WRONG_SPEED:
                left.sort(key=lambda other: _is_faster(other, settings))
    if failure is not None and not any(isinstance(step, Verdict) for step in steps):
        raise failure
    return SniffReport(tuple(steps))


async def _listen(open_line: OpenLine, settings: LineSettings | None, seconds: float, end: float) -> Verdict:
    async with asyncio.timeout(_OPENING):
        stream = await open_line(settings)
    try:
        clock = clock_of(stream)
        begin = clock()
        heard = await _hear(stream, settings, clock, min(begin + seconds, end))
        return judge(heard, clock() - begin, settings)
    finally:
        stream.close()
        await wait_closed(stream, _CLOSING)


async def _hear(stream: Stream, settings: LineSettings | None, clock: Callable[[], float], end: float) -> bytes:
    """The octets until they prove something, or show that they are not going to, or the time is over."""
    heard = bytearray()
    telegrams, looked_at, is_new = 0, 0, False
    while clock() < end:
        try:
            octets = await stream.receive(min(end, clock() + _PAUSE))
        except TimeoutError:
            if not is_new:
                continue
            telegrams, is_new, has_paused = telegrams + 1, False, True
        except LinkError:
            break
        else:
            if not octets:
                break
            heard += octets
            del heard[: -2 * MAX_OCTETS]
            is_new, has_paused = True, False
            if len(heard) < 2 * looked_at + 256:
                continue  # looked at again when it pauses, or has doubled
        looked_at = len(heard)
        if is_proven(bytes(heard), settings):
            break
        if has_paused and telegrams > (_ENOUGH_TELEGRAMS if len(heard) >= _ENOUGH_OCTETS else 2 * _ENOUGH_TELEGRAMS):
            break  # the first may have begun before we listened
    return bytes(heard)


def _is_faster(settings: LineSettings | None, than: LineSettings | None) -> bool:
    return settings is not None and than is not None and settings.baud >= than.baud
