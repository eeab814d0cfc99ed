"""What stands in the place of what is masked: the same for the same, of the same length and kind, and no way back.

Everything is derived from a salt that is drawn for each run and kept nowhere, so that the masks of two runs cannot be
compared, and nobody can try serial numbers until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets

_FLAG = re.compile(rb"[A-Z]{3}(?=.{4})", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{5,}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_DEVICE = re.compile(r"(?:/dev/)?(?:tty[A-Za-z]{0,4}[0-9]{0,3}|COM[0-9]{1,3}|pts/[0-9]{1,3}|)")
_SETTING = r"(?:baud(?:rate)?|bytesize|data_?bits|parity|stop_?bits|idle|framing|timeout)=(?:[A-Za-z]{1,8}|[0-9.]{1,6})"
_SETTINGS = re.compile(rf"{_SETTING}(?:&{_SETTING})*")
_PRINTABLE = frozenset(range(32, 127))
_MOST_TRIES = 64
_TITLE = 8


class Pseudonyms:
    """The masks of one run. ``salt`` is drawn where it is not given, as a test may."""

    def __init__(self, salt: bytes | None = None) -> None:
        self._salt = secrets.token_bytes(32) if salt is None else salt
        self._known: dict[tuple[str, bytes], bytes] = {}
        self._hosts: dict[str, str] = {}
        self._taken: set[str] = set()
        self.numbers: set[int] = set()
        """What was masked, wherever it can be read as a number of five digits and more."""

    def __repr__(self) -> str:
        return f"<Pseudonyms, {len(self._known)} masks>"

    @property
    def count(self) -> int:
        """How many different things were masked."""
        return len(self._known) + len(self._hosts)

    def octets(self, original: bytes, *, in_hex: bool = False) -> bytes:
        """For octets of any kind: text stays text, digits digits. Three letters of a manufacturer stay in front.

        What has but one value throughout (zeros, blanks) tells nothing and stays. ``in_hex`` says that a text may be
        the hexadecimal digits of another one, as in P1 ports.
        """
        if len(set(original)) < 2 and (len(original) > 1 or not any(original)):
            return original
        self._remember(original)
        text = original.rstrip(b"\x00")
        if text and all(octet in _PRINTABLE for octet in text):
            if in_hex and (inner := _text_in_hex(original)) is not None:
                shown = self.octets(inner).hex()
                return (shown.upper() if original == original.upper() else shown).encode()
            kept = 0 if text[3:4].isalpha() and len(text) != _TITLE else _flag(text)  # a word, or a name
            return text[:kept] + self._mask("text", text[kept:]) + original[len(text) :]
        kept = _flag(original)
        return original[:kept] + self._mask("octets", original[kept:])

    def secret(self, original: bytes) -> bytes:
        """For keys, passwords, challenges: nothing of them stays but the length."""
        return self._mask("secret", original) if original else original

    def number(self, original: int, size: int, *, signed: bool = False) -> int:
        """For a number in ``size`` octets: one with as many digits that fits there."""
        if -10 < original < 10:
            return original
        self._remember(str(abs(original)).encode())
        limit = 1 << (8 * size - signed)
        digits = self._mask("text", str(abs(original)).encode())
        number = int(digits)
        while number >= limit:
            number //= 10
        if number == abs(original):
            number = (number + 1) % limit
        return -number if original < 0 else number

    def address(self, text: str) -> str:
        """For an IP address: one of the ranges for tests and documentation; for a name: ``host-N.example``."""
        known = self._hosts.get(text)
        if known is not None:
            return known
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            known = f"host-{len(self._hosts) + 1}.example"
        else:
            for attempt in range(_MOST_TRIES):
                drawn = self._stream("address", text.encode() + bytes((attempt,)), 8)
                if address.version == 4:
                    number = 0xC6120000 | int.from_bytes(drawn, "big") % 0x1FFFE + 1  # 198.18.0.0/15
                    known = str(ipaddress.IPv4Address(number))
                else:
                    known = str(ipaddress.IPv6Address(0x20010DB8 << 96 | int.from_bytes(drawn, "big")))
                if known not in self._taken and known != text:
                    break
        assert known is not None
        self._hosts[text] = known
        self._taken.add(known)
        return known

    def device(self, text: str) -> str:
        """For a serial device with or without its settings: long names have the serial number of an adapter in them."""
        path, mark, settings = text.partition("?")
        shown = path.rpartition("/")[2]
        if not _DEVICE.fullmatch(path):
            shown = self._hosts.setdefault(path, f"device-{len(self._hosts) + 1}")
        elif path.startswith("/dev/"):
            shown = path
        return shown + mark + settings if _SETTINGS.fullmatch(settings) else shown

    def _mask(self, kind: str, original: bytes) -> bytes:
        known = self._known.get((kind, original))
        if known is not None:
            return known
        mask = original
        for attempt in range(_MOST_TRIES):
            drawn = self._stream(kind, original + bytes((attempt,)), len(original))
            mask = _like(original, drawn) if kind == "text" else drawn
            if mask != original:
                break
        self._known[kind, original] = mask
        return mask

    def _stream(self, kind: str, original: bytes, length: int) -> bytes:
        key = hmac.digest(self._salt, kind.encode() + b"\x00" + original, "sha256")
        return hashlib.shake_256(key).digest(length)

    def _remember(self, original: bytes) -> None:
        """What a reader could find again as a number: digits in text, digits of BCD, the octets themselves."""
        found = {int(digits) for digits in _DIGITS.findall(original.decode("latin-1"))}
        if original.hex().isdecimal():
            found.add(int(original.hex()))
        for tail in range(4, min(len(original), 8) + 1):
            found.add(int.from_bytes(original[-tail:], "big"))
            found.add(int.from_bytes(original[-tail:], "little"))
        self.numbers.update(number for number in found if number >= 10_000)


def _flag(octets: bytes) -> int:
    """How many octets in front are the letters of a manufacturer."""
    return 3 if _FLAG.match(octets) else 0


def _like(original: bytes, drawn: bytes) -> bytes:
    """Letters for letters, digits for digits; the first digit of a number does not become 0."""
    mask = bytearray(original)
    for place, (octet, number) in enumerate(zip(original, drawn, strict=True)):
        if 48 <= octet <= 57:
            leads = octet != 48 and (not place or not 48 <= original[place - 1] <= 57)
            mask[place] = 49 + number % 9 if leads else 48 + number % 10
        elif 65 <= octet <= 90:
            mask[place] = 65 + number % (6 if _is_hexadecimal(original) else 26)
        elif 97 <= octet <= 122:
            mask[place] = 97 + number % (6 if _is_hexadecimal(original) else 26)
    return bytes(mask)


def _is_hexadecimal(octets: bytes) -> bool:
    return bool(_HEX.fullmatch(octets)) and any(48 <= octet <= 57 for octet in octets)


def _text_in_hex(octets: bytes) -> bytes | None:
    """The text that a text of hexadecimal digits stands for, as P1 ports send it."""
    if len(octets) < 4 or len(octets) % 2 or not _HEX.fullmatch(octets):
        return None
    inner = bytes.fromhex(octets.decode("ascii"))
    return inner if all(octet in _PRINTABLE for octet in inner) else None
