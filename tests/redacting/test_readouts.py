"""Identifiers in the texts of readouts and pushes that no table of codes names."""

from __future__ import annotations

import pytest

from cosemic.codec import axdr
from cosemic.redacting import redact
from tests.redacting.support import SALT, joined
from tests.redacting.test_planted import chunks, frames, obis


def shown(text: bytes) -> bytes:
    return joined(redact(chunks([text]), salt=SALT).chunks)


@pytest.mark.parametrize(
    "text",
    [
        b"\x02(73915824)\x03\r\n",
        b"/LUG5UH50\r\n6.8(0002136*MWh)9.21(73915824)\r\n!\r\n",
        b"/LUG5UH50\r\n9.20(73915824)\r\n!\r\n",
        b"/ISK5ME162\r\n0.0.0(73915824)\r\n1-0:99.9.9(73915824)\r\n!\r\n",
        b"/ISK5ME162\r\n1-0:99.9.9(73915824)\r\n0.0.0(73915824)\r\n!\r\n",
        b"/ISK5ME162\r\nC.1.0(73915824)\r\n1.8.0(000123.4*kWh)\r\n!\r\n",
        b"/?73915824!\r\n",
    ],
)
def test_the_number_of_a_meter(text: bytes) -> None:
    assert b"73915824" in text
    assert b"73915824" not in shown(text)


def test_readings_of_the_lines_below_stay() -> None:
    text = b"/ISK5\r\n0-1:24.3.0(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)\r\n(00124.477)\r\n6.8(0002136*MWh)\r\n!\r\n"
    assert shown(text) == text
    assert b"6.8(0002136*MWh)6.26(02345.99*m3)9.21(" in shown(
        b"/LUG5\r\n6.8(0002136*MWh)6.26(02345.99*m3)9.21(73915824)\r\n!\r\n"
    )


def test_a_name_keeps_no_letters() -> None:
    text = axdr.structure(obis("0.0.96.13.0.255"), axdr.visible_string("MUSTERMANN HAUPTSTRASSE 5"))
    apdu = b"\x0f\x00\x00\x00\x01\x00" + axdr.encode(text)
    assert b"MUS" not in joined(redact(chunks(frames(apdu, "wrapper")), salt=SALT).chunks)
    name = axdr.structure(obis("0.0.42.0.0.255"), axdr.visible_string("KFM1234567890123"))
    apdu = b"\x0f\x00\x00\x00\x01\x00" + axdr.encode(name)
    result = joined(redact(chunks(frames(apdu, "wrapper")), salt=SALT).chunks)
    assert b"KFM" in result
    assert b"1234567890123" not in result


def test_an_ip_address_beside_its_code() -> None:
    address = bytes.fromhex("CB00714D")
    body = axdr.structure(
        obis("0.0.25.1.0.255"), axdr.double_long_unsigned(int.from_bytes(address, "big")),
        obis("1.0.1.8.0.255"), axdr.double_long_unsigned(0x11223344),
    )  # fmt: skip
    result = joined(
        redact(chunks(frames(b"\x0f\x00\x00\x00\x01\x00" + axdr.encode(body), "wrapper")), salt=SALT).chunks
    )
    assert address not in result
    assert bytes.fromhex("11223344") in result
