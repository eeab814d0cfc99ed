"""The plain notifications of the shared collection, and what they say."""

from __future__ import annotations

from typing import Any

from cosemic.codec import axdr
from cosemic.push.meaning.interpreting import interpret
from cosemic.push.messages import Push
from cosemic.push.telegrams import Framing, Telegram
from tests.vectors.collection import load


def plain_apdu(case: dict[str, Any]) -> bytes:
    """The notification of a case without frames and protection."""
    expected = case["expected"]
    return bytes.fromhex(expected.get("plaintext") or expected.get("apdu_hex") or case["bytes"])


CASES: list[dict[str, Any]] = [
    case
    for topic in ("pushes", "issue-captures")
    for case in load(topic)
    if "notification" in case["expected"] or "entries" in case["expected"]
]
BY_NAME = {case["name"]: case for case in CASES}
TELEGRAM = Telegram(Framing.APDU, b"")


def understand(case_or_apdu: dict[str, Any] | bytes, **options: Any) -> Push:
    """What the library makes of a case or of the octets of an APDU."""
    apdu = case_or_apdu if isinstance(case_or_apdu, bytes) else plain_apdu(case_or_apdu)
    return interpret(TELEGRAM, apdu, **options)


def notification(body: axdr.Typed, date_time: bytes = b"", invoke: int = 1) -> bytes:
    """A data-notification with that body."""
    return b"\x0f" + invoke.to_bytes(4, "big") + bytes((len(date_time),)) + date_time + axdr.encode(body)


def obis(text: str) -> axdr.Typed:
    """An OBIS code as an octet-string."""
    from cosemic.obis import ObisCode

    return axdr.octet_string(bytes(ObisCode.parse(text)))


def scaler_unit(scaler: int, unit: int) -> axdr.Typed:
    """A scaler_unit."""
    return axdr.structure(axdr.integer(scaler), axdr.enum(unit))
