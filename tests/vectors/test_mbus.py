"""Pushes of M-Bus customer interfaces, as meters sent them."""

from __future__ import annotations

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.link.events import FrameDropped
from cosemic.link.mbus import MbusApdu, MbusFrame, MbusReader, SegmentCollector
from cosemic.link.mbus_link import MbusLink
from cosemic.tolerances import DEFAULT
from tests.vectors.collection import REASON, load

PUSHES = [case for case in load("pushes") if case["kind"] == "push-mbus"]
OVERFLOWS = [case for case in load("issue-captures") if case["kind"] == "mbus-quirk"]
CASES = [pytest.param(case, id=case["name"]) for case in [*PUSHES, *OVERFLOWS]]
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


def _octets(case) -> bytes:
    return bytes.fromhex(case["bytes"])


def _apdu(case) -> str:
    """The whole APDU, as the collection has it."""
    expected = case["expected"]
    if "apdu_hex" in expected:
        return expected["apdu_hex"]
    apdu = expected["apdu"]
    frame = bytes.fromhex(case["bytes"])
    start = frame.index(bytes.fromhex("db08" + apdu["system_title"]))
    header = frame[start : frame.index(bytes.fromhex(apdu["ciphertext"])[:8], start)]
    return header.hex() + apdu["ciphertext"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_frames_and_apdu(case, size):
    octets = _octets(case)
    reader = MbusReader()
    frames = []
    for start in range(0, len(octets), size):
        frames += reader.feed(octets[start : start + size])
    assert all(isinstance(frame, MbusFrame) for frame in frames)
    collector = SegmentCollector(tolerances=DEFAULT)
    results = [collector.add(frame) for frame in frames]
    assert results[:-1] == [None] * (len(frames) - 1)
    assert isinstance(results[-1], MbusApdu)
    assert (results[-1].source, results[-1].destination) == (1, 103)
    assert results[-1].apdu.hex() == _apdu(case)
    decode_apdu(results[-1].apdu)


@pytest.mark.parametrize("case", CASES[: len(PUSHES)])
def test_frame_fields(case):
    frames = MbusReader().feed(_octets(case))
    for frame, expected in zip(frames, case["expected"]["mbus_frames"], strict=True):
        assert isinstance(frame, MbusFrame)
        assert f"{frame.control:02x}{frame.address:02x}{frame.ci:02x}" == "{c}{a}{ci}".format(**expected)
        assert (frame.source, frame.destination) == (expected["stsap"], expected["dtsap"])
        assert len(frame.data) - 2 == expected["payload_octets"]


@pytest.mark.parametrize("case", CASES)
def test_garbage_before_and_behind(case):
    octets = _octets(case)
    found = MbusReader().feed(b"\x00\x68\x16" + octets + b"\x00" * 3 + octets)
    frames = [item for item in found if isinstance(item, MbusFrame)]
    assert len(frames) == 2 * len(MbusReader().feed(octets))
    assert sum(len(item.octets) for item in found if isinstance(item, FrameDropped)) == 6


@pytest.mark.parametrize("case", CASES)
def test_the_link_of_a_client_takes_them_as_pushes(case):
    link = MbusLink(address=1, source=16, destination=1)
    link.connect(0.0)
    link.receive_data(b"\xe5" + _octets(case), 0.1)
    _, pushed = link.events()
    assert pushed.apdu.hex() == _apdu(case)
