"""``--auth ecdsa`` and its keys, against the demo meter's associations of suites 1 and 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cosemic.meter import demo_keys
from cosemic.security.ec import SoftwareKey
from tests.cli.conftest import Outcome, Urls

ENERGY = "1-0:1.8.0"
Run = Callable[..., Outcome]


def arguments(suite: int, folder: Path, *, pem: bool) -> list[str]:
    """The options of a client of the demo meter, keys in files or in hexadecimal."""
    given = ["--client", str({1: 4, 2: 5}[suite]), "--auth", "ecdsa", "--suite", str(suite)]
    given += ["--system-title", f"4D4D4D00000000{suite:02d}", "--ek", demo_keys.symmetric_octets(suite, 0).hex()]
    given += [
        "--ak",
        demo_keys.symmetric_octets(suite, 0xD0).hex(),
        "--kek",
        demo_keys.symmetric_octets(suite, 0x10).hex(),
    ]
    for purpose in ("signing", "agreement"):
        own, peer = (SoftwareKey(suite, demo_keys.private_octets(suite, side, purpose)) for side in ("client", "meter"))
        if not pem:
            private = demo_keys.private_octets(suite, "client", purpose).hex()
            given += [f"--{purpose}-key", private, f"--peer-{purpose}-key", peer.public.hex()]
            continue
        files = [folder / f"{name}-{purpose}.pem" for name in ("own", "peer")]
        files[0].write_bytes(own.private_pem())
        files[1].write_bytes(
            peer.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        given += [f"--{purpose}-key", f"file:{files[0]}", f"--peer-{purpose}-key", f"file:{files[1]}"]
    return given


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("pem", [True, False])
def test_reading_after_a_login_with_ecdsa(cosemic: Run, meter: Urls, tmp_path: Path, suite: int, pem: bool) -> None:
    outcome = cosemic("read", meter.wrapper, ENERGY, *arguments(suite, tmp_path, pem=pem))
    assert outcome.code == 0, outcome.err
    assert "Wh" in outcome.out


@pytest.mark.parametrize("general", ["general", "identified-key", "wrapped-key", "one-pass", "static-unified"])
def test_general_protection_and_signatures(cosemic: Run, meter: Urls, tmp_path: Path, general: str) -> None:
    options = [*arguments(1, tmp_path, pem=True), "--general", general]
    for policy in ("authenticated-encrypted", "authenticated-encrypted-signed"):
        outcome = cosemic("read", meter.wrapper, ENERGY, *options, "--policy", policy)
        assert outcome.code == 0, outcome.err
        assert "Wh" in outcome.out


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"--signing-key": "zz"}, "--signing-key is not hexadecimal"),
        ({"--signing-key": "00" * 32}, "--signing-key: the octets are no private key"),
        ({"--signing-key": "01" * 20}, "--signing-key is PEM, or 32"),
        ({"--signing-key": "01" * 48}, "different suites"),
        ({"--peer-signing-key": "01" * 64}, "--peer-signing-key: a public key that is no point"),
        ({"--peer-signing-key": "file:/not/there"}, "cannot be read"),
        ({"--kek": "00" * 16}, "the --kek is all zero"),
        ({"--suite": "2"}, "different suites"),
    ],
)
def test_wrong_keys_are_named_and_not_quoted(
    cosemic: Run, meter: Urls, tmp_path: Path, changed: dict[str, str], text: str
) -> None:
    options = arguments(1, tmp_path, pem=False)
    for name, value in changed.items():
        options[options.index(name) + 1] = value
    outcome = cosemic("read", meter.wrapper, ENERGY, *options)
    assert outcome.code == 2, outcome
    assert text in outcome.err
    assert demo_keys.private_octets(1, "client", "signing").hex() not in outcome.err.lower()


def test_a_wrong_private_key_gets_a_plain_word(cosemic: Run, meter: Urls, tmp_path: Path) -> None:
    options = arguments(1, tmp_path, pem=False)
    options[options.index("--signing-key") + 1] = "01" * 32
    outcome = cosemic("read", meter.wrapper, ENERGY, *options)
    assert outcome.code != 0
    assert "signing key" in outcome.err
