"""Carries out an examination over real streams: the only part of the doctor that waits (asyncio)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias

from cosemic.client import DlmsClient
from cosemic.doctor.findings import Finding
from cosemic.doctor.heard import MOST_OCTETS
from cosemic.doctor.knowledge import (
    KEPT,
    Answer,
    Associate,
    Attempt,
    Known,
    Limits,
    Open,
    Opened,
    Outcome,
    OutOfTimeError,
    Plan,
    Reply,
    Say,
    Step,
)
from cosemic.doctor.plan import examine as plan_for
from cosemic.errors import DlmsError, LinkError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.protocol.association import Trace
from cosemic.protocol.requests import Request, Result
from cosemic.transports.streams import Stream, clock_of, open_stream
from cosemic.transports.targets import Framing, Target, parse_url

Opener: TypeAlias = Callable[[Target], Awaitable[Stream]]
_MOST_APDUS = 64


async def examine(
    target: str | Target,
    known: Known | None = None,
    limits: Limits | None = None,
    *,
    on_finding: Callable[[Finding], object] | None = None,
    on_step: Callable[[str], object] | None = None,
    trace: Trace | None = None,
    opener: Opener = open_stream,
    clock: Callable[[], float] | None = None,
) -> list[Finding]:
    """Examine what stands behind a URL; all findings, in the order in which they came.

    ``on_finding`` gets each finding as it comes, ``on_step`` what is tried next, in words; ``trace`` every frame and
    APDU, without secrets. It ends within ``limits.budget`` seconds and never raises for what the other side does.
    ``opener`` opens streams in place of the usual one, ``clock`` gives the time of its deadlines.
    """
    target = parse_url(target) if isinstance(target, str) else target
    limits = limits or Limits()
    driver = _Driver(limits, opener, clock, trace)
    plan = plan_for(target, known or Known(), limits)
    findings: list[Finding] = []
    try:
        item = next(plan)
        while True:
            if isinstance(item, Finding):
                findings.append(item)
                if on_finding is not None:
                    on_finding(item)
                item = plan.send(None)
            else:
                if on_step is not None:
                    on_step(item.what)
                item = await _next(plan, driver, item)
    except StopIteration:
        return findings
    finally:
        plan.close()
        driver.let_go()


async def _next(plan: Plan, driver: _Driver, step: Step) -> Step | Finding:
    try:
        reply = await driver.take(step)
    except OutOfTimeError as error:
        return plan.throw(error)
    return plan.send(reply)


class _Driver:
    """One stream at a time, and the deadline of the whole."""

    def __init__(self, limits: Limits, opener: Opener, clock: Callable[[], float] | None, trace: Trace | None) -> None:
        self._limits = limits
        self._opener = opener
        self._given_clock = clock
        self._trace = trace
        self._stream: Stream | None = None
        self._target: Target | None = None
        self._end: float | None = None

    async def take(self, step: Step) -> Reply:
        """Take one step; OutOfTimeError when the budget is spent before it is done."""
        if self._left() <= 0:
            raise OutOfTimeError
        if isinstance(step, Open):
            reply: Reply = await self._open(step.target)
        elif isinstance(step, Say):
            reply = await self._say(step)
        else:
            reply = await self._associate(step)
        return reply

    def let_go(self) -> None:
        """Close the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    # Time

    def _clock(self) -> Callable[[], float]:
        if self._given_clock is not None:
            return self._given_clock
        import asyncio

        return asyncio.get_running_loop().time if self._stream is None else clock_of(self._stream)

    def _left(self) -> float:
        """Seconds that are left of the budget, which begins with the first step."""
        now = self._clock()()
        if self._end is None:
            self._end = now + self._limits.budget
        return self._end - now

    # Steps

    async def _open(self, target: Target) -> Opened:
        self.let_go()
        try:
            self._stream = await self._opened(target)
        except DlmsError as error:
            return Opened(error)
        self._target = target
        return Opened()

    async def _opened(self, target: Target) -> Stream:
        import asyncio

        seconds = min(self._left(), max(self._limits.patience, 1.0) * 3 + target.opening_time)
        try:
            async with asyncio.timeout(seconds):
                return await self._opener(target)
        except TimeoutError as error:
            raise LinkTimeout(f"{target} did not take the connection within {seconds:.3g} s") from error
        except LinkError:
            raise
        except OSError as error:
            raise LinkLost(f"cannot open {target}: {error}") from error

    async def _say(self, step: Say) -> Answer:
        stream = self._stream
        if stream is None:
            return Answer(b"", closed=True)
        clock = self._clock()
        came = b""
        try:
            deadline = clock() + min(step.seconds, self._left())
            if step.octets:
                self._show("out", step.octets)
                await stream.send(step.octets, deadline)
            while len(came) < MOST_OCTETS:
                chunk = await stream.receive(deadline)
                if not chunk:
                    self.let_go()
                    return Answer(came, closed=True)
                self._show("in", chunk)
                came += chunk
                if step.complete(came) or clock() >= deadline:
                    break
        except TimeoutError:
            pass
        except OSError as error:
            self.let_go()
            return Answer(came, closed=True, reason=str(error) if isinstance(error, LinkError) else "")
        return Answer(came)

    def _show(self, direction: str, octets: bytes) -> None:
        if self._trace is not None:
            self._trace("link", direction, octets)

    async def _associate(self, step: Associate) -> Outcome:
        attempt = step.attempt
        keeps = attempt.target.scheme in KEPT
        if not keeps or self._target != attempt.target:
            self.let_go()
        recorder = _Recorder()
        taken: list[bytes] = []

        async def lend() -> Stream:
            if keeps:
                if self._stream is None:
                    self._stream = await self._opened(attempt.target)
                    self._target = attempt.target
                return recorder.around(self._stream, keeps=True)
            return recorder.around(await self._opened(attempt.target), keeps=False)

        def trace(layer: str, direction: str, octets: bytes) -> None:
            if layer == "apdu" and direction == "in" and len(taken) < _MOST_APDUS:
                taken.append(octets)
            if self._trace is not None:
                self._trace(layer, direction, octets)

        try:
            client = self._client(attempt, lend, trace)
        except (ValueError, DlmsError) as error:
            return Outcome(False, error if isinstance(error, DlmsError) else LocalProtocolError(str(error)))
        failure, associated = await self._talk(client, step)
        return Outcome(associated, failure, bytes(recorder.received), tuple(taken), bytes(recorder.sent))

    def _client(self, attempt: Attempt, lend: Callable[[], Awaitable[Stream]], trace: Trace) -> DlmsClient:
        address = attempt.address
        is_hdlc = attempt.framing is Framing.HDLC
        slow = 0.0 if attempt.target.bit_rate is None else 4 * 128 * 11 / attempt.target.bit_rate
        patience = self._limits.patience + slow
        return DlmsClient(
            lend,
            framing=attempt.framing,
            client_sap=attempt.client,
            server_sap=attempt.server if address is None else address.logical,
            physical_address=None if address is None else address.physical,
            address_size=None if address is None else len(address.octets),
            authentication=attempt.mechanism,
            password=attempt.password,
            security=attempt.security,
            # An AARQ must not go out twice: over HDLC only what the meter does not have is repeated, else nothing is.
            retries=1 if is_hdlc else 0,
            timeout=min(patience, max(self._left(), 0.1)),
            connect_timeout=max(self._left(), 0.1),
            exchange_limit=max(self._left(), 0.1),
            trace=trace,
            clock=self._given_clock,
        )

    async def _talk(self, client: DlmsClient, step: Associate) -> tuple[DlmsError | None, bool]:
        """Associate, survey, release; the error, and whether there was an association."""
        import asyncio

        associated = False
        clock = self._clock()
        until = clock() + step.seconds
        error: DlmsError | None = None
        try:
            # The client gives each block of a long answer its time anew; this bounds them all.
            async with asyncio.timeout(max(self._left(), 0.1)):
                await client.connect()
                associated = True
                if step.survey is not None:
                    await self._survey(client, step.survey(), until, clock)
        except DlmsError as failure:
            error = failure
        except TimeoutError:
            error = LinkTimeout("the time of the examination was up before the meter was done")
        finally:
            left = self._left()
            if left > 0:
                client.timeout = min(client.timeout, left, 1.0)
                with contextlib.suppress(DlmsError):
                    await client.close()
            else:
                client.abort()
        return error, associated

    async def _survey(
        self, client: DlmsClient, procedure: Generator[Request, Result, None], until: float, clock: Callable[[], float]
    ) -> None:
        """Carry out a survey; what one request meets does not end it, as long as the association holds."""
        with contextlib.suppress(StopIteration):
            request = next(procedure)
            while clock() < until and self._left() > 0:
                try:
                    result = await client.request(request)
                except DlmsError as error:
                    if not client.is_connected:
                        raise
                    request = procedure.throw(error)
                else:
                    request = procedure.send(result)
        procedure.close()


