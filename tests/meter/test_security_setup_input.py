"""Whatever comes as the parameters of the security setup is refused, and nothing is changed by it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.enums import ActionResult, CertificateType
from cosemic.protocol.requests import Action
from cosemic.security.certificate_store import identification
from cosemic.security.key_wrap import wrap_key
from cosemic.security.suites import SecurityPolicy
from tests.codec.values import TYPED
from tests.meter.bench import CLIENT_TITLE
from tests.meter.keys import MANAGER, SETUP, Secured

SECURED = Secured()
SECURED.import_client()
BOTH = SecurityPolicy.AUTHENTICATED_ENCRYPTED
GOOD_WRAP = wrap_key(SECURED.master, bytes(range(0x40, 0x50)))

KEY_ROWS = st.lists(
    st.tuples(
        st.integers(0, 255),
        st.binary(max_size=200) | st.integers(0, 191).map(lambda bit: flipped(GOOD_WRAP, bit)),
    ),
    max_size=4,
).map(lambda rows: axdr.array(*(axdr.structure(axdr.enum(n), axdr.octet_string(octets)) for n, octets in rows)))
IDENTIFICATIONS = st.builds(
    lambda kind, inner: axdr.structure(axdr.enum(kind), axdr.structure(*inner)),
    st.integers(0, 3),
    st.lists(st.integers(0, 255).map(axdr.enum) | st.binary(max_size=40).map(axdr.octet_string), max_size=4),
)
ANY = (
    TYPED
    | KEY_ROWS
    | IDENTIFICATIONS
    | st.integers(0, 255).map(axdr.enum)
    | st.binary(max_size=400).map(axdr.octet_string)
)


def flipped(octets: bytes, bit: int) -> bytes:
    return (int.from_bytes(octets, "big") ^ 1 << bit).to_bytes(len(octets), "big")


def state() -> tuple[object, ...]:
    """What only a right call changes."""
    security = SECURED.bench.meter.settings(*MANAGER).security
    assert security is not None
    return (
        dict(security._keys.present),
        dict(security._keys.others),
        security.kek,
        security.policy,
        security.minimum_policy,
        security.epoch,
        security.signing_key,
        security.agreement_key,
        list(SECURED.store),
    )


def call(method: int, parameters: Typed | None) -> ActionResult | int:
    meter = SECURED.bench.meter
    request = Action.one(64, SETUP, method, parameters)
    result, _ = meter.carry_out(MANAGER, request, BOTH, protectable=BOTH, peer_title=CLIENT_TITLE)
    outcome: ActionResult | int = result.results[0].result  # type: ignore[union-attr]
    return outcome


@pytest.mark.parametrize("method", [2, 3, 6])
@given(ANY)
@settings(max_examples=150, deadline=None)
def test_keys_and_certificates_from_nowhere(method: int, parameters: Typed) -> None:
    before = state()
    assert call(method, parameters) in (ActionResult.OTHER_REASON, ActionResult.TYPE_UNMATCHED)
    assert state() == before


@pytest.mark.parametrize("method", [1, 4, 5, 7, 8])
@given(ANY)
@settings(max_examples=100, deadline=None)
def test_other_parameters(method: int, parameters: Typed) -> None:
    before = state()
    outcome = call(method, parameters)
    if outcome == ActionResult.SUCCESS:  # what it may ask for: a policy, a key pair, a certificate that is there
        if method in (1, 4, 5):
            assert parameters.value in (*range(0, 256, 4), *(int(purpose) for purpose in CertificateType))
            if method == 1:
                reset_policy()
        else:
            identification(parameters)
    else:
        assert outcome in (ActionResult.OTHER_REASON, ActionResult.TYPE_UNMATCHED)
    if method != 1:
        assert state()[:8] == before[:8]


def reset_policy() -> None:
    security = SECURED.bench.meter.settings(*MANAGER).security
    assert security is not None
    security.policy = security.minimum_policy = SecurityPolicy.NONE


@pytest.mark.parametrize("method", range(12))
def test_nothing_at_all(method: int) -> None:
    before = state()
    assert call(method, None) in (ActionResult.TYPE_UNMATCHED, ActionResult.READ_WRITE_DENIED)
    assert state() == before
