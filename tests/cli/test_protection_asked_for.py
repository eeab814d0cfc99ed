"""Protection that was asked for and cannot be given is an error before anything is sent, never less protection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cosemic.cli.failing import one_line
from cosemic.errors import AuthenticationError
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import new_authority
from tests.cli.conftest import GMAC, Outcome, Urls

NOWHERE = "tcp://127.0.0.1:1"
EK = "000102030405060708090A0B0C0D0E0F"
Run = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--general", "general"), "--general general needs --ek too"),
        (("--general", "wrapped-key", *GMAC), "--general wrapped-key needs --kek too"),
        (("--general", "static-unified", *GMAC), "needs --agreement-key, --peer-agreement-key too"),
        (("--general", "one-pass", *GMAC), "--general one-pass needs --signing-key, --peer-signing-key,"),
        (("--ak", EK), "--ak needs --ek too"),
        (("--ek", EK), "--ek needs --ak too"),
        (("--ek", EK, "--policy", "encrypted-signed"), "needs --signing-key, --peer-signing-key too"),
    ],
)
def test_keys_are_missing(cosemic: Run, options: tuple[str, ...], said: str) -> None:
    outcome = cosemic("read", NOWHERE, "1-0:1.8.0", *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert EK not in outcome.err


@pytest.mark.parametrize(
    ("key", "private", "said"),
    [
        ("--peer-signing-key", True, "--peer-signing-key names a private key"),
        ("--signing-key", False, "--signing-key: the key has a password"),
    ],
)
def test_files_of_another_kind(cosemic: Run, tmp_path: Path, key: str, private: bool, said: str) -> None:
    own = SoftwareKey.generate(1)
    (tmp_path / "key.pem").write_bytes(own.private_pem() if private else own.private_pem(b"secret"))
    options = {"--signing-key": "81" * 32, "--peer-signing-key": own.public.hex(), key: f"file:{tmp_path / 'key.pem'}"}
    given = [word for option in options.items() for word in option]
    outcome = cosemic("read", NOWHERE, "1-0:1.8.0", "--auth", "ecdsa", *given)
    assert (outcome.code, said in outcome.err) == (2, True)


@pytest.mark.parametrize(
    "url", ["optical-tcp://127.0.0.1:1", "rfc2217://127.0.0.1:1", "tls://127.0.0.1:1?framing=hdlc"]
)
def test_hdlc_addresses_on_every_url_with_hdlc(cosemic: Run, url: str) -> None:
    outcome = cosemic("read", url, "1-0:1.8.0", "--physical", "17", "--address-size", "4", "--timeout", "1")
    assert outcome.code == 1  # nobody listens there, but the address was taken
    assert "--client is a number from 1 to 127" in cosemic("read", url, "1-0:1.8.0", "--client", "200").err


def test_the_address_on_an_m_bus_stands_in_the_url(cosemic: Run) -> None:
    assert "?address=5" in cosemic("read", "mbus-tcp://127.0.0.1:1", "1-0:1.8.0", "--physical", "5").err


@pytest.mark.parametrize("name", ["general", "reading", "referencing", "counter_recovery", "policy", "auth"])
def test_settings_of_a_named_meter_are_checked(
    cosemic: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "meters.toml"
    file.write_text(f'[meters.a]\nurl = "{NOWHERE}"\n{name} = "magic"\n')
    monkeypatch.setenv("COSEMIC_METERS", str(file))
    assert f"{name} 'magic' of meter 'a' is unknown; there are" in cosemic("read", "a", "1-0:1.8.0").err


def test_the_doctor_says_that_it_knows_no_short_names(cosemic: Run) -> None:
    outcome = cosemic("doctor", NOWHERE, "--referencing", "sn")
    assert outcome.code == 2
    assert "leave out --referencing sn" in outcome.err


def test_short_names_are_named_where_the_context_is_refused(cosemic: Run, meter: Urls) -> None:
    assert "--referencing" in cosemic("read", meter.wrapper, "1-0:1.8.0", "--client", "18").err


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("the tag does not verify (key agreed by one pass of suite 1)", "--agreement-key"),
        ("the tag does not verify (wrapped key of suite 1)", "--kek"),
        ("the ECDSA signature (P-256) does not verify", "--peer-signing-key"),
        ("wrong password", "--password"),
    ],
)
def test_the_options_that_a_proof_rests_on(text: str, option: str) -> None:
    assert option in one_line(AuthenticationError(text))


@pytest.mark.parametrize("kind", ["private", "public"])
def test_explain_names_the_key_that_is_wrong(cosemic: Run, kind: str) -> None:
    outcome = cosemic("explain", "C001C100080000010000FF0200", f"--{kind}-key", "secret")
    assert (outcome.code, outcome.err.startswith(f"cosemic: --{kind}-key: a {kind} key is")) == (2, True)


def test_a_certificate_without_its_key(cosemic: Run, tmp_path: Path) -> None:
    key = SoftwareKey.generate(1)
    authority = new_authority(key, "Test", not_before=datetime(2026, 1, 1, tzinfo=UTC))
    (tmp_path / "me.pem").write_text(authority.pem())
    error = cosemic("read", f"tls://127.0.0.1:1?certificate={tmp_path / 'me.pem'}", "1-0:1.8.0").err
    assert "holds no private key" in error
    assert error.endswith("give its file as key=\n")
