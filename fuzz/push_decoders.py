"""Whole push decoders with keys: two lines that share counters, messages of two meters in every framing, and forgers.

What is inside a message may be anything, under right keys too. Verified is only what a meter has sealed, under its own
title, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.link.addresses import HdlcAddress
from cosemic.link.crc import crc16_arc
from cosemic.link.frames import HdlcFrame
from cosemic.link.mbus import segments
from cosemic.link.wrapper import WrapperPdu
from cosemic.push.decoder import Interpreter, PushDecoder
from cosemic.push.listening.inventory import Inventory
from cosemic.push.messages import Decoded, Push, Undecoded
from cosemic.push.protection.keys import BROADCAST, ENCRYPTION, MeterKeys
from cosemic.push.telegrams import Dropped
from fuzz.pieces import Pieces
from fuzz.violation import require

_TITLES = (b"FUZ" + bytes.fromhex("0102030405"), b"FUZ" + bytes.fromhex("0A0B0C0D0E"))
_KEYS = tuple(bytes(range(start, start + 16)) for start in (0x31, 0x52, 0x73, 0x94, 0xA5))
_BROADCAST = _KEYS[4]
_SOURCES = ("udp://192.0.2.1:7", "udp://192.0.2.2:7")
_INVENTORY = f"""
[meters.first]
system_title = "{_TITLES[0].hex()}"
ek = "{_KEYS[0].hex()}"
ak = "{_KEYS[1].hex()}"
broadcast_key = "{_BROADCAST.hex()}"
[meters.second]
system_title = "{_TITLES[1].hex()}"
source = "192.0.2.2"
ek = "{_KEYS[2].hex()}"
ak = "{_KEYS[3].hex()}"
[meters.plain]
meter_id = "12345678"
"""
_CONTROLS = (0x30, 0x30, 0x20, 0x10, 0x00, 0x70, 0x31, 0xB0)


@dataclass(frozen=True, slots=True)
class _Sent:
    title: bytes
    counter: int
    plain: bytes


def push_decoder(data: bytes) -> None:
    """Nothing is raised, nothing told twice or under another name, no key shown."""
    pieces = Pieces(data)
    shape = pieces.octet()
    inventory = Inventory(_INVENTORY)
    shared = Interpreter(inventory, meters=inventory, accept_plain=bool(shape & 1))
    decoders = [PushDecoder(interpreter=shared.at(source)) for source in _SOURCES]
    sent: list[_Sent] = []
    taken: list[Push] = []
    while pieces:
        kind = pieces.octet()
        number = kind >> 7
        octets = pieces.rest() if shape & 2 else _framed(_message(pieces, sent), pieces.octet())
        decoder = decoders[number]
        for found in (decoder.feed(octets[: len(octets) // 2]), decoder.feed(octets[len(octets) // 2 :])):
            taken += _looked_at(found, sent)
        if kind & 0x40:
            taken += _looked_at(decoder.idle() if kind & 0x20 else decoder.end_of_datagram(), sent)
    for decoder in decoders:
        taken += _looked_at(decoder.end(), sent)
    proved = [
        (push.protection.system_title, push.protection.invocation_counter, push.protection.security_control & 0x40)
        for push in taken
        if push.protection is not None
    ]
    require(len(proved) == len(set(proved)), "a message is taken twice", proved)


def _looked_at(found: list[Decoded], sent: list[_Sent]) -> list[Push]:
    pushes = []
    for item in found:
        shown = repr(item)
        if isinstance(item, Undecoded):
            require(len(item.text) < 900, "a long sentence", item.text)
        for key in _KEYS:
            require(key.hex() not in shown.lower() and repr(key)[2:-1] not in shown, "a key is told", shown)
        if isinstance(item, (Undecoded, Dropped)):
            continue
        pushes.append(item)
        protection = item.protection
        if protection is None:
            require(item.meter in (None, "plain"), "a plain message under the name of a keyed meter", item)
            continue
        require(protection.is_verified, "a message without a tag is taken", item)
        right = [one for one in sent if (one.title, one.counter) == (item.system_title, protection.invocation_counter)]
        require(bool(right), "a message that no meter has sent", item)
        require(item.meter == ("first", "second")[_TITLES.index(protection.system_title)], "another name", item)
        if item.body is not None:
            require(any(bytes(item.body) in one.plain for one in right), "other values than were sent", item)
    return pushes


def _message(pieces: Pieces, sent: list[_Sent]) -> bytes:
    """An APDU: plain, sealed by a meter, by one with the broadcast key, or by somebody else; altered, or not."""
    shape, counter, plain = pieces.octet(), pieces.octet() >> 4, pieces.short()
    meter, control, is_forged = shape & 1, _CONTROLS[shape >> 1 & 7], bool(shape & 0x10)
    if shape & 0xE0 == 0xE0 or not plain:
        return plain
    if is_forged:  # with the keys of the other one, or with keys of nobody
        keys = MeterKeys(_KEYS[2 - 2 * meter] if shape & 0x20 else bytes(range(1, 17)), _KEYS[3 - 2 * meter])
    else:
        keys = MeterKeys(_KEYS[2 * meter], _KEYS[2 * meter + 1], broadcast_key=_BROADCAST)
    cipher = keys.cipher(BROADCAST if control & 0x40 and not is_forged else ENCRYPTION)
    assert cipher is not None
    title = _TITLES[meter]
    sealed = cipher.seal(control & 0x7F, title, counter, plain, cipher.associated(control & 0x7F))
    content = bytes((control,)) + sealed[1:]
    if not is_forged and control in (0x30, 0x10, 0x70, 0x31):
        sent.append(_Sent(title, counter, plain))
    length = bytes((len(content),)) if len(content) < 0x80 else b"\x82" + len(content).to_bytes(2)
    form = shape >> 5 & 3
    if form == 0:
        octets = b"\xdb\x08" + title + length + content
    elif form == 1:
        octets = b"\xdb\x00" + length + content
    elif form == 2:
        octets = b"\xdd\x00\x08" + title + b"\0\0\0\x00" + length + content
    else:
        octets = b"\xcb" + length + content
    change = pieces.octet()
    if change & 0x80:
        octets = bytearray(octets)
        octets[pieces.octet() % len(octets)] ^= change & 0x7F
        octets = bytes(octets)
    return octets


def _framed(apdu: bytes, shape: int) -> bytes:
    kind = shape & 7
    if kind == 1:
        return HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x13, b"\xe6\xe7\x00" + apdu[:2000]).encode()
    if kind == 2 and apdu:
        return b"".join(frame.encode() for frame in segments(apdu, 0x53, 0xFF, 1, 103))
    if kind == 3:
        cuts = range(0, len(apdu), 40)
        blocks = [
            GeneralBlockTransfer(at == cuts[-1], True, 0, number, 0, apdu[at : at + 40]).encode()
            for number, at in enumerate(cuts, 1)
        ]
        return b"".join(WrapperPdu(1, 16, block).encode() for block in blocks)
    if kind == 4:
        return apdu
    if kind == 5:
        text = b"/FUZ5\r\n\r\n" + bytes(octet for octet in apdu if octet not in b"/!")
        return text + b"\r\n!%04X\r\n" % crc16_arc(text + b"\r\n!")
    if kind == 6:
        return WrapperPdu(1, 16, apdu).encode()[: -1 - (shape >> 3)]
    return WrapperPdu(1, 16, apdu).encode()


TARGETS: dict[str, Callable[[bytes], None]] = {"push-decoder": push_decoder}

_PUSHES = (
    bytes.fromhex("0F000000010C07EA0605050C252D00FF8880020209060100010800FF0600000007"),
    bytes.fromhex("0F00000001000204090600006001 00FF09083132333435363738 09060100010800FF0600003039".replace(" ", "")),
    bytes.fromhex("0F40000000000101020309060100010700FF060000011802020F00161B"),
    bytes.fromhex(
        "0F0000000100020301010204120003090601 00010800FF0F02120000 0600000001090C07EA0605050C252D00FF8880".replace(
            " ", ""
        )
    ),
    bytes.fromhex("C200000100006001 00FF020600000007".replace(" ", "")),
    b"/FUZ5X\r\n\r\n0-0:96.1.1(4530303031)\r\n1-0:1.8.0(000001.000*kWh)\r\n!0000\r\n",
)


def seeds(target: str) -> Iterator[bytes]:
    """Scripts: each push in each protection and framing, repeated, forged, altered; and the octets by themselves."""
    for plain in _PUSHES:
        short = bytes((len(plain),)) + plain
        yield b"\x03\x00" + WrapperPdu(1, 16, plain).encode()
        yield b"\x01\x40\xe0\x00" + short + b"\x00" + b"\xc0\xe0\x00" + short + b"\x04"
        for shape in (0x00, 0x01, 0x06, 0x08, 0x0A, 0x10, 0x30, 0x31, 0x20, 0x40, 0x60, 0x0E):
            message = bytes((shape, 0x10)) + short + b"\x00"
            for framing in range(6):
                yield b"\x00\x40" + message + bytes((framing,)) + b"\xc0" + message + bytes((framing,))
        yield b"\x00\x40\x00\x20" + short + b"\x81\x20\x01"
