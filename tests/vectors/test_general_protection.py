"""The shared vectors of general-ciphering and general-signing, opened by the receiver and made again by the sender."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.enums import ApduTag
from cosemic.errors import AuthenticationError, SecurityError
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.security.agreement import one_pass_finish
from cosemic.security.cipher import CipherKey
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import GeneralAad, GeneralKey, SigningInput, SigningOrder
from tests.vectors.collection import REASON, load

CASES = load("security")
CLIENT, METER = bytes.fromhex("4D4D4D0000000001"), bytes.fromhex("4D4D4D0000BC614E")
ENCRYPTION_KEY = bytes(range(16))


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] == kind]


def side(case: dict[str, Any], role: str, **options: Any) -> AssociationSecurity:
    """The originator (client) or the recipient (meter) of a case."""
    keys = {name: bytes.fromhex(value) for name, value in case["keys"].items()}
    originator = role == "client"
    suite = 2 if "suite2" in case["name"] else 1 if "suite1" in case["name"] or "signing" in case["name"] else 0
    if "private_originator" in keys:
        own, peer = (
            SoftwareKey(suite, keys[f"private_{name}"])
            for name in (("originator", "recipient") if originator else ("recipient", "originator"))
        )
        options |= {"agreement_key": own, "peer_agreement_key": peer.public}
    if "private_key" in keys:
        signer = SoftwareKey(suite, keys["private_key"])
        options |= {"signing_key": signer} if originator else {"peer_signing_key": signer.public}
    options.setdefault(
        "general_aad", GeneralAad.WITH_HEADER if "with_header" in case["name"] else GeneralAad.WITHOUT_HEADER
    )
    return AssociationSecurity(
        SecurityContext(
            suite,
            CLIENT if originator else METER,
            keys.get("encryption_key", ENCRYPTION_KEY * (2 if suite == 2 else 1)),
            keys.get("authentication_key", ENCRYPTION_KEY),
            minimum_policy="none",
            counters=MemoryCounters(),
            peer_system_title=METER if originator else CLIENT,
            **options,
        ),
        role=role,  # type: ignore[arg-type]
    )


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize("case", of_kind("general-ciphering"))
def test_general_ciphering_is_opened(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["bytes"])
    meter = side(case, "server")
    plain, envelope = unseal(meter, octets)
    assert plain.hex() == case["expected"]["plaintext"]
    assert envelope.policy == SecurityPolicy.AUTHENTICATED_ENCRYPTED
    with pytest.raises(SecurityError):  # a second time
        unseal(meter, octets)


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize("case", of_kind("general-ciphering"))
def test_only_one_reading_opens_it(case: dict[str, Any]) -> None:
    other = GeneralAad.WITHOUT_HEADER if "with_header" in case["name"] else GeneralAad.WITH_HEADER
    meter = side(case, "server", general_aad=other)
    with pytest.raises(AuthenticationError):
        unseal(meter, bytes.fromhex(case["bytes"]))


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize("case", of_kind("general-ciphering"))
def test_our_sender_makes_the_same_octets(case: dict[str, Any]) -> None:
    client = side(case, "client")
    octets = bytes.fromhex(case["bytes"])
    if "no-key-info" in case["name"]:
        pytest.skip("we always name the key")
    key = GeneralKey.STATIC_UNIFIED if "agreed" in case["name"] else GeneralKey.IDENTIFIED
    advance_all(client, 0x01234567)
    envelope = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, key=key, transaction_id=bytes(range(1, 9)))
    assert seal(client, bytes.fromhex(case["expected"]["plaintext"]), envelope) == octets


def advance_all(security: AssociationSecurity, counter: int) -> None:
    """Have every counter begin there, whatever its name is."""
    counters = security.context.counters

    class Beginning:
        def __getattr__(self, name: str) -> Any:
            return getattr(counters, name)

        def reserve(self, key_id: str, count: int) -> range:
            counters.advance(key_id, counter)
            return counters.reserve(key_id, count)

    security.context._counters = Beginning()  # type: ignore[assignment]


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize("case", of_kind("general-signing"))
def test_general_signing(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["bytes"])
    meter = side(case, "server", signing_input=SigningInput.CONTENT)
    plain, envelope = unseal(meter, octets)
    assert plain.hex() == case["expected"]["header"]["content"]
    assert envelope.policy == SecurityPolicy.SIGNED
    with pytest.raises(AuthenticationError):
        unseal(side(case, "server"), octets)
    client = side(case, "client", signing_input=SigningInput.CONTENT)
    envelope = Envelope(SecurityPolicy.SIGNED, order=SigningOrder.SIGN_FIRST, transaction_id=bytes(range(1, 9)))
    ours = seal(client, plain, envelope)
    assert ours[:-64] == octets[:-64]
    assert unseal(side(case, "server", signing_input=SigningInput.CONTENT), ours)[0] == plain


# The example of IEC 62056-5-3 annex I (Green Book table 41): an ACCESS request under a key agreed by one pass.

PUBLISHED = bytes.fromhex(
    "DD080102030405060708084D4D4D0000BC614E084D4D4D00000000010000010201018180C323C2BD45711DE4688637D919F92E9DB8FB2D"
    "FC213A88D21C9DC8DCBA917D8170511DE1BADB360D50058F794B0960AE11FA28D392CFF907A62D13E3357B1DC0B51BE089D0B682863B22"
    "17201E73A1A9031968A9B4121DCBC3281A69739AF87429F5B3AC5471E7B6A04A2C0F2F8A25FD772A317DF97FC5463FEAC248EB8AB8BE81"
    "EB3100000000F435069679270C5BF4425EE5777402A6C8D51C620EED52DBB188378B836E2857D5C053E6DDF27FA87409AEF502CD9618AE"
    "47017C010224FD109CC0BEB21E742D44AB40CD11908743EC90EC8C40E221D517F72228E1A26E827F43DC18ED27B5F458D66508B05A2A4C"
    "C6FED178C881AFC3BC67064689BE8BB41C80ABB3C114A31F4CB03B8B64C7E0B4CE77B2399C93347858888F92239713B38DF01C48582458"
    "27A92EF334172EA636B31CBBDF2A96AD5D035F66AA38F1A2D97D4BBA99622E6B5F18789CECB2DFB3937D9F3E17F8B472098E6563238F37"
    "528374809836002AEA6E7012D2ADFAA7"
)
AGREEMENT_KEY = SoftwareKey(1, "AAD3FD0732E991CF52A74C66C1F2827DDC53522A2E0A169D7C4FFCC0FB5D6A4D")
SIGNING_KEY = SoftwareKey(1, "418073C239FA6125011DE4D6CD2E645780289F761BB21BFB0835CB5585E8B373")


def test_the_published_message_is_deciphered_with_the_agreed_key() -> None:
    """Everything but its tag: that reproduces under no reading of the additional data that anybody has found."""
    apdu = decode_apdu(PUBLISHED)
    key = one_pass_finish(
        1,
        AGREEMENT_KEY,
        SIGNING_KEY.public,
        apdu.key_info.key_ciphered_data,
        apdu.originator_system_title,
        apdu.recipient_system_title,
    )
    cipher = CipherKey(key, None, "agreed key")
    opened = cipher.open(0x21, apdu.originator_system_title, 0, bytes.fromhex("2100000000") + apdu.ciphertext)
    request = decode_apdu(opened)
    assert request.TAG == ApduTag.ACCESS_REQUEST
    assert [type(specification).__name__ for specification in request.specifications][:1] == ["AccessGet"]
    assert request.encode() == opened
