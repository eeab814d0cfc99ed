"""Pushes in general-ciphering and general-signing: published and constructed vectors, and every pair of layers."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.push.messages import Diagnosis
from cosemic.push.protection.decryption import PushRefused, PushSecurity
from cosemic.push.protection.general_keys import GeneralKeys
from cosemic.push.protection.keys import MeterKeys
from cosemic.security.ec import SoftwareKey
from cosemic.security.key_wrap import wrap_key
from cosemic.security.suites import GeneralAad, SigningInput
from tests.push.sealing import AUTHENTICATION_KEY, KEY, NOTIFICATION, TITLE, content, general_glo, length
from tests.vectors.collection import REASON, load

CASES = load("security")
KEK = bytes.fromhex("7D1B0C92E4F3A65887A9CBED0F213254")
OWN = b"HES\0\0\0\0\1"
SIGNING = SoftwareKey(1, bytes(range(1, 33)))


def string(octets: bytes) -> bytes:
    return length(len(octets)) + octets


def header(title: bytes = TITLE, recipient: bytes = OWN, transaction: bytes = bytes(8)) -> bytes:
    return b"".join(map(string, (transaction, title, recipient, b"", b"")))


def general_ciphering(inside: bytes, info: bytes, head: bytes | None = None) -> bytes:
    return b"\xdd" + (header() if head is None else head) + info + string(inside)


def wrapped(counter: int, fresh: bytes, control: int = 0x30, kek: bytes = KEK, plain: bytes = NOTIFICATION) -> bytes:
    inside = content(control, counter, plain, key=fresh, header=header())
    return general_ciphering(inside, b"\x01\x01\x00" + string(wrap_key(kek, fresh)))


def signed(inside: bytes, head: bytes | None = None, key: SoftwareKey = SIGNING) -> bytes:
    head = header() if head is None else head
    return b"\xdf" + head + string(inside) + string(key.sign(head + string(inside)))


def refusal(security: PushSecurity, apdu: bytes) -> PushRefused:
    with pytest.raises(PushRefused) as caught:
        security.open(apdu)
    return caught.value


def keys_of(case: dict[str, Any], **options: Any) -> MeterKeys:
    keys = {name: bytes.fromhex(value) for name, value in case["keys"].items()}
    suite = 2 if "suite2" in case["name"] else 1
    if "private_recipient" in keys:
        options["agreement_key"] = SoftwareKey(suite, keys["private_recipient"])
        options["peer_agreement_key"] = SoftwareKey(suite, keys["private_originator"]).public
    if "private_key" in keys:
        options["peer_signing_key"] = SoftwareKey(suite, keys["private_key"]).public
        options.setdefault("signing_input", SigningInput.CONTENT)
    options.setdefault(
        "general_aad", GeneralAad.WITH_HEADER if "with_header" in case["name"] else GeneralAad.WITHOUT_HEADER
    )
    return MeterKeys(
        keys.get("encryption_key"),
        keys.get("authentication_key"),
        general=GeneralKeys(suite, **options),
        allow_example_keys=True,
    )


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"]) for case in CASES if case["kind"].startswith("general-")]
)
def test_vectors(case: dict[str, Any]) -> None:
    apdu = bytes.fromhex(case["bytes"])
    security = PushSecurity(keys_of(case))
    opened = security.open(apdu)
    expected = case["expected"]
    assert opened.apdu.hex() == (expected.get("plaintext") or expected["header"]["content"])
    assert opened.protection is not None
    assert opened.protection.is_verified
    assert refusal(security, apdu).diagnosis is Diagnosis.COUNTER_WENT_BACK
    # The other reading of the standard is never tried.
    other: dict[str, Any] = {"signing_input": SigningInput.CONTENT_WITH_LENGTH}
    if case["kind"] == "general-ciphering":
        is_with = "with_header" in case["name"]
        other = {"general_aad": GeneralAad.WITHOUT_HEADER if is_with else GeneralAad.WITH_HEADER}
    refused = refusal(PushSecurity(keys_of(case, **other)), apdu)
    assert refused.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    for place in range(1, len(apdu)):
        altered = bytearray(apdu)
        altered[place] ^= 0x55
        try:
            opened = PushSecurity(keys_of(case)).open(bytes(altered))
        except PushRefused:
            continue
        # Without the header in it, the tag does not cover transaction id and recipient; the key info never is.
        assert case["kind"] == "general-ciphering"
        assert opened.apdu.hex() == expected["plaintext"]


def test_an_identified_key() -> None:
    inside = content(0x30, 1, header=header())
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, broadcast_key=KEK, check_replay=False)
    for info in (b"\x00", b"\x01\x00\x00"):
        assert PushSecurity(keys).open(general_ciphering(inside, info)).apdu == NOTIFICATION
    to_all = content(0x30, 1, header=header(), key=KEK)
    opened = PushSecurity(keys).open(general_ciphering(to_all, b"\x01\x00\x01"))
    assert any("broadcast" in note for note in opened.notes)
    refused = refusal(PushSecurity(keys), general_ciphering(inside, b"\x01\x00\x02"))
    assert refused.diagnosis is Diagnosis.NOT_SUPPORTED
    refused = refusal(PushSecurity(keys), general_ciphering(inside, b"\x02\x00\x00"))
    assert refused.diagnosis is Diagnosis.NOT_UNDERSTOOD
    assert "begins with 02" in refused.text


def test_who_it_is_for() -> None:
    inside = content(0x30, 1, header=header())
    apdu = general_ciphering(inside, b"\x00")
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, general=GeneralKeys(own_system_title=OWN))
    assert PushSecurity(keys).open(apdu).apdu == NOTIFICATION
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, general=GeneralKeys(own_system_title=OWN[::-1]))
    refused = refusal(PushSecurity(keys), apdu)
    assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    assert "484553" in refused.text


def test_a_wrapped_key() -> None:
    general = GeneralKeys(kek=KEK)
    keys = MeterKeys(None, AUTHENTICATION_KEY, general=general)
    security = PushSecurity(keys)
    one, other = bytes(range(100, 116)), bytes(range(116, 132))
    assert security.open(wrapped(0, one)).apdu == NOTIFICATION
    # A fresh key may start at 0 again; the message itself comes once.
    assert security.open(wrapped(0, other)).apdu == NOTIFICATION
    for fresh in (one, other):
        assert refusal(security, wrapped(0, fresh)).diagnosis is Diagnosis.COUNTER_WENT_BACK
    assert security.open(wrapped(5, one)).apdu == NOTIFICATION
    assert refusal(security, wrapped(4, other)).diagnosis is Diagnosis.COUNTER_WENT_BACK
    # Another start at 0 does not let the earlier ones through again.
    assert security.open(wrapped(0, bytes(range(132, 148)))).apdu == NOTIFICATION
    for counter, fresh in ((5, one), (4, other), (0, one)):
        assert refusal(security, wrapped(counter, fresh)).diagnosis is Diagnosis.COUNTER_WENT_BACK
    missing = refusal(PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY)), wrapped(0, one))
    assert missing.diagnosis is Diagnosis.KEY_MISSING
    assert "kek" in missing.text
    wrong = refusal(security, wrapped(9, one, kek=KEK[::-1]))
    assert wrong.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    no_tag_key = MeterKeys(None, KEY, general=general)
    assert refusal(PushSecurity(no_tag_key), wrapped(9, one)).diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    example = MeterKeys(None, AUTHENTICATION_KEY, general=GeneralKeys(kek=bytes(range(16))))
    assert refusal(PushSecurity(example), wrapped(9, one)).diagnosis is Diagnosis.EXAMPLE_KEY


def test_a_signed_message() -> None:
    general = GeneralKeys(peer_signing_key=SIGNING.public)
    security = PushSecurity(MeterKeys(None, general=general))
    apdu = signed(NOTIFICATION)
    opened = security.open(apdu)
    assert opened.apdu == NOTIFICATION
    assert opened.protection is not None
    assert opened.protection.is_verified
    assert opened.protection.system_title == TITLE
    assert refusal(security, apdu).diagnosis is Diagnosis.COUNTER_WENT_BACK
    # From one signature (r, s) anybody makes (r, n - s), which holds as well.
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = apdu[:-32] + (n - int.from_bytes(apdu[-32:])).to_bytes(32)
    assert PushSecurity(MeterKeys(None, general=general)).open(other).apdu == NOTIFICATION
    assert refusal(security, other).diagnosis is Diagnosis.COUNTER_WENT_BACK
    refused = refusal(security, signed(NOTIFICATION, key=SoftwareKey(1, bytes(range(2, 34)))))
    assert refused.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    refused = refusal(PushSecurity(MeterKeys(KEY)), apdu)
    assert refused.diagnosis is Diagnosis.KEY_MISSING
    assert "peer_signing_key" in refused.text
    lenient = PushSecurity(MeterKeys(KEY, without_verifying=True)).open(apdu)
    assert lenient.protection is not None
    assert not lenient.protection.is_verified
    assert lenient.notes
    assert refusal(security, signed(signed(NOTIFICATION))).diagnosis is Diagnosis.NOT_SUPPORTED
    assert refusal(security, signed(b"")).diagnosis is Diagnosis.NOT_UNDERSTOOD


@pytest.mark.parametrize("control", [0x20, 0x30])
def test_a_signature_around_ciphering(control: int) -> None:
    general = GeneralKeys(peer_signing_key=SIGNING.public)
    inside = general_glo(content(control, 3))
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, general=general))
    opened = security.open(signed(inside))
    assert opened.apdu == NOTIFICATION
    assert opened.protection is not None
    assert opened.protection.is_verified
    assert opened.protection.invocation_counter == 3
    assert refusal(security, signed(inside, header(transaction=b"1"))).diagnosis is Diagnosis.COUNTER_WENT_BACK
    stranger = general_glo(content(control, 4, title=OWN), title=OWN)
    refused = refusal(security, signed(stranger))
    assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    assert "inside it is a message of" in refused.text
    deeper = general_glo(content(control, 4, signed(NOTIFICATION)))
    assert refusal(security, signed(deeper)).diagnosis is Diagnosis.NOT_SUPPORTED
    tampered = bytearray(signed(general_glo(content(control, 4))))
    tampered[-1] ^= 1
    assert refusal(security, bytes(tampered)).diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY


@pytest.mark.parametrize("control", [0x20, 0x30])
def test_a_signature_inside_ciphering(control: int) -> None:
    general = GeneralKeys(peer_signing_key=SIGNING.public)
    authentication_key = AUTHENTICATION_KEY if control & 0x10 else None
    keys = MeterKeys(KEY, authentication_key, general=general)
    security = PushSecurity(keys)
    apdu = general_glo(content(control, 3, signed(NOTIFICATION)))
    opened = security.open(apdu)
    assert opened.apdu == NOTIFICATION
    assert opened.protection is not None
    assert opened.protection.is_verified
    assert refusal(security, apdu).diagnosis is Diagnosis.COUNTER_WENT_BACK
    # Who knows the encryption key seals what was signed once more; without a tag the signature must be new.
    if not control & 0x10:
        same = general_glo(content(control, 5, _inside(apdu)))
        assert refusal(security, same).diagnosis is Diagnosis.COUNTER_WENT_BACK
    assert security.open(general_glo(content(control, 6, signed(NOTIFICATION)))).apdu == NOTIFICATION
    forged = general_glo(content(control, 9, signed(NOTIFICATION, key=SoftwareKey(1, bytes(range(2, 34))))))
    assert refusal(security, forged).diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    stranger = general_glo(content(control, 9, signed(NOTIFICATION, header(title=OWN))))
    assert refusal(security, stranger).diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    deeper = general_glo(content(control, 9, signed(general_glo(content(0x30, 1)))))
    assert refusal(security, deeper).diagnosis is Diagnosis.NOT_SUPPORTED
    # Without the public key the tag alone has to prove it.
    plain_keys = PushSecurity(MeterKeys(KEY, authentication_key))
    if control & 0x10:
        opened = plain_keys.open(apdu)
        assert opened.protection is not None
        assert opened.protection.is_verified
        assert any("signature was not checked" in note for note in opened.notes)
    else:
        assert refusal(plain_keys, apdu).diagnosis is Diagnosis.KEY_MISSING


def test_what_nothing_proves_has_to_be_a_push() -> None:
    """Also inside a signature that is not checked, for so it was asked."""
    security = PushSecurity(MeterKeys(KEY, without_verifying=True))
    for octets in (b"\x99 no push", bytes.fromhex("C401C1000600000010"), NOTIFICATION[:-1]):
        assert refusal(security, signed(octets)).diagnosis is Diagnosis.NOT_UNDERSTOOD
        inside = general_glo(content(0x20, 3, signed(octets)))
        assert refusal(security, inside).diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    opened = security.open(general_glo(content(0x20, 3, signed(NOTIFICATION))))
    assert opened.protection is not None
    assert not opened.protection.is_verified


def _inside(apdu: bytes) -> bytes:
    """What the message holds, decrypted by the same function of the package cryptography."""
    body = apdu[1 + 1 + 8 + (1 if apdu[10] < 0x80 else 1 + (apdu[10] & 0x7F)) :]
    return content(0x20, int.from_bytes(body[1:5]), body[5:])[5:]


@pytest.mark.parametrize("kind", ["identified", "wrapped", "signed"])
def test_cut_at_every_octet(kind: str) -> None:
    general = GeneralKeys(kek=KEK, peer_signing_key=SIGNING.public)
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, general=general)
    whole = {
        "identified": general_ciphering(content(0x30, 1, header=header()), b"\x01\x00\x00"),
        "wrapped": wrapped(1, bytes(range(100, 116))),
        "signed": signed(NOTIFICATION),
    }[kind]
    assert PushSecurity(keys).open(whole).apdu == NOTIFICATION
    for size in range(1, len(whole)):
        assert refusal(PushSecurity(keys), whole[:size]).diagnosis is Diagnosis.TRUNCATED, size
