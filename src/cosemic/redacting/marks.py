"""Masks written into buffers, and what has to be looked at again when everything was seen."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from cosemic.redacting.pseudonyms import Pseudonyms
from cosemic.redacting.scatter import Scatter


class Keep(enum.Enum):
    """What may stay on request; the value says what that tells."""

    TITLES = "titles"
    """System titles: with the key, the ciphertext can be opened then."""
    TEXTS = "texts"
    """Texts of objects that are not known to identify: names of types, versions, tariffs."""
    ADDRESSES = "addresses"
    """IP addresses, host names, devices, physical addresses of HDLC."""
    UNKNOWN = "unknown"
    """What cannot be understood: noise, damaged frames, content of other protocols."""


@dataclass(slots=True)
class Marks:
    """Writes the masks of one run and counts them."""

    pseudonyms: Pseudonyms
    keep: Collection[Keep] = ()
    masked: int = 0
    unknown_octets: int = 0
    _kept: list[tuple[Scatter, bool]] = field(default_factory=list)

    @property
    def keeps_texts(self) -> bool:
        """Whether texts stay that are not known to identify."""
        return Keep.TEXTS in self.keep

    def title(self, part: Scatter) -> None:
        """A system title."""
        self._write(part, self.title_of(part.read()))

    def title_of(self, title: bytes) -> bytes:
        """What stands in the place of a system title."""
        return title if Keep.TITLES in self.keep else self.pseudonyms.octets(title)

    def octets(self, part: Scatter, *, in_hex: bool = False) -> None:
        """A text, a number in text, or octets of some meaning; ``in_hex`` as of :class:`Pseudonyms`."""
        octets = part.read()
        kept = Keep.TITLES in self.keep and len(octets) == 8 and octets[:3].isalpha() and octets[:3].isupper()
        self._write(part, octets if kept else self.pseudonyms.octets(octets, in_hex=in_hex))

    def secret(self, part: Scatter) -> None:
        """A key, a password, a challenge, a signature."""
        self._write(part, self.pseudonyms.secret(part.read()))

    def number(self, part: Scatter, *, signed: bool) -> None:
        """A number that identifies."""
        octets = part.read()
        number = int.from_bytes(octets, "big", signed=signed)
        masked = self.pseudonyms.number(number, len(octets), signed=signed)
        self._write(part, masked.to_bytes(len(octets), "big", signed=signed))

    def kept(self, part: Scatter, *, signed: bool) -> None:
        """A number that stays, unless it turns out to be what was masked elsewhere."""
        self._kept.append((part, signed))

    def unknown(self, part: Scatter) -> None:
        """What was not understood: zeros in its place."""
        if Keep.UNKNOWN not in self.keep:
            self.unknown_octets += len(part)
            part.write(bytes(len(part)))

    def finish(self) -> None:
        """Mask the numbers that stayed and are known to identify now. Before anything is sealed."""
        for part, signed in self._kept:
            if abs(int.from_bytes(part.read(), "big", signed=signed)) in self.pseudonyms.numbers:
                self.number(part, signed=signed)
        self._kept.clear()

    def _write(self, part: Scatter, octets: bytes) -> None:
        self.masked += octets != part.read()
        part.write(octets)
