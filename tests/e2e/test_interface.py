"""What the outside calls in Python: names, signatures and shapes, used as somebody who knows nothing else would.

The commands are in ``test_interface_commands``; OBIS forms in ``tests/test_obis``, arbitrary octets in ``tests/codec``.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import cosemic
from cosemic import (
    AuthenticationMechanism,
    DlmsClient,
    HdlcFrame,
    ObisCode,
    SecurityContext,
    axdr,
    blocking,
    decode_apdu,
    encode_apdu,
)
from cosemic.meter.server import Ports, running

from .conftest import CREDENTIALS, MOMENT, make_meter

ENERGY, VOLTAGE, LOAD = "1.0.1.8.0.255", "1.0.32.7.0.255", "1.0.99.1.0.255"
SCRATCH_OCTETS, SCRATCH_REGISTER = "0.0.128.0.1.255", "0.0.128.0.2.255"
EK, AK = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    with running(make_meter(48)) as served:
        yield served


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSEMIC_STATE", str(tmp_path))


# OBIS


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("ACTIVE_ENERGY_IMPORT_TOTAL", "1.0.1.8.0.255"),
        ("ACTIVE_ENERGY_EXPORT_TOTAL", "1.0.2.8.0.255"),
        ("ACTIVE_POWER_IMPORT", "1.0.1.7.0.255"),
        ("VOLTAGE_L1", "1.0.32.7.0.255"),
        ("VOLTAGE_L2", "1.0.52.7.0.255"),
        ("VOLTAGE_L3", "1.0.72.7.0.255"),
        ("CURRENT_L1", "1.0.31.7.0.255"),
        ("CURRENT_L2", "1.0.51.7.0.255"),
        ("CURRENT_L3", "1.0.71.7.0.255"),
        ("CLOCK", "0.0.1.0.0.255"),
        ("LOGICAL_DEVICE_NAME", "0.0.42.0.0.255"),
        ("LOAD_PROFILE", "1.0.99.1.0.255"),
    ],
)
def test_obis_constants(name: str, dotted: str) -> None:
    code = getattr(ObisCode, name)
    assert code == ObisCode(*map(int, dotted.split("."))) == ObisCode.parse(dotted)
    assert code.dotted == dotted
    assert bytes(code) == bytes(map(int, dotted.split(".")))
    assert isinstance(code.describe(), str)
    assert code.describe()


# A-XDR

TYPES = [
    (0, "NULL_DATA", lambda: axdr.null_data(), "00", None),
    (1, "ARRAY", lambda: axdr.array(axdr.unsigned(1), axdr.unsigned(2)), "010211011102", [1, 2]),
    (2, "STRUCTURE", lambda: axdr.structure(axdr.unsigned(1), axdr.null_data()), "0202110100", (1, None)),
    (3, "BOOLEAN", lambda: axdr.boolean(True), "0301", True),
    (5, "DOUBLE_LONG", lambda: axdr.double_long(-1), "05ffffffff", -1),
    (6, "DOUBLE_LONG_UNSIGNED", lambda: axdr.double_long_unsigned(12345), "0600003039", 12345),
    (7, "FLOATING_POINT", lambda: axdr.floating_point(1.5), "073fc00000", 1.5),
    (9, "OCTET_STRING", lambda: axdr.octet_string(b"\x01\x02"), "09020102", b"\x01\x02"),
    (10, "VISIBLE_STRING", lambda: axdr.visible_string("ab"), "0a026162", "ab"),
    (12, "UTF8_STRING", lambda: axdr.utf8_string("ä"), "0c02c3a4", "ä"),
    (15, "INTEGER", lambda: axdr.integer(-1), "0fff", -1),
    (16, "LONG", lambda: axdr.long(-2), "10fffe", -2),
    (17, "UNSIGNED", lambda: axdr.unsigned(255), "11ff", 255),
    (18, "LONG_UNSIGNED", lambda: axdr.long_unsigned(258), "120102", 258),
    (20, "LONG64", lambda: axdr.long64(-1), "14" + "ff" * 8, -1),
    (21, "LONG64_UNSIGNED", lambda: axdr.long64_unsigned(2**64 - 1), "15" + "ff" * 8, 2**64 - 1),
    (22, "ENUM", lambda: axdr.enum(30), "161e", 30),
    (23, "FLOAT32", lambda: axdr.float32(1.5), "173fc00000", 1.5),
    (24, "FLOAT64", lambda: axdr.float64(1.5), "183ff8000000000000", 1.5),
]


@pytest.mark.parametrize(("tag", "name", "make", "octets", "plain"), TYPES, ids=[entry[1] for entry in TYPES])
def test_each_type_has_number_name_constructor_octets_and_plain_value(tag, name, make, octets, plain) -> None:
    typed = make()
    data = bytes.fromhex(octets)
    assert typed.type == tag
    assert typed.type == cosemic.DataType[name]
    assert typed.type.name == name
    assert axdr.encode(typed) == data
    value = axdr.decode(data)
    assert value == plain
    assert type(value) is type(plain)
    again = axdr.decode_typed(data)
    assert isinstance(again, cosemic.Typed)
    assert again == typed
    assert axdr.decode_prefix(b"\xaa" + data + b"\xbb", 1) == (plain, 1 + len(data))
    assert axdr.decode_prefix(data + b"\xbb") == (plain, len(data))
    with pytest.raises(cosemic.DecodeError):
        axdr.decode(data + b"\x00")
    for size in range(len(data)):
        with pytest.raises(cosemic.DecodeError):
            axdr.decode(data[:size])


def test_every_type_of_the_standard_has_a_constructor() -> None:
    assert {kind.name.lower() for kind in cosemic.DataType} <= set(dir(axdr))


def test_typed_values_of_array_and_structure_are_tuples_of_typed() -> None:
    typed = axdr.decode_typed(bytes.fromhex("0202110101020f010f02"))
    assert typed.type == cosemic.DataType.STRUCTURE == 2
    assert isinstance(typed.value, tuple)
    number, array = typed.value
    assert (number.type, number.value) == (cosemic.DataType.UNSIGNED, 1)
    assert array.type == cosemic.DataType.ARRAY
    assert [element.value for element in array.value] == [1, 2]
    assert isinstance(array.value, tuple)
    assert axdr.decode(axdr.encode(typed)) == (1, [1, 2])


def test_bit_string() -> None:
    value = axdr.decode(bytes.fromhex("040450"))
    assert isinstance(value, cosemic.BitString)
    assert str(value) == "0101"
    assert axdr.encode(axdr.bit_string("0101")) == bytes.fromhex("040450")


def test_dates_and_times() -> None:
    moment = axdr.decode(bytes.fromhex("1907e9070f020c1e0000ff8880"))
    assert isinstance(moment, cosemic.CosemDateTime)
    assert moment.to_datetime() == datetime(2025, 7, 15, 10, 30, tzinfo=UTC)
    assert isinstance(axdr.decode(bytes.fromhex("1a07e9070f02")), cosemic.CosemDate)
    assert isinstance(axdr.decode(bytes.fromhex("1b0c1e0000")), cosemic.CosemTime)
    assert axdr.encode(axdr.date_time(moment)).hex() == "1907e9070f020c1e0000ff8880"


def test_compact_array_is_a_list() -> None:
    octets = bytes.fromhex("1302021211") + bytes.fromhex("06 0001 01 0002 02")
    assert axdr.decode(octets) == [(1, 1), (2, 2)]
    assert axdr.decode_typed(octets).type == cosemic.DataType.COMPACT_ARRAY == 19
    assert axdr.encode(axdr.decode_typed(octets)) == octets
    made = axdr.compact_array(cosemic.DataType.LONG_UNSIGNED, [1, 2, 3])
    assert axdr.decode(axdr.encode(made)) == [1, 2, 3]


@pytest.mark.parametrize(
    "octets", ["", "0e", "ff01", "0302ff", "09ff", "0184ffffffff", "0a02c3", "0102" * 3000, "1305"]
)
def test_bad_values_are_a_decode_error(octets: str) -> None:
    for decode in (axdr.decode, axdr.decode_prefix, axdr.decode_typed):
        with contextlib.suppress(cosemic.DecodeError):
            decode(bytes.fromhex(octets))
    with pytest.raises(cosemic.DecodeError):
        axdr.decode(bytes.fromhex(octets))


# APDUs and frames

APDUS = [
    "01000000065f1f040000001affff",
    "0501020000",
    "0601020000010600003039",
    "0800065f1f040000101a04000007",
    "0c01000600003039",
    "0d0100",
    "0e060203",
    "0f00000001000600003039",
    "1601020000011101",
    "180001020008011101",
    "601da109060760857405080101be10040e01000000065f1f0400001e1dffff",
    "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000101d04000007",
    "6203800100",
    "6303800100",
    "100000000100",
    "c001c100080000010000ff0200",
    "c002c100000001",
    "c003c10100080000010000ff0200",
    "c101c100080000010000ff02001101",
    "c20000080000010000ff021101",
    "c301c100080000010000ff01010f00",
    "c401c1000600003039",
    "c401c10103",
    "c402c1010000000100020030",
    "c501c100",
    "c701c10000",
    "d80102",
    "d94000000100010100080000010000ff020100",
    "da4000000100000100010100",
    "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
    "db084d4d4d0000bc614e1e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
    "dc084d4d4d0000bc614e1e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
    "e0800001000003c0c1c2",
]


@pytest.mark.parametrize("text", APDUS)
def test_apdus_are_frozen_dataclasses_and_come_back(text: str) -> None:
    octets = bytes.fromhex(text)
    apdu = decode_apdu(octets)
    assert dataclasses.is_dataclass(apdu)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(apdu, dataclasses.fields(apdu)[0].name, None)
    assert encode_apdu(apdu) == octets
    assert decode_apdu(encode_apdu(apdu)) == apdu
    for size in range(1 if octets[0] == cosemic.ApduTag.RLRE else min(len(octets), 12)):  # of an RLRE, the tag will do
        with pytest.raises(cosemic.DecodeError):
            decode_apdu(octets[:size])


def test_every_apdu_of_the_standard_is_known() -> None:
    for tag in set(cosemic.ApduTag) - {cosemic.ApduTag.RLRE}:
        with pytest.raises(cosemic.DecodeError) as caught:
            decode_apdu(bytes((tag,)))
        assert "no APDU has the tag" not in str(caught.value)


def test_hdlc_frame() -> None:
    octets = bytes.fromhex("7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E")
    frame = HdlcFrame.decode(octets)
    assert (frame.destination.logical, frame.destination.physical) == (1, None)
    assert (frame.source.logical, frame.source.physical) == (16, None)
    assert frame.destination == cosemic.HdlcAddress(1)
    assert frame.control == 0x10
    assert frame.information == bytes.fromhex("E6E600C001C100080000010000FF0200")
    assert frame.segmented is False
    assert frame.encode() == octets
    two = HdlcFrame(cosemic.HdlcAddress(1, 17), cosemic.HdlcAddress(16), 0x93)
    assert HdlcFrame.decode(two.encode()).destination == cosemic.HdlcAddress(logical=1, physical=17)
    long = HdlcFrame(cosemic.HdlcAddress(1), cosemic.HdlcAddress(16), 0x10, b"abc", segmented=True)
    assert HdlcFrame.decode(long.encode()).segmented is True
    broken = bytearray(octets)
    broken[10] ^= 1
    with pytest.raises(cosemic.FrameError):
        HdlcFrame.decode(bytes(broken))


# Client


async def test_the_example(ports) -> None:
    start = MOMENT - timedelta(hours=2)
    async with DlmsClient(f"tcp://127.0.0.1:{ports.wrapper}", client_sap=16, server_sap=1) as meter:
        wh = await meter.get(3, ObisCode.ACTIVE_ENERGY_IMPORT_TOTAL, 2)
        assert isinstance(wh, int)
        results = []
        async for r in meter.get_list([(3, "1.0.1.8.0.255", 2), (3, "1.0.32.7.0.255", 2)]):
            assert r.error is None
            results.append(r.value)
        assert results[0] == wh
        await meter.set(3, "1.0.1.8.0.255", 2, axdr.double_long_unsigned(12345))
        wh = await meter.get(3, "1.0.1.8.0.255", 2)
        assert wh == 12345
        reply = await meter.action(8, ObisCode.CLOCK, 1, axdr.integer(0))
        assert reply is None
        with pytest.raises(cosemic.DataAccessError):
            await meter.set(3, "1.0.2.8.0.255", 2, axdr.double_long_unsigned(12345))
        with pytest.raises(cosemic.ActionError):
            await meter.action(8, ObisCode.CLOCK, 6, axdr.long(0))  # the public client may not
        energy = await meter.read_register("1.0.1.8.0.255")
        assert (energy.value, energy.unit, energy.raw, energy.scaler) == (Decimal(wh), "Wh", wh, 0)
        assert type(energy.value) is Decimal
        voltage = await meter.read_register(ObisCode.VOLTAGE_L1)
        assert voltage.unit == "V"
        assert voltage.value == Decimal(voltage.raw).scaleb(voltage.scaler)
        clock = await meter.read_clock()
        assert clock == MOMENT
        assert clock.utcoffset() is not None
        items = await meter.objects()
        register = next(item for item in items if item.obis == ObisCode.parse(ENERGY))
        assert (register.class_id, register.version, register.obis.dotted) == (3, 0, ENERGY)
        assert "energy" in register.name
        assert register.may_read(2)
        assert register.may_write(2)  # in the simulated meter; the other energy registers are as in a real one
        load = await meter.read_profile("1.0.99.1.0.255", start=start, end=MOMENT, last=None, columns=None)
        assert load.columns[0].obis == ObisCode.CLOCK
        assert all(start <= row[0] <= MOMENT for row in load.rows)
        assert len(load.rows) == 9
        assert len(load.rows[0]) == len(load.columns)


def test_the_example_blocking(ports) -> None:
    with blocking.DlmsClient(f"hdlc://127.0.0.1:{ports.hdlc}", client_sap=16, server_sap=1) as meter:
        wh = meter.get(3, ObisCode.ACTIVE_ENERGY_IMPORT_TOTAL, 2)
        first, second = meter.get_list([(3, ENERGY, 2), (3, "1.0.99.99.99.255", 2)])
        assert (first.value, first.error) == (wh, None)
        assert isinstance(second.error, cosemic.DataAccessError)
        assert second.value is None
        meter.set(1, SCRATCH_OCTETS, 2, axdr.octet_string(b"abc"))
        assert meter.get(1, ObisCode.parse(SCRATCH_OCTETS), 2) == b"abc"
        assert meter.action(3, ObisCode.parse(SCRATCH_REGISTER), 1, axdr.integer(0)) is None
        assert meter.read_register(ENERGY).value == wh
        assert meter.read_clock() == MOMENT
        assert {item.obis.dotted for item in meter.objects()} >= {ENERGY, VOLTAGE, LOAD}
        load = meter.read_profile(LOAD, last=3, columns=["0.0.1.0.0.255", ENERGY])
        assert [column.obis.dotted for column in load.columns] == ["0.0.1.0.0.255", ENERGY]
        assert [row[0] for row in load.rows] == [MOMENT - timedelta(minutes=15 * back) for back in (2, 1, 0)]


@pytest.mark.parametrize("form", ["1-0:1.8.0*255", "1-0:1.8.0", ENERGY, "0100010800FF", ObisCode(1, 0, 1, 8, 0, 255)])
def test_an_obis_code_in_every_form_goes_to_every_method(ports, form) -> None:
    with blocking.DlmsClient(f"tcp://127.0.0.1:{ports.wrapper}", client_sap=16, server_sap=1) as meter:
        raw = meter.get(3, form, 2)
        assert [result.value for result in meter.get_list([(3, form, 2)])] == [raw]
        assert meter.read_register(form).raw == raw
        columns = meter.read_profile(ObisCode.LOAD_PROFILE, last=1, columns=[form]).columns
        assert [column.obis.dotted for column in columns] == [ENERGY]
        with pytest.raises(ValueError, match=r"'1-0:1\.8'"):
            meter.get(3, "1-0:1.8", 2)


@pytest.mark.parametrize("name", CREDENTIALS)
def test_load_profiles_become_tables(ports, name: str) -> None:
    with blocking.DlmsClient(f"tcp://127.0.0.1:{ports.wrapper}", server_sap=1, **CREDENTIALS[name]()) as meter:
        load = meter.read_profile(LOAD, last=4)
    keys = [column.key for column in load.columns]
    assert "1-0:1.8.0*255" in keys
    for method, package, check in (
        ("to_arrow", "pyarrow", lambda table: (table.num_rows, table.column_names)),
        ("to_pandas", "pandas", lambda frame: (len(frame), list(frame.columns))),
        ("to_polars", "polars", lambda frame: (frame.height, frame.columns)),
    ):
        try:
            __import__(package)
        except ImportError:
            with pytest.raises(cosemic.MissingExtra, match=r"pip install 'cosemic\["):
                getattr(load, method)()
        else:
            assert check(getattr(load, method)()) == (4, keys)


def test_the_signature_of_the_client() -> None:
    for client in (DlmsClient, blocking.DlmsClient):
        parameters = inspect.signature(client).parameters
        keywords = ("client_sap", "server_sap", "physical_address", "authentication", "password", "security", "timeout")
        assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in keywords)
        assert parameters["physical_address"].default is None
        assert parameters["authentication"].default is AuthenticationMechanism.NONE
        assert parameters["password"].default is None
        assert parameters["security"].default is None


def test_authentication_mechanisms() -> None:
    names = ["NONE", "LLS", "HLS", "HLS_MD5", "HLS_SHA1", "HLS_GMAC", "HLS_SHA256", "HLS_ECDSA"]
    assert [AuthenticationMechanism[name] for name in names] == list(range(8))


def test_the_security_context() -> None:
    security = SecurityContext(
        suite=0,
        system_title=bytes.fromhex("4D4D4D0000000001"),
        encryption_key=bytes.fromhex(EK),
        authentication_key=bytes.fromhex(AK),
        counters=cosemic.MemoryCounters(),
    )
    assert "authenticated-encrypted" in repr(security)
    assert EK not in repr(security)
    for policy in ("none", "authenticated", "encrypted", "authenticated-encrypted"):
        SecurityContext(suite=0, system_title="4D4D4D0000000001", encryption_key=EK, policy=policy)
    with pytest.raises(ValueError):
        SecurityContext(policy="some")


@pytest.mark.parametrize("policy", ["authenticated", "encrypted", "authenticated-encrypted"])
def test_hls_gmac_with_the_durable_counters_of_the_user(ports, policy: str, tmp_path) -> None:
    title = {"authenticated": "4D4D4D00000000A1", "encrypted": "4D4D4D00000000A2"}.get(policy, "4D4D4D00000000A3")
    for _ in range(2):
        security = SecurityContext(
            suite=0, system_title=title, encryption_key=EK, authentication_key=AK, policy=policy
        )  # fmt: skip
        client = blocking.DlmsClient(
            f"tcp://127.0.0.1:{ports.wrapper}", client_sap=1, server_sap=1,
            authentication=AuthenticationMechanism.HLS_GMAC, security=security, timeout=20,
        )  # fmt: skip
        if policy == "encrypted":
            # The meter of the demonstration wants authenticated messages: a clear error, and no hanging.
            with contextlib.suppress(cosemic.DlmsError), client as meter:
                meter.get(3, ENERGY, 2)
            continue
        with client as meter:
            assert meter.read_register(ENERGY).unit == "Wh"
            assert meter.association.peer_system_title == bytes.fromhex("434F530000000001")
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "tcp://127.0.0.1:4059", "hdlc://127.0.0.1:4059", "udp://127.0.0.1:4059", "serial:///dev/ttyUSB0?baud=9600",
        "tls://127.0.0.1:4059", "optical:///dev/ttyUSB0", "mbus:///dev/ttyUSB0",
    ],
)  # fmt: skip
def test_urls(url: str) -> None:
    DlmsClient(url, client_sap=16, server_sap=1)
    blocking.DlmsClient(url, client_sap=16, server_sap=1)


class OwnStream:
    """Somebody's own way to a meter, with asyncio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, deadline: float | None = None) -> bytes:
        async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
            return await self.reader.read(4096)

    def close(self) -> None:
        self.writer.close()


class OwnBlockingStream:
    """The same with a socket."""

    framing = "hdlc"

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))

    def send(self, data: bytes, deadline: float | None = None) -> None:
        self.socket.sendall(data)

    def receive(self, deadline: float | None = None) -> bytes:
        self.socket.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
        return self.socket.recv(4096)

    def close(self) -> None:
        self.socket.close()


async def test_a_stream_of_ones_own_in_place_of_the_url(ports) -> None:
    for framing, port in (("wrapper", ports.wrapper), ("hdlc", ports.hdlc)):
        stream = OwnStream(*await asyncio.open_connection("127.0.0.1", port))
        async with DlmsClient(stream, framing=framing, client_sap=16, server_sap=1, timeout=20) as meter:
            assert (await meter.read_register(ENERGY)).unit == "Wh"
        assert stream.writer.is_closing()
        await stream.writer.wait_closed()


def test_a_blocking_stream_of_ones_own_in_place_of_the_url(ports) -> None:
    stream = OwnBlockingStream(ports.hdlc)
    with blocking.DlmsClient(stream, client_sap=16, server_sap=1, timeout=20) as meter:
        assert meter.read_register(ENERGY).unit == "Wh"
    assert stream.socket.fileno() == -1
