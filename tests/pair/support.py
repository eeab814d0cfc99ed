"""A client session and a server session joined without I/O, with a dict of attributes for a meter."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from cosemic.apdu.services import (
    AccessGet,
    AccessSet,
    AccessSpecification,
    ActionOutcome,
    AttributeDescriptor,
    MethodDescriptor,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, AuthenticationMechanism, DataAccessResult, Role
from cosemic.link.addresses import HdlcAddress
from cosemic.link.hdlc import HdlcLink
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.wrapper import WrapperLink
from cosemic.obis import ObisCode
from cosemic.protocol.events import Associated, Completed, Failed, Released, Requested
from cosemic.protocol.requests import (
    Access,
    AccessResult,
    AccessResults,
    Action,
    ActionResults,
    Get,
    GetResults,
    Request,
    Result,
    Set,
    SetResults,
)
from cosemic.protocol.server_session import ServerSession
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters

ENCRYPTION_KEY = bytes(range(16))
AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))
CLIENT_TITLE = b"COS\x00\x00\x00\x00\x02"
METER_TITLE = b"COS\x00\x00\x00\x00\x01"

ENERGY = ObisCode(1, 0, 1, 8, 0, 255)
PROFILE = ObisCode(1, 0, 99, 1, 0, 255)
CLOCK = ObisCode(0, 0, 1, 0, 0, 255)
ECHO = ObisCode(0, 0, 96, 50, 0, 255)
"""Method 1 gives its parameters back."""

ROWS = axdr.array(*(axdr.structure(axdr.long_unsigned(row), axdr.double_long_unsigned(row * 7)) for row in range(200)))


_WITHOUT_PASSWORD = (
    AuthenticationMechanism.NONE,
    AuthenticationMechanism.HLS_GMAC,
    AuthenticationMechanism.HLS_ECDSA,
)


def security(title: bytes, policy: str = "authenticated-encrypted", **options: object) -> SecurityContext:
    options.setdefault("counters", MemoryCounters())
    return SecurityContext(0, title, ENCRYPTION_KEY, AUTHENTICATION_KEY, policy, **options)  # type: ignore[arg-type]


def client_settings(mechanism: AuthenticationMechanism, context: SecurityContext | None = None, **options):
    if mechanism not in _WITHOUT_PASSWORD:
        options.setdefault("password", b"12345678")
    if mechanism == AuthenticationMechanism.HLS:
        options.setdefault("hls_function", swap)
    return ClientSettings(mechanism=mechanism, security=context, **options)


def server_settings(mechanism: AuthenticationMechanism, context: SecurityContext | None = None, **options):
    if mechanism not in _WITHOUT_PASSWORD:
        options.setdefault("secret", b"12345678")
    if mechanism == AuthenticationMechanism.HLS:
        options.setdefault("hls_function", swap)
    return ServerSettings(client_sap=16, mechanism=mechanism, security=context, **options)


def swap(secret: bytes, challenge: bytes) -> bytes:
    """A mechanism 2 of nobody."""
    return bytes(a ^ b for a, b in zip(challenge, itertools.cycle(secret), strict=False))[::-1]


class Application:
    """What stands in for the meter's objects."""

    def __init__(self) -> None:
        self.attributes: dict[tuple[int, ObisCode, int], Data] = {
            (3, ENERGY, 2): Data.of(axdr.double_long_unsigned(12345)),
            (3, ENERGY, 3): Data.of(axdr.structure(axdr.integer(0), axdr.enum(30))),
            (7, PROFILE, 2): Data.of(ROWS),
            (1, ECHO, 2): Data.of(axdr.octet_string(b"")),
        }
        self.requests: list[Requested] = []

    def answer(self, request: Request) -> Result:
        if isinstance(request, Get):
            return GetResults(tuple(self._get(attribute) for attribute, _ in request.items))
        if isinstance(request, Set):
            pairs = zip(request.items, request.values, strict=True)
            return SetResults(tuple(self._set(attribute, value) for (attribute, _), value in pairs))
        if isinstance(request, Access):
            return AccessResults(tuple(map(self._access, request.items, request.data)))
        calls = zip(request.items, request.parameters, strict=True)
        return ActionResults(tuple(self._action(method, parameters) for method, parameters in calls))

    def _access(self, item: AccessSpecification, data: Data | None) -> AccessResult:
        if isinstance(item, AccessGet):
            read = self._get(item.attribute)
            return AccessResult(0, read) if isinstance(read, Data) else AccessResult(read)
        if isinstance(item, AccessSet):
            return AccessResult(self._set(item.attribute, data or Data.of(None)))
        outcome = self._action(item.method, data)
        return AccessResult(outcome.result, outcome.return_parameters)

    def _get(self, attribute: AttributeDescriptor) -> Data | DataAccessResult:
        key = (attribute.class_id, attribute.instance, attribute.attribute)
        return self.attributes.get(key, DataAccessResult.OBJECT_UNDEFINED)

    def _set(self, attribute: AttributeDescriptor, value: Data) -> DataAccessResult:
        key = (attribute.class_id, attribute.instance, attribute.attribute)
        if key not in self.attributes:
            return DataAccessResult.READ_WRITE_DENIED
        self.attributes[key] = value
        return DataAccessResult.SUCCESS

    def _action(self, method: MethodDescriptor, parameters: Data | None) -> ActionOutcome:
        if method.instance != ECHO:
            return ActionOutcome(ActionResult.OBJECT_UNDEFINED, None)
        return ActionOutcome(ActionResult.SUCCESS, parameters)


