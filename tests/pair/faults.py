"""A seeded line with faults between a client session and a server session: ``run(seed)`` gives the outcome.

The same seed gives the same run, in fake time. A run raises ``AssertionError`` when a result is wrong, when something
was done twice, when nothing ends it within the time allowed, or when anything but a ``DlmsError`` comes out.

==========  =====================================================================================================
line        faults
==========  =====================================================================================================
hdlc        octets or whole transmissions lost, corrupted, doubled, late, overtaken by the next ones; noise. Never late
            by eight frames alone: numbers modulo 8 cannot tell such a frame from a new one, and no line does that
datagram    datagrams lost, doubled, late
stream      split anywhere, stalled, closed; with authentication also corrupted, doubled and late
==========  =====================================================================================================

``python -m tests.pair.faults 10000`` runs that many seeds and tells how they ended.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections import Counter
from dataclasses import dataclass

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import AuthenticationMechanism, Role
from cosemic.errors import DlmsError, data_access_error
from cosemic.link.addresses import HdlcAddress
from cosemic.link.hdlc import HdlcLink
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.wrapper import WrapperLink
from cosemic.protocol.events import Associated, Completed, Failed, Released, Requested
from cosemic.protocol.requests import Request, target
from cosemic.protocol.server_session import ServerSession
from cosemic.protocol.session import ClientSession
from tests.pair.support import (
    CLIENT_TITLE,
    ECHO,
    ENERGY,
    METER_TITLE,
    PROFILE,
    ROWS,
    Application,
    action,
    client_settings,
    get,
    security,
    server_settings,
    set_,
)

LINES = ("hdlc", "datagram", "stream")
TIME_ALLOWED = 3600.0
STEPS_ALLOWED = 50_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: how many requests brought their value, and the error that ended it, if one did."""

    seed: int
    line: str
    protected: bool
    completed: int
    faults: int
    time: float
    error: DlmsError | None


def run(seed: int, line: str | None = None) -> Outcome:
    """One association with a few requests over a line with faults."""
    return _Run(seed, line).run()


