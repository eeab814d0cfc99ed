"""Where keys are kept: the seam ``KeyStore``, and stores in memory, in files and in the environment.

A store holds the keys of one association with one peer, under these names:

====================  =============================================  ==========================  ======================
key                   what it is                                     file                        variable
====================  =============================================  ==========================  ======================
global unicast        GUEK: protects services                        global-unicast.key          …GLOBAL_UNICAST
global broadcast      GBEK: protects messages to many                global-broadcast.key        …GLOBAL_BROADCAST
authentication        GAK: goes into every tag                       authentication.key          …AUTHENTICATION
master                KEK: wraps the others when they are changed    master.key                  …MASTER
digital signature     our private key for ECDSA                      signing.pem, signing.der    …SIGNING
key agreement         our private key for ECDH                       agreement.pem, .der         …AGREEMENT
TLS                   our private key for TLS                        tls.pem, tls.der            …TLS
====================  =============================================  ==========================  ======================

Symmetric keys are octets, as AES-GCM runs in this process; in files and variables they are hexadecimal. Private keys
are objects that sign and agree (``cosemic.security.ec.PrivateKey``): their octets may stay elsewhere, as with
``cosemic.security.pkcs11``. No store shows a key in its repr or in an error.
"""

from __future__ import annotations

import base64
import binascii
import enum
import os
import shlex
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from cosemic.enums import CertificateType
from cosemic.errors import KeyMissing, SecurityError
from cosemic.security.ec import PrivateKey, SoftwareKey
from cosemic.security.keys import SecurityContext
from cosemic.security.suites import KEY_LENGTH

__all__ = [
    "EnvironmentKeyStore",
    "FileKeyStore",
    "KeyStore",
    "MemoryKeyStore",
    "PrivateKey",
    "SymmetricKey",
    "security_context",
]

_LARGEST_FILE: Final = 16 * 1024
_LENGTHS: Final = frozenset(KEY_LENGTH.values())


class SymmetricKey(enum.Enum):
    """The symmetric keys of an association; the values are their names in files and on tokens."""

    GLOBAL_UNICAST = "global-unicast"
    GLOBAL_BROADCAST = "global-broadcast"
    AUTHENTICATION = "authentication"
    MASTER = "master"


PRIVATE_KEY_NAMES: Final[Mapping[CertificateType, str]] = {
    CertificateType.DIGITAL_SIGNATURE: "signing",
    CertificateType.KEY_AGREEMENT: "agreement",
    CertificateType.TLS: "tls",
}
"""The private keys of an association: their names in files and on tokens."""


@runtime_checkable
class KeyStore(Protocol):
    """What the stack asks for keys. Whatever has these two methods serves."""

    def symmetric_key(self, name: SymmetricKey) -> bytes:
        """The octets of a key; KeyMissing when there is none, SecurityError when it cannot be used."""

    def private_key(self, purpose: CertificateType) -> PrivateKey:
        """Our private key for that purpose; KeyMissing when there is none, SecurityError when it cannot be used."""


def security_context(store: KeyStore, suite: int = 0, **options: object) -> SecurityContext:
    """A SecurityContext with the keys of a store; ``options`` are the other arguments of SecurityContext.

    The global unicast key has to be there, the others are taken where they are. Suites 1 and 2 take the private keys
    for signing and key agreement too.
    """
    keys: dict[str, object] = {"encryption_key": store.symmetric_key(SymmetricKey.GLOBAL_UNICAST)}
    for name, argument in _ARGUMENTS.items():
        if argument not in options:
            try:
                keys[argument] = store.symmetric_key(name)
            except KeyMissing:
                continue
    if suite:
        for purpose, argument in _PRIVATE_ARGUMENTS.items():
            if argument not in options:
                try:
                    keys[argument] = store.private_key(purpose)
                except KeyMissing:
                    continue
    make: Callable[..., SecurityContext] = SecurityContext
    return make(suite, **keys, **options)


_ARGUMENTS: Final = {
    SymmetricKey.AUTHENTICATION: "authentication_key",
    SymmetricKey.GLOBAL_BROADCAST: "broadcast_key",
    SymmetricKey.MASTER: "kek",
}
_PRIVATE_ARGUMENTS: Final = {
    CertificateType.DIGITAL_SIGNATURE: "signing_key",
    CertificateType.KEY_AGREEMENT: "agreement_key",
}