def links(kind: str, **options):
    """The two ends of a link: "wrapper" or "hdlc"."""
    if kind == "wrapper":
        return (
            WrapperLink(Role.CLIENT, source=16, destination=1),
            WrapperLink(Role.SERVER, source=1, destination=None),
        )
    client, server = HdlcAddress(16), HdlcAddress(1, 17)
    parameters = options.get("parameters", HdlcParameters())
    timers = HdlcTimers(response_timeout=1.0, retries=5)
    return (
        HdlcLink(Role.CLIENT, destination=server, source=client, parameters=parameters, timers=timers),
        HdlcLink(Role.SERVER, destination=client, source=server, parameters=parameters, timers=timers),
    )


Cut = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def octets(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


class Pair:
    """Client and server with a perfect line between them; ``cut`` says how the octets are split on the way."""

    def __init__(
        self,
        client: ClientSettings,
        server: ServerSettings | None,
        kind: str = "wrapper",
        *,
        cut: Cut = whole,
        **options: object,
    ) -> None:
        self.now = 0.0
        self.cut = cut
        self.application = Application()
        self.events: list[object] = []
        self.server_events: list[object] = []
        client_link, server_link = links(kind, **options)
        self.client = ClientSession(client_link, client)
        self.server = ServerSession(server_link, lambda sap: server if sap == 16 else None)
        self.server.start(0.0)
        self.octets = 0

    def pump(self) -> None:
        """Let octets go to and fro, and the time pass, until nothing happens any more."""
        for _ in range(100_000):
            moved = self._to_server() | self._to_client()
            if moved:
                continue
            deadline = self.client.next_deadline()
            if deadline is None or self._is_done():
                return
            self.now = max(self.now, deadline)
            self.client.on_time(self.now)
            self.server.on_time(self.now)
            self._collect()
        raise AssertionError("the pair does not come to rest")

    def do(self, request: Request) -> Result | Failed:
        """Send one request and give what became of it."""
        self.events.clear()
        self.client.request(request, self.now)
        self._collect()
        self.pump()
        ends = [event for event in self.events if isinstance(event, Completed | Failed)]
        assert len(ends) == 1, self.events
        return ends[0].result if isinstance(ends[0], Completed) else ends[0]

    def connect(self) -> Associated | Failed:
        self.events.clear()
        self.client.connect(self.now)
        self._collect()
        self.pump()
        ends = [event for event in self.events if isinstance(event, Associated | Failed)]
        assert len(ends) == 1, self.events
        return ends[0]

    def release(self) -> object:
        self.events.clear()
        self.client.release(self.now)
        self._collect()
        self.pump()
        ends = [event for event in self.events if isinstance(event, Released | Failed)]
        assert len(ends) == 1, self.events
        return ends[0]

    def _is_done(self) -> bool:
        return any(isinstance(event, Associated | Completed | Failed | Released) for event in self.events)

    def _to_server(self) -> bool:
        data = self.client.data_to_send()
        self.octets += len(data)
        for part in self.cut(data) if data else ():
            self.server.receive_data(part, self.now)
            self._serve()
        return bool(data)

    def _to_client(self) -> bool:
        data = self.server.data_to_send()
        self.octets += len(data)
        for part in self.cut(data) if data else ():
            self.client.receive_data(part, self.now)
            self._collect()
        return bool(data)

    def _serve(self) -> None:
        for event in self.server.events():
            self.server_events.append(event)
            if isinstance(event, Requested):
                self.application.requests.append(event)
                result = self.application.answer(event.request)
                if event.confirmed:
                    self.server.respond(result, self.now)

    def _collect(self) -> None:
        self.events += self.client.events()


def get(*items: tuple[int, ObisCode, int]) -> Get:
    return Get(tuple((AttributeDescriptor(*item), None) for item in items))


def set_(*items: tuple[int, ObisCode, int, object]) -> Set:
    return Set(
        tuple((AttributeDescriptor(*item[:3]), None) for item in items), tuple(Data.of(item[3]) for item in items)
    )


def action(*items: tuple[int, ObisCode, int, object]) -> Action:
    return Action(
        tuple(MethodDescriptor(*item[:3]) for item in items),
        tuple(None if item[3] is None else Data.of(item[3]) for item in items),
    )
