"""Bad input by name, as a whole client meets it: one clear error of the tree, nothing lost, nothing hanging.

What the layers do with each alone is tested beside them; here it is the session that counts: what the caller is told,
and whether the association can go on.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.apdu.base import decode_apdu, encode_apdu
from cosemic.apdu.services import ConfirmedServiceError
from cosemic.codec import axdr
from cosemic.enums import AuthenticationMechanism, DataAccessResult
from cosemic.errors import (
    AssociationRefused,
    AuthenticationError,
    DecodeError,
    DlmsError,
    FrameError,
    LinkLost,
    LinkTimeout,
    ReplayError,
    SecurityError,
    SequenceError,
)
from cosemic.link.frames import HdlcFrame
from cosemic.link.wrapper import WrapperPdu
from cosemic.protocol.events import Associated, Completed, Failed
from cosemic.protocol.states import State
from tests.pair.support import (
    CLIENT_TITLE,
    ENERGY,
    METER_TITLE,
    PROFILE,
    Pair,
    client_settings,
    get,
    security,
    server_settings,
)

NONE, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.HLS_GMAC
GET = get((3, ENERGY, 2))

Change = Callable[[bytes], bytes]


class Forged(Pair):
    """A pair in which ``change`` is applied once to what the meter sends: over HDLC to frames, else to APDUs."""

    change: Change | None = None
    is_silent = False

    def _to_server(self) -> bool:
        return bool(self.client.data_to_send()) if self.is_silent else super()._to_server()

    def _to_client(self) -> bool:
        data = self.server.data_to_send()
        if data and self.change is not None:
            change, self.change = self.change, None
            if data[:1] == b"\x7e":
                data = change(data)
            else:
                pdu = WrapperPdu.decode(data)
                data = WrapperPdu(pdu.source, pdu.destination, change(pdu.apdu)).encode()
        if data:
            self.client.receive_data(data, self.now)
            self._collect()
        return bool(data)


def plain(kind: str = "wrapper") -> Forged:
    pair = Forged(client_settings(NONE, max_pdu_size=256), server_settings(NONE, max_pdu_size=256), kind)
    assert isinstance(pair.connect(), Associated)
    return pair


def ciphered() -> Forged:
    pair = Forged(client_settings(GMAC, security(CLIENT_TITLE)), server_settings(GMAC, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    return pair


def failure(pair: Pair, kind: type[DlmsError], *, fatal: bool, request: object = GET) -> str:
    outcome = pair.do(request)
    assert isinstance(outcome, Failed), outcome
    assert isinstance(outcome.error, kind), outcome.error
    assert outcome.fatal is fatal
    assert pair.client.state is (State.CLOSED if fatal else State.ASSOCIATED)
    assert pair.client.next_deadline() is None
    return str(outcome.error)


def flip(at: int) -> Change:
    def change(octets: bytes) -> bytes:
        damaged = bytearray(octets)
        damaged[at] ^= 0x10
        return bytes(damaged)

    return change


def put(at: int, octets: str) -> Change:
    return lambda frame: frame[:at] + bytes.fromhex(octets) + frame[at + len(octets) // 2 :]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(flip(-2), id="wrong FCS"),
        pytest.param(flip(-3), id="wrong FCS, first octet"),
        pytest.param(flip(7), id="wrong HCS"),
        pytest.param(put(1, "A7FF"), id="length field beyond the data"),
        pytest.param(put(1, "AFFF"), id="all eleven bits of the length set"),
        pytest.param(put(1, "F7FF"), id="length beyond eleven bits, another format"),
        pytest.param(put(1, "A000"), id="length of nothing"),
        pytest.param(lambda frame: b"", id="lost"),
        pytest.param(lambda frame: frame[:9], id="cut"),
        pytest.param(lambda frame: frame + frame, id="twice"),
        pytest.param(lambda frame: b"\x00garbage\x7e\x7e" + frame, id="garbage before it"),
        pytest.param(lambda frame: HdlcFrame.decode(frame).encode()[:-1] + b"\x00\x7e", id="an octet too many"),
    ],
)
def test_a_damaged_frame_costs_time_but_not_the_answer(change: Change) -> None:
    pair = plain("hdlc")
    pair.change = change
    outcome = pair.do(GET)
    assert not isinstance(outcome, Failed), outcome
    assert outcome.results[0].value == 12345
    assert pair.do(get((7, PROFILE, 2))).results[0].value == [(row, row * 7) for row in range(200)]


def with_control(control: int) -> Change:
    def change(octets: bytes) -> bytes:
        frame = HdlcFrame.decode(octets)
        return HdlcFrame(frame.destination, frame.source, control).encode()

    return change


@pytest.mark.parametrize("control", [0xFF, 0xEF, 0xDD, 0xBF])
def test_an_unknown_control_field_costs_time_but_not_the_answer(control: int) -> None:
    pair = plain("hdlc")
    pair.change = with_control(control)
    assert pair.do(GET).results[0].value == 12345


@pytest.mark.parametrize("control", [0x1F, 0x0F])
def test_a_meter_that_says_it_is_disconnected(control: int) -> None:
    pair = plain("hdlc")
    pair.change = with_control(control)
    assert "DM" in failure(pair, DlmsError, fatal=True)


def test_a_frame_reject_is_told_in_words() -> None:
    pair = plain("hdlc")

    def change(octets: bytes) -> bytes:
        frame = HdlcFrame.decode(octets)
        return HdlcFrame(frame.destination, frame.source, 0x97, bytes.fromhex("321001")).encode()

    pair.change = change
    assert "FRMR" in failure(pair, FrameError, fatal=True)


DEEP = b"\x02\x01" * 1000 + b"\x00"
BAD_VALUES = {
    "nesting 1,000 deep": DEEP,
    "an array of four billion elements": bytes.fromhex("0184FFFFFFFF00"),
    "a structure of four billion elements": bytes.fromhex("0284FFFFFFFF00"),
    "a compact-array of four billion elements": bytes.fromhex("13130184FFFFFFFF00"),
    "a string of four billion octets": bytes.fromhex("0984FFFFFFFF00"),
    "a length of a hundred octets": b"\x09\xe4" + b"\x01" * 100,
    "an unknown type": b"\x7b\x00",
    "a value cut short": bytes.fromhex("06000030"),
    "a value and more": bytes.fromhex("060000303900"),
    "no value": b"",
}


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in BAD_VALUES.items()])
@pytest.mark.parametrize("make", [plain, ciphered])
def test_a_bad_value_fails_its_request_alone(value: bytes, make: Callable[[], Forged]) -> None:
    pair = make()
    if make is plain:
        pair.change = lambda apdu: apdu[:4] + value
    else:
        # sealed by the meter itself: what its application says goes through unchanged
        pair.application.attributes[3, ENERGY, 2] = axdr.Data(value)
    text = failure(pair, DecodeError, fatal=False)
    assert len(text) < 1000
    pair.application.attributes[3, ENERGY, 2] = axdr.Data.of(axdr.unsigned(1))
    assert pair.do(GET).results[0].value == 1


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_truncated_answer(cut: int) -> None:
    pair = plain()
    pair.change = lambda apdu: apdu[:-cut]
    failure(pair, DecodeError, fatal=False)
    assert pair.do(GET).results[0].value == 12345


def test_unknown_numbers_are_kept_and_told() -> None:
    pair = plain()
    pair.change = lambda apdu: apdu[:3] + b"\x01\xc8"
    assert pair.do(GET).results == (200,)
    assert not isinstance(pair.do(GET).results[0], DataAccessResult | int)


def test_an_unknown_apdu_tag() -> None:
    pair = plain()
    pair.change = lambda apdu: b"\xf3" + apdu[1:]
    assert "F3" in failure(pair, DlmsError, fatal=True).upper()


def test_a_refusal_with_unknown_numbers() -> None:
    pair = plain()
    pair.change = lambda apdu: b"\xd8\x63\x64"
    text = failure(pair, DlmsError, fatal=False)
    assert "99" in text
    assert "100" in text
    pair.change = lambda apdu: encode_apdu(ConfirmedServiceError(77, 88, 99))
    text = failure(pair, DlmsError, fatal=False)
    assert "88" in text
    assert "99" in text


AARE = bytes.fromhex("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000301D00800007")


@pytest.mark.parametrize(
    ("aare", "kind", "words"),
    [
        pytest.param(
            bytes.fromhex("6117A109060760857405080101A203020101A305A10302010D"),
            AssociationRefused,
            "authentication-failure",
            id="rejected without user-information",
        ),
        pytest.param(b"\x61\x80" + AARE[2:] + b"\0\0", DecodeError, "indefinite", id="indefinite outer length"),
        pytest.param(AARE.replace(b"\xa1\x09\x06", b"\xa1\x80\x06"), DecodeError, "indefinite", id="indefinite inside"),
        pytest.param(AARE.replace(b"\xbe\x10", b"\xbe\x84\xff\xff\xff\xff"), DlmsError, "", id="four billion octets"),
        pytest.param(AARE[:20], DlmsError, "", id="truncated"),
        pytest.param(bytes.fromhex("0E010601"), DlmsError, "initiate", id="refused by confirmed-service-error"),
    ],
)
def test_an_opening_that_fails_leaves_a_closed_session(aare: bytes, kind: type, words: str) -> None:
    pair = Forged(client_settings(NONE), server_settings(NONE))
    pair.change = lambda apdu: aare
    event = pair.connect()
    assert isinstance(event, Failed), event
    assert isinstance(event.error, kind)
    assert words in str(event.error)
    assert event.fatal
    assert pair.client.state is State.CLOSED


@pytest.mark.parametrize("length", [0, 4, 8, 11, 13, 16])
def test_a_tag_of_another_length_is_refused(length: int) -> None:
    pair = ciphered()

    def change(apdu: bytes) -> bytes:
        sealed = decode_apdu(apdu)
        payload = (sealed.payload + bytes(16))[: len(sealed.payload) - 12 + length]
        content = bytes((sealed.security_control,)) + sealed.invocation_counter.to_bytes(4, "big") + payload
        return apdu[:1] + axdr.encode_length(len(content)) + content

    pair.change = change
    outcome = pair.do(GET)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, SecurityError | DecodeError)
    assert "12345" not in str(outcome.error)


@pytest.mark.parametrize("at", range(2, 7))
def test_another_security_control_or_counter_is_refused(at: int) -> None:
    pair = ciphered()
    pair.change = flip(at)
    failure(pair, SecurityError, fatal=True)


@pytest.mark.parametrize("back", [1, 2])
def test_equal_and_lower_counters_are_replays(back: int) -> None:
    pair = ciphered()
    answers: list[bytes] = []

    def keep(apdu: bytes) -> bytes:
        answers.append(apdu)
        return apdu

    for _ in range(back):
        pair.change = keep
        assert pair.do(GET).results[0].value == 12345
    pair.change = lambda apdu: answers[0]
    failure(pair, ReplayError, fatal=True)


def test_a_wrong_system_title_of_the_meter() -> None:
    pair = Forged(client_settings(GMAC, security(CLIENT_TITLE)), server_settings(GMAC, security(METER_TITLE)))
    pair.change = lambda apdu: apdu.replace(METER_TITLE, b"XXX\x00\x00\x00\x00\x09")
    event = pair.connect()
    assert isinstance(event, Failed)
    assert isinstance(event.error, AuthenticationError), event.error
    assert "system title" in str(event.error)


@pytest.mark.parametrize("number", [0, 2, 3, 0xFFFFFFFF])
def test_block_numbers_out_of_order(number: int) -> None:
    pair = plain()
    pair.change = lambda apdu: apdu[:4] + number.to_bytes(4, "big") + apdu[8:]
    text = failure(pair, SequenceError, fatal=True, request=get((7, PROFILE, 2)))
    assert "block" in text


def test_an_answer_to_another_invoke_id() -> None:
    pair = plain()
    pair.change = lambda apdu: apdu[:2] + bytes((apdu[2] ^ 0x05,)) + apdu[3:]
    assert "invoke" in failure(pair, SequenceError, fatal=True)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_a_meter_that_falls_silent(kind: str) -> None:
    pair = plain(kind)
    pair.is_silent = True
    text = failure(pair, LinkTimeout, fatal=True)
    assert "no octets" in text or "0 octets" in text or "nothing" in text
    assert pair.now < 60


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("kept", range(0, 16, 3))
def test_a_meter_that_closes_in_the_middle_of_an_answer(kind: str, kept: int) -> None:
    pair = plain(kind)
    pair.client.request(GET, pair.now)
    pair.server.receive_data(pair.client.data_to_send(), pair.now)
    pair._serve()
    pair.client.receive_data(pair.server.data_to_send()[:kept], pair.now)
    pair.client.end_of_stream(pair.now)
    (event,) = pair.client.events()
    assert isinstance(event, Failed)
    assert isinstance(event.error, LinkLost)
    assert event.fatal
    assert pair.client.next_deadline() is None


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_a_meter_that_answers_octet_by_octet_is_waited_for(kind: str) -> None:
    pair = plain(kind)
    pair.client.request(GET, pair.now)
    pair.server.receive_data(pair.client.data_to_send(), pair.now)
    pair._serve()
    for octet in pair.server.data_to_send():
        pair.now += 0.02
        pair.client.on_time(pair.now)
        pair.client.receive_data(bytes((octet,)), pair.now)
    (event,) = pair.client.events()
    assert isinstance(event, Completed)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["wrapper", "hdlc"]), st.lists(st.integers(1, 40), min_size=1, max_size=60), st.booleans())
def test_any_cut_of_the_stream_gives_the_same_answers(kind: str, sizes: list[int], secured: bool) -> None:
    def cut(data: bytes) -> list[bytes]:
        parts, place = [], 0
        for size in sizes * len(data):
            parts.append(data[place : place + size])
            place += size
            if place >= len(data):
                break
        return parts

    contexts = [security(title) if secured else None for title in (CLIENT_TITLE, METER_TITLE)]
    mechanism = GMAC if secured else NONE
    pair = Pair(client_settings(mechanism, contexts[0]), server_settings(mechanism, contexts[1]), kind, cut=cut)
    assert isinstance(pair.connect(), Associated)
    outcome = pair.do(get((3, ENERGY, 2), (7, PROFILE, 2), (3, ENERGY, 9)))
    assert [getattr(result, "value", result) for result in outcome.results] == [
        12345,
        [(row, row * 7) for row in range(200)],
        DataAccessResult.OBJECT_UNDEFINED,
    ]
