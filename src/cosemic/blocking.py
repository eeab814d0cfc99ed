"""The blocking client, for scripts and threads; the same methods as ``cosemic.client.DlmsClient`` without await."""

from __future__ import annotations

import threading
import time as system_time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar, cast, overload

from cosemic.apdu.services import SelectiveAccess
from cosemic.blocking_objects import LiveObject
from cosemic.codec.axdr import Data, Typed, Value
from cosemic.connection import CLOSE_TIMEOUT, Connection, LentStream, Outcome, logger
from cosemic.cosem import procedures, security_setup
from cosemic.cosem.access import GetItem, ItemResult, Obis, Procedure
from cosemic.cosem.invocation_counter import CounterSource, not_read, read_invocation_counter
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.objects import Key, read_units
from cosemic.cosem.procedures import CLOCK, CURRENT_ASSOCIATION
from cosemic.cosem.profile import Profile
from cosemic.cosem.profile_reading import read_profile
from cosemic.cosem.security_setup import SETUP
from cosemic.cosem.selection import CaptureObject, Moment
from cosemic.cosem.values import Reading
from cosemic.enums import DataAccessResult
from cosemic.errors import DlmsError, LinkError, LinkLost, LinkTimeout, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.protocol.events import Completed
from cosemic.protocol.requests import Action, Get, Request, Result, Set
from cosemic.protocol.session import ClientSession
from cosemic.security.keys import SecurityContext
from cosemic.times import CosemDateTime
from cosemic.transports.streams import BlockingStream, clock_of, open_blocking_stream
from cosemic.transports.targets import Target

if TYPE_CHECKING:
    from cosemic.enums import CertificateType
    from cosemic.security.certificate_store import CertificateInfo, Identification
    from cosemic.security.certificates import Certificate
    from cosemic.security.ec import PrivateKey
    from cosemic.security.issuing import CertificateRequest
    from cosemic.security.suites import KeyId, SecurityPolicy

_T = TypeVar("_T")
_Opener: TypeAlias = Callable[[], BlockingStream]