class _Recorder:
    """Remembers what went through the streams that were lent, within bounds."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.sent = bytearray()

    def around(self, stream: Stream, *, keeps: bool) -> _Lent:
        """The stream, listened to; with ``keeps`` closing it leaves it open."""
        return _Lent(stream, self, keeps)


class _Lent:
    """A stream that tells a recorder what comes."""

    def __init__(self, stream: Stream, recorder: _Recorder, keeps: bool) -> None:
        self._stream = stream
        self._recorder = recorder
        self._keeps = keeps
        self.clock = clock_of(stream)

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        """As the stream itself."""
        sent = self._recorder.sent
        sent += data[: max(MOST_OCTETS - len(sent), 0)]
        await self._stream.send(data, deadline)

    async def receive(self, deadline: float | None = None) -> bytes:
        """As the stream itself."""
        data = await self._stream.receive(deadline)
        received = self._recorder.received
        received += data[: max(MOST_OCTETS - len(received), 0)]
        return data

    def close(self) -> None:
        """Close the stream, or leave it to the one who lent it."""
        if not self._keeps:
            self._stream.close()

    async def wait_closed(self) -> None:
        """As the stream itself."""
        wait: Any = getattr(self._stream, "wait_closed", None)
        if wait is not None and not self._keeps:
            await wait()
