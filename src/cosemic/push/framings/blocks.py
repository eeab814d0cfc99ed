"""General-block-transfer that nobody acknowledges: the blocks of several senders become whole APDUs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from cosemic.codec.axdr import decode_length
from cosemic.errors import DecodeError
from cosemic.push.framings.sets import OpenSet, OpenSets, dropped
from cosemic.push.telegrams import Framing, Heard

TAG = b"\xe0"
_LAST = 0x80


class Whole(NamedTuple):
    """An APDU whose blocks all came; ``offset`` is where the first began."""

    apdu: bytes
    offset: int


def add(
    sets: OpenSets,
    block: bytes,
    framing: Framing,
    source: int | None,
    destination: int | None,
    offset: int,
    sender: Hashable,
    found: list[Heard],
) -> Whole | None:
    """Take one general-block-transfer APDU; gives the APDU that it completes.

    Block 1 begins anew. A block that came before is left out where it comes again; where one stays away, what its
    sender had begun is dropped, and so is the rest of it.
    """
    try:
        length, start = decode_length(block, 6)
    except DecodeError:
        length, start = -1, 0
    if start + length != len(block):
        found.append(dropped("a general block whose length is wrong", block, offset, framing))
        return None
    is_last = bool(block[1] & _LAST)
    number = block[2] << 8 | block[3]
    data = bytes(block[start:])
    begun = sets.get(sender)
    if begun is not None and block == begun.last:
        return None  # sent again
    if number == 1:
        if begun is not None:
            sets.drop(sender, f"general block 1 came in place of block {begun.expected}", found)
        if is_last:
            return Whole(data, offset)
        sets.open(sender, OpenSet(framing, source, destination, offset, bytearray(data), 2, block), found)
        return None
    if begun is None:
        found.append(dropped(f"general block {number} without those before it", block, offset, framing))
        return None
    if number != begun.expected:
        sets.drop(sender, f"general block {number} came in place of block {begun.expected}", found)
        found.append(dropped(f"general block {number} without those before it", block, offset, framing))
        return None
    if is_last:
        whole = sets.close(sender)
        return Whole(bytes(whole.octets) + data, whole.offset)
    begun.expected = number + 1
    begun.last = block
    sets.extend(sender, data, found)
    return None
