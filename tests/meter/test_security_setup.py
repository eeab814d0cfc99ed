"""The security setup of the simulated meter at work, used by our client: policy, keys, counters, certificates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.enums import (
    AccessRight,
    ActionResult,
    ApplicationContext,
    AuthenticationMechanism,
    CertificateEntity,
    CertificateType,
)
from cosemic.errors import (
    ActionError,
    AssociationRefused,
    DlmsError,
    ExceptionResponseError,
    LinkTimeout,
    LocalProtocolError,
    ReadWriteDenied,
    SecurityError,
)
from cosemic.meter.connections import Talk
from cosemic.meter.demo import ENCRYPTION_KEY, MASTER_KEY, SCRATCH_NUMBER, SYSTEM_TITLE
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed
from cosemic.protocol.requests import Action, Get
from cosemic.protocol.settings import ClientSettings
from cosemic.security.certificate_store import ByEntity, BySerial, CertificateStore
from cosemic.security.cipher import CipherKey
from cosemic.security.context import SecurityContext
from cosemic.security.ec import SoftwareKey
from cosemic.security.key_wrap import wrap_key
from cosemic.security.suites import KeyId, SecurityPolicy
from tests.meter.bench import CLIENT_TITLE, NOW, Bench, client_context, control_of, meter_context
from tests.security.pki import Pki

SETUP, COUNTER, BROADCAST_COUNTER = "0-0:43.0.0*255", "0-0:43.1.0*255", "0-0:43.1.1*255"
MANAGER = (1, 1)
UNICAST, BROADCAST, AUTHENTICATION, MASTER = KeyId
NEW, NEWER = bytes(range(0x40, 0x50)), bytes(range(0x60, 0x70))
NEW_AUTHENTICATION = bytes(range(0x50, 0x60))
KEY_ERRORS = (AssociationRefused, ExceptionResponseError)


def setup_value(bench: Bench, attribute: int) -> Any:
    return bench.meter.execute(MANAGER, Get.one(64, SETUP, attribute)).results[0].value


def counter(bench: Bench, obis: str = COUNTER) -> int:
    with bench.client() as public:
        value = public.get(1, obis, 2)
    assert isinstance(value, int)
    return value


def key_data(*keys: tuple[int, bytes]) -> Typed:
    return axdr.array(*(axdr.structure(axdr.enum(key_id), axdr.octet_string(key)) for key_id, key in keys))


def assert_works(bench: Bench, context: SecurityContext) -> None:
    with bench.manager(context) as client:
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def assert_is_refused(bench: Bench, context: SecurityContext) -> None:
    with pytest.raises(KEY_ERRORS), bench.manager(context):
        pass


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes, int]]:
    """Every (key, system title, counter) that anybody seals with; the fixture checks that none comes twice."""
    used: list[tuple[bytes, bytes, int]] = []
    make, seal = CipherKey.__init__, CipherKey.seal
    octets: dict[int, tuple[CipherKey, bytes]] = {}

    def remember(self: CipherKey, key: bytes, *rest: Any) -> None:
        make(self, key, *rest)
        octets[id(self)] = (self, key)

    def note(self: CipherKey, control: int, title: bytes, counter: int, *rest: Any) -> bytes:
        used.append((octets[id(self)][1], title, counter))
        return seal(self, control, title, counter, *rest)

    monkeypatch.setattr(CipherKey, "__init__", remember)
    monkeypatch.setattr(CipherKey, "seal", note)
    return used


# Attributes and rights


def test_what_the_setup_tells() -> None:
    bench = Bench()
    with bench.manager(client_context()) as client:
        values = [client.get(64, SETUP, number) for number in range(1, 6)]
        assert values == [bytes((0, 0, 43, 0, 0, 255)), 0, 0, CLIENT_TITLE, SYSTEM_TITLE]
        assert client.get(15, "0-0:40.0.0*255", 9) == values[0]
        with pytest.raises(ReadWriteDenied):
            client.get(64, SETUP, 6)


@pytest.mark.parametrize("method", range(1, 9))
def test_only_a_proved_request_of_the_manager_changes_anything(method) -> None:
    bench = Bench(security=meter_context(suite=1), security_setup_version=1)
    request = Action.one(64, SETUP, method, axdr.enum(0))
    for who, protection in (
        ((16, 1), SecurityPolicy.NONE),
        ((32, 1), SecurityPolicy.NONE),
        (MANAGER, SecurityPolicy.NONE),
        (MANAGER, SecurityPolicy.ENCRYPTED),
    ):
        outcome = bench.meter.execute(who, request, protection).results[0]
        assert outcome.result in (ActionResult.READ_WRITE_DENIED, ActionResult.OBJECT_UNDEFINED), (who, protection)


# Policy


def test_a_policy_of_version_0_is_made_stricter_step_by_step() -> None:
    bench = Bench(security=meter_context())
    context = client_context("authenticated", minimum_policy="none")
    with bench.manager(context) as client:
        for step, control in (("authenticated", 0x10), ("authenticated-encrypted", 0x30)):
            client.activate_policy(step, version=0)
            assert setup_value(bench, 2) == control >> 4
            start = len(bench.line.apdus)
            client.get(1, SCRATCH_NUMBER, 2)
            assert control_of(bench.sent(start)[0]) == control
            assert control_of(bench.answered(start)[0]) == control
        for weaker in ("authenticated", "encrypted", "none"):
            start = len(bench.line.apdus)
            with pytest.raises(SecurityError, match="only be made stricter"):
                client.activate_policy(weaker, version=0)
            assert len(bench.sent(start)) == 1, "only the present policy was read"
        for weaker in (0, 1, 2):
            with pytest.raises(ActionError, match="other-reason"):
                client.action(64, SETUP, 1, axdr.enum(weaker))
        assert client.get(64, SETUP, 2) == 3
        client.action(64, SETUP, 1, axdr.enum(3))


def test_a_stricter_policy_holds_from_the_next_message_on() -> None:
    bench = Bench(security=meter_context())
    weak = client_context("authenticated")
    with bench.manager(weak) as client:
        client.action(64, SETUP, 1, axdr.enum(3))  # its answer still comes as it was asked
        assert control_of(bench.answered()[-1]) == 0x10
        with pytest.raises(ExceptionResponseError):
            client.get(1, SCRATCH_NUMBER, 2)
    assert_is_refused(bench, client_context("authenticated", counters=weak.counters))
    assert_works(bench, client_context(counters=weak.counters))


class Plain:
    """The manager in the plain application context: only the GMAC of passes 3 and 4 is made with the keys."""

    def __init__(self, bench: Bench, context: SecurityContext) -> None:
        self.talk = Talk(bench.meter, *MANAGER)
        self.client = ClientAssociation(
            ClientSettings(
                client_sap=1,
                mechanism=AuthenticationMechanism.HLS_GMAC,
                security=context,
                application_context=ApplicationContext.LOGICAL_NAME,
            )
        )
        self.client.associate()

    def outcome(self) -> Any:
        while apdus := self.client.apdus_to_send():
            for apdu in apdus:
                assert apdu[0] in (0x60, 0xC0, 0xC3)
                for answer in self.talk.receive(apdu):
                    self.client.receive_apdu(answer)
        return self.client.events()[-1]

    def read(self) -> Any:
        self.client.request(Get.one(1, SCRATCH_NUMBER, 2))
        return self.outcome()


def test_a_policy_ends_the_plain_context_also_of_an_open_association() -> None:
    bench = Bench(security=meter_context())
    context = client_context()
    plain = Plain(bench, context)
    assert isinstance(plain.outcome(), Associated)
    assert isinstance(plain.read(), Completed)
    with bench.manager(context) as client:
        client.action(64, SETUP, 1, axdr.enum(1))
    assert isinstance(plain.read().error, ExceptionResponseError)
    assert isinstance(Plain(bench, context).outcome().error, AssociationRefused)
    assert_works(bench, context)


def test_a_policy_of_version_1_tells_requests_and_responses_apart() -> None:
    bench = Bench(security=meter_context(), security_setup_version=1)
    context = client_context("authenticated", minimum_policy="none")
    with bench.manager(context) as client:
        assert client.get(64, SETUP, 2) == 0
        client.activate_policy("authenticated", "authenticated-encrypted")
        assert client.get(64, SETUP, 2) == AccessRight.AUTHENTICATED_REQUEST | 0x60
        assert control_of(bench.sent()[-1]) == 0x10
        assert control_of(bench.answered()[-1]) == 0x30
        assert context.minimum_policy == SecurityPolicy.AUTHENTICATED_ENCRYPTED
        for weaker in (0x04, 0x60, 0x24, 0x00):
            with pytest.raises(ActionError, match="other-reason"):
                client.action(64, SETUP, 1, axdr.enum(weaker))
        for impossible in (0x65, 0x66, 0x74, 0xE4):  # bits without a meaning; signatures in suite 0
            with pytest.raises(ActionError, match="other-reason"):
                client.action(64, SETUP, 1, axdr.enum(impossible))
        assert client.get(64, SETUP, 2) == 0x64


@pytest.mark.parametrize("value", [None, axdr.unsigned(3), axdr.enum(4), axdr.enum(255), axdr.octet_string(b"\3")])
def test_what_is_no_policy_changes_none(value) -> None:
    bench = Bench(security=meter_context())
    with bench.manager(client_context()) as client:
        with pytest.raises(ActionError):
            client.action(64, SETUP, 1, value)
        assert client.get(64, SETUP, 2) == 0


def test_each_association_has_its_own_policy() -> None:
    from cosemic.meter.model import MeterAssociation, SimulatedMeter
    from cosemic.meter.objects import Level
    from cosemic.meter.security_setup import SecuritySetup, setup_name
    from cosemic.protocol.settings import ServerSettings

    bench = Bench(security=meter_context())
    device = bench.meter.devices[1]
    other = meter_context(encryption_key=NEW)
    settings = ServerSettings(client_sap=2, mechanism=AuthenticationMechanism.HLS_GMAC, security=other)
    device.associations.append(
        MeterAssociation(settings, Level.MANAGER, 4, protected=True, security_setup=setup_name(1))
    )
    device.add(*SecuritySetup(other, settings.received, number=1).objects())
    bench.meter = SimulatedMeter([device], time=lambda: NOW)
    second = client_context("authenticated", encryption_key=NEW)
    with (
        bench.manager(client_context("authenticated")) as first,
        bench.client(client_sap=2, security=second, authentication=AuthenticationMechanism.HLS_GMAC) as client,
    ):
        assert client.get(15, "0-0:40.0.0*255", 9) == bytes((0, 0, 43, 0, 1, 255))
        client.action(64, "0-0:43.0.1*255", 1, axdr.enum(3))
        assert first.get(64, SETUP, 2) == 0
        with pytest.raises(ExceptionResponseError):
            client.get(1, SCRATCH_NUMBER, 2)
        assert first.get(1, "0-0:43.1.2*255", 2) == 5, "AARQ, GMAC, pass 3, GET and ACTION"


# Keys


@pytest.mark.parametrize(
    "names",
    [(UNICAST,), (AUTHENTICATION,), (UNICAST, AUTHENTICATION), (UNICAST, BROADCAST, AUTHENTICATION)],
    ids=lambda names: "+".join(name.name.split("_")[-1].lower() for name in names),
)
def test_a_key_transfer_and_the_life_after_it(names, sealed) -> None:
    bench = Bench()
    old, context = client_context(), client_context()
    old_counters = context.counters
    keys = dict(zip(names, (NEW, NEW_AUTHENTICATION, NEWER), strict=False))
    with bench.manager(context) as client:
        client.transfer_keys(keys, MASTER_KEY)
        assert not context.is_changing_keys
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(0))
    # a broadcast key is proved by a broadcast only
    assert bench.meter.settings(*MANAGER).security.is_changing_keys is (BROADCAST in names)
    assert_works(bench, context)
    assert_is_refused(bench, client_context(counters=old_counters))
    if names == (AUTHENTICATION,):
        assert_works(bench, client_context(authentication_key=NEW, counters=old_counters))
    assert len(set(sealed)) == len(sealed)
    assert old.counters is not context.counters


def test_old_keys_are_valid_until_a_message_verifies_under_the_new_ones() -> None:
    bench = Bench()
    old, new = client_context(), client_context(encryption_key=NEW)
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
        for _ in range(3):
            assert client.get(1, SCRATCH_NUMBER, 2) == 0
        for _ in range(2):
            assert_works(bench, old)
        assert_is_refused(bench, client_context(encryption_key=NEWER))
        assert_works(bench, old)
        assert_works(bench, new)
        with pytest.raises(ExceptionResponseError, match="deciphering-error"):
            client.get(1, SCRATCH_NUMBER, 2)
    assert_is_refused(bench, old)
    assert_works(bench, new)


def test_the_proof_of_hls_confirms_a_key_as_well() -> None:
    bench = Bench()
    old = client_context()
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
    assert isinstance(Plain(bench, client_context(encryption_key=NEWER)).outcome().error, DlmsError)
    assert_works(bench, old)
    new = Plain(bench, client_context(encryption_key=NEW))
    assert isinstance(new.outcome(), Associated)
    assert isinstance(new.read(), Completed)
    assert_is_refused(bench, old)


def test_a_forged_message_confirms_nothing() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
        line = bench.line
        for bit in (0x01, 0x10, 0x80):
            line.to_meter = lambda data, bit=bit: data[:-1] + bytes([data[-1] ^ bit])
            with pytest.raises(ExceptionResponseError, match="deciphering-error"):
                client.get(1, SCRATCH_NUMBER, 2)
        line.to_meter = lambda data: data
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert bench.meter.settings(*MANAGER).security.is_changing_keys


BAD_TRANSFERS: dict[str, Callable[[], Typed | None]] = {
    "wrong master key": lambda: key_data((0, wrap_key(bytes(range(1, 17)), NEW))),
    "one of two under a wrong master key": lambda: key_data(
        (0, wrap_key(MASTER_KEY, NEW)), (2, wrap_key(bytes(range(1, 17)), NEW_AUTHENTICATION))
    ),
    "truncated wrap": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)[:-1])),
    "truncated by a block": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)[:-8])),
    "flipped bit": lambda: key_data((0, bytes([wrap_key(MASTER_KEY, NEW)[0] ^ 1]) + wrap_key(MASTER_KEY, NEW)[1:])),
    "key of another suite": lambda: key_data((0, wrap_key(MASTER_KEY, NEW * 2))),
    "key in clear": lambda: key_data((0, NEW)),
    "empty key": lambda: key_data((0, b"")),
    "same key twice": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)), (0, wrap_key(MASTER_KEY, NEWER))),
    "unknown key": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)), (4, wrap_key(MASTER_KEY, NEW))),
    "master key in version 0": lambda: key_data((3, wrap_key(MASTER_KEY, NEW))),
    "no keys": axdr.array,
    "no array": lambda: axdr.octet_string(wrap_key(MASTER_KEY, NEW)),
    "nothing": lambda: None,
    "key id of another type": lambda: axdr.array(
        axdr.structure(axdr.unsigned(0), axdr.octet_string(wrap_key(MASTER_KEY, NEW)))
    ),
    "three elements": lambda: axdr.array(axdr.structure(axdr.enum(0), axdr.octet_string(b""), axdr.enum(0))),
    "one element": lambda: axdr.array(axdr.structure(axdr.enum(0))),
}


@pytest.mark.parametrize("what", BAD_TRANSFERS)
def test_a_bad_key_transfer_changes_nothing(what) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        with pytest.raises(ActionError):
            client.action(64, SETUP, 2, BAD_TRANSFERS[what]())
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    security = bench.meter.settings(*MANAGER).security
    assert not security.is_changing_keys
    assert security.epoch == 0
    assert_is_refused(bench, client_context(encryption_key=NEW))
    assert_works(bench, context)
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
    assert_works(bench, context)


def test_a_meter_without_master_key_takes_no_keys() -> None:
    bench = Bench(security=meter_context(kek=None))
    context = client_context()
    with bench.manager(context) as client, pytest.raises(ActionError):
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
    assert not context.is_changing_keys
    assert_works(bench, context)


def test_a_replayed_key_transfer_is_refused() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        transfer = bench.sent()[-2]
        client.transfer_keys({UNICAST: NEWER}, MASTER_KEY)
    security = bench.meter.settings(*MANAGER).security
    epoch = security.epoch
    with bench.manager(context):
        answer = bench.line.connection._talks[1, 1].receive(transfer)
        assert answer[0][0] == 0xD8, "it was sealed under a key that is no more"
    assert (security.epoch, security.is_changing_keys) == (epoch, False)


def test_a_key_that_returns_brings_its_counters_back(sealed) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        read = len(bench.sent())
        client.get(1, SCRATCH_NUMBER, 2)
        recorded = bench.sent()[read]
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.get(1, SCRATCH_NUMBER, 2)
        client.transfer_keys({UNICAST: ENCRYPTION_KEY}, MASTER_KEY)
        before = counter(bench)
        bench.lines.pop()
        (answer,) = bench.line.connection._talks[1, 1].receive(recorded)
        assert answer[:3] == bytes.fromhex("d80106"), "invocation-counter-error"
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.get(1, SCRATCH_NUMBER, 2)
    assert before > 5
    assert_works(bench, context)
    assert len(set(sealed)) == len(sealed)
    assert len({key for key, _, _ in sealed}) == 2


def test_a_key_transfer_twice_before_it_is_confirmed() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        for key in (NEW, NEW, NEWER):
            client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, key))))
    assert_is_refused(bench, client_context(encryption_key=NEW))
    assert_works(bench, client_context(encryption_key=NEWER))
    assert_is_refused(bench, context)


def test_a_new_master_key_is_confirmed_by_what_it_wraps() -> None:
    bench = Bench(security_setup_version=1)
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys({MASTER: NEW}, MASTER_KEY)
        client.transfer_keys({AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
        with pytest.raises(ActionError):
            client.transfer_keys({UNICAST: NEWER}, NEWER)
        client.transfer_keys({UNICAST: NEWER}, NEW)
        with pytest.raises(ActionError):
            client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.transfer_keys({UNICAST: NEW}, NEW)
    assert_works(bench, context)


def test_several_keys_and_the_master_key_in_one_call() -> None:
    bench = Bench(security_setup_version=1)
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys(
            {UNICAST: NEW, BROADCAST: NEWER, AUTHENTICATION: NEW_AUTHENTICATION, MASTER: NEW}, MASTER_KEY
        )
        client.transfer_keys({UNICAST: NEWER}, NEW)
    assert_works(bench, context)
    assert_works(
        bench, client_context(encryption_key=NEWER, authentication_key=NEW_AUTHENTICATION, counters=context.counters)
    )


# Lost messages


def drop(_: bytes) -> bytes:
    return b""


def drop_the(number: int) -> Callable[[bytes], bytes]:
    """Lose the message with that number, counted from now on."""
    count = iter(range(1 << 30))
    return lambda data: b"" if next(count) == number else data


@pytest.mark.parametrize("lost", ["the transfer", "its answer", "the first message", "its first answer"])
def test_no_lost_message_locks_anybody_out(lost, sealed) -> None:
    bench = Bench()
    context = client_context()
    client = bench.manager(context)
    client.connect()
    way = "to_meter" if lost in ("the transfer", "the first message") else "to_client"
    setattr(bench.line, way, drop_the(0 if lost in ("the transfer", "its answer") else 1))
    with pytest.raises(LinkTimeout):
        client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
    client.reconnect()
    assert client.get(1, SCRATCH_NUMBER, 2) == 0
    client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
    assert client.get(1, SCRATCH_NUMBER, 2) == 0
    client.close()
    assert not context.is_changing_keys
    assert not bench.meter.settings(*MANAGER).security.is_changing_keys
    assert_is_refused(bench, client_context(counters=context.counters))
    assert len(set(sealed)) == len(sealed)


def test_a_meter_that_took_keys_and_does_not_know_them_is_told_apart(monkeypatch) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        _let_the_meter(bench, monkeypatch, lambda security, **keys: None)
        with pytest.raises(SecurityError, match="the old ones are in use again"):
            client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        assert not context.is_changing_keys
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(bench, context)


def test_a_meter_that_switches_before_it_answers_is_understood(monkeypatch) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        _let_the_meter(bench, monkeypatch, SecurityContext.switch_keys)
        client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
        assert not context.is_changing_keys
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(bench, context)


def _let_the_meter(bench: Bench, monkeypatch: pytest.MonkeyPatch, do: Callable[..., None]) -> None:
    """Have the meter, and not the client, do something else with offered keys."""
    meters, offer = bench.meter.settings(*MANAGER).security, SecurityContext.offer_keys
    monkeypatch.setattr(
        SecurityContext, "offer_keys", lambda self, **keys: do(self, **keys) if self is meters else offer(self, **keys)
    )


def test_a_dedicated_key_outlives_the_change_of_the_global_one() -> None:
    bench = Bench()
    context = client_context(dedicated_key=True)
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        assert bench.sent()[-1][0] == 0xD0
        assert context.is_changing_keys, "no message under the global key has come yet"
    assert_works(bench, context)
    assert not context.is_changing_keys
    assert_is_refused(bench, client_context(counters=context.counters))


# Counters


def test_the_counter_object_tells_the_truth_to_the_public_client() -> None:
    bench = Bench()
    assert counter(bench) == 0
    context = client_context()
    with bench.manager(context) as client:
        client.get(1, SCRATCH_NUMBER, 2)
        last = int.from_bytes(bench.sent()[-1][3:7], "big")
        assert counter(bench) == last
        bench.lines.pop()
        bench.line.to_meter = lambda data: data[:11] + b"\xff" + data[12:]
        with pytest.raises(ExceptionResponseError, match="deciphering-error"):
            client.get(1, SCRATCH_NUMBER, 2)
        assert counter(bench) == last, "a forged counter is none"
        bench.lines.pop()
        bench.line.to_meter = lambda data: data
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY, confirm=False)
        assert counter(bench) == last + 2
        bench.lines.pop()
        client.get(1, SCRATCH_NUMBER, 2)
        assert counter(bench) == 1, "a new key has counters of its own"


def test_a_client_that_starts_above_what_the_object_says_is_let_in() -> None:
    bench = Bench()
    with bench.manager(client_context()) as client:
        client.get(1, SCRATCH_NUMBER, 2)
    last = counter(bench)
    for start, accepted in ((last - 1, False), (last, False), (last + 1, True)):
        context = client_context()
        name = context.counter_id(CLIENT_TITLE)
        assert name is not None
        context.counters.advance(name, start)
        if accepted:
            assert_works(bench, context)
        else:
            assert_is_refused(bench, context)


# Certificates and key pairs


class Secured:
    """A meter of suite 1 or 2 with key pairs and a store, and everything to be issued."""

    def __init__(self, suite: int = 1) -> None:
        self.suite = suite
        self.pki = Pki.make(suite)
        length = 16 if suite == 1 else 32
        self.keys = {"encryption_key": bytes(range(length)), "authentication_key": bytes(range(0x80, 0x80 + length))}
        self.master = bytes(range(1, 1 + length))
        self.meter_key, self.client_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
        self.store = CertificateStore([self.pki.root], server_system_title=SYSTEM_TITLE)
        for certificate in (self.pki.authority, self.pki.issue(SYSTEM_TITLE, key=self.meter_key)):
            self.store.import_certificate(certificate, at=NOW)
        self.bench = Bench(
            security=meter_context(suite=suite, kek=self.master, signing_key=self.meter_key, **self.keys),
            certificates=self.store,
        )
        self.context = client_context(suite=suite, **self.keys)

    def client(self) -> Any:
        return self.bench.manager(self.context)

    def import_client(self, **options: Any) -> None:
        self.store.import_certificate(self.pki.issue(CLIENT_TITLE, key=self.client_key, **options), at=NOW)

    def agree(self, client: Any, *key_ids: KeyId, **options: Any) -> dict[KeyId, bytes]:
        options.setdefault("signing_key", self.client_key)
        options.setdefault("peer_signing_key", self.meter_key.public)
        found: dict[KeyId, bytes] = client.agree_keys(key_ids, **options)
        return found


@pytest.mark.parametrize("suite", [1, 2])
def test_keys_are_agreed_on_and_used(suite, sealed) -> None:
    secured = Secured(suite)
    secured.import_client()
    with secured.client() as client:
        first = secured.agree(client, UNICAST, AUTHENTICATION)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        second = secured.agree(client, UNICAST, BROADCAST, AUTHENTICATION, MASTER)
        client.transfer_keys({UNICAST: secured.keys["encryption_key"]}, second[MASTER])
    assert {len(key) for key in (*first.values(), *second.values())} == {len(secured.master)}
    assert len({*first.values(), *second.values()}) == 6
    assert_works(secured.bench, secured.context)
    old = client_context(suite=suite, counters=secured.context.counters, **secured.keys)
    assert_is_refused(secured.bench, old)
    assert len(set(sealed)) == len(sealed)


def test_key_agreement_needs_a_proved_partner() -> None:
    secured = Secured()
    other = SoftwareKey.generate(1)
    with secured.client() as client:
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST)  # the meter has no certificate of ours
        secured.import_client()
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST, signing_key=other)
        with pytest.raises(SecurityError, match="not proved"):
            secured.agree(client, UNICAST, peer_signing_key=other.public)
        offer = secured.pki  # nothing of it was taken up on our side
        assert offer.suite == 1
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        for bad in (b"", bytes(127), bytes(128), bytes(129)):
            with pytest.raises(ActionError):
                client.action(64, SETUP, 3, key_data((0, bad)))
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(secured.bench, secured.context)


def test_an_expired_certificate_agrees_on_nothing() -> None:
    secured = Secured()
    secured.import_client(end=NOW + timedelta(hours=1))
    with secured.client() as client:
        secured.agree(client, UNICAST)
        secured.bench.meter.set_time(NOW + timedelta(hours=2))
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def test_suite_0_agrees_on_nothing() -> None:
    bench = Bench(security_setup_version=1)
    with bench.manager(client_context()) as client:
        for method in (3, 4, 5, 6, 7, 8):
            with pytest.raises(ActionError):
                client.action(64, SETUP, method, axdr.enum(0))
        assert client.list_certificates() == []


def test_certificates_are_listed_imported_exported_and_removed() -> None:
    secured = Secured()
    certificate = secured.pki.issue(CLIENT_TITLE, key=secured.client_key)
    with secured.client() as client:
        assert len(client.list_certificates()) == 3
        client.import_certificate(certificate.pem())
        client.import_certificate(certificate.der)
        infos = client.list_certificates()
        assert [info.entity for info in infos] == [
            CertificateEntity.CERTIFICATION_AUTHORITY,
            CertificateEntity.CERTIFICATION_AUTHORITY,
            CertificateEntity.SERVER,
            CertificateEntity.CLIENT,
        ]
        assert infos[-1].serial_number == certificate.serial_octets
        by_serial = BySerial(certificate.serial_octets, certificate.issuer)
        by_entity = ByEntity(CertificateEntity.CLIENT, CertificateType.DIGITAL_SIGNATURE, CLIENT_TITLE)
        assert client.export_certificate(by_serial) == client.export_certificate(by_entity) == certificate
        client.remove_certificate(by_entity)
        for gone in (by_entity, by_serial):
            with pytest.raises(ActionError):
                client.export_certificate(gone)
            with pytest.raises(ActionError):
                client.remove_certificate(gone)
        root = secured.pki.root
        with pytest.raises(ActionError):
            client.remove_certificate(BySerial(root.serial_octets, root.issuer))
        assert len(client.list_certificates()) == 3


def bad_certificates(secured: Secured) -> dict[str, bytes]:
    pki, stranger = secured.pki, Pki.make(1, "Stranger")
    good = pki.issue(CLIENT_TITLE)
    past, future = NOW - timedelta(days=1), NOW + timedelta(days=1)
    return {
        "expired": pki.issue(CLIENT_TITLE, start=past - timedelta(days=1), end=past).der,
        "not valid yet": pki.issue(CLIENT_TITLE, start=future).der,
        "of a stranger": stranger.issue(CLIENT_TITLE).der,
        "an authority of a stranger": stranger.root.der,
        "with an unknown critical extension": with_extension(secured, critical=True),
        "for no purpose": without_purpose(secured),
        "of another suite": Pki.make(2).issue(CLIENT_TITLE).der,
        "of the meter, for a key that it has not": pki.issue(SYSTEM_TITLE).der,
        "of the meter, for another purpose": pki.issue(
            SYSTEM_TITLE, CertificateType.KEY_AGREEMENT, key=secured.meter_key
        ).der,
        "with a flipped bit": good.der[:-1] + bytes([good.der[-1] ^ 1]),
        "cut short": good.der[:-1],
        "with a tail": good.der + b"\0",
        "oversized": good.der + bytes(70000),
        "empty": b"",
        "garbage": b"\x30\x82\xff\xff" + bytes(100),
    }


def test_bad_certificates_are_refused_and_leave_the_store_as_it_was() -> None:
    secured = Secured()
    for what, octets in bad_certificates(secured).items():
        before = list(secured.store)
        with secured.client() as client:
            with pytest.raises(ActionError):
                client.action(64, SETUP, 6, axdr.octet_string(octets))
            assert list(secured.store) == before, what
            assert client.get(1, SCRATCH_NUMBER, 2) == 0, what
            for parameter in (None, axdr.enum(0), axdr.visible_string("MIIB")):
                with pytest.raises(ActionError):
                    client.action(64, SETUP, 6, parameter)
    with secured.client() as client:
        client.import_certificate(with_extension(secured, critical=False))


def builder(secured: Secured) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    key = SoftwareKey.generate(1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CLIENT_TITLE.hex().upper())])
    issuer = secured.pki.authority.parsed
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.key.public_key()), critical=False)
    )


def usage(*, sign: bool, agree: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=sign,
        key_agreement=agree,
        content_commitment=not sign and not agree,
        key_encipherment=False,
        data_encipherment=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def without_purpose(secured: Secured) -> bytes:
    return finish(secured, builder(secured).add_extension(usage(sign=False, agree=False), critical=True))


def with_extension(secured: Secured, *, critical: bool) -> bytes:
    from cryptography import x509

    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\0")
    made = builder(secured).add_extension(usage(sign=True, agree=False), critical=True)
    return finish(secured, made.add_extension(unknown, critical=critical))


def finish(secured: Secured, made: Any) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    octets: bytes = made.sign(secured.pki.authority_key.key, hashes.SHA256()).public_bytes(Encoding.DER)
    return octets


@pytest.mark.parametrize("suite", [1, 2])
def test_a_new_key_pair_is_in_use_once_its_certificate_is_there(suite) -> None:
    secured = Secured(suite)
    secured.import_client()
    signature = CertificateType.DIGITAL_SIGNATURE
    with secured.client() as client:
        request = client.generate_certificate_request(signature)
        assert (request.public, request.system_title) == (secured.meter_key.public, SYSTEM_TITLE)
        client.generate_key_pair(signature)
        request = client.generate_certificate_request(signature)
        assert request.public != secured.meter_key.public
        secured.agree(client, UNICAST)  # the old key is in use still
        certificate = issue_for(secured, request.public)
        client.import_certificate(certificate)
        with pytest.raises(SecurityError, match="not proved"):
            secured.agree(client, UNICAST)
        secured.agree(client, UNICAST, peer_signing_key=request.public)
        own = ByEntity(CertificateEntity.SERVER, signature, SYSTEM_TITLE)
        assert client.export_certificate(own) == certificate
        assert len([info for info in client.list_certificates() if info.entity is CertificateEntity.SERVER]) == 1
        for purpose in (CertificateType.KEY_AGREEMENT, CertificateType.TLS):
            with pytest.raises(ActionError):
                client.generate_certificate_request(purpose)
            client.generate_key_pair(purpose)
            client.generate_certificate_request(purpose)
        with pytest.raises(ActionError):
            client.generate_key_pair(CertificateType.OTHER)


def issue_for(secured: Secured, public: bytes) -> Any:
    from cosemic.security.issuing import issue_certificate

    return issue_certificate(
        secured.pki.authority,
        secured.pki.authority_key,
        purpose=CertificateType.DIGITAL_SIGNATURE,
        system_title=SYSTEM_TITLE,
        public=public,
        not_before=NOW - timedelta(days=2),
        not_after=NOW + timedelta(days=100),
    )


# What the client refuses by itself


def test_what_the_client_does_not_send() -> None:
    bench = Bench()
    with bench.manager(client_context()) as client:
        start = len(bench.line.apdus)
        for keys, master in (
            ({}, MASTER_KEY),
            ({UNICAST: bytes(range(32))}, MASTER_KEY),
            ({UNICAST: bytes(16)}, MASTER_KEY),
            ({UNICAST: NEW}, bytes(range(32))),
            ({7: NEW}, MASTER_KEY),
        ):
            with pytest.raises(ValueError, match=r"octets|all zero|KeyId|no keys"):
                client.transfer_keys(keys, master)
        with pytest.raises(DlmsError):
            client.import_certificate(b"no certificate")
        assert len(bench.line.apdus) == start
    with bench.reader() as client, pytest.raises(LocalProtocolError, match="SecurityContext"):
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)


def test_the_version_of_the_setup_comes_from_the_object_list() -> None:
    for version, expected in ((0, 1), (1, 0x24)):
        bench = Bench(security=meter_context(), security_setup_version=version)
        with bench.manager(client_context()) as client:
            client.activate_policy("authenticated")
            assert client.get(64, SETUP, 2) == expected
            with pytest.raises(LocalProtocolError, match="no security setup"):
                client.activate_policy("authenticated", setup="0-0:43.0.7*255")


# Broadcast


def broadcast(bench: Bench, context: SecurityContext, apdu: bytes, *, general: bool = False) -> list[bytes]:
    """Send an APDU under the broadcast key into the manager's open association; what comes back."""
    from cosemic.apdu.protected import GLO_TAG, wrap_ciphered, wrap_general
    from cosemic.security.context import AssociationSecurity

    security = AssociationSecurity(context, role="client", peer_system_title=SYSTEM_TITLE)
    content = security.protect(apdu, broadcast=True)
    sealed = wrap_general(0xDB, CLIENT_TITLE, content) if general else wrap_ciphered(GLO_TAG[apdu[0]], content)
    answers: list[bytes] = bench.line.connection._talks[1, 1].receive(sealed)
    bench.broadcast = sealed  # type: ignore[attr-defined]
    return answers


