"""A form that was met before stands for decoding: never where decoding would refuse."""

from __future__ import annotations

import random

import pytest

from cosemic.push.protection.forms import MOST_FORMS, KnownForms
from cosemic.push.protection.plausibility import Likeness, judge
from tests.push.sealing import NOTIFICATION
from tests.vectors.collection import REASON, load

CAPTURES = [
    bytes.fromhex(case["expected"].get("plaintext") or case["expected"].get("apdu_hex") or case["bytes"])
    for case in load("pushes")
    if "notification" in case["expected"]
]


@pytest.mark.skipif(not CAPTURES, reason=REASON)
def test_a_form_takes_only_what_decodes() -> None:
    chance = random.Random(3)
    learned = matched = 0
    for octets in CAPTURES:
        forms = KnownForms()
        assert not forms.matches(octets)
        assert judge(octets, forms=forms).likeness is Likeness.VALID
        learned += forms.matches(octets)
        for _ in range(300):
            altered = bytearray(octets)
            for _ in range(chance.randrange(1, 4)):
                altered[chance.randrange(1, len(octets))] = chance.randrange(256)
            changed = bytes(altered)
            with_forms, without = judge(changed, forms=KnownForms()), judge(changed)
            assert with_forms == without
            assert judge(changed, forms=forms).likeness is without.likeness
            matched += forms.matches(changed)
        assert not forms.matches(octets[:-1])
        assert not forms.matches(octets + b"\0")
    assert learned == len(CAPTURES)
    assert matched > 1000


def test_what_may_be_refused_inside_is_decoded_each_time() -> None:
    forms = KnownForms()
    for body in ("0C02C3A9", "1907E5091B01092F0F00FF8880", "1A07E5091B01", "1B092F0F00", "13110461626364"):
        octets = bytes.fromhex("0F0000000100" + body)
        assert judge(octets, forms=forms).likeness is Likeness.VALID, body
        assert not forms.matches(octets)


def test_the_number_of_forms_is_bounded() -> None:
    forms = KnownForms()
    pushes = [NOTIFICATION[:-6] + bytes([0x0A, size]) + bytes(size) for size in range(MOST_FORMS + 10)]
    for octets in pushes:
        assert judge(octets, forms=forms).likeness is Likeness.VALID
    assert sum(map(forms.matches, pushes)) == MOST_FORMS
    assert forms.matches(pushes[-1])
