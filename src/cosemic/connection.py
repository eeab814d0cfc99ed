"""What both clients share: how a connection is described, its session, and what the session's events mean. No I/O.

``Connection`` is the base of ``cosemic.async_connection`` and ``cosemic.blocking_connection``, where the waiting is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from cosemic.cosem.access import MeterCache, Obis, Procedure
from cosemic.cosem.invocation_counter import CounterSource
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.procedures import read_objects, read_objects_by_short_names, read_short_names
from cosemic.cosem.rights import demands_on, has_demands
from cosemic.enums import AuthenticationMechanism, Conformance, Referencing
from cosemic.errors import LinkError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link_options import LinkOptions, both_ways, framing_of, gateway_of, target_of, with_tls
from cosemic.obis import ObisCode
from cosemic.protocol.association import Trace
from cosemic.protocol.events import (
    Associated,
    AssociationParameters,
    ClientEvent,
    Completed,
    Failed,
    Notified,
    Released,
)
from cosemic.protocol.requests import Access, Action, Get, Request, Set
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import LOGICAL_NAME_ASSOCIATION, ClientSettings, HlsFunction
from cosemic.protocol.states import State
from cosemic.protocol.terms import NO_DEMANDS, Demands
from cosemic.tolerances import DEFAULT, Tolerance
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.targets import Framing, Target, parse_url

if TYPE_CHECKING:
    from cosemic.security.context import SecurityContext, SecurityPolicy

logger = logging.getLogger("cosemic.client")

_Way = TypeVar("_Way")
Outcome: TypeAlias = Associated | Completed | Released | Failed

CLOSE_TIMEOUT = 3.0
"""Seconds that a polite end (RLRQ, DISC) may take."""


class Connection(Generic[_Way]):
    """The settings of a connection and its session; ``cosemic.client.DlmsClient`` says what the arguments mean."""

    __slots__ = (
        "__weakref__",
        "_aborted",
        "_allowance",
        "_associated",
        "_began",
        "_by_short_names",
        "_clock",
        "_counter_source",
        "_exchange_limit",
        "_exchanging",
        "_give_up",
        "_in_step",
        "_latest",
        "_link_options",
        "_rights",
        "_session",
        "_settings",
        "_state",
        "_target",
        "_used",
        "_way",
        "cache",
        "connect_delay",
        "connect_timeout",
        "on_notification",
        "timeout",
        "trace",
    )

    def __init__(
        self,
        way: str | Target | _Way,
        *,
        client_sap: int = 16,
        server_sap: int = 1,
        physical_address: int | None = None,
        authentication: AuthenticationMechanism | int = AuthenticationMechanism.NONE,
        password: str | bytes | None = None,
        security: SecurityContext | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        response_timeout: float | None = None,
        inter_octet_timeout: float | None = None,
        retries: int = 3,
        exchange_limit: float = 3600.0,
        connect_delay: float = 0.0,
        framing: Framing | str | None = None,
        information_size: int | tuple[int, int] = 128,
        window: int | tuple[int, int] = 1,
        address_size: int | None = None,
        max_pdu_size: int = 0xFFFF,
        block_transfer_window: int | None = None,
        conformance: Conformance | None = None,
        user_id: int | None = None,
        pre_established: bool = False,
        pre_established_pdu_size: int = 0xFFFF,
        use_rlrq: bool = True,
        push_policy: SecurityPolicy | int = 0,
        high_priority: bool = True,
        confirmed: bool = True,
        hls_function: HlsFunction | None = None,
        counter_source: CounterSource | None = None,
        association_object: ObisCode | str = LOGICAL_NAME_ASSOCIATION,
        referencing: Referencing | str = Referencing.LOGICAL_NAME,
        tolerances: frozenset[Tolerance] = DEFAULT,
        cache: MeterCache | None = None,
        on_notification: Callable[[Notified], object] | None = None,
        trace: Trace | None = None,
        clock: Callable[[], float] | None = None,
        tls: TlsSettings | None = None,
        gateway: tuple[int, bytes | str] | None = None,
        broadcast: bool = False,
    ) -> None:
        for name, seconds in (
            ("timeout", timeout),
            ("connect_timeout", connect_timeout),
            ("exchange_limit", exchange_limit),
            ("response_timeout", response_timeout),
            ("inter_octet_timeout", inter_octet_timeout),
        ):
            if seconds is not None and not 0 < seconds < 1e9:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds}")
        if not 0 <= retries <= 100:
            raise ValueError(f"retries is a number from 0 to 100, not {retries}")
        if not 0 <= connect_delay < 1e6:
            raise ValueError(f"connect_delay is a number of seconds, not {connect_delay}")
        self._way = way
        self._used = False
        target = parse_url(way) if isinstance(way, str) else way if isinstance(way, Target) else target_of(way)
        self._target = target if tls is None else with_tls(way, target, tls)
        how = framing_of(way, self._target, framing)
        bus_address = 0 if self._target is None else self._target.mbus_address
        if how is Framing.MBUS and physical_address is not None:
            bus_address, physical_address = physical_address, None
        self._link_options = LinkOptions(
            framing=how,
            datagram=self._target is not None and self._target.is_datagram,
            bit_rate=None if self._target is None else self._target.bit_rate,
            physical_address=physical_address,
            address_size=address_size,
            information_size=both_ways(information_size),
            window=both_ways(window),
            response_timeout=response_timeout,
            inter_octet_timeout=inter_octet_timeout,
            retries=retries,
            mbus_address=bus_address,
            gateway=None if gateway is None else gateway_of(*gateway),
            broadcast=broadcast,
        )
        self._link_options.check(client_sap, server_sap)
        self.cache = MeterCache() if cache is None else cache
        self._by_short_names = _referencing(referencing) is Referencing.SHORT_NAME
        if self._by_short_names and self._link_options.datagram:
            raise ValueError(
                "short names need a connection: a Read answer carries no invoke id, so over UDP one that comes late or "
                "twice would be taken for the answer to another request"
            )
        self._settings = ClientSettings(
            client_sap=client_sap,
            server_sap=server_sap,
            mechanism=AuthenticationMechanism(authentication),
            password=password.encode() if isinstance(password, str) else password,
            security=security,
            conformance=conformance,
            max_pdu_size=max_pdu_size,
            block_transfer_window=block_transfer_window,
            user_id=user_id,
            association_object=ObisCode.parse(association_object),
            pre_established=pre_established or broadcast,
            broadcast=broadcast,
            pre_established_pdu_size=pre_established_pdu_size,
            use_rlrq=use_rlrq,
            push_policy=push_policy,
            high_priority=high_priority,
            confirmed=confirmed and not broadcast,
            referencing=_referencing(referencing),
            short_names=self.cache.short_names if self._by_short_names else None,
            hls_function=hls_function,
            tolerances=tolerances,
        )
        self._counter_source = CounterSource() if counter_source is None else counter_source
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.connect_delay = connect_delay
        self.on_notification = on_notification
        self.trace = trace
        self._exchange_limit = exchange_limit
        self._allowance = timeout
        self._clock: Callable[[], float] | None = clock
        self._session: ClientSession | None = None
        self._associated: AssociationParameters | None = None
        self._state = "not connected yet; call connect(), or use the client in a with statement"
        self._rights: dict[tuple[int, ObisCode], ObjectEntry] = {}
        self._in_step = True
        self._exchanging = False
        self._aborted = False
        self._began = 0.0
        self._give_up = 0.0
        self._latest = 0.0
        self._prepare()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}: {self._state}>"

    @property
    def association(self) -> AssociationParameters:
        """What both sides agreed on when the association was opened; LocalProtocolError while there is none."""
        if self._associated is None:
            raise LocalProtocolError(self._state)
        return self._associated

    @property
    def is_connected(self) -> bool:
        """Whether an association is open, as far as is known."""
        return self._associated is not None

    def use_object_list(self, entries: Iterable[ObjectEntry]) -> None:
        """Keep to the access rights of an object list that this client was given before; ``objects()`` does so itself.

        A request whose right demands protection is protected so, and its response has to be; where that cannot be, it
        is a LocalProtocolError before anything is sent. An empty list forgets all rights: for a meter whose list
        demands what it does not mean.
        """
        self._rights = {(entry.class_id, entry.obis): entry for entry in entries if has_demands(entry)}

    @property
    def _security(self) -> SecurityContext:
        """The keys in use; LocalProtocolError where there are none."""
        if self._settings.security is None:
            raise LocalProtocolError("this client has no keys: give it a SecurityContext (security=...)")
        return self._settings.security

    @property
    def _server_title(self) -> bytes:
        """The system title of the meter; LocalProtocolError while it is not known."""
        title = self.association.peer_system_title or self._security.peer_system_title
        if title is None:
            raise LocalProtocolError("the meter's system title is not known; give it (peer_system_title)")
        return title

    def _demands(self, request: Request) -> Demands:
        """What the access rights demand of a request and of its response."""
        return demands_on(request, self._rights) if self._rights else NO_DEMANDS

    @property
    def _name(self) -> str:
        way = "stream" if self._target is None else str(self._target)
        return f"{way} (client {self._settings.client_sap}, server {self._settings.server_sap})"

    @property
    def _opening_timeout(self) -> float:
        return self.connect_timeout + (0.0 if self._target is None else self._target.opening_time)

    def _prepare(self) -> None:
        """What a client needs besides; called once."""

    @property
    def _recovers_counter(self) -> bool:
        """Whether the invocation counter is looked up through the public client before an association is opened."""
        security = self._settings.security
        if self._settings.broadcast:  # there is nobody to ask
            return False
        return security is not None and security.has_keys and security.counter_recovery.value == "from-public-client"

    @property
    def _opens_anew(self) -> bool:
        """Whether a second association gets a stream of its own. Many meters end a connection with the first one."""
        target = self._target
        return callable(self._way) if target is None else target.scheme not in ("serial", "udp")

    def _as_public_client_of(self, other: Connection[_Way]) -> None:
        """Have the link of another connection: same framing, same addresses but the client's, same times."""
        self._link_options = other._link_options
        self._link_options.check(self._settings.client_sap, self._settings.server_sap)

    # The course of an exchange; the pump calls these between its waits.

    def _use_once(self) -> None:
        if self._used:
            raise LocalProtocolError("a stream is used once; to reconnect, give a function that opens one")
        self._used = True

    def _begin_session(self, clock: Callable[[], float]) -> ClientSession:
        """A new session; its link is not connected yet."""
        settings, options = self._settings, self._link_options
        link = options.make_link(settings.client_sap, settings.server_sap, self.timeout, settings.tolerances)
        self._allowance = options.allowance(self.timeout)
        self._clock = clock
        self._associated = None
        self._session = ClientSession(link, settings, datagram=options.datagram, trace=self.trace)
        return self._session

    def _begin(self) -> tuple[ClientSession, float]:
        """The session, ready for something new, and the time. The budgets start here."""
        session, clock = self._session, self._clock
        if session is None or clock is None:
            raise LocalProtocolError(f"not connected: {self._state}")
        if self._exchanging:
            raise LocalProtocolError("an exchange is going on: on_notification must not ask the meter for anything")
        now = clock()
        self._began = now
        self._give_up = now + self._allowance
        self._latest = now + self._exchange_limit
        return session, now

    def _renew(self, now: float) -> None:
        """The peer made us go on (a block, a segment): the time for the next answer starts again, within limits."""
        self._give_up = min(now + self._allowance, self._latest)

    def _deadline(self, session: ClientSession) -> float:
        deadline = session.next_deadline()
        give_up = self._give_up
        return give_up if deadline is None or give_up < deadline else deadline

    def _overdue(self) -> LinkTimeout:
        """The error when the whole time for an answer is over; the link's own time-outs come before."""
        return LinkTimeout(f"no complete answer within {self._give_up - self._began:.3g} s from {self._name}")

    def _outcome(self, events: list[ClientEvent]) -> Outcome | None:
        """Go through events of the session; what ends the exchange is returned."""
        outcome: Outcome | None = None
        for event in events:
            if isinstance(event, Notified):
                self._notify(event)
            elif type(outcome) is not Failed:
                outcome = event
        return outcome

    def _finish(self, outcome: Outcome) -> Outcome:
        """The exchange is over and everything is sent: note what it means, or raise its error."""
        if type(outcome) is Failed:
            self._in_step = not outcome.fatal
            if outcome.fatal:
                self._give_up_session(str(outcome.error))
            raise outcome.error
        self._in_step = True
        if type(outcome) is Associated:
            self._associated = outcome.parameters
            self._state = "connected"
        return outcome

    def _check_not_aborted(self) -> None:
        """LinkLost after ``abort`` while the connection was still being opened."""
        if self._aborted:
            raise LinkLost(f"connection to {self._name} ended: aborted by the caller")

    def _ended(self) -> Failed:
        """What it means when the stream has ended and the session does not say."""
        if self._aborted:
            return Failed(LinkLost(f"connection to {self._name} ended: aborted by the caller"), True)
        return Failed(LinkLost(f"connection to {self._name} ended: {self._state}"), True)

    def _broken(self, error: OSError) -> LinkError:
        """What an error of the stream is in our tree."""
        if self._aborted:
            return LinkLost(f"connection to {self._name} ended: aborted by the caller")
        if isinstance(error, LinkError):
            return error
        if self._session is None:
            return LinkLost(f"connection to {self._name} ended: {self._state}")
        if isinstance(error, TimeoutError):
            return LinkTimeout(f"{self._name} did not take what was sent in time")
        return LinkLost(f"connection to {self._name} lost: {error.strerror or error or type(error).__name__}")

    def _notify(self, event: Notified) -> None:
        if self.on_notification is None:
            logger.info("%s from the meter dropped: there is no on_notification", type(event.apdu).__name__)
            return
        try:
            self.on_notification(event)
        except Exception:
            logger.exception("on_notification failed")  # the exchange under way has nothing to do with it

    def _give_up_session(self, reason: str) -> None:
        """The session cannot be used any more; what was reserved for it (counters) is given back."""
        session, self._session = self._session, None
        self._associated = None
        if session is not None:
            self._state = f"closed ({reason}); call reconnect()"
            session.abort()

    def _names_first(self, request: Request) -> Procedure[object] | None:
        """What has to be done before a request can be sent: with short names, reading the object list once."""
        if not self._by_short_names or self._associated is None or isinstance(request, Access):
            return None
        if self.cache.short_names.knows(request):
            return None
        return read_short_names(self.cache.short_names)

    def _object_list(self, association: Obis) -> Procedure[list[ObjectEntry]]:
        """How the object list is read."""
        if self._by_short_names:
            return read_objects_by_short_names(cache=self.cache)
        return read_objects(association, cache=self.cache)

    @property
    def _is_in_order(self) -> bool:
        """Whether the association is over and nothing of it is under way any more."""
        return self._in_step and self._session is not None and self._session.state is State.IDLE

    def preview(self, request: Get | Set | Action) -> bytes:
        """The first APDU that a request would send now, before protection; nothing is sent and nothing is counted.

        LocalProtocolError for what cannot be sent, as without a connection.
        """
        if self._session is None:
            raise LocalProtocolError(self._state)
        return self._session.preview(request, self._demands(request))

    @property
    def with_list(self) -> bool:
        """Whether the meter agreed to several attributes in one request."""
        associated = self._associated
        return associated is not None and Conformance.MULTIPLE_REFERENCES in associated.conformance


class LentStream:
    """A stream of either form that its user cannot close, for something done on it in between."""

    __slots__ = ("_stream",)

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        if name == "wait_closed":
            raise AttributeError(name)
        return getattr(self._stream, name)

    def close(self) -> None:
        """Nothing: the owner closes it."""


def _referencing(value: Referencing | str) -> Referencing:
    try:
        return Referencing(value)
    except ValueError:
        raise ValueError(f"referencing is 'ln' or 'sn', not {value!r}") from None
