"""Serial ports (ptys), connections that we make, files and stdin-like streams, with the real decoder."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from cosemic.errors import DecodeError, LinkError
from cosemic.push.listening import lines as sources_lines
from cosemic.push.listening.listener import PushListener, Received
from cosemic.push.messages import Push
from cosemic.push.telegrams import Dropped, Framing
from tests.push.listening.test_listener import port_of, take, until
from tests.push.samples import hdlc, mbus, notification, wrapper
from tests.vectors.collection import REASON, load

NOISE = bytes(range(0x80, 0xA0))


def energy_of(received: Received) -> Decimal:
    assert isinstance(received.item, Push)
    (value,) = [reading.value for reading in received.item.readings if reading.unit == "Wh"]
    assert isinstance(value, Decimal)
    return value


@contextmanager
def line() -> Iterator[tuple[int, str]]:
    """A pty: our end, and the name of the port."""
    near, port = os.openpty()
    for descriptor in (near, port):
        tty.setraw(descriptor)
    try:
        yield near, os.ttyname(port)
    finally:
        for descriptor in (near, port):
            os.close(descriptor)


async def write_slowly(descriptor: int, octets: bytes, pieces: int = 3) -> None:
    for start in range(0, len(octets), pieces):
        os.write(descriptor, octets[start : start + pieces])
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("scheme", "octets", "framing"),
    [
        ("serial", hdlc(notification(1234)), Framing.HDLC),
        ("serial", mbus(notification(1234)), Framing.MBUS),
        ("mbus", mbus(notification(1234), piece=20), Framing.MBUS),
        ("mbus", mbus(notification(1234)), Framing.MBUS),
    ],
)
async def test_a_serial_port_at_2400_baud(scheme: str, octets: bytes, framing: Framing) -> None:
    with line() as (near, port):
        # a pty has no parity, so it is 8N1 here
        async with PushListener(f"{scheme}://{port}?baud=2400&parity=none") as pushes:
            await write_slowly(near, octets)
            await write_slowly(near, octets, pieces=1)
            for received in await take(pushes, 2):
                assert energy_of(received) == Decimal(12340)
                assert received.source == f"{scheme}://{port}?baud=2400&parity=none"
                assert isinstance(received.item, Push)
                assert received.item.telegram.framing is framing
                assert received.item.meter_id == "TST0001"


@pytest.mark.parametrize(
    "case",
    [case for case in load("pushes") if case["kind"] in ("push-hdlc", "push-mbus") and "keys" not in case]
    or [pytest.param(None, marks=pytest.mark.skip(reason=REASON))],
    ids=lambda case: case and case["name"],
)
async def test_captures_of_real_meters_over_a_serial_port(case: dict[str, str]) -> None:
    if case["name"].startswith("nokey-"):
        pytest.skip("encrypted, and nobody has the key")
    octets = bytes.fromhex(case["bytes"])
    with line() as (near, port):
        async with PushListener(f"serial://{port}?baud=2400&parity=none&idle=0.2") as pushes:
            await write_slowly(near, NOISE[:7] + octets + octets, pieces=16)
            good: list[Push] = []
            async with asyncio.timeout(30):
                while len(good) < 2:
                    received = await pushes.next()
                    assert received is not None
                    if isinstance(received.item, Push):
                        good.append(received.item)
            assert good[0].tree == good[1].tree
            assert good[0].tree is not None


async def test_a_line_that_falls_silent_amid_a_telegram() -> None:
    octets = hdlc(notification())
    with line() as (near, port):
        async with PushListener(f"serial://{port}?idle=0.1") as pushes:
            await write_slowly(near, octets[:-5])
            (dropped,) = await take(pushes, 1)
            assert not isinstance(dropped.item, Push)
            await write_slowly(near, octets)
            assert energy_of((await take(pushes, 1))[0]) == Decimal(12340)


async def test_a_port_that_is_pulled_out_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_lines, "FIRST_PAUSE", 0.02)
    told: list[str] = []
    device = tmp_path / "ttyUSB0"
    first, first_port = os.openpty()
    tty.setraw(first_port)
    device.symlink_to(os.ttyname(first_port))
    async with PushListener(f"serial://{device}", on_event=told.append) as pushes:
        os.write(first, hdlc(notification(1)))
        assert energy_of((await take(pushes, 1))[0]) == Decimal(10)
        device.unlink()
        os.close(first_port)
        os.close(first)
        await until(lambda: bool(told))
        assert "it is opened again as soon as it is there" in told[0]
        with line() as (second, port):
            device.symlink_to(port)
            await until(lambda: pushes.statistics.reopened == 1)
            assert "is open again" in told[-1]
            os.write(second, hdlc(notification(2)))
            assert energy_of((await take(pushes, 1))[0]) == Decimal(20)


async def test_a_port_that_is_not_there_at_the_beginning_is_an_error() -> None:
    with pytest.raises(LinkError, match="cannot connect to serial:///dev/nowhere"):
        await PushListener("serial:///dev/nowhere").open()


async def test_connecting_out_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_lines, "FIRST_PAUSE", 0.02)
    served = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.write(wrapper(notification(served)))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, PushListener(f"connect+tcp://127.0.0.1:{port}") as pushes:
        assert [energy_of(received) for received in await take(pushes, 3)] == [Decimal(10), Decimal(20), Decimal(30)]
        assert pushes.statistics.reopened >= 2


async def test_a_serial_server_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_lines, "FIRST_PAUSE", 0.02)
    probe = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    told: list[str] = []
    async with PushListener(f"connect+tcp://127.0.0.1:{port}", on_event=told.append) as pushes:
        assert "it is tried again" in told[0]

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(hdlc(notification()))

        async with await asyncio.start_server(serve, "127.0.0.1", port):
            assert energy_of((await take(pushes, 1))[0]) == Decimal(12340)


async def test_every_framing_at_one_tcp_port() -> None:
    async with PushListener("tcp://127.0.0.1:0") as pushes:
        writers = []
        for number, frame in enumerate((wrapper, hdlc, mbus, bytes), 1):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(pushes.places[0]))
            writer.write(frame(notification(number)))
            writers.append(writer)
        found = await take(pushes, 4)
        assert {energy_of(received) for received in found} == {Decimal(10 * number) for number in range(1, 5)}
        assert len({received.source for received in found}) == 4
        for writer in writers:
            writer.close()


async def test_confirmed_pushes_are_confirmed_in_their_framing() -> None:
    async with PushListener("tcp://127.0.0.1:0") as pushes:
        push = notification(confirmed=True, invoke_id=0x123456)
        for frame, answer in (
            (bytes, "10 40123456 00"),
            (wrapper, "0001 0066 0001 0006 10 40123456 00"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(pushes.places[0]))
            writer.write(frame(push))
            expected = bytes.fromhex(answer)
            async with asyncio.timeout(20):
                assert await reader.readexactly(len(expected)) == expected
            writer.close()


# -- files ------------------------------------------------------------------------------------------------------------
async def test_a_file_of_everything(tmp_path: Path) -> None:
    octets = b"".join(frame(notification(n)) for n, frame in enumerate((hdlc, mbus, wrapper, hdlc), 1))
    (tmp_path / "octets.bin").write_bytes(octets)
    (tmp_path / "text.txt").write_text("\n".join(octets[start : start + 16].hex(" ") for start in range(0, 400, 16)))
    for name in ("octets.bin", "text.txt"):
        found = [received async for received in PushListener(str(tmp_path / name))]
        good = [energy_of(received) for received in found if isinstance(received.item, Push)]
        assert good == [Decimal(10), Decimal(20), Decimal(30), Decimal(40)]


async def test_a_recording_keeps_times_and_sources(tmp_path: Path) -> None:
    recording = tmp_path / "recording.txt"
    first, second = hdlc(notification(1)), hdlc(notification(2))
    recording.write_text(
        "# cosemic recording 1\n"
        f"2026-03-01T12:00:00.000000+00:00 tcp://192.0.2.1:7 < {first[:20].hex()}\n"
        f"2026-03-01T12:00:00.100000+00:00 tcp://192.0.2.2:7 < {second.hex()}\n"
        "2026-03-01T12:00:00.150000+00:00 tcp://192.0.2.2:7 > 0011\n"
        f"2026-03-01T12:00:00.200000+00:00 tcp://192.0.2.1:7 < {first[20:].hex()}\n"
    )
    found = [received async for received in PushListener(str(recording))]
    assert [(received.source, energy_of(received), received.at.isoformat()) for received in found] == [
        ("tcp://192.0.2.2:7", Decimal(20), "2026-03-01T12:00:00.100000+00:00"),
        ("tcp://192.0.2.1:7", Decimal(10), "2026-03-01T12:00:00.200000+00:00"),
    ]


async def test_a_pipe_gives_readings_as_they_come(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    try:
        async with PushListener(f"file:{pipe}") as pushes:
            for number in (1, 2):
                os.write(end, hdlc(notification(number)))
                assert energy_of((await take(pushes, 1))[0]) == Decimal(10 * number)
            os.write(end, b"\x7e\xa0")
        assert await pushes.next() is None
    finally:
        os.close(end)


async def test_text_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    try:
        async with PushListener(f"file:{pipe}") as pushes:
            for number in (1, 2):
                os.write(end, f"# number {number}\n{hdlc(notification(number)).hex(' ')}\n".encode())
                assert energy_of((await take(pushes, 1))[0]) == Decimal(10 * number)
    finally:
        os.close(end)


async def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="is a folder"):
        await PushListener(str(tmp_path)).open()
    (tmp_path / "packed").write_bytes(b"\x1f\x8b\x08" + bytes(60))
    with pytest.raises(DecodeError, match="packed: the file is compressed: unpack it first"):
        await PushListener(str(tmp_path / "packed")).open()


async def test_noise_is_dropped_and_told_with_its_octets(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE * 3)
    found = [received.item async for received in PushListener(str(tmp_path / "noise"))]
    assert all(isinstance(item, Dropped) for item in found)
    assert b"".join(item.octets for item in found if isinstance(item, Dropped)) == NOISE * 3
