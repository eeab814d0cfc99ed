"""tls:// with real handshakes: both clients, our meter and openssl at the other end; each failure says what to do."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cosemic import DlmsClient, blocking
from cosemic.errors import DlmsError, LinkError, LinkLost, LinkTimeout
from cosemic.meter.server import MeterServer
from cosemic.transports.certificates import TlsSettings, client_context, server_context
from cosemic.transports.streams import open_blocking_stream
from tests.e2e.conftest import CREDENTIALS, make_meter
from tests.transports.authority import Authority

OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    return SimpleNamespace(
        folder=folder,
        ca=authority.file,
        other_ca=stranger.file,
        meter=authority.issue("meter", "127.0.0.1", "localhost"),
        expired=authority.issue("expired", "127.0.0.1", expired=True),
        named=authority.issue("named", "meter-0042.example"),
        self_signed=authority.issue("alone", "127.0.0.1", own=True),
        client=authority.issue("client"),
        strange_client=stranger.issue("client"),
        locked=authority.issue("locked", password=b"hunter2"),
    )


@contextlib.contextmanager
def served(context: ssl.SSLContext, framing: str = "wrapper") -> Iterator[int]:
    """Our meter behind TLS, in a thread of its own."""
    ready = threading.Event()
    ports: list[int] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        async with MeterServer(make_meter()) as server:
            ports.append(await server.serve_tls(context, framing=framing))
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        stop[0]()
        thread.join()


async def _read(url: str, **options: object) -> object:
    async with DlmsClient(url, **(CREDENTIALS["none"]() | options)) as meter:  # type: ignore[arg-type]
        return await meter.get(1, "0.0.42.0.0.255", 2)


def _read_blocking(url: str, **options: object) -> object:
    with blocking.DlmsClient(url, **(CREDENTIALS["none"]() | options)) as meter:  # type: ignore[arg-type]
        return meter.get(1, "0.0.42.0.0.255", 2)


@pytest.fixture(params=["asyncio", "blocking"])
def read(request: pytest.FixtureRequest) -> Callable[..., object]:
    if request.param == "blocking":
        return _read_blocking
    return lambda url, **options: asyncio.run(_read(url, **options))


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("credentials", ["none", "lls", "gmac"])
def test_reads_through_tls(
    certificates: SimpleNamespace, read: Callable[..., object], framing: str, credentials: str
) -> None:
    with served(server_context(certificates.meter.certificate, certificates.meter.key), framing) as port:
        url = f"tls://127.0.0.1:{port}?framing={framing}&ca={certificates.ca}"
        assert bytes(read(url, **CREDENTIALS[credentials]())).startswith(b"COS")  # type: ignore[call-overload]


def test_long_answers_and_many_requests(certificates: SimpleNamespace) -> None:
    with served(server_context(certificates.meter.certificate, certificates.meter.key)) as port:
        url = f"tls://localhost:{port}?ca={certificates.ca}"
        with blocking.DlmsClient(url, client_sap=16, server_sap=1) as meter:
            assert len(meter.get(7, "1.0.99.1.0.255", 2)) == 200  # type: ignore[arg-type]
            for _ in range(50):
                meter.get(3, "1.0.1.8.0.255", 2)


def test_a_client_certificate(certificates: SimpleNamespace, read: Callable[..., object]) -> None:
    meter = server_context(certificates.meter.certificate, certificates.meter.key, client_ca_file=certificates.ca)
    own = certificates.client
    with served(meter) as port:
        base = f"tls://127.0.0.1:{port}?ca={certificates.ca}"
        assert read(f"{base}&certificate={own.certificate}&key={own.key}")
        assert read(base, tls=TlsSettings(certificate_file=own.certificate, key_file=own.key))
        locked = certificates.locked
        assert read(
            base,
            tls=TlsSettings(certificate_file=locked.certificate, key_file=locked.key, key_password="hunter2"),
        )
        context = client_context(
            TlsSettings(ca_file=certificates.ca, certificate_file=own.certificate, key_file=own.key)
        )
        assert read(f"tls://127.0.0.1:{port}", tls=TlsSettings(context=context))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("whose", "says"), [(None, "may want a client certificate"), ("strange_client", "not accept")])
def test_no_client_certificate_or_a_wrong_one(
    certificates: SimpleNamespace,
    read: Callable[..., object],
    version: ssl.TLSVersion,
    whose: str | None,
    says: str,
) -> None:
    meter = server_context(certificates.meter.certificate, certificates.meter.key, client_ca_file=certificates.ca)
    meter.minimum_version = meter.maximum_version = version
    url = ""
    if whose is not None:
        own = getattr(certificates, whose)
        url = f"&certificate={own.certificate}&key={own.key}"
    with served(meter) as port, pytest.raises(LinkError, match=says) as caught:
        read(f"tls://127.0.0.1:{port}?ca={certificates.ca}{url}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("meter", "query", "says"),
    [
        ("meter", "", "not trusted .*ca=FILE"),
        ("meter", "ca={other_ca}", "not trusted .*stranger.pem does not certify it"),
        ("self_signed", "ca={ca}", "not trusted"),
        ("expired", "ca={ca}", "out of date"),
        ("named", "ca={ca}", "not for 127.0.0.1.*server_name=.*check_name=no"),
        ("meter", "ca={ca}&server_name=other.example", "not for other.example"),
    ],
)
def test_certificates_that_are_not_accepted(
    certificates: SimpleNamespace, read: Callable[..., object], meter: str, query: str, says: str
) -> None:
    files = getattr(certificates, meter)
    with served(server_context(files.certificate, files.key)) as port, pytest.raises(LinkError, match=says) as caught:
        read(f"tls://127.0.0.1:{port}?{query.format(**vars(certificates))}")
    assert f"cannot connect to tls://127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize("query", ["server_name=meter-0042.example", "check_name=no"])
def test_names_of_certificates(certificates: SimpleNamespace, read: Callable[..., object], query: str) -> None:
    files = certificates.named
    with served(server_context(files.certificate, files.key)) as port:
        assert read(f"tls://127.0.0.1:{port}?ca={certificates.ca}&{query}")


def test_a_self_signed_certificate_can_be_its_own_authority(
    certificates: SimpleNamespace, read: Callable[..., object]
) -> None:
    files = certificates.self_signed
    with served(server_context(files.certificate, files.key)) as port:
        assert read(f"tls://127.0.0.1:{port}?ca={files.certificate}")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ca_file": "{folder}/none.pem"}, "none.pem: No such file"),
        ({"ca_file": "{meter.key}"}, "no certificates can be read"),
        ({"certificate_file": "{folder}/none.pem"}, "none.pem"),
        ({"certificate_file": "{client.certificate}", "key_file": "{meter.key}"}, "is not that of"),
        ({"certificate_file": "{locked.certificate}", "key_file": "{locked.key}"}, "encrypted: give key_password"),
        (
            {"certificate_file": "{locked.certificate}", "key_file": "{locked.key}", "key_password": "swordfish"},
            "password of the key .* is wrong",
        ),
    ],
)
def test_files_that_do_not_serve(certificates: SimpleNamespace, settings: dict[str, str], says: str) -> None:
    filled = {name: value.format(**vars(certificates)) for name, value in settings.items()}
    with pytest.raises(LinkError, match=says) as caught:
        client_context(TlsSettings(**filled))  # type: ignore[arg-type]
    assert "swordfish" not in str(caught.value)


def test_passwords_do_not_show(certificates: SimpleNamespace) -> None:
    files = certificates.locked
    settings = TlsSettings(certificate_file=files.certificate, key_file=files.key, key_password="hunter2")
    client = DlmsClient("tls://127.0.0.1:4059", client_sap=16, server_sap=1, tls=settings)
    assert "hunter2" not in repr(settings) + repr(client) + repr(client._target) + str(client._target)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="certificate"):
        TlsSettings(key_file="x")
    with pytest.raises(ValueError, match="not both"):
        TlsSettings(ca_file="x", context=ssl.create_default_context())
    with pytest.raises(ValueError, match="tls://"):
        DlmsClient("tcp://127.0.0.1:4059", client_sap=16, server_sap=1, tls=TlsSettings())


def test_the_other_side_does_not_speak_tls(read: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(1000)
                peer.sendall(bytes.fromhex("0001000100100003d80101") * 3)
                peer.recv(1000)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(LinkError, match=r"does not speak TLS; try tcp://"):
            read(f"tls://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_the_other_side_says_nothing(read: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(LinkTimeout):
        read(f"tls://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=0.3)


def test_the_other_side_hangs_up(read: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            peer, _ = listener.accept()
            peer.recv(1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with pytest.raises(LinkError, match="ended TLS"):
            read(f"tls://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_refused(read: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(LinkLost, match="cannot connect to tls://"):
        read(f"tls://127.0.0.1:{port}")


def test_a_plain_client_at_a_tls_port(certificates: SimpleNamespace) -> None:
    with (
        served(server_context(certificates.meter.certificate, certificates.meter.key)) as port,
        pytest.raises(DlmsError),
    ):
        _read_blocking(f"tcp://127.0.0.1:{port}", timeout=5)


def test_an_old_version_is_refused(certificates: SimpleNamespace, read: Callable[..., object]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(certificates.meter.certificate, certificates.meter.key)
    with served(context) as port, pytest.raises(LinkError, match=r"TLS version from 1\.2 on|ended TLS"):
        read(f"tls://127.0.0.1:{port}?ca={certificates.ca}")


def test_deadlines_hold_through_tls(certificates: SimpleNamespace) -> None:
    """A server that shakes hands and then says nothing."""
    context = server_context(certificates.meter.certificate, certificates.meter.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[ssl.SSLSocket] = []
        done = threading.Event()

        def shake() -> None:
            peer, _ = listener.accept()
            taken.append(context.wrap_socket(peer, server_side=True))
            taken[0].recv(100)
            done.wait(10)

        thread = threading.Thread(target=shake, daemon=True)
        thread.start()
        url = f"tls://127.0.0.1:{listener.getsockname()[1]}?ca={certificates.ca}"
        stream = open_blocking_stream(url, timeout=5)
        with pytest.raises(TimeoutError):
            stream.receive(time.monotonic() + 0.05)
        stream.send(b"\x00", time.monotonic() + 5)
        stream.close()
        done.set()
        thread.join()
        taken[0].close()


def _openssl_server(files, *options: str) -> tuple[subprocess.Popen[str], int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files.certificate, "-key", files.key]
    process = subprocess.Popen(
        [*command, "-quiet", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for _ in range(200):
        with contextlib.suppress(OSError):
            # a connection that is no TLS ends at once and leaves s_server listening
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        time.sleep(0.02)
    raise AssertionError("openssl s_server does not listen")


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl command")
@pytest.mark.parametrize(
    ("meter", "options", "own", "says"),
    [
        ("meter", ("-tls1_2",), True, None),
        ("meter", ("-tls1_3",), True, None),
        ("meter", ("-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "{ca}"), True, None),
        ("meter", ("-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "{ca}"), False, "client certificate"),
        ("meter", ("-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", "{ca}"), False, "client certificate"),
        ("expired", (), True, "out of date"),
        ("self_signed", (), True, "not trusted"),
    ],
)
def test_against_openssl(
    certificates: SimpleNamespace,
    meter: str,
    options: tuple[str, ...],
    own: bool,
    says: str | None,
) -> None:
    filled = [option.format(**vars(certificates)) for option in options]
    process, port = _openssl_server(getattr(certificates, meter), *filled)
    url = f"tls://127.0.0.1:{port}?ca={certificates.ca}"
    if own:
        url += f"&certificate={certificates.client.certificate}&key={certificates.client.key}"
    try:
        if says is None:
            stream = open_blocking_stream(url, timeout=5)
            stream.send(b"hello\n", time.monotonic() + 5)
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "hello\n"
            process.stdin.write("world\n")
            process.stdin.flush()
            assert stream.receive(time.monotonic() + 5) == b"world\n"
            stream.close()
        else:
            with pytest.raises(LinkError, match=says):
                _read_blocking(url)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl command")
def test_openssl_at_our_server(certificates: SimpleNamespace, tmp_path: Path) -> None:
    meter = server_context(certificates.meter.certificate, certificates.meter.key, client_ca_file=certificates.ca)
    own = certificates.client
    with served(meter) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", certificates.ca, "-brief"]
        good = subprocess.run(
            [*command, "-cert", own.certificate, "-key", own.key, "-verify_return_error"],
            input="",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        bad = subprocess.run([*command, "-tls1_2"], input="", capture_output=True, text=True, timeout=20, check=False)
    assert good.returncode == 0, good.stderr
    assert "Verification: OK" in good.stderr
    assert bad.returncode != 0
