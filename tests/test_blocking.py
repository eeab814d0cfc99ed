"""The blocking client: on streams of its own without waiting, and with threads over sockets."""

import inspect
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cosemic import blocking
from cosemic.apdu.base import encode_apdu
from cosemic.apdu.notify import DataNotification
from cosemic.client import DlmsClient as AsyncClient
from cosemic.codec import axdr
from cosemic.errors import AssociationRefused, DlmsError, LinkError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.connections import MeterConnection
from cosemic.meter.server import MeterServer
from cosemic.transports.targets import Framing

from .e2e.conftest import CREDENTIALS, make_meter, ports, url_of

__all__ = ["ports"]
ENERGY = "1.0.1.8.0.255"


class Line:
    """A BlockingStream to a meter in the same thread; time passes only where nothing comes."""

    def __init__(self, connection: MeterConnection, framing: Framing) -> None:
        self.connection = connection
        self.framing = framing
        self.now = 1000.0
        self.waiting: list[bytes] = []
        self.closed = False
        self.pass_on: Callable[[bytes], list[bytes]] = lambda data: [data]

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes, deadline: float | None = None) -> None:
        if self.closed:
            raise BrokenPipeError("closed")
        answer = self.connection.receive_data(data, self.now)
        if answer:
            self.waiting += self.pass_on(answer)

    def receive(self, deadline: float | None = None) -> bytes:
        if self.waiting:
            return self.waiting.pop(0)
        if self.closed:
            return b""
        assert deadline is not None, "every wait has a deadline"
        self.now = max(self.now, deadline)
        raise TimeoutError

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, framing: str) -> None:
        self.framing = Framing(framing)
        self.server = MeterServer(make_meter(20))
        self.line: Line

    def open(self) -> Line:
        self.line = Line(self.server.new_connection(self.framing), self.framing)
        return self.line

    def client(self, **options: Any) -> blocking.DlmsClient:
        return blocking.DlmsClient(self.open, framing=self.framing, **options)


@pytest.fixture(params=["wrapper", "hdlc"])
def bench(request) -> Bench:
    return Bench(request.param)


def test_both_clients_have_the_same_methods() -> None:
    def public(cls: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_") and name != "aclose"
        }

    assert public(blocking.DlmsClient) == public(AsyncClient)
    assert inspect.signature(blocking.DlmsClient) == inspect.signature(AsyncClient)


def test_before_and_after(bench) -> None:
    client = bench.client()
    with pytest.raises(LocalProtocolError, match="not connected yet"):
        client.get(3, ENERGY, 2)
    with client:
        assert client.is_connected
        with pytest.raises(LocalProtocolError, match="connected already"):
            client.connect()
        assert isinstance(client.get(3, ENERGY, 2), int)
        assert [item.error for item in client.get_list([(3, ENERGY, 2), (3, ENERGY, 3)])] == [None, None]
    assert bench.line.closed
    with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
        client.get(3, ENERGY, 2)
    client.reconnect()
    assert isinstance(client.get(3, ENERGY, 2), int)
    client.close()
    client.close()


def test_a_given_stream_is_used_once(bench) -> None:
    client = blocking.DlmsClient(bench.open())
    with client:
        client.get(3, ENERGY, 2)
    with pytest.raises(LocalProtocolError, match="a function that opens one"):
        client.reconnect()


def test_octet_by_octet(bench) -> None:
    with bench.client(**CREDENTIALS["gmac"]()) as client:
        bench.line.pass_on = lambda data: [data[i : i + 1] for i in range(len(data))]
        assert len(client.read_profile("1.0.99.1.0.255").rows) == 20


def test_a_peer_that_stalls(bench) -> None:
    with bench.client(timeout=12.0) as client:
        bench.line.pass_on = lambda data: []
        before = bench.line.now
        with pytest.raises(LinkTimeout):
            client.get(3, ENERGY, 2)
        assert 11.0 <= bench.line.now - before <= 13.0
        assert bench.line.closed
        with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
            client.get(3, ENERGY, 2)
        client.reconnect()
        assert isinstance(client.get(3, ENERGY, 2), int)


def test_a_peer_that_closes(bench) -> None:
    with bench.client() as client:

        def close(data: bytes) -> list[bytes]:
            bench.line.closed = True
            return []

        bench.line.pass_on = close
        with pytest.raises(LinkLost):
            client.get(3, ENERGY, 2)


@pytest.mark.parametrize("garbage", [b"\x00" * 100, b"\xff" * 100, b"\x7e" * 100, bytes(range(256))])
def test_a_peer_that_answers_garbage(bench, garbage) -> None:
    with bench.client(timeout=12.0) as client:
        bench.line.pass_on = lambda data: [garbage]
        with pytest.raises(DlmsError):
            client.get(3, ENERGY, 2)
        client.reconnect()
        assert isinstance(client.get(3, ENERGY, 2), int)


