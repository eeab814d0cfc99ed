"""Encode and decode are inverse for every class; arbitrary and damaged octets raise DecodeError and nothing else."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import cosemic.apdu
from cosemic.apdu import Apdu, decode_apdu, encode_apdu, unwrap_ciphered, wrap_ciphered, wrap_general
from cosemic.apdu.base import DECODERS
from cosemic.enums import ApduTag
from cosemic.errors import DecodeError
from cosemic.tolerances import ALL, DEFAULT, STRICT
from tests.apdu.strategies import BY_CLASS

TOLERANCES = st.sampled_from([STRICT, DEFAULT, ALL])
CLASSES = [pytest.param(kind, id=kind.__name__) for kind in BY_CLASS]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_class_has_a_strategy():
    public = [getattr(cosemic.apdu, name) for name in cosemic.apdu.__all__]
    classes = {item for item in public if isinstance(item, type) and issubclass(item, Apdu)} - {Apdu}
    assert classes == set(BY_CLASS)


def test_every_tag_of_the_standard_has_a_decoder():
    assert {tag for tag, decoder in enumerate(DECODERS) if decoder} == {int(tag) for tag in ApduTag}


@pytest.mark.parametrize("kind", CLASSES)
def test_inverse(kind):
    @FEW
    @given(BY_CLASS[kind])
    def check(apdu):
        octets = encode_apdu(apdu)
        assert octets[0] in {int(tag) for tag in ApduTag}
        again = decode_apdu(octets, tolerances=DEFAULT)
        assert again == apdu
        assert type(again) is kind
        assert encode_apdu(again) == octets
        # The octets alone decide: a buffer of another type gives the same.
        assert decode_apdu(bytearray(octets)) == decode_apdu(memoryview(octets)) == apdu

    check()


@pytest.mark.parametrize("kind", CLASSES)
def test_frozen_and_slotted(kind):
    apdu = _sample(kind)
    assert not hasattr(apdu, "__dict__")
    with pytest.raises(FrozenInstanceError):
        setattr(apdu, fields(apdu)[0].name, 0)
    assert replace(apdu) == apdu
    assert pickle.loads(pickle.dumps(apdu)) == apdu
    assert hash(apdu) == hash(replace(apdu))
    assert type(apdu).__name__ in repr(apdu)


def _sample(kind):
    """One instance, the simplest that hypothesis finds."""
    return find(BY_CLASS[kind], lambda _: True, settings=settings(database=None, max_examples=1))


@pytest.mark.parametrize("kind", CLASSES)
def test_truncated_or_changed(kind):
    @FEW
    @given(BY_CLASS[kind], st.data())
    def check(apdu, draw):
        octets = encode_apdu(apdu)
        end = draw.draw(st.integers(0, len(octets) - 1), "end")
        with pytest.raises(DecodeError):
            decode_apdu(octets[:end], tolerances=STRICT)
        with pytest.raises(DecodeError):
            decode_apdu(octets + b"\x00", tolerances=STRICT)
        place = draw.draw(st.integers(0, len(octets) - 1), "place")
        changed = bytearray(octets)
        changed[place] = draw.draw(st.integers(0, 255), "octet")
        _only_decode_error(bytes(changed), draw.draw(TOLERANCES))

    check()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([int(tag) for tag in ApduTag] + [0xF0, 0x00]), st.binary(max_size=80), TOLERANCES)
def test_arbitrary_octets(tag, rest, tolerances):
    _only_decode_error(bytes((tag,)) + rest, tolerances)


def _only_decode_error(octets, tolerances):
    try:
        apdu = decode_apdu(octets, tolerances=tolerances)
    except DecodeError as error:
        caught = error
    else:
        # Whatever is accepted has a canonical form that means the same.
        again = encode_apdu(apdu)
        assert decode_apdu(again, tolerances=tolerances) == apdu
        if not tolerances:
            assert len(again) <= len(octets)
        return
    assert caught.octets == octets
    assert caught.offset is None or 0 <= caught.offset <= len(octets)


@FEW
@given(st.sampled_from(sorted(cosemic.apdu.PLAIN_TAG)), st.binary(min_size=5, max_size=70_000))
def test_envelopes_come_back(tag, content):
    assert unwrap_ciphered(wrap_ciphered(tag, content)) == (tag, None, content)


@FEW
@given(st.sampled_from([0xDB, 0xDC]), st.binary(max_size=20), st.binary(min_size=5, max_size=70_000))
def test_general_envelopes_come_back(tag, title, content):
    assert unwrap_ciphered(wrap_general(tag, title, content)) == (tag, title, content)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*cosemic.apdu.PLAIN_TAG, 0xDB, 0xDC, 0x00]), st.binary(max_size=40))
def test_unwrap_agrees_with_decode(tag, rest):
    octets = bytes((tag,)) + rest
    try:
        found, title, content = unwrap_ciphered(octets)
    except DecodeError:
        with pytest.raises(DecodeError):
            decode_apdu(octets, tolerances=STRICT)
    else:
        assert found == tag
        if content[0] & 0x10 and len(content) < 5 + 12:
            with pytest.raises(DecodeError, match="too short for its tag"):
                decode_apdu(octets, tolerances=STRICT)
            return
        apdu = decode_apdu(octets, tolerances=STRICT)
        assert (getattr(apdu, "system_title", None), apdu.content) == (title, content)
