"""The shared security vectors of suites 1 and 2: signatures, shared secrets, derived and wrapped keys."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.errors import AuthenticationError
from cosemic.security.agreement import AlgorithmId, derive_key, static_unified_key
from cosemic.security.ec import SoftwareKey, verify
from cosemic.security.key_wrap import unwrap_key, wrap_key
from tests.vectors.collection import REASON, load

CASES = load("security")
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] == kind]


def octets(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case["keys"][name])


@pytest.mark.parametrize("case", of_kind("ecdsa"))
def test_published_signatures_verify(case: dict[str, Any]) -> None:
    public = octets(case, "public_key")
    suite = 1 if len(public) == 64 else 2
    message, signature = bytes.fromhex(case["expected"]["message"]), bytes.fromhex(case["bytes"])
    verify(suite, public, message, signature)
    key = SoftwareKey(suite, octets(case, "private_key"))
    assert key.public == public
    verify(suite, public, message, key.sign(message))
    with pytest.raises(AuthenticationError):
        verify(suite, public, message + b"\0", signature)


@pytest.mark.parametrize("case", of_kind("ecdh"))
def test_shared_secrets_of_nist(case: dict[str, Any]) -> None:
    peer = octets(case, "peer_public_key")
    assert SoftwareKey(1 if len(peer) == 64 else 2, octets(case, "private_key")).agree(peer).hex() == case["bytes"]


@pytest.mark.parametrize("case", of_kind("kdf"))
def test_derived_keys(case: dict[str, Any]) -> None:
    u, v = SoftwareKey(1, octets(case, "private_u")), SoftwareKey(1, octets(case, "private_v"))
    assert (u.public, v.public) == (octets(case, "public_u"), octets(case, "public_v"))
    party_u, party_v = octets(case, "party_u_info"), octets(case, "party_v_info")
    assert AlgorithmId.AES_GCM.octets(1) == octets(case, "algorithm_id")
    for z in (u.agree(v.public), v.agree(u.public)):
        assert z.hex() == case["expected"]["z"]
        assert derive_key(1, z, party_u, party_v).hex() == case["expected"]["derived_key"]
    if len(party_u) > 8:
        originator, transaction_id = party_u[:8], party_u[9:]
        key = static_unified_key(1, v, u.public, originator, party_v, transaction_id)
        assert key.hex() == case["expected"]["derived_key"]


@pytest.mark.parametrize("case", of_kind("key-wrap"))
def test_wrapped_keys_of_rfc_3394(case: dict[str, Any]) -> None:
    kek, key, wrapped = octets(case, "kek"), octets(case, "key"), bytes.fromhex(case["bytes"])
    if len(key) == 24:
        pytest.skip("no suite has keys of 192 bits")
    assert wrap_key(kek, key) == wrapped
    assert unwrap_key(kek, wrapped) == key
