"""Octets of every capture to readings: in one piece, in many, among noise; values are the collection's."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from cosemic.codec.typed import Value
from cosemic.cosem.values import scale
from cosemic.push.decoder import Interpreter, PushDecoder
from cosemic.push.messages import Decoded, Diagnosis, Push, Undecoded
from cosemic.push.meters import KnownMeter, MetersByTitle
from cosemic.push.protection.keys import KeyTable, MeterKeys
from cosemic.push.telegrams import Dropped
from cosemic.units import unit_symbol
from tests.push.captures import CASES, READABLE, decoder_for, noise, octets_of, pieces
from tests.vectors.apdu_json import date_time_json, long_invoke_json, typed_json
from tests.vectors.collection import REASON

pytestmark = pytest.mark.skipif(not CASES, reason=REASON)

BY_NAME = {case["name"]: case for case in CASES}


def pushes(items: Iterable[Decoded]) -> list[Push]:
    return [item for item in items if isinstance(item, Push)]


def check(push: Push, case: dict[str, Any]) -> None:
    """Everything that the collection knows of the message."""
    expected = case["expected"]
    if "ciphering" in expected:
        assert push.protection is not None
        ciphering = expected["ciphering"]
        assert push.protection.system_title.hex() == ciphering["system_title"]
        assert push.protection.invocation_counter == ciphering["invocation_counter"]
        assert push.protection.security_control == int(ciphering["security_control"]["raw"], 16)
        assert push.protection.is_verified == (ciphering["tag"] is not None)
    else:
        assert push.protection is None
    if "entries" in expected:
        check_entries(push, expected["entries"])
        return
    notification = expected.get("notification", expected)
    assert push.tree is not None
    assert typed_json(push.tree) == notification["body"]
    for code, reading in expected.get("readings", {}).items():
        check_reading(push, code, reading)


def check_reading(push: Push, code: str, expected: dict[str, Any]) -> None:
    found = [reading for reading in push.readings if reading.obis is not None and reading.obis.dotted == code]
    assert found, f"{code} has no reading"
    reading = found[0]
    assert plain(reading.raw) == expected["raw"]
    if "scaler" in expected:
        assert reading.scaler == expected["scaler"]
        assert reading.value == scale(expected["raw"], expected["scaler"])
        assert reading.unit == unit_symbol(expected["unit"])
    if "class_id" in expected:
        assert (reading.class_id, reading.attribute) == (expected["class_id"], expected["attribute"])


def check_entries(push: Push, entries: list[dict[str, Any]]) -> None:
    assert len(push.readings) == len(entries)
    for reading, entry in zip(push.readings, entries, strict=True):
        assert reading.obis is not None
        assert reading.obis.dotted == entry["obis"]
        assert (reading.class_id, reading.attribute) == (entry["class_id"], entry["attribute"])
        assert plain(reading.raw) == entry["value"]["v"]


def plain(value: Value) -> object:
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["name"])
class TestEveryCapture:
    def test_whole(self, case: dict[str, Any]) -> None:
        decoder = decoder_for(case)
        items = decoder.feed(octets_of(case)) + decoder.end()
        (push,) = items
        assert isinstance(push, Push)
        check(push, case)

    def test_octet_by_octet(self, case: dict[str, Any]) -> None:
        decoder = decoder_for(case)
        items = [item for octet in octets_of(case) for item in decoder.feed(bytes((octet,)))] + decoder.end()
        (push,) = items
        assert isinstance(push, Push)
        check(push, case)

    def test_cut_at_random(self, case: dict[str, Any]) -> None:
        for seed in range(30):
            dice = random.Random(seed)
            decoder = decoder_for(case)
            items = [item for piece in pieces(octets_of(case), dice) for item in decoder.feed(piece)] + decoder.end()
            (push,) = items
            assert isinstance(push, Push), seed
            check(push, case)

    def test_among_noise(self, case: dict[str, Any]) -> None:
        if case["kind"] in ("push-raw", "apdu"):
            pytest.skip("an APDU without a frame has no mark that tells it from the noise before it")
        for seed in range(30):
            dice = random.Random(seed)
            decoder = decoder_for(case)
            stream = b"".join(noise(dice) + octets_of(case) for _ in range(3)) + noise(dice)
            items = [item for piece in pieces(stream, dice, 200) for item in decoder.feed(piece)] + decoder.end()
            found = pushes(items)
            assert len(found) == 3, seed
            for push in found:
                check(push, case)
            assert not [item for item in items if isinstance(item, Undecoded)], seed

    def test_without_a_frame_after_a_pause(self, case: dict[str, Any]) -> None:
        for seed in range(10):
            dice = random.Random(seed)
            decoder = decoder_for(case)
            items = decoder.feed(noise(dice)) + decoder.idle()
            items += decoder.feed(octets_of(case)) + decoder.idle()
            items += decoder.feed(noise(dice)) + decoder.idle() + decoder.feed(octets_of(case)) + decoder.end()
            found = pushes(items)
            assert len(found) == 2, seed
            for push in found:
                check(push, case)


def test_all_in_one_stream() -> None:
    framed = [case for case in READABLE if case["kind"] in ("push-hdlc", "push-mbus")]
    keys = KeyTable()
    for case in framed:
        if case.get("keys"):
            title = case["expected"]["ciphering"]["system_title"]
            given = case["keys"]
            keys.add(
                title,
                MeterKeys(
                    given["encryption_key"],
                    given.get("authentication_key"),
                    check_replay=False,
                    allow_example_keys=True,
                    without_verifying="authentication_key" not in given,
                ),
            )
    for seed in range(20):
        dice = random.Random(seed)
        order = framed * 2
        dice.shuffle(order)
        stream = b"".join(noise(dice) + octets_of(case) for case in order)
        decoder = PushDecoder(keys, accept_plain=True)
        items = [item for piece in pieces(stream, dice, 5000) for item in decoder.feed(piece)] + decoder.end()
        found = pushes(items)
        assert len(found) == len(order), seed
        for push, case in zip(found, order, strict=True):
            check(push, case)


def test_what_cannot_be_read_is_one_sentence() -> None:
    expected = {
        "nokey-iskraemeco-am550-hdlc-2": Diagnosis.KEY_MISSING,
        "nokey-landis-gyr-e450-wiener-netze-hdlc": Diagnosis.KEY_MISSING,
        "sagemcom-t210d-mbus-length-field-overflow": Diagnosis.KEY_MISSING,
        "austria-ewr-kaifa-ma309m-mbus": Diagnosis.TRUNCATED,
    }
    for name, diagnosis in expected.items():
        case = BY_NAME[name]
        decoder = decoder_for(case)
        told = [item for item in decoder.feed(octets_of(case)) + decoder.end() if not isinstance(item, Dropped)]
        if case["kind"] == "push-hdlc":  # one of several segments: the rest was not captured
            assert len(told) <= 1
            continue
        (undecoded,) = told
        assert isinstance(undecoded, Undecoded)
        assert undecoded.diagnosis is diagnosis
        assert "\n" not in undecoded.text


def test_counters_are_seen_by_all_decoders_of_one_interpreter() -> None:
    case = BY_NAME["austria-landis-gyr-e450-gbt-encrypted"]
    interpreter = Interpreter(MeterKeys(case["keys"]["encryption_key"], case["keys"]["authentication_key"]))
    first = PushDecoder(interpreter=interpreter.at("tcp://192.0.2.1:1000"))
    second = PushDecoder(interpreter=interpreter.at("tcp://192.0.2.2:1000"))
    assert isinstance(first.feed(octets_of(case))[0], Push)
    (again,) = second.feed(octets_of(case))
    assert isinstance(again, Undecoded)
    assert again.diagnosis is Diagnosis.COUNTER_WENT_BACK


def test_the_user_s_name_and_layout_of_a_meter() -> None:
    case = BY_NAME["austria-landis-gyr-e450-gbt-encrypted"]
    title = bytes.fromhex(case["expected"]["ciphering"]["system_title"])
    keys = MeterKeys(case["keys"]["encryption_key"], case["keys"]["authentication_key"])
    decoder = PushDecoder(keys, meters=MetersByTitle({title: KnownMeter("cellar")}))
    (push,) = decoder.feed(octets_of(case))
    assert isinstance(push, Push)
    assert push.meter == "cellar"
    decoder = PushDecoder(keys, meters=MetersByTitle({bytes(8): KnownMeter("roof")}))
    (push,) = decoder.feed(octets_of(case))
    assert isinstance(push, Push)
    assert push.meter is None


def test_date_time_and_invoke_id_as_the_collection_has_them() -> None:
    from cosemic import decode_apdu
    from cosemic.push.reader import StreamReader

    count = 0
    for case in READABLE:
        notification = case["expected"].get("notification")
        if notification is None or "ciphering" in case["expected"]:
            continue
        reader = StreamReader()
        (telegram,) = reader.feed(octets_of(case)) + reader.end()
        apdu: Any = decode_apdu(telegram.octets)
        assert long_invoke_json(apdu)["long_invoke_id_and_priority"] == notification["long_invoke_id_and_priority"]
        assert date_time_json(apdu.date_time) == notification["date_time"]
        count += 1
    assert count > 20
