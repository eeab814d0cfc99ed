"""The key store and the certificates that a connection takes its keys from."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cosemic.cli.failing import CommandError
from cosemic.cli.parsing import key_octets, read_secret
from cosemic.enums import CertificateType
from cosemic.errors import CertificateError, KeyMissing

if TYPE_CHECKING:
    from cosemic.cli.options import ConnectionOptions
    from cosemic.security.certificate_store import CertificateStore
    from cosemic.security.key_store import KeyStore

PASSWORD_VARIABLE = "COSEMIC_KEY_PASSWORD"
"""The password of encrypted private keys in the files of a key store."""
MODULE_VARIABLE = "COSEMIC_PKCS11_MODULE"
ANCHORS = "anchors"
"""The folder, within that of the certificates, of the authorities that are trusted."""

_FORMS = "file:FOLDER, env:PREFIX or pkcs11:token=LABEL;object=PREFIX?module-path=FILE"
_SYMMETRIC = {"ek": "GLOBAL_UNICAST", "ak": "AUTHENTICATION", "kek": "MASTER"}
_PRIVATE = {"signing_key": CertificateType.DIGITAL_SIGNATURE, "agreement_key": CertificateType.KEY_AGREEMENT}
_PEER = {"peer_signing_key": CertificateType.DIGITAL_SIGNATURE, "peer_agreement_key": CertificateType.KEY_AGREEMENT}


def held_keys(settings: ConnectionOptions) -> dict[str, Any]:
    """What the key store and the certificates give for options that were not given, by the names of these.

    ``trust`` is among them where certificates that a meter sends can be judged. A key that is not there is left out.
    """
    held: dict[str, Any] = {}
    if settings.key_store is not None:
        store = open_key_store(settings.key_store)
        from cosemic.security.key_store import SymmetricKey

        for option, key in _SYMMETRIC.items():
            if getattr(settings, option) is None:
                _look(held, option, lambda name=SymmetricKey[key]: store.symmetric_key(name))
        if settings.suite != 0:
            for option, purpose in _PRIVATE.items():
                if getattr(settings, option) is None:
                    _look(held, option, lambda purpose=purpose: store.private_key(purpose))
    if settings.certificates is not None:
        held |= _from_certificates(settings)
    return held


def open_key_store(text: str) -> KeyStore:
    """The store that ``--key-store`` names; CommandError when it is none."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "file" and rest:
        from cosemic.security.key_store import FileKeyStore

        folder = Path(rest).expanduser()
        if not folder.is_dir():
            raise CommandError(f"--key-store: there is no folder {folder}")
        return FileKeyStore(folder, password=_password)
    if colon and kind == "env":
        from cosemic.security.key_store import EnvironmentKeyStore

        return EnvironmentKeyStore(rest) if rest else EnvironmentKeyStore()
    if colon and kind == "pkcs11":
        return _token_store(rest)
    raise CommandError(f"--key-store is {_FORMS}")


def _token_store(text: str) -> KeyStore:
    """``token=…;object=…?module-path=…&pin-source=…`` (RFC 7512); ``object`` is what all labels begin with."""
    path, _, query = text.partition("?")
    given: dict[str, str] = {}
    for part in [*path.split(";"), *query.split("&")]:
        name, _, value = part.partition("=")
        if part:
            given[name] = unquote(value)
    if "pin-value" in given:
        raise CommandError(
            "--key-store: a PIN does not belong on the command line: use pin-source=file:PATH or COSEMIC_PKCS11_PIN"
        )
    unknown = sorted(given.keys() - {"token", "object", "module-path", "pin-source"})
    if unknown:
        raise CommandError(f"--key-store: {', '.join(map(repr, unknown))} is not known; it is {_FORMS}&pin-source=FILE")
    module = given.get("module-path") or os.environ.get(MODULE_VARIABLE)
    if not module:
        raise CommandError(f"--key-store: name the library of the token: ?module-path=FILE, or {MODULE_VARIABLE}")
    if not given.get("token"):
        raise CommandError("--key-store: name the token: pkcs11:token=LABEL")
    from cosemic.security.pkcs11 import PIN_VARIABLE, Pkcs11KeyStore, Pkcs11Token

    source = given.get("pin-source")
    pin = None
    if source:
        pin = lambda: read_secret("file:" + source.removeprefix("file:"), "--key-store (pin-source)")  # noqa: E731
    elif not os.environ.get(PIN_VARIABLE) and sys.stdin.isatty():
        pin = lambda: _ask(f"PIN of the token {given['token']!r}: ")  # noqa: E731
    return Pkcs11KeyStore(Pkcs11Token(module, given["token"], pin=pin), given.get("object", ""))


def open_certificates(text: str) -> CertificateStore:
    """The local certificates: a folder, with the trusted authorities in ``anchors`` within; those that hold now."""
    from cosemic.security.certificate_store import CertificateStore

    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise CommandError(f"--certificates: there is no folder {folder}")
    anchors = certificate_files(folder / ANCHORS) if (folder / ANCHORS).is_dir() else []
    store = CertificateStore([read_certificate(file) for file in anchors])
    try:
        store.import_folder(folder, at=datetime.now(UTC))
    except CertificateError as error:
        where = f"; the authorities that you trust belong into {folder / ANCHORS}" if not anchors else ""
        raise CommandError(f"--certificates: {error}{where}") from None
    return store


def certificate_files(folder: Path) -> list[Path]:
    """The files of a folder that are named as certificates are."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".pem", ".crt", ".cer", ".der"))


def read_certificate(file: Path) -> bytes | str:
    """A certificate file, PEM or DER; CommandError when it cannot be read."""
    try:
        octets = file.expanduser().read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror or error}") from None
    return octets.decode("ascii", "replace") if b"-----BEGIN" in octets else octets


def _from_certificates(settings: ConnectionOptions) -> dict[str, Any]:
    assert settings.certificates is not None
    store = open_certificates(settings.certificates)
    held: dict[str, Any] = {}
    if settings.peer_signing_key is None:
        held["trust"] = store.trust(lambda: datetime.now(UTC))
    if settings.peer_system_title is not None:
        title = key_octets(settings.peer_system_title, "--peer-system-title")
        for option, purpose in _PEER.items():
            if getattr(settings, option) is None:
                try:
                    held[option] = store.certificate_of(title, purpose, at=datetime.now(UTC)).public
                except (CertificateError, ValueError):
                    continue  # what needs it will say so
    return held


def _look(held: dict[str, Any], option: str, find: Any) -> None:
    try:
        held[option] = find()
    except KeyMissing:
        return


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given:
        return given
    if sys.stdin.isatty():
        return _ask("Password of the private key: ")
    raise CommandError(f"the private key has a password: give it in {PASSWORD_VARIABLE}")


def _ask(prompt: str) -> str:
    import getpass

    return getpass.getpass(re.sub(r"[^ -~]", "?", prompt))
