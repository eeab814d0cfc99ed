"""Keys on a PKCS #11 token: a hardware security module, a smart card, or SoftHSM (extra ``pkcs11``).

Private keys stay on the token, which signs (CKM_ECDSA over a hash made here) and agrees (CKM_ECDH1_DERIVE without a
KDF; the shared secret has to come out, as the KDF of the standard runs here). Symmetric keys have to be extractable,
for AES-GCM runs here too. Objects are found by their label, the names of ``cosemic.security.key_store`` with a prefix;
a private key needs its public key beside it under the same label, and both may come with ``CKA_ID`` as they like.

A token is opened once for a process: make one ``Pkcs11Token`` and as many stores on it as there are peers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from cosemic.enums import CertificateType
from cosemic.errors import KeyMissing, MissingExtra, SecurityError
from cosemic.security.ec import CURVE_NAMES, PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, check_public
from cosemic.security.key_store import PRIVATE_KEY_NAMES, SymmetricKey

if TYPE_CHECKING:
    from cosemic.security.ec import PrivateKey

PIN_VARIABLE: Final = "COSEMIC_PKCS11_PIN"
_WAIT: Final = 30.0  # seconds that one user of a token waits for the others
_CURVES: Final = {bytes.fromhex("06082A8648CE3D030107"): 1, bytes.fromhex("06052B81040022"): 2}
"""The object identifiers of P-256 and P-384 in DER, by suite, as CKA_EC_PARAMS has them."""


class Pkcs11Token:
    """An open token: ``module`` is the library of its maker, ``label`` the name that the token was given.

    The PIN comes from ``pin``, a function that is called once, when the token is first needed; without it from the
    environment variable ``COSEMIC_PKCS11_PIN``. A PIN that the token refused is not tried again, as tokens lock.
    MissingExtra without the package python-pkcs11; every failure of the token is a SecurityError. Several threads may
    use it, one at a time; a forked process has to open its own.
    """

    __slots__ = ("_closed", "_label", "_module", "_pin", "_place", "_process", "_refused")

    def __init__(self, module: str | os.PathLike[str], label: str, *, pin: Callable[[], str] | None = None) -> None:
        self._module = os.fspath(module)
        self._label = label
        self._pin = pin
        self._refused: str | None = None
        self._closed = False
        self._process = os.getpid()
        # The session waits in a queue of one place; whoever takes it out has it alone, as with a lock.
        self._place: SimpleQueue[Any] = SimpleQueue()
        self._place.put(None)

    def __repr__(self) -> str:
        return f"<Pkcs11Token {self._label!r} of {self._module}>"

    def close(self) -> None:
        """Log out and close the session; the keys taken from this token do not work any more."""
        self._closed = True
        session = self._take()
        self._place.put(None)
        if session is None or os.getpid() != self._process:
            return
        with contextlib.suppress(_library().PKCS11Error):
            session.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        """The session, for one user at a time; errors of the token come out as SecurityError."""
        library = _library()
        if os.getpid() != self._process:
            raise SecurityError(f"{self!r} was opened before a fork; open it in the process that uses it")
        if self._closed:
            raise SecurityError(f"{self!r} is closed; open another one")
        session = self._take()
        try:
            if session is None:
                session = self._open(library)
            yield session
        except library.PKCS11Error as error:
            if isinstance(error, (library.SessionClosed, library.SessionHandleInvalid, library.DeviceRemoved)):
                session = None  # the next user opens another one
            raise SecurityError(f"{self!r} failed: {_text(error)}") from error
        finally:
            self._place.put(session)

    def _take(self) -> Any:
        try:
            return self._place.get(timeout=_WAIT)
        except Empty:
            raise SecurityError(f"{self!r} is in use for too long") from None

    def _open(self, library: ModuleType) -> Any:
        if self._refused is not None:
            raise SecurityError(self._refused)
        try:
            loaded = library.lib(self._module)
        except RuntimeError as error:
            raise SecurityError(f"the PKCS #11 library {self._module} cannot be loaded ({error})") from None
        try:
            token = loaded.get_token(token_label=self._label)
        except library.NoSuchToken:
            raise SecurityError(f"{self._module} has no token called {self._label!r}; list its slots") from None
        except library.MultipleTokensReturned:
            raise SecurityError(f"{self._module} has several tokens called {self._label!r}") from None
        pin = self._pin() if self._pin is not None else os.environ.get(PIN_VARIABLE)
        if not pin:
            raise KeyMissing(f"the PIN of {self!r} is needed: give the function pin, or set {PIN_VARIABLE}")
        try:
            return token.open(user_pin=pin)
        except (library.PinIncorrect, library.PinLenRange, library.PinInvalid):
            self._refused = f"{self!r} refuses the PIN; it is not tried again, as tokens lock: make a new Pkcs11Token"
            raise SecurityError(self._refused) from None
        except library.PinLocked:
            self._refused = f"the PIN of {self!r} is locked; its security officer has to unlock it"
            raise SecurityError(self._refused) from None
        except library.UserAlreadyLoggedIn:
            raise SecurityError(f"{self!r} is open already in this process; share that Pkcs11Token") from None


class Pkcs11KeyStore:
    """The keys of one peer on a token: labels are ``prefix`` with ``global-unicast``, ``signing`` and so on."""

    __slots__ = ("_prefix", "_token")

    def __init__(self, token: Pkcs11Token, prefix: str = "") -> None:
        self._token = token
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"Pkcs11KeyStore({self._token!r}, {self._prefix!r})"

    def symmetric_key(self, name: SymmetricKey) -> bytes:
        """The octets of a key; KeyMissing when there is none, SecurityError when the token does not let it out."""
        library = _library()
        with self._token.session() as session:
            key = self._find(library, session, library.ObjectClass.SECRET_KEY, name.value)
            try:
                return bytes(key[library.Attribute.VALUE])
            except (library.AttributeSensitive, library.AttributeTypeInvalid, library.AttributeValueInvalid):
                raise SecurityError(
                    f"{self._token!r} does not let out {self._prefix + name.value!r}; symmetric keys are used in this "
                    "process, so they have to be CKA_EXTRACTABLE and not CKA_SENSITIVE"
                ) from None

    def private_key(self, purpose: CertificateType) -> PrivateKey:
        """Our private key for that purpose, which stays on the token; KeyMissing when it, or its public key, is not."""
        name = PRIVATE_KEY_NAMES.get(purpose)
        if name is None:
            raise KeyMissing("there are private keys for signing, key agreement and TLS only")
        library = _library()
        with self._token.session() as session:
            private = self._find(library, session, library.ObjectClass.PRIVATE_KEY, name)
            public = self._find(library, session, library.ObjectClass.PUBLIC_KEY, name)
            curve = bytes(public[library.Attribute.EC_PARAMS])
            point = bytes(public[library.Attribute.EC_POINT])
        suite = _CURVES.get(curve)
        if suite is None:
            raise SecurityError(f"{self._prefix + name!r} on {self._token!r} is on neither P-256 nor P-384")
        return _TokenKey(self._token, self._prefix + name, private, suite, _public_of(suite, point))

    def _find(self, library: ModuleType, session: Any, kind: Any, name: str) -> Any:
        label = self._prefix + name
        what = str(kind.name).lower().replace("_", " ")
        try:
            return session.get_key(object_class=kind, label=label)
        except library.NoSuchKey:
            raise KeyMissing(f"{self._token!r} has no {what} with the label {label!r}; put it there") from None
        except library.MultipleObjectsReturned:
            raise SecurityError(f"{self._token!r} has several {what}s with the label {label!r}; keep one") from None


class _TokenKey:
    """A ``PrivateKey`` that stays on its token."""

    __slots__ = ("_key", "_label", "_public", "_suite", "_token")

    def __init__(self, token: Pkcs11Token, label: str, key: Any, suite: int, public: bytes) -> None:
        self._token = token
        self._label = label
        self._key = key
        self._suite = suite
        self._public = public

    def __repr__(self) -> str:
        return f"<{CURVE_NAMES[self._suite]} key {self._label!r} on {self._token!r}>"

    @property
    def suite(self) -> int:
        """1 (P-256) or 2 (P-384)."""
        return self._suite

    @property
    def public(self) -> bytes:
        """The public key, ``X || Y``."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The ECDSA signature of the message, ``r || s``; SecurityError when the token fails."""
        library = _library()
        self._check_capability("sign", "CKA_SIGN")
        digest = (hashlib.sha256 if self._suite == 1 else hashlib.sha384)(message).digest()
        with self._token.session():
            signature = bytes(self._key.sign(digest, mechanism=library.Mechanism.ECDSA))
        if len(signature) != SIGNATURE_LENGTH[self._suite]:
            raise SecurityError(f"{self!r} made a signature of {len(signature)} octets; it is not used")
        return signature

    def agree(self, public: bytes) -> bytes:
        """The ECDH shared secret with that public key; SecurityError when it is no point of the curve."""
        # The token should check the point as well; not every one is known to.
        point = b"\x04" + check_public(self._suite, public)
        self._check_capability("derive_key", "CKA_DERIVE")
        library = _library()
        size = PUBLIC_KEY_LENGTH[self._suite] // 2
        with self._token.session():
            derived = self._key.derive_key(
                library.KeyType.GENERIC_SECRET,
                8 * size,
                mechanism=library.Mechanism.ECDH1_DERIVE,
                mechanism_param=(library.KDF.NULL, None, point),
                template={
                    library.Attribute.TOKEN: False,
                    library.Attribute.SENSITIVE: False,
                    library.Attribute.EXTRACTABLE: True,
                },
            )
            try:
                secret = bytes(derived[library.Attribute.VALUE])
            finally:
                derived.destroy()
        if len(secret) != size:
            raise SecurityError(f"{self!r} agreed on a secret of {len(secret)} octets; it is not used")
        return secret

    def _check_capability(self, method: str, attribute: str) -> None:
        """The library gives a key only those methods that its attributes allow."""
        if not hasattr(self._key, method):
            raise SecurityError(f"{self!r} is not for that: the token keeps it without {attribute}; set it there")


def _public_of(suite: int, point: bytes) -> bytes:
    """``X || Y`` from CKA_EC_POINT: 04 || X || Y, by most makers within a DER OCTET STRING."""
    size = PUBLIC_KEY_LENGTH[suite]
    if len(point) not in (size + 1, size + 3) or point[-size - 1] != 4:
        raise SecurityError("the public key on the token is no uncompressed point of its curve")
    return check_public(suite, point[-size:])


def _library() -> ModuleType:
    try:
        return import_module("pkcs11")
    except ImportError:
        raise MissingExtra("pkcs11", "a PKCS #11 token") from None


def _text(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
