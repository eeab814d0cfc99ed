"""Keys on a token, against SoftHSM: the same answers as a key in memory, and what happens when something is wrong.

SoftHSM reads its configuration once in a process, so all tests share one folder of tokens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cosemic.enums import CertificateType
from cosemic.errors import KeyMissing, MissingExtra, SecurityError
from cosemic.security import pkcs11 as ours
from cosemic.security.ec import PrivateKey, SoftwareKey, verify
from cosemic.security.key_store import KeyStore, SymmetricKey
from cosemic.security.pkcs11 import PIN_VARIABLE, Pkcs11KeyStore, Pkcs11Token
from tests.security.pki import METER_TITLE, NOW, SIGNING, START

AGREEMENT = CertificateType.KEY_AGREEMENT
PIN = "the-pin-1234"
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
MODULE = next((path for path in LIBRARIES if os.path.exists(path)), "")

try:
    import pkcs11 as theirs
except ImportError:
    theirs = None
needs_softhsm = pytest.mark.skipif(
    not MODULE or shutil.which("softhsm2-util") is None or theirs is None,
    reason="SoftHSM (Debian: softhsm2) or python-pkcs11 is not installed",
)

# Made in a process of their own: a process logs in to a token once.
MAKE_SECRETS = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass
module, pin, *paths = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label="meters").open(rw=True, user_pin=pin) as session:
    for label, value, out in (
        ("m1-global-unicast", bytes(range(16)), True),
        ("m1-authentication", bytes(range(32)), True),
        ("m1-master", bytes(16), False),
        ("twice-master", bytes(16), True),
        ("twice-master", bytes(16), True),
    ):
        session.create_object({
            Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE: value,
            Attribute.LABEL: label, Attribute.TOKEN: True, Attribute.SENSITIVE: not out, Attribute.EXTRACTABLE: out,
        })
    from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key, encode_named_curve_parameters
    for path in paths:
        with open(path, "rb") as file:
            private, public = file.read().split(b"|public|")
        named = {Attribute.LABEL: path.rsplit("/", 1)[1], Attribute.TOKEN: True}
        session.create_object(decode_ec_public_key(public) | named)
        kept = {Attribute.DERIVE: True, Attribute.SENSITIVE: True}
        session.create_object(decode_ec_private_key(private) | named | kept)
    for label, curve in (("m2-signing", "secp256r1"), ("m2-agreement", "secp384r1"), ("m3-signing", "secp521r1")):
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
        )
        parameters.generate_keypair(store=True, label=label)
"""


@pytest.fixture(scope="module")
def keys() -> dict[str, SoftwareKey]:
    return {
        "m1-signing": SoftwareKey.generate(1),
        "m1-agreement": SoftwareKey.generate(1),
        "suite2-signing": SoftwareKey.generate(2),
        "suite2-agreement": SoftwareKey.generate(2),
    }


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, SoftwareKey]) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    for label in ("meters", "lockable"):
        run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "so-pin-1234")
    agreement = []
    for number, (label, key) in enumerate(keys.items()):
        if label.endswith("agreement"):
            own = key.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            public = key.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            (folder / label).write_bytes(own + b"|public|" + public)
            agreement.append(str(folder / label))
            continue
        path = folder / f"{number}.pem"
        path.write_bytes(key.private_pem())
        run("softhsm2-util", "--import", str(path), "--token", "meters", "--label", label, "--id", f"A{number}",
            "--pin", PIN)  # fmt: skip
    run(sys.executable, "-c", MAKE_SECRETS, MODULE, PIN, *agreement)
    yield MODULE
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def token(softhsm: str) -> Iterator[Pkcs11Token]:
    token = Pkcs11Token(softhsm, "meters", pin=lambda: PIN)
    yield token
    token.close()


@needs_softhsm
@pytest.mark.parametrize("prefix, suite", [("m1-", 1), ("suite2-", 2)])
def test_a_key_on_a_token_does_what_the_same_key_in_memory_does(
    token: Pkcs11Token, keys: dict[str, SoftwareKey], prefix: str, suite: int
) -> None:
    store = Pkcs11KeyStore(token, prefix)
    assert isinstance(store, KeyStore)
    signing, agreement = store.private_key(SIGNING), store.private_key(AGREEMENT)
    for key, name in ((signing, "signing"), (agreement, "agreement")):
        assert isinstance(key, PrivateKey)
        assert (key.suite, key.public) == (suite, keys[prefix + name].public)
    for message in (b"", b"message", bytes(5000)):
        verify(suite, signing.public, message, signing.sign(message))
    peer = SoftwareKey.generate(suite)
    for _ in range(20):
        assert agreement.agree(peer.public) == peer.agree(agreement.public)
        peer = SoftwareKey.generate(suite)
    assert agreement.agree(peer.public) == keys[prefix + "agreement"].agree(peer.public)


