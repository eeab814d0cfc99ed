"""The security setup of the simulated meter, used by our client: policy, counters, whom it lets do what."""

from __future__ import annotations

import pytest

from cosemic.apdu.notify import DataNotification
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    AccessRight,
    ActionResult,
    AuthenticationMechanism,
)
from cosemic.errors import (
    ActionError,
    AssociationRefused,
    DlmsError,
    ExceptionResponseError,
    LocalProtocolError,
    ReadWriteDenied,
    SecurityError,
)
from cosemic.link.wrapper import WrapperReader
from cosemic.meter import demo_keys
from cosemic.meter.demo import MASTER_KEY, SCRATCH_NUMBER, SYSTEM_TITLE
from cosemic.protocol.events import Associated, Completed
from cosemic.protocol.requests import Action, Get
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import SecurityPolicy
from tests.meter.bench import CLIENT_TITLE, NOW, Bench, client_context, control_of, meter_context
from tests.meter.keys import (
    AUTHENTICATION,
    MANAGER,
    MASTER,
    NEW,
    NEWER,
    SETUP,
    UNICAST,
    Plain,
    assert_is_refused,
    assert_works,
    counter,
    setup_value,
)

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


def test_what_is_pushed_into_an_association_that_was_opened_plain(caplog) -> None:
    """Under the stricter policy it cannot be protected there, so that it does not go out."""
    push = DataNotification(1, b"", Data.of(axdr.unsigned(5)))
    bench = Bench(security=meter_context())
    context = client_context()
    plain = Plain(bench, context)
    assert isinstance(plain.outcome(), Associated)
    assert plain.talk.notify(push) == [push.encode()]
    with bench.manager(context) as client:
        client.action(64, SETUP, 1, axdr.enum(1))
        assert plain.talk.notify(push) == []
        assert "asks for 'authenticated', which this association does not give" in caplog.text
        (sealed,) = WrapperReader().feed(b"".join(bench.line.connection.notify(1, 1, push, bench.line.now)))
        assert sealed.apdu[0] == 0xDB
        assert sealed.apdu[11] == 0x10


def test_signatures_that_nobody_could_check_are_not_demanded() -> None:
    """The meter would refuse everybody ever after."""
    signing, reading = SoftwareKey.generate(1), SoftwareKey.generate(1)
    keys = {"encryption_key": bytes(range(16)), "authentication_key": bytes(range(0xD0, 0xE0)), "suite": 1}
    for options, accepted in (
        ({}, False),
        ({"peer_signing_key": reading.public}, True),
        ({"trust": lambda certificate, title: reading.public}, True),
    ):
        bench = Bench(
            security=meter_context(signing_key=signing, kek=bytes(range(1, 17)), **keys, **options),
            security_setup_version=1,
        )
        with bench.manager(client_context(**keys, minimum_policy="none")) as client:
            if accepted:
                client.action(64, SETUP, 1, axdr.enum(0x80 | 0x10))
                continue
            for value in (AccessRight.SIGNED_REQUEST, 0x90, 0xFC):
                with pytest.raises(ActionError, match="other-reason"):
                    client.action(64, SETUP, 1, axdr.enum(value))
            assert client.get(64, SETUP, 2) == 0


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


# Signatures, and short names


@pytest.mark.parametrize(("client_sap", "suite", "setup"), [(4, 1, "0-0:43.0.1*255"), (5, 2, "0-0:43.0.2*255")])
def test_a_policy_of_signatures(client_sap, suite, setup) -> None:
    bench = Bench()
    context = demo_keys.security_context(
        suite, "client", CLIENT_TITLE, counters=MemoryCounters(), general=True, minimum_policy="none"
    )
    options = {"client_sap": client_sap, "authentication": AuthenticationMechanism.HLS_ECDSA}
    signature = 64 if suite == 1 else 96
    with bench.client(security=context, **options) as client:
        before = len(bench.sent())
        client.get(1, SCRATCH_NUMBER, 2)
        unsigned = len(bench.sent()[before])
        client.activate_policy("authenticated-encrypted-signed", setup=setup)
        assert client.get(64, setup, 2) == 0xFC
        before = len(bench.line.apdus)
        client.get(1, SCRATCH_NUMBER, 2)
        assert len(bench.sent(before)[0]) > unsigned + signature
        assert len(bench.answered(before)[0]) > signature
        with pytest.raises(SecurityError, match="only be made stricter"):
            client.activate_policy("authenticated-encrypted", setup=setup)
    weak = demo_keys.security_context(suite, "client", CLIENT_TITLE, counters=context.counters, minimum_policy="none")
    with bench.client(security=weak, **options) as client, pytest.raises(ExceptionResponseError):
        client.get(1, SCRATCH_NUMBER, 2)
    with bench.client(security=context, **options) as client:
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


