"""Texts of P1 ports and read-outs redacted: readings stay, check sums fit."""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

import pytest

from cosemic.captures import Chunk, Direction
from cosemic.explain import Keys
from cosemic.push.messages import Push
from cosemic.redacting import Keep, redact
from cosemic.security.cipher import CipherKey
from tests.push import p1_texts
from tests.redacting.support import SALT, decoded, joined, left

TEXTS = {name: value for name, value in vars(p1_texts).items() if name.isupper() and isinstance(value, str)}


def redacted(octets: bytes, **more) -> bytes:
    return joined(redact([Chunk(None, "", Direction.RECEIVED, octets)], salt=SALT, **more).chunks)


@pytest.mark.parametrize("name", TEXTS)
def test_the_readings_of_every_country_stay(name: str) -> None:
    octets = p1_texts.text(TEXTS[name])
    result = redacted(octets)
    assert len(result) == len(octets)
    assert result[-6:-2] == b"%04X" % p1_texts.crc_bit_by_bit(result[:-6])
    (was,), (now,) = decoded([octets]), decoded([result])
    assert isinstance(was, Push)
    assert isinstance(now, Push)
    assert [reading.name for reading in now.readings] == [reading.name for reading in was.readings]
    changed = {
        str(old.obis)
        for old, new in zip(was.readings, now.readings, strict=True)
        if old.value != new.value and old.obis is not None  # without a code: the identification
    }  # fmt: skip
    assert all(re.search(r":(96\.1\.|96\.13\.|42\.0\.|0\.0\.)", code) for code in changed), changed
    assert not left(identities(octets), result)


def identities(octets: bytes) -> set[bytes]:
    """Numbers of devices and what they mean, and messages, as they stand in the lines."""
    found: set[bytes] = set()
    for value in re.findall(rb":(?:96\.1\.|96\.13\.|42\.0\.|0\.0\.)[^(]*\(([^)]{8,})\)", octets):
        if len(set(value)) < 3:
            continue
        found.add(value)
        if re.fullmatch(rb"(?:[0-9A-F]{2})+", value):
            inner = bytes.fromhex(value.decode())
            if inner.isalnum() and sum(48 <= octet <= 57 for octet in inner) >= 6:
                found.add(inner)
    return found


def test_the_consumption_and_the_same_device_twice() -> None:
    text = "/KFM5\\abc\n\n0-0:96.1.1(4530303031)\n1-0:1.8.1(000123.456*kWh)\n0-1:96.1.0(4530303031)"
    lines = redacted(p1_texts.text(text)).decode().splitlines()
    assert lines[0].startswith("/KFM5\\")
    assert lines[0] != "/KFM5\\abc"
    assert lines[3] == "1-0:1.8.1(000123.456*kWh)"
    assert lines[2].partition("(")[2] == lines[4].partition("(")[2]
    inner = bytes.fromhex(lines[2].partition("(")[2][:-1])
    assert re.fullmatch(rb"[A-Z][0-9]{4}", inner)


def test_a_wrong_check_sum_stays_wrong() -> None:
    octets = p1_texts.text(p1_texts.DSMR_5)
    wrong = octets[:-6] + b"0000" + octets[-2:]
    assert redacted(wrong)[-6:] == b"0000\r\n"


def test_a_message_in_a_line_that_is_none() -> None:
    octets = b"/KFM5\\abc\r\n\r\nDear Mrs Miller of 12 Main Street\r\n1-0:1.8.0(1*kWh)\r\n!\r\n"
    result = redacted(octets)
    assert b"Miller" not in result
    assert b"Main" not in result
    assert b"1-0:1.8.0(1*kWh)" in result
    assert b"Miller" in redacted(octets, keep=[Keep.TEXTS])


def test_a_readout_with_its_block_check() -> None:
    block = b"0.0.0(12345678)\r\n0.9.1(143007)\r\n1.8.0(004812.377*kWh)\r\n96.1.0(87654321)\r\n!\r\n\x03"
    octets = b"/?12345678!\r\n/LGZ5\\2ZMD1234567\r\n\x06050\r\n\x02" + block + bytes((reduce(xor, block),))
    result = redacted(octets)
    assert not left({b"12345678", b"87654321", b"1234567"}, result)
    assert b"1.8.0(004812.377*kWh)" in result
    assert b"0.9.1(143007)" in result
    assert b"\x06050\r\n" in result
    start = result.index(b"\x02") + 1
    assert result[-1] == reduce(xor, result[start:-1])
    assert re.search(rb"/\?([0-9]{8})!", result)[1] == re.search(rb"0\.0\.0\(([0-9]{8})\)", result)[1]


def test_text_inside_ciphering() -> None:
    ek, ak, title = bytes(range(1, 17)), bytes(range(17, 33)), b"SAG\x01\x02\x03\x04\x05"
    octets = p1_texts.text(p1_texts.DSMR_5)
    cipher = CipherKey(ek, ak, "test")
    content = cipher.seal(0x30, title, 1, octets, cipher.associated(0x30))
    apdu = b"\xdb\x08" + title + b"\x82" + len(content).to_bytes(2, "big") + content
    result = redact([Chunk(None, "", Direction.RECEIVED, apdu)], keys=Keys(ek, ak), salt=SALT)
    assert result.opened == 1
    keys = result.keys[0]
    (was,) = decoded([apdu], ek, ak)
    (now,) = decoded([joined(result.chunks)], keys.encryption_key, keys.authentication_key)
    assert isinstance(was, Push)
    assert isinstance(now, Push)
    assert now.protection is not None
    assert now.protection.is_verified
    assert [reading.name for reading in now.readings] == [reading.name for reading in was.readings]
    assert now.meter_id != was.meter_id
