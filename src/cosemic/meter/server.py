"""Serves simulated meters: on TCP with wrapper or HDLC, on UDP, on a serial line or any stream of your own.

::

    async with MeterServer(meter) as server:
        port = await server.serve_wrapper("127.0.0.1", 0)

or, where the rest of the program does not use asyncio::

    with running(meter) as ports:
        blocking.DlmsClient(f"tcp://127.0.0.1:{ports.wrapper}")
        ports.notify(DataNotification(...), client_sap=16)
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cosemic.apdu.base import Apdu
from cosemic.errors import DlmsError, LinkError, LinkTimeout, LocalProtocolError
from cosemic.link.gateway import GatewayAddress
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.meter.connections import (
    HdlcConnection,
    MeterConnection,
    Talk,
    Trace,
    WrapperConnection,
    logger,
)
from cosemic.meter.gateway import GatewayTalk
from cosemic.meter.mbus import MbusConnection
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.networks import TcpConnection, UdpPeers
from cosemic.meter.optical import serve_optical_port
from cosemic.transports.streams import Stream, clock_of, connect_stream
from cosemic.transports.targets import Framing, parse_url
from cosemic.transports.tcp import TransportStream

if TYPE_CHECKING:
    import ssl

    from cosemic.meter.pushing import PushAgenda

_LARGE = HdlcParameters(2030, 2030, 7, 7)
_SLACK = 5.0
"""Seconds for which another thread waits for a push beyond the time that the clients have."""


class MeterServer:
    """Serves one meter, to many clients at once; every connection has associations of its own.

    A client beyond ``max_connections`` is turned away; one that stays silent for ``idle_timeout`` seconds, or does not
    take a push within ``push_timeout``, is disconnected. ``physical_address`` None answers to every HDLC address of the
    meter's logical devices; ``mbus_address`` is the primary address on an M-Bus. With ``behind``, meters by (network
    id, physical address), the meter is their gateway (prefixes E6 and E7).
    """

    def __init__(
        self,
        meter: SimulatedMeter,
        *,
        max_connections: int = 1000,
        idle_timeout: float = 600.0,
        push_timeout: float = 30.0,
        hdlc_parameters: HdlcParameters = _LARGE,
        inter_octet_timeout: float = 1.0,
        physical_address: int | None = None,
        mbus_address: int = 0,
        behind: Mapping[GatewayAddress, SimulatedMeter] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.meter = meter
        self._mbus_address = mbus_address
        self._behind = behind
        self.max_connections = max_connections
        self.idle_timeout = idle_timeout
        self.push_timeout = push_timeout
        self._hdlc_parameters = hdlc_parameters
        self._hdlc_timers = HdlcTimers(inter_octet_timeout=inter_octet_timeout, inactivity_timeout=idle_timeout)
        self._physical_address = physical_address
        self._trace = trace
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pushers: set[asyncio.Task[None]] = set()
        self._streams: dict[Stream, MeterConnection] = {}
        self._peers: list[UdpPeers] = []
        self.connections: set[asyncio.Transport] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def serve_wrapper(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve the TCP wrapper; gives the port, which the system chooses for 0."""
        return await self._listen(Framing.WRAPPER, host, port)

    async def serve_hdlc(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve HDLC over TCP; gives the port."""
        return await self._listen(Framing.HDLC, host, port)

    async def serve_optical_tcp(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> int:
        """Serve an optical port over TCP, as behind a serial server; gives the port. Options as ``serve_optical``."""

        def serve(stream: TransportStream) -> None:
            if len(self._tasks) >= self.max_connections:
                logger.warning("connection turned away: there are %d already", self.max_connections)
                stream.close()
                return
            self._serve_in_background(self.serve_optical(stream, patience=self.idle_timeout, **options))

        def accept() -> TransportStream:
            return TransportStream(serve)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(accept, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def serve_mbus(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve M-Bus frames over TCP; gives the port."""
        return await self._listen(Framing.MBUS, host, port)

    async def serve_tls(
        self, context: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0, *, framing: Framing | str = "wrapper"
    ) -> int:
        """Serve the wrapper, or HDLC, through TLS; gives the port. ``server_context`` makes a context from files."""
        return await self._listen(Framing(framing), host, port, context)

    async def serve_udp(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve the UDP wrapper; gives the port."""
        loop = asyncio.get_running_loop()
        transport, peers = await loop.create_datagram_endpoint(lambda: UdpPeers(self), local_addr=(host, port))
        self._datagrams.append(transport)
        self._peers.append(peers)
        return int(transport.get_extra_info("sockname")[1])

    async def serve_url(self, url: str) -> None:
        """Open a stream (a serial line, say) and serve on it in the background, until the server is closed."""
        target = parse_url(url)
        stream = await connect_stream(target)
        options = target.sign_on
        if options is None:
            serving = self.serve_stream(stream, framing=target.framing, mbus_address=target.mbus_address)
        else:
            serving = self.serve_optical(
                stream,
                address=options.address,
                initial_baud=options.initial_baud,
                software_parity=options.software_parity,
            )
        self._serve_in_background(serving)

    def _serve_in_background(self, serving: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve_optical(self, stream: Stream, **options: Any) -> None:
        """Serve on a stream whose clients sign on first (IEC 62056-21, mode E), until it ends.

        Options as for ``cosemic.meter.optical.serve_optical_port``: ``identification``, ``address``, ``initial_baud``,
        ``software_parity``, ``patience``, ``send_timeout`` (``idle_timeout`` here).
        """
        try:
            options.setdefault("send_timeout", self.idle_timeout)
            await serve_optical_port(stream, self._new_hdlc_connection, **options)
        except (LinkError, OSError) as error:
            logger.info("stream lost: %s", error)
        finally:
            stream.close()

    async def serve_stream(
        self, stream: Stream, *, framing: Framing | str = Framing.HDLC, mbus_address: int | None = None
    ) -> None:
        """Serve on a stream until it ends."""
        framing = Framing(framing)
        connection = self.new_connection(framing, mbus_address)
        clock = clock_of(stream)
        heard = clock()
        self._streams[stream] = connection
        try:
            while not connection.is_broken:
                idle = heard + self.idle_timeout
                due = connection.next_deadline()
                try:
                    data = await stream.receive(idle if due is None else min(due, idle))
                except TimeoutError:
                    now = clock()
                    out = connection.on_time(now)
                    if now >= idle and framing is Framing.WRAPPER:
                        break
                else:
                    if not data:
                        break
                    heard = now = clock()
                    out = connection.receive_data(data, now)
                    due = connection.next_deadline()
                    if due is not None and now >= due:  # a stream that never falls silent
                        out += connection.on_time(now)
                if out:
                    await stream.send(out, now + self.idle_timeout)
        except (LinkError, OSError) as error:
            logger.info("stream lost: %s", error)
        finally:
            self._streams.pop(stream, None)
            connection.close()
            stream.close()

    def start_pushing(self, agenda: PushAgenda, *, lines: Mapping[str, Stream] | None = None) -> None:
        """Push in the background what an agenda has (of this meter, or any), until the server is closed.

        ``lines`` as for ``PushSender``.
        """
        from cosemic.meter.push_sender import PushSender

        task = asyncio.get_running_loop().create_task(PushSender(agenda, lines=lines).run())
        self._pushers.add(task)
        task.add_done_callback(self._pushers.discard)

    async def notify(self, apdu: Apdu, *, client_sap: int, server_sap: int = 1) -> int:
        """Push an APDU to every client of that SAP that has an association open now; gives how many those are.

        It is protected as the association says, and goes in general blocks where it is too long and they were agreed
        on. ``SimulatedMeter.on_confirmed`` tells of confirmations. A client that does not take it, within
        ``push_timeout`` or at all, is disconnected. LocalProtocolError where it cannot be sent so to one of them; the
        others have it all the same.
        """
        count = 0
        refusals: list[DlmsError] = []
        now = asyncio.get_running_loop().time()
        for transport in list(self.connections):
            protocol = transport.get_protocol()
            if isinstance(protocol, TcpConnection):
                try:
                    count += protocol.notify(client_sap, server_sap, apdu, now)
                except DlmsError as error:
                    refusals.append(error)
        for peers in self._peers:
            try:
                count += peers.notify(client_sap, server_sap, apdu, now)
            except DlmsError as error:
                refusals.append(error)
        sending: list[Coroutine[None, None, bool]] = []
        for stream, connection in self._streams.items():
            try:
                out = connection.notify(client_sap, server_sap, apdu, clock_of(stream)())
            except DlmsError as error:
                refusals.append(error)
                continue
            if out:
                sending.append(self._push(stream, b"".join(out)))
        count += sum(await asyncio.gather(*sending))
        if refusals:
            raise refusals[0]
        return count

    async def _push(self, stream: Stream, data: bytes) -> bool:
        """Send a push on a stream; one that does not take it is closed, for part of it may have left."""
        if not data:  # waits for its turn
            return True
        try:
            await stream.send(data, clock_of(stream)() + self.push_timeout)
        except OSError as error:
            logger.warning("stream closed: a push could not be sent: %s", error)
            self._streams.pop(stream, None)
            stream.close()
            return False
        return True

    async def close(self) -> None:
        """Stop listening, drop all connections."""
        for server in self._servers:
            server.close()
        for transport in self._datagrams:
            transport.abort()
        for connection in list(self.connections):
            connection.abort()
        tasks = [*self._tasks, *self._pushers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.wait_closed() for server in self._servers))
        await asyncio.sleep(0)  # the transports close their sockets in the next turn of the loop
        self._servers.clear()
        self._datagrams.clear()
        self._peers.clear()

    def new_connection(self, framing: Framing, mbus_address: int | None = None) -> MeterConnection:
        """The meter's side of one more stream."""
        if framing is Framing.WRAPPER:
            return self.new_datagram_connection()
        if framing is Framing.MBUS:
            return MbusConnection(
                self.meter,
                address=self._mbus_address if mbus_address is None else mbus_address,
                trace=self._trace,
                new_talk=self._new_talk,
            )
        return self._new_hdlc_connection()

    def _new_hdlc_connection(self) -> HdlcConnection:
        return HdlcConnection(
            self.meter,
            parameters=self._hdlc_parameters,
            timers=self._hdlc_timers,
            physical_address=self._physical_address,
            trace=self._trace,
            new_talk=self._new_talk,
        )

    def new_datagram_connection(self) -> WrapperConnection:
        """The meter's side of one more UDP peer."""
        return WrapperConnection(self.meter, trace=self._trace, new_talk=self._new_talk)

    def _new_talk(self, client_sap: int, server_sap: int, datagram: bool) -> Talk:
        if self._behind is None:
            return Talk(self.meter, client_sap, server_sap, self._trace, datagram=datagram)
        return GatewayTalk(self.meter, client_sap, server_sap, self._trace, datagram=datagram, behind=self._behind)

    async def _listen(self, framing: Framing, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: TcpConnection(self, framing), host, port, backlog=1024, ssl=tls)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a meter is served, and the way to push through it."""

    host: str
    wrapper: int
    hdlc: int
    udp: int
    _server: MeterServer = field(repr=False, compare=False)
    _loop: asyncio.AbstractEventLoop = field(repr=False, compare=False)

    def notify(self, apdu: Apdu, *, client_sap: int, server_sap: int = 1) -> int:
        """As ``MeterServer.notify``, from any thread but the meter's own; LocalProtocolError once it is served no more.

        LinkTimeout where the meter's thread does not come to it (an object's method that blocks it, say).
        """
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                raise LocalProtocolError("the meter's own thread cannot wait for a push; do it from another one")
        if self._loop.is_closed() or not self._loop.is_running():
            raise LocalProtocolError("the meter is not served any more")
        pushing = self._server.notify(apdu, client_sap=client_sap, server_sap=server_sap)
        waiting = asyncio.run_coroutine_threadsafe(pushing, self._loop)
        patience = self._server.push_timeout + _SLACK
        try:
            return waiting.result(patience)
        except CancelledError:
            raise LocalProtocolError("the meter is not served any more") from None
        except TimeoutError:
            waiting.cancel()
            raise LinkTimeout(f"the meter did not push within {patience:g} s") from None


@contextlib.contextmanager
def running(
    meter: SimulatedMeter,
    *,
    host: str = "127.0.0.1",
    wrapper_port: int = 0,
    hdlc_port: int = 0,
    udp_port: int = 0,
    agenda: PushAgenda | None = None,
    **options: Any,
) -> Iterator[Ports]:
    """Serve a meter in a thread of its own while the ``with`` block runs; options as for ``MeterServer``.

    With an ``agenda`` it pushes besides.
    """
    started: threading.Event = threading.Event()
    outcome: list[Ports | BaseException] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        async with MeterServer(meter, **options) as server:
            ports = Ports(
                host,
                await server.serve_wrapper(host, wrapper_port),
                await server.serve_hdlc(host, hdlc_port),
                await server.serve_udp(host, udp_port),
                server,
                loop,
            )
            if agenda is not None:
                server.start_pushing(agenda)
            outcome.append(ports)
            started.set()
            await stopping.wait()

    def main() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            outcome.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=main, name="meter", daemon=True)
    thread.start()
    started.wait()
    first = outcome[0]
    if isinstance(first, BaseException):
        thread.join()
        raise first
    try:
        yield first
    finally:
        stop[0]()
        thread.join()
        if len(outcome) > 1 and isinstance(outcome[1], BaseException):
            raise outcome[1]
