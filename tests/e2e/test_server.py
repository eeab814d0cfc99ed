"""The meter server: many clients, strangers, limits."""

import asyncio
import contextlib
import os
import random
import socket
import tty

import pytest

from cosemic import axdr, blocking
from cosemic.client import DlmsClient
from cosemic.errors import AssociationRefused, DataAccessError, DlmsError, LinkError, LocalProtocolError
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.server import MeterServer, running
from cosemic.transports.memory import FakeClock, memory_pair
from cosemic.transports.targets import Framing

from .conftest import CREDENTIALS, make_meter, url_of

ENERGY = "1.0.1.8.0.255"
AARQ = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000001AFFFF")
GET = bytes.fromhex("C001C10003") + bytes((1, 0, 1, 8, 0, 255)) + b"\x02\x00"


@pytest.mark.parametrize("scheme", ["tcp", "hdlc", "udp"])
async def test_fifty_clients_at_once(scheme) -> None:
    async with MeterServer(make_meter(50)) as server:
        port = await {"tcp": server.serve_wrapper, "hdlc": server.serve_hdlc, "udp": server.serve_udp}[scheme]()

        async def read(number: int) -> None:
            credentials = CREDENTIALS[list(CREDENTIALS)[number % len(CREDENTIALS)]]()
            async with DlmsClient(f"{scheme}://127.0.0.1:{port}", timeout=60, **credentials) as meter:
                for _ in range(3):
                    raw = await meter.get(3, ENERGY, 2)
                    assert (await meter.read_register(ENERGY)).raw == raw
                assert len((await meter.read_profile("1.0.99.1.0.255", last=3)).rows) == 3

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(read(number))


async def test_a_connection_too_many_is_turned_away() -> None:
    async with MeterServer(make_meter(1), max_connections=1) as server:
        port = await server.serve_wrapper()
        async with DlmsClient(f"tcp://127.0.0.1:{port}") as first:
            with pytest.raises(LinkError):
                await DlmsClient(f"tcp://127.0.0.1:{port}").connect()
            assert isinstance(await first.get(3, ENERGY, 2), int)
        async with DlmsClient(f"tcp://127.0.0.1:{port}") as second:
            assert isinstance(await second.get(3, ENERGY, 2), int)


async def test_each_pair_on_one_wrapper_connection_has_its_own_association() -> None:
    async with MeterServer(make_meter(1)) as server:
        connection = server.new_connection(Framing.WRAPPER)

        def ask(client: int, apdu: bytes) -> bytes:
            return WrapperPdu.decode(connection.receive_data(WrapperPdu(client, 1, apdu).encode(), 0.0)).apdu

        assert ask(16, AARQ)[0] == 0x61
        assert ask(16, GET)[:2] == b"\xc4\x01"
        assert ask(32, GET)[0] == 0xD8  # client 32 has no association of its own
        assert ask(16, GET)[:2] == b"\xc4\x01"


async def test_a_logical_device_that_is_not_there_answers_nothing() -> None:
    async with MeterServer(make_meter(1)) as server:
        connection = server.new_connection(Framing.WRAPPER)
        assert connection.receive_data(WrapperPdu(16, 99, AARQ).encode(), 0.0) == b""
        hdlc = server.new_connection(Framing.HDLC)
        snrm = HdlcFrame(HdlcAddress(99), HdlcAddress(16), 0x93).encode()
        assert hdlc.receive_data(snrm, 0.0) == b""


def _frame(destination: HdlcAddress, source: HdlcAddress, control: int, apdu: bytes = b"") -> bytes:
    return HdlcFrame(destination, source, control, b"\xe6\xe6\x00" + apdu if apdu else b"").encode()


