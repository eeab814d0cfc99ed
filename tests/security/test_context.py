"""Protection of one association: what is refused, in which order, and that a refused message changes nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.enums import Role
from cosemic.errors import AuthenticationError, DecodeError, DlmsError, KeyMissing, ReplayError, SecurityError
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy, is_example_key, policy_of
from cosemic.security.counters import MemoryCounters, key_id
from cosemic.tolerances import DEFAULT, Tolerance
from tests.security.pair import APDU, CLIENT_TITLE, KEYS, METER_TITLE, context, pair

POLICIES = ["none", "authenticated", "encrypted", "authenticated-encrypted"]
OVERHEAD = {"none": 5, "authenticated": 17, "encrypted": 5, "authenticated-encrypted": 17}


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("policy", POLICIES)
def test_both_sides_understand_each_other(suite: int, policy: str) -> None:
    client, meter = pair(suite, policy=policy)
    for count, (sender, receiver) in enumerate([(client, meter), (meter, client), (client, meter)]):
        content = sender.protect(APDU)
        assert content[0] == suite | SecurityPolicy.parse(policy)
        assert len(content) == len(APDU) + OVERHEAD[policy]
        assert (APDU in content) == ("encrypted" not in policy)
        assert policy_of(content) is SecurityPolicy.parse(policy)
        assert receiver.open(content) == APDU
        proved = content[0] & SecurityPolicy.AUTHENTICATED
        assert receiver.last_received == ((1, 1, 2)[count] if proved else None)


@settings(max_examples=60)
@given(st.binary(max_size=3000), st.sampled_from([1, 3]), st.sampled_from([0, 1, 2]))
def test_any_information_comes_back(information: bytes, policy: int, suite: int) -> None:
    client, meter = pair(suite, minimum_policy="authenticated")
    assert meter.open(client.protect(information, policy=SecurityPolicy(policy << 4))) == information


@settings(max_examples=200)
@given(st.binary(max_size=64))
def test_arbitrary_octets_are_refused(octets: bytes) -> None:
    _, meter = pair(broadcast_key=bytes(range(50, 66)))
    with pytest.raises(DlmsError):
        meter.open(octets)
    assert meter.last_received is None


@pytest.mark.parametrize("policy", ["authenticated", "authenticated-encrypted"])
def test_every_altered_octet_is_refused(policy: str) -> None:
    client, meter = pair(policy=policy)
    content = client.protect(APDU)
    for position in range(len(content)):
        for bit in range(8):
            altered = bytearray(content)
            altered[position] ^= 1 << bit
            with pytest.raises(SecurityError):
                meter.open(bytes(altered))
    assert meter.last_received is None
    assert meter.open(content) == APDU


@pytest.mark.parametrize("policy", ["authenticated", "authenticated-encrypted"])
def test_cut_or_longer_tags_are_refused(policy: str) -> None:
    client, meter = pair(policy=policy)
    content = client.protect(APDU)
    for length in range(len(content)):
        with pytest.raises((SecurityError, DecodeError)):
            meter.open(content[:length])
    for more in range(1, 6):
        with pytest.raises(AuthenticationError):
            meter.open(content + bytes(more))
    assert meter.last_received is None


def test_too_short_content_is_a_decode_error() -> None:
    _, meter = pair()
    for octets in (b"", b"\x30", b"\x30\0\0\0"):
        with pytest.raises(DecodeError, match="too short"):
            meter.open(octets)
    with pytest.raises(DecodeError, match="tag"):
        meter.open(b"\x30\0\0\0\1" + bytes(11))


def test_every_downgrade_is_refused() -> None:
    client, meter = pair()
    for policy in (SecurityPolicy.NONE, SecurityPolicy.AUTHENTICATED, SecurityPolicy.ENCRYPTED):
        with pytest.raises(SecurityError, match="at least 'authenticated-encrypted' is demanded"):
            meter.open(client.protect(APDU, policy=policy))
    with pytest.raises(SecurityError, match="at least 'authenticated-encrypted' is demanded"):
        meter.check_policy(SecurityPolicy.NONE)
    meter.check_policy(SecurityPolicy.AUTHENTICATED_ENCRYPTED)
    assert meter.last_received is None


def test_policy_is_judged_after_the_tag() -> None:
    client, meter = pair()
    content = bytearray(client.protect(APDU, policy=SecurityPolicy.AUTHENTICATED))
    content[-1] ^= 1
    with pytest.raises(AuthenticationError):
        meter.open(bytes(content))


def test_the_minimum_can_be_lowered_for_one_message_or_for_the_context() -> None:
    client, meter = pair()
    content = client.protect(APDU, policy=SecurityPolicy.AUTHENTICATED)
    assert meter.open(content, minimum=SecurityPolicy.AUTHENTICATED) == APDU
    lenient = AssociationSecurity(
        context(METER_TITLE, minimum_policy="none"), role=Role.SERVER, peer_system_title=CLIENT_TITLE
    )
    assert lenient.open(client.protect(APDU, policy=SecurityPolicy.ENCRYPTED)) == APDU
    lenient.check_policy(SecurityPolicy.NONE)


def test_repeated_and_lower_counters_are_refused() -> None:
    client, meter = pair()
    first, second = client.protect(APDU), client.protect(APDU)
    assert meter.open(second) == APDU
    for content in (second, first):
        with pytest.raises(ReplayError) as caught:
            meter.open(content)
        assert caught.value.received == int.from_bytes(content[1:5], "big")
        assert caught.value.expected_above == 2
    assert meter.last_received == 2
    assert meter.open(client.protect(APDU)) == APDU


def test_first_counter_may_be_zero() -> None:
    _, meter = pair()
    sealed = meter.context.unicast_cipher().seal(0x30, CLIENT_TITLE, 0, APDU, b"\x30" + KEYS[0]["authentication_key"])
    assert meter.open(sealed) == APDU
    with pytest.raises(ReplayError):
        meter.open(sealed)


def test_a_forged_high_counter_does_not_lock_out() -> None:
    client, meter = pair()
    content = bytearray(client.protect(APDU))
    content[1:5] = b"\xff\xff\xff\xff"
    with pytest.raises(AuthenticationError):
        meter.open(bytes(content))
    assert meter.open(client.protect(APDU)) == APDU


@pytest.mark.parametrize("control", [0x00, 0x20])
def test_a_high_counter_without_a_tag_locks_nobody_out(control: int) -> None:
    """Where the policy takes unauthenticated messages, anybody can send one with any counter."""
    client, _ = pair()
    lenient = context(METER_TITLE, minimum_policy="none")
    meter = AssociationSecurity(lenient, role="server", peer_system_title=CLIENT_TITLE)
    key = lenient.unicast_cipher()
    assert meter.open(key.seal(control, CLIENT_TITLE, 0xFFFFFFF0, APDU, b"")) == APDU
    assert meter.last_received is None
    assert meter.open(client.protect(APDU)) == APDU
    assert meter.last_received == 1
    for again in (0xFFFFFFF0, 0xFFFFFFEF):
        with pytest.raises(ReplayError):
            meter.open(key.seal(control, CLIENT_TITLE, again, APDU, b""))
    with pytest.raises(ReplayError):
        AssociationSecurity(lenient, role="server", peer_system_title=CLIENT_TITLE, last_received=9).open(
            key.seal(control, CLIENT_TITLE, 9, APDU, b"")
        )


def test_a_gmac_under_the_counter_of_its_unauthenticated_envelope() -> None:
    client, _ = pair()
    meter = AssociationSecurity(
        context(METER_TITLE, minimum_policy="none"), role="server", peer_system_title=CLIENT_TITLE
    )
    proof = client.gmac(b"challenge")
    meter.open(meter.context.unicast_cipher().seal(0x20, CLIENT_TITLE, 1, APDU, b""))
    with pytest.raises(ReplayError):
        meter.verify_gmac(proof, b"challenge")
    proof = client.gmac(b"challenge")
    meter.verify_gmac(proof, b"challenge")
    assert meter.last_received == 2


def test_last_received_can_be_given() -> None:
    client, _ = pair()
    meter = AssociationSecurity(context(METER_TITLE), role="server", peer_system_title=CLIENT_TITLE, last_received=1)
    with pytest.raises(ReplayError):
        meter.open(client.protect(APDU))
    assert meter.open(client.protect(APDU)) == APDU


@pytest.mark.parametrize("name", ["encryption_key", "authentication_key"])
def test_wrong_key(name: str) -> None:
    client, _ = pair()
    meter = AssociationSecurity(
        context(METER_TITLE, **{name: b"\x42" * 16}), role="server", peer_system_title=CLIENT_TITLE
    )
    with pytest.raises(AuthenticationError) as caught:
        meter.open(client.protect(APDU))
    text = str(caught.value)
    assert "SC 0x30" in text
    assert "IC 1" in text
    assert CLIENT_TITLE.hex().upper() in text
    assert "global unicast key" in text
    assert "42424242" not in text.lower()


def test_wrong_title() -> None:
    client, _ = pair()
    meter = AssociationSecurity(context(METER_TITLE), role="server", peer_system_title=b"someone!")
    with pytest.raises(AuthenticationError, match="system title"):
        meter.open(client.protect(APDU))


def test_wrong_key_with_encryption_alone_is_noticed() -> None:
    client, _ = pair(policy="encrypted")
    meter = AssociationSecurity(
        context(METER_TITLE, policy="encrypted", encryption_key=b"\x43" * 16),
        role="server",
        peer_system_title=CLIENT_TITLE,
    )
    with pytest.raises(AuthenticationError, match="no known APDU"):
        meter.open(client.protect(APDU))
    assert meter.last_received is None


def test_other_suite_compression_and_broadcast() -> None:
    client, meter = pair()
    content = client.protect(APDU)
    with pytest.raises(SecurityError, match="suite 1"):
        meter.open(b"\x31" + content[1:])
    with pytest.raises(SecurityError, match="compressed"):
        meter.open(b"\xb0" + content[1:])
    with pytest.raises(KeyMissing, match="broadcast"):
        meter.open(b"\x70" + content[1:])
    with pytest.raises(KeyMissing, match="broadcast"):
        client.protect(APDU, broadcast=True)


def test_broadcast_has_its_own_key_and_counters() -> None:
    client, meter = pair(broadcast_key=bytes(range(50, 66)))
    assert meter.open(client.protect(APDU)) == APDU
    content = client.protect(APDU, broadcast=True)
    assert content[:5] == b"\x70\0\0\0\1"
    assert meter.open(content) == APDU
    with pytest.raises(ReplayError):
        meter.open(content)
    with pytest.raises(AuthenticationError):
        meter.open(b"\x30" + content[1:])


def test_dedicated_key_has_its_own_counters() -> None:
    client, meter = pair(dedicated_key=True)
    with pytest.raises(KeyMissing, match="dedicated"):
        client.protect(APDU, dedicated=True)
    key = client.context.new_dedicated_key()
    assert len(key) == 16
    assert key != client.context.new_dedicated_key()
    meter.open(client.protect(APDU))
    client.set_dedicated_key(key)
    meter.set_dedicated_key(key)
    content = client.protect(APDU, dedicated=True)
    assert int.from_bytes(content[1:5], "big") == 1
    assert meter.open(content, dedicated=True) == APDU
    with pytest.raises(ReplayError):
        meter.open(content, dedicated=True)
    with pytest.raises(AuthenticationError, match="dedicated key"):
        meter.open(client.protect(APDU), dedicated=True)
    with pytest.raises(SecurityError, match="broadcast"):
        meter.open(b"\x70" + content[1:], dedicated=True)
    with pytest.raises(SecurityError, match="8 octets"):
        client.set_dedicated_key(bytes(8))


def test_a_fixed_dedicated_key_goes_on_with_its_counters() -> None:
    fixed = bytes(range(100, 116))
    configured = context(CLIENT_TITLE, dedicated_key=fixed)
    meters = context(METER_TITLE)
    counters = []
    for _ in range(2):
        for shared, role in ((configured, "client"), (meters, "server")):
            peer = METER_TITLE if role == "client" else CLIENT_TITLE
            security = AssociationSecurity(shared, role=role, peer_system_title=peer, dedicated_key=fixed)  # type: ignore[arg-type]
            counters.append(int.from_bytes(security.protect(APDU, dedicated=True)[1:5], "big"))
            security.close()
    assert counters == [1, 1, 2, 2]


def test_system_titles_must_differ_and_stay() -> None:
    client, meter = pair()
    with pytest.raises(SecurityError, match="our own system title"):
        AssociationSecurity(context(CLIENT_TITLE), role="client", peer_system_title=CLIENT_TITLE)
    with pytest.raises(SecurityError, match="changed"):
        client.peer_system_title = b"another!"
    with pytest.raises(SecurityError, match="instead of 8"):
        AssociationSecurity(context(CLIENT_TITLE), role="client", peer_system_title=b"short")
    client.peer_system_title = METER_TITLE
    # What we sent ourselves, sent back to us in a general envelope.
    with pytest.raises(SecurityError, match="sent back"):
        client.open(client.protect(APDU), system_title=CLIENT_TITLE)
    with pytest.raises(SecurityError, match="association with"):
        client.open(meter.protect(APDU), system_title=b"another!")
    assert client.open(meter.protect(APDU), system_title=METER_TITLE) == APDU


def test_the_originator_of_a_general_envelope_is_learned_when_its_tag_holds() -> None:
    client, _ = pair()
    meter = AssociationSecurity(context(METER_TITLE), role="server")
    content = client.protect(APDU)
    with pytest.raises(KeyMissing, match="peer's system title"):
        meter.open(content)
    with pytest.raises(AuthenticationError):
        meter.open(content, system_title=b"another!")
    assert meter.peer_system_title is None
    assert meter.open(content, system_title=CLIENT_TITLE) == APDU
    assert meter.peer_system_title == CLIENT_TITLE


def test_a_client_remembers_the_meters_counter_between_associations() -> None:
    _, meter = pair()
    shared = context(CLIENT_TITLE)
    recorded = meter.protect(APDU)
    AssociationSecurity(shared, role="client", peer_system_title=METER_TITLE).open(recorded)
    again = AssociationSecurity(shared, role="client")
    again.peer_system_title = METER_TITLE
    with pytest.raises(ReplayError, match="SERVER_COUNTER_RESTART"):
        again.open(recorded)
    assert again.open(meter.protect(APDU)) == APDU


def test_a_title_learned_from_an_envelope_brings_the_remembered_counter() -> None:
    _, meter = pair()
    shared = context(CLIENT_TITLE)
    recorded = meter.protect(APDU)
    for expected in (APDU, None):
        client = AssociationSecurity(shared, role="client")
        if expected:
            assert client.open(recorded, system_title=METER_TITLE) == expected
        else:
            with pytest.raises(ReplayError):
                client.open(recorded, system_title=METER_TITLE)


def test_a_counter_restart_can_be_tolerated_for_one_meter(caplog: pytest.LogCaptureFixture) -> None:
    _, meter = pair()
    shared = context(CLIENT_TITLE)
    recorded = [meter.protect(APDU), meter.protect(APDU)]
    caplog.set_level(logging.INFO, "cosemic.tolerance")
    for _ in range(2):
        client = AssociationSecurity(
            shared,
            role="client",
            peer_system_title=METER_TITLE,
            tolerances=DEFAULT | {Tolerance.SERVER_COUNTER_RESTART},
        )
        for content in recorded:
            assert client.open(content) == APDU
        with pytest.raises(ReplayError):  # never within one association
            client.open(recorded[0])
    assert caplog.text.count("SERVER_COUNTER_RESTART") == 1


def test_closing_gives_unused_counters_back() -> None:
    client, _ = pair()
    name = key_id(CLIENT_TITLE, KEYS[0]["encryption_key"])
    store = client.context.counters
    assert store.peek(name) is None
    for _ in range(3):
        client.protect(APDU)
    reserved = store.peek(name)
    assert reserved is not None
    assert reserved > 4
    client.close()
    client.close()
    assert store.peek(name) == 4
    assert client.protect(APDU)[1:5] == b"\0\0\0\4"


def test_all_associations_of_a_key_share_its_counter() -> None:
    shared = context(CLIENT_TITLE)
    first = AssociationSecurity(shared, role="client", peer_system_title=METER_TITLE)
    second = AssociationSecurity(shared, role="client", peer_system_title=METER_TITLE)
    used = [each.protect(APDU)[1:5] for _ in range(200) for each in (first, second)]
    used += [each.gmac(b"12345678")[1:5] for each in (first, second)]
    assert len(set(used)) == len(used)


def test_used_up_counters() -> None:
    store = MemoryCounters()
    store.advance(key_id(CLIENT_TITLE, KEYS[0]["encryption_key"]), 0xFFFFFFFF)
    client = AssociationSecurity(context(CLIENT_TITLE, counters=store), role="client", peer_system_title=METER_TITLE)
    assert client.protect(APDU)[1:5] == b"\xff\xff\xff\xff"
    for _ in range(2):
        with pytest.raises(SecurityError, match="used up"):
            client.protect(APDU)


def test_the_meter_may_set_our_counter_only_when_allowed() -> None:
    client, _ = pair()
    with pytest.raises(SecurityError, match="allow_counter_from_meter"):
        client.adopt_counter(77)
    allowed, _ = pair(allow_counter_from_meter=True)
    allowed.protect(APDU)
    assert allowed.adopt_counter(77)
    assert allowed.protect(APDU)[1:5] == (78).to_bytes(4, "big")
    assert not allowed.adopt_counter(5)
    assert allowed.protect(APDU)[1:5] == (79).to_bytes(4, "big")
    with pytest.raises(SecurityError, match="use up"):
        allowed.adopt_counter(0xFFFFFFFE)
    allowed.close()
    assert allowed.context.counters.peek(key_id(CLIENT_TITLE, KEYS[0]["encryption_key"])) == 80


def test_a_counter_within_our_own_range_is_skipped_and_never_given_back() -> None:
    client, _ = pair(allow_counter_from_meter=True)
    client.protect(APDU)
    assert client.adopt_counter(40)
    assert int.from_bytes(client.protect(APDU)[1:5], "big") > 40
    client.close()
    fresh = AssociationSecurity(client.context, role="client", peer_system_title=METER_TITLE)
    assert int.from_bytes(fresh.protect(APDU)[1:5], "big") > 41


def test_missing_keys_and_titles_cost_no_counter() -> None:
    store = MemoryCounters()
    no_key = AssociationSecurity(
        SecurityContext(system_title=CLIENT_TITLE, counters=store), role="client", peer_system_title=METER_TITLE
    )
    with pytest.raises(KeyMissing, match="encryption_key"):
        no_key.protect(APDU)
    no_authentication = AssociationSecurity(
        SecurityContext(system_title=CLIENT_TITLE, encryption_key=b"k" * 16, counters=store), role="client"
    )
    with pytest.raises(KeyMissing, match="authentication key"):
        no_authentication.protect(APDU)
    with pytest.raises(KeyMissing, match="authentication key"):
        no_authentication.gmac(b"12345678")
    no_title = AssociationSecurity(SecurityContext(counters=store, **KEYS[0]), role="client")
    with pytest.raises(KeyMissing, match="system_title"):
        no_title.protect(APDU)
    assert store.peek(key_id(CLIENT_TITLE, b"k" * 16)) is None
    encrypting = AssociationSecurity(
        SecurityContext(
            system_title=CLIENT_TITLE, encryption_key=b"k" * 16, policy="encrypted", counters=MemoryCounters()
        ),
        role="client",
    )
    assert len(encrypting.protect(APDU)) == 5 + len(APDU)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"suite": 3}, "suite 3"),
        ({"encryption_key": "secretsecret"}, "hexadecimal"),
        ({"encryption_key": b"secret"}, "16 octets in suite 0, not 6"),
        ({"suite": 2, "authentication_key": b"secretsecret1234"}, "32 octets in suite 2, not 16"),
        ({"broadcast_key": b"secret"}, "broadcast_key"),
        ({"dedicated_key": b"secret"}, "dedicated_key"),
        ({"system_title": b"short"}, "system_title must have 8"),
        ({"policy": "strong"}, "authenticated-encrypted"),
        ({"policy": 0x40}, "0x40"),
    ],
)
def test_wrong_configuration(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        SecurityContext(**options)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_hexadecimal_configuration_and_no_secret_in_repr() -> None:
    client = SecurityContext(
        0,
        "43 4F 53 43 00 00 00 10",
        "000102030405060708090A0B0C0D0E0F",
        "D0:D1:D2:D3:D4:D5:D6:D7:D8:D9:DA:DB:DC:DD:DE:DF",
        "Authenticated_Encrypted",
        MemoryCounters(),
    )
    security = AssociationSecurity(client, role="client", peer_system_title=METER_TITLE)
    _, meter = pair()
    assert meter.open(security.protect(APDU)) == APDU
    for shown in (repr(client), repr(security), repr(client.unicast_cipher())):
        assert "00010203" not in shown
        assert "d0d1" not in shown.lower()
    assert CLIENT_TITLE.hex().upper() in repr(client)
    assert "authenticated-encrypted" in repr(client)


def test_example_keys_are_recognised() -> None:
    assert is_example_key(bytes(range(16)))
    assert is_example_key(bytes(range(0xD0, 0xE0)))
    assert is_example_key(bytes(32))
    assert not is_example_key(bytes(range(1, 17)))


def test_configuring_loads_no_cryptography() -> None:
    program = (
        "import sys; from cosemic.security.context import AssociationSecurity, SecurityContext\n"
        "c = SecurityContext(0, '434F534300000010', '00' * 16, '00' * 16)\n"
        "a = AssociationSecurity(c, role='client')\n"
        "assert 'cryptography' not in sys.modules and 'sqlite3' not in sys.modules\n"
        "assert 'asyncio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "COSEMIC_STATE": os.devnull})


def test_a_configured_dedicated_key_is_warned_of_once_it_comes_again(caplog) -> None:
    key = bytes(range(0x40, 0x50))
    fixed, fresh = context(CLIENT_TITLE, dedicated_key=key), context(CLIENT_TITLE, dedicated_key=True)
    for _ in range(4):
        for shared in (fixed, fresh):
            association = AssociationSecurity(shared, role="client", peer_system_title=METER_TITLE)
            for _ in range(2):  # as when an association request is sent again
                association.set_dedicated_key(shared.new_dedicated_key())
            association.close()
    (record,) = caplog.records
    assert "dedicated_key=True" in record.getMessage()
    assert key.hex() not in record.getMessage()