class MemoryKeyStore:
    """Keys that the program has already: octets or hexadecimal text; private keys as objects, PEM or DER."""

    __slots__ = ("_private", "_symmetric")

    def __init__(
        self,
        *,
        global_unicast: bytes | str | None = None,
        global_broadcast: bytes | str | None = None,
        authentication: bytes | str | None = None,
        master: bytes | str | None = None,
        signing: PrivateKey | bytes | str | None = None,
        agreement: PrivateKey | bytes | str | None = None,
        tls: PrivateKey | bytes | str | None = None,
    ) -> None:
        """SecurityError for what is no key; it never quotes one."""
        given = {
            SymmetricKey.GLOBAL_UNICAST: global_unicast,
            SymmetricKey.GLOBAL_BROADCAST: global_broadcast,
            SymmetricKey.AUTHENTICATION: authentication,
            SymmetricKey.MASTER: master,
        }
        self._symmetric = {
            name: _symmetric_octets(key, f"the {name.value} key") for name, key in given.items() if key is not None
        }
        private = {
            CertificateType.DIGITAL_SIGNATURE: signing,
            CertificateType.KEY_AGREEMENT: agreement,
            CertificateType.TLS: tls,
        }
        self._private = {
            purpose: _loaded(key, f"the {PRIVATE_KEY_NAMES[purpose]} key", None)
            if isinstance(key, (bytes, str))
            else key
            for purpose, key in private.items()
            if key is not None
        }

    def __repr__(self) -> str:
        names = [name.value for name in self._symmetric] + [PRIVATE_KEY_NAMES[purpose] for purpose in self._private]
        return f"<MemoryKeyStore: {', '.join(names) or 'empty'}>"

    def symmetric_key(self, name: SymmetricKey) -> bytes:
        """The octets of a key; KeyMissing when it was not given."""
        key = self._symmetric.get(name)
        if key is None:
            raise KeyMissing(f"the {name.value} key is needed; give it as {name.name.lower()}")
        return key

    def private_key(self, purpose: CertificateType) -> PrivateKey:
        """Our private key for that purpose; KeyMissing when it was not given."""
        key = self._private.get(purpose)
        if key is None:
            name = _private_name(purpose)
            raise KeyMissing(f"the private key for {name} is needed; give it as {name}")
        return key


