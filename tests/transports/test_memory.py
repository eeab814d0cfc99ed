import asyncio

import pytest

from cosemic.errors import LinkLost, LocalProtocolError
from cosemic.transports.memory import FakeClock, memory_pair


async def test_octets_arrive_in_order() -> None:
    near, far = memory_pair()
    await near.send(b"one")
    await near.send(b"two")
    assert await far.receive() == b"one"
    assert await far.receive() == b"two"


async def test_a_waiting_receiver_is_woken() -> None:
    near, far = memory_pair(FakeClock())
    task = asyncio.create_task(far.receive(far.clock() + 5))
    await asyncio.sleep(0)
    await near.send(b"late")
    assert await task == b"late"


async def test_fake_time_jumps_to_the_deadline_and_no_further() -> None:
    clock = FakeClock(100.0)
    near, _ = memory_pair(clock)
    with pytest.raises(TimeoutError):
        await near.receive(130.0)
    assert clock.time() == 130.0


async def test_two_deadlines_pass_in_order() -> None:
    clock = FakeClock(0.0)
    near, far = memory_pair(clock)
    order = []

    async def wait(stream, deadline):
        with pytest.raises(TimeoutError):
            await stream.receive(deadline)
        order.append((deadline, clock.time()))

    async with asyncio.TaskGroup() as group:
        group.create_task(wait(near, 20.0))
        group.create_task(wait(far, 10.0))
    assert order == [(10.0, 10.0), (20.0, 20.0)]


async def test_without_autojump_only_advance_moves() -> None:
    clock = FakeClock(0.0, autojump=False)
    near, _ = memory_pair(clock)
    task = asyncio.create_task(near.receive(1.0))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    clock.advance(0.5)
    await asyncio.sleep(0)
    assert not task.done()
    clock.advance(0.5)
    with pytest.raises(TimeoutError):
        await task


async def test_an_earlier_deadline_replaces_the_timer_and_a_later_one_reuses_it() -> None:
    clock = FakeClock(0.0)
    near, far = memory_pair(clock)
    task = asyncio.create_task(near.receive(50.0))
    await asyncio.sleep(0)
    await far.send(b"x")
    assert await task == b"x"
    with pytest.raises(TimeoutError):
        await near.receive(10.0)
    assert clock.time() == 10.0
    with pytest.raises(TimeoutError):
        await near.receive(60.0)
    assert clock.time() == 60.0


async def test_close_ends_both_after_what_is_under_way() -> None:
    near, far = memory_pair()
    await near.send(b"last words")
    near.close()
    near.close()
    assert await far.receive() == b"last words"
    assert await far.receive() == b""
    assert await near.receive() == b""
    with pytest.raises(LinkLost):
        await near.send(b"x")
    with pytest.raises(LinkLost):
        await far.send(b"x")


async def test_a_cancelled_receive_loses_nothing() -> None:
    near, far = memory_pair()
    task = asyncio.create_task(far.receive())
    await asyncio.sleep(0)
    await near.send(b"precious")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await far.receive() == b"precious"


async def test_one_receiver_at_a_time() -> None:
    near, _ = memory_pair()
    task = asyncio.create_task(near.receive())
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await near.receive()
    near.close()
    assert await task == b""


async def test_what_is_passed_on_can_be_changed() -> None:
    near, far = memory_pair()
    near.pass_on = lambda data: [data[:1], data[1:]]
    await near.send(b"abc")
    assert [await far.receive(), await far.receive()] == [b"a", b"bc"]
    near.pass_on = lambda data: []
    await near.send(b"lost")
    near.close()
    assert await far.receive() == b""
