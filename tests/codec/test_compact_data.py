"""The buffer of Compact data by its template; pydlms-client, which reads both forms of it, is the second source."""

from __future__ import annotations

import contextlib
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.codec.axdr import Limits
from cosemic.codec.compact_data import decode_compact_buffer
from cosemic.errors import DecodeError
from tests.interop.peers import python_of

FLAT = bytes.fromhex("020411090612")
FLAT_BUFFER = bytes.fromhex("4203aabbcc00003039ffff")
LOGBOOK = bytes.fromhex("0202110102020611")
"""A template id, then an array of entries {time stamp, event}."""
LOGBOOK_BUFFER = bytes.fromhex("070200000001050000000206")
COUNTED = bytes.fromhex("02021101000202020611")
COUNTED_BUFFER = bytes.fromhex("0700000001050000000206")

CASES = [
    (FLAT, FLAT_BUFFER, (0x42, b"\xaa\xbb\xcc", 12345, 65535)),
    (LOGBOOK, LOGBOOK_BUFFER, (7, [(1, 5), (2, 6)])),
    (LOGBOOK, b"\x07\x00", (7, [])),
    (COUNTED, COUNTED_BUFFER, (7, [(1, 5), (2, 6)])),
]


@pytest.mark.parametrize(("template", "buffer", "values"), CASES)
def test_values_by_a_template(template, buffer, values):
    assert decode_compact_buffer(template, buffer) == values
    assert decode_compact_buffer(template, b"") == ()


@pytest.mark.interop
def test_a_second_reader_says_the_same():
    program = (
        "import json, sys\n"
        "from pydlms.cosem.compact_data import decode_compact_buffer as read, decode_template_description as form\n"
        "many = (list, tuple)\n"
        "plain = lambda v: v.hex() if isinstance(v, bytes) else [plain(x) for x in v] if isinstance(v, many) else v\n"
        "for template, buffer in json.load(sys.stdin):\n"
        "    values = read(form(bytes.fromhex(template)), bytes.fromhex(buffer))\n"
        "    print(json.dumps([plain(value.to_python()) for value in values]))\n"
    )
    cases = json.dumps([(template.hex(), buffer.hex()) for template, buffer, _ in CASES])
    done = subprocess.run(
        [python_of("pydlms"), "-c", program], input=cases, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-1000:]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [plain(values) for _, _, values in CASES]


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("template", "buffer"),
    [
        (b"", b"\x01"),
        (b"\x11", b"\x01"),
        (FLAT + b"\x11", FLAT_BUFFER),
        (FLAT[:-1], FLAT_BUFFER),
        (FLAT, FLAT_BUFFER[:-1]),
        (FLAT, FLAT_BUFFER + b"\x00"),
        (b"\x02\x01\x13", b"\x01"),
        (b"\x02\x84\xff\xff\xff\xff", b"\x01"),
        (b"\x02\x02\x11\x01\x00", b"\x01\x84\xff\xff\xff\xff"),
        (b"\x01" * 300, b"\x01"),
        (b"\x02\x01" * 300, b"\x01"),
    ],
)
def test_what_does_not_fit_is_one_error(template, buffer):
    with pytest.raises(DecodeError):
        decode_compact_buffer(template, buffer)


def test_limits():
    with pytest.raises(DecodeError, match="limit"):
        decode_compact_buffer(FLAT, FLAT_BUFFER, limits=Limits(octets=5))


@given(st.binary(max_size=30), st.binary(max_size=60))
def test_any_octets_give_values_or_one_error(template, buffer):
    try:
        values = decode_compact_buffer(template, buffer)
    except DecodeError:
        return
    assert isinstance(values, tuple)


@given(st.binary(max_size=12), st.binary(max_size=40))
def test_any_structure_gives_values_or_one_error(template, buffer):
    with contextlib.suppress(DecodeError):
        decode_compact_buffer(b"\x02" + bytes((len(template),)) + template, buffer)