@pytest.mark.parametrize(("client_sap", "suite", "setup"), [(4, 1, "0-0:43.0.1*255"), (5, 2, "0-0:43.0.2*255")])
def test_the_keys_of_the_context_serve(client_sap, suite, setup, sealed) -> None:
    """Master key, signing key and the meter's public key need not be given once more."""
    bench = Bench()
    context = demo_keys.security_context(suite, "client", CLIENT_TITLE, counters=MemoryCounters())
    key = bytes(range(0x70, 0x70 + len(context.kek)))
    options = {"client_sap": client_sap, "authentication": AuthenticationMechanism.HLS_ECDSA, "security": context}
    with bench.client(**options) as client:
        client.agree_keys([UNICAST, AUTHENTICATION, MASTER], setup=setup)
        client.transfer_keys({UNICAST: key, MASTER: key}, setup=setup)
        client.transfer_keys({AUTHENTICATION: key}, setup=setup)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert context.kek == key
    with bench.client(**options) as client:
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert len(set(sealed)) == len(sealed)


def test_keys_and_policy_by_short_names(sealed) -> None:
    bench = Bench(security=meter_context(minimum="none"))
    context = client_context(minimum_policy="none")
    options = {
        "client_sap": 3,
        "security": context,
        "authentication": AuthenticationMechanism.HLS_GMAC,
        "referencing": "sn",
    }
    with bench.client(**options) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        assert not context.is_changing_keys
        client.activate_policy("authenticated-encrypted", version=0)
        assert client.get(64, SETUP, 2) == 3
        with pytest.raises(ActionError):
            client.transfer_keys({UNICAST: NEWER}, NEWER)
    with bench.client(**options) as client:
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(bench, context)  # the association by logical names has the same security setup
    assert_is_refused(bench, client_context(counters=context.counters))
    assert len(set(sealed)) == len(sealed)


def test_every_association_points_at_its_security_setup() -> None:
    meter = Bench().meter
    for (client_sap, server_sap), association in meter.associations.items():
        by_short_names = association.settings.short_names is not None
        class_id, attribute = (12, 4) if by_short_names else (15, 9)
        answer = meter.execute((client_sap, server_sap), Get.one(class_id, "0-0:40.0.0*255", attribute)).results[0]
        number = {1: 0, 3: 0, 4: 1, 6: 1, 5: 2, 7: 2}.get(client_sap) if server_sap == 1 else None
        assert answer.value == (bytes(6) if number is None else bytes((0, 0, 43, 0, number, 255))), client_sap


def test_rights_by_short_names() -> None:
    bench = Bench(security=meter_context(policy="none"))
    bench.meter.demand(SCRATCH_NUMBER, AccessRight.ENCRYPTED_REQUEST | AccessRight.ENCRYPTED_RESPONSE)
    options = {"client_sap": 3, "authentication": AuthenticationMechanism.HLS_GMAC, "referencing": "sn"}
    with bench.client(security=client_context("authenticated"), **options) as client:
        with pytest.raises(DlmsError):
            client.get(1, SCRATCH_NUMBER, 2)
        results = list(client.get_list([(1, "0-0:42.0.0*255", 2), (1, SCRATCH_NUMBER, 2)]))
        assert results[0].value == b"COS0000000000001"
        assert results[1].error is not None
