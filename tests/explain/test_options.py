"""cosemic explain with the keys of general protection."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cosemic.security.ec import SoftwareKey
from cosemic.security.key_wrap import wrap_key
from tests.cli.conftest import cosemic, home, state
from tests.explain.test_general import AK, EK, GET, KEK, ciphered, signed, string

__all__ = ["cosemic", "home", "state"]


def test_a_wrapped_key_and_a_signature(cosemic, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = bytes(range(0x20, 0x30))
    key = SoftwareKey.generate(1)
    apdu = ciphered(b"\x01\x00" + string(wrap_key(KEK, fresh)), fresh, plain=signed(GET, key))
    pem = tmp_path / "signer.pem"
    pem.write_bytes(key.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setenv("MASTER", KEK.hex())
    done = cosemic(
        "explain", apdu.hex(), "--ek", EK.hex(), "--ak", AK.hex(), "--kek", "env:MASTER", "--public-key", f"file:{pem}"
    )
    assert done.code == 0, done.err
    assert "under the wrapped key" in done.out
    assert "signature ok" in done.out
    assert fresh.hex() not in done.out


def test_keys_that_are_none(cosemic) -> None:
    for option in ("--kek", "--private-key", "--public-key"):
        done = cosemic("explain", GET.hex(), option, "0102zz")
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
        assert "0102zz" not in done.err
