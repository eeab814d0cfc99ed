"""Streams of pushes: a script of frames, general blocks, texts, noise and silences, read by ``StreamReader``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from cosemic.apdu.base import encode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.link.addresses import HdlcAddress
from cosemic.link.crc import crc16_arc
from cosemic.link.frames import HdlcFrame
from cosemic.link.mbus import MbusFrame, segments
from cosemic.link.wrapper import WrapperPdu
from cosemic.push.p1.texts import P1Error, interpret_p1
from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Content, Dropped, Framing, Heard, Telegram
from cosemic.tolerances import DEFAULT, STRICT
from fuzz.pieces import Pieces
from fuzz.violation import require

_FRAMINGS = (None, *Framing)
_LIMITS = (1 << 16, 64, 300, 1000)
_SHOWN = 512


def push_stream(data: bytes) -> None:
    """Telegrams do not depend on the cut of the stream; memory stays small; each octet is told of once at the most."""
    pieces = Pieces(data)
    shape, seed = pieces.octet(), pieces.octet()
    limit = _LIMITS[shape >> 3 & 3]
    parts = [b""]
    for part in _parts(pieces, made=bool(shape & 0x20)):
        if part is None:
            parts.append(b"")
        else:
            parts[-1] += part

    tolerances = STRICT if shape & 0x40 else DEFAULT

    def reader() -> StreamReader:
        framing = _FRAMINGS[shape % 8 % len(_FRAMINGS)]
        return StreamReader(framing, max_telegram=limit, max_senders=3, tolerances=tolerances)

    whole = _read(reader(), ([part] for part in parts), limit)
    cut = _read(reader(), (list(_cut(part, seed)) for part in parts), limit)
    require(whole == cut, "the cut of the stream changes the outcome", whole, cut)
    stream = b"".join(parts)
    told = 0
    for item in whole:
        if isinstance(item, Dropped):
            require(len(item.octets) <= _SHOWN, "a Dropped shows too much", len(item.octets))
            require(item.reason, "nothing says why")
        else:
            require(item.octets, "an empty telegram")
            require(len(item.octets) <= limit + 6, "a telegram is too long", len(item.octets))
        if isinstance(item, Telegram) and item.framing is Framing.P1:
            require(item.content is Content.P1_TEXT and item.octets in stream, "a text that did not come", item)
            with contextlib.suppress(P1Error):
                interpret_p1(item, item.octets, tolerances=tolerances)
        require(0 <= item.offset <= len(stream), "an offset outside the stream", item.offset)
        told += len(item.octets)
    require(told <= 2 * len(stream), "more is told of than came", told)


def _read(reader: StreamReader, groups: Iterable[list[bytes]], limit: int) -> list[Heard]:
    found: list[Heard] = []
    for group in groups:
        for piece in group:
            found += reader.feed(piece)
            require(reader.waiting <= 5 * limit + 2 * 2049 + _SHOWN, "too much is kept", reader.waiting)
        found += reader.idle()
        require(not reader.is_partial and not reader.waiting, "something is left after silence")
    return found


def _cut(octets: bytes, seed: int) -> Iterator[bytes]:
    """Pieces of odd sizes that follow from ``seed``; 0 means octet by octet."""
    at = 0
    while at < len(octets):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF if seed else 0
        size = 1 + (seed >> 16) % 19 if seed else 1
        yield octets[at : at + size]
        at += size


def _parts(pieces: Pieces, *, made: bool) -> Iterator[bytes | None]:
    """What the octets say; with ``made`` they say it in frames with right check sums. None is a silence."""
    if not made:
        yield pieces.rest()
        return
    while pieces:
        kind = pieces.octet()
        if kind & 0x0F == 0:
            yield None
            continue
        octets = _MAKERS[kind % len(_MAKERS)](pieces, kind)
        yield octets[: len(octets) * 3 // 4] if kind & 0x80 else octets


def _hdlc(pieces: Pieces, kind: int) -> bytes:
    address = HdlcAddress(pieces.octet() & 3, 1)
    return HdlcFrame(HdlcAddress(16), address, pieces.octet(), pieces.short(), bool(kind & 0x40)).encode()


def _llc(pieces: Pieces, kind: int) -> bytes:
    information = b"\xe6\xe7\x00" + pieces.short()
    return HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x13, information, bool(kind & 0x40)).encode()


def _segment(pieces: Pieces, kind: int) -> bytes:
    return MbusFrame(0x53, 0xFF, pieces.octet() & 0x1F, bytes((1, 103)) + pieces.short()[:250]).encode()


def _telegram(pieces: Pieces, kind: int) -> bytes:
    return b"".join(frame.encode() for frame in segments(pieces.long(), 0x53, kind & 0x40, 1, 103))


def _wrapper(pieces: Pieces, kind: int) -> bytes:
    return WrapperPdu(1, 16, pieces.short()).encode()


def _block(pieces: Pieces, kind: int) -> bytes:
    number = pieces.octet()
    block = GeneralBlockTransfer(bool(number & 0x80), True, 0, number & 7, 0, pieces.short())
    octets = encode_apdu(block)
    return WrapperPdu(1, 16, octets).encode() if kind & 0x40 else octets


def _text(pieces: Pieces, kind: int) -> bytes:
    """A text as meters send it, or bent: line feeds, parity bits, an odd name, another check sum."""
    bends = pieces.octet()
    name = b"/ABC-D" if bends & 1 else b"/ABC5"
    body = name + b"\r\n\r\n" + pieces.short().hex().encode() + b"(1)\r\n!"
    check = crc16_arc(body) + (bends >> 1 & 1)
    octets = body + (b"%0*X\r\n" % (1 + (bends >> 2 & 3), check) if kind & 0x40 else b"\r\n")
    if bends & 0x10:
        octets = octets.replace(b"\r\n", b"\n" if bends & 0x20 else b"\r")
    if bends & 0x40:
        octets = bytes(octet | (octet.bit_count() & 1) << 7 for octet in octets)
    return octets[:-1] if bends & 0x80 else octets


def _octets(pieces: Pieces, kind: int) -> bytes:
    return pieces.short()


_MAKERS: tuple[Callable[[Pieces, int], bytes], ...] = (
    _octets,
    _hdlc,
    _llc,
    _segment,
    _telegram,
    _wrapper,
    _block,
    _text,
)

TARGETS: dict[str, Callable[[bytes], None]] = {"push-stream": push_stream}

_NOTIFICATION = bytes.fromhex(
    "0f400000010c07e5091b01092f0f00ff8880010202020906010001080" + "0ff0600000001020209060100020800ff0600000002"
)
_CIPHERED = b"\xdb\x08XYZ\x00\x00\x00\x00\x01\x1e\x30" + bytes(range(29))
_BENT = bytes.fromhex(
    "0f0000000100020216010102020200010000" + "2a0000ff020904414243440202000300000" + "10800ff0206000012ab"
)


def seeds(target: str) -> Iterator[bytes]:
    """Streams as they come, and scripts."""
    framed = [
        HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x13, b"\xe6\xe7\x00" + _NOTIFICATION).encode(),
        b"".join(frame.encode() for frame in segments(_CIPHERED * 7, 0x53, 0xFF, 1, 103)),
        WrapperPdu(1, 16, _NOTIFICATION).encode() * 2,
        _NOTIFICATION,
        _CIPHERED * 2,
        _BENT,
        b"/ABC5\r\n\r\n1-0:1.8.0(000001*kWh)\r\n!\r\n",
        b"\xe5\x10\x40\x01\x41\x16",
        b"/NWA-HEAT\n\n0-1:24.2.1(012.345*GJ)\n!0B9F\n",
        b"/NWA-HEAT\r\r0-1:24.2.1(012.345*GJ)\r!B9F\r",
        b"\xaf\x41\x42\xc3\x35\x8d\x0a\x8d\x0a\xb1\xae\xb8\x28\xb1\xa9\x8d\x0a!\x8d\x0a",
        b"/ABC5\r\n1.8.0(1)\r\n!1234/ABC5\r\n1.8.0(1)\r\n! \t\r\n!12\x80\r\n",
    ]
    for number, octets in enumerate(framed):
        for shape in (0, number % 6, 0x18):
            yield bytes((shape, 0)) + octets
            yield bytes((shape, 7)) + b"\x55\x7e\xaa" + octets + octets[:20] + octets
    for apdu in (_NOTIFICATION, _CIPHERED, _BENT):
        short = bytes((len(apdu),)) + apdu
        for limit in (0x20, 0x28, 0x38):
            yield bytes((limit, 3, 2)) + short + b"\x02" + short
            yield bytes((limit, 0, 4)) + b"\x00" + short + b"\x05" + short
            yield bytes((limit, 9, 6, 1)) + short + b"\x46\x82" + short
            yield bytes((limit, 5, 0x42)) + short + b"\x01\x01\x13" + short + b"\x10\x08" + short
            yield bytes((limit, 1, 3, 0)) + short + b"\x03\x11" + short + b"\x07" + short
            for bends in (0x00, 0x01, 0x02, 0x0C, 0x1C, 0x30, 0x41, 0x50, 0x8C):
                yield bytes((limit, 7, 0x47, bends)) + short + bytes((0x87, bends)) + short + b"\x47\x0c" + short
            yield bytes((limit, 2, 0x47)) + short + b"\x87" + short + b"\x02" + short
