"""Negotiation of lengths and windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.errors import FrameError
from cosemic.link.parameters import HdlcParameters, decode_fields

lengths = st.integers(1, 2035)
windows = st.integers(1, 7)
parameters = st.builds(HdlcParameters, lengths, lengths, windows, windows)


def test_encoding():
    assert HdlcParameters().encode().hex() == "818012050180060180070400000001080400000001"
    big = HdlcParameters(2030, 2030, 7, 7)
    assert big.encode().hex() == "818014050207ee060207ee070400000007080400000007"


@given(parameters)
def test_round_trip(value):
    assert HdlcParameters.decode(value.encode()) == value


@given(parameters, parameters)
def test_both_sides_agree(ours, theirs):
    mine, yours = ours.negotiate(theirs), theirs.negotiate(ours)
    assert mine.max_information_transmit == yours.max_information_receive
    assert mine.window_transmit == yours.window_receive
    assert mine.max_information_receive == yours.max_information_transmit
    # the client learns the result from the UA, which carries the negotiated values
    assert ours.negotiate(yours) == mine


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_values_of_any_size(size):
    octets = b"\x81\x80" + bytes((2 * (size + 2),))
    octets += bytes((5, size)) + (200).to_bytes(size, "big") + bytes((7, size)) + (3).to_bytes(size, "big")
    assert HdlcParameters.decode(octets) == HdlcParameters(200, 128, 3, 1)


def test_odd_contents():
    assert HdlcParameters.decode(b"") == HdlcParameters()
    assert HdlcParameters.decode(bytes.fromhex("818000")) == HdlcParameters()
    assert HdlcParameters.decode(bytes.fromhex("818003ff01aa")) == HdlcParameters()
    assert HdlcParameters.decode(bytes.fromhex("8180080502ffff080200ff")) == HdlcParameters(2035, 128, 1, 7)
    assert HdlcParameters.decode(bytes.fromhex("818006050100070100")) == HdlcParameters(1, 128, 1, 1)
    assert HdlcParameters.decode(bytes.fromhex("8180020500")).max_information_transmit == 1


@pytest.mark.parametrize(
    "octets", ["81", "8180", "808003050180", "818103050180", "818004050180", "818001050180", "818003050280"]
)
def test_damaged(octets):
    with pytest.raises(FrameError):
        HdlcParameters.decode(bytes.fromhex(octets))


@given(st.binary(max_size=30))
def test_frame_error_only(octets):
    for candidate in (octets, b"\x81\x80" + octets):
        try:
            assert all(0 <= identifier <= 255 for identifier, _ in decode_fields(candidate))
            HdlcParameters.decode(candidate)
        except FrameError:
            pass


@pytest.mark.parametrize("arguments", [(0,), (2036,), (128, 0), (128, 128, 0), (128, 128, 8), (128, 128, 1, 0)])
def test_bad_settings(arguments):
    with pytest.raises(ValueError, match="must be"):
        HdlcParameters(*arguments)