async def test_address_pairs_on_one_line_do_not_mix() -> None:
    async with MeterServer(make_meter(1)) as server:
        line = server.new_connection(Framing.HDLC)
        meter, public, reader = HdlcAddress(1, 17), HdlcAddress(16), HdlcAddress(32)

        def ask(octets: bytes) -> HdlcFrame:
            return HdlcFrame.decode(line.receive_data(octets, 0.0))

        assert ask(_frame(meter, public, 0x93)).kind.name.startswith("UNNUMBERED_ACK")
        assert ask(_frame(meter, reader, 0x93)).destination == reader
        answer = ask(_frame(meter, public, 0x10, AARQ))
        assert (answer.destination, answer.source) == (public, meter)
        assert answer.information[3] == 0x61
        assert ask(_frame(meter, reader, 0x10, GET)).information[3] == 0xD8
        assert ask(_frame(meter, public, 0x32, GET)).information[3] == 0xC4
        assert ask(_frame(meter, HdlcAddress(1), 0x10, GET)).kind.name == "DISCONNECTED_MODE"
        # a new SNRM ends the association of its pair alone
        ask(_frame(meter, public, 0x93))
        assert ask(_frame(meter, public, 0x10, GET)).information[3] == 0xD8


async def test_only_the_physical_address_that_was_set_answers() -> None:
    async with MeterServer(make_meter(1), physical_address=17) as server:
        line = server.new_connection(Framing.HDLC)
        assert line.receive_data(_frame(HdlcAddress(1, 18), HdlcAddress(16), 0x93), 0.0) == b""
        assert line.receive_data(_frame(HdlcAddress(1, 17), HdlcAddress(16), 0x93), 0.0) != b""


@pytest.mark.parametrize("framing", [Framing.WRAPPER, Framing.HDLC])
def test_whatever_comes_the_meter_goes_on(framing) -> None:
    good = {
        Framing.WRAPPER: [WrapperPdu(16, 1, AARQ).encode(), WrapperPdu(16, 1, GET).encode()],
        Framing.HDLC: [
            _frame(HdlcAddress(1), HdlcAddress(16), 0x93),
            _frame(HdlcAddress(1), HdlcAddress(16), 0x10, AARQ),
            _frame(HdlcAddress(1), HdlcAddress(16), 0x32, GET),
        ],
    }[framing]
    server = MeterServer(make_meter(1))
    for seed in range(300):
        chance = random.Random(seed)
        connection = server.new_connection(framing)
        for octets in good:
            damaged = bytearray(octets)
            for _ in range(chance.randrange(3)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            del damaged[len(damaged) - chance.choice([0, 0, 0, 1, 5]) :]
            connection.receive_data(bytes(damaged), float(seed))
            connection.receive_data(chance.randbytes(chance.randrange(40)), float(seed))
        connection.on_time(1e9)
        connection.close()
    fresh = server.new_connection(framing)
    assert all(fresh.receive_data(octets, 0.0) for octets in good)


async def test_an_object_that_fails_is_one_bad_result(monkeypatch, caplog) -> None:
    meter = make_meter(1)
    monkeypatch.setattr(meter, "carry_out", lambda *args, **more: 1 / 0)
    async with MeterServer(meter) as server:
        port = await server.serve_wrapper()
        async with DlmsClient(f"tcp://127.0.0.1:{port}") as client:
            with pytest.raises(DlmsError, match="other-reason"):
                await client.get(3, ENERGY, 2)
            monkeypatch.undo()
            assert isinstance(await client.get(3, ENERGY, 2), int)
    assert "failed to carry out" in caplog.text


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_garbage_on_a_socket_hurts_nobody_else(ports, framing) -> None:
    reader, writer = await asyncio.open_connection(ports.host, ports.wrapper if framing == "wrapper" else ports.hdlc)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 50)
    if framing == "wrapper":
        assert await reader.read() == b""  # there is no way to find the next PDU
    async with DlmsClient(url_of(ports, framing)) as meter:
        assert isinstance(await meter.get(3, ENERGY, 2), int)
    writer.close()


