"""Rights that demand protection: kept by the simulated meter for each item, and by the client before it sends."""

from __future__ import annotations

import itertools

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.object_list import ObjectEntry, decode_object_list, encode_object_list
from cosemic.cosem.rights import demands_of, request_policy, response_policy
from cosemic.enums import AccessRight, ActionResult, AuthenticationMechanism, Conformance, DataAccessResult
from cosemic.errors import LocalProtocolError, ReadWriteDenied, SecurityError
from cosemic.meter import demo_keys
from cosemic.meter.demo import SCRATCH_NUMBER, SCRATCH_OCTETS, SCRATCH_REGISTER
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Get, Set
from cosemic.protocol.settings import DEFAULT_CONFORMANCE
from cosemic.protocol.terms import Demands
from cosemic.security.counters import MemoryCounters
from cosemic.security.suites import SecurityPolicy
from tests.meter.bench import CLIENT_TITLE, NOW, Bench, client_context, control_of, meter_context

MANAGER, READER = (1, 1), (32, 1)
POLICIES = [SecurityPolicy(bits << 4 | signed) for signed in (0, int(SecurityPolicy.SIGNED)) for bits in range(4)]
BOTH = SecurityPolicy.AUTHENTICATED_ENCRYPTED
AUTHENTICATED, ENCRYPTED, SIGNED = (
    AccessRight.AUTHENTICATED_REQUEST,
    AccessRight.ENCRYPTED_REQUEST,
    AccessRight.SIGNED_REQUEST,
)
ANSWERED_AUTHENTICATED, ANSWERED_ENCRYPTED, ANSWERED_SIGNED = (
    AccessRight.AUTHENTICATED_RESPONSE,
    AccessRight.ENCRYPTED_RESPONSE,
    AccessRight.SIGNED_RESPONSE,
)
REQUESTED = {
    AUTHENTICATED: SecurityPolicy.AUTHENTICATED,
    ENCRYPTED: SecurityPolicy.ENCRYPTED,
    SIGNED: SecurityPolicy.SIGNED,
}
ANSWERED = {
    ANSWERED_AUTHENTICATED: SecurityPolicy.AUTHENTICATED,
    ANSWERED_ENCRYPTED: SecurityPolicy.ENCRYPTED,
    ANSWERED_SIGNED: SecurityPolicy.SIGNED,
}
DEMANDS = [AccessRight(bits << 2) for bits in range(64)]
READ_WRITE_DENIED = DataAccessResult.READ_WRITE_DENIED


def expected(demands: AccessRight, protection: SecurityPolicy, protectable: SecurityPolicy) -> bool:
    """By the words of the standard, bit by bit."""
    requested = all(policy in protection for right, policy in REQUESTED.items() if right in demands)
    return requested and all(policy in protectable for right, policy in ANSWERED.items() if right in demands)


@pytest.mark.parametrize("demands", DEMANDS, ids=lambda demands: f"{int(demands):02x}")
def test_every_bit_is_kept_by_get_set_and_action(demands) -> None:
    meter = Bench().meter
    meter.demand(SCRATCH_REGISTER, demands)
    for protection, protectable in itertools.product(POLICIES, (POLICIES[0], BOTH, POLICIES[7])):
        granted = expected(demands, protection, protectable)
        number = Data.of(axdr.double_long_unsigned(int(protection) + 7))

        def ask(request, protection=protection, protectable=protectable):
            return meter.carry_out(MANAGER, request, protection, protectable=protectable)

        before = meter.execute(MANAGER, Get.one(3, SCRATCH_REGISTER, 2)).results[0]
        read, least = ask(Get.one(3, SCRATCH_REGISTER, 2))
        assert read.results[0] == (before if granted else READ_WRITE_DENIED)
        assert least == (response_policy(demands) if granted else SecurityPolicy.NONE)
        written, least = ask(Set.one(3, SCRATCH_REGISTER, 2, number))
        assert written.results[0] == (DataAccessResult.SUCCESS if granted else READ_WRITE_DENIED)
        after = meter.execute(MANAGER, Get.one(3, SCRATCH_REGISTER, 2)).results[0]
        assert after.octets == (number if granted else before).octets
        called, _ = ask(Action.one(3, SCRATCH_REGISTER, 1, axdr.integer(0)))
        assert called.results[0].result == (ActionResult.SUCCESS if granted else ActionResult.READ_WRITE_DENIED)
        now = meter.execute(MANAGER, Get.one(3, SCRATCH_REGISTER, 2)).results[0]
        assert now.value == (0 if granted else before.value)


