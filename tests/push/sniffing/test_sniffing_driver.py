"""The search through settings, against lines that exist in fake time only."""

from __future__ import annotations

import errno

import pytest

from cosemic.errors import LinkError, LinkLost
from cosemic.link.signon_messages import LineSettings
from cosemic.push.sniffing.driver import PLAN, Refused, SniffLimits, SniffReport, Step, sniff
from cosemic.push.sniffing.judging import Sound, Verdict
from tests.push.sniffing.test_sniffing import P1, P1_SEVEN_BITS, PROTECTED, hdlc, mbus
from tests.push.uart import Setting, receive, send


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class ScriptedLine:
    """A stream that delivers octets at moments of a fake clock; whoever waits moves the clock."""

    def __init__(self, time: Time, script: list[tuple[float, bytes]], end: Exception | None = None) -> None:
        self.clock = time
        self.script = script
        self.end = end
        self.is_closed = False

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        raise AssertionError("sniffing sends nothing")

    async def receive(self, deadline: float | None = None) -> bytes:
        assert deadline is not None, "every wait has a deadline"
        if not self.script and self.end is not None:
            raise self.end
        if self.script and self.script[0][0] <= deadline:
            moment, octets = self.script.pop(0)
            self.clock.now = max(self.clock.now, moment)
            return octets
        self.clock.now = deadline
        raise TimeoutError

    def close(self) -> None:
        self.is_closed = True


class Port:
    """A meter that sends a burst every ``every`` seconds; what is heard of it depends on the settings."""

    def __init__(
        self, burst: bytes, setting: Setting, *, every: float = 2.0, inverted: bool = False, refuses: str = ""
    ) -> None:
        self.time = Time()
        self.burst, self.setting, self.every, self.inverted, self.refuses = burst, setting, every, inverted, refuses
        self.lines: list[ScriptedLine] = []

    async def open(self, settings: LineSettings | None) -> ScriptedLine:
        if settings is None:
            heard = self.burst
        else:
            if settings.parity in self.refuses:
                error = LinkError(f"the port does not take {settings}")
                error.__cause__ = OSError(errno.EINVAL, "Invalid argument")
                raise error
            receiver = Setting(settings.baud, settings.data_bits, settings.parity)
            heard = receive(send([self.burst], self.setting, inverted=self.inverted), receiver)
        moments = [self.time.now + self.every * (number + 0.5) for number in range(40)]
        script = [(moment, heard[at : at + 60]) for moment in moments for at in range(0, len(heard), 60)]
        line = ScriptedLine(self.time, script)
        self.lines.append(line)
        return line


async def search(
    port: Port, *, limits: SniffLimits | None = None, plan: tuple[LineSettings | None, ...] = PLAN
) -> SniffReport:
    seen: list[Step] = []
    report = await sniff(port.open, plan, limits, on_step=seen.append, clock=port.time)
    assert tuple(seen) == report.steps
    assert all(line.is_closed for line in port.lines)
    return report


async def test_first_setting_is_right() -> None:
    port = Port(mbus(PROTECTED), Setting(2400, 8, "E"))
    report = await search(port)
    assert report.best is not None
    assert (report.best.sound, report.best.is_sure, report.best.is_protected) == (Sound.MBUS, True, True)
    assert len(report.steps) == 1
    assert port.time.now < 1002  # the first whole telegram ends it


@pytest.mark.parametrize(
    ("burst", "setting", "sound"),
    [
        (P1, Setting(115200), Sound.P1),
        (hdlc(PROTECTED), Setting(9600), Sound.HDLC),
        (hdlc(PROTECTED), Setting(38400), Sound.HDLC),
        (hdlc(PROTECTED), Setting(115200, 8, "E"), Sound.HDLC),
        (P1_SEVEN_BITS, Setting(9600, 7, "E"), Sound.P1),
        (P1_SEVEN_BITS, Setting(300, 7, "E"), Sound.P1),
    ],
)
async def test_found(burst: bytes, setting: Setting, sound: Sound) -> None:
    report = await search(Port(burst, setting))
    assert report.best is not None
    found = report.best.advised or report.best.settings
    assert (report.best.sound, report.best.is_sure) == (sound, True)
    assert found is not None
    assert found.baud == setting.baud
    assert found.data_bits == setting.data_bits


