"""What is judged of a line: every way to listen wrongly, made by a UART that is modelled bit by bit."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import HdlcFrame
from cosemic.link.mbus import MbusFrame
from cosemic.link.signon_messages import LineSettings
from cosemic.link.wrapper import WrapperPdu
from cosemic.push.sniffing.inverted import turn_round
from cosemic.push.sniffing.judging import MAX_OCTETS, Sound, Verdict, is_proven, judge
from cosemic.push.sniffing.statistics import measure
from tests.push import p1_texts
from tests.push.uart import Setting, receive, send
from tests.vectors.collection import REASON, load

NOTIFICATION = bytes.fromhex("0f40000000090c07e9060f070e1e07ff800080020309060100010800ff0600bc614e12ffff")
PROTECTED = (
    bytes.fromhex("db08") + b"ABC\x00\x01\x02\x03\x04" + bytes([40, 0x30, 0, 0, 0, 9]) + random.Random(1).randbytes(35)
)
P1 = p1_texts.text(p1_texts.DSMR_5)
P1_SEVEN_BITS = p1_texts.text(p1_texts.DSMR_2, checksum=False)
READOUT = b"\x02F.F(00000000)\r\n0.0.0(12345678)\r\n1.8.0(0302.8260*kWh)\r\n1.8.1*12(0075.5341*kWh)\r\n!\r\n\x03\x21"

M2400 = Setting(2400, 8, "E")
ALL = [
    M2400,
    Setting(2400),
    Setting(9600),
    Setting(9600, 8, "E"),
    Setting(9600, 7, "E"),
    Setting(38400),
    Setting(115200),
]


def hdlc(apdu: bytes) -> bytes:
    information = b"\xe6\xe7\x00" + apdu
    return HdlcFrame(HdlcAddress(1), HdlcAddress(1), 0x13, information).encode()


def mbus(apdu: bytes) -> bytes:
    return MbusFrame(0x53, 0xFF, 0x10, b"\x01\x67" + apdu).encode()


def hear(burst: bytes, sender: Setting, receiver: Setting, *, inverted: bool = False, at_once: bool = False) -> Verdict:
    line = send([burst] * 3, sender, inverted=inverted)
    octets = receive(line, receiver, resyncs_at_once=at_once)
    return judge(octets, 10.0, LineSettings(receiver.baud, receiver.data_bits, receiver.parity))


@pytest.mark.parametrize("setting", ALL, ids=str)
@pytest.mark.parametrize("at_once", [False, True])
def test_model_delivers_what_was_sent(setting: Setting, at_once: bool) -> None:
    octets = bytes(range(256)) if setting.data_bits == 8 else bytes(range(128))
    assert receive(send([octets, octets], setting), setting, resyncs_at_once=at_once) == octets * 2


class TestRightSettings:
    @pytest.mark.parametrize(
        ("burst", "sound", "is_protected"),
        [
            (hdlc(NOTIFICATION), Sound.HDLC, False),
            (hdlc(PROTECTED), Sound.HDLC, True),
            (mbus(NOTIFICATION), Sound.MBUS, False),
            (mbus(PROTECTED), Sound.MBUS, True),
            (P1, Sound.P1, False),
            (WrapperPdu(1, 1, NOTIFICATION).encode(), Sound.WRAPPER, False),
            (WrapperPdu(1, 1, PROTECTED).encode(), Sound.WRAPPER, True),
        ],
    )
    @pytest.mark.parametrize("setting", [M2400, Setting(115200)], ids=str)
    def test_proven(self, burst: bytes, sound: Sound, is_protected: bool, setting: Setting) -> None:
        verdict = hear(burst, setting, setting)
        assert (verdict.sound, verdict.is_sure, verdict.is_protected) == (sound, True, is_protected)
        assert verdict.text.startswith("3 ")
        assert ("key is needed" in verdict.text) is is_protected
        assert is_proven(burst)

    def test_p1_names_its_country(self) -> None:
        assert "P1 DSMR 5" in hear(P1, Setting(115200), Setting(115200)).text

    @pytest.mark.parametrize(("burst", "sound"), [(NOTIFICATION, Sound.APDU), (READOUT, Sound.READOUT)])
    def test_likely(self, burst: bytes, sound: Sound) -> None:
        verdict = hear(burst, Setting(9600), Setting(9600))
        assert verdict.sound is sound
        assert 60 <= verdict.score < 100
        assert not is_proven(burst)

    def test_seven_bits(self) -> None:
        verdict = hear(P1_SEVEN_BITS, Setting(9600, 7, "E"), Setting(9600, 7, "E"))
        assert (verdict.sound, verdict.is_sure, verdict.advised) == (Sound.P1, True, None)

    def test_octets_get_lost(self) -> None:
        frame = hdlc(NOTIFICATION)
        verdict = judge((frame[:-8] + frame[-4:]) * 5, 10.0)
        assert verdict.sound is Sound.DAMAGED
        assert "octets get lost" in verdict.text
        broken = judge(P1.replace(b"kWh", b"kW", 1) * 2, 10.0)
        assert (broken.sound, broken.score) == (Sound.P1, 80)
        assert "check sum does not hold" in broken.text

    def test_another_application_on_an_mbus(self) -> None:
        verdict = judge(MbusFrame(0x08, 1, 0x72, bytes(20)).encode(), 10.0)
        assert (verdict.sound, verdict.counts.foreign_mbus) == (Sound.MBUS, 1)
        assert "something else than DLMS" in verdict.text

    def test_a_frame_among_much_noise_is_not_sure(self) -> None:
        verdict = judge(mbus(b"\x0f" * 9) + random.Random(2).randbytes(400), 10.0)
        assert (verdict.sound, verdict.score) == (Sound.MBUS, 85)
        assert "belong to none" in verdict.text


class TestWrongSettings:
    @pytest.mark.parametrize("sender", [M2400, Setting(9600), Setting(115200)], ids=str)
    @pytest.mark.parametrize("receiver", ALL, ids=str)
    @pytest.mark.parametrize("inverted", [False, True])
    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize(
        "burst", [hdlc(NOTIFICATION), hdlc(PROTECTED), mbus(PROTECTED), P1], ids=["h", "hp", "m", "p1"]
    )
    def test_nothing_is_sure_but_what_is_right(
        self, sender: Setting, receiver: Setting, inverted: bool, at_once: bool, burst: bytes
    ) -> None:
        verdict = hear(burst, sender, receiver, inverted=inverted, at_once=at_once)
        if verdict.is_sure:
            assert not inverted
            assert sender.baud == receiver.baud
            assert receiver.data_bits == 8 or burst is P1
            assert verdict.advised is None

    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize(
        ("sender", "receiver"), [(M2400, Setting(9600)), (Setting(9600), Setting(38400)), (M2400, Setting(115200))]
    )
    @pytest.mark.parametrize("burst", [hdlc(PROTECTED), mbus(PROTECTED), P1])
    @pytest.mark.parametrize("inverted", [False, True])
    def test_slower_line(self, burst: bytes, sender: Setting, receiver: Setting, at_once: bool, inverted: bool) -> None:
        verdict = hear(burst, sender, receiver, at_once=at_once, inverted=inverted)
        assert verdict.sound is Sound.WRONG_SPEED
        assert f"slower than {receiver.baud} baud" in verdict.text
        assert verdict.statistics.slower_by >= 3

    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize(
        "burst", [P1, *(p1_texts.text(t) for t in (p1_texts.BELGIUM, p1_texts.SWEDEN, p1_texts.HUNGARY))]
    )
    def test_inverted_p1(self, burst: bytes, at_once: bool) -> None:
        verdict = hear(burst, Setting(115200), Setting(115200), inverted=True, at_once=at_once)
        assert verdict.sound is Sound.INVERTED
        assert "inverting adapter" in verdict.text

    @pytest.mark.parametrize("at_once", [False, True])
    def test_inverted_seven_bits(self, at_once: bool) -> None:
        verdict = hear(P1_SEVEN_BITS, Setting(9600, 7, "E"), Setting(9600), inverted=True, at_once=at_once)
        assert verdict.sound is Sound.INVERTED

    @pytest.mark.parametrize("parity", ["E", "O"])
    @pytest.mark.parametrize("at_once", [False, True])
    def test_seven_bits_received_as_eight(self, parity: str, at_once: bool) -> None:
        verdict = hear(P1_SEVEN_BITS, Setting(9600, 7, parity), Setting(9600), at_once=at_once)
        assert verdict.advised == LineSettings(9600, 7, parity)
        assert f"the line is 7{parity}1" in verdict.text
        if parity == "E":
            assert (verdict.sound, verdict.is_sure) == (Sound.P1, True)

    def test_parity_of_what_is_no_text(self) -> None:
        octets = bytes(value | (value.bit_count() & 1) << 7 for value in random.Random(3).choices(range(128), k=200))
        verdict = judge(octets, 10.0, LineSettings(9600, 8, "N"))
        assert (verdict.sound, verdict.advised) == (Sound.WRONG_PARITY, LineSettings(9600, 7, "E"))

    def test_parity_that_is_ignored_by_the_receiver(self) -> None:
        """8E1 received as 8N1 is read well where the UART waits for the line to rest."""
        assert hear(hdlc(NOTIFICATION), M2400, Setting(2400)).sound is Sound.HDLC
        assert hear(hdlc(PROTECTED), M2400, Setting(2400), at_once=True).sound is not Sound.HDLC


class TestNothingToRead:
    def test_silence(self) -> None:
        verdict = judge(b"", 12.0)
        assert (verdict.sound, verdict.score, verdict.text) == (Sound.SILENCE, 0, "nothing at all in 12 s")

    def test_few_octets(self) -> None:
        assert "listen longer" in judge(b"\x12\x55\xa3", 12.0).text

    def test_held_low(self) -> None:
        assert "held low" in judge(b"\x00", 12.0).text

    @pytest.mark.parametrize("seed", range(20))
    def test_noise(self, seed: int) -> None:
        verdict = judge(random.Random(seed).randbytes(1000), 10.0, LineSettings(9600, 8, "N"))
        assert verdict.sound in (Sound.NOISE, Sound.APDU)
        assert verdict.score <= 75

    @given(st.binary(max_size=400))
    def test_anything(self, octets: bytes) -> None:
        verdict = judge(octets, 1.0)
        assert verdict.text
        assert 0 <= verdict.score <= 100

    def test_bounded(self) -> None:
        verdict = judge(b"/" * 10 * MAX_OCTETS, 1.0)
        assert verdict.octets == 10 * MAX_OCTETS
        assert judge(b"\x7e\xa7\xff" * MAX_OCTETS, 1.0).sound is not Sound.HDLC


class TestTurningRound:
    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize("skipped", [0, 1, 57, 200])
    def test_text_comes_back(self, at_once: bool, skipped: int) -> None:
        heard = receive(send([P1], Setting(115200), inverted=True), Setting(115200), resyncs_at_once=at_once)
        text = turn_round(heard[skipped:])
        lines = [line for line in P1.split(b"\r\n") if line in text.split(b"\r\n")]
        assert len(lines) > 5

    def test_text_that_is_not_inverted_makes_no_sense(self) -> None:
        assert b"1-0:1.8.1(" not in turn_round(P1)


def test_statistics_of_nothing() -> None:
    assert measure(b"").slower_by == 1
    assert not measure(b"").has_even_parity


@pytest.mark.skipif(not load("pushes"), reason=REASON)
@pytest.mark.parametrize(
    "case",
    [case for case in load("pushes") if case["kind"] in ("push-hdlc", "push-mbus")],
    ids=lambda case: str(case["name"]),
)
def test_captures(case: dict[str, object]) -> None:
    """Each capture is recognised at its settings, also by what its beginning is lost, and never surely at others."""
    octets = bytes.fromhex(str(case["bytes"]))
    sound = Sound.HDLC if case["kind"] == "push-hdlc" else Sound.MBUS
    for receiver in ALL:
        for at_once in (False, True):
            verdict = hear(octets, M2400, receiver, at_once=at_once)
            if receiver == M2400:
                assert (verdict.sound, verdict.is_sure) == (sound, True)
            elif receiver.baud != 2400:
                assert not verdict.is_sure
    assert judge(octets[len(octets) // 2 :] + octets, 10.0).sound is sound