def test_the_bits_of_rights_and_of_policies() -> None:
    assert [int(request_policy(bits)) for bits in (0x04, 0x08, 0x0C, 0x10, 0xE0)] == [0x10, 0x20, 0x30, 0x100, 0]
    assert [int(response_policy(bits)) for bits in (0x20, 0x40, 0x60, 0x80, 0x1F)] == [0x10, 0x20, 0x30, 0x100, 0]
    for request, response in itertools.product(POLICIES, POLICIES):
        bits = demands_of(request, response)
        assert (request_policy(bits), response_policy(bits)) == (request, response)


def test_a_list_is_refused_item_by_item_and_answered_as_the_strongest_right_demands() -> None:
    meter = Bench().meter
    meter.demand(SCRATCH_NUMBER, ENCRYPTED)
    meter.demand(SCRATCH_REGISTER, AUTHENTICATED | ANSWERED_ENCRYPTED, attribute=2)
    items = [Get.one(1, SCRATCH_NUMBER, 2), Get.one(3, SCRATCH_REGISTER, 2), Get.one(3, SCRATCH_REGISTER, 3)]
    request = Get(tuple(get.items[0] for get in items))
    result, least = meter.carry_out(MANAGER, request, SecurityPolicy.AUTHENTICATED)
    assert result.results[0] is READ_WRITE_DENIED
    assert [answer.value for answer in result.results[1:]] == [0, (-3, 13)]
    assert least is SecurityPolicy.ENCRYPTED


def test_demands_name_a_part_or_the_whole_object() -> None:
    meter = Bench().meter
    item = meter.devices[1].objects[SCRATCH_REGISTER]
    meter.demand(SCRATCH_REGISTER, ENCRYPTED, method=1)
    assert ENCRYPTED in item.methods[1].rights[2]
    assert all(ENCRYPTED not in attribute.rights[2] for attribute in item.attributes.values())
    meter.demand(SCRATCH_REGISTER, AUTHENTICATED)
    assert item.methods[1].rights[2] == AccessRight.READ | AUTHENTICATED
    assert AUTHENTICATED not in item.attributes[1].rights[2]
    meter.demand(SCRATCH_REGISTER, AccessRight.NONE)
    assert item.methods[1].rights[2] == AccessRight.READ
    with pytest.raises(LookupError):
        meter.demand(SCRATCH_REGISTER, ENCRYPTED, attribute=99)


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_the_object_list_tells_what_is_demanded(version) -> None:
    bench = Bench(association_version=version)
    demands = AUTHENTICATED | ENCRYPTED | ANSWERED_SIGNED
    bench.meter.demand(SCRATCH_REGISTER, demands)
    with bench.client() as client:
        raw = client.get(15, "0-0:40.0.0*255", 2, typed=True)
        entry = next(entry for entry in client.objects() if entry.obis == SCRATCH_REGISTER)
    kinds = {element.elements[1].value for element in raw.elements}
    assert kinds
    shown = {0: AccessRight.NONE, 1: AUTHENTICATED, 2: AUTHENTICATED, 3: demands}[version]
    assert entry.attributes[2] == AccessRight.READ | AccessRight.WRITE | shown
    assert entry.methods[1] == AccessRight.READ | shown


def test_version_0_says_true_or_false_for_methods() -> None:
    listed = [ObjectEntry(3, 0, SCRATCH_REGISTER, {2: AccessRight.READ}, {1: AccessRight.READ, 2: AccessRight.NONE})]
    assert [mode for _, mode in encode_object_list(listed, 0).plain[0][3][1]] == [True, False]
    assert [mode for _, mode in encode_object_list(listed, 1).plain[0][3][1]] == [1, 0]
    assert encode_object_list(listed, 0).elements[0].elements[3].elements[1].elements[0].elements[1].type.name == (
        "BOOLEAN"
    )


def test_what_the_current_association_is_decides_how_modes_are_read() -> None:
    """A meter may have associations of several versions; the list is that of the one that was asked."""
    old, new = (15, 1, bytes((0, 0, 40, 0, 0, 255)), ([], [])), (15, 3, bytes((0, 0, 40, 0, 2, 255)), ([], []))
    register = (3, 0, bytes(SCRATCH_REGISTER), ([(2, 4, None)], [(1, 2)]))
    listed = decode_object_list([register, old, new])
    assert listed[0].attributes == {2: AccessRight.READ | AUTHENTICATED}
    assert listed[0].methods == {1: AccessRight.READ | AUTHENTICATED}
    assert decode_object_list([register, old, new], version=3)[0].attributes == {2: AUTHENTICATED}
    assert decode_object_list([register, new])[0].attributes == {2: AUTHENTICATED}


