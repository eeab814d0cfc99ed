"""A ledger that is behind the meter: what moves it on, by policy, and what does not. Both clients, same meter."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cosemic import blocking
from cosemic import client as asynchronous
from cosemic.codec import axdr
from cosemic.cosem.invocation_counter import INVOCATION_COUNTER, CounterSource
from cosemic.enums import DataAccessResult
from cosemic.errors import (
    AssociationRefused,
    DlmsError,
    KeyMissing,
    LinkLost,
    LinkTimeout,
    LocalProtocolError,
    ObjectUndefined,
    SecurityError,
)
from cosemic.meter.connections import MeterConnection
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.objects import fixed
from cosemic.meter.server import Ports, running
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters, SqliteCounters
from cosemic.transports.memory import FakeClock

from .e2e.conftest import make_meter, url_of
from .test_blocking import Bench as BlockingBench
from .test_client import Bench as AsyncBench

TITLE = bytes.fromhex("5245434F56455201")
ENERGY = "1.0.1.8.0.255"


def security(recovery: str = "never", **options: Any) -> SecurityContext:
    options.setdefault("counters", MemoryCounters())
    return SecurityContext(0, TITLE, ENCRYPTION_KEY, AUTHENTICATION_KEY, counter_recovery=recovery, **options)


def gmac(context: SecurityContext, **options: Any) -> dict[str, Any]:
    return {"client_sap": 1, "authentication": 5, "security": context, **options}


def following(context: SecurityContext) -> int | None:
    name = context.counter_id(TITLE)
    assert name is not None
    return context.counters.peek(name)


@pytest.fixture
def served() -> Iterator[tuple[SimulatedMeter, Ports]]:
    meter = make_meter(5)
    with running(meter) as ports:
        yield meter, ports


def use_up(url: str, counter: int) -> None:
    """Have the meter see that counter from us, from a ledger that is lost afterwards."""
    context = security()
    context.go_on_above(counter - 1)
    with blocking.DlmsClient(url, **gmac(context)) as client:
        client.get(3, ENERGY, 2)


def read(url: Any, is_async: bool, **options: Any) -> object:
    if not is_async:
        with blocking.DlmsClient(url, **options) as client:
            return client.get(3, ENERGY, 2)

    async def work() -> object:
        async with asynchronous.DlmsClient(url, **options) as client:
            return await client.get(3, ENERGY, 2)

    return asyncio.run(work())


both = pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "asyncio"])


@both
@pytest.mark.parametrize("framing", ["wrapper", "hdlc", "udp"])
@pytest.mark.parametrize("recovery", ["from-answer", "from-public-client"])
def test_each_policy_over_sockets(
    served: tuple[SimulatedMeter, Ports], framing: str, recovery: str, is_async: bool
) -> None:
    url = url_of(served[1], framing)
    use_up(url, 5000)
    never = security()
    with pytest.raises(DlmsError):
        read(url, is_async, **gmac(never))
    assert (following(never) or 0) < 5000
    context = security(recovery)
    assert isinstance(read(url, is_async, **gmac(context)), int)
    before = following(context) or 0
    assert 5000 < before < 5100
    # Where it is above already, it goes on from there.
    assert isinstance(read(url, is_async, **gmac(context)), int)
    assert before < (following(context) or 0) < before + 20


@both
def test_the_function_by_itself(served: tuple[SimulatedMeter, Ports], is_async: bool, tmp_path: Any) -> None:
    url = url_of(served[1], "wrapper")
    use_up(url, 700)
    context = security(counters=SqliteCounters(tmp_path / "c.sqlite3"))

    def recover(**options: Any) -> int:
        if is_async:
            return asyncio.run(asynchronous.recover_counter(url, context, **options))
        return blocking.recover_counter(url, context, **options)

    seen = recover()
    assert 700 <= seen < 720
    assert following(context) == seen + 1
    assert recover() == seen
    assert following(context) == seen + 1
    assert isinstance(read(url, is_async, **gmac(context)), int)
    with pytest.raises(ObjectUndefined):
        recover(source=CounterSource("0-0:43.1.7*255"))
    with pytest.raises(AssociationRefused):
        recover(source=CounterSource(client_sap=99))
    with pytest.raises(KeyMissing, match="system_title"):
        blocking.recover_counter(url, SecurityContext(encryption_key=ENCRYPTION_KEY))
    with pytest.raises(KeyMissing, match="encryption_key"):
        blocking.recover_counter(url, SecurityContext(system_title=TITLE))


def test_both_functions_take_the_same() -> None:
    ours, theirs = (inspect.signature(module.recover_counter) for module in (blocking, asynchronous))
    assert list(ours.parameters) == list(theirs.parameters)


@both
@pytest.mark.parametrize(
    "shown, text",
    [
        (axdr.double_long_unsigned(0xFFFFFFF0), "would use up the key"),
        (axdr.double_long_unsigned(0xFFFF0000), "would use up the key"),
        (axdr.double_long(-1), "no invocation counter but a int"),
        (axdr.long64_unsigned(1 << 32), "no invocation counter but a int"),
        (axdr.octet_string(bytes(4)), "no invocation counter but a bytes"),
        (axdr.boolean(True), "no invocation counter but a bool"),
        (axdr.null_data(), "no invocation counter but a NoneType"),
    ],
)
def test_what_is_no_counter_moves_nothing(
    served: tuple[SimulatedMeter, Ports], shown: axdr.Typed, text: str, is_async: bool
) -> None:
    meter, ports = served
    meter.devices[1].objects[INVOCATION_COUNTER].attributes[2] = fixed(shown)
    context = security("from-public-client")
    with pytest.raises(SecurityError, match=text):
        read(url_of(ports, "wrapper"), is_async, **gmac(context))
    assert following(context) is None


@both
def test_another_object_and_another_client(served: tuple[SimulatedMeter, Ports], is_async: bool) -> None:
    meter, ports = served
    url = url_of(ports, "wrapper")
    use_up(url, 300)
    obis = "0-0:96.1.77*255"
    item = meter.devices[1].objects[INVOCATION_COUNTER]
    meter.devices[1].objects[type(INVOCATION_COUNTER).parse(obis)] = item
    del meter.devices[1].objects[INVOCATION_COUNTER]
    context = security("from-public-client")
    with pytest.raises(SecurityError, match=r"could not be read from 0-0:43\.1\.0\*255.*counter_source"):
        read(url, is_async, **gmac(context))
    source = CounterSource(obis)
    assert isinstance(read(url, is_async, **gmac(context, counter_source=source)), int)
    assert (following(context) or 0) > 300
    with pytest.raises(SecurityError, match=r"could not be read from .*client 77"):
        read(url, is_async, **gmac(context, counter_source=CounterSource(obis, client_sap=77)))


@both
def test_a_refusal_to_read(served: tuple[SimulatedMeter, Ports], is_async: bool) -> None:
    meter, ports = served
    meter.faults.force(1, INVOCATION_COUNTER, 2, DataAccessResult.READ_WRITE_DENIED)
    context = security("from-public-client")
    with pytest.raises(SecurityError, match="read-write-denied"):
        read(url_of(ports, "hdlc"), is_async, **gmac(context))
    assert following(context) is None


class Turns:
    """What the meter of a bench has seen, for streams in memory."""

    def __init__(self, meter: SimulatedMeter) -> None:
        association = meter.association(1)
        assert association is not None
        self.received = association.settings.received

    def see(self, counter: int) -> None:
        name = security().counter_id(TITLE)
        assert name is not None
        self.received[name] = counter


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_one_stream_carries_both_associations(framing: str) -> None:
    bench = AsyncBench(framing, FakeClock())
    Turns(bench.server.meter).see(900)
    context = security("from-public-client")
    seen: list[tuple[str, str, bytes]] = []
    options = gmac(context, framing=framing, trace=lambda *what: seen.append(what))
    async with asynchronous.DlmsClient(await bench.open(), **options) as client:
        assert isinstance(await client.get(3, ENERGY, 2), int)
    assert bench.opened == 1
    assert (following(context) or 0) > 900
    sent = [octets[0] for layer, direction, octets in seen if (layer, direction) == ("apdu", "out")]
    assert sent[:3] == [0x60, 0xC0, 0x62]  # AARQ, GET, RLRQ of the public client
    assert sent[3] == 0x60
    await bench.end()


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_a_function_that_opens_streams_is_asked_twice(framing: str) -> None:
    bench = AsyncBench(framing, FakeClock())
    Turns(bench.server.meter).see(900)
    context = security("from-public-client")
    client = bench.client(**gmac(context))
    await client.connect()
    await client.reconnect()
    assert bench.opened == 4
    await client.close()
    await bench.end()


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_one_blocking_stream_carries_both_associations(framing: str) -> None:
    bench = BlockingBench(framing)
    Turns(bench.server.meter).see(900)
    context = security("from-public-client")
    with blocking.DlmsClient(bench.open(), framing=framing, **gmac(context)) as client:
        assert isinstance(client.get(3, ENERGY, 2), int)
    assert bench.line.closed
    assert (following(context) or 0) > 900


class Silenced:
    """A meter's connection that answers so many times and then no more."""

    def __init__(self, connection: MeterConnection, answers: int) -> None:
        self.connection = connection
        self.answers = answers

    def receive_data(self, data: bytes, now: float) -> bytes:
        self.answers -= 1
        return self.connection.receive_data(data, now) if self.answers >= 0 else b""