async def test_unreadable_settings_are_left_early() -> None:
    port = Port(hdlc(PROTECTED), Setting(38400), every=1.0)
    report = await search(port, limits=SniffLimits(60.0, 600.0))
    first = report.steps[0]
    assert isinstance(first, Verdict)
    assert first.seconds < 10


async def test_slower_line_puts_faster_settings_last() -> None:
    port = Port(P1_SEVEN_BITS, Setting(300, 7, "E"), every=4.0)
    report = await search(port, limits=SniffLimits(12.0, 1000.0))
    tried = [step.settings.baud for step in report.steps if step.settings is not None]
    assert tried == [2400, 300]


async def test_inverted() -> None:
    report = await search(Port(P1, Setting(115200), inverted=True))
    assert report.best is not None
    assert report.best.sound is Sound.INVERTED
    assert report.steps[-1] is report.best


async def test_silence_ends_with_the_total() -> None:
    port = Port(b"", Setting(9600))
    report = await search(port, limits=SniffLimits(10.0, 35.0))
    assert report.is_silent
    assert len(report.steps) == 4
    assert port.time.now == pytest.approx(1035.0)


async def test_settings_that_the_port_does_not_take() -> None:
    report = await search(Port(P1, Setting(115200), refuses="E"))
    assert isinstance(report.steps[0], Refused)
    assert report.best is not None
    assert report.best.sound is Sound.P1


async def test_no_setting_at_all() -> None:
    with pytest.raises(LinkError, match="does not take 2400 baud 8E1"):
        await search(Port(P1, Setting(115200), refuses="NEO"))


async def test_no_port() -> None:
    calls = []

    async def open_line(settings: LineSettings | None) -> ScriptedLine:
        calls.append(settings)
        error = LinkError("cannot connect: No such file or directory")
        error.__cause__ = OSError(errno.ENOENT, "No such file or directory")
        raise error

    with pytest.raises(LinkError, match="No such file"):
        await sniff(open_line)
    assert len(calls) == 1


async def test_settings_of_others() -> None:
    report = await search(Port(P1, Setting(115200)), plan=(None,))
    assert report.best is not None
    assert (report.best.sound, report.best.settings, report.best.advised) == (Sound.P1, None, None)


@pytest.mark.parametrize("end", [LinkLost("unplugged"), None])
async def test_port_that_ends(end: Exception | None) -> None:
    time = Time()
    script = [(1000.5, P1[:200])] if end is not None else [(1000.5, P1[:200]), (1000.6, b"")]

    async def open_line(settings: LineSettings | None) -> ScriptedLine:
        return ScriptedLine(time, list(script), end)

    report = await sniff(open_line, (None,), clock=time)
    assert report.best is not None
    assert report.best.octets == 200


async def test_line_that_never_pauses() -> None:
    """Noise without an end is bounded by the time for a setting, and by what is kept of it."""
    time = Time()
    script = [(1000 + number / 100, bytes([number * 37 & 0xFF, number * 91 & 0xFF]) * 400) for number in range(2000)]

    async def open_line(settings: LineSettings | None) -> ScriptedLine:
        return ScriptedLine(time, script, None)

    report = await sniff(open_line, (None,), SniffLimits(10.0, 20.0), clock=time)
    assert report.best is not None
    assert report.best.octets <= 32_768
    assert time.now == pytest.approx(1010.0, abs=0.1)


@pytest.mark.parametrize(("seconds", "total"), [(0, 10), (10, 0), (-1, 10), (float("nan"), 10), (10, float("inf"))])
def test_limits(seconds: float, total: float) -> None:
    with pytest.raises(ValueError, match="lie between"):
        SniffLimits(seconds, total)
