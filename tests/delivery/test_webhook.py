"""A webhook against real servers in this process: what is delivered, refused, repeated, signed; who is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cosemic.delivery.lanes import LaneLimits
from cosemic.delivery.outputs import OutputRefused, OutputUnavailable, Record
from cosemic.delivery.pipeline import Pipeline, PipelineLimits
from cosemic.delivery.webhook import SIGNATURE, TIMESTAMP, WebhookOutput
from tests.delivery.messages import energy


class Receiver:
    """An HTTP server that keeps what is posted to it and answers with the statuses it is given."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port

    @property
    def ids(self) -> list[str]:
        return [message["id"] for body in self.bodies for message in json.loads(body)["messages"]]


@contextlib.contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(tls)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def records(count: int) -> list[Record]:
    return [Record.of(energy(number)) for number in range(count)]


async def test_batches_arrive_as_they_are() -> None:
    with receiving() as receiver:
        output = WebhookOutput(f"http://127.0.0.1:{receiver.port}/push?token=1", most=10)
        await output.deliver([])
        await output.deliver(records(25))
        await output.close()
    assert [len(json.loads(body)["messages"]) for body in receiver.bodies] == [10, 10, 5]
    assert receiver.ids == [record.id for record in records(25)]
    assert json.loads(receiver.bodies[0])["messages"][0] == json.loads(records(1)[0].text)
    assert receiver.headers[0]["Content-Type"] == "application/json"


async def test_the_signature_is_over_time_and_body() -> None:
    with receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        output = WebhookOutput(url, secret="hunter2", clock=lambda: 1_800_000_000.9)
        await output.deliver(records(1))
        await output.close()
    expected = hmac.new(b"hunter2", b"1800000000." + receiver.bodies[0], hashlib.sha256).hexdigest()
    assert receiver.headers[0][SIGNATURE] == f"sha256={expected}"
    assert receiver.headers[0][TIMESTAMP] == "1800000000"


@pytest.mark.parametrize(("status", "error"), [
    (400, OutputRefused), (404, OutputRefused), (413, OutputRefused), (408, OutputUnavailable),
    (429, OutputUnavailable), (500, OutputUnavailable), (503, OutputUnavailable),
    (301, OutputUnavailable), (307, OutputUnavailable),
])  # fmt: skip
async def test_what_an_answer_means(status: int, error: type[Exception]) -> None:
    with receiving() as receiver:
        output = WebhookOutput(f"http://127.0.0.1:{receiver.port}/x?token=hunter2", most=2)
        receiver.statuses = [200, status]
        with pytest.raises(error, match=str(status)) as told:
            await output.deliver(records(5))
        await output.close()
    assert told.value.delivered == 2  # type: ignore[attr-defined]
    assert "hunter2" not in str(told.value)


async def test_one_bad_message_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    with receiving() as receiver:
        output = WebhookOutput(f"http://127.0.0.1:{receiver.port}/")
        lane = LaneLimits(first_pause=0.001, longest_pause=0.01)
        letters = tmp_path / "dead.jsonl"
        async with Pipeline([output], limits=PipelineLimits(lane=lane), dead_letters=letters) as pipeline:
            receiver.statuses = [500, 422, 200, 422, 200]
            for number in range(3):
                await pipeline.put(energy(number))
    assert pipeline.statistics[output.name].refused == 1
    (letter,) = [json.loads(line) for line in letters.read_text().splitlines()]
    delivered = set(receiver.ids) - {letter["message"]["id"]}
    assert delivered | {letter["message"]["id"]} == {record.id for record in records(3)}


async def test_a_connection_that_was_closed_in_between_is_no_matter() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        served.append(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()  # without having said so

    served: list[int] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        output = WebhookOutput(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        for _ in range(3):
            await output.deliver(records(1))
        await output.close()
    assert len(served) == 3


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"rubbish\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\x00" * 100])
async def test_something_that_is_no_http_is_told(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        output = WebhookOutput(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        with pytest.raises(OutputUnavailable):
            await output.deliver(records(1))
        await output.close()


async def test_a_server_that_answers_octet_by_octet_does_not_hold_us_for_ever() -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not writer.is_closing():
                writer.write(b"a")
                await writer.drain()
                await asyncio.wait([asyncio.ensure_future(reader.read(1 << 20))], timeout=0.01)
                if reader.at_eof():
                    break
        writer.close()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        output = WebhookOutput(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", deadline=0.3)
        with pytest.raises(OutputUnavailable, match=r"does not answer within 0\.3 s|65536"):
            await output.deliver(records(1))
        await output.close()
        async with asyncio.timeout(20):
            await ended.wait()


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate of its own for a name, and a server with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = folder / f"{name}.key"
    secret.write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return file, context


async def test_tls_is_verified(tmp_path: Path) -> None:
    file, context = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "example.org")
    with receiving(context) as receiver:
        output = WebhookOutput(f"https://localhost:{receiver.port}/", ca_file=str(file))
        await output.deliver(records(2))
        await output.close()
        assert len(receiver.ids) == 2
        for ca_file in (None, str(other)):
            output = WebhookOutput(f"https://localhost:{receiver.port}/", ca_file=ca_file)
            with pytest.raises(OutputUnavailable, match="certificate is not trusted"):
                await output.deliver(records(1))
            await output.close()
        output = WebhookOutput(f"https://127.0.0.1:{receiver.port}/", ca_file=str(file))
        with pytest.raises(OutputUnavailable, match="certificate is not trusted"):
            await output.deliver(records(1))
        await output.close()
    assert len(receiver.ids) == 2


async def test_nobody_there_is_told() -> None:
    output = WebhookOutput("http://127.0.0.1:1/")
    with pytest.raises(OutputUnavailable, match="refused"):
        await output.deliver(records(1))
    await output.close()
