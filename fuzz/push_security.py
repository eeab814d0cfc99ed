"""Fuzz targets for protected pushes: nobody without the keys makes one that counts as verified, and none raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cosemic.push.protection.decryption import PushRefused, PushSecurity
from cosemic.push.protection.forms import KnownForms
from cosemic.push.protection.general_keys import GeneralKeys
from cosemic.push.protection.keys import BROADCAST, ENCRYPTION, MeterKeys
from cosemic.push.protection.plausibility import Likeness, judge
from cosemic.security.suites import GeneralAad
from fuzz.violation import require

TITLE = b"FUZ" + bytes.fromhex("0102030405")
KEY, AUTHENTICATION_KEY, BROADCAST_KEY = (bytes(range(start, start + 16)) for start in (0x31, 0x52, 0x73))
PUSH = bytes.fromhex("0F000000010C07EA0605050C252D00FF888002020906 0100010800FF0600000007".replace(" ", ""))
TEXT = b"/FUZ5X\r\n\r\n1-0:1.8.0(000001.000*kWh)\r\n!0000\r\n"


def push_security(data: bytes) -> None:
    """Under strict and lenient keys: PushRefused or a message; a verified one is a seed, whatever is around it."""
    for has_tag_key, is_lenient in ((True, False), (True, True), (False, False), (False, True)):
        keys = _keys(AUTHENTICATION_KEY if has_tag_key else None, is_lenient)
        security = PushSecurity(keys, system_title=TITLE)
        try:
            opened = security.open(data)
        except PushRefused as refused:
            text = str(refused)
            require(len(text) < 700, "a long sentence", text)
            for secret in (KEY, AUTHENTICATION_KEY, BROADCAST_KEY, PUSH[18:]):
                require(secret.hex() not in text.lower(), "a secret is told", text)
            continue
        protection = opened.protection
        require(protection is not None, "a plain message is taken", data)
        assert protection is not None
        if protection.is_verified:
            require(opened.apdu in (PUSH, TEXT), "a forged message is called verified", opened)
        else:
            require(not has_tag_key or is_lenient, "a message without a tag is taken", opened)
            require(judge(opened.apdu).likeness >= Likeness.BENT, "a message without proof is no push", opened)
        try:
            security.open(data)
        except PushRefused:
            continue
        require(False, "the same message is taken twice", opened)


def push_likeness(data: bytes) -> None:
    """A form that was learned changes no judgement, and judging never raises."""
    forms = KnownForms()
    first = judge(data, forms=forms)
    require(judge(data, forms=forms) == first == judge(data), "a learned form changes the judgement", first)
    require(first.reach <= len(data), "it makes sense beyond its end", first)
    if len(data) > 20:
        other = data[:-1] + bytes([data[-1] ^ 0x55])
        require(judge(other, forms=forms) == judge(other), "a learned form changes the judgement of another", other)


TARGETS: dict[str, Callable[[bytes], None]] = {"push-security": push_security, "push-likeness": push_likeness}


def seeds(name: str) -> Iterator[bytes]:
    """Messages in every protection, and what is inside them."""
    if name == "push-likeness":
        yield from (PUSH, TEXT, PUSH[:5] + b"\0" + PUSH[18:], bytes.fromhex("C2000001 0000600100FF 02 0600000007"))
        return
    keys = _keys(AUTHENTICATION_KEY, False)
    for counter, control in enumerate((0x30, 0x20, 0x10, 0x00, 0x31, 0x70)):
        cipher = keys.cipher(BROADCAST if control & 0x40 else ENCRYPTION)
        assert cipher is not None
        for plain in (PUSH, TEXT):
            content = cipher.seal(control, TITLE, counter, plain, cipher.associated(control))
            yield b"\xdb\x08" + TITLE + _length(content) + content
            yield b"\xdb\x00" + _length(content) + content
            yield b"\xdd\x00\x08" + TITLE + b"\0\0\0\x00" + _length(content) + content


def _keys(authentication_key: bytes | None, is_lenient: bool) -> MeterKeys:
    return MeterKeys(
        KEY,
        authentication_key,
        broadcast_key=BROADCAST_KEY,
        general=GeneralKeys(general_aad=GeneralAad.WITHOUT_HEADER),
        without_verifying=is_lenient,
    )


def _length(content: bytes) -> bytes:
    return bytes([len(content)]) if len(content) < 0x80 else bytes([0x81, len(content)])
