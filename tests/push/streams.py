"""Streams for the reader: telegrams in every framing, made by the link layer, and what goes wrong on a line."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from cosemic.apdu.base import encode_apdu
from cosemic.apdu.fields import AttributeDescriptor
from cosemic.apdu.general import (
    AgreedKey,
    GeneralBlockTransfer,
    GeneralCiphering,
    GeneralSigning,
    IdentifiedKey,
    WrappedKey,
)
from cosemic.apdu.notify import DataNotification, EventNotificationRequest, InformationReportRequest
from cosemic.apdu.short_name import VariableName
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.link.control import UI, information
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.mbus import SND_UD, MbusFrame, segments
from cosemic.link.wrapper import WrapperPdu
from cosemic.obis import ObisCode
from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Content, Dropped, Framing, Heard, Telegram
from tests.push import p1_texts

LLC = b"\xe6\xe7\x00"
METER, HEAD_END = HdlcAddress(1, 17), HdlcAddress(103)
TITLE = b"XYZ\x00\x01\x02\x03\x04"


def notification(number: int = 1, values: int = 8, date: str = "07e5091b01092f0f00ff8880") -> bytes:
    """A DataNotification of pairs of code and value."""
    pairs = axdr.array(
        [
            axdr.structure(
                [axdr.octet_string(bytes((1, 0, at, 8, 0, 255))), axdr.double_long_unsigned(number * 1000 + at)]
            )
            for at in range(values)
        ]
    )
    return encode_apdu(DataNotification(number, bytes.fromhex(date), Data.of(pairs)))


def ciphered(size: int = 60, title: bytes = TITLE, seed: int = 1, tag: int = 0xDB) -> bytes:
    """A general-glo-ciphering APDU with random octets in it."""
    content = b"\x30" + random.Random(seed).randbytes(size)
    return bytes((tag, len(title))) + title + axdr.encode_length(len(content)) + content


_VALUE = Data.of(axdr.structure([axdr.unsigned(1), axdr.visible_string("a text")]))
_DESCRIPTOR = AttributeDescriptor(1, ObisCode.parse("0-0:96.1.0*255"), 2)
_HEADER = (b"12345678", TITLE, b"HEADEND1", b"", b"")

RARE: dict[str, bytes] = {
    "data-notification": notification(),
    "data-notification-without-time": encode_apdu(DataNotification(0x40000000, b"", _VALUE)),
    "data-notification-tagged-time": bytes.fromhex(
        "0f40000000090c07e1090f05052128ff80000002020600000001020209010a0600000002"
    ),
    "general-glo": ciphered(),
    "general-glo-long": ciphered(700),
    "general-ded": ciphered(tag=0xDC),
    "bare-descriptors": bytes.fromhex(
        "0f0000000100020216010103"
        "0202000100002a0000ff02090441424344"
        "0202000301000108 00ff0206000012ab"
        "02020008000001 0000ff02090c07e5091b01092f0f00ff8880".replace(" ", "")
    ),
}
"""APDUs that noise hardly ever begins like: they are found among it."""

PLAIN: dict[str, bytes] = {
    **RARE,
    "general-ciphering": encode_apdu(GeneralCiphering(*_HEADER, None, 0x31, 7, bytes(range(50)))),
    "general-ciphering-key": encode_apdu(GeneralCiphering(*_HEADER, IdentifiedKey(0), 0x31, 7, bytes(range(50)))),
    "general-ciphering-wrapped": encode_apdu(
        GeneralCiphering(*_HEADER, WrappedKey(0, bytes(24)), 0x31, 7, bytes(range(50)))
    ),
    "general-ciphering-agreed": encode_apdu(
        GeneralCiphering(*_HEADER, AgreedKey(b"\x01", bytes(130)), 0x31, 7, bytes(range(50)))
    ),
    "general-signing": encode_apdu(GeneralSigning(*_HEADER, notification(), bytes(64))),
    "event-notification": encode_apdu(EventNotificationRequest(None, _DESCRIPTOR, _VALUE)),
    "event-notification-time": encode_apdu(
        EventNotificationRequest(bytes.fromhex("07e5091b01092f0f00ff8880"), _DESCRIPTOR, _VALUE)
    ),
    "information-report": encode_apdu(
        InformationReportRequest(
            None, (VariableName(0x2BC0), VariableName(0x2BC8)), (_VALUE, Data.of(axdr.unsigned(7)))
        )
    ),
    "glo-event-notification": bytes.fromhex("ca16 30 00000007") + bytes(range(100, 117)),
    "ded-event-notification": bytes.fromhex("d216 20 00000007") + bytes(range(100, 117)),
    "glo-information-report": bytes.fromhex("3816 10 00000007") + bytes(range(100, 117)),
}
"""One APDU of each kind that a meter sends by itself."""

P1_TEXT = p1_texts.text(p1_texts.DSMR_5)
P1_TEXT_WITHOUT_CRC = p1_texts.text(p1_texts.DSMR_2, checksum=False)


def hdlc(
    apdu: bytes, *, size: int = 1000, source: HdlcAddress = METER, numbered: bool = False, llc: bytes = LLC
) -> bytes:
    """HDLC frames with so many octets of information each."""
    whole = llc + apdu
    starts = range(0, len(whole), size)
    frames = b""
    for number, start in enumerate(starts):
        control = information(number & 7, 0, start == starts[-1]) if numbered else UI
        part = whole[start : start + size]
        frames += HdlcFrame(HEAD_END, source, control, part, start != starts[-1]).encode()
    return frames


def mbus(apdu: bytes, address: int = 0xFF) -> bytes:
    """M-Bus frames."""
    return b"".join(frame.encode() for frame in segments(apdu, SND_UD, address, 1, 103))


def wrapped(apdu: bytes, source: int = 1, destination: int = 103) -> bytes:
    """A wrapper PDU."""
    return WrapperPdu(source, destination, apdu).encode()


def blocks(apdu: bytes, size: int = 40) -> list[bytes]:
    """General blocks that nobody acknowledges."""
    starts = range(0, len(apdu), size)
    return [
        encode_apdu(GeneralBlockTransfer(start == starts[-1], True, 0, at + 1, 0, apdu[start : start + size]))
        for at, start in enumerate(starts)
    ]


def overflowing_mbus(apdu: bytes) -> bytes:
    """A long frame whose length field has the last eight bits only, and the frame with the rest."""
    first, rest = apdu[:252], apdu[252:]
    body = bytes((SND_UD, 0xFF, 0x00, 1, 103)) + first
    long = b"\x68\x01\x01\x68" + body + bytes((sum(body) & 0xFF, 0x16))
    return long + MbusFrame(SND_UD, 0xFF, 0x11, bytes((1, 103)) + rest).encode()


def heard(octets: bytes | Iterable[bytes], **options: object) -> list[Heard]:
    """Everything of a stream, or of its pieces."""
    reader = StreamReader(**options)  # type: ignore[arg-type]
    found = []
    for piece in [octets] if isinstance(octets, bytes) else octets:
        found += reader.feed(piece)
    return found + reader.end()


def telegrams(found: Sequence[Heard]) -> list[bytes]:
    """The octets of the telegrams."""
    return [item.octets for item in found if isinstance(item, Telegram)]


def dropped(found: Sequence[Heard]) -> list[Dropped]:
    return [item for item in found if isinstance(item, Dropped)]


def single(octets: bytes) -> list[bytes]:
    """One octet after the other."""
    return [octets[at : at + 1] for at in range(len(octets))]


def cut(octets: bytes, dice: random.Random, most: int = 400) -> list[bytes]:
    """Pieces of random sizes."""
    pieces, at = [], 0
    while at < len(octets):
        size = dice.choice((1, 2, 5, 30, most))
        pieces.append(octets[at : at + size])
        at += size
    return pieces


FRAMED: dict[str, tuple[bytes, bytes, Framing, Content]] = {}
"""By name: the stream, the octets of its telegram, framing and content."""
for _name, _apdu in PLAIN.items():
    FRAMED[f"hdlc-{_name}"] = hdlc(_apdu), _apdu, Framing.HDLC, Content.APDU
    FRAMED[f"hdlc-segments-{_name}"] = hdlc(_apdu, size=30), _apdu, Framing.HDLC, Content.APDU
    FRAMED[f"hdlc-numbered-{_name}"] = hdlc(_apdu, size=30, numbered=True), _apdu, Framing.HDLC, Content.APDU
    FRAMED[f"hdlc-blocks-{_name}"] = b"".join(map(hdlc, blocks(_apdu))), _apdu, Framing.HDLC, Content.APDU
    FRAMED[f"mbus-{_name}"] = mbus(_apdu), _apdu, Framing.MBUS, Content.APDU
    FRAMED[f"mbus-blocks-{_name}"] = b"".join(map(mbus, blocks(_apdu))), _apdu, Framing.MBUS, Content.APDU
    FRAMED[f"wrapper-{_name}"] = wrapped(_apdu), _apdu, Framing.WRAPPER, Content.APDU
    FRAMED[f"wrapper-blocks-{_name}"] = b"".join(map(wrapped, blocks(_apdu))), _apdu, Framing.WRAPPER, Content.APDU
    FRAMED[f"apdu-{_name}"] = _apdu, _apdu, Framing.APDU, Content.APDU
FRAMED["apdu-blocks"] = b"".join(blocks(notification())), notification(), Framing.APDU, Content.APDU
_LONG = ciphered(252)
FRAMED["mbus-overflow"] = overflowing_mbus(_LONG), _LONG, Framing.MBUS, Content.APDU
FRAMED["p1"] = P1_TEXT, P1_TEXT.rstrip(b"\r\n"), Framing.P1, Content.P1_TEXT
FRAMED["p1-without-crc"] = P1_TEXT_WITHOUT_CRC, P1_TEXT_WITHOUT_CRC.rstrip(b"\r\n"), Framing.P1, Content.P1_TEXT
