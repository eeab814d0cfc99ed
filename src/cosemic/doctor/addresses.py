"""Which HDLC addresses to try for a meter whose address nobody knows, the likeliest first."""

from __future__ import annotations

import re

from cosemic.link.addresses import CALLING_STATION, HdlcAddress

_USUAL_PHYSICAL = (16, 17, 1)
"""16 is the first address that the standard leaves free, 17 what many makers deliver with."""


def candidates(
    server: int | None, physical: int | None, size: int | None, serial_number: str | None
) -> list[HdlcAddress]:
    """Server addresses to try. What the user knows is taken as it is; what is not known is guessed, each once.

    The calling-station address is answered by the one meter that is on the line, with its true address
    (IEC 62056-46, 6.4.2.5), so it comes before the guesses.
    """
    logical = 1 if server is None else server
    found: list[HdlcAddress] = []
    if physical is not None:
        sizes = (size,) if size else (2, 4)
        _add(found, logical, physical, sizes)
        if server is None:
            _add(found, physical, None, (1,))
        return found
    if size == 1:
        return [HdlcAddress(logical)] if logical <= 0x7F else []
    for guess in physicals(serial_number) if serial_number else ():
        _add(found, logical, guess, (size,) if size else (4, 2))
    if size is None and logical <= 0x7F:
        found.append(HdlcAddress(logical))
    for octets in (2, 4):
        if size in (None, octets):
            _add(found, logical, CALLING_STATION[octets], (octets,))
    for guess in _USUAL_PHYSICAL:
        _add(found, logical, guess, (size,) if size else (2, 4))
    if server is None and size is None:
        # meters without logical devices, by their physical address alone
        found += [HdlcAddress(16), HdlcAddress(17)]
    return found


def physicals(serial_number: str) -> list[int]:
    """Physical addresses that makers derive from a serial number, the most usual rule first.

    The last four digits plus 1000; the last four digits; the last five modulo 15000, plus 15000 below 17; the last two
    plus 16.
    """
    digits = re.sub(r"\D", "", serial_number)
    if not digits:
        return []
    last_five = int(digits[-5:]) % 15000
    guesses = (
        int(digits[-4:]) + 1000,
        int(digits[-4:]),
        last_five + 15000 if last_five < 17 else last_five,
        int(digits[-2:]) + 16,
    )
    found: list[int] = []
    for guess in guesses:
        if 0 < guess < CALLING_STATION[4] and guess not in found:
            found.append(guess)
    return found


def describe(address: HdlcAddress) -> str:
    """``1/17 in 2 octets``."""
    octets = len(address.octets)
    text = f"{address.logical}" if address.physical is None else f"{address.logical}/{address.physical}"
    if address.is_calling_station:
        text = f"{address.logical}/calling station"
    return f"{text} in {octets} octet{'s' if octets > 1 else ''}"


def _add(found: list[HdlcAddress], logical: int, physical: int | None, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        try:
            address = HdlcAddress(logical, physical, size)
        except ValueError:
            continue
        if all(address.octets != known.octets for known in found):
            found.append(address)
