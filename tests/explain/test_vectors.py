"""The shared vectors through explain: every octet accounted for, known faults only, and the facts expected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cosemic.explain import Explainer, Explanation, Keys
from tests.vectors.collection import FOLDER, REASON, load

TOPICS = ("xdlms", "acse", "pushes", "issue-captures")
PRIVATE = ("private_originator", "private_recipient")
NOT_OCTETS_OF_A_MESSAGE = {"ecdsa", "ecdh", "kdf", "key-wrap", "hls-hash", "hls-gmac", "hls-mech2"}
MISREADINGS = {
    "constructed:gbt-first-streaming": "its block holds the beginning of an APDU only, though it says it is the last",
    "austria-ewr-kaifa-ma309m-mbus": "its contributor says that the plaintext makes sense in its first 240 octets only",
    "energyict:aare-conformance-length-3": "a length that is one too long",
}


def cases(*topics: str) -> list[Any]:
    return [pytest.param(case, id=f"{topic}-{case['name']}") for topic in topics for case in load(topic)]


def parts_of(case: dict[str, Any]) -> list[bytes]:
    octets = case["bytes"] if isinstance(case["bytes"], list) else [case["bytes"]]
    return [bytes.fromhex(part) for part in octets]


def keys_of(case: dict[str, Any]) -> Keys:
    given = case.get("keys") or {}
    titles = tuple(value for name, value in given.items() if "title" in name and len(value) == 16)
    private = tuple(given[name] for name in PRIVATE if name in given)
    public: tuple[bytes, ...] = ()
    if "private_key" in given:
        from cosemic.security.public_keys import load_private

        public = (load_private(given["private_key"]).public,)
    elif private:
        from cosemic.security.public_keys import load_private

        public = tuple(load_private(key).public for key in private)
        if len(private) > 1:
            private = private[1:]  # what the recipient has, and the public key of the originator
    return Keys(
        given.get("encryption_key"),
        given.get("authentication_key"),
        titles,
        given.get("dedicated_key"),
        given.get("broadcast_key"),
        given.get("kek"),
        private,
        public,
    )


def explained(case: dict[str, Any]) -> Explanation:
    explainer = Explainer(keys_of(case))
    lines = []
    for octets in parts_of(case):
        explanation = explainer.explain(octets)
        shown = b"".join(line.octets for line in explanation.lines if line.buffer == "input")
        assert shown == octets, "every octet stands in exactly one line, in order"
        lines += explanation.lines
    return Explanation(tuple(lines))


@pytest.mark.skipif(not FOLDER.exists(), reason=REASON)
@pytest.mark.parametrize("case", cases(*TOPICS))
def test_messages(case: dict[str, Any]) -> None:
    explanation = explained(case)
    expected = case["expected"]
    if "error" in json.dumps(expected)[:20]:
        return  # that octets which make no sense are told as such is for test_explain
    if case["name"] in MISREADINGS:
        assert not explanation.ok
        return
    assert explanation.ok, explanation.fault
    told = set(_facts(expected))
    text = explanation.to_json().lower()
    missing = [fact for fact in told if fact not in text]
    assert not missing, f"not in the explanation: {missing}"


def _facts(expected: object) -> list[str]:
    """What an explanation has to name: octet strings, names of APDUs, OBIS codes, PDU sizes, counters."""
    found: list[str] = []
    if isinstance(expected, dict):
        if expected.get("t") == "octet-string" and expected.get("v"):
            found.append(str(expected["v"]))
        for name, value in expected.items():
            if name in ("instance", "conformance_hex", "system_title") and isinstance(value, str):
                found.append(value)
            elif name in ("invocation_counter", "long_invoke_id", "block_number") and isinstance(value, int):
                found.append(f"{value}")
            elif name not in ("plaintext_decoded", "expected_peers"):
                found += _facts(value)
    elif isinstance(expected, list):
        for item in expected:
            found += _facts(item)
    return found


@pytest.mark.skipif(not FOLDER.exists(), reason=REASON)
@pytest.mark.parametrize("case", cases("security"))
def test_security(case: dict[str, Any]) -> None:
    kind, expected = case["kind"], case["expected"]
    explanation = explained(case)
    if kind in NOT_OCTETS_OF_A_MESSAGE:
        return
    plain = [line for line in explanation.lines if line.buffer.startswith("plaintext")]
    if "error" in expected:
        assert not explanation.ok or not plain
        return
    assert explanation.ok, explanation.fault
    if kind == "general-signing":
        (signature,) = (line for line in explanation.lines if line.field == "signature")
        assert signature.meaning.startswith("signature ok (without length), by the public key 60FED4BA")
        return
    if "plaintext" in expected and plain:
        assert b"".join(line.octets for line in plain).hex() == expected["plaintext"]
    (said,) = (line.meaning for line in explanation.lines if line.field in ("plaintext", "not deciphered"))
    if kind == "general-ciphering":
        reading = "leaves out the header" if "aad-sc_ak" in case["name"] else "covers the header"
        assert reading in said
        assert ("under the agreed key" in said) == ("agreed" in case["name"])


@pytest.mark.skipif(not FOLDER.exists(), reason=REASON)
@pytest.mark.parametrize("case", cases("security"))
def test_without_keys_it_says_what_was_not_checked(case: dict[str, Any]) -> None:
    if case["kind"] not in ("general-ciphering", "general-signing", "ciphered-apdu") or "error" in case["expected"]:
        return
    explainer = Explainer()
    for octets in parts_of(case):
        explanation = explainer.explain(octets)
        assert explanation.ok, explanation.fault
        text = explanation.to_text()
        protected = "not protected" not in text
        assert not protected or "not checked" in text or "not deciphered" in text
