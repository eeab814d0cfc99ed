"""What the tests of redaction share: decoding before and after, and a search for what must not be left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cosemic.captures import Chunk, open_capture
from cosemic.explain import Keys
from cosemic.push.decoder import PushDecoder
from cosemic.push.messages import Decoded
from cosemic.push.protection.keys import KeyTable, MeterKeys
from cosemic.redacting import Redacted, redact

SALT = b"the same in each run of a test"
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "recorded"
_TEXT = re.compile(rb"[A-Za-z0-9]{7,64}")


def lines(case: dict[str, Any]) -> list[str]:
    """The octets of a case, as a text capture has them."""
    octets = case["bytes"]
    return [octets] if isinstance(octets, str) else list(octets)


def keys_of(case: dict[str, Any]) -> tuple[str | None, str | None]:
    keys = case.get("keys") or {}
    return keys.get("encryption_key"), keys.get("authentication_key")


def redacted(texts: Sequence[str], ek: str | None = None, ak: str | None = None, **more: Any) -> Redacted:
    keys = [Keys(ek, ak)] if ek is not None else []
    return redact(open_capture("\n".join(texts).encode()), keys=keys, salt=SALT, **more)


def decoded(pieces: Iterable[bytes], ek: bytes | str | None = None, ak: bytes | str | None = None) -> list[Decoded]:
    """What the pushes mean; example keys are keys too."""
    keys = None if ek is None else KeyTable(default=MeterKeys(ek, ak, allow_example_keys=True))
    decoder = PushDecoder(keys)
    found: list[Decoded] = []
    for piece in pieces:
        found += decoder.feed(piece)
    return found + decoder.end()


def joined(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(chunk.octets for chunk in chunks)


def serial_numbers(octets: bytes) -> set[bytes]:
    """Texts with six digits and more: what a reader of the octets would take for a serial number."""
    found = set(_TEXT.findall(octets))
    return {text for text in found if sum(48 <= octet <= 57 for octet in text) >= 6 and len(set(text)) > 2}


def forms(identity: bytes) -> set[bytes]:
    """An identity as it may stand in octets: itself, in hexadecimal, turned round, its digits as a number or BCD."""
    found = {identity, identity[::-1], identity.hex().encode(), identity.hex().upper().encode()}
    digits = re.sub(rb"[^0-9]", b"", identity)
    if len(digits) >= 7:
        number = int(digits)
        found |= {digits, digits[::-1]}
        for size in (4, 8):
            if number < 1 << 8 * size and number >= 1 << 24:
                found |= {number.to_bytes(size, "big"), number.to_bytes(size, "little")}
        bcd = bytes.fromhex(("0" if len(digits) % 2 else "") + digits.decode())
        found |= {bcd, bcd[::-1]}
    return found


def left(identities: Iterable[bytes], octets: bytes) -> set[bytes]:
    """The identities that can still be found."""
    folded = octets.lower()
    return {one for one in identities if any(form in octets or form.lower() in folded for form in forms(one))}


def describe(item: Decoded) -> str:
    return json.dumps(str(item))[:200]
