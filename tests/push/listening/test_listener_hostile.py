"""Senders that never finish, send garbage, open thousands of connections: the others are not disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket

import pytest

from cosemic.push.listening.limits import Limits
from cosemic.push.listening.listener import PushListener
from cosemic.push.messages import Push
from cosemic.push.telegrams import Dropped
from tests.push.listening.test_listener import connect, listener, port_of, take, text_of, udp_sender, until


async def good_push(pushes: PushListener, text: str, writer: asyncio.StreamWriter | None = None) -> None:
    """A push of a good sender comes through, whatever else is in the queue."""
    if writer is None:
        _, writer = await connect(pushes.places[0])
    writer.write(text.encode() + b"\n")
    async with asyncio.timeout(20):
        while True:
            received = await pushes.next()
            assert received is not None
            if isinstance(received.item, Push) and text_of(received) == text:
                break
    writer.close()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await reader.read() == b""
    return True


async def test_connections_of_one_address_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with listener("tcp://127.0.0.1:0", limits=Limits(connections_per_address=3)) as pushes:
        good = [await connect(pushes.places[0]) for _ in range(3)]
        more = [await connect(pushes.places[0]) for _ in range(50)]
        for reader, _ in more:
            assert await is_closed(reader)
        assert pushes.statistics.connections == 3
        assert pushes.statistics.refused == {"connections_per_address": 50}
        assert len(caplog.records) == 1  # the log is no way to fill a disk
        assert "127.0.0.1 has 3 connections already" in caplog.text
        await good_push(pushes, "Pgood", good[0][1])
        await until(lambda: pushes.statistics.connections == 2)
        _, again = await connect(pushes.places[0])  # its place is free again
        await good_push(pushes, "Pagain", again)
        for _, writer in (*good, *more):
            writer.close()


async def test_connections_in_all_are_bounded() -> None:
    async with listener("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", limits=Limits(connections=2)) as pushes:
        first = await connect(pushes.places[0])
        second = await connect(pushes.places[1])
        await until(lambda: pushes.statistics.connections == 2)
        reader, third = await connect(pushes.places[0])
        assert await is_closed(reader)
        assert pushes.statistics.refused == {"connections": 1}
        await good_push(pushes, "Pgood", first[1])
        for _, writer in (second, (None, third)):
            writer.close()


async def test_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (66, 100))
    async with listener("tcp://127.0.0.1:0") as pushes:
        assert pushes.limits.connections == 2
        held = [await connect(pushes.places[0]) for _ in range(2)]
        reader, third = await connect(pushes.places[0])
        assert await is_closed(reader)
        assert pushes.statistics.refused == {"connections": 1}
        for _, writer in (*held, (reader, third)):
            writer.close()


async def test_a_network_of_ipv6_counts_as_one_address() -> None:
    from cosemic.push.listening.addresses import network_of

    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == "fe80::/64"


async def test_who_never_gives_a_telegram_is_closed() -> None:
    limits = Limits(seconds_to_first_telegram=0.2)
    async with listener("tcp://127.0.0.1:0", limits=limits) as pushes:
        silent = await connect(pushes.places[0])
        dripping_reader, dripping = await connect(pushes.places[0])
        task = asyncio.create_task(drip(dripping))
        assert await is_closed(dripping_reader)
        assert await is_closed(silent[0])
        task.cancel()
        assert pushes.statistics.closed == {"seconds_to_first_telegram": 2}
        await good_push(pushes, "Pgood")
        for writer in (silent[1], dripping):
            writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"P")
            await writer.drain()
            await asyncio.sleep(0.02)


async def test_who_has_given_telegrams_has_time_for_each_further_one() -> None:
    limits = Limits(seconds_for_telegram=0.2, seconds_silent=1e6)
    async with listener("tcp://127.0.0.1:0?idle=0.1", limits=limits) as pushes:
        reader, writer = await connect(pushes.places[0])
        _, quiet = await connect(pushes.places[0])
        quiet.write(b"Pquiet\nPhalf")
        found = await take(pushes, 2)
        assert found[1].item == Dropped("the line fell silent", b"Phalf")
        writer.write(b"Pone\n")
        assert text_of((await take(pushes, 1))[0]) == "Pone"
        task = asyncio.create_task(drip(writer))
        assert await is_closed(reader)
        task.cancel()
        assert pushes.statistics.closed == {"seconds_for_telegram": 1}
        await good_push(pushes, "Pquiet again", quiet)  # silence is no offence
        writer.close()


async def test_who_is_silent_for_long_is_closed() -> None:
    async with listener("tcp://127.0.0.1:0?idle=0.05", limits=Limits(seconds_silent=0.2)) as pushes:
        reader, writer = await connect(pushes.places[0])
        writer.write(b"Pone\n")
        assert await is_closed(reader)
        assert pushes.statistics.closed == {"seconds_silent": 1}
        writer.close()


async def test_garbage_without_end_is_cut() -> None:
    limits = Limits(octets_without_telegram=50_000)
    async with listener("tcp://127.0.0.1:0", limits=limits) as pushes:
        reader, writer = await connect(pushes.places[0])
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b"\x00" * 10_000)
                await writer.drain()
        assert await is_closed(reader)
        assert pushes.statistics.closed == {"octets_without_telegram": 1}
        assert pushes.statistics.octets["tcp"] < 100_000
        (dropped,) = await take(pushes, 1)
        assert isinstance(dropped.item, Dropped)
        assert len(dropped.item.octets) == 4096  # its beginning is enough to look at
        await good_push(pushes, "Pgood")
        writer.close()


async def test_what_all_have_begun_is_bounded_and_the_largest_goes() -> None:
    limits = Limits(octets_held=100_000)
    async with listener("tcp://127.0.0.1:0", limits=limits) as pushes:
        small_reader, small = await connect(pushes.places[0])
        small.write(b"Psmall")
        others = [await connect(pushes.places[0]) for _ in range(10)]
        for number, (_, writer) in enumerate(others, 1):
            writer.write(b"x" * (number * 4_000))
        await until(lambda: bool(pushes.statistics.closed))
        assert set(pushes.statistics.closed) == {"octets held"}
        small.write(b"-and-good\n")
        await good_push(pushes, "Psmall-and-good", small)
        assert small_reader is not None
        for _, writer in others:
            writer.close()


async def test_telegrams_without_a_reading_end_a_connection() -> None:
    limits = Limits(undecoded_in_a_row=100)
    async with listener("tcp://127.0.0.1:0", limits=limits) as pushes:
        reader, writer = await connect(pushes.places[0])
        _, mixed = await connect(pushes.places[0])
        mixed.write((b"U\n" * 99 + b"Pone\n") * 3)
        writer.write(b"U\n" * 99)
        await take(pushes, 399)
        writer.write(b"U\n")
        assert await is_closed(reader)
        assert pushes.statistics.closed == {"undecoded_in_a_row": 1}
        await good_push(pushes, "Pgood", mixed)
        writer.close()


async def test_who_does_not_read_confirmations_is_closed() -> None:
    async with listener("tcp://127.0.0.1:0") as pushes:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port_of(pushes.places[0])))

        async def ask() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await loop.sock_sendall(sock, b"C\n" * 4096)

        async def swallow() -> None:
            while await pushes.next() is not None:
                pass

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            swallowing = tasks.create_task(swallow())
            await ask()
            swallowing.cancel()
        assert pushes.statistics.closed == {"unread": 1}
        sock.close()


async def test_a_slow_reader_of_ours_is_no_fault_of_the_sender() -> None:
    limits = Limits(queued=2, seconds_for_telegram=0.2, seconds_to_first_telegram=0.2, seconds_silent=0.3)
    async with listener("tcp://127.0.0.1:0?idle=0.05", limits=limits) as pushes:
        _, writer = await connect(pushes.places[0])
        writer.write(b"Pone\nPtwo\n")
        await until(lambda: pushes.statistics.pushes["tcp"] == 2)
        writer.write(b"Pthree\nPfo")
        later = asyncio.get_running_loop().time() + 0.6
        await until(lambda: asyncio.get_running_loop().time() > later)  # longer than all of the limits
        writer.write(b"ur\n")
        assert [text_of(received) for received in await take(pushes, 4)] == ["Pone", "Ptwo", "Pthree", "Pfour"]
        writer.close()


async def test_thousands_of_connections_and_a_good_one() -> None:
    count = min(2_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100)
    limits = Limits(connections_per_address=count)
    async with listener("tcp://127.0.0.1:0", limits=limits) as pushes:
        _, good = await connect(pushes.places[0])
        loop = asyncio.get_running_loop()
        flood: list[socket.socket] = []
        for _ in range(count - 1):
            sock = socket.socket()
            sock.setblocking(False)
            flood.append(sock)
            await loop.sock_connect(sock, ("127.0.0.1", port_of(pushes.places[0])))
            await loop.sock_sendall(sock, b"Pnever")
        await until(lambda: pushes.statistics.connections == count)
        await good_push(pushes, "Pgood", good)
        for sock in flood:
            sock.close()
        await until(lambda: pushes.statistics.connections == 0)
        assert len(await take(pushes, count - 1)) == count - 1


async def test_a_flood_of_garbage_datagrams(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    limits = Limits(bad_datagrams_per_second=10, queued=100_000)
    async with listener("udp://127.0.0.1:0", limits=limits) as pushes:
        bad, _ = await udp_sender(pushes.places[0])
        good, _ = await udp_sender(pushes.places[0])
        for _ in range(20):
            for _ in range(100):
                bad.sendto(b"U\n")
            sent = pushes.statistics.datagrams
            good.sendto(b"Pgood\n")
            await until(lambda sent=sent: pushes.statistics.datagrams > sent)
        await until(lambda: pushes.statistics.pushes["udp"] == 20)
        told = sum(pushes.statistics.undecoded.values())
        assert told <= 10 * 22  # the test may take some seconds
        assert told + pushes.statistics.suppressed + 20 == pushes.statistics.datagrams
        bad.close()
        good.close()


async def test_the_table_of_datagram_senders_is_bounded() -> None:
    limits = Limits(datagram_senders=5)
    async with listener("udp://127.0.0.1:0", limits=limits) as pushes:
        senders = [(await udp_sender(pushes.places[0]))[0] for _ in range(8)]
        for sender in senders:
            sender.sendto(b"\xe0begun")
        await until(lambda: pushes.statistics.closed["datagram_senders"] == 3)
        found = await take(pushes, 3)
        here = [sender.get_extra_info("sockname")[1] for sender in senders[:3]]
        assert sorted(received.source for received in found) == sorted(f"udp://127.0.0.1:{port}" for port in here)
        for sender in senders:
            sender.close()


@pytest.mark.parametrize("name", ["connections", "octets_held", "seconds_silent"])
def test_a_limit_is_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above zero"):
        Limits(**{name: 0})