def test_rights_in_words() -> None:
    right = AccessRight.READ | AUTHENTICATED | ENCRYPTED | ANSWERED_ENCRYPTED
    entry = ObjectEntry(3, 0, SCRATCH_REGISTER, {2: right}, {1: right})
    assert entry.attribute_rights(2) == "read (authenticated, encrypted, response encrypted)"
    assert entry.method_rights(1) == "call (authenticated, encrypted, response encrypted)"
    assert entry.method_rights(2) == "no access"


# Over the line


def test_a_response_is_protected_as_its_right_demands() -> None:
    bench = Bench(security=meter_context(policy="none"))
    bench.meter.demand(SCRATCH_NUMBER, ANSWERED_ENCRYPTED)
    with bench.manager(client_context("authenticated")) as client:
        start = len(bench.line.apdus)
        client.get(1, SCRATCH_NUMBER, 2)
        client.get(3, SCRATCH_REGISTER, 2)
    first, second = bench.answered(start)[:2]
    assert (control_of(first), control_of(second)) == (0x30, 0x10)


def test_every_block_of_a_response_is_protected_as_its_right_demands() -> None:
    bench = Bench(security=meter_context(policy="none"))
    bench.meter.demand(SCRATCH_OCTETS, ANSWERED_ENCRYPTED)
    conformance = DEFAULT_CONFORMANCE & ~Conformance.GENERAL_BLOCK_TRANSFER
    with bench.manager(client_context("authenticated"), max_pdu_size=256, conformance=conformance) as client:
        start = len(bench.line.apdus)
        assert client.get(1, SCRATCH_OCTETS, 2) == bytes(5000)
        end = len(bench.line.apdus)
    blocks = bench.answered(start)[: (end - start) // 2]
    assert len(blocks) > 20
    assert {control_of(block) for block in blocks} == {0x30}
    assert max(map(len, blocks)) <= 256
    assert {control_of(request) for request in bench.sent(start)[: (end - start) // 2]} == {0x10}


def test_without_keys_a_right_with_demands_grants_nothing() -> None:
    bench = Bench()
    bench.meter.demand(SCRATCH_NUMBER, ANSWERED_AUTHENTICATED)
    bench.meter.demand(SCRATCH_REGISTER, AUTHENTICATED, method=1)
    with bench.reader() as client:
        with pytest.raises(ReadWriteDenied):
            client.get(1, SCRATCH_NUMBER, 2)
        with pytest.raises(ReadWriteDenied):
            client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(5))
        client.set(3, SCRATCH_REGISTER, 2, axdr.double_long_unsigned(5))
        with pytest.raises(Exception, match="read-write-denied"):
            client.action(3, SCRATCH_REGISTER, 1, axdr.integer(0))
        assert client.get(3, SCRATCH_REGISTER, 2) == 5
    assert bench.meter.execute(READER, Get.one(1, SCRATCH_NUMBER, 2)).results[0].value == 0


@pytest.mark.parametrize("policy", ["authenticated", "encrypted", "authenticated-encrypted"])
@pytest.mark.parametrize("demands", DEMANDS[:4], ids=lambda demands: f"{int(demands):02x}")
def test_requests_over_the_line(policy, demands) -> None:
    bench = Bench()
    bench.meter.demand(SCRATCH_NUMBER, demands)
    with bench.manager(client_context(policy)) as client:
        if expected(demands, SecurityPolicy.parse(policy), BOTH):
            assert client.get(1, SCRATCH_NUMBER, 2) == 0
        else:
            with pytest.raises(ReadWriteDenied):
                client.get(1, SCRATCH_NUMBER, 2)
        assert client.get(1, "0-0:42.0.0*255", 2) == b"COS0000000000001"


# The client


def test_a_client_that_knows_the_rights_raises_its_protection_to_them() -> None:
    bench = Bench(association_version=3, security=meter_context(policy="none"))
    bench.meter.demand(SCRATCH_NUMBER, ENCRYPTED | ANSWERED_ENCRYPTED)
    bench.meter.demand(SCRATCH_REGISTER, ENCRYPTED, method=1)
    with bench.manager(client_context("authenticated")) as client:
        with pytest.raises(ReadWriteDenied):
            client.get(1, SCRATCH_NUMBER, 2)
        client.objects()
        start = len(bench.line.apdus)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(3))
        client.action(3, SCRATCH_REGISTER, 1, axdr.integer(0))
        client.get(3, SCRATCH_REGISTER, 2)
        results = list(client.get_list([(3, SCRATCH_REGISTER, 2), (1, SCRATCH_NUMBER, 2)]))
    assert [result.value for result in results] == [0, 3]
    assert [control_of(apdu) for apdu in bench.sent(start)[:5]] == [0x30, 0x30, 0x30, 0x10, 0x30]
    assert [control_of(apdu) for apdu in bench.answered(start)[:5]] == [0x30, 0x30, 0x30, 0x10, 0x30]


@pytest.mark.parametrize("demands", [AUTHENTICATED, ENCRYPTED, ANSWERED_AUTHENTICATED, ANSWERED_ENCRYPTED])
def test_a_client_without_keys_sends_nothing_that_needs_them(demands) -> None:
    bench = Bench(association_version=3)
    bench.meter.demand(SCRATCH_NUMBER, demands)
    with bench.reader() as client:
        client.objects()
        start = len(bench.line.apdus)
        for ask in (
            lambda: client.get(1, SCRATCH_NUMBER, 2),
            lambda: client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(3)),
        ):
            with pytest.raises(LocalProtocolError, match="connect with security"):
                ask()
        assert len(bench.line.apdus) == start
        assert client.get(3, SCRATCH_REGISTER, 2) == 0
        client.use_object_list(())
        with pytest.raises(ReadWriteDenied):
            client.get(1, SCRATCH_NUMBER, 2)