@pytest.mark.parametrize("framing, answers", [("wrapper", 0), ("wrapper", 1), ("hdlc", 0), ("hdlc", 1), ("hdlc", 2)])
def test_a_meter_that_falls_silent_while_the_counter_is_read(framing: str, answers: int) -> None:
    bench = BlockingBench(framing)
    Turns(bench.server.meter).see(900)
    context = security("from-public-client")
    line = bench.open()
    line.connection = Silenced(line.connection, answers)
    start = line.now
    client = blocking.DlmsClient(line, framing=framing, timeout=10, **gmac(context))
    with pytest.raises(LinkTimeout):
        client.connect()
    assert line.closed
    assert line.now - start < 60
    assert following(context) is None
    assert not client.is_connected
    with pytest.raises(LocalProtocolError):
        client.get(3, ENERGY, 2)


async def test_aborted_while_the_counter_is_read() -> None:
    bench = AsyncBench("wrapper", FakeClock())
    context = security("from-public-client")
    client = bench.client(**gmac(context, trace=lambda *_: client.abort()))
    with pytest.raises(LinkLost, match="aborted by the caller"):
        await client.connect()
    assert bench.opened == 1
    assert following(context) is None
    await bench.end()


@pytest.mark.parametrize(
    "options",
    [
        lambda: gmac(security()),
        lambda: gmac(security("from-answer")),
        lambda: {"security": SecurityContext(policy="none", counter_recovery="from-public-client")},
    ],
)
def test_nothing_is_read_without_keys_or_with_another_policy(options: Callable[[], dict[str, Any]]) -> None:
    bench = BlockingBench("wrapper")
    seen: list[tuple[str, str, bytes]] = []
    with bench.client(trace=lambda *what: seen.append(what), **options()):
        pass
    sent = [octets[0] for layer, direction, octets in seen if (layer, direction) == ("apdu", "out")]
    assert sent.count(0x60) == 1


def test_names_of_the_policies() -> None:
    assert security().counter_recovery.value == "never"
    assert not security().allow_counter_from_meter
    assert security("from-answer").allow_counter_from_meter
    assert security(allow_counter_from_meter=True).counter_recovery.value == "from-answer"
    assert not security("from-public-client").allow_counter_from_meter
    both = security("from-public-client", allow_counter_from_meter=True)
    assert both.allow_counter_from_meter
    assert both.counter_recovery.value == "from-public-client"
    with pytest.raises(ValueError, match="never, from-answer, from-public-client"):
        security("always")


def test_a_counter_store_that_fails_leaves_nothing_open(served: tuple[SimulatedMeter, Ports], tmp_path: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    context = security("from-public-client", counters=SqliteCounters(tmp_path / "file" / "c"))
    client = blocking.DlmsClient(url_of(served[1], "wrapper"), **gmac(context))
    with pytest.raises(SecurityError, match="cannot be used"):
        client.connect()
    assert not client.is_connected
