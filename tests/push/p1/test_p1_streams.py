"""P1 texts on their whole way: octets of a line, plain and encrypted as in Luxembourg, to readings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cosemic.obis import ObisCode
from cosemic.push.decoder import PushDecoder
from cosemic.push.messages import Diagnosis, Push, Undecoded
from cosemic.push.protection.keys import MeterKeys
from cosemic.push.telegrams import Dropped
from tests.push import p1_texts
from tests.push.p1_texts import text

ENCRYPTION_KEY = bytes.fromhex("a9c3f1504be72d8866e01b9d3f57c224")
AUTHENTICATION_KEY = bytes.fromhex("5b0f92e6c4417a3d98b1d02e7765fa13")
TITLE = b"SAG\x00\x00\x00\x00\x2a"
COUNTRIES = ("DSMR_5", "BELGIUM", "LUXEMBOURG", "SWEDEN", "LITHUANIA", "HUNGARY", "SWITZERLAND")


def sealed(plain: bytes, counter: int = 7) -> bytes:
    """general-glo-ciphering as Luxembourg's P1 specification has it: security control 30, a tag of 12 octets."""
    nonce = TITLE + counter.to_bytes(4, "big")
    protected = AESGCM(ENCRYPTION_KEY).encrypt(nonce, plain, b"\x30" + AUTHENTICATION_KEY)[:-4]
    content = b"\x30" + counter.to_bytes(4, "big") + protected
    return b"\xdb\x08" + TITLE + b"\x82" + len(content).to_bytes(2, "big") + content


def decode(decoder: PushDecoder, octets: bytes, size: int) -> list[Push | Undecoded | Dropped]:
    found = [item for at in range(0, len(octets), size) for item in decoder.feed(octets[at : at + size])]
    return [*found, *decoder.idle(), *decoder.end()]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("country", COUNTRIES)
def test_plain(country: str, size: int) -> None:
    octets = text(getattr(p1_texts, country))
    found = decode(PushDecoder(), octets[100:] + octets * 2, size)
    pushes = [item for item in found if isinstance(item, Push)]
    assert len(pushes) == 2
    assert pushes[0].readings == pushes[1].readings
    assert {push.kind for push in pushes} == {"p1-text"}
    assert not [item for item in found if isinstance(item, Undecoded)]


@pytest.mark.parametrize("size", [1, 100_000])
def test_luxembourg_encrypted(size: int) -> None:
    plain = text(p1_texts.LUXEMBOURG)
    decoder = PushDecoder(MeterKeys(ENCRYPTION_KEY, AUTHENTICATION_KEY))
    (push,) = decode(decoder, sealed(plain), size)
    assert isinstance(push, Push)
    assert (push.kind, push.layout, push.meter_id) == ("p1-text", "P1 Luxembourg", "SAG1030700000001")
    assert push.system_title == TITLE
    assert push.protection is not None
    assert push.protection.is_verified
    values = {reading.obis: reading.value for reading in push.readings}
    assert values[ObisCode.parse("1-0:1.8.0")] == Decimal("5675.956")


def test_damaged_text_behind_a_right_tag() -> None:
    plain = text(p1_texts.LUXEMBOURG).replace(b"005675", b"005676")
    decoder = PushDecoder(MeterKeys(ENCRYPTION_KEY, AUTHENTICATION_KEY))
    (refused,) = decode(decoder, sealed(plain), 1000)
    assert isinstance(refused, Undecoded)
    assert refused.diagnosis is Diagnosis.DAMAGED
    assert "check sum of the P1 text" in refused.text


def test_without_a_key() -> None:
    (refused,) = decode(PushDecoder(), sealed(text(p1_texts.LUXEMBOURG)), 1000)
    assert isinstance(refused, Undecoded)
    assert refused.diagnosis is Diagnosis.KEY_MISSING