def set_number(value: int, octet: int) -> bytes:
    from cosemic.apdu.services import AttributeDescriptor, SetRequestNormal

    data = Data.of(axdr.double_long_unsigned(value))
    return SetRequestNormal(octet, AttributeDescriptor(1, SCRATCH_NUMBER, 2), None, data).encode()


CONFIRMED, UNCONFIRMED = 0xC1, 0x81


@pytest.mark.parametrize("general", [False, True])
def test_the_broadcast_key_is_for_unconfirmed_requests_only(general) -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    context = client_context(broadcast_key=BROADCAST_KEY)
    with bench.manager(context) as client:
        assert broadcast(bench, context, set_number(7, UNCONFIRMED), general=general) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 7
        assert counter(bench, BROADCAST_COUNTER) == 1
        bench.lines.pop()
        (answer,) = broadcast(bench, context, set_number(8, CONFIRMED), general=general)
        assert answer[0] == 0xD8
        assert client.get(1, SCRATCH_NUMBER, 2) == 7
        wrong = client_context(broadcast_key=NEW)
        (answer,) = broadcast(bench, wrong, set_number(9, UNCONFIRMED), general=general)
        assert answer == bytes.fromhex("d80105")
        assert client.get(1, SCRATCH_NUMBER, 2) == 7


