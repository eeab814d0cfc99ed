"""Serial numbers in APDUs of which some octets are wrong: what cannot be understood is masked, not passed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

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