async def test_a_client_that_asks_and_never_reads_is_not_buffered_for_ever() -> None:
    async with MeterServer(make_meter(1)) as server:
        port = await server.serve_wrapper()
        async with DlmsClient(f"tcp://127.0.0.1:{port}") as meter:
            await meter.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(bytes(60_000)))
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setblocking(False)
            sock.send(WrapperPdu(16, 1, AARQ).encode())
            request = WrapperPdu(16, 1, b"\xc0\x01\xc1\x00\x01" + bytes((0, 0, 128, 0, 1, 255)) + b"\x02\x00").encode()
            most = 0
            for _ in range(10_000):
                with contextlib.suppress(BlockingIOError):
                    sock.send(request)
                await asyncio.sleep(0)
                most = max([most, *(transport.get_write_buffer_size() for transport in server.connections)])
                if _paused(server):
                    break
            assert _paused(server)  # or cut off
            assert most < 4_000_000
            async with DlmsClient(f"tcp://127.0.0.1:{port}") as meter:
                assert isinstance(await meter.get(3, ENERGY, 2), int)


def _paused(server: MeterServer) -> bool:
    return any(not transport.is_reading() for transport in server.connections)


async def test_a_client_that_asks_for_megabytes_at_once_is_cut_off() -> None:
    meter = make_meter(1)
    connection = MeterServer(meter).new_connection(Framing.WRAPPER)
    connection.receive_data(WrapperPdu(16, 1, AARQ).encode(), 0.0)
    target = b"\x00\x01" + bytes((0, 0, 128, 0, 1, 255)) + b"\x02\x00"
    long_text = b"\x09\x82\xea\x60" + bytes(60_000)
    connection.receive_data(WrapperPdu(16, 1, b"\xc1\x01\xc1" + target + long_text).encode(), 0.0)
    out = connection.receive_data(WrapperPdu(16, 1, b"\xc0\x01\xc1" + target).encode() * 1000, 0.0)
    assert connection.is_broken
    assert len(out) < 2_000_000


@pytest.mark.parametrize("framing", [Framing.WRAPPER, Framing.HDLC])
async def test_a_silent_client_is_disconnected(framing) -> None:
    clock = FakeClock()
    near, far = memory_pair(clock)
    server = MeterServer(make_meter(1), idle_timeout=100.0)
    task = asyncio.create_task(server.serve_stream(far, framing=framing))
    async with DlmsClient(near, framing=framing) as client:
        await client.get(3, ENERGY, 2)
        clock.advance(50.0)
        await client.get(3, ENERGY, 2)
        with pytest.raises(TimeoutError):
            await near.receive(clock.time() + 99.0) if framing is Framing.HDLC else await _until(clock, 99.0)
        if framing is Framing.HDLC:
            clock.advance(10.0)
            for _ in range(5):
                await asyncio.sleep(0)
            with pytest.raises(LinkError, match=r"DM|disconnect"):
                await client.get(3, ENERGY, 2)
        else:
            clock.advance(10.0)
            await task
            with pytest.raises(LinkError):
                await client.get(3, ENERGY, 2)
    near.close()
    await task


