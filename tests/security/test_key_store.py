"""Stores of keys in memory, files and the environment: what they give, what they refuse, what they never show."""

from __future__ import annotations

import base64
import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cosemic.enums import CertificateType
from cosemic.errors import KeyMissing, SecurityError
from cosemic.security.ec import PrivateKey, SoftwareKey
from cosemic.security.key_store import (
    EnvironmentKeyStore,
    FileKeyStore,
    KeyStore,
    MemoryKeyStore,
    SymmetricKey,
    security_context,
)
from tests.security.pair import CLIENT_TITLE

SIGNING, AGREEMENT, TLS = CertificateType.DIGITAL_SIGNATURE, CertificateType.KEY_AGREEMENT, CertificateType.TLS
KEYS = {name: bytes([0xA0 + number]) * 8 + bytes(8) for number, name in enumerate(SymmetricKey)}
FILES = {SIGNING: "signing", AGREEMENT: "agreement", TLS: "tls"}
posix = pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")


@pytest.fixture(scope="module")
def private() -> dict[CertificateType, SoftwareKey]:
    return {purpose: SoftwareKey.generate(suite) for purpose, suite in ((SIGNING, 1), (AGREEMENT, 1), (TLS, 2))}


def put(path: Path, content: bytes | str, mode: int = 0o600) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def in_memory(folder: Path, private: dict[CertificateType, SoftwareKey]) -> KeyStore:
    return MemoryKeyStore(
        **{name.name.lower(): key for name, key in KEYS.items()},
        **{FILES[purpose]: key for purpose, key in private.items()},
    )


def in_files(folder: Path, private: dict[CertificateType, SoftwareKey]) -> KeyStore:
    folder.chmod(0o700)
    for name, key in KEYS.items():
        put(folder / f"{name.value}.key", key.hex(":") + "\n")
    for purpose, own in private.items():
        put(folder / f"{FILES[purpose]}.pem", own.private_pem())
    return FileKeyStore(folder)


def in_environment(folder: Path, private: dict[CertificateType, SoftwareKey]) -> KeyStore:
    variables = {f"COSEMIC_KEY_{name.name}": key.hex() for name, key in KEYS.items()}
    der = private[TLS].key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    variables["COSEMIC_KEY_SIGNING"] = private[SIGNING].private_pem().decode()
    variables["COSEMIC_KEY_AGREEMENT"] = private[AGREEMENT].private_pem().decode().replace("\n", "\\n")
    variables["COSEMIC_KEY_TLS"] = base64.encodebytes(der).decode()
    return EnvironmentKeyStore(environment=variables)


MAKERS = [in_memory, in_files, in_environment]


@pytest.mark.parametrize("make", MAKERS)
def test_every_key_comes_back(
    make: Callable[..., KeyStore], private: dict[CertificateType, SoftwareKey], tmp_path: Path
) -> None:
    store = make(tmp_path, private)
    assert isinstance(store, KeyStore)
    for name, key in KEYS.items():
        assert store.symmetric_key(name) == key
    for purpose, own in private.items():
        found = store.private_key(purpose)
        assert isinstance(found, PrivateKey)
        assert (found.suite, found.public) == (own.suite, own.public)
    shown = repr(store)
    for key in KEYS.values():
        assert key.hex() not in shown.lower()
        assert repr(key) not in shown
    with pytest.raises(KeyMissing, match="not for other"):
        store.private_key(CertificateType.OTHER)


@pytest.mark.parametrize(
    "store",
    [MemoryKeyStore(), FileKeyStore("/nowhere/at/all"), EnvironmentKeyStore(environment={"COSEMIC_KEY_SIGNING": " "})],
    ids=repr,
)
def test_a_missing_key_says_where_it_belongs(store: KeyStore) -> None:
    for name in SymmetricKey:
        with pytest.raises(KeyMissing, match=f"(?i){name.name}|{name.value}"):
            store.symmetric_key(name)
    for purpose, name in FILES.items():
        with pytest.raises(KeyMissing, match=f"(?i){name}"):
            store.private_key(purpose)


def test_the_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER7_MASTER", "00" * 32)
    store = EnvironmentKeyStore("METER7_")
    assert store.symmetric_key(SymmetricKey.MASTER) == bytes(32)
    assert repr(store) == "EnvironmentKeyStore('METER7_')"


