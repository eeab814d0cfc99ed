"""P1 texts of each country, with values written down by hand from the published rules."""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.errors import DecodeError
from cosemic.link.crc import crc16_arc
from cosemic.obis import ObisCode
from cosemic.push.messages import Diagnosis, Label, Push, PushReading
from cosemic.push.p1.codes import KNOWN
from cosemic.push.p1.texts import P1Error, interpret_p1
from cosemic.push.p1.times import read_time, zone_of
from cosemic.tolerances import DEFAULT, STRICT
from tests.push import p1_texts
from tests.push.p1_texts import crc_bit_by_bit, telegram, text

CET = timezone(timedelta(hours=1))
CEST = timezone(timedelta(hours=2))


def interpret(octets: bytes, **options: object) -> Push:
    return interpret_p1(telegram(octets), octets, **options)  # type: ignore[arg-type]


def at(push: Push, code: str) -> list[PushReading]:
    obis = ObisCode.parse(code)
    return [reading for reading in push.readings if reading.obis == obis]


def one(push: Push, code: str) -> PushReading:
    (reading,) = at(push, code)
    return reading


class TestChecksum:
    def test_check_value(self) -> None:
        assert crc16_arc(b"123456789") == 0xBB3D  # the published check value of CRC-16/ARC

    @given(st.binary(max_size=300))
    def test_definition(self, octets: bytes) -> None:
        assert crc16_arc(octets) == crc_bit_by_bit(octets)

    @pytest.mark.parametrize("size", [1, 15, 16, 239, 240, 1000, 4096])
    def test_sizes(self, size: int) -> None:
        for octets in (
            b"\xff" * size,
            b"\x00" * size,
            b"\x01" + b"\x00" * (size - 1),
            bytes(range(256)) * (size // 256),
        ):
            assert crc16_arc(octets) == crc_bit_by_bit(octets)


class TestDsmr5:
    push = interpret(text(p1_texts.DSMR_5))

    def test_what_it_is(self) -> None:
        assert self.push.kind == "p1-text"
        assert self.push.layout == "P1 DSMR 5"
        assert self.push.meter_id == "E0031000000012345"
        assert self.push.time == datetime(2025, 6, 15, 14, 30, 7, tzinfo=CEST)
        assert self.push.notes == ()
        assert self.push.readings[0] == PushReading(
            "Identification", r"ISK5\2M550T-0000", raw=r"ISK5\2M550T-0000", label=Label.TEXT
        )
        assert {reading.label for reading in self.push.readings} == {Label.TEXT}

    def test_number_with_unit(self) -> None:
        reading = one(self.push, "1-0:1.8.1")
        assert (reading.value, reading.unit, reading.raw) == (Decimal("4812.377"), "kWh", "004812.377*kWh")
        assert reading.name == ObisCode.parse("1-0:1.8.1").describe()
        assert one(self.push, "1-0:31.7.0").value == Decimal(5)

    def test_texts_keep_their_zeros(self) -> None:
        assert one(self.push, "0-0:96.14.0").value == "0002"
        assert one(self.push, "1-3:0.2.8").value == "50"
        assert one(self.push, "0-0:96.13.0").value == "Hallo"
        assert one(self.push, "0-0:96.1.1").raw == "4530303331303030303030303132333435"

    def test_counts(self) -> None:
        assert one(self.push, "0-0:96.7.21").value == Decimal(4)

    def test_devices(self) -> None:
        gas, water = one(self.push, "0-1:24.2.1"), one(self.push, "0-2:24.2.1")
        assert (gas.value, gas.unit, gas.device) == (Decimal("2785.123"), "m³", 1)
        assert gas.time == datetime(2025, 6, 15, 14, 25, tzinfo=CEST)
        assert gas.name == "M-Bus value 1, channel 1 (gas)"
        assert water.name == "M-Bus value 1, channel 2 (water)"
        assert water.device == 2
        assert one(self.push, "0-2:96.1.0").device == 2
        assert one(self.push, "1-0:1.7.0").device == 0

    def test_event_log(self) -> None:
        count, first, second = at(self.push, "1-0:99.97.0")
        assert count.value == Decimal(2)
        assert (first.value, first.unit, first.class_id, first.attribute) == (Decimal(240), "s", 7, 2)
        assert first.time == datetime(2024, 12, 8, 15, 24, 15, tzinfo=CET)
        assert first.name == "Duration of long power failure in any phase, entry 1"
        assert second.time == datetime(2024, 7, 11, 15, 10, 4, tzinfo=CEST)


def test_dsmr_2() -> None:
    push = interpret(text(p1_texts.DSMR_2, checksum=False))
    assert push.layout == "P1 DSMR 2 or 3"
    assert push.meter_id == "KAL7005000000005"
    assert push.time is None
    gas = one(push, "0-1:24.2.1")
    assert (gas.value, gas.unit, gas.device) == (Decimal("124.477"), "m³", 1)
    assert gas.time == datetime(2012, 5, 17, 2, tzinfo=CEST)  # without a letter, the zone says that it is summer
    assert gas.name == "M-Bus value 1, channel 1 (gas)"
    assert one(push, "0-0:17.0.0").unit == "A"
    assert one(push, "0-0:96.13.0").value == ""
    assert one(push, "0-1:24.4.0").value == Decimal(1)


def test_profile_with_several_rows_and_columns() -> None:
    octets = text(
        "/X\n\n0-1:24.3.0(120325010000)(00)(60)(2)(0-1:24.2.0)(m3)(0-1:24.2.5)(kWh)\n(1)(2)(3)(4)", checksum=False
    )
    push = interpret(octets)
    first = at(push, "0-1:24.2.0")
    assert [reading.value for reading in first] == [Decimal(1), Decimal(3)]
    # An hour later by the clock of the wall is two hours on the day of the change.
    assert [reading.time for reading in first] == [
        datetime(2012, 3, 25, 1, tzinfo=CET),
        datetime(2012, 3, 25, 3, tzinfo=CEST),
    ]
    assert [(reading.value, reading.unit) for reading in at(push, "0-1:24.2.5")] == [
        (Decimal(2), "kWh"),
        (Decimal(4), "kWh"),
    ]


def test_belgium() -> None:
    push = interpret(text(p1_texts.BELGIUM))
    assert push.layout == "P1 Belgium (eMUCS)"
    assert push.meter_id == "1SAG0000000001"
    assert one(push, "0-0:96.1.4").value == "50217"
    assert one(push, "0-0:96.1.2").value == "541448820000000001"
    peak = one(push, "1-0:1.6.0")
    assert (peak.value, peak.time) == (Decimal("2.589"), datetime(2025, 5, 9, 13, 45, 58, tzinfo=CEST))
    count, april, march, never = at(push, "0-0:98.1.0")
    assert count.value == Decimal(3)
    assert (april.value, april.unit) == (Decimal("3.695"), "kW")
    assert april.time == datetime(2025, 4, 23, 19, 25, 38, tzinfo=CEST)
    assert april.raw == ("250501000000S", "250423192538S", "03.695*kW")
    assert march.time == datetime(2025, 3, 5, 12, 21, 39, tzinfo=CET)
    assert (never.value, never.time) == (Decimal("0.000"), None)
    assert push.notes == ("0-0:98.1.0*255 has a time that is no date: '632525252525W'",)
    assert one(push, "0-1:24.2.3").value == Decimal("112.384")
    assert one(push, "0-1:96.1.1").value == "7FLO0000000001"


def test_luxembourg() -> None:
    push = interpret(text(p1_texts.LUXEMBOURG))
    assert push.layout == "P1 Luxembourg"
    assert push.meter_id == "SAG1030700000001"
    assert one(push, "1-0:3.8.0").unit == "kvarh"
    upper, lower = at(push, "1-1:31.4.0")
    assert (upper.value, lower.value, lower.unit) == (Decimal(180), Decimal(-180), "A")
    assert one(push, "0-1:96.3.10").device == 0  # the second relay of the meter, no device behind it


def test_sweden() -> None:
    push = interpret(text(p1_texts.SWEDEN))
    assert push.layout == "P1 Sweden"
    assert push.time == datetime(2025, 5, 24, 9, 42, 10, tzinfo=CET)  # winter time in May, as its letter says
    reactive = one(push, "1-0:3.8.0")
    assert (reactive.unit, reactive.raw) == ("kvarh", "00000002.116*kVArh")
    assert one(push, "1-0:3.7.0").unit == "kvar"
    assert one(push, "1-0:31.7.0").value == Decimal("-0.4")


def test_lithuania_has_its_own_zone() -> None:
    push = interpret(text(p1_texts.LITHUANIA))
    assert push.layout == "P1 Lithuania"
    assert push.time == datetime(2025, 8, 8, 8, 38, 11, tzinfo=UTC)
    assert (one(push, "1-0:32.7.0").value, one(push, "1-0:32.7.0").unit) == (Decimal("0.242"), "kV")
    assert one(push, "1-0:14.7.0").unit == "kHz"


def test_hungary() -> None:
    push = interpret(text(p1_texts.HUNGARY))
    assert push.layout == "P1 Hungary"
    assert push.meter_id == "AUX1030300000001"
    assert one(push, "0-0:96.1.0").value == "9900000001"  # digits that are no hexadecimal text
    assert one(push, "0-0:96.50.68").value == "ON"
    assert one(push, "1-0:13.7.0").value == Decimal("0.336")
    month = at(push, "0-0:98.1.0")
    assert [(reading.value, reading.unit) for reading in month] == [
        (Decimal("663.924"), "kWh"),
        (Decimal("400.100"), "kWh"),
        (Decimal("0.123"), "kW"),
    ]
    assert {reading.time for reading in month} == {datetime(2025, 8, 1, tzinfo=CEST)}


def test_switzerland() -> None:
    push = interpret(text(p1_texts.SWITZERLAND))
    assert push.layout == "P1 Switzerland"
    assert push.meter_id == "578037"
    assert one(push, "1-1:1.8.1").value == Decimal("25.600")


def test_austria() -> None:
    lines = "/EST5\\253EXAMPLE\n\n0-0:1.0.0(250524094210S)\n1-0:1.8.0(000424.413*kWh)"
    push = interpret(text(lines))
    assert push.layout == "P1 Austria"
    assert [reading.value for reading in push.readings if reading.unit == "kWh"] == [Decimal("424.413")]


def test_german_data_block_without_check_sum() -> None:
    octets = text(p1_texts.GERMANY, checksum=False)
    push = interpret(octets + b"  25803103\r\n\xff\xff\r\n")  # a gateway appends lines of its own
    assert push.meter_id == "1300000001"
    assert one(push, "1-0:1.8.0").value == Decimal("32549.5061662")
    assert one(push, "1-0:1.7.0").unit == "W"


class TestTimes:
    zone = zone_of("XXX")

    @pytest.mark.parametrize(
        ("written", "moment"),
        [
            ("251026023000S", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
            ("251026023000W", datetime(2025, 10, 26, 1, 30, tzinfo=UTC)),
            ("250701120000W", datetime(2025, 7, 1, 11, tzinfo=UTC)),
            ("250101120000S", datetime(2025, 1, 1, 10, tzinfo=UTC)),
            ("700101010000W", datetime(1970, 1, 1, tzinfo=UTC)),
            ("250701120000", datetime(2025, 7, 1, 10, tzinfo=UTC)),
        ],
    )
    def test_moment(self, written: str, moment: datetime) -> None:
        found = read_time(written, self.zone)
        assert found is not None
        assert found.astimezone(UTC) == moment

    @pytest.mark.parametrize("written", ["632525252525S", "250229000000W", "000000000000W", "999999999999"])
    def test_no_date(self, written: str) -> None:
        assert read_time(written, self.zone) is None

    def test_zone_is_an_argument(self) -> None:
        push = interpret(text(p1_texts.DSMR_5), zone=zone_of("ESO"))
        assert push.time == datetime(2025, 6, 15, 11, 30, 7, tzinfo=UTC)


class TestOddLines:
    @pytest.mark.parametrize(
        ("line", "name", "value"),
        [
            ("9.9.9(abc)", "9.9.9", "abc"),
            ("C.1.0(54800102)", "C.1.0", Decimal(54800102)),
            ("1-0:1.8.0(NaN*kWh)", None, "NaN*kWh"),
            ("1-0:1.8.0(1_0*kWh)", None, "1_0*kWh"),
            ("1-0:1.8.0", None, "1-0:1.8.0"),
            ("1-0:1.8.0(1", None, "(1"),
            ("999-0:1.8.0(1)", "999-0:1.8.0", Decimal(1)),
            ("no brackets at all", "no brackets at all", "no brackets at all"),
            ("1-0:1.8.0()", None, None),
            ("1-0:1.8.0(*kWh)", None, None),
            ("0-0:96.13.0(4)", None, "4"),
            ("0-0:96.13.0(C3A9)", None, "é"),
            ("0-0:96.13.0(E9)", None, "é"),
            ("0-0:96.13.0(0001)", None, "0001"),
        ],
    )
    def test_kept_as_it_is(self, line: str, name: str | None, value: object) -> None:
        push = interpret(text(f"/X\n\n1-0:2.8.0(1*kWh)\n{line}"))
        reading = push.readings[-1]
        assert reading.value == value
        assert name is None or reading.name == name
        assert len(push.readings) == 3

    def test_device_that_has_never_been_heard(self) -> None:
        push = interpret(text("/X\n\n0-1:24.2.1(632525252525S)(00000.000)\n0-2:24.2.1(250101120000W)()"))
        first, second = push.readings[1:]
        assert (first.value, first.time, first.device) == (Decimal(0), None, 1)
        assert (second.value, second.time) == (None, datetime(2025, 1, 1, 12, tzinfo=CET))

    def test_log_that_contradicts_itself(self) -> None:
        push = interpret(text("/X\n\n1-0:99.97.0(5)(0-0:96.7.19)(250101120000W)(0000000240*s)(250101120000W)"))
        assert [reading.value for reading in at(push, "1-0:99.97.0")] == [Decimal(5), Decimal(240)]
        assert push.notes == ("1-0:99.97.0*255 says 5 entries and has 3 values of 2 each",)

    @pytest.mark.parametrize("value", ["", "0)(0-0:96.7.19", "0"])
    def test_empty_log(self, value: str) -> None:
        push = interpret(text(f"/X\n\n1-0:99.97.0({value})"))
        assert [reading.value for reading in at(push, "1-0:99.97.0")] in ([None], [Decimal(0)])
        assert push.notes == ()

    def test_too_many_values(self) -> None:
        push = interpret(text("/X\n\n" + "1-0:1.8.0(1)\n" * 4200, checksum=False))
        assert len(push.readings) < 4200
        assert "the rest is left out" in push.notes[0]


class TestRefusals:
    octets = text(p1_texts.DSMR_5)

    def diagnose(self, octets: bytes) -> Diagnosis:
        with pytest.raises(P1Error) as caught:
            interpret(octets)
        assert isinstance(caught.value, DecodeError)
        return caught.value.diagnosis

    def test_every_changed_octet_is_noticed(self) -> None:
        end = self.octets.index(b"!")
        for place in range(1, end):
            changed = bytearray(self.octets)
            changed[place] ^= 0x01
            if changed[place] in b"\r\n" or self.octets[place] in b"\r\n":
                continue  # line ends may be mended
            assert self.diagnose(bytes(changed)) is Diagnosis.DAMAGED

    def test_lost_octets(self) -> None:
        assert self.diagnose(self.octets[:100] + self.octets[101:]) is Diagnosis.DAMAGED
        assert self.diagnose(self.octets[: self.octets.index(b"!")]) is Diagnosis.TRUNCATED
        assert self.diagnose(self.octets[:-4]) is Diagnosis.DAMAGED
        assert self.diagnose(self.octets.replace(b"!", b"!Z")) is Diagnosis.DAMAGED

    @pytest.mark.parametrize(
        "octets", [b"", b"\r\n", b"hello", b"ISK5\r\n\r\n!\r\n", b"/\r\n\r\n!\r\n", b"/X" + b"0" * 70_000]
    )
    def test_no_text(self, octets: bytes) -> None:
        assert self.diagnose(octets) is Diagnosis.NOT_UNDERSTOOD

    @given(st.binary(max_size=200))
    def test_anything(self, noise: bytes) -> None:
        for octets in (noise, b"/X\r\n" + noise + b"\r\n!\r\n", b"/X\r\n0-0:98.1.0(" + noise + b")\r\n!\r\n"):
            with contextlib.suppress(P1Error):
                interpret(octets)

    @given(st.text(alphabet="0123456789()*-:.SW!/\r\n", max_size=120))
    def test_anything_that_looks_like_a_text(self, noise: str) -> None:
        with contextlib.suppress(P1Error):
            interpret(b"/X\r\n0-1:24.3.0(120517020000)(08)(" + noise.encode() + b"\r\n!\r\n")


class TestTolerances:
    octets = text(p1_texts.DSMR_5)

    @pytest.mark.parametrize("end", [b"\n", b"\r"])
    def test_line_ends(self, end: bytes, caplog: pytest.LogCaptureFixture) -> None:
        changed = self.octets.replace(b"\r\n", end)
        with caplog.at_level(logging.INFO, "cosemic.tolerance"):
            push = interpret(changed)
        assert push.readings == interpret(self.octets).readings
        assert "TEXT_LINE_ENDS" in caplog.text
        assert len(push.notes) == 1
        with pytest.raises(P1Error):
            interpret(changed, tolerances=STRICT)

    def test_parity(self, caplog: pytest.LogCaptureFixture) -> None:
        plain = text(p1_texts.DSMR_2, checksum=False)
        with_parity = bytes(octet | (octet.bit_count() & 1) << 7 for octet in plain)
        with caplog.at_level(logging.INFO, "cosemic.tolerance"):
            push = interpret(with_parity)
        assert push.readings == interpret(plain).readings
        assert push.notes == ("the line is 7E1 and was read as 8N1",)
        assert "TEXT_PARITY" in caplog.text
        with pytest.raises(P1Error):
            interpret(with_parity, tolerances=STRICT)

    def test_check_sum_without_its_zeros(self) -> None:
        for number in range(200):
            octets = text(f"/X\n\n1-0:1.8.0({number}*kWh)")
            if octets[-6:-5] == b"0":
                break
        short = octets[:-6] + octets[-6:].lstrip(b"0")
        assert interpret(short).readings == interpret(octets).readings
        with pytest.raises(P1Error):
            interpret(short, tolerances=STRICT)

    def test_small_letters(self) -> None:
        head, _, last = self.octets.partition(b"!")
        assert interpret(head + b"!" + last.lower(), tolerances=STRICT).layout == "P1 DSMR 5"

    def test_letters_of_eight_bits_are_no_parity(self) -> None:
        push = interpret(text("/X\n\n0-0:96.13.0(é)"), tolerances=DEFAULT)
        assert push.readings[-1].value == "é"


def test_every_text_keeps_its_lines() -> None:
    """No line of any of the texts is lost, and readings come in the order of the lines."""
    for name in ("DSMR_5", "BELGIUM", "LUXEMBOURG", "SWEDEN", "LITHUANIA", "HUNGARY", "SWITZERLAND"):
        lines = getattr(p1_texts, name).strip().split("\n")[2:]
        push = interpret(text(getattr(p1_texts, name)))
        codes = [str(reading.obis).removesuffix("*255") for reading in push.readings[1:]]
        assert list(dict.fromkeys(codes)) == [line.partition("(")[0] for line in lines]
        assert all(codes.index(one) <= codes.index(two) for one, two in pairwise(dict.fromkeys(codes)))


@pytest.mark.parametrize(
    "filling",
    [b" ", b"\n", b"\n(", b"\n!", b"(", b")(", b"1", b"0-0:1.0.0(", b"\n1-0:1.8.0(1)", b"\n(1)(", b"\n! \x00", b"9)(9"],
)
def test_long_texts_of_one_thing(filling: bytes) -> None:
    """Whatever a text repeats, it takes no longer than its length asks for (a square of it would not end)."""
    octets = b"/XXX5\r\n\r\n0-1:24.1.0(" + filling * (60_000 // len(filling)) + b"x\r\n!\r\n"
    with contextlib.suppress(P1Error):
        assert len(interpret(octets).readings) <= 4200


def test_codes_of_strangers_are_not_kept() -> None:
    before = len(KNOWN)
    interpret(text("/XXX5\n\n" + "\n".join(f"{number}{'x' * 40}(1)" for number in range(100))))
    assert len(KNOWN) == before