async def _until(clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    raise TimeoutError


@pytest.fixture
def line():
    pytest.importorskip("serialx", reason="the extra 'serial' is not installed")
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(theirs)


class _PtyStream:
    """The meter's end of a pty, as a stream of one's own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        assert os.write(self._descriptor, data) == len(data)

    async def receive(self, deadline: float | None = None) -> bytes:
        ready = self._loop.create_future()
        self._loop.add_reader(self._descriptor, lambda: ready.done() or ready.set_result(None))
        try:
            async with asyncio.timeout_at(deadline):
                await ready
        finally:
            self._loop.remove_reader(self._descriptor)
        return os.read(self._descriptor, 4096)

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.mark.parametrize("kind", ["asyncio", "blocking"])
async def test_serial_line(line, kind) -> None:
    ours, name = line
    server = MeterServer(make_meter(20))
    task = asyncio.create_task(server.serve_stream(_PtyStream(ours), framing="hdlc"))
    url = f"serial://{name}?baud=19200"
    credentials = CREDENTIALS["gmac"]()
    if kind == "asyncio":
        async with DlmsClient(url, physical_address=17, **credentials) as meter:
            assert (await meter.read_register(ENERGY)).unit == "Wh"
            assert len((await meter.read_profile("1.0.99.1.0.255")).rows) == 20
    else:

        def read() -> None:
            with blocking.DlmsClient(url, physical_address=17, address_size=4, **credentials) as meter:
                assert meter.read_register(ENERGY).unit == "Wh"
                assert len(meter.read_profile("1.0.99.1.0.255").rows) == 20

        await asyncio.to_thread(read)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_server_opens_a_serial_line_itself(line) -> None:
    ours, name = line
    async with MeterServer(make_meter(1)) as server:
        await server.serve_url(f"serial://{name}?baud=9600")
        async with DlmsClient(_PtyStream(ours), framing="hdlc") as meter:
            assert isinstance(await meter.get(3, ENERGY, 2), int)


class _ForgetfulRelay(asyncio.DatagramProtocol):
    """Passes datagrams on and loses every first answer: what is asked twice is answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: set[bytes] = set()
        self.lost = 0
        self.client: tuple[str, int] = ("", 0)

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[1] != self.port:
            self.client = addr
            self.fresh = data not in self.seen
            self.seen.add(data)
            self.transport.sendto(data, ("127.0.0.1", self.port))
        elif self.fresh:
            self.lost += 1
        else:
            self.transport.sendto(data, self.client)


@pytest.mark.parametrize("credentials", CREDENTIALS)
async def test_udp_answers_get_lost(credentials) -> None:
    """Protected requests too: the meter repeats its answer instead of refusing a counter that it knows."""
    async with MeterServer(make_meter(1)) as server:
        port = await server.serve_udp()
        loop = asyncio.get_running_loop()
        transport, relay = await loop.create_datagram_endpoint(
            lambda: _ForgetfulRelay(port), local_addr=("127.0.0.1", 0)
        )
        url = f"udp://127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        async with DlmsClient(
            url, timeout=20, response_timeout=0.02, retries=100, **CREDENTIALS[credentials]()
        ) as meter:
            assert isinstance(await meter.get(3, ENERGY, 2), int)
        assert relay.lost >= 2
        transport.close()