class _Run:
    def __init__(self, seed: int, line: str | None) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.line = line or self.random.choice(LINES)
        self.rate = self.random.choice((0.0, 0.02, 0.1, 0.3))
        self.protected = self.random.random() < 0.5
        self.now = 0.0
        self.faults = 0
        self.order = 0
        self.closed = False
        self.queue: list[tuple[float, int, str, bytes | None]] = []
        self.latest = {"up": 0.0, "down": 0.0}
        self.application = Application()
        self.executed: Counter[bytes] = Counter()
        self.completed = 0
        self.ended: object = None
        self._make_sessions()

    def _make_sessions(self) -> None:
        chance = self.random
        datagram = self.line == "datagram"
        size = chance.choice((80, 128, 300, 0xFFFF))
        if self.protected:
            mechanism = AuthenticationMechanism.HLS_GMAC
            ours = security(CLIENT_TITLE, dedicated_key=chance.random() < 0.3, general=chance.random() < 0.3)
            theirs = security(METER_TITLE)
        else:
            mechanism = chance.choice((AuthenticationMechanism.NONE, AuthenticationMechanism.LLS))
            ours = theirs = None
        octets = lambda count: chance.randbytes(count)  # noqa: E731
        # Plain general blocks over UDP are not safe from late ones; nobody gets them unless he asks for them.
        window, other = chance.choice((0, 0, 1, 2, 5, 16)), chance.choice((1, 3, 16))
        if datagram and not self.protected:
            window = 0
        client = client_settings(mechanism, ours, max_pdu_size=size, random_octets=octets, block_transfer_window=window)
        server = server_settings(
            mechanism, theirs, max_pdu_size=size, random_octets=octets, block_transfer_window=other
        )
        client_link: HdlcLink | WrapperLink
        server_link: HdlcLink | WrapperLink
        if self.line == "hdlc":
            window = chance.choice((1, 1, 3, 7))
            information = chance.choice((32, 128, 512))
            parameters = HdlcParameters(information, information, window, window)
            timers = HdlcTimers(response_timeout=1.0, retries=5, busy_timeout=60.0)
            near, far = HdlcAddress(16), HdlcAddress(1, 17)
            client_link = HdlcLink(Role.CLIENT, destination=far, source=near, parameters=parameters, timers=timers)
            server_link = HdlcLink(Role.SERVER, destination=near, source=far, parameters=parameters, timers=timers)
        else:
            client_link = WrapperLink(
                Role.CLIENT, source=16, destination=1, response_timeout=1.0, retries=5, datagram=datagram
            )
            server_link = WrapperLink(Role.SERVER, source=1, destination=None, datagram=datagram)
        self.client = ClientSession(client_link, client, datagram=datagram)
        self.server = ServerSession(server_link, lambda sap: server if sap == 16 else None, datagram=datagram)
        self.server.start(0.0)

    def run(self) -> Outcome:
        error: DlmsError | None = None
        self.client.connect(self.now)
        error = self._wait()
        if error is None:
            for number in range(self.random.randrange(1, 6)):
                request, expected = self._request(number)
                self.client.request(request, self.now)
                error = self._wait()
                if error is not None:
                    break
                assert isinstance(self.ended, Completed), self.ended
                error = _refused(self.ended)
                if error is not None:
                    break
                self._check(request, self.ended, expected)
                self.completed += 1
            if error is None:
                self.client.release(self.now)
                error = self._wait()
        assert all(count == 1 for count in self.executed.values()), "something was done twice"
        return Outcome(self.seed, self.line, self.protected, self.completed, self.faults, self.now, error)

    def _request(self, number: int) -> tuple[Request, list[object]]:
        mark = Data.of(axdr.octet_string(self.random.randbytes(self.random.choice((8, 40, 700)))))
        kind = self.random.randrange(6)
        if kind == 0:
            return get((3, ENERGY, 2)), [Data.of(axdr.double_long_unsigned(12345))]
        if kind == 1:
            return get((7, PROFILE, 2)), [Data.of(ROWS)]
        if kind == 2:
            return get((3, ENERGY, 2), (3, ENERGY, 3), (7, PROFILE, 2)), [
                self.application.attributes[3, ENERGY, 2],
                self.application.attributes[3, ENERGY, 3],
                Data.of(ROWS),
            ]
        if kind == 3:
            return set_((1, ECHO, 2, mark)), [0]
        if kind == 4:
            return set_((1, ECHO, 2, mark), (1, ECHO, 9, mark)), [0, 3]
        return action((1, ECHO, 1, mark)), [mark]

    def _check(self, request: Request, done: Completed, expected: list[object]) -> None:
        results = [getattr(result, "return_parameters", result) for result in done.result.results]
        assert results == expected, f"wrong results of {target(request)}: {str(results)[:200]}"
        for item, value in zip(request.items, getattr(request, "values", ()), strict=False):
            if item[0].attribute == 2:  # type: ignore[index]
                assert self.application.attributes[1, ECHO, 2] == value

    def _wait(self) -> DlmsError | None:
        """Let things happen until the call has ended; the error that ended the run."""
        self.ended = None
        self._collect()
        for _ in range(STEPS_ALLOWED):
            self._transmit()
            if self.ended is not None:
                return self.ended.error if isinstance(self.ended, Failed) else None
            times = [time for time in (self.client.next_deadline(), self.server.next_deadline()) if time is not None]
            if self.queue:
                times.append(self.queue[0][0])
            assert times, "the client waits for ever"
            self.now = max(self.now, min(times))
            assert self.now < TIME_ALLOWED, "no end within the time allowed"
            while self.queue and self.queue[0][0] <= self.now and self.ended is None:
                self._deliver()
            self.client.on_time(self.now)
            self.server.on_time(self.now)
            self._collect()
        raise AssertionError("no end within the steps allowed")

    def _deliver(self) -> None:
        _, _, direction, data = heapq.heappop(self.queue)
        if data is None:
            self.client.end_of_stream(self.now)
            self.server.end_of_stream(self.now)
        elif direction == "up":
            self.server.receive_data(data, self.now)
        else:
            self.client.receive_data(data, self.now)
        self._collect()
        self._transmit()

    def _collect(self) -> None:
        for event in self.server.events():
            if isinstance(event, Requested):
                self._execute(event)
        for event in self.client.events():
            if isinstance(event, Associated | Completed | Failed | Released):
                assert self.ended is None, (self.ended, event)
                self.ended = event

    def _execute(self, event: Requested) -> None:
        request = event.request
        for value in getattr(request, "values", None) or getattr(request, "parameters", ()):
            if value is not None:
                self.executed[type(request).__name__.encode() + bytes(value)] += 1
        if getattr(request, "values", None) and len(request.items) == 2:
            self.executed[b"Set" + bytes(request.values[0])] -= 1  # type: ignore[union-attr]
        self.server.respond(self.application.answer(request), self.now)

    def _transmit(self) -> None:
        moved = True
        while moved:
            moved = False
            for direction, session in (("up", self.client), ("down", self.server)):
                data = session.data_to_send()
                if data:
                    moved = True
                    self._send(direction, data)

    def _send(self, direction: str, data: bytes) -> None:
        if self.closed:
            return
        chance = self.random
        if chance.random() >= self.rate:
            self._put(direction, data, 0.01)
            return
        self.faults += 1
        fault = chance.choice(self._possible())
        if fault == "lose":
            return
        if fault == "double":
            self._put(direction, data, 0.01)
            self._put(direction, data, 0.02)
        elif fault == "late":
            self._put(direction, data, chance.uniform(0.1, 4.0), ordered=self.line == "hdlc")
        elif fault == "overtaken":
            self._put(direction, data, 0.04, ordered=False)
        elif fault == "close":
            self.closed = True
            self._put(direction, data[: chance.randrange(len(data) + 1)], 0.01)
            self._put(direction, None, 0.02)
        elif fault == "split":
            at = chance.randrange(len(data) + 1)
            self._put(direction, data[:at], 0.01)
            self._put(direction, data[at:], chance.choice((0.01, 0.4)))
        elif fault == "corrupt":
            at = chance.randrange(len(data))
            self._put(direction, data[:at] + bytes((data[at] ^ chance.randrange(1, 256),)) + data[at + 1 :], 0.01)
        elif fault == "cut":
            at = chance.randrange(len(data))
            self._put(direction, data[:at] + data[at + chance.randrange(1, 4) :], 0.01)
        elif fault == "noise":
            self._put(direction, chance.randbytes(chance.randrange(1, 12)) + data, 0.01)

    def _possible(self) -> tuple[str, ...]:
        if self.line == "hdlc":
            return ("lose", "double", "late", "overtaken", "corrupt", "cut", "noise", "split")
        if self.line == "datagram":
            return ("lose", "double", "late")
        if self.protected:
            return ("lose", "split", "close", "corrupt", "double", "late", "cut")
        return ("lose", "split", "close")

    def _put(self, direction: str, data: bytes | None, delay: float, *, ordered: bool = True) -> None:
        if data == b"":
            return
        time = self.now + delay
        if ordered:
            time = self.latest[direction] = max(time, self.latest[direction])
        self.order += 1
        heapq.heappush(self.queue, (time, self.order, direction, data))


def _refused(done: Completed) -> DlmsError | None:
    """The error of a meter that gave up a block transfer, because an old duplicate came in between."""
    for result in done.result.results:
        code = int(getattr(result, "result", 0 if isinstance(result, Data) else result))
        if 14 <= code <= 19:
            return data_access_error(code)
    return None


def main() -> None:
    """Run as many seeds as the first argument says and count how they ended."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    ends: Counter[tuple[str, str]] = Counter()
    longest = 0.0
    for seed in seeds:
        try:
            outcome = run(seed)
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {error}")
            ends["", "BROKEN"] += 1
            continue
        longest = max(longest, outcome.time)
        ends[outcome.line, type(outcome.error).__name__ if outcome.error else "right values"] += 1
    for (line, end), count in sorted(ends.items()):
        print(f"{line:10} {end:24} {count}")
    print(f"longest run {longest:.1f} s of fake time")
    sys.exit(1 if ends["", "BROKEN"] else 0)


if __name__ == "__main__":
    main()
