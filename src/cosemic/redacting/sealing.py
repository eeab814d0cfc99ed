"""Ciphered content opened with the keys that were given, and sealed again under keys that are made for the result."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cosemic.errors import DlmsError
from cosemic.explain.annotations import Cursor, Fault, Page
from cosemic.explain.apdus import walk_apdu
from cosemic.explain.conversation import Conversation, Keys
from cosemic.push.protection.plausibility import Likeness, judge
from cosemic.redacting.pseudonyms import Pseudonyms
from cosemic.security.cipher import CipherKey
from cosemic.security.suites import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED, HEADER, HEADER_LENGTH, TAG_LENGTH

_LEAST_REACH = 40
"""Octets that make sense one after the other: by chance never."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was inside, with what it was opened."""

    plain: bytes
    title: bytes
    key: bytes = field(repr=False)
    covers_header: bool = False


@dataclass(frozen=True, slots=True)
class ThrowAwayKeys:
    """The keys of the result. They protect nothing but it, and may be told to everybody."""

    encryption_key: bytes | None = None
    authentication_key: bytes | None = None
    broadcast_key: bytes | None = None
    dedicated_key: bytes | None = None
    """Only where it was given: one that the capture carries is in the result too."""


class Sealing:
    """Opens with ``keys`` and seals with keys of its own: one authentication key, one for each encryption key."""

    def __init__(self, keys: Sequence[Keys], pseudonyms: Pseudonyms) -> None:
        self._keys = keys
        self._pseudonyms = pseudonyms
        self._made: dict[bytes, bytes] = {}
        self._authentication = secrets.token_bytes(16)
        self.titles = tuple(title for one in keys for title in one.system_titles if isinstance(title, bytes))
        """Titles that were given besides those in the capture."""
        self.titles_told: list[bytes] = []
        """The masks of those titles, where something was opened with them: the result has them nowhere else."""
        self._dedicated: set[bytes] = set()
        self.opened = 0
        self.left_closed = 0

    def __repr__(self) -> str:
        return f"<Sealing, {self.opened} opened>"

    def open(
        self, control: int, counter: int, payload: bytes, titles: Sequence[bytes], *, dedicated: bytes | None,
        is_dedicated: bool, header: bytes | None = None,
    ) -> Opened | None:  # fmt: skip
        """What is inside ``payload`` (ciphertext and tag), or None; with any of the titles."""
        if control & COMPRESSED or not control & (AUTHENTICATED | ENCRYPTED):
            return None
        for key, authentication in self._candidates(control, dedicated, is_dedicated):
            for title in dict.fromkeys(titles):
                opened = _open(control, counter, payload, title, key, authentication, header)
                if opened is not None:
                    self.opened += 1
                    return opened
        self.left_closed += 1
        return None

    def seal(
        self, opened: Opened, control: int, counter: int, plain: bytes, title: bytes, *, is_dedicated: bool,
        header: bytes = b"",
    ) -> bytes:  # fmt: skip
        """Ciphertext and tag for the masked content, under the key that stands for the one it was opened with."""
        key = self._pseudonyms.secret(opened.key) if is_dedicated else self.made_for(opened.key)
        if is_dedicated:
            self._dedicated.add(opened.key)
        if opened.title in self.titles and title not in self.titles_told:
            self.titles_told.append(title)
        cipher = CipherKey(key, self._authentication_key(len(key)), "key of the result")
        associated = b""
        if control & AUTHENTICATED:
            associated = cipher.associated(control) + (header if opened.covers_header else b"")
        return cipher.seal(control, title, counter, plain, associated)[HEADER_LENGTH:]

    def made_for(self, key: bytes) -> bytes:
        """The key of the result that stands for a real one."""
        return self._made.setdefault(key, secrets.token_bytes(len(key)))

    def keys(self) -> list[ThrowAwayKeys]:
        """The keys of the result, those that were used, in the order of the given ones."""
        found: list[ThrowAwayKeys] = []
        for keys in self._keys:
            encryption, broadcast = (
                self._made.get(key) if isinstance(key, bytes) else None
                for key in (keys.encryption_key, keys.broadcast_key)
            )
            given = keys.dedicated_key
            dedicated = (
                self._pseudonyms.secret(given) if isinstance(given, bytes) and given in self._dedicated else None
            )
            used = encryption or broadcast or dedicated
            if used:
                found.append(ThrowAwayKeys(encryption, self._authentication_key(len(used)), broadcast, dedicated))
        return found

    def _authentication_key(self, length: int) -> bytes:
        while len(self._authentication) < length:
            self._authentication += secrets.token_bytes(16)
        return self._authentication[:length]

    def _candidates(
        self, control: int, dedicated: bytes | None, is_dedicated: bool
    ) -> Iterator[tuple[bytes, bytes | None]]:
        for keys in self._keys or (Keys(),):
            key: bytes | str | None = keys.encryption_key
            if is_dedicated:
                key = keys.dedicated_key or dedicated
            elif control & BROADCAST:
                key = keys.broadcast_key or key
            authentication = keys.authentication_key
            assert authentication is None or isinstance(authentication, bytes)
            if isinstance(key, bytes):
                yield key, authentication


def _open(
    control: int, counter: int, payload: bytes, title: bytes, key: bytes, authentication: bytes | None,
    header: bytes | None,
) -> Opened | None:  # fmt: skip
    cipher = CipherKey(key, authentication, "key")
    front = HEADER.pack(control, counter)
    if control & AUTHENTICATED and len(payload) < TAG_LENGTH:
        return None
    if control & AUTHENTICATED and authentication is not None:
        for covered in (b"", header) if header is not None else (b"",):
            try:
                plain = cipher.open(control, title, counter, front + payload, covered)
            except DlmsError:
                continue
            return Opened(plain, title, key, covers_header=bool(covered))
    body = payload[:-TAG_LENGTH] if control & AUTHENTICATED else payload
    plain = cipher.open(control & ~AUTHENTICATED, title, counter, front + body)
    return Opened(plain, title, key, covers_header=header is not None) if _seems_right(plain) else None


def _seems_right(plain: bytes) -> bool:
    """Whether the key was right where no tag says so; bent and damaged notifications are accepted too."""
    if is_plausible(plain):
        return True
    judgement = judge(plain)
    return judgement.likeness >= Likeness.BENT or judgement.reach >= _LEAST_REACH


def is_plausible(plain: bytes) -> bool:
    """Whether the octets are an APDU to their end, or the text of a P1 port."""
    if plain[:1] == b"/":
        return plain[:32].isascii()
    page = Page(len(plain))
    cursor = Cursor(plain, page)
    scratch = Conversation()
    scratch.nesting = 4
    try:
        walk_apdu(cursor, scratch)
    except Fault:
        return False
    return (
        bool(plain) and not cursor.left and not any(line.error and "more than" not in line.error for line in page.lines)
    )
