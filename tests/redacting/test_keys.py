"""Envelopes other than general-glo: opened, masked, sealed again, whatever key they are under."""

from __future__ import annotations

from cosemic.captures import Chunk, Direction
from cosemic.explain import Keys, explain_chunks
from cosemic.redacting import redact
from cosemic.security.cipher import CipherKey
from tests.redacting.support import SALT, joined

EK, AK = bytes(range(0x40, 0x50)), bytes(range(0x60, 0x70))
DEDICATED = bytes(range(0x90, 0xA0))
CLIENT, METER = b"CLI\x11\x22\x33\x44\x55", b"MET\x66\x77\x88\x99\xaa"
SERIAL = b"12345678"
REQUEST = bytes.fromhex("C001C100010000600100FF0200")
ANSWER = bytes.fromhex("C401C1000908") + SERIAL


def chunk(octets: bytes, direction: Direction = Direction.RECEIVED) -> Chunk:
    return Chunk(None, "", direction, octets)


def seal(tag: int, key: bytes, title: bytes, apdu: bytes, control: int = 0x30) -> bytes:
    cipher = CipherKey(key, AK, "test")
    associated = cipher.associated(control) if control & 0x10 else b""
    content = cipher.seal(control, title, 9, apdu, associated)
    return bytes((tag, len(content))) + content


def aarq() -> bytes:
    initiate = b"\x01\x01\x10" + DEDICATED + bytes.fromhex("0000065F1F0400007E1FFFFF")
    content = bytes.fromhex("A109060760857405080103") + b"\xa6\x0a\x04\x08" + CLIENT
    content += b"\xbe" + bytes((len(initiate) + 2, 0x04, len(initiate))) + initiate
    return b"\x60" + bytes((len(content),)) + content


def test_a_dedicated_key_that_the_capture_carries() -> None:
    chunks = [chunk(aarq(), Direction.SENT), chunk(seal(0xD0, DEDICATED, CLIENT, REQUEST), Direction.SENT)]
    assert "tag ok" in explain_chunks(chunks, keys=Keys(authentication_key=AK)).to_text()
    result = redact(chunks, keys=Keys(EK, AK), salt=SALT)
    assert result.opened == 1
    assert DEDICATED not in joined(result.chunks)
    assert CLIENT not in joined(result.chunks)
    shown = explain_chunks(result.chunks).to_text()  # the key is in the result, and nobody's
    assert "get-request normal, Data 0-0:96.1.0*255 attribute 2" in shown


def test_a_dedicated_key_that_was_given() -> None:
    chunks = [chunk(seal(0xD4, DEDICATED, METER, ANSWER))]
    result = redact(chunks, keys=Keys(None, AK, (METER,), dedicated_key=DEDICATED), salt=SALT)
    assert result.opened == 1
    (keys,), (title,) = result.keys, result.titles
    assert title[:3] == METER[:3]
    assert title != METER
    after = Keys(None, keys.authentication_key, (title,), dedicated_key=keys.dedicated_key)
    explanation = explain_chunks(result.chunks, keys=after)
    assert "tag ok" in explanation.to_text()
    assert SERIAL not in b"".join(line.octets for line in explanation.lines)


def test_a_broadcast_key_and_a_title_that_was_given() -> None:
    broadcast = bytes(range(0xB0, 0xC0))
    chunks = [chunk(seal(0xCC, broadcast, METER, ANSWER, 0x70))]
    result = redact(chunks, keys=Keys(EK, AK, (METER,), broadcast_key=broadcast), salt=SALT)
    keys = result.keys[0]
    assert keys.encryption_key is None
    after = Keys(None, keys.authentication_key, tuple(result.titles), broadcast_key=keys.broadcast_key)
    assert "tag ok" in explain_chunks(result.chunks, keys=after).to_text()


def test_authentication_without_encryption() -> None:
    chunks = [chunk(seal(0xCC, EK, METER, ANSWER, 0x10))]
    with_key = redact(chunks, keys=Keys(EK, AK, (METER,)), salt=SALT)
    keys = with_key.keys[0]
    after = Keys(keys.encryption_key, keys.authentication_key, tuple(with_key.titles))
    assert "tag ok" in explain_chunks(with_key.chunks, keys=after).to_text()
    without = redact(chunks, salt=SALT)
    for result in (with_key, without):
        assert SERIAL not in joined(result.chunks)
    assert joined(without.chunks)[-12:] != joined(chunks)[-12:]  # a tag over what is masked would tell of it


def test_encryption_without_a_tag() -> None:
    chunks = [chunk(seal(0xCC, EK, METER, ANSWER, 0x20))]
    result = redact(chunks, keys=Keys(EK, None, (METER,)), salt=SALT)
    assert result.opened == 1
    after = Keys(result.keys[0].encryption_key, None, tuple(result.titles))
    text = explain_chunks(result.chunks, keys=after).to_text()
    assert "get-response normal" in text


def test_general_ciphering_whose_tag_covers_the_header() -> None:
    """The example of docs/explain.md."""
    ek, ak = bytes(range(16)), bytes(range(0xD0, 0xE0))
    octets = bytes.fromhex(
        "DD080102030405060708084D4D4D0000000001084D4D4D0000BC614E00000100001E30012345"
        "6768E479F76BB7E05F9CD30503DAEC1190A7D91CA986FB82F857"
    )
    result = redact([chunk(octets)], keys=Keys(ek, ak), salt=SALT)
    assert result.opened == 1
    keys = result.keys[0]
    shown = explain_chunks(result.chunks, keys=Keys(keys.encryption_key, keys.authentication_key)).to_text()
    assert "tag ok; the tag covers the header" in shown
    assert bytes.fromhex("4D4D4D0000BC614E") not in joined(result.chunks)
    assert bytes.fromhex("0102030405060708") not in joined(result.chunks)
