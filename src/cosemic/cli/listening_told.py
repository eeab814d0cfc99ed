"""What the command listen tells its user on stderr: each trouble once, in a sentence that says what to do."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cosemic.push.listening.listener import Received
from cosemic.push.listening.statistics import Statistics
from cosemic.push.listening.urls import SourceUrl
from cosemic.push.messages import Diagnosis, Push, Undecoded
from cosemic.push.telegrams import Dropped

_PATIENCE = 30.0
"""Seconds after which a silent line is told of: most meters push every 1 to 10 s, some once a minute."""
_MOST_TOLD = 1_000
_IN_A_MINUTE = 30
_AGAIN = 600.0
_ENOUGH = 64
"""Octets without a telegram that are more than a beginning."""

_KEYS = frozenset(
    (
        Diagnosis.KEY_MISSING,
        Diagnosis.KEY_LENGTH,
        Diagnosis.EXAMPLE_KEY,
        Diagnosis.WRONG_KEY_OR_TITLE,
        Diagnosis.WRONG_AUTHENTICATION_KEY,
        Diagnosis.COUNTER_WENT_BACK,
        Diagnosis.NOT_PROTECTED,
    )
)
_OPTIONS: dict[Diagnosis, str] = {
    Diagnosis.KEY_MISSING: "it goes to --ek (and --ak), or into the --inventory",
    Diagnosis.WRONG_KEY_OR_TITLE: "check --ek, and --system-title where the message names none",
    Diagnosis.WRONG_AUTHENTICATION_KEY: "check --ak",
    Diagnosis.DAMAGED: "check cable, speed and parity; 'cosemic sniff' tries them",
}
_ASK = re.compile(r"ask for (?=accept_plain|allow_example_keys|without_verifying)")
_WORDS = {
    "accept_plain": "--accept-plain",
    "allow_example_keys": "--allow-example-keys",
    "without_verifying": "--without-verifying",
    "check_replay=False": "--no-replay-check",
}
_WORD = re.compile("|".join(map(re.escape, _WORDS)))


@dataclass(slots=True)
class _Line:
    """One source that should not be silent."""

    url: SourceUrl
    since: float
    octets: int = 0
    telegrams: int = 0
    is_told: bool = False


class Budget:
    """So many in a minute, and no more: whoever can send can make troubles without end."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._minute = 0
        self._spent = 0
        self.kept_back = 0

    def allows(self) -> bool:
        """Spend one; False, and counted in ``kept_back``, where none is left."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._spent = 0
        self._spent += 1
        if self._spent <= self._most:
            return True
        self.kept_back += 1
        return False


class Told:
    """The user's side of a listener."""

    def __init__(self, *, has_inventory: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_interrupted = False
        self._has_inventory = has_inventory
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        self._budget = Budget(_IN_A_MINUTE, clock)

    def say(self, text: str) -> None:
        """One line on stderr."""
        print(f"cosemic: {text}", file=sys.stderr, flush=True)

    def watch(self, urls: Iterable[SourceUrl]) -> None:
        """Tell of these when nothing comes from them."""
        now = self._clock()
        self._lines = {str(url): _Line(url, now) for url in urls if url.target is not None}

    # -- what comes ----------------------------------------------------------------------------------------------------
    def octets(self, source: str, count: int) -> None:
        """Octets came."""
        line = self._lines.get(source)
        if line is not None:
            line.octets += count

    def heard(self, received: Received) -> None:
        """A message came: say what is wrong with it, the first time and now and then."""
        item = received.item
        line = self._lines.get(received.source)
        if line is not None and not isinstance(item, Dropped):
            line.telegrams += 1
        if isinstance(item, Undecoded):
            who = item.meter or (item.system_title.hex().upper() if item.system_title else _host(received.source))
            self._once(f"{item.diagnosis.name} {who}", f"{received.source}: {self._sentence(item)}")
        elif isinstance(item, Push):
            who = item.meter or item.meter_id or _host(received.source)
            if item.hint is not None:
                self._once(f"hint {who}", f"{received.source}: layout: {item.hint}")
            if item.protection is not None and not item.protection.is_verified:
                title = item.protection.system_title.hex().upper()
                self._once(
                    f"unverified {who}", f"{received.source}: messages of {title} are not verified: may be forged"
                )
        elif line is None:
            self._once(f"dropped {_host(received.source)}", f"{received.source}: {_dropped(item)}")

    def _sentence(self, item: Undecoded) -> str:
        """The text of the decoder in the words of the command, or of the inventory where that has the settings."""
        text = item.text.rstrip(".")
        if item.diagnosis in _KEYS:
            text = f"key: {text}"
        if self._has_inventory:
            return text.replace("ask for accept_plain", "give --accept-plain")
        text = _WORD.sub(lambda match: _WORDS[match[0]], _ASK.sub("give ", text))
        what = _OPTIONS.get(item.diagnosis)
        return text if what is None else f"{text}; {what}"

    def _once(self, about: str, text: str) -> None:
        key = (about.partition(" ")[0], about)
        at, more = self._said.get(key, (float("-inf"), 0))
        now = self._clock()
        if now - at < _AGAIN:
            self._said[key] = (at, more + 1)
            return
        if key not in self._said and len(self._said) >= _MOST_TOLD:
            self._said.pop(next(iter(self._said)))
        self._said[key] = (now, 0)
        if not self._budget.allows():
            return
        self.say(f"{text} ({more} more before)" if more else text)
        if self._budget.kept_back:
            self.say(f"{self._budget.kept_back} further troubles were not told")
            self._budget.kept_back = 0

    # -- what does not come --------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Called every second: lines that are silent, or give nothing but noise."""
        now = self._clock()
        for line in self._lines.values():
            if line.is_told or line.telegrams or now - line.since < _PATIENCE:
                continue
            line.is_told = True
            self.say(f"{line.url}: {_silence(line, now - line.since)}")

    def nothing(self, when: str) -> None:
        """It ends without a reading."""
        if not self._said:
            self.say(f"no message came{' ' if when else ''}{when}")

    def summary(self, statistics: Statistics) -> None:
        """The end in numbers."""
        pushes = sum(statistics.pushes.values())
        parts = [f"{_count(pushes, 'message')} with {_count(statistics.readings, 'reading')}"]
        undecoded = sum(statistics.undecoded.values())
        if undecoded:
            parts.append(f"{undecoded} not decoded")
        for number, what in (
            (statistics.dropped_octets, "octets in no telegram"),
            (statistics.lost_datagrams + statistics.suppressed, "datagrams lost"),
            (sum(statistics.refused.values()), "connections turned away"),
            (sum(statistics.closed.values()), "connections closed for a limit"),
        ):
            if number:
                parts.append(f"{number} {what}")
        self.say(", ".join(parts))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _host(source: str) -> str:
    """The source without the port of the sender, which is another one for each connection."""
    return re.sub(r"(?<=.):\d+$", "", source) if source.startswith(("tcp://", "udp://", "tls://")) else source


def _silence(line: _Line, seconds: float) -> str:
    target = line.url.target
    is_line = target is not None and target.is_serial
    if not line.octets:
        if not is_line:
            return f"wiring: nothing came for {seconds:.0f} s: does the device send, and to this port?"
        return (
            f"wiring: nothing came for {seconds:.0f} s: check the cable, and that the meter's interface is switched on "
            f"and given what it needs (supply, request line); 'cosemic sniff {target.device if target else ''}' "
            "listens at all speeds"
        )
    if line.octets < _ENOUGH:
        return f"only {line.octets} octets came within {seconds:.0f} s, and no telegram; it may send seldom"
    if not is_line:
        return (
            f"framing: {line.octets} octets came, but no telegram: it sends something else, or its line has another "
            "speed"
        )
    return (
        f"framing: {line.octets} octets came, but no telegram: speed, parity or polarity of the line do not fit; "
        f"'cosemic sniff {target.device if target else ''}' tries them"
    )


def _dropped(item: Dropped) -> str:
    if item.framing is None:
        return (
            f"framing: {len(item.octets)} octets are no telegram ({item.reason}): noise, another protocol, or a line "
            "with other settings"
        )
    return f"framing: {item.reason} ({len(item.octets)} octets): check cable, speed and parity, or how it was recorded"
