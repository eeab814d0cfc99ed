"""Octets that were found to raise out of a decoder, which may never happen."""

from __future__ import annotations

import pytest

from cosemic.push.decoder import PushDecoder
from cosemic.push.messages import Push

APDU = bytes.fromhex("0f00000001000203060000000106000000020600000003")
WHOLE = bytes.fromhex("0001000100100017") + APDU


@pytest.mark.parametrize("tag", ["db", "dc", "dd", "df"])
@pytest.mark.parametrize("end", ["end", "idle", "end_of_datagram"])
def test_a_wrapper_pdu_that_ends_behind_its_tag(tag: str, end: str) -> None:
    decoder = PushDecoder()
    (push,) = decoder.feed(WHOLE)
    assert isinstance(push, Push)
    assert decoder.feed(bytes.fromhex("000100010010001d" + tag)) == []
    found = getattr(decoder, end)()
    assert not any(isinstance(item, Push) for item in found)
    (push,) = decoder.feed(WHOLE)
    assert isinstance(push, Push)
