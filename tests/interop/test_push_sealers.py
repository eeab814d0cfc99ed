"""Pushes sealed by other people's implementations, opened by ours."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from cosemic.push.messages import Diagnosis
from cosemic.push.protection.decryption import PushRefused, PushSecurity
from cosemic.push.protection.general_keys import GeneralKeys
from cosemic.push.protection.keys import MeterKeys
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import GeneralAad, SigningInput
from tests.interop.peers import DRIVERS, python_of
from tests.push.sealing import (
    AUTHENTICATION_KEY,
    KEY,
    LONG_AUTHENTICATION_KEY,
    LONG_KEY,
    NOTIFICATION,
    TITLE,
)

RECIPIENT = bytes.fromhex("4845530000000001")
KEKS = {0: KEY[::-1], 1: KEY[::-1], 2: LONG_KEY[16:] + LONG_KEY[:16]}
SUITES = {0: (KEY, AUTHENTICATION_KEY), 1: (KEY, AUTHENTICATION_KEY), 2: (LONG_KEY, LONG_AUTHENTICATION_KEY)}
METER_PRIVATE = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
#: how pydlms-client calls the two readings of the standard
AADS = {"with-header": GeneralAad.WITH_HEADER, "sc-ak": GeneralAad.WITHOUT_HEADER}
SIGNINGS = {"length-prefixed-content": SigningInput.CONTENT_WITH_LENGTH, "content": SigningInput.CONTENT}


def meter_key(suite: int) -> SoftwareKey:
    return SoftwareKey(suite, METER_PRIVATE.rjust(64 if suite == 1 else 96, "0"))


def our_key(suite: int) -> SoftwareKey:
    return SoftwareKey(suite, bytes(range(40, 40 + (32 if suite == 1 else 48))))


def sealed(library: str) -> list[dict[str, Any]]:
    config = {
        "title": TITLE.hex(),
        "recipient": RECIPIENT.hex(),
        "push": NOTIFICATION.hex(),
        "private": METER_PRIVATE,
        "peer": {suite: our_key(suite).public.hex() for suite in (1, 2)},
        "suites": {
            suite: {"ek": key.hex(), "ak": authentication_key.hex(), "kek": KEKS[suite].hex()}
            for suite, (key, authentication_key) in SUITES.items()
        },
    }
    done = subprocess.run(
        [python_of(library), DRIVERS / f"{library}_push_sealer_driver.py"],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers, done.stderr[-2000:]
    assert not [answer for answer in answers if "error" in answer]
    return answers


def keys_for(answer: dict[str, Any], **changes: Any) -> MeterKeys:
    suite = answer["suite"]
    key, authentication_key = SUITES[suite]
    general: dict[str, Any] = {
        "kek": KEKS[suite],
        "own_system_title": RECIPIENT,
        "general_aad": AADS[answer.get("aad", "with-header")],
        "signing_input": SIGNINGS[answer.get("signing", "length-prefixed-content")],
    }
    if suite:
        general |= {
            "agreement_key": our_key(suite),
            "peer_agreement_key": meter_key(suite).public,
            "peer_signing_key": meter_key(suite).public,
        }
    has_tag = answer["control"] & 0x10
    return MeterKeys(
        changes.get("key", key),
        changes.get("authentication_key", authentication_key if has_tag else None),
        general=GeneralKeys(suite or 1, **general),
    )


def check(answer: dict[str, Any]) -> None:
    apdu = bytes.fromhex(answer["apdu"])
    control = answer["control"]
    security = PushSecurity(keys_for(answer))
    opened = security.open(apdu)
    assert opened.apdu == NOTIFICATION, answer["form"]
    protection = opened.protection
    assert protection is not None
    assert protection.system_title == TITLE
    assert protection.security_control == control
    assert protection.is_verified == (control != answer["suite"] | 0x20)
    with pytest.raises(PushRefused) as caught:
        security.open(apdu)
    assert caught.value.diagnosis is Diagnosis.COUNTER_WENT_BACK
    for place in range(len(apdu) - 12, len(apdu)):  # the tag, or the end of the signature or of the values
        altered = bytearray(apdu)
        altered[place] ^= 1
        try:
            opened = PushSecurity(keys_for(answer)).open(bytes(altered))
        except PushRefused:
            continue
        assert opened.protection is not None
        assert not opened.protection.is_verified


def test_pydlms_seals() -> None:
    answers = sealed("pydlms")
    forms = {answer["form"] for answer in answers}
    assert len(forms) == len(answers) == 3 * 3 + 2 * (3 + 5 + 5) + 2 * 2
    for answer in answers:
        check(answer)


def test_dlms_cosem_seals() -> None:
    answers = sealed("dlms_cosem")
    assert [answer["suite"] for answer in answers] == [0, 1, 2]
    for answer in answers:
        check(answer)


def test_gurux_seals() -> None:
    answers = sealed("gurux")
    assert [answer["control"] for answer in answers] == [0x10, 0x20, 0x30, 0x11, 0x21, 0x31]
    for answer in answers:
        check(answer)


def test_the_diagnosis_of_a_foreign_message() -> None:
    answers = [answer for answer in sealed("pydlms") if answer["form"].startswith("general-glo")]
    for answer in answers:
        key, _ = SUITES[answer["suite"]]
        apdu = bytes.fromhex(answer["apdu"])
        with pytest.raises(PushRefused) as caught:
            PushSecurity(keys_for(answer, key=key[::-1])).open(apdu)
        assert caught.value.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
        if answer["control"] & 0x30 == 0x30:
            with pytest.raises(PushRefused) as caught:
                PushSecurity(keys_for(answer, authentication_key=key[1:] + key[:1])).open(apdu)
            assert caught.value.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