@pytest.mark.parametrize("demands", [SIGNED, ANSWERED_SIGNED])
def test_a_signature_that_cannot_be_is_named_before_anything_is_sent(demands) -> None:
    bench = Bench(association_version=3)
    bench.meter.demand(SCRATCH_REGISTER, demands, method=1)
    with bench.manager(client_context()) as client:
        client.objects()
        start = len(bench.line.apdus)
        with pytest.raises(LocalProtocolError, match="signature"):
            client.action(3, SCRATCH_REGISTER, 1, axdr.integer(0))
        assert len(bench.line.apdus) == start
        assert client.get(3, SCRATCH_REGISTER, 2) == 0


@pytest.mark.parametrize(("client_sap", "suite"), [(4, 1), (5, 2)])
def test_rights_that_demand_signatures(client_sap, suite) -> None:
    bench = Bench(association_version=3)
    bench.meter.demand(SCRATCH_NUMBER, SIGNED)
    bench.meter.demand(SCRATCH_REGISTER, ANSWERED_SIGNED)
    context = demo_keys.security_context(suite, "client", CLIENT_TITLE, counters=MemoryCounters(), general=True)
    options = {"client_sap": client_sap, "authentication": AuthenticationMechanism.HLS_ECDSA, "security": context}
    with bench.client(**options) as client:
        with pytest.raises(ReadWriteDenied):
            client.get(1, SCRATCH_NUMBER, 2)
        start = len(bench.line.apdus)
        assert client.get(3, SCRATCH_REGISTER, 2) == 0
        client.objects()
        middle = len(bench.line.apdus)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(3))
        client.get(3, SCRATCH_REGISTER, 2)
        client.get(1, "0-0:42.0.0*255", 2)
    signature = 64 if suite == 1 else 96
    plain = len(bench.sent(middle)[3])
    assert len(bench.answered(start)[0]) > signature
    assert len(bench.sent(middle)[0]) > plain + signature
    assert len(bench.sent(middle)[1]) > plain + signature
    assert len(bench.sent(middle)[2]) <= plain
    assert len(bench.answered(middle)[2]) > signature


def test_a_client_does_not_take_a_response_with_less_protection_than_the_right_demands() -> None:
    bench = Bench(security=meter_context(policy="none"))
    entry = ObjectEntry(1, 0, SCRATCH_NUMBER, {2: AccessRight.READ | ANSWERED_ENCRYPTED})
    client = bench.manager(client_context("authenticated"))
    client.connect()
    client.use_object_list([entry])
    with pytest.raises(SecurityError, match="at least 'encrypted' is demanded"):
        client.get(1, SCRATCH_NUMBER, 2)
    assert not client.is_connected
    client.reconnect()
    client.use_object_list(())
    assert client.get(1, SCRATCH_NUMBER, 2) == 0
    client.close()


def test_the_rights_of_another_association_are_not_ours() -> None:
    bench = Bench(association_version=3)
    bench.meter.demand(SCRATCH_NUMBER, AUTHENTICATED)
    with bench.manager(client_context()) as client:
        client.objects("0-0:40.0.1*255")
        assert client._demands(Get.one(1, SCRATCH_NUMBER, 2)) == Demands()
        client.objects()
        assert client._demands(Get.one(1, SCRATCH_NUMBER, 2)) == Demands(SecurityPolicy.AUTHENTICATED)
        assert client._demands(Get.one(1, ObisCode(9, 9, 9, 9, 9, 9), 2)) == Demands()


def test_the_meters_clock_is_the_benchs() -> None:
    assert Bench().meter.now() == NOW