class DlmsClient(Connection[BlockingStream | _Opener]):
    """A client of one logical device of a meter, for scripts and threads.

    ``way`` is a URL (see ``cosemic.transports.targets``), a connected ``BlockingStream`` of your own, or a function
    that opens one; for the latter two ``framing`` says "wrapper" or "hdlc".

    ``timeout`` is the time for one answer with all its repetitions, in seconds; a long answer gets it again for each
    block, up to ``exchange_limit``. ``response_timeout`` is the time until a frame is asked for again (``timeout``
    shared among the tries by default), ``retries`` how often; ``connect_timeout`` bounds the opening of the stream,
    ``connect_delay`` is a pause after it (GSM modems). HDLC takes ``physical_address``, ``address_size`` (octets),
    ``information_size`` and ``window`` (one number, or (transmit, receive)) and ``inter_octet_timeout``.

    ``referencing`` "sn" is for meters with short names: all methods are the same, the object list is read before the
    first request that needs it (into ``cache.short_names``).

    ``block_transfer_window`` asks for answers in general blocks, so many in one go (1 to 63; 0 for none at all),
    ``push_policy`` the least protection that a push must have to be told of.

    One exchange at a time: calls from several threads queue. After an error of the line, a time-out or an interrupted
    exchange the client is closed, and calls say so until ``reconnect()``; after a ``ServiceError`` it goes on.
    """

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

    # Services

    @overload
    def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: Literal[False] = False,
    ) -> Value: ...

    @overload
    def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: Literal[True],
    ) -> Typed: ...

    def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: bool = False,
    ) -> Value | Typed:
        """Read an attribute as plain Python, or with its types; DataAccessError when the meter refuses."""
        request = procedures.get_request(class_id, obis, attribute, access)
        data = procedures.got(request, self.request(request), self.cache)
        return data.typed if typed else data.value

    def get_list(self, items: Iterable[GetItem]) -> Iterator[ItemResult]:
        """Read several attributes at once; each result has ``value`` or ``error``."""
        yield from self.run(procedures.get_list(items, with_list=self.with_list, cache=self.cache))

    def set(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        value: Typed | Data | None,
        access: SelectiveAccess | None = None,
        *,
        check: bool = True,
    ) -> DataAccessResult | int:
        """Write an attribute. DataAccessError when the meter refuses; with ``check`` False its code is returned."""
        return self.run(
            procedures.set_attribute(class_id, obis, attribute, value, access, check=check, cache=self.cache)
        )

    def action(self, class_id: int, obis: Obis, method: int, parameters: Typed | Data | None = None) -> Value:
        """Invoke a method; what it returns as plain Python, None without any. ActionError when the meter refuses."""
        return self.run(procedures.call_method(class_id, obis, method, parameters, cache=self.cache))

    def access(
        self,
        requests: Iterable[Get | Set | Action],
        *,
        break_on_error: bool = False,
        self_descriptive: bool = False,
    ) -> list[ItemResult]:
        """Read, write and invoke in one ACCESS, in this order; each result has ``value`` or ``error``.

        ``requests`` are ``Get.one(...)``, ``Set.one(...)`` and ``Action.one(...)`` in any mixture. With
        ``break_on_error`` the meter leaves undone what follows a failure (other-reason). LocalProtocolError where the
        meter did not agree to ACCESS when the association was opened.
        """
        return self.run(
            procedures.access(
                requests, break_on_error=break_on_error, self_descriptive=self_descriptive, cache=self.cache
            )
        )

    def read_register(self, obis: Obis, *, class_id: int | None = None) -> Reading:
        """Read a register (classes 3, 4, 5) as an exact value with its unit."""
        return self.run(procedures.read_register(obis, class_id=class_id, with_list=self.with_list, cache=self.cache))

    def read_clock(self, obis: Obis = CLOCK, *, zone: tzinfo | None = None) -> datetime | CosemDateTime:
        """The meter's time; ``zone`` for a clock whose deviation is not specified."""
        return self.run(procedures.read_clock(obis, zone=zone, cache=self.cache))

    def set_clock(self, time: Moment, obis: Obis = CLOCK) -> None:
        """Set the meter's time: an aware datetime in the meter's own zone, or a CosemDateTime."""
        self.run(procedures.set_clock(time, obis, cache=self.cache))

    def objects(self, association: Obis = CURRENT_ASSOCIATION, *, units: bool = False) -> list[LiveObject]:
        """The objects that this association sees; errors name access rights from then on, and requests keep to them.

        ``units`` reads the scaler_unit of every register with them, so that each has its ``unit``.
        """
        entries = self.list_objects(association)
        if units:
            self.run(read_units(entries, with_list=self.with_list, cache=self.cache))
        return [LiveObject(self, (entry.class_id, entry.obis), entry) for entry in entries]

    def list_objects(self, association: Obis = CURRENT_ASSOCIATION) -> list[ObjectEntry]:
        """The entries of the object list as they stand there; ``objects`` makes objects of them."""
        entries = self.run(self._object_list(association))
        if ObisCode.parse(association) == CURRENT_ASSOCIATION:
            self.use_object_list(entries)
        return entries

    def __getitem__(self, key: Key) -> LiveObject:
        """One object of the meter: ``meter["1-0:1.8.0"]``, or ``meter[3, "1-0:1.8.0"]`` without an object list.

        Nothing is asked of the meter yet; ValueError for what is no OBIS code.
        """
        return LiveObject(self, key)

    def read_profile(
        self,
        obis: Obis,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        last: int | None = None,
        columns: Iterable[Obis | CaptureObject] | None = None,
        **options: Any,
    ) -> Profile:
        """Read a profile: all of it, the rows of a time range (ends included), or the ``last`` newest ones.

        Further options as for ``cosemic.cosem.profile_reading.read_profile``.
        """
        options.setdefault("with_list", self.with_list)
        options.setdefault("cache", self.cache)
        return self.run(read_profile(obis, start=start, end=end, last=last, columns=columns, **options))

    # The security setup; what its procedures promise is said in ``cosemic.cosem.security_setup``

    def activate_policy(
        self,
        request: SecurityPolicy | str,
        response: SecurityPolicy | str | None = None,
        *,
        setup: Obis = SETUP,
        version: int | None = None,
    ) -> None:
        """Have the meter demand more protection from now on, of requests and of responses, and keep to it."""
        steps = security_setup.activate_policy(
            self._security, request, response, setup=setup, version=version, cache=self.cache
        )
        self.run(steps)

    def transfer_keys(
        self,
        keys: Mapping[KeyId, bytes | str],
        master_key: bytes | str | None = None,
        *,
        setup: Obis = SETUP,
        confirm: bool = True,
    ) -> None:
        """Give the meter new keys, wrapped with the master key, and go on with them once it took them."""
        steps = security_setup.transfer_keys(
            self._security, keys, master_key, setup=setup, confirm=confirm, cache=self.cache
        )
        self.run(steps)

    def agree_keys(
        self,
        key_ids: Iterable[KeyId],
        *,
        signing_key: PrivateKey | None = None,
        peer_signing_key: bytes | None = None,
        setup: Obis = SETUP,
        confirm: bool = True,
    ) -> dict[KeyId, bytes]:
        """Agree on new keys with the meter (suites 1 and 2), and go on with them; keep what is returned."""
        steps = security_setup.agree_keys(
            self._security,
            key_ids,
            self._server_title,
            signing_key=signing_key,
            peer_signing_key=peer_signing_key,
            setup=setup,
            confirm=confirm,
            cache=self.cache,
        )
        return self.run(steps)

    def generate_key_pair(self, purpose: CertificateType, *, setup: Obis = SETUP) -> None:
        """Have the meter make a new key pair."""
        self.run(security_setup.generate_key_pair(purpose, setup=setup, cache=self.cache))

    def generate_certificate_request(self, purpose: CertificateType, *, setup: Obis = SETUP) -> CertificateRequest:
        """The meter's request for a certificate of its key pair."""
        return self.run(security_setup.generate_certificate_request(purpose, setup=setup, cache=self.cache))

    def import_certificate(self, certificate: Certificate | bytes | str, *, setup: Obis = SETUP) -> None:
        """Give the meter a certificate, DER or PEM."""
        self.run(security_setup.import_certificate(certificate, setup=setup, cache=self.cache))

    def export_certificate(self, which: Identification, *, setup: Obis = SETUP) -> Certificate:
        """A certificate that the meter holds; it is not verified."""
        return self.run(security_setup.export_certificate(which, setup=setup, cache=self.cache))

    def remove_certificate(self, which: Identification, *, setup: Obis = SETUP) -> None:
        """Have the meter remove a certificate."""
        self.run(security_setup.remove_certificate(which, setup=setup, cache=self.cache))

    def list_certificates(self, *, setup: Obis = SETUP) -> list[CertificateInfo]:
        """Which certificates the meter holds."""
        return self.run(security_setup.list_certificates(setup=setup, cache=self.cache))

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
        reader = DlmsClient(
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
            if self._target is None or callable(way):
                return cast("_Opener", way)()
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


def recover_counter(
    way: str | Target | BlockingStream | _Opener,
    security: SecurityContext,
    source: CounterSource | None = None,
    *,
    server_sap: int = 1,
    **options: Any,
) -> int:
    """Let our invocation counter go on above the last one that the meter saw, and return that one.

    It is read through an association of its own, as the public client without protection; ``options`` are those of
    DlmsClient (address, framing, times). What the meter shows is not authenticated: whoever can alter it on the way can
    use up the counters of the key, though never have one used twice. SecurityError when the object holds no counter,
    or one that would use up the key; ServiceError and AssociationRefused when the meter does not let us read it.
    """
    source = CounterSource() if source is None else source
    with DlmsClient(way, client_sap=source.client_sap, server_sap=server_sap, **options) as client:
        counter = client.run(read_invocation_counter(source))
    security.go_on_above(counter)
    return counter
