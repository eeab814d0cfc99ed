"""``--key-store`` and ``--certificates``: keys from folders, variables and tokens; nothing of them in any output."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from cosemic.enums import CertificateType
from cosemic.meter import demo, demo_keys
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import issue_certificate, new_authority
from tests.cli.conftest import Outcome, Urls
from tests.security.test_pkcs11 import MODULE, needs_softhsm

Run = Callable[..., Outcome]
ENERGY = "1-0:1.8.0"
EK, AK = demo.ENCRYPTION_KEY.hex().upper(), demo.AUTHENTICATION_KEY.hex().upper()
MANAGER = ("--client", "1", "--auth", "gmac", "--system-title", "4D4D4D0000000051")
SUITE_1 = ("--client", "4", "--auth", "ecdsa", "--system-title", "4D4D4D0000000052")


def write(file: Path, content: str | bytes) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(0o600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    write(folder / "global-unicast.key", EK)
    write(folder / "authentication.key", AK)
    return folder


@pytest.fixture
def suite_1(tmp_path: Path) -> Path:
    folder = tmp_path / "suite-1"
    folder.mkdir(mode=0o700)
    write(folder / "global-unicast.key", demo_keys.symmetric_octets(1, 0).hex())
    write(folder / "authentication.key", demo_keys.symmetric_octets(1, 0xD0).hex())
    write(folder / "signing.pem", own_key().private_pem())
    return folder


def own_key(purpose: str = "signing", side: str = "client") -> SoftwareKey:
    return SoftwareKey(1, demo_keys.private_octets(1, side, purpose))


def test_a_folder(cosemic: Run, meter: Urls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"file:{folder}"
    assert cosemic("read", meter.wrapper, ENERGY, *MANAGER, "--key-store", store).code == 0
    monkeypatch.setenv("COSEMIC_KEY_STORE", store)
    assert cosemic("read", meter.hdlc, ENERGY, *MANAGER).code == 0
    # What an option gives comes before what the store has.
    done = cosemic("read", meter.hdlc, ENERGY, *MANAGER, "--ek", "11" * 16)
    assert done.code == 1
    assert "11" * 16 not in done.err


def test_a_named_meter_and_its_folder(
    cosemic: Run, meter: Urls, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path / "meters.toml",
        f'[meters.a]\nurl = "{meter.wrapper}"\nclient = 1\nauth = "gmac"\nkey_store = "file:{folder}"\n'
        'system_title = "4D4D4D0000000053"\n',
    )
    monkeypatch.setenv("COSEMIC_METERS", str(tmp_path / "meters.toml"))
    assert cosemic("read", "a", ENERGY).code == 0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_files_that_others_can_read(cosemic: Run, meter: Urls, folder: Path) -> None:
    (folder / "authentication.key").chmod(0o644)
    done = cosemic("read", meter.wrapper, ENERGY, *MANAGER, "--key-store", f"file:{folder}")
    assert done.code == 1
    assert "chmod 600" in done.err
    assert AK not in done.err


def test_variables(cosemic: Run, meter: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix, store in (("COSEMIC_KEY_", "env:"), ("METER7_", "env:METER7_")):
        monkeypatch.setenv(f"{prefix}GLOBAL_UNICAST", EK)
        monkeypatch.setenv(f"{prefix}AUTHENTICATION", AK)
        assert cosemic("read", meter.wrapper, ENERGY, *MANAGER, "--key-store", store).code == 0


@pytest.mark.parametrize("peer", ["option", "certificate"])
def test_a_private_key_with_a_password_and_the_meters_certificate(
    cosemic: Run, meter: Urls, suite_1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    encrypted = own_key().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"swordfish"))
    write(suite_1 / "signing.pem", encrypted)
    options = [*SUITE_1, "--key-store", f"file:{suite_1}"]
    meters_key = own_key(side="meter").public
    if peer == "option":
        options += ["--peer-signing-key", meters_key.hex()]
    else:
        start, key = datetime.now(UTC) - timedelta(days=1), SoftwareKey.generate(1)
        authority = new_authority(key, "Test", not_before=start)
        certificate = issue_certificate(
            authority, key, purpose=CertificateType.DIGITAL_SIGNATURE, system_title=demo.SYSTEM_TITLE,
            public=meters_key, not_before=start,
        )  # fmt: skip
        certificates = tmp_path / "certificates"
        (certificates / "anchors").mkdir(parents=True)
        write(certificates / "meter.pem", certificate.pem())
        done = cosemic("read", meter.wrapper, ENERGY, *options, "--certificates", str(certificates))
        assert done.code == 2
        assert "has a password" in done.err
        done = cosemic("certificates", "list", "--certificates", str(certificates))
        assert done.code == 2
        assert "the authorities that you trust belong into" in done.err
        write(certificates / "anchors" / "root.pem", authority.pem())
        options += ["--certificates", str(certificates), "--peer-system-title", demo.SYSTEM_TITLE.hex()]
    done = cosemic("read", meter.wrapper, ENERGY, *options)
    assert done.code == 2
    assert "give it in COSEMIC_KEY_PASSWORD" in done.err
    monkeypatch.setenv("COSEMIC_KEY_PASSWORD", "swordfish")
    done = cosemic("read", meter.wrapper, ENERGY, *options)
    assert done.code == 0, done.err
    assert "swordfish" not in done.out + done.err


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("keys", "--key-store is file:FOLDER"),
        ("file:/not/there", "there is no folder /not/there"),
        ("pkcs11:token=a", "name the library of the token"),
        ("pkcs11:?module-path=/x.so", "name the token"),
        ("pkcs11:token=a?module-path=/x.so&pin-value=1234", "does not belong on the command line"),
        ("pkcs11:token=a;slot=3?module-path=/x.so", "'slot' is not known"),
    ],
)
def test_what_is_no_store(cosemic: Run, store: str, said: str) -> None:
    done = cosemic("read", "tcp://127.0.0.1:1", ENERGY, *MANAGER, "--key-store", store)
    assert done.code == 2
    assert said in done.err
    assert "1234" not in done.err


def test_a_store_without_the_key_that_is_needed(cosemic: Run, folder: Path) -> None:
    (folder / "authentication.key").unlink()
    done = cosemic("read", "tcp://127.0.0.1:1", ENERGY, *MANAGER, "--key-store", f"file:{folder}")
    assert done.code == 2
    assert "--auth gmac needs --ak too" in done.err
    (folder / "global-unicast.key").unlink()
    done = cosemic("read", "tcp://127.0.0.1:1", ENERGY, "--key-store", f"file:{folder}")
    assert done.code == 2
    assert "holds no key" in done.err


def test_certificates_alone_change_nothing(
    cosemic: Run, meter: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anchors").mkdir()
    monkeypatch.setenv("COSEMIC_CERTIFICATES", str(tmp_path))
    done = cosemic("read", meter.wrapper, ENERGY, "-vv")
    assert done.code == 0, done.err
    assert "system title" not in done.err.lower()


@needs_softhsm
def test_a_token(cosemic: Run, meter: Urls, tmp_path: Path, suite_1: Path) -> None:
    """In processes of their own: SoftHSM reads its configuration once in each."""
    import sys

    configuration, tokens = tmp_path / "softhsm2.conf", tmp_path / "tokens"
    tokens.mkdir()
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    environment = os.environ | {"SOFTHSM2_CONF": str(configuration)}
    tool = shutil.which("softhsm2-util")
    assert tool is not None
    signing = tmp_path / "signing-pkcs8.pem"
    signing.write_bytes(own_key().private_pem())
    pin = "pin-4711"
    for arguments in (
        ("--init-token", "--free", "--label", "meters", "--so-pin", "so-4711", "--pin", pin),
        ("--import", str(signing), "--token", "meters", "--label", "m7-signing", "--id", "A1", "--pin", pin),
    ):
        subprocess.run([tool, *arguments], env=environment, check=True, capture_output=True)
    write(tmp_path / "pin", pin)
    store = f"pkcs11:token=meters;object=m7-?module-path={MODULE}&pin-source=file:{tmp_path / 'pin'}"
    command = [
        sys.executable, "-m", "cosemic.cli", "read", meter.wrapper, ENERGY, *SUITE_1, "--key-store", store,
        "--ek", f"file:{suite_1 / 'global-unicast.key'}", "--ak", f"file:{suite_1 / 'authentication.key'}",
        "--peer-signing-key", own_key(side="meter").public.hex(),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Wh" in done.stdout
    write(tmp_path / "pin", "wrong-99")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "PIN" in done.stderr
    assert "wrong-99" not in done.stderr