class FileKeyStore:
    """Keys in the files of a folder, named as in the table above; each is read when it is asked for.

    A file that others can read, or a folder that others can write to, is refused with the chmod to run. Symmetric keys
    are hexadecimal text, private keys PEM or DER, PKCS #8 or SEC 1; ``password`` opens encrypted ones.
    """

    __slots__ = ("_password", "folder")

    def __init__(self, folder: str | os.PathLike[str], *, password: Callable[[], bytes | str] | None = None) -> None:
        self.folder = Path(folder)
        self._password = password

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self.folder)!r})"

    def symmetric_key(self, name: SymmetricKey) -> bytes:
        """The octets of a key; KeyMissing without its file, SecurityError when that cannot be used."""
        path, octets = self._read(f"{name.value}.key")
        try:
            text = octets.decode("ascii")
        except UnicodeDecodeError:
            raise SecurityError(f"{path} does not hold a key in hexadecimal") from None
        return _symmetric_octets(text, str(path))

    def private_key(self, purpose: CertificateType) -> PrivateKey:
        """Our private key for that purpose; KeyMissing without its file, SecurityError when that cannot be used."""
        name = _private_name(purpose)
        path, octets = self._read(f"{name}.pem", f"{name}.der")
        return _loaded(octets, str(path), self._password)

    def _read(self, *names: str) -> tuple[Path, bytes]:
        for name in names:
            path = self.folder / name
            try:
                octets = _read_privately(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SecurityError(
                    f"the key file {path} cannot be read ({error.strerror}); check its owner"
                ) from error
            _check_folder(self.folder)
            return path, octets
        raise KeyMissing(f"no key file {' or '.join(names)} in {self.folder}; put it there, for its owner only")


class EnvironmentKeyStore:
    """Keys in environment variables: ``COSEMIC_KEY_GLOBAL_UNICAST`` and so on, with another ``prefix`` if you like.

    Symmetric keys are hexadecimal; private keys PEM, or base64 of DER where line ends are a trouble.
    """

    __slots__ = ("_environment", "_prefix")

    def __init__(self, prefix: str = "COSEMIC_KEY_", *, environment: Mapping[str, str] | None = None) -> None:
        self._prefix = prefix
        self._environment: Mapping[str, str] = os.environ if environment is None else environment

    def __repr__(self) -> str:
        return f"EnvironmentKeyStore({self._prefix!r})"

    def symmetric_key(self, name: SymmetricKey) -> bytes:
        """The octets of a key; KeyMissing when its variable is not set."""
        variable, text = self._get(name.name)
        return _symmetric_octets(text, f"${variable}")

    def private_key(self, purpose: CertificateType) -> PrivateKey:
        """Our private key for that purpose; KeyMissing when its variable is not set."""
        variable, text = self._get(_private_name(purpose).upper())
        if "-----BEGIN" in text:
            octets = text.replace("\\n", "\n").encode()
        else:
            try:
                octets = base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                raise SecurityError(f"${variable} is neither PEM nor base64 of DER") from None
        return _loaded(octets, f"${variable}", None)

    def _get(self, name: str) -> tuple[str, str]:
        variable = self._prefix + name
        text = self._environment.get(variable, "")
        if not text.strip():
            raise KeyMissing(f"the environment variable {variable} is not set; it has to hold the key")
        return variable, text


def _private_name(purpose: CertificateType) -> str:
    name = PRIVATE_KEY_NAMES.get(purpose)
    if name is None:
        raise KeyMissing(f"there are private keys for signing, key agreement and TLS, not for {purpose.name.lower()}")
    return name


def _symmetric_octets(key: bytes | str, what: str) -> bytes:
    if isinstance(key, str):
        try:
            octets = bytes.fromhex(key.replace(":", " "))
        except ValueError:
            raise SecurityError(f"{what} is not a key in hexadecimal") from None
    else:
        octets = bytes(key)
    if len(octets) not in _LENGTHS:
        raise SecurityError(f"{what} has {len(octets)} octets; keys have 16 (suites 0 and 1) or 32 (suite 2)")
    return octets


def _loaded(octets: bytes | str, what: str, password: Callable[[], bytes | str] | None) -> PrivateKey:
    secret: bytes | None = None
    if password is not None and _is_encrypted(octets):
        given = password()
        secret = given.encode() if isinstance(given, str) else given
    try:
        return SoftwareKey.load(octets, secret)
    except ValueError as error:
        raise SecurityError(f"{what}: {error}") from None


def _is_encrypted(octets: bytes | str) -> bool:
    """An encrypted PKCS #8 says so in its PEM; in DER its algorithm is PBES2 or of PKCS #12 (RFC 8018, RFC 7292)."""
    content = octets.encode() if isinstance(octets, str) else octets
    head = content[:64]
    return b"ENCRYPTED" in content if b"-----BEGIN" in content else any(mark in head for mark in _ENCRYPTED)


_ENCRYPTED: Final = (bytes.fromhex("06092A864886F70D01050D"), bytes.fromhex("060A2A864886F70D010C01"))


def _read_privately(path: Path) -> bytes:
    """The content of a file that nobody else can read. What is checked is what is read: the open file."""
    # A named pipe must not hang us: it is opened without waiting, and refused then.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecurityError(f"{path} is no file")
        if os.name == "posix":
            if status.st_mode & 0o077:
                raise SecurityError(
                    f"others can read the key file {path} (mode {stat.S_IMODE(status.st_mode):o}); run "
                    f"chmod 600 {shlex.quote(str(path))}, and replace the key if somebody may have seen it"
                )
            if status.st_uid not in (os.geteuid(), 0):
                raise SecurityError(
                    f"the key file {path} belongs to another user; run chown {os.geteuid()} {shlex.quote(str(path))}"
                )
        octets = file.read(_LARGEST_FILE + 1)
    if len(octets) > _LARGEST_FILE:
        raise SecurityError(f"{path} has more than {_LARGEST_FILE} octets; that is no key")
    return octets


def _check_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise SecurityError(f"the folder of keys {folder} cannot be looked at ({error.strerror})") from error
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise SecurityError(
            f"others can put files into the folder of keys {folder} (mode {stat.S_IMODE(mode):o}); run "
            f"chmod 700 {shlex.quote(str(folder))}"
        )
