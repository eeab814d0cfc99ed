"""Pushes on a wire, against the captures of real meters: the same blocks, frames and segments around our octets."""

from __future__ import annotations

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.cosem.push_objects import TransportService
from cosemic.errors import LocalProtocolError
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.mbus import MbusApdu, MbusFrame, MbusReader, SegmentCollector
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.push_framing import PushFraming
from cosemic.protocol.general_blocks import UnacknowledgedBlocks
from tests.vectors.collection import REASON, load

CASES = {case["name"]: case for case in load("pushes")}
APDU = bytes(range(256)) * 3


def recorded(name):
    if name not in CASES:
        pytest.skip(REASON)
    case = CASES[name]
    return bytes.fromhex(case["bytes"]), case["expected"]


@pytest.mark.parametrize("name", ["austria-landis-gyr-e450-gbt-encrypted", "austria-lgz-e450-2-gbt-encrypted"])
def test_landis_gyr_sends_the_same_blocks_in_the_same_frames(name):
    octets, _ = recorded(name)
    frames = [item for item in FrameReader().feed(octets) if isinstance(item, HdlcFrame)]
    whole = b"".join(
        block.block_data for block in (_block(frame.information.removeprefix(b"\xe6\xe7\x00")) for frame in frames)
    )
    ours = PushFraming(
        max_pdu_size=len(frames[1].information),
        max_information=132,
        llc_once=True,
        client_address=HdlcAddress(103, 127),
        meter_address=HdlcAddress(1),
    )
    # The meter puts 3 octets less into its first block, as the LLC header is in the same frame: ours are all as long.
    first = _block(frames[0].information[3:]).block_data
    rebuilt = ours.frames(whole[len(first) :], TransportService.HDLC, 1, 103)
    assert len(rebuilt) == len(frames) - 1
    for theirs, mine in zip(frames[1:], rebuilt, strict=True):
        frame = HdlcFrame.decode(mine)
        assert (frame.destination, frame.source, frame.control) == (theirs.destination, theirs.source, theirs.control)
        wanted, got = _block(theirs.information), _block(frame.information.removeprefix(b"\xe6\xe7\x00"))
        assert (got.last_block, got.window, got.block_number_ack) == (wanted.last_block, 0, 0)
        assert got.streaming is wanted.streaming
        assert (got.block_number, got.block_data) == (wanted.block_number - 1, wanted.block_data)


def test_kaifa_on_mbus_sends_the_same_segments():
    octets, expected = recorded("netz-noe-kaifa-mbus-official-example")
    frames = PushFraming(mbus_segment=245).frames(bytes.fromhex(expected["apdu_hex"]), TransportService.M_BUS, 1, 103)
    assert b"".join(frames) == octets


def _block(octets):
    block = decode_apdu(octets)
    assert isinstance(block, GeneralBlockTransfer)
    return block


@pytest.mark.parametrize("service", [TransportService.TCP, TransportService.UDP])
def test_wrapper_pdus_name_device_and_client(service):
    frames = PushFraming(max_pdu_size=200).frames(APDU, service, 17, 102)
    blocks = UnacknowledgedBlocks(1 << 16)
    whole = None
    for number, frame in enumerate(frames, 1):
        pdu = WrapperPdu.decode(frame)
        assert (pdu.source, pdu.destination) == (17, 102)
        assert len(pdu.apdu) <= 200
        block = _block(pdu.apdu)
        assert (block.block_number, block.streaming, block.window) == (number, True, 0)
        whole = blocks.receive(block)
    assert whole == APDU


@pytest.mark.parametrize("size", [12, 100, 127, 128, 200, 255, 256, 400])
def test_no_block_is_longer_than_asked_for(size):
    pieces = PushFraming(max_pdu_size=size).pieces(APDU)
    assert max(map(len, pieces)) <= size
    assert b"".join(_block(piece).block_data for piece in pieces) == APDU


def test_what_fits_goes_whole():
    assert PushFraming(max_pdu_size=len(APDU)).pieces(APDU) == [APDU]


def test_long_pushes_are_segmented_on_hdlc():
    frames = [HdlcFrame.decode(frame) for frame in PushFraming(max_information=128).frames(APDU, 5, 1, 16)]
    assert b"".join(frame.information for frame in frames) == b"\xe6\xe7\x00" + APDU
    assert [frame.segmented for frame in frames] == [True] * (len(frames) - 1) + [False]
    assert {frame.control for frame in frames} == {0x13}
    assert {(frame.destination.logical, frame.source.logical) for frame in frames} == {(16, 1)}


def test_each_block_has_a_header_by_the_standard_and_only_the_first_as_landis_gyr_has_it():
    for once in (False, True):
        framing = PushFraming(max_pdu_size=200, llc_once=once)
        frames = [HdlcFrame.decode(frame).information for frame in framing.frames(APDU, 5, 1, 103)]
        assert [frame.startswith(b"\xe6\xe7\x00") for frame in frames] == [True] + [not once] * (len(frames) - 1)


def test_mbus_segments_go_to_the_address():
    frames = PushFraming(mbus_address=7).frames(APDU, 6, 1, 103)
    collector = SegmentCollector()
    found = [collector.add(frame) for frame in MbusReader().feed(b"".join(frames)) if isinstance(frame, MbusFrame)]
    assert found[-1] == MbusApdu(1, 103, APDU)


@pytest.mark.parametrize(
    "options", [{"max_pdu_size": 11}, {"max_information": 2031}, {"mbus_address": 256}, {"mbus_segment": 251}]
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"is|carries"):
        PushFraming(**options)


def test_what_cannot_be_sent_says_so():
    with pytest.raises(LocalProtocolError, match="needs blocks"):
        PushFraming().frames(bytes(0x10000), 0, 1, 103)
    with pytest.raises(LocalProtocolError, match="transport service 4"):
        PushFraming().frames(APDU, TransportService.SMS, 1, 103)
    with pytest.raises(LocalProtocolError, match="does not fit"):
        PushFraming(max_pdu_size=12).pieces(bytes(6 * 0x10000))
