"""Fuzz targets for the ways to a meter besides HDLC and the wrapper: M-Bus, the sign-on of optical ports, gateways."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cosemic.errors import DecodeError, FrameError
from cosemic.link import mbus
from cosemic.link.events import FrameDropped
from cosemic.link.gateway import split_prefix
from cosemic.link.mbus import MbusFrame, MbusReader, SegmentCollector
from cosemic.link.mbus_link import MbusLink
from cosemic.link.signon import SignedOn, SignOnClient, SignOnFailed, SignOnServer
from cosemic.link.signon_messages import Identification, SignOnOptions
from cosemic.meter.demo import demo_meter
from cosemic.meter.gateway import GatewayTalk
from cosemic.meter.mbus import MbusConnection
from cosemic.tolerances import DEFAULT, STRICT
from fuzz.violation import require


def mbus_reader(data: bytes) -> None:
    """M-Bus frames from a stream that is cut anywhere; every octet comes out, as a frame or as dropped."""
    if not data:
        return
    seed, stream = data[0], data[1:]
    tolerances = STRICT if seed & 1 else DEFAULT
    whole = _items([*(reader := MbusReader(tolerances=tolerances)).feed(stream), *reader.expire()])
    reader = MbusReader(tolerances=tolerances)
    found: list[mbus.Item] = []
    for chunk in _chunks(stream, seed):
        found += reader.feed(chunk)
        require(len(reader._buffer) <= 600, "the buffer grows")
    found += reader.expire()
    require(not reader.is_partial, "something is left after silence")
    require(_items(found) == whole, "the cut of the stream changes the outcome", found)
    collector = SegmentCollector(4000, tolerances=tolerances)
    for item in found:
        if isinstance(item, MbusFrame):
            if len(item.data) <= 252:
                require(MbusFrame.decode(item.encode()) == item, "an M-Bus frame is not inverse", item)
            if item.is_transport:
                collector.add(item)
    with contextlib.suppress(FrameError):
        MbusFrame.decode(stream)


def mbus_client(data: bytes) -> None:
    """A client's link is fed anything at any moment; it ends, and keeps nothing."""
    link = MbusLink(address=1, source=16, destination=1, response_timeout=1.0, retries=2)
    link.connect(0.0)
    now = 0.0
    for number, chunk in enumerate(_chunks(data, 77)):
        link.receive_data(b"\xe5" + chunk if number % 5 == 0 else chunk, now)
        link.data_to_send()
        link.events()
        now += 0.01
    for _ in range(2000):
        due = link.next_deadline()
        if due is None:
            break
        now = max(now, due)
        link.on_time(now)
        link.data_to_send()
        link.events()
    require(link.next_deadline() is None, "the link never ends")


def mbus_meter(data: bytes) -> None:
    """The simulated meter on a bus."""
    connection = MbusConnection(_METER, address=1)
    for number, chunk in enumerate(_chunks(data, 5)):
        out = connection.receive_data(chunk, number * 0.01)
        require(len(out) < 1 << 16, "the meter says too much", len(out))
    connection.on_time(1e6)
    connection.close()


def sign_on(data: bytes) -> None:
    """Both sides of a sign-on: whatever comes, it ends within the time that is promised, and is not believed."""
    if not data:
        return
    seed, stream = data[0], data[1:]
    options = SignOnOptions(wake_up=bool(seed & 1), software_parity=bool(seed & 2), requires_marker=bool(seed & 4))
    client = SignOnClient(options)
    client.start(0.0)
    now, outcomes = 0.0, []
    pieces = list(_chunks(stream, seed))
    while (due := client.next_deadline()) is not None:
        if pieces and client._state in ("requested", "leaving", "acknowledged"):
            client.receive_data(pieces.pop(0), now)
            now = min(due, now + (1.4 if seed & 8 else 0.1))
        else:
            now = due
        client.on_time(now)
        client.data_to_send()
        outcomes += [event for event in client.events() if isinstance(event, SignedOn | SignOnFailed)]
    require(len(outcomes) == 1, "a sign-on has one outcome", outcomes)
    require(now <= options.longest, "a sign-on takes longer than promised", now)
    server = SignOnServer(Identification("COS", "5", "2", "X"))
    for chunk in _chunks(stream, seed):
        server.receive_data(chunk, now)
        if (due := server.next_deadline()) is not None:
            server.on_time(due)
        server.data_to_send()
        server.events()
        require(len(server._held) <= 512, "the buffer grows")
    try:
        identification = Identification.decode(stream)
    except DecodeError:
        return
    require(Identification.decode(identification.encode()) == identification, "an identification is not inverse")


def gateway(data: bytes) -> None:
    """Prefixes, and a gateway that gets anything."""
    try:
        prefix, apdu = split_prefix(data)
    except DecodeError:
        pass
    else:
        require(prefix.encode() + apdu == data, "a prefix is not inverse", prefix)
    talk = GatewayTalk(_METER, 16, 1, behind={(0, b"1"): _METER})
    for octets in (data, b"\xe6\x00\x011" + data):
        for answer in talk.receive(octets):
            require(bool(answer), "an empty answer")
    talk.close("the end")


def _items(items: list[mbus.Item]) -> list[MbusFrame | bytes]:
    """Frames, and what was dropped between them in one piece."""
    joined: list[MbusFrame | bytes] = []
    for item in items:
        if isinstance(item, FrameDropped):
            last = joined[-1] if joined else None
            if isinstance(last, bytes):
                joined[-1] = last + item.octets
            else:
                joined.append(item.octets)
        else:
            joined.append(item)
    return joined


def _chunks(data: bytes, seed: int) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        size = 1 + (seed >> 16) % 29
        yield data[position : position + size]
        position += size


_METER = demo_meter(profile_rows=3, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
TARGETS: dict[str, Callable[[bytes], None]] = {
    "mbus": mbus_reader,
    "mbus-client": mbus_client,
    "mbus-meter": mbus_meter,
    "sign-on": sign_on,
    "gateway": gateway,
}


def seeds(name: str) -> Iterator[bytes]:
    """Frames and messages to begin with."""
    if name == "sign-on":
        for message in (b"/LGZ5\\2ZMD\r\n\x06252\r\n", b"/?!\r\n/ABC5\\2X\r\n", b"/ABC5X\r\n", b"/?1!\r\n\x06252\r\n"):
            yield b"\x00" + message
            yield message
        return
    requests = (b"\xc0\x01\xc1\x00\x01\x00\x00\x2a\x00\x00\xff\x02\x00", bytes.fromhex("6203800100"), bytes(300))
    if name == "gateway":
        for apdu in requests:
            yield b"\xe6\x00\x011" + apdu
            yield b"\xe7\x03\x05abcde" + apdu
        return
    control = mbus.RSP_UD if name == "mbus-client" else mbus.SND_UD
    for apdu in requests:
        frames = b"".join(frame.encode() for frame in mbus.segments(apdu, control, 1, 16, 1))
        yield b"\x00" + b"\x10\x40\x01\x41\x16" + frames + b"\x10\x7b\x01\x7c\x16"
        yield frames
    body = b"\x53\xff\x00" + bytes(258)
    yield b"\x00\x68\x05\x05\x68" + body + bytes((sum(body) & 0xFF, 0x16))
