"""TLS: half of a handshake is a connection too; confirmations go through it, never beside it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from cosemic.errors import LinkError
from cosemic.push.listening.limits import Limits
from cosemic.push.listening.listener import PushListener
from tests.push.listening.test_listener import connect, port_of, take, until
from tests.push.samples import notification, wrapper
from tests.transports.authority import Authority


@pytest.fixture
def url(tmp_path: Path) -> str:
    files = Authority(tmp_path, "authority").issue("server", "127.0.0.1")
    return f"tls://127.0.0.1:0?certificate={files.certificate}&key={files.key}"


@pytest.fixture
def context(tmp_path: Path, url: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))


async def test_confirmations_go_through_tls(url: str, context: ssl.SSLContext) -> None:
    push = wrapper(notification(confirmed=True, invoke_id=5))
    async with PushListener(url) as pushes:

        async def meter() -> bytes:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port_of(pushes.places[0]), ssl=context, server_hostname="127.0.0.1"
            )
            writer.write(push)  # follows the end of the handshake at once
            async with asyncio.timeout(30):
                answer = await reader.readexactly(14)
            writer.close()
            return answer

        answers = await asyncio.gather(*(meter() for _ in range(20)))
        assert set(answers) == {bytes.fromhex("0001006600010006104000000500")}
        found = await take(pushes, 20)
        assert all(received.source.startswith("tls://127.0.0.1:") for received in found)
        await until(lambda: pushes.statistics.connections == 0)


async def test_half_a_handshake_counts(url: str, context: ssl.SSLContext) -> None:
    async with PushListener(url, limits=Limits(connections=2)) as pushes:
        stuck = [await connect(pushes.places[0]) for _ in range(2)]
        await until(lambda: pushes.statistics.connections == 2)
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.open_connection("127.0.0.1", port_of(pushes.places[0]), ssl=context, server_hostname="x")
        assert pushes.statistics.refused == {"connections": 1}
        for _, writer in stuck:
            writer.close()
        await until(lambda: pushes.statistics.connections == 0)
        assert pushes.statistics.closed == {"TLS handshake": 2}


async def test_plain_octets_at_a_tls_port(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with PushListener(url) as pushes:
        reader, writer = await connect(pushes.places[0])
        writer.write(wrapper(notification()) * 3)
        async with asyncio.timeout(30):
            assert len(await reader.read()) <= 7  # an alert at most
        assert pushes.statistics.pushes == {}
        assert "closed: TLS:" in caplog.text
        writer.close()


async def test_the_end_during_a_handshake(url: str) -> None:
    async with PushListener(url) as pushes:
        _, writer = await connect(pushes.places[0])
        await until(lambda: pushes.statistics.connections == 1)
    writer.close()
    assert pushes.statistics.connections == 0


async def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(LinkError, match=r"no\.pem"):
        await PushListener(f"tls://127.0.0.1:0?certificate={tmp_path}/no.pem").open()
