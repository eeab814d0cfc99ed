"""Blocks: numbers, bounds, and the lists inside."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.apdu.services import ActionOutcome
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, DataAccessResult
from cosemic.errors import DecodeError, RemoteProtocolError, SequenceError
from cosemic.protocol import blocks
from cosemic.protocol.blocks import BlockCollector, BlockCutter, block_octets
from cosemic.tolerances import DEFAULT, Tolerance

VALUE = Data.of(axdr.structure(axdr.unsigned(1), axdr.octet_string(b"abc")))


@given(st.binary(max_size=2000), st.integers(2, 700))
def test_what_is_cut_can_be_put_together(octets: bytes, room: int) -> None:
    cutter, collector = BlockCutter(octets), BlockCollector(1 << 20)
    last = False
    while not last:
        last, number, chunk = cutter.next(room)
        assert len(axdr.encode_length(len(chunk))) + len(chunk) <= room
        collector.add(number, chunk, last)
    assert bytes(collector.octets) == octets


@given(st.integers(2, 70_000))
def test_a_block_uses_its_room(room: int) -> None:
    size = block_octets(room)
    assert len(axdr.encode_length(size)) + size <= room
    assert len(axdr.encode_length(size + 1)) + size + 1 > room


@pytest.mark.parametrize("number", [0, 2, 0xFFFFFFFF])
def test_numbers_out_of_order(number: int) -> None:
    with pytest.raises(SequenceError, match="block 1 was due"):
        BlockCollector(100).add(number, b"x", False)


def test_a_repeated_block() -> None:
    collector = BlockCollector(100)
    collector.add(1, b"x", False)
    with pytest.raises(SequenceError):
        collector.add(1, b"x", False)


def test_the_size_is_bounded() -> None:
    collector = BlockCollector(10)
    collector.add(1, bytes(10), False)
    with pytest.raises(RemoteProtocolError, match="more than 10 octets"):
        collector.add(2, b"x", False)


def test_blocks_without_progress_are_bounded() -> None:
    collector = BlockCollector(10)
    for number in range(1, 9):
        collector.add(number, b"", False)
    with pytest.raises(RemoteProtocolError, match="no progress"):
        collector.add(9, b"", False)


def test_lists_travel_and_return() -> None:
    results = (VALUE, DataAccessResult.OBJECT_UNDEFINED, 200)
    assert blocks.decode_get_results(blocks.encode_get_results(results), DEFAULT) == results
    values = (VALUE, Data.of(None))
    assert blocks.decode_data_list(blocks.encode_data_list(values), DEFAULT) == values
    outcomes = (
        ActionOutcome(ActionResult.SUCCESS, VALUE),
        ActionOutcome(ActionResult.OBJECT_UNDEFINED, None),
        ActionOutcome(ActionResult.SUCCESS, DataAccessResult.OTHER_REASON),
    )
    assert blocks.decode_outcomes(blocks.encode_outcomes(outcomes), DEFAULT) == outcomes


@pytest.mark.parametrize(
    "octets",
    [blocks.encode_outcome(ActionOutcome(ActionResult.SUCCESS, VALUE)), b"\x00" + bytes(VALUE), bytes(VALUE)],
    ids=["whole", "result", "value"],
)
def test_every_reading_of_an_action_response_in_blocks(octets: bytes) -> None:
    assert blocks.decode_outcome(octets) == ActionOutcome(ActionResult.SUCCESS, VALUE)


@pytest.mark.parametrize(
    "octets", [b"", b"\x84\xff\xff\xff\xff", b"\x05\x00", b"\x02\x00\x00\x02\x00", b"\x01\x05\x00"]
)
def test_damaged_lists(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        blocks.decode_get_results(octets, DEFAULT)


@given(st.binary(max_size=60))
def test_any_octets_decode_or_raise(octets: bytes) -> None:
    for decode in (blocks.decode_get_results, blocks.decode_data_list, blocks.decode_outcomes):
        with contextlib.suppress(DecodeError):
            decode(octets, DEFAULT)
    with contextlib.suppress(DecodeError):
        blocks.decode_outcome(octets)


def test_trailing_octets_are_a_tolerance() -> None:
    octets = bytes(VALUE) + bytes(18)
    with pytest.raises(DecodeError):
        blocks.exact(octets, DEFAULT)
    assert blocks.exact(octets, DEFAULT | {Tolerance.TRAILING_OCTETS}) == VALUE
