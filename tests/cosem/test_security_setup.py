"""The client's procedures for a security setup, against answers that are written down, and over asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cosemic.apdu.services import ActionOutcome
from cosemic.client import DlmsClient
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem import security_setup
from cosemic.cosem.access import MeterCache
from cosemic.cosem.object_list import ObjectEntry
from cosemic.enums import (
    AccessRight,
    ActionResult,
    AuthenticationMechanism,
    CertificateType,
    ExceptionServiceError,
    ExceptionStateError,
)
from cosemic.errors import (
    ActionError,
    AuthenticationError,
    CertificateError,
    DecodeError,
    ExceptionResponseError,
    KeyMissing,
    LinkTimeout,
    LocalProtocolError,
    SecurityError,
)
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, MASTER_KEY, demo_meter
from cosemic.meter.server import running
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults
from cosemic.security.agreement import key_offer
from cosemic.security.certificate_store import BySerial
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.key_wrap import unwrap_key
from cosemic.security.suites import KeyId, SecurityPolicy
from tests.cosem.driving import drive

CLIENT_TITLE, METER_TITLE = bytes.fromhex("434F530000000002"), bytes.fromhex("434F530000000001")
NEW = bytes(range(0x40, 0x50))
UNICAST, BROADCAST, AUTHENTICATION, MASTER = KeyId
SIGNING, METER_SIGNING = SoftwareKey.generate(1), SoftwareKey.generate(1)


def context(**options: Any) -> SecurityContext:
    suite = options.pop("suite", 0)
    options.setdefault("counters", MemoryCounters())
    return SecurityContext(suite, CLIENT_TITLE, ENCRYPTION_KEY, AUTHENTICATION_KEY, **options)


class Answers:
    """Gives what was written down for each request in turn, and keeps the requests."""

    def __init__(self, *answers: Any) -> None:
        self.waiting = list(answers)
        self.asked: list[Any] = []

    def __call__(self, request: Any) -> Any:
        self.asked.append(request)
        answer = self.waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(request, Get):
            return GetResults((Data.of(answer) if isinstance(answer, Typed) else answer,))
        assert isinstance(request, Action)
        if isinstance(answer, ActionResult):
            return ActionResults((ActionOutcome(answer, None),))
        return ActionResults((ActionOutcome(ActionResult.SUCCESS, None if answer is None else Data.of(answer)),))


NAME = axdr.octet_string(bytes((0, 0, 43, 0, 0, 255)))
NOT_DECIPHERED = ExceptionResponseError(
    ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.DECIPHERING_ERROR, None
)


def keys_of(security: SecurityContext) -> tuple[dict[str, bytes], dict[str, bytes]]:
    return dict(security._keys.present), dict(security._keys.others)


# Keys


def test_what_a_transfer_sends() -> None:
    security = context()
    meter = Answers(None, NAME)
    drive(security_setup.transfer_keys(security, {UNICAST: NEW, MASTER: NEW}, MASTER_KEY), meter)
    transfer, proof = meter.asked
    assert (transfer.items[0].class_id, transfer.items[0].method) == (64, 2)
    sent = {number: unwrap_key(MASTER_KEY, wrapped) for number, wrapped in transfer.parameters[0].value}
    assert sent == {0: NEW, 3: NEW}
    assert proof == Get.one(64, security_setup.SETUP, 1)
    present, others = keys_of(security)
    assert present["encryption_key"] == NEW
    assert others == {"encryption_key": ENCRYPTION_KEY}, "no message has verified under the new key yet"
    assert security.kek == NEW


RFC_3394 = [
    (
        "000102030405060708090A0B0C0D0E0F",
        "00112233445566778899AABBCCDDEEFF",
        "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
    ),
    (
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
        "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
        "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
    ),
]
"""RFC 3394, 4.1 and 4.6: those whose master key and key have the lengths of a suite."""


@pytest.mark.parametrize(("master_key", "key", "wrapped"), RFC_3394, ids=["suite-0", "suite-2"])
def test_a_transfer_wraps_as_the_rfc_does(master_key, key, wrapped) -> None:
    suite, length = (0, 16) if len(key) == 32 else (2, 32)
    security = SecurityContext(suite, CLIENT_TITLE, bytes(range(length)), bytes(range(1, length + 1)))
    meter = Answers(ActionResult.OTHER_REASON)
    with pytest.raises(ActionError):
        drive(security_setup.transfer_keys(security, {UNICAST: key}, master_key), meter)
    assert meter.asked[0].parameters[0].value == [(0, bytes.fromhex(wrapped))]


def test_a_refused_transfer_leaves_the_context_as_it_was() -> None:
    for refusal in (ActionResult.OTHER_REASON, NOT_DECIPHERED):
        security = context()
        with pytest.raises((ActionError, ExceptionResponseError)):
            drive(security_setup.transfer_keys(security, {UNICAST: NEW}, MASTER_KEY), Answers(refusal))
        assert keys_of(security)[1] == {}
        assert keys_of(security)[0]["encryption_key"] == ENCRYPTION_KEY


def test_a_transfer_without_an_answer_leaves_both_keys() -> None:
    security = context()
    procedure = security_setup.transfer_keys(security, {UNICAST: NEW}, MASTER_KEY)
    next(procedure)
    with pytest.raises(LinkTimeout):
        procedure.throw(LinkTimeout("no answer"))
    present, others = keys_of(security)
    assert (present["encryption_key"], others) == (ENCRYPTION_KEY, {"encryption_key": NEW})
    security.switch_keys(encryption_key=NEW)  # the user has learnt that the meter took it
    assert keys_of(security)[0]["encryption_key"] == NEW


def test_a_meter_that_does_not_understand_the_new_keys_gets_the_old_ones_again() -> None:
    security = context()
    with pytest.raises(SecurityError, match="the old ones are in use again"):
        drive(security_setup.transfer_keys(security, {UNICAST: NEW}, MASTER_KEY), Answers(None, NOT_DECIPHERED))
    assert keys_of(security) == ({"encryption_key": ENCRYPTION_KEY, "authentication_key": AUTHENTICATION_KEY}, {})


def test_the_master_key_of_the_context_wraps() -> None:
    meter = Answers(None, NAME)
    drive(security_setup.transfer_keys(context(kek=MASTER_KEY), {UNICAST: NEW}), meter)
    assert unwrap_key(MASTER_KEY, meter.asked[0].parameters[0].value[0][1]) == NEW
    with pytest.raises(KeyMissing, match="kek"):
        drive(security_setup.transfer_keys(context(), {UNICAST: NEW}), Answers())


# Key agreement


def answer(*key_ids: KeyId, signing: SoftwareKey = METER_SIGNING, edit: Any = None) -> Typed:
    rows = [(int(key_id), key_offer(1, key_id, signing).key_data) for key_id in key_ids]
    rows = rows if edit is None else edit(rows)
    return axdr.array(*(axdr.structure(axdr.enum(number), axdr.octet_string(data)) for number, data in rows))


def agree(meter: Any, *key_ids: KeyId, security: SecurityContext | None = None) -> Any:
    security = security or context(suite=1, signing_key=SIGNING, peer_signing_key=METER_SIGNING.public)
    return drive(security_setup.agree_keys(security, key_ids, METER_TITLE), meter)


def test_agreed_keys_are_taken_up_and_given_back() -> None:
    security = context(suite=1, signing_key=SIGNING, peer_signing_key=METER_SIGNING.public)
    keys = agree(Answers(answer(UNICAST, MASTER), NAME), UNICAST, MASTER, security=security)
    assert keys_of(security)[0]["encryption_key"] == keys[UNICAST]
    assert security.kek == keys[MASTER]


@pytest.mark.parametrize(
    "answered",
    [
        lambda: answer(AUTHENTICATION),
        lambda: answer(UNICAST, AUTHENTICATION),
        axdr.array,
        lambda: answer(UNICAST, signing=SIGNING),
        lambda: answer(UNICAST, edit=lambda rows: rows * 2),
        lambda: answer(UNICAST, edit=lambda rows: [(0, rows[0][1][:-1])]),
        lambda: answer(UNICAST, edit=lambda rows: [(0, bytes(64) + rows[0][1][64:])]),
        lambda: answer(UNICAST, edit=lambda rows: [(7, rows[0][1])]),
        lambda: axdr.octet_string(b"no array"),
        lambda: axdr.array(axdr.structure(axdr.enum(0))),
        lambda: None,
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing(answered) -> None:
    security = context(suite=1, signing_key=SIGNING, peer_signing_key=METER_SIGNING.public)
    with pytest.raises((SecurityError, DecodeError)):
        agree(Answers(answered()), UNICAST, security=security)
    assert keys_of(security) == ({"encryption_key": ENCRYPTION_KEY, "authentication_key": AUTHENTICATION_KEY}, {})


def test_our_own_offer_is_no_answer() -> None:
    class Mirror(Answers):
        def __call__(self, request: Any) -> Any:
            self.waiting = [request.parameters[0].typed]
            return super().__call__(request)

    own = context(suite=1, signing_key=SIGNING, peer_signing_key=SIGNING.public)
    with pytest.raises(SecurityError, match="sent back"):
        agree(Mirror(), UNICAST, security=own)


def test_agreement_needs_its_keys() -> None:
    for options in ({"signing_key": SIGNING}, {"peer_signing_key": METER_SIGNING.public}):
        with pytest.raises(KeyMissing, match="signing_key"):
            agree(Answers(), UNICAST, security=context(suite=1, **options))
    with pytest.raises(AuthenticationError):
        agree(
            Answers(answer(UNICAST)),
            UNICAST,
            security=context(suite=1, signing_key=SIGNING, peer_signing_key=SIGNING.public),
        )


# Policy


def cache(version: int) -> MeterCache:
    entry = ObjectEntry(64, version, security_setup.SETUP, {2: AccessRight.READ}, {1: AccessRight.READ})
    return MeterCache(objects={(64, security_setup.SETUP): entry})


@pytest.mark.parametrize(
    ("version", "request_policy", "response", "now", "sent"),
    [
        (0, "authenticated", None, 0, 1),
        (0, "encrypted", None, 0, 2),
        (0, "authenticated-encrypted", None, 1, 3),
        (1, "authenticated", None, 0, 0x24),
        (1, "authenticated", "authenticated-encrypted", 0x20, 0x64),
        (1, "authenticated-encrypted", None, 0x64, 0x6C),
        (1, "authenticated-encrypted-signed", "authenticated", 0, 0x3C),
    ],
)
def test_policies_as_numbers(version, request_policy, response, now, sent) -> None:
    security = context(suite=1, signing_key=SIGNING, policy="none", minimum_policy="none")
    meter = Answers(axdr.enum(now), None)
    drive(security_setup.activate_policy(security, request_policy, response, cache=cache(version)), meter)
    assert meter.asked[1].parameters[0].typed == axdr.enum(sent)
    assert security.policy == SecurityPolicy.parse(request_policy)
    assert security.minimum_policy == SecurityPolicy.parse(response or request_policy)


def test_policies_that_are_not_asked_for() -> None:
    security = context(policy="none", minimum_policy="none")
    for version, asked, response, now, error in (
        (0, "authenticated", "encrypted", 0, LocalProtocolError),
        (0, "signed", None, 0, LocalProtocolError),
        (1, "signed", None, 0, KeyMissing),
        (0, "authenticated", None, 2, SecurityError),
        (1, "authenticated", None, 0x64, SecurityError),
    ):
        meter = Answers(axdr.enum(now))
        with pytest.raises(error):
            drive(security_setup.activate_policy(security, asked, response, cache=cache(version)), meter)
        assert all(isinstance(request, Get) for request in meter.asked)
    meter = Answers(axdr.octet_string(b"\0"))
    with pytest.raises(DecodeError):
        drive(security_setup.activate_policy(security, "authenticated", cache=cache(1)), meter)
    meter = Answers(axdr.enum(0), ActionResult.READ_WRITE_DENIED)
    with pytest.raises(ActionError):
        drive(security_setup.activate_policy(security, "authenticated", cache=cache(1)), meter)
    assert (security.policy, security.epoch) == (SecurityPolicy.NONE, 0)


# Certificates


@pytest.mark.parametrize("value", [axdr.octet_string(b""), axdr.octet_string(b"\x30\0"), axdr.enum(1), None])
def test_what_is_no_certificate_or_request(value) -> None:
    with pytest.raises((CertificateError, DecodeError)):
        drive(security_setup.export_certificate(BySerial(b"\1", b"\x30\0")), Answers(value))
    with pytest.raises((CertificateError, DecodeError)):
        drive(security_setup.generate_certificate_request(CertificateType.DIGITAL_SIGNATURE), Answers(value))


@pytest.mark.parametrize(
    "value",
    [
        axdr.octet_string(b""),
        axdr.array(axdr.enum(0)),
        axdr.array(axdr.structure(axdr.enum(9), axdr.enum(0), *(axdr.octet_string(b"") for _ in range(4)))),
        axdr.array(axdr.structure(axdr.enum(0), axdr.enum(0), *(axdr.octet_string(b"") for _ in range(3)))),
    ],
)
def test_what_is_no_list_of_certificates(value) -> None:
    with pytest.raises(DecodeError):
        drive(security_setup.list_certificates(), Answers(value))


# asyncio, over a socket


async def test_the_asyncio_client_changes_keys_and_policy() -> None:
    with running(demo_meter(profile_rows=1)) as ports:
        security = context(minimum_policy="none")

        def client() -> DlmsClient:
            return DlmsClient(
                f"tcp://127.0.0.1:{ports.wrapper}",
                client_sap=1,
                authentication=AuthenticationMechanism.HLS_GMAC,
                security=security,
            )

        async with client() as meter:
            await meter.transfer_keys({UNICAST: NEW, AUTHENTICATION: MASTER_KEY}, MASTER_KEY)
            assert not security.is_changing_keys
            await meter.activate_policy("authenticated-encrypted")
            assert await meter.get(64, security_setup.SETUP, 2) == 3
            both = [meter.transfer_keys({UNICAST: key}, MASTER_KEY) for key in (ENCRYPTION_KEY, NEW)]
            await asyncio.gather(*both, return_exceptions=True)
        async with client() as meter:
            assert await meter.get(1, "0-0:42.0.0*255", 2) == b"COS0000000000001"
            assert ObisCode.parse("0-0:43.0.0") == security_setup.SETUP
