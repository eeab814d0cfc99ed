"""The captures of pushes in the shared collection, and noise to put around them."""

from __future__ import annotations

import random
from typing import Any

from cosemic.push.decoder import PushDecoder
from cosemic.push.protection.keys import MeterKeys
from tests.vectors.collection import load

KINDS = ("push-hdlc", "push-mbus", "push-raw", "mbus-quirk")
TOPICS = ("pushes", "issue-captures")
CASES: list[dict[str, Any]] = [case for topic in TOPICS for case in load(topic) if case["kind"] in KINDS]
APDUS: list[dict[str, Any]] = [
    case
    for case in load("issue-captures")
    if case["kind"] == "apdu" and case["expected"].get("apdu") == "data-notification"
]
#: what has no key, or is damaged beyond what a tag would bear: told, not read
UNREADABLE = {
    "nokey-iskraemeco-am550-hdlc-2",
    "nokey-landis-gyr-e450-wiener-netze-hdlc",
    "sagemcom-t210d-mbus-length-field-overflow",
    "austria-ewr-kaifa-ma309m-mbus",
}
READABLE = [case for case in CASES + APDUS if case["name"] not in UNREADABLE]


def octets_of(case: dict[str, Any]) -> bytes:
    """The octets as they came over the line."""
    return bytes.fromhex(case["bytes"])


def decoder_for(case: dict[str, Any], **options: Any) -> PushDecoder:
    """A decoder with the keys of the case, taking the same message again and again."""
    keys = case.get("keys")
    if not keys:
        return PushDecoder(None, **options)
    meter = MeterKeys(
        keys["encryption_key"],
        keys.get("authentication_key"),
        check_replay=False,
        allow_example_keys=True,
        without_verifying="authentication_key" not in keys,
    )
    return PushDecoder(meter, **options)


def pieces(octets: bytes, dice: random.Random, most: int = 40) -> list[bytes]:
    """The octets cut at random."""
    cuts, at = [], 0
    while at < len(octets):
        size = dice.randint(1, most)
        cuts.append(octets[at : at + size])
        at += size
    return cuts


def noise(dice: random.Random, most: int = 60) -> bytes:
    """Octets of a line that nobody speaks on, with beginnings of frames among them."""
    out = bytearray(dice.randbytes(dice.randint(1, most)))
    for _ in range(dice.randint(0, 2)):
        beginning = dice.choice((b"\x7e", b"\x7e\xa0\x20", b"\x68", b"\x68\x20\x20\x68", b"\xe5", b"/", b"\x00\x01"))
        out[dice.randrange(len(out)) : 0] = beginning
    return bytes(out)
