"""The listener on loopback, with a decoder of lines: iteration, framing of datagrams, order, ending, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from cosemic.errors import LinkError, LocalProtocolError
from cosemic.push.listening.limits import Limits
from cosemic.push.listening.listener import PushListener, Received
from cosemic.push.messages import Diagnosis, Push, Undecoded
from cosemic.push.telegrams import Dropped
from tests.push.fakes import LineDecoder
from tests.push.samples import notification, wrapper

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def listener(*urls: str, **options: object) -> PushListener:
    return PushListener(*urls, decoder_of=LineDecoder, clock=lambda: MOMENT, **options)


def port_of(place: str) -> int:
    return int(place.rpartition(":")[2])


async def connect(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port_of(place))


async def take(pushes: PushListener, count: int) -> list[Received]:
    found: list[Received] = []
    async with asyncio.timeout(20):
        for _ in range(count):
            received = await pushes.next()
            assert received is not None
            found.append(received)
    return found


def text_of(received: Received) -> str:
    assert isinstance(received.item, Push)
    return received.item.meter_id or ""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.01)


async def test_a_tcp_sender_in_pieces() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        _, writer = await connect(pushes.places[0])
        for octet in b"Pone\nPtwo\n":
            writer.write(bytes((octet,)))
            await writer.drain()
        found = await take(pushes, 2)
        assert [text_of(received) for received in found] == ["Pone", "Ptwo"]
        assert found[0].at == MOMENT
        here = writer.get_extra_info("sockname")
        assert found[0].source == f"tcp://127.0.0.1:{here[1]}"
        assert pushes.statistics.pushes == {"tcp": 2}
        assert pushes.statistics.connections == 1
        writer.close()
        await until(lambda: pushes.statistics.connections == 0)


async def test_the_end_of_a_stream_tells_what_was_begun() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        _, writer = await connect(pushes.places[0])
        writer.write(b"Pone\nPhalf")
        writer.close()
        found = await take(pushes, 2)
        assert found[1].item == Dropped("the stream ended", b"Phalf")


async def test_silence_is_told_to_the_decoder() -> None:
    async with listener("tcp://127.0.0.1:0?idle=0.1") as pushes:
        _, writer = await connect(pushes.places[0])
        writer.write(b"Phalf")
        (dropped,) = await take(pushes, 1)
        assert dropped.item == Dropped("the line fell silent", b"Phalf")
        writer.write(b"Pwhole\n")
        assert text_of((await take(pushes, 1))[0]) == "Pwhole"
        writer.close()


async def test_a_confirmed_push_is_confirmed() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        reader, writer = await connect(pushes.places[0])
        writer.write(b"Cone\n")
        async with asyncio.timeout(20):
            assert await reader.readexactly(6) == bytes.fromhex("108000000700")
        await take(pushes, 1)
        assert pushes.statistics.confirmed == 1
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data)


async def udp_sender(place: str) -> tuple[asyncio.DatagramTransport, Datagrams]:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(Datagrams, remote_addr=("127.0.0.1", port_of(place)))


async def test_datagrams_are_telegrams_of_their_own() -> None:
    async with listener("udp://127.0.0.1:0") as pushes:
        sender, heard = await udp_sender(pushes.places[0])
        for datagram in (b"Phalf", b"Pone\n", b"U\n", b"", b"Cone\n"):
            sender.sendto(datagram)
        found = await take(pushes, 4)
        assert found[0].item == Dropped("the stream ended", b"Phalf")
        assert text_of(found[1]) == "Pone"
        assert isinstance(found[2].item, Undecoded)
        async with asyncio.timeout(20):
            assert await heard.heard.get() == bytes.fromhex("108000000700")
        assert pushes.statistics.undecoded == {Diagnosis.KEY_MISSING: 1}
        sender.close()


async def test_general_blocks_of_a_sender_belong_together() -> None:
    async with listener("udp://127.0.0.1:0?idle=0.2") as pushes:
        one, _ = await udp_sender(pushes.places[0])
        other, _ = await udp_sender(pushes.places[0])
        one.sendto(b"\xe0Pone")  # what the tag of a block begins
        other.sendto(b"\x00\x01\x00\x01\x00\x66\x00\x02\xe0P")
        one.sendto(b"-more\n")
        found = await take(pushes, 2)
        assert found[0].item == Dropped("noise", b"\xe0Pone-more")
        assert isinstance(found[1].item, Dropped)  # the other one fell silent
        assert found[1].source == f"udp://127.0.0.1:{other.get_extra_info('sockname')[1]}"
        one.close()
        other.close()


async def test_a_push_in_blocks_over_udp() -> None:
    octets = notification()
    pieces = [octets[start : start + 20] for start in range(0, len(octets), 20)]
    async with PushListener("udp://127.0.0.1:0") as pushes:
        sender, _ = await udp_sender(pushes.places[0])
        for number, piece in enumerate(pieces, 1):
            last = 0x80 if number == len(pieces) else 0
            # general-block-transfer: control, number, number acknowledged, data
            block = bytes((0xE0, last)) + number.to_bytes(2) + bytes((0, 0, len(piece))) + piece
            sender.sendto(wrapper(block))
        (received,) = await take(pushes, 1)
        assert isinstance(received.item, Push)
        assert received.item.telegram.octets == octets
        sender.close()


async def test_an_error_in_the_decoder_ends_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with listener("tcp://127.0.0.1:0", "udp://127.0.0.1:0") as pushes:
        _, bad = await connect(pushes.places[0])
        _, good = await connect(pushes.places[0])
        sender, _ = await udp_sender(pushes.places[1])
        bad.write(b"X\n")
        sender.sendto(b"X\n")
        await until(lambda: pushes.statistics.failures == 2)
        sender.sendto(b"Pdatagram\n")
        good.write(b"Pgood\n")
        bad.write(b"Pagain\n")
        assert {text_of(received) for received in await take(pushes, 3)} == {"Pdatagram", "Pgood", "Pagain"}
        assert "please report" in caplog.text
        assert "a fault in the decoder" not in caplog.text
        for writer in (bad, good):
            writer.close()
        sender.close()


async def test_iterating_opens_and_stop_drains() -> None:
    pushes = listener("tcp://127.0.0.1:0")
    found: list[str] = []
    async for received in _feeding(pushes, lambda place: send_lines(place, b"Pa\nPb\nPc\n")):
        found.append(text_of(received))
        pushes.stop()
    assert found == ["Pa", "Pb", "Pc"]
    with pytest.raises(LocalProtocolError, match="make another"):
        await pushes.open()


async def _feeding(pushes: PushListener, send: Callable[[str], Awaitable[object]]):
    async with asyncio.TaskGroup() as tasks:

        async def feed() -> None:
            await until(lambda: bool(pushes.places))
            await send(pushes.places[0])

        tasks.create_task(feed())
        async for received in pushes:
            yield received


async def send_lines(place: str, octets: bytes) -> None:
    _, writer = await connect(place)
    writer.write(octets)
    await writer.drain()
    writer.close()


async def test_cancelling_loses_nothing_and_closes() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        waiting = asyncio.create_task(pushes.next())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        _, writer = await connect(pushes.places[0])
        writer.write(b"Pone\n")
        assert text_of((await take(pushes, 1))[0]) == "Pone"
        place = pushes.places[0]
    assert await pushes.next() is None
    with pytest.raises(OSError):
        await connect(place)
    writer.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("tcp://192.0.2.1:4059", "no address of this machine.*connect\\+tcp://192.0.2.1:4059"),
        ("udp://192.0.2.1:4059", "no address of this machine"),
        ("/nonexistent/capture.bin", "check the path"),
    ],
)
async def test_what_cannot_be_opened_says_what_to_do(url: str, told: str) -> None:
    pushes = listener("tcp://127.0.0.1:0", url)
    with pytest.raises(LinkError, match=told):
        await pushes.open()
    with pytest.raises(OSError):  # the first one is closed again
        await connect(pushes.places[0])


async def test_a_port_that_is_taken() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        with pytest.raises(LinkError, match="another program listens there"):
            await listener(pushes.places[0]).open()


async def test_a_sender_that_is_faster_waits() -> None:
    async with listener("tcp://127.0.0.1:0", limits=Limits(queued=10)) as pushes:
        _, writer = await connect(pushes.places[0])
        lines = [f"P{number}" for number in range(20_000)]
        writer.write("".join(f"{line}\n" for line in lines).encode())
        writer.write_eof()
        await until(lambda: pushes.statistics.pushes["tcp"] > 0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert pushes.statistics.pushes["tcp"] < 20_000
        assert [text_of(received) for received in await take(pushes, 20_000)] == lines
        writer.close()


async def test_datagrams_that_find_no_room_are_counted() -> None:
    async with listener("udp://127.0.0.1:0", limits=Limits(queued=4)) as pushes:
        sender, _ = await udp_sender(pushes.places[0])
        for _ in range(20):
            sender.sendto(b"P\n")
        await until(lambda: pushes.statistics.datagrams == 20)
        assert pushes.statistics.lost_datagrams == 16
        await take(pushes, 4)
        sender.sendto(b"Plate\n")
        assert text_of((await take(pushes, 1))[0]) == "Plate"
        sender.close()


async def test_files_end_the_iteration(tmp_path) -> None:
    (tmp_path / "octets").write_bytes(b"Pone\nPtwo\n")
    (tmp_path / "hex.txt").write_text("# a capture\n50 74 68 72\n65 65 0A\n")
    (tmp_path / "empty").write_bytes(b"")
    found = [
        (received.source, text_of(received))
        async for received in listener(*(str(tmp_path / name) for name in ("octets", "hex.txt", "empty")))
    ]
    assert sorted(found) == [
        (str(tmp_path / "hex.txt"), "Pthree"),
        (str(tmp_path / "octets"), "Pone"),
        (str(tmp_path / "octets"), "Ptwo"),
    ]


async def test_octets_are_recorded_before_anything_is_made_of_them() -> None:
    recorded: list[tuple[datetime, str, bytes]] = []
    async with listener("udp://127.0.0.1:0", on_octets=lambda *chunk: recorded.append(chunk)) as pushes:
        sender, _ = await udp_sender(pushes.places[0])
        sender.sendto(b"X\n")
        await until(lambda: bool(recorded))
        here = sender.get_extra_info("sockname")
        assert recorded == [(MOMENT, f"udp://127.0.0.1:{here[1]}", b"X\n")]
        sender.close()


async def test_confirming_when_it_is_safe() -> None:
    async with listener("tcp://127.0.0.1:0", "udp://127.0.0.1:0", confirms=False) as pushes:
        reader, writer = await connect(pushes.places[0])
        sender, heard = await udp_sender(pushes.places[1])
        writer.write(b"Cone\nPtwo\n")
        sender.sendto(b"Cthree\n")
        found = await take(pushes, 3)
        assert pushes.statistics.confirmed == 0
        for received in found:
            received.confirm()
        assert pushes.statistics.confirmed == 2
        async with asyncio.timeout(20):
            assert await reader.readexactly(6) == await heard.heard.get() == bytes.fromhex("108000000700")
        writer.close()
        sender.close()
        await until(lambda: pushes.statistics.connections == 0)
        found[0].confirm()  # the meter has gone: it will send again
        assert pushes.statistics.unconfirmed == 1
