"""Several APDUs in one information field: cut only where it is certain."""

from __future__ import annotations

import pytest

from cosemic.link.llc import split

HEADER = b"\xe6\xe7\x00"
CIPHERED = b"\xdb\x08SYSTITLE\x0a\x20\x00\x00\x00\x01" + bytes(5)
BLOCK = bytes.fromhex("e040000100000302e6e7")
NOTIFICATION = bytes.fromhex("0f000000010002020600000001090701e6e7000f0102")  # an octet string with a header in it
WITH_TIME = bytes.fromhex("0f000000010c07e8060f0614172d00ff88800600000001")
TAGGED_TIME = bytes.fromhex("0f00000001090c07e8060f0614172d00ff88800600000001")
EVENT = bytes.fromhex("c2000003010001080 0ff020600000001".replace(" ", ""))


@pytest.mark.parametrize(
    "apdus",
    [
        [CIPHERED] * 3,
        [NOTIFICATION] * 2,
        [WITH_TIME, CIPHERED],
        [TAGGED_TIME, WITH_TIME],
        [EVENT, EVENT],
        [CIPHERED, NOTIFICATION, EVENT],
    ],
)
def test_several(apdus):
    assert split(b"".join(HEADER + apdu for apdu in apdus)) == (apdus, True)


@pytest.mark.parametrize(
    "apdu",
    [CIPHERED, NOTIFICATION, WITH_TIME, TAGGED_TIME, EVENT, BLOCK, b"", b"\xdb", b"\x0f", b"\xc2\x01", b"\xe0\x01"],
)
def test_one(apdu):
    assert split(HEADER + apdu) == ([apdu], True)
    assert split(apdu) == ([apdu], False)


@pytest.mark.parametrize(
    "apdu",
    [
        b"\xc4\x01\xc1\x00\x09\x07\x01" + HEADER + b"\x0f\x01\x02",  # a response whose data holds a header
        b"\xc4\x01\xc1\x00\x11\x05" + HEADER + WITH_TIME,  # not a push: never cut
        CIPHERED[:-1] + HEADER + CIPHERED,  # the header is not where the first APDU ends
        CIPHERED + b"\x00" + HEADER + CIPHERED,
        b"\x0f\x00\x00\x00\x01\x00\xfe" + HEADER + b"\x0f",  # a first APDU that cannot be read
        b"\xdb\x08SYSTITLE\x89" + HEADER,
        b"\xdb\x08SYSTITLE\x84\xff\xff\xff\xff" + HEADER,
    ],
)
def test_not_certain_so_not_cut(apdu):
    assert split(HEADER + apdu) == ([apdu], True)
