"""Where octets came from: names, ports and settings that say whose meter it is."""

from __future__ import annotations

import pytest

from cosemic.redacting import redact
from tests.redacting.support import SALT
from tests.redacting.test_planted import chunks


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        ("/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0", "A50285BI"),
        ("meter-of-mrs-smith", "smith"),
        ("203.0.113.77", "203.0"),
        ("tcp://192.0.2.1:1234567890123", "1234567890123"),
        ("serial:///dev/ttyUSB0?serial=12345678", "12345678"),
        ("serial:///dev/ttyUSB0?baud=9600&name=smith", "smith"),
        ("smith12345678://dev/ttyUSB0", "12345678"),
        ("rfc2217://203.0.113.77:2217?baud=9600", "203.0"),
        ("hdlc://user:word@203.0.113.77:4059", "203.0"),
        ("tcp://user:word@203.0.113.77:4059", "word"),
    ],
)
def test_nothing_of_it_is_left(source: str, secret: str) -> None:
    (shown,) = redact(chunks([b"\x7e"], source), salt=SALT).chunks
    assert secret in source
    assert secret not in shown.source


@pytest.mark.parametrize("source", ["serial:///dev/ttyUSB0?baud=9600&parity=even&framing=mbus", "serial://COM3", ""])
def test_what_tells_nothing_stays(source: str) -> None:
    (shown,) = redact(chunks([b"\x7e"], source), salt=SALT).chunks
    assert shown.source == source
