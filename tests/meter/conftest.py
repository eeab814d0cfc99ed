"""Watches every counter that anybody seals with."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.security.cipher import CipherKey


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes, int]]:
    """Every (key, system title, counter) that anybody seals with; none may come twice."""
    used: list[tuple[bytes, bytes, int]] = []
    make, seal = CipherKey.__init__, CipherKey.seal
    octets: dict[int, tuple[CipherKey, bytes]] = {}

    def remember(self: CipherKey, key: bytes, *rest: Any) -> None:
        make(self, key, *rest)
        octets[id(self)] = (self, key)

    def note(self: CipherKey, control: int, title: bytes, counter: int, *rest: Any) -> bytes:
        used.append((octets[id(self)][1], title, counter))
        return seal(self, control, title, counter, *rest)

    monkeypatch.setattr(CipherKey, "__init__", remember)
    monkeypatch.setattr(CipherKey, "seal", note)
    return used
