"""The connection for scripts and threads: opened and closed, one exchange after the other, and all the waiting."""

from __future__ import annotations

import threading
import time as system_time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias, TypeVar, cast

from cosemic.connection import CLOSE_TIMEOUT, Connection, LentStream, Outcome, logger
from cosemic.cosem.access import Procedure
from cosemic.cosem.invocation_counter import not_read, read_invocation_counter
from cosemic.errors import DlmsError, LinkError, LinkLost, LinkTimeout, LocalProtocolError, ServiceError
from cosemic.protocol.events import Completed
from cosemic.protocol.requests import Request, Result
from cosemic.protocol.session import ClientSession
from cosemic.transports.line import BlockingLine
from cosemic.transports.streams import BlockingStream, clock_of, open_blocking_stream

_T = TypeVar("_T")
Opener: TypeAlias = Callable[[], BlockingStream]


class BlockingConnection(Connection[BlockingStream | Opener]):
    """What a blocking client does on its connection; what it offers besides is in ``cosemic.blocking``."""

    __slots__ = ("_lock", "_stream")

    def _prepare(self) -> None:
        self._stream: BlockingStream | None = None
        self._lock = threading.RLock()

    # Opening and closing

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Open the stream, the link and the association. After an error nothing is left open."""
        with self._lock:
            if self._session is not None:
                raise LocalProtocolError("connected already; close() or reconnect()")
            self._connect()

    def reconnect(self) -> None:
        """Drop what is there and connect anew."""
        with self._lock:
            self._let_go("reconnecting")
            self._connect()

    def close(self) -> None:
        """Release the association, disconnect the link, close the stream: within seconds, and never with an error."""
        with self._lock:
            try:
                self._release()
            finally:
                self._let_go("closed by the caller")
                self._state = "closed by the caller; call reconnect()"

    def abort(self) -> None:
        """Close the stream at once, without a word to the meter; a call that waits elsewhere ends with an error.

        One that is still opening the stream ends once that is done, or at ``connect_timeout``.
        """
        self._aborted = True
        if self._lock.acquire(blocking=False):
            try:
                self._let_go("aborted by the caller")
            finally:
                self._lock.release()
            return
        # The session belongs to whoever has the lock; that one finds the stream ended and gives it up.
        stream = self._stream
        if stream is not None:
            getattr(stream, "wake", stream.close)()

    # Asking

    def listen(self, seconds: float) -> None:
        """Wait for pushes; ``on_notification`` gets them. They are also taken whenever an answer is waited for."""
        with self._lock:
            session, now = self._begin()
            self._give_up = self._latest = now + seconds
            self._exchange(session, idle=True)

    def run(self, procedure: Procedure[_T]) -> _T:
        """Carry out a procedure (a generator of requests; see ``cosemic.cosem.procedures``)."""
        try:
            request = next(procedure)
            while True:
                try:
                    result = self.request(request)
                except ServiceError as error:
                    request = procedure.throw(error)
                else:
                    request = procedure.send(result)
        except StopIteration as stop:
            return cast("_T", stop.value)

    def request(self, request: Request) -> Result:
        """Send one request as it is and wait for its result; refusals are in the result, not raised."""
        if self._by_short_names:
            self._before_read(request)
        with self._lock:
            session, now = self._begin()
            session.request(request, now, self._demands(request))
            outcome = self._exchange(session)
        assert isinstance(outcome, Completed)
        return outcome.result

    def _before_read(self, request: Request) -> None:
        """With short names: read the object list if it is needed, and deal with what came since the last exchange.

        Its answers carry no invoke id, so what lies there already must not be taken for the answer to what comes now.
        """
        names = self._names_first(request)
        if names is not None:
            self.run(names)
        with self._lock:
            if getattr(self._stream, "has_octets", False):
                session, now = self._begin()
                self._give_up = now + 0.01
                self._exchange(session, idle=True)

    # What waits

    def _connect(self) -> None:
        self._aborted = False
        try:
            stream = self._open_ready()
            if self._recovers_counter:
                stream = self._recover(stream)
            session = self._begin_session(self._clock or clock_of(stream))
            _, now = self._begin()
            session.connect(now)
            self._exchange(session)
        finally:
            if self._associated is None:
                self._release()
                self._let_go("connecting failed")

    def _open_ready(self) -> BlockingStream:
        stream = self._stream = self._open()
        self._check_not_aborted()
        if self.connect_delay:
            system_time.sleep(self.connect_delay)
            self._check_not_aborted()
        return stream

    def _recover(self, stream: BlockingStream) -> BlockingStream:
        """Read the counter that the meter saw last as the public client; where we can, go on with a new stream."""
        security, source = self._settings.security, self._counter_source
        assert security is not None
        reader = BlockingConnection(
            cast("BlockingStream", LentStream(stream)),
            client_sap=source.client_sap,
            server_sap=self._settings.server_sap,
            framing=self._link_options.framing,
            timeout=self.timeout,
            use_rlrq=self._settings.use_rlrq,
            tolerances=self._settings.tolerances,
            trace=self.trace,
            clock=self._clock,
        )
        reader._as_public_client_of(self)
        try:
            with reader:
                counter = reader.run(read_invocation_counter(source))
        except DlmsError as error:
            self._check_not_aborted()
            raise not_read(source, error) from error
        security.go_on_above(counter)
        self._check_not_aborted()
        if not self._opens_anew:
            return stream
        self._let_go("the counter was read")
        return self._open_ready()

    def _open(self) -> BlockingStream:
        way = self._way
        if self._target is None and not callable(way):
            self._use_once()
            return cast("BlockingStream", way)
        try:
            if isinstance(way, BlockingLine):
                return way.open_for(self._settings.tolerances)
            if self._target is None or callable(way):
                return cast("Opener", way)()
            return open_blocking_stream(
                self._target, timeout=self.connect_timeout, tolerances=self._settings.tolerances
            )
        except LinkError:
            raise
        except TimeoutError as error:
            raise LinkTimeout(f"{self._name} did not take the connection within {self.connect_timeout:g} s") from error
        except OSError as error:
            raise LinkLost(f"cannot open {self._name}: {error}") from error

    def _release(self) -> None:
        """Say goodbye where there is somebody; what goes wrong with that is of no interest any more."""
        if self._session is None or self._exchanging:
            return
        session, now = self._begin()
        self._give_up = self._latest = now + min(CLOSE_TIMEOUT, self.timeout)
        try:
            if self._associated is None:
                session.link.disconnect(now)
                self._farewell(session)
            else:
                session.release(now)
                self._exchange(session)
        except (DlmsError, OSError) as error:
            logger.debug("while closing: %s", error)

    def _farewell(self, session: ClientSession) -> None:
        stream = self._stream
        if stream is not None and (data := session.data_to_send()):
            stream.send(data, self._give_up)

    def _exchange(self, session: ClientSession, *, idle: bool = False) -> Outcome | None:
        """Write and read until the exchange is over; interrupted in any way, the session is out of step and closed."""
        self._in_step = idle
        self._exchanging = True
        try:
            return self._pump(session, idle)
        except OSError as error:
            self._in_step = False
            if isinstance(error, LinkError) and not self._aborted:
                raise
            raise self._broken(error) from error
        finally:
            self._exchanging = False
            if not self._in_step:
                self._let_go("an exchange was interrupted")

    def _pump(self, session: ClientSession, idle: bool) -> Outcome | None:
        stream, clock = self._stream, self._clock
        if stream is None or clock is None:
            raise LocalProtocolError(self._state)
        received = over = False
        now = 0.0
        while True:
            outcome = self._outcome(session.events())
            data = session.data_to_send()
            if received and not idle and (data or (outcome is None and session.take_progress())):
                self._renew(clock())
            while data:
                try:
                    stream.send(data, self._give_up)
                except OSError:
                    if outcome is None:
                        raise
                data = session.data_to_send() if self._link_options.datagram else b""
            if outcome is not None:
                return self._finish(outcome)
            if over or (received and now >= self._give_up):  # what never stops to come has an end too
                if idle:
                    return None
                raise self._overdue()
            try:
                data = stream.receive(self._deadline(session))
            except TimeoutError:
                now = clock()
                session.on_time(now)
                over, received = now >= self._give_up, False
                continue
            if data:
                now = clock()
                session.receive_data(data, now)
                received = True
            else:
                session.end_of_stream(clock())
                outcome = None if self._aborted else self._outcome(session.events())
                return self._finish(outcome or self._ended())

    def _let_go(self, reason: str) -> None:
        in_order = self._is_in_order
        if self._session is not None:
            self._give_up_session(reason)
        stream, self._stream = self._stream, None
        if stream is not None:
            (stream.close if in_order else getattr(stream, "abandon", stream.close))()