class _StutteringRelay(_ForgetfulRelay):
    """Passes every datagram on twice, and the one before the last once more, both ways."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.before: dict[bool, list[bytes]] = {False: [], True: []}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        out = addr[1] != self.port
        if out:
            self.client = addr
        for again in (data, data, *self.before[out][-1:]):
            self.transport.sendto(again, ("127.0.0.1", self.port) if out else self.client)
        self.before[out] = [data]


@pytest.mark.parametrize("credentials", ["lls", "gmac", "gmac-dedicated"])
async def test_udp_datagrams_come_twice_and_late(credentials) -> None:
    """Nothing is carried out twice, no answer is taken for another, and no session ends because of it."""
    meter = make_meter(40)
    async with MeterServer(meter) as server:
        port = await server.serve_udp()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _StutteringRelay(port), local_addr=("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        async with DlmsClient(url, timeout=5, retries=1, max_pdu_size=100, **CREDENTIALS[credentials]()) as client:
            for number in range(3):
                await client.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(number))
                assert await client.get(1, "0.0.128.0.0.255", 2) == number
                await client.action(8, "0.0.1.0.0.255", 6, axdr.long(10))
            assert meter.offset.total_seconds() == 30
            if credentials == "lls":  # a plain GET that comes late begins its transfer anew, and says so
                with contextlib.suppress(DataAccessError):
                    assert len(await client.get(7, "1.0.99.1.0.255", 2)) == 40
            else:
                assert len(await client.get(7, "1.0.99.1.0.255", 2)) == 40
        transport.close()


def test_running_reports_what_cannot_be_served() -> None:
    with running(make_meter(1)) as ports:
        with pytest.raises(OSError), running(make_meter(1), wrapper_port=ports.wrapper):
            pass
        with blocking.DlmsClient(f"tcp://{ports.host}:{ports.wrapper}") as meter:
            assert isinstance(meter.get(3, ENERGY, 2), int)
    with pytest.raises(LinkError):
        blocking.DlmsClient(f"tcp://{ports.host}:{ports.wrapper}").connect()


def test_values_written_by_one_client_are_read_by_another(ports) -> None:
    with (
        blocking.DlmsClient(url_of(ports, "wrapper")) as one,
        blocking.DlmsClient(url_of(ports, "hdlc"), **CREDENTIALS["gmac"]()) as two,
    ):
        one.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(1))
        assert two.get(1, "0.0.128.0.0.255", 2) == 1
        two.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(2))
        assert one.get(1, "0.0.128.0.0.255", 2) == 2


def test_wrong_secrets_and_unknown_clients_are_refused_and_only_they(ports) -> None:
    with pytest.raises(AssociationRefused):
        blocking.DlmsClient(url_of(ports, "hdlc"), client_sap=32, authentication=1, password="11111111").connect()
    with pytest.raises(DlmsError):
        blocking.DlmsClient(url_of(ports, "wrapper"), client_sap=77).connect()
    with blocking.DlmsClient(url_of(ports, "hdlc"), **CREDENTIALS["lls"]()) as meter:
        assert isinstance(meter.get(3, ENERGY, 2), int)


@pytest.mark.parametrize(
    "options",
    [
        {"information_size": 2030, "window": 7},
        {"information_size": (64, 512), "window": (1, 3)},
        {"physical_address": 17},
        {"physical_address": 300, "address_size": 4},
        {"max_pdu_size": 100},
        {"use_rlrq": False},
    ],
)
async def test_hdlc_parameters(ports, options) -> None:
    async with DlmsClient(url_of(ports, "hdlc"), **options) as meter:
        assert len((await meter.read_profile("1.0.99.1.0.255", last=50)).rows) == 50
        text = bytes(3000)
        await meter.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(text))
        assert await meter.get(1, "0.0.128.0.1.255", 2) == text


async def test_ipv6() -> None:
    async with MeterServer(make_meter(1)) as server:
        try:
            port = await server.serve_wrapper("::1")
        except OSError:
            pytest.skip("this machine has no IPv6")
        async with DlmsClient(f"tcp://[::1]:{port}") as meter:
            assert isinstance(await meter.get(3, ENERGY, 2), int)


@pytest.mark.parametrize("framing", ["wrapper", "hdlc", "udp"])
@pytest.mark.parametrize("credentials", ["lls", "gmac"])
async def test_unconfirmed_requests_are_carried_out(framing, credentials) -> None:
    meter = make_meter(1)
    async with MeterServer(meter) as server:
        serve = {"wrapper": server.serve_wrapper, "hdlc": server.serve_hdlc, "udp": server.serve_udp}[framing]
        scheme = {"wrapper": "tcp", "hdlc": "hdlc", "udp": "udp"}[framing]
        url = f"{scheme}://127.0.0.1:{await serve()}"
        async with DlmsClient(url, confirmed=False, timeout=5, **CREDENTIALS[credentials]()) as client:
            assert await client.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(7)) == 0
            for _ in range(3):
                assert await client.action(8, "0.0.1.0.0.255", 6, axdr.long(10)) is None
            with pytest.raises(LocalProtocolError, match="no answer"):
                await client.get(3, ENERGY, 2)
        async with DlmsClient(url, timeout=5) as client:
            assert await client.get(1, "0.0.128.0.0.255", 2) == 7
        assert meter.offset.total_seconds() == 30