@needs_softhsm
def test_a_key_made_on_the_token(token: Pkcs11Token) -> None:
    store = Pkcs11KeyStore(token, "m2-")
    signing, agreement = store.private_key(SIGNING), store.private_key(AGREEMENT)
    verify(1, signing.public, b"message", signing.sign(b"message"))
    peer = SoftwareKey.generate(2)
    assert agreement.agree(peer.public) == peer.agree(agreement.public)
    with pytest.raises(SecurityError, match="neither P-256 nor P-384"):
        Pkcs11KeyStore(token, "m3-").private_key(SIGNING)


@needs_softhsm
def test_a_key_that_may_only_sign(token: Pkcs11Token) -> None:
    key = Pkcs11KeyStore(token, "m1-").private_key(SIGNING)  # softhsm2-util imports without CKA_DERIVE
    with pytest.raises(SecurityError, match="CKA_DERIVE"):
        key.agree(SoftwareKey.generate(1).public)


@needs_softhsm
def test_bad_points_never_reach_the_token(token: Pkcs11Token, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Pkcs11KeyStore(token, "m1-").private_key(AGREEMENT)
    monkeypatch.setattr(Pkcs11Token, "session", lambda self: pytest.fail("the token was asked"))
    for point in (bytes(64), b"\x01" * 64, bytes(63) + b"\x05", key.public[:-1], key.public + b"\0", b""):
        with pytest.raises(SecurityError):
            key.agree(point)


@needs_softhsm
def test_symmetric_keys_come_out_if_the_token_lets_them(token: Pkcs11Token) -> None:
    store = Pkcs11KeyStore(token, "m1-")
    assert store.symmetric_key(SymmetricKey.GLOBAL_UNICAST) == bytes(range(16))
    assert store.symmetric_key(SymmetricKey.AUTHENTICATION) == bytes(range(32))
    with pytest.raises(SecurityError, match="CKA_EXTRACTABLE"):
        store.symmetric_key(SymmetricKey.MASTER)
    with pytest.raises(KeyMissing, match="'m1-global-broadcast'"):
        store.symmetric_key(SymmetricKey.GLOBAL_BROADCAST)
    with pytest.raises(SecurityError, match="several secret keys"):
        Pkcs11KeyStore(token, "twice-").symmetric_key(SymmetricKey.MASTER)
    with pytest.raises(KeyMissing, match="'none-signing'"):
        Pkcs11KeyStore(token, "none-").private_key(SIGNING)
    with pytest.raises(KeyMissing):
        store.private_key(CertificateType.OTHER)
    assert store.symmetric_key(SymmetricKey.GLOBAL_UNICAST) == bytes(range(16))


@needs_softhsm
def test_certificates_are_made_with_keys_on_a_token(token: Pkcs11Token) -> None:
    from cosemic.security.chains import verify_chain
    from cosemic.security.issuing import certificate_request, issue_certificate, new_authority

    authority_key = Pkcs11KeyStore(token, "m1-").private_key(SIGNING)
    own = Pkcs11KeyStore(token, "m2-").private_key(SIGNING)
    root = new_authority(authority_key, "Token", not_before=START)
    made = issue_certificate(
        root, authority_key, purpose=SIGNING, request=certificate_request(own, METER_TITLE), not_before=START
    )
    assert made.public == own.public
    assert verify_chain(made, [root], at=NOW, purpose=SIGNING, system_title=METER_TITLE)


@needs_softhsm
def test_the_pin_is_asked_for_once_and_never_shown(softhsm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pin() -> str:
        asked.append(1)
        return PIN

    token = Pkcs11Token(softhsm, "meters", pin=pin)
    assert not asked
    for _ in range(2):
        key = Pkcs11KeyStore(token, "m1-").private_key(SIGNING)
    assert len(asked) == 1
    for shown in (repr(token), repr(key), repr(Pkcs11KeyStore(token, "m1-"))):
        assert PIN not in shown
    token.close()
    with pytest.raises(SecurityError, match="is closed"):
        key.sign(b"message")
    monkeypatch.delenv(PIN_VARIABLE, raising=False)
    token = Pkcs11Token(softhsm, "meters")
    with pytest.raises(KeyMissing, match=PIN_VARIABLE):
        Pkcs11KeyStore(token, "m1-").private_key(SIGNING)
    monkeypatch.setenv(PIN_VARIABLE, PIN)
    assert Pkcs11KeyStore(token, "m1-").private_key(SIGNING).suite == 1
    other = Pkcs11Token(softhsm, "meters")
    with pytest.raises(SecurityError, match="share that Pkcs11Token"):
        Pkcs11KeyStore(other, "m1-").private_key(SIGNING)
    other.close()
    token.close()


@needs_softhsm
def test_a_wrong_pin_is_tried_once(softhsm: str) -> None:
    asked = []

    def wrong() -> str:
        asked.append(1)
        return "not-the-pin"

    token = Pkcs11Token(softhsm, "lockable", pin=wrong)
    store = Pkcs11KeyStore(token)
    for _ in range(5):
        with pytest.raises(SecurityError, match="refuses the PIN; it is not tried again") as caught:
            store.private_key(SIGNING)
        assert "not-the-pin" not in str(caught.value)
    assert len(asked) == 1


@needs_softhsm
def test_no_such_token_and_no_such_library(softhsm: str, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="no token called 'nobody'"):
        Pkcs11KeyStore(Pkcs11Token(softhsm, "nobody", pin=lambda: PIN)).private_key(SIGNING)
    (tmp_path / "text.so").write_text("no library")
    for module in (tmp_path / "missing.so", tmp_path / "text.so"):
        with pytest.raises(SecurityError, match="cannot be loaded"):
            Pkcs11KeyStore(Pkcs11Token(module, "meters", pin=lambda: PIN)).private_key(SIGNING)


@needs_softhsm
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_to_open_its_own(token: Pkcs11Token, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Pkcs11KeyStore(token, "m1-").private_key(SIGNING)
    monkeypatch.setattr(ours.os, "getpid", lambda: -1)
    with pytest.raises(SecurityError, match="fork"):
        key.sign(b"message")
    monkeypatch.undo()
    verify(1, key.public, b"message", key.sign(b"message"))


@needs_softhsm
def test_a_token_that_fails_is_one_clear_error(token: Pkcs11Token) -> None:
    assert theirs is not None
    key = Pkcs11KeyStore(token, "m1-").private_key(SIGNING)

    class Broken:
        def __init__(self, error: Exception | None, answer: bytes = b"") -> None:
            self.error, self.answer = error, answer

        def sign(self, *arguments: Any, **options: Any) -> bytes:
            if self.error is not None:
                raise self.error
            return self.answer

    whole = key._key
    for broken, text in (
        (Broken(theirs.DeviceError("no power")), "DeviceError no power"),
        (Broken(None, bytes(63)), "63 octets"),
    ):
        key._key = broken
        with pytest.raises(SecurityError, match=text):
            key.sign(b"message")
    key._key = whole
    verify(1, key.public, b"message", key.sign(b"message"))


@pytest.mark.parametrize(
    "use",
    [
        lambda token: Pkcs11KeyStore(token).private_key(SIGNING),
        lambda token: Pkcs11KeyStore(token).symmetric_key(SymmetricKey.MASTER),
    ],
)
def test_without_the_extra_one_line_names_it(
    use: Callable[[Pkcs11Token], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    Pkcs11Token("library", "token").close()  # nothing was opened, so nothing is needed
    with pytest.raises(MissingExtra, match=r"pip install 'cosemic\[pkcs11\]'"):
        use(Pkcs11Token("library", "token", pin=lambda: PIN))


@needs_softhsm
@pytest.mark.parametrize("suite, prefix", [(1, "m1-"), (2, "suite2-")])
def test_a_login_with_a_key_that_stays_on_the_token(token: Pkcs11Token, suite: int, prefix: str) -> None:
    from tests.test_certificate_login import Login

    key = Pkcs11KeyStore(token, prefix).private_key(SIGNING)
    assert isinstance(Login(suite, client_key=key).read(), int)
    assert isinstance(Login(suite, meter_key=key).read(), int)