def test_a_stream_that_raises(bench) -> None:
    with bench.client() as client:
        bench.line.closed = True
        with pytest.raises(LinkLost, match="closed"):
            client.get(3, ENERGY, 2)


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt."""


@pytest.mark.parametrize("credentials", ["none", "gmac"])
def test_interrupted_anywhere_the_client_is_usable_or_closed(bench, credentials) -> None:
    client = bench.client(**CREDENTIALS[credentials]())
    interrupted = 0
    for step in range(1000):
        client.reconnect()
        steps = iter(range(step))

        def wait(original: Callable[..., Any], steps=steps) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                if next(steps, None) is None:
                    raise Interrupt
                return original(*arguments)

            return call

        line = bench.line
        line.send, line.receive = wait(line.send), wait(line.receive)
        try:
            client.read_profile("1.0.99.1.0.255")
        except Interrupt:
            interrupted += 1
            assert line.closed
            with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
                client.get(3, ENERGY, 2)
        else:
            break
    assert interrupted > 2
    line.send, line.receive = Line.send.__get__(line), Line.receive.__get__(line)
    assert isinstance(client.get(3, ENERGY, 2), int)
    client.close()


def test_an_error_in_the_body_is_not_masked(bench) -> None:
    def body() -> None:
        with bench.client():
            bench.line.closed = True
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        body()


def test_refused_association_closes_the_stream(bench) -> None:
    client = bench.client(client_sap=32, authentication=1, password="wrong")
    with pytest.raises(AssociationRefused):
        client.connect()
    assert bench.line.closed


def test_calls_from_a_callback_are_refused_and_nothing_hangs() -> None:
    bench = Bench("wrapper")
    errors: list[Exception] = []

    def callback(event: object) -> None:
        try:
            client.get(3, ENERGY, 2)
        except LocalProtocolError as error:
            errors.append(error)

    push = WrapperPdu(1, 16, encode_apdu(DataNotification(0, b"", axdr.Data.of(axdr.unsigned(1))))).encode()
    with bench.client(on_notification=callback) as client:
        bench.line.pass_on = lambda data: [push, data]
        assert isinstance(client.get(3, ENERGY, 2), int)
    assert len(errors) >= 1


def test_threads_queue(ports) -> None:
    results: list[object] = []
    with blocking.DlmsClient(url_of(ports, "wrapper")) as client:

        def read() -> None:
            results.extend(client.get(3, ENERGY, 2) for _ in range(20))

        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 100
    assert len(set(results)) == 1


def test_abort_from_another_thread_wakes_who_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = blocking.DlmsClient(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout=100)

        def abort_once_heard() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                client.abort()
                peer.recv(100)

        thread = threading.Thread(target=abort_once_heard)
        thread.start()
        with pytest.raises(LinkError, match="aborted"):
            client.connect()
        thread.join()


def test_two_thousand_requests(ports) -> None:
    """Long enough to meet a socket time-out that is not renewed, invoke ids that wrap, counters that run out."""
    with blocking.DlmsClient(url_of(ports, "wrapper"), **CREDENTIALS["gmac"]()) as client:
        assert len({client.get(3, ENERGY, 2) for _ in range(2000)}) == 1


def test_an_abort_while_connecting_ends_the_connecting(bench) -> None:
    open_stream = bench.open

    def opened_late():
        stream = open_stream()
        thread = threading.Thread(target=client.abort)
        thread.start()
        thread.join()
        return stream

    client = blocking.DlmsClient(opened_late, framing=bench.framing)
    with pytest.raises(LinkLost, match="aborted"):
        client.connect()
    assert bench.line.closed
    assert not client.is_connected
    bench.open = open_stream


def test_an_abort_leaves_the_session_to_the_thread_that_uses_it(bench) -> None:
    """Forgetting keys and numbers under the feet of another thread would end it with anything but an error of ours."""
    with bench.client(**CREDENTIALS["gmac"]()) as client:

        def abort(data: bytes) -> list[bytes]:
            thread = threading.Thread(target=client.abort)
            thread.start()
            thread.join()
            return [data]

        bench.line.pass_on = abort
        with pytest.raises(LinkLost, match="aborted"):
            client.read_profile("1.0.99.1.0.255")
        assert not client.is_connected
        with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
            client.get(3, ENERGY, 2)
        bench.line.pass_on = lambda data: [data]
        client.reconnect()
        assert isinstance(client.get(3, ENERGY, 2), int)


def test_what_on_notification_may_not_do() -> None:
    """It asks from within an exchange: the waiting call keeps its deadline, and listening its end."""
    bench = Bench("wrapper")
    push = WrapperPdu(1, 16, encode_apdu(DataNotification(0, b"", axdr.Data.of(axdr.unsigned(1))))).encode()
    errors: list[str] = []

    def callback(event: object) -> None:
        for call in (lambda: client.get(3, ENERGY, 2), lambda: client.listen(1000)):
            try:
                call()
            except LocalProtocolError as error:
                errors.append(str(error))

    with bench.client(on_notification=callback) as client:
        bench.line.waiting.append(push)
        begun = bench.line.now
        client.listen(5)
        assert errors
        assert all("on_notification" in error for error in errors)
        assert bench.line.now - begun < 6
        assert isinstance(client.get(3, ENERGY, 2), int)

        def close(event: object) -> None:
            client.close()

        client.on_notification = close
        bench.line.waiting.append(push)
        with pytest.raises(LinkError, match="closed by the caller"):
            client.listen(5)