@posix
class TestFiles:
    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o660])
    def test_a_file_that_others_can_read_is_refused_with_the_remedy(self, tmp_path: Path, mode: int) -> None:
        folder = tmp_path / "it's a folder"
        folder.mkdir(mode=0o700)
        put(folder / "master.key", "00" * 16, mode)
        put(folder / "signing.pem", SoftwareKey.generate(1).private_pem(), mode)
        store = FileKeyStore(folder)
        for call in (lambda: store.symmetric_key(SymmetricKey.MASTER), lambda: store.private_key(SIGNING)):
            with pytest.raises(SecurityError, match="chmod 600") as caught:
                call()
        command = str(caught.value).split("run ")[1].split(", and")[0]
        assert os.system(command) == 0
        assert store.private_key(SIGNING).suite == 1

    def test_a_folder_that_others_can_write_to_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "master.key", "00" * 16)
        for mode in (0o770, 0o702, 0o777):
            tmp_path.chmod(mode)
            with pytest.raises(SecurityError, match="chmod 700"):
                FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER)
        tmp_path.chmod(0o755)
        assert FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER) == bytes(16)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give a file away")
    def test_a_file_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "master.key", "00" * 16)
        os.chown(tmp_path / "master.key", 12345, -1)
        with pytest.raises(SecurityError, match="chown 0"):
            FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER)

    def test_what_a_link_leads_to_is_what_counts(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        put(tmp_path / "elsewhere", "00" * 16, 0o644)
        (tmp_path / "master.key").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SecurityError, match="chmod 600"):
            FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER)
        (tmp_path / "elsewhere").chmod(0o400)
        assert FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER) == bytes(16)

    def test_neither_a_pipe_nor_a_folder_hangs(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        os.mkfifo(tmp_path / "master.key", 0o600)
        (tmp_path / "signing.pem").mkdir()
        with pytest.raises(SecurityError, match="is no file"):
            FileKeyStore(tmp_path).symmetric_key(SymmetricKey.MASTER)
        with pytest.raises(SecurityError):
            FileKeyStore(tmp_path).private_key(SIGNING)

    def test_encrypted_private_keys(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        key = SoftwareKey.generate(2)
        put(tmp_path / "signing.pem", key.private_pem(b"open sesame"))
        der = key.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
        put(tmp_path / "agreement.der", der)
        put(tmp_path / "tls.pem", key.private_pem())
        store = FileKeyStore(tmp_path, password=lambda: "open sesame")
        for purpose in (SIGNING, AGREEMENT, TLS):
            assert store.private_key(purpose).public == key.public
        for wrong in (None, lambda: "another"):
            with pytest.raises(SecurityError, match=r"signing\.pem.*password") as caught:
                FileKeyStore(tmp_path, password=wrong).private_key(SIGNING)
            assert "sesame" not in str(caught.value)


@posix
@pytest.mark.parametrize(
    "name, content",
    [
        ("global-unicast.key", "SECRET no hexadecimal"),
        ("global-unicast.key", "5EC12E7A" * 3),
        ("global-unicast.key", b"\xff" * 16),
        ("global-unicast.key", ""),
        ("global-unicast.key", "00" * 20000),
        ("signing.pem", "-----BEGIN PRIVATE KEY-----\n5EC12E7A\n-----END PRIVATE KEY-----\n"),
        ("signing.pem", "5EC12E7A"),
        ("signing.der", b"\x30\x81" + b"5EC12E7A"),
        ("signing.der", b""),
    ],
)
def test_files_that_hold_no_key(tmp_path: Path, name: str, content: bytes | str) -> None:
    tmp_path.chmod(0o700)
    put(tmp_path / name, content)
    store = FileKeyStore(tmp_path)
    call: Callable[[], Any] = (
        (lambda: store.symmetric_key(SymmetricKey.GLOBAL_UNICAST))
        if name.endswith(".key")
        else (lambda: store.private_key(SIGNING))
    )
    with pytest.raises(SecurityError, match=re.escape(name)) as caught:
        call()
    told = "".join(traceback.format_exception(caught.value))
    assert "5EC12E7A" not in told.split("Error: ", 1)[1]
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("value", ["5EC12E7A", "zz" * 16, "-----BEGIN PRIVATE KEY-----5EC12E7A", "5EC12E7A==="])
def test_variables_and_arguments_that_hold_no_key(value: str) -> None:
    store = EnvironmentKeyStore(environment={"COSEMIC_KEY_MASTER": value, "COSEMIC_KEY_SIGNING": value})
    attempts: list[Callable[[], Any]] = [
        lambda: store.symmetric_key(SymmetricKey.MASTER),
        lambda: store.private_key(SIGNING),
        lambda: MemoryKeyStore(master=value),
        lambda: MemoryKeyStore(signing=value),
    ]
    for attempt in attempts:
        with pytest.raises(SecurityError, match=r"(?i)master|signing") as caught:
            attempt()
        assert value not in str(caught.value)
    # A private number in hexadecimal is no PEM, however well it would do.
    with pytest.raises(SecurityError):
        MemoryKeyStore(signing="11" * 32)


def test_a_context_takes_what_the_store_has(private: dict[CertificateType, SoftwareKey]) -> None:
    store = MemoryKeyStore(
        global_unicast=KEYS[SymmetricKey.GLOBAL_UNICAST], authentication=KEYS[SymmetricKey.AUTHENTICATION]
    )
    context = security_context(store, system_title=CLIENT_TITLE, policy="authenticated")
    assert context.has_keys
    assert context.system_title == CLIENT_TITLE
    assert context.counter_id(CLIENT_TITLE) is not None
    assert context.counter_id(CLIENT_TITLE, broadcast=True) is None
    assert context.policy.label == "authenticated"
    with pytest.raises(KeyMissing, match="global-unicast"):
        security_context(MemoryKeyStore(authentication=bytes(16)))
    with pytest.raises(ValueError, match="32 octets in suite 2"):
        security_context(store, 2)


def test_a_context_of_suite_1_takes_the_private_keys(private: dict[CertificateType, SoftwareKey]) -> None:
    named = {name.name.lower(): key for name, key in KEYS.items()}
    full = MemoryKeyStore(**named, signing=private[SIGNING], agreement=private[AGREEMENT])
    context = security_context(full, 1, system_title=CLIENT_TITLE)
    assert context.signing_key is private[SIGNING]
    assert context.agreement_key is private[AGREEMENT]
    assert context.counter_id(CLIENT_TITLE, broadcast=True) is not None
    given = security_context(full, 1, system_title=CLIENT_TITLE, signing_key=private[AGREEMENT])
    assert given.signing_key is private[AGREEMENT]
    assert security_context(MemoryKeyStore(**named), 1, system_title=CLIENT_TITLE).signing_key is None
    assert security_context(full, 0, system_title=CLIENT_TITLE).signing_key is None
