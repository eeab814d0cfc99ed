"""Inputs to begin with: made here for every target, and taken from the shared vectors where they are found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosemic.apdu.acse import AssociationRequest, AssociationResponse, InitiateRequest, InitiateResponse
from cosemic.apdu.base import encode_apdu
from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.enums import ApplicationContext, AssociationResult, AuthenticationMechanism, Conformance
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import HdlcFrame
from cosemic.link.parameters import HdlcParameters
from cosemic.link.wrapper import WrapperPdu
from cosemic.times import CosemDateTime
from fuzz import captures, profiles, push_decoders, push_security, streams, ways

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"

NAME = bytes.fromhex("0100010800FF")
TIME = bytes.fromhex("07EA0B160C1E2D32FFFFC480")


def corpus(target: str) -> list[bytes]:
    """The seeds of one target; the same every time."""
    seeds = {b"", b"\x00", b"\xff" * 8}
    if target in ways.TARGETS:
        return sorted(seeds | set(ways.seeds(target)))
    if target in captures.TARGETS:
        return sorted(seeds | set(captures.seeds(target)))
    if target in profiles.TARGETS:
        return sorted(seeds | set(profiles.seeds(target)))
    if target in streams.TARGETS:
        return sorted(seeds | set(streams.seeds(target)))
    if target in push_decoders.TARGETS:
        return sorted(seeds | set(push_decoders.seeds(target)))
    if target in push_security.TARGETS:
        return sorted(seeds | set(push_security.seeds(target)))
    seeds.update(_OF_TARGET[target]() if target in _OF_TARGET else _scripts(target))
    return sorted(seeds)


def values() -> list[Typed]:
    """One value of every type, and some of which meters are fond."""
    leaves = [
        axdr.null_data(),
        axdr.dont_care(),
        axdr.boolean(True),
        axdr.bit_string("1010011"),
        axdr.double_long(-2),
        axdr.double_long_unsigned(12345),
        axdr.floating_point(1.5),
        axdr.octet_string(NAME),
        axdr.octet_string(TIME),
        axdr.octet_string(bytes(200)),
        axdr.visible_string("meter"),
        axdr.utf8_string("Zähler"),
        axdr.bcd(0x42),
        axdr.integer(-3),
        axdr.long(-300),
        axdr.unsigned(7),
        axdr.long_unsigned(700),
        axdr.long64(-(1 << 40)),
        axdr.long64_unsigned(1 << 50),
        axdr.enum(30),
        axdr.float32(2.5),
        axdr.float64(float("nan")),
        axdr.date_time(TIME),
        axdr.date(TIME[:5]),
        axdr.time(TIME[5:9]),
        axdr.delta_integer(-1),
        axdr.delta_long(-1),
        axdr.delta_double_long(-1),
        axdr.delta_unsigned(1),
        axdr.delta_long_unsigned(1),
        axdr.delta_double_long_unsigned(1),
    ]
    row = axdr.structure(axdr.octet_string(TIME), axdr.unsigned(8), axdr.double_long_unsigned(77), axdr.long(-5))
    sparse = axdr.structure(axdr.null_data(), axdr.unsigned(8), axdr.double_long_unsigned(78), axdr.long(-6))
    scaler_unit = axdr.structure(axdr.integer(-1), axdr.enum(30))
    capture = axdr.structure(axdr.long_unsigned(3), axdr.octet_string(NAME), axdr.integer(2), axdr.long_unsigned(0))
    clock = axdr.structure(
        axdr.long_unsigned(8), axdr.octet_string(bytes.fromhex("0000010000FF")), axdr.integer(2), axdr.long_unsigned(0)
    )
    rights = axdr.structure(
        axdr.array(axdr.structure(axdr.integer(1), axdr.enum(1), axdr.null_data())),
        axdr.array(axdr.structure(axdr.integer(1), axdr.boolean(False))),
    )
    entry = axdr.structure(axdr.long_unsigned(3), axdr.unsigned(0), axdr.octet_string(NAME), rights)
    deep = axdr.null_data()
    for _ in range(20):
        deep = axdr.structure(deep)
    return [
        *leaves,
        axdr.structure(*leaves),
        axdr.array(row, row, row, row, row),
        axdr.array(row, sparse, sparse, row, row, row),
        axdr.array(*[axdr.unsigned(number) for number in range(30)]),
        axdr.array(),
        axdr.structure(),
        scaler_unit,
        axdr.array(clock, capture, capture),
        axdr.array(entry, entry),
        deep,
    ]


def apdus() -> list[bytes]:
    """APDUs of all services; those of the vectors come on top."""
    value = axdr.encode(axdr.double_long_unsigned(12345))
    attribute = b"\x00\x03" + NAME + b"\x02"
    block = b"\x00\x00\x00\x00\x01"
    conformance = Conformance(0x62FE1F)
    initiate = encode_apdu(InitiateRequest(None, True, None, 6, conformance, 0xFFFF))
    accepted = encode_apdu(InitiateResponse(None, 6, conformance, 0x80, 7))
    lls = AuthenticationMechanism.LLS
    gmac = AuthenticationMechanism.HLS_GMAC
    plain, ciphered = ApplicationContext.LOGICAL_NAME, ApplicationContext.LOGICAL_NAME_CIPHERED
    aarq = AssociationRequest(plain, None, None, user_information=initiate)
    aare = AssociationResponse(plain, AssociationResult.ACCEPTED, 0, "user", user_information=accepted)
    made = [
        aarq,
        AssociationRequest(plain, lls, b"12345678", user_information=initiate),
        AssociationRequest(ciphered, gmac, bytes(16), b"COS\x00\x00\x00\x00\x02", user_information=initiate),
        aare,
        AssociationResponse(ciphered, AssociationResult.REJECTED_PERMANENT, 13, "user"),
        AssociationResponse(
            ciphered, 0, 14, "user", gmac, bytes(16), b"COS\x00\x00\x00\x00\x01", user_information=accepted
        ),
    ]
    return [
        *map(encode_apdu, made),
        initiate,
        accepted,
        bytes.fromhex("6203800100"),
        bytes.fromhex("6303800100"),
        b"\xc0\x01\xc1" + attribute + b"\x00",
        b"\xc0\x01\xc1" + attribute + b"\x01\x01" + axdr.encode(axdr.structure(axdr.unsigned(1), axdr.array())),
        b"\xc0\x02\xc1" + block[1:],
        b"\xc0\x03\xc1\x02" + (attribute + b"\x00") * 2,
        b"\xc4\x01\xc1\x00" + value,
        b"\xc4\x01\xc1\x01\x04",
        b"\xc4\x02\xc1" + block + b"\x00\x05" + value,
        b"\xc4\x02\xc1\x01\x00\x00\x00\x01\x00\x05" + value,
        b"\xc4\x02\xc1\x01\x00\x00\x00\x02\x01\x0b",
        b"\xc4\x03\xc1\x02\x00" + value + b"\x01\x04",
        b"\xc1\x01\xc1" + attribute + b"\x00" + value,
        b"\xc1\x02\xc1" + attribute + b"\x00" + block + b"\x05" + value,
        b"\xc1\x03\xc1\x01\x00\x00\x00\x02\x05" + value,
        b"\xc1\x04\xc1\x01" + attribute + b"\x00\x01" + value,
        b"\xc1\x05\xc1\x01" + attribute + b"\x00" + block + b"\x06\x01" + value,
        b"\xc5\x01\xc1\x00",
        b"\xc5\x02\xc1" + block[1:],
        b"\xc5\x03\xc1\x00" + block[1:],
        b"\xc5\x04\xc1\x01\x00" + block[1:],
        b"\xc5\x05\xc1\x02\x00\x03",
        b"\xc3\x01\xc1" + attribute + b"\x01" + value,
        b"\xc3\x01\xc1\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x01" + axdr.encode(axdr.octet_string(b"\x10" + bytes(16))),
        b"\xc3\x02\xc1" + block[1:],
        b"\xc3\x03\xc1\x01" + attribute + b"\x01" + value,
        b"\xc3\x04\xc1" + attribute + block + b"\x05" + value,
        b"\xc3\x06\xc1\x01\x00\x00\x00\x02\x05" + value,
        b"\xc7\x01\xc1\x00\x00",
        b"\xc7\x01\xc1\x00\x01\x00" + value,
        b"\xc7\x02\xc1" + block + b"\x05" + value,
        b"\xc7\x03\xc1\x01\x00\x01\x00" + value,
        b"\xc7\x04\xc1" + block[1:],
        b"\x0f\x00\x00\x00\x01\x0c" + TIME + value,
        b"\xc2\x01\x0c" + TIME + attribute + value,
        b"\xd8\x01\x02",
        b"\xd8\x02\x06\x00\x00\x00\x10",
        b"\x0e\x01\x06\x01",
        b"\x05\x01\x02\xfa\x00",
        b"\x0c\x01\x00" + value,
        b"\x06\x01\x02\xfa\x00\x01" + value,
        b"\xcc\x1e\x30\x00\x00\x00\x05" + bytes(25),
        b"\xdb\x08COS\x00\x00\x00\x00\x01\x1e\x30\x00\x00\x00\x05" + bytes(25),
        b"\xe0\xc0\x00\x01\x00\x00\x05" + value,
    ]


def _frames() -> list[bytes]:
    client, server = HdlcAddress(16), HdlcAddress(1, 17)
    pairs = [(control, information) for control in (0x93, 0x73, 0x53, 0x1F, 0x11, 0x10, 0x30, 0x97, 0x13)
             for information in (b"", b"\xe6\xe6\x00\xc0", HdlcParameters(200, 200, 7, 7).encode())]  # fmt: skip
    return [HdlcFrame(server, client, control, information).encode() for control, information in pairs]


def _vectors(*topics: str) -> Iterator[tuple[str, bytes]]:
    """(kind, octets) of every case of these topics, and of the recorded talks under the kind ``recorded``."""
    for topic in topics:
        file = VECTORS / f"{topic}.json"
        if not file.exists():
            continue
        for case in json.loads(file.read_text())["cases"]:
            octets = case.get("bytes", "")
            for text in octets if isinstance(octets, list) else [octets]:
                try:
                    yield case["kind"], bytes.fromhex(text if isinstance(text, str) else text["bytes"])
                except (ValueError, KeyError, TypeError):
                    continue


def _axdr() -> Iterable[bytes]:
    yield from map(axdr.encode, values())
    yield bytes.fromhex("130206110303010203040506")
    yield bytes.fromhex("1302020612000000010c") + bytes(12)
    yield bytes.fromhex("81827f8400000001")
    yield from (octets for kind, octets in _vectors("axdr", "issue-captures") if kind == "axdr")


def _apdus() -> Iterable[bytes]:
    yield from apdus()
    for kind, octets in _vectors("acse", "xdlms", "security", "pushes", "issue-captures"):
        if kind in {"apdu", "acse-quirk", "apdu-quirk", "ciphered-apdu", "general-ciphering", "push-raw"}:
            yield octets


def _hdlc() -> Iterable[bytes]:
    yield from _frames()
    yield from (octets for _, octets in _vectors("hdlc", "issue-captures") if len(octets) < 600)


def _wrappers() -> Iterable[bytes]:
    for apdu in apdus()[:12]:
        yield WrapperPdu(1, 16, apdu).encode()
        yield WrapperPdu(16, 1, apdu).encode() * 2


def _made_frames() -> Iterable[bytes]:
    for control in (0x93, 0x73, 0x1F, 0x11, 0x10, 0x32):
        yield bytes((0, control, 4)) + b"\xe6\xe6\x00\xc0"
        yield bytes((7, 0x22, control, 0, 8, control, 1, 5))
        yield bytes((0x80, control, 3, 1, 2, 3, 0, control, 0))


def _texts() -> Iterable[bytes]:
    names = {kind: index for index, kind in enumerate(axdr.type_name(kind) for kind in axdr.DataType)}
    for name, text in (
        ("unsigned", "12"),
        ("long", "-0x12"),
        ("float64", "1e5"),
        ("octet-string", "01 02"),
        ("bit-string", "0101"),
        ("boolean", "true"),
        ("visible-string", "text"),
        ("date-time", "2026-11-22T12:00:00+01:00"),
        ("date-time", TIME.hex()),
        ("date", "2026-11-22"),
        ("time", "12:30:00.5"),
        ("structure", '[{"type": "unsigned", "value": 1}, {"type": "array", "value": []}]'),
        ("compact-array", '[{"type": "unsigned", "value": 1}]'),
        ("array", "[" * 40 + "]" * 40),
    ):
        yield bytes((names[name],)) + text.encode()


def _codes() -> Iterable[bytes]:
    yield from (b"1-0:1.8.0*255", b"1-0:1.8.0", b"1.0.1.8.0.255", b"0100010800FF", NAME, b"0-0:96.1.255*255")


def _times() -> Iterable[bytes]:
    yield TIME
    yield bytes(CosemDateTime(2026, 0xFE, 0xFE, 7, 2, 0, 0, 0, -60, 0x80))
    yield b"\xff" * 12
    yield b"\xff\xff\xfd\xfd\xff\x17\x3b\x3b\x63\x80\x00\xff"


def _secured() -> Iterable[bytes]:
    for kind in (0, 4, 5, 6, 8, 16, 32, 48):
        yield bytes((kind, 0x30, 0, 0, 0, 1)) + bytes(25)
        yield bytes((kind, 0x20, 0, 0, 0, 1)) + bytes(25)
        yield bytes((kind, 0x10, 0, 0, 0, 1)) + b"\xc0\x01\xc1" + bytes(22)


def _meter_values() -> Iterable[bytes]:
    everything = values()
    parts = [axdr.encode(value) for value in everything]
    number, scaler_unit = axdr.encode(axdr.double_long_unsigned(5)), parts[-4]
    captures, period, rows, entries = parts[-3], number, parts[-9], parts[-2]
    simple = axdr.encode(
        axdr.array(*[axdr.structure(axdr.octet_string(TIME), axdr.unsigned(8), axdr.double_long_unsigned(77))] * 3)
    )
    for kind in range(7):
        for flag in (0, 64):
            head = bytes((kind + (7 * 7 if flag else 0),))
            yield head + number + scaler_unit
            yield head + parts[8]
            yield head + entries
            for sort in (1, 2):
                yield head + captures + period + bytes((0x16, sort)) + simple + scaler_unit * 2
                yield head + captures + period + bytes((0x16, sort)) + number + simple + scaler_unit * 2
                yield head + captures + period + bytes((0x16, sort)) + b"\x04" + rows + scaler_unit


def _explained() -> Iterable[bytes]:
    yield from _axdr()
    yield from _apdus()
    yield from _hdlc()
    yield from _wrappers()
    for _, octets in _vectors("sessions"):
        yield octets
    yield b"".join(_frames()[:6])


def _with_seed(inputs: Iterable[bytes], numbers: tuple[int, ...] = (0, 1, 2, 77)) -> Iterator[bytes]:
    for octets in inputs:
        for number in numbers:
            yield bytes((number,)) + octets


def _scripts(target: str) -> Iterator[bytes]:
    """Scripts of ``fuzz.talks``: every APDU alone and two after another, frames, silence, calls, the end."""
    sealed = b"\x00" if target.endswith("sealed") or target.startswith("meter") else b""
    tags = _ANSWERS if "client" in target else _REQUESTS
    sent = [apdu for apdu in apdus() if apdu[0] in tags]
    for kind in _KINDS.get(target, (0, 1, 3, 5, 9, 11, 13, 15, 17, 33, 41, 43, 73)):
        head = bytes((kind,))
        yield head
        yield head + b"\x05\x05\x05\x05"
        yield head + b"\x06\x00\x07\xf8"
        yield head + b"\x06\x02\x06\x01\x06\xe0\x06\xc0\x06\xff"
        for apdu in sent:
            yield head + _step(sealed + apdu)
        for first, second in zip(sent, sent[1:] + sent[:1], strict=True):
            yield head + _step(sealed + first) + b"\x05\x06\x00" + _step(sealed + second)
        for talk in _CHAINS:
            if talk[0][0] in tags:
                yield head + b"".join(_step(sealed + apdu) for apdu in talk)
        if target not in _ON_HDLC:
            continue
        for control in (0x93, 0x73, 0x63, 0x53, 0x1F, 0x01, 0x11, 0x31, 0x51, 0x05, 0x09, 0x97, 0x13, 0x10, 0x30, 0x32):
            yield head + bytes((4, control, 0))
            yield head + bytes((4, control, 5)) + b"\xe6\xe7\x00\xc4\x01" + b"\x05"
            yield head + bytes((6, 0, 4, control, 3)) + b"\xe6\xe6\x00" + b"\x05\x05"
        yield head + b"\x02\x09\x7e\xa0\x10\x03\x21\x10\x00\x00\x7e\x05"
        yield head + b"\x04\x73\x17" + HdlcParameters(200, 200, 7, 7).encode() + b"\x06\x07"


_KINDS: dict[str, tuple[int, ...]] = {
    "meter": (0, 4, 5, 6),
    "meter-hdlc": (0, 4, 5, 6),
    "hdlc-client": (0, 3, 6, 7),
    "hdlc-server": (0, 3, 6, 7),
}


_ANSWERS = frozenset(bytes.fromhex("616308C4C5C7D80E0FC20CCCDBE0"))
_REQUESTS = frozenset(bytes.fromhex("606201C0C1C30506CCDBE00F"))
_ON_HDLC = frozenset(("hdlc-client", "hdlc-server", "client-hdlc", "server-hdlc", "meter-hdlc"))
_PIECE = bytes.fromhex("09080102030405060708")
_ATTRIBUTE = b"\x00\x03" + NAME + b"\x02"
_CHAINS = (
    (
        b"\xc4\x02\xc1\x00\x00\x00\x00\x01\x00\x05" + _PIECE[:5],
        b"\xc4\x02\xc1\x01\x00\x00\x00\x02\x00\x05" + _PIECE[5:],
        b"\xc4\x01\xc1\x00\x11\x05",
    ),
    (
        b"\xc5\x02\xc1\x00\x00\x00\x01",
        b"\xc5\x02\xc1\x00\x00\x00\x01",
        b"\xc5\x03\xc1\x00\x00\x00\x00\x02",
    ),
    (b"\xc5\x02\xc1\x00\x00\x00\x01", *(b"\xc5\x02\xc1\x00\x00\x00" + bytes((n,)) for n in range(2, 9))),
    (
        b"\xc7\x04\xc1\x00\x00\x00\x01",
        b"\xc7\x02\xc1\x00\x00\x00\x00\x01\x06\x01\x00\x01\x00\x09\x08",
        b"\xc7\x02\xc1\x01\x00\x00\x00\x02\x08" + _PIECE[2:],
    ),
    (
        b"\xc0\x01\xc1\x00\x03\x01\x00\x01\x08\xff\xff\x02\x00",
        *(b"\xc0\x02\xc1\x00\x00\x00" + bytes((n,)) for n in range(1, 18)),
    ),
    (
        b"\xc1\x02\xc1" + _ATTRIBUTE + b"\x00\x00\x00\x00\x00\x01\x05" + _PIECE[:5],
        b"\xc1\x03\xc1\x01\x00\x00\x00\x02\x05" + _PIECE[5:],
    ),
    (
        b"\xc1\x05\xc1\x01" + _ATTRIBUTE + b"\x00\x00\x00\x00\x00\x01\x06\x01" + _PIECE[:5],
        b"\xc1\x03\xc1\x01\x00\x00\x00\x02\x05" + _PIECE[5:],
    ),
    (
        b"\xc3\x04\xc1" + _ATTRIBUTE + b"\x00\x00\x00\x00\x01\x05" + _PIECE[:5],
        b"\xc3\x06\xc1\x01\x00\x00\x00\x02\x05" + _PIECE[5:],
        b"\xc3\x02\xc1\x00\x00\x00\x01",
    ),
)
"""Blocks in both directions, as they should be."""


def _step(apdu: bytes) -> bytes:
    return b"\x00" + len(apdu).to_bytes(2, "big") + apdu


_OF_TARGET = {
    "axdr": _axdr,
    "data": _axdr,
    "text": _texts,
    "apdu": _apdus,
    "envelope": _apdus,
    "ber": lambda: (octets[2:] for octets in _apdus() if octets[:1] in (b"\x60", b"\x61", b"\x62", b"\x63")),
    "frame": _hdlc,
    "made-frame": _made_frames,
    "frame-reader": lambda: [*_with_seed(_hdlc(), (0, 2, 34)), *_with_seed(_made_frames(), (1, 3, 35))],
    "wrapper": lambda: _with_seed(_wrappers()),
    "parameters": lambda: [
        HdlcParameters().encode(),
        HdlcParameters(2030, 300, 7, 7).encode(),
        bytes.fromhex("81800e050180060180070400000001080107"),
    ],
    "times": _times,
    "obis": _codes,
    "security": _secured,
    "meter-values": _meter_values,
    "explain": _explained,
}