def test_a_broadcast_is_taken_once_also_by_another_association() -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    context = client_context(broadcast_key=BROADCAST_KEY)
    with bench.manager(context) as client:
        broadcast(bench, context, set_number(7, UNCONFIRMED))
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(0))
        (answer,) = bench.line.connection._talks[1, 1].receive(bench.broadcast)  # type: ignore[attr-defined]
        assert answer[:3] == bytes.fromhex("d80106")
    with bench.manager(context) as client:
        (answer,) = bench.line.connection._talks[1, 1].receive(bench.broadcast)  # type: ignore[attr-defined]
        assert answer[:3] == bytes.fromhex("d80106")
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def test_a_new_broadcast_key_is_confirmed_by_a_broadcast() -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    old, new = client_context(broadcast_key=BROADCAST_KEY), client_context(broadcast_key=NEW)
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((1, wrap_key(MASTER_KEY, NEW))))
        assert broadcast(bench, old, set_number(1, UNCONFIRMED)) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 1
        assert broadcast(bench, new, set_number(2, UNCONFIRMED)) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 2
        assert counter(bench, BROADCAST_COUNTER) == 1
        bench.lines.pop()
        assert broadcast(bench, old, set_number(3, UNCONFIRMED)) == [bytes.fromhex("d80105")]
        assert client.get(1, SCRATCH_NUMBER, 2) == 2


def test_nobody_associates_with_the_broadcast_key(monkeypatch) -> None:
    from cosemic.meter.demo import BROADCAST_KEY
    from cosemic.security.context import AssociationSecurity

    protect = AssociationSecurity.protect
    context = client_context(broadcast_key=BROADCAST_KEY)

    def by_broadcast(self: AssociationSecurity, apdu: bytes, **options: Any) -> bytes:
        return protect(self, apdu, **options, broadcast=self.context is context)

    monkeypatch.setattr(AssociationSecurity, "protect", by_broadcast)
    assert_is_refused(Bench(), context)
