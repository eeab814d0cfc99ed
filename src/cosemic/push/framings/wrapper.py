"""The wrapper of TCP and UDP: version 1, two wPorts, a length, an APDU."""

from __future__ import annotations

from typing import Final

from cosemic.link.wrapper import HEADER_LENGTH, HIGHEST_PORT
from cosemic.push.framings import apdus

_LEAST_APDU: Final = 2


def end(data: bytes | bytearray, at: int, *, is_due: bool) -> int:
    """Where the PDU that begins at ``at`` ends; a look (see ``framings``).

    Where the stream is known to have the wrapper, a PDU ``is_due`` and any APDU may follow; else it has to be a push.
    """
    if at + HEADER_LENGTH >= len(data):
        head = data[at + 1 : at + 2]
        return -(at + HEADER_LENGTH + 1) if not head or head[0] == 1 else 0
    if data[at + 1] != 1 or data[at]:
        return 0
    if data[at + 2] << 8 | data[at + 3] > HIGHEST_PORT or data[at + 4] << 8 | data[at + 5] > HIGHEST_PORT:
        return 0
    length = data[at + 6] << 8 | data[at + 7]
    tag = data[at + HEADER_LENGTH]
    if length < _LEAST_APDU or tag not in (apdus.KNOWN if is_due else apdus.STARTS):
        return 0
    return at + HEADER_LENGTH + length
