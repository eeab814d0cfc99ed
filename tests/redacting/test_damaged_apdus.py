"""Serial numbers in APDUs of which some octets are wrong: what cannot be understood is masked, not passed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cosemic.explain import explain_chunks
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import HdlcFrame
from cosemic.redacting import redact
from tests.redacting.support import SALT, joined
from tests.redacting.test_planted import chunks, frames, push

IDENTITY = "73915824"


@pytest.mark.parametrize(
    "apdu",
    [
        "0f00000001" + "20" + "0106020209060000600100ff0908" + IDENTITY.encode().hex() + "0202090600",
        "0f00000001" + "0c" + "4b464d33" + IDENTITY.encode().hex() + "0203060000000106000000020600000003",
        "0f00000001" + "00" + "0202" + "19" + "0837" + IDENTITY.encode().hex() + "3334" + "0600000001",
        "c201" + "09" + IDENTITY.encode().hex() + "30" + "00010000600100ff020600000007",
    ],
)
def test_what_stands_where_a_time_should(apdu: str) -> None:
    given_chunks = chunks(frames(bytes.fromhex(apdu), "wrapper"))
    assert IDENTITY.encode() in joined(given_chunks)
    assert IDENTITY.encode() not in joined(redact(given_chunks, salt=SALT).chunks)


@settings(max_examples=300)
@given(
    st.sampled_from(["pairs", "flat", "list", "quads"]),
    st.sampled_from(["wrapper", "mbus", "gbt", "hdlc", "bare"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
def test_wrong_octets(shape: str, framing: str, wrong: list[tuple[int, int]]) -> None:
    apdu = bytearray(push(IDENTITY, f"KFM{IDENTITY}", [(1, 2)], shape))
    for place, octet in wrong:
        apdu[place % len(apdu)] = octet
    given_chunks = chunks(frames(bytes(apdu), framing))
    assume(IDENTITY.encode() in joined(given_chunks))
    assert IDENTITY.encode() not in joined(redact(given_chunks, salt=SALT).chunks)


@pytest.mark.parametrize(
    "apdu",
    [
        "6129a109060760857405080101a214SECRETa305a103020100be10040e0800065f1f040062fe1f00800007",
        "6129a109060760857405080101a203020100a314SECRET05a103020100be10040e0800065f1f040062fe1f00800007",
    ],
)
def test_fields_of_a_login_that_are_too_long(apdu: str) -> None:
    octets = bytes.fromhex(apdu.replace("SECRET", IDENTITY.encode().hex() + "20" * 12))
    given_chunks = chunks(frames(octets, "wrapper"))
    assert IDENTITY.encode() in joined(given_chunks)
    assert IDENTITY.encode() not in joined(redact(given_chunks, salt=SALT).chunks)


def test_a_number_of_who_calls() -> None:
    number = int(IDENTITY).to_bytes(4)
    inside = bytes.fromhex("a109060760857405080101") + b"\xa8\x06\x02\x04" + number
    inside += bytes.fromhex("be10040e01000000065f1f0400007e1fffff")
    given_chunks = chunks(frames(b"\x60" + bytes((len(inside),)) + inside, "wrapper"))
    assert explain_chunks(given_chunks).ok
    result = redact(given_chunks, salt=SALT).chunks
    assert number not in joined(result)
    assert explain_chunks(result).ok


@pytest.mark.parametrize("control", [0x93, 0x73, 0x97])
def test_data_of_users_in_the_frames_of_a_link(control: int) -> None:
    parameters = bytes.fromhex("8180140502008006020080070400000001080400000001")
    frame = HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), control, parameters + b"\xf0\x08" + IDENTITY.encode())
    (chunk,) = redact(chunks([frame.encode()]), salt=SALT).chunks
    assert IDENTITY.encode() not in chunk.octets
    if control != 0x97:
        assert HdlcFrame.decode(chunk.octets).information[: len(parameters)] == parameters
