"""General-ciphering and general-signing: repetitions, headers, layers, keys that are missing, room for the envelope."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.apdu.general import raw_header
from cosemic.errors import AuthenticationError, DecodeError, KeyMissing, ReplayError, SecurityError
from cosemic.protocol.ciphering import Envelope, room, seal, service_envelope, unseal
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.security.replay import ReplayMemory
from cosemic.security.suites import GeneralKey, SigningOrder
from tests.pair.keys import context
from tests.pair.support import CLIENT_TITLE, METER_TITLE

APDU = bytes.fromhex("c001c100080000010000ff0200")
BOTH = SecurityPolicy.AUTHENTICATED_ENCRYPTED
FRESH = [GeneralKey.WRAPPED, GeneralKey.ONE_PASS, GeneralKey.STATIC_UNIFIED]


class FromZero(MemoryCounters):
    """The counters of a peer that starts at 0 with every key, as the standard has it."""

    def reserve(self, key_id: str, count: int) -> range:
        return range(1)


def pair(suite: int = 1, counters: Any = None, **more: Any) -> tuple[AssociationSecurity, AssociationSecurity]:
    client = AssociationSecurity(
        context(suite, "client", minimum_policy="none", counters=counters or MemoryCounters(), **more), role="client"
    )
    meter = AssociationSecurity(context(suite, "meter", minimum_policy="none", **more), role="server")
    client.peer_system_title, meter.peer_system_title = METER_TITLE, CLIENT_TITLE
    return client, meter


def from_zero(key: GeneralKey) -> bytes:
    """A message of a client that has just begun, under counter 0."""
    client, _ = pair(counters=FromZero())
    return seal(client, APDU, Envelope(BOTH, key=key))


@pytest.mark.parametrize("key", FRESH)
def test_a_key_that_starts_at_zero_is_new_each_time_and_its_message_is_taken_once(key: GeneralKey) -> None:
    _, meter = pair()
    messages = [from_zero(key) for _ in range(5)]
    for message in messages:
        assert unseal(meter, message)[0] == APDU
    for message in messages:
        with pytest.raises(ReplayError, match="octet for octet"):
            unseal(meter, message)
    _, later = pair()
    later.context.replays = meter.context.replays  # another association of the same context
    with pytest.raises(ReplayError):
        unseal(later, messages[2])


@pytest.mark.parametrize("key", FRESH)
def test_rising_counters_need_no_memory(key: GeneralKey) -> None:
    client, meter = pair()
    messages = [seal(client, APDU, Envelope(BOTH, key=key)) for _ in range(10)]
    for message in messages:
        unseal(meter, message)
    assert len(meter.context.replays) == 0
    for message in messages:
        with pytest.raises(ReplayError, match="not above"):
            unseal(meter, message)


def test_the_memory_is_bounded_and_forgets_nothing() -> None:
    _, meter = pair()
    meter.context.replays = ReplayMemory(3)
    messages = [from_zero(GeneralKey.WRAPPED) for _ in range(4)]
    for message in messages[:3]:
        unseal(meter, message)
    for message in messages:
        with pytest.raises(ReplayError):
            unseal(meter, message)
    client, _ = pair()  # one that counts is still let in
    client.protect(APDU)
    assert unseal(meter, seal(client, APDU, Envelope(BOTH, key=GeneralKey.WRAPPED)))[0] == APDU


@pytest.mark.parametrize("key", FRESH)
def test_nonces_do_not_repeat_though_the_transaction_id_does(key: GeneralKey) -> None:
    """The counters come from the store, so even equal keys never see one twice; also in a later association."""
    counters = MemoryCounters()
    seen = set()
    for _ in range(3):
        client, meter = pair(counters=counters)
        for _ in range(3):
            message = seal(client, APDU, Envelope(BOTH, key=key, transaction_id=b"12345678"))
            content = message[-(5 + len(APDU) + 12) :]
            assert content[0] == 0x31
            seen.add(content[1:5])
            assert unseal(meter, message)[0] == APDU
        client.close()
    assert len(seen) == 9


def test_static_keys_count_for_the_pair_of_keys_whoever_sends() -> None:
    """Two contexts with the same static keys and title share their counters."""
    counters = MemoryCounters()
    first, _ = pair(counters=counters)
    second, _ = pair(counters=counters, kek=bytes(range(3, 19)))
    envelope = Envelope(BOTH, key=GeneralKey.STATIC_UNIFIED, transaction_id=b"1")
    messages = [seal(security, APDU, envelope)[-30:-25] for security in (first, second)]
    assert messages[0] != messages[1]


def test_an_answer_with_the_transaction_id_of_the_request_is_new_once() -> None:
    client, meter = pair()
    request = seal(client, APDU, Envelope(BOTH, key=GeneralKey.WRAPPED))
    _, envelope = unseal(meter, request)
    meter.context._counters = FromZero()
    answer = seal(meter, APDU, envelope)
    assert unseal(client, answer)[0] == APDU
    with pytest.raises(ReplayError):
        unseal(client, answer)


def test_a_signed_message_is_taken_once_however_its_signature_is_rewritten() -> None:
    client, meter = pair()
    message = seal(client, APDU, Envelope(SecurityPolicy.SIGNED, order=SigningOrder.SIGN_FIRST))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = message[:-32] + (order - int.from_bytes(message[-32:])).to_bytes(32)  # a valid signature too
    assert unseal(meter, message)[0] == APDU
    for again in (message, twin):
        with pytest.raises(ReplayError, match="octet for octet"):
            unseal(meter, again)


def test_a_message_for_somebody_else_or_from_somebody_else_is_not_opened() -> None:
    client, meter = pair()
    other = AssociationSecurity(context(1, "meter", system_title=b"OTHER\0\0\1"), role="server")
    other.peer_system_title = CLIENT_TITLE
    for envelope in (
        Envelope(BOTH, key=GeneralKey.IDENTIFIED),
        Envelope(SecurityPolicy.SIGNED, order=SigningOrder.CIPHER_FIRST),
    ):
        message = seal(client, APDU, envelope)
        with pytest.raises(SecurityError, match="while we are"):
            unseal(other, message)
        with pytest.raises(SecurityError, match=r"while we are|sent back"):
            unseal(client, message)
    stranger = AssociationSecurity(context(1, "client", system_title=b"OTHER\0\0\2"), role="client")
    stranger.peer_system_title = METER_TITLE
    with pytest.raises(SecurityError, match="in an association with"):
        unseal(meter, seal(stranger, APDU, Envelope(BOTH, key=GeneralKey.IDENTIFIED)))


def test_layers() -> None:
    client, meter = pair()
    once = Envelope(SecurityPolicy.SIGNED, order=SigningOrder.SIGN_FIRST)
    ciphered = Envelope(BOTH, key=GeneralKey.IDENTIFIED)
    glo = Envelope(BOTH, general=True)
    for layers in (
        (once, once),
        (ciphered, ciphered),
        (glo, ciphered),
        (once, ciphered, once),
        (ciphered, once, glo),
        (glo, once, ciphered),
        (once, glo, once),
    ):
        message = APDU
        for layer in layers:
            message = seal(client, message, layer)
        before = meter.last_received
        with pytest.raises(SecurityError, match=r"layers|one signature"):
            unseal(meter, message)
        assert meter.last_received == before
    assert unseal(meter, seal(client, seal(client, APDU, glo), once))[1].order is SigningOrder.CIPHER_FIRST
    assert unseal(meter, seal(client, seal(client, APDU, once), glo))[1].order is SigningOrder.SIGN_FIRST


@pytest.mark.parametrize("key", [None, GeneralKey.IDENTIFIED, *FRESH])
def test_a_wrong_signature_inside_leaves_no_trace(key: GeneralKey | None) -> None:
    stranger = context(1, "stranger").signing_key
    assert stranger is not None
    client = AssociationSecurity(context(1, "client", signing_key=stranger), role="client")
    client.peer_system_title = METER_TITLE
    _, meter = pair()
    message = seal(client, APDU, Envelope(BOTH | SecurityPolicy.SIGNED, key=key, order=SigningOrder.SIGN_FIRST))
    with pytest.raises(AuthenticationError, match="signature"):
        unseal(meter, message)
    assert meter.last_received is None
    assert meter.context.replays.last == {}


def test_what_is_missing_is_named() -> None:
    bare: dict[str, Any] = {
        "signing_key": None,
        "agreement_key": None,
        "peer_agreement_key": None,
        "peer_signing_key": None,
        "kek": None,
    }
    client, meter = pair()
    poor, poor_meter = pair(**bare)
    for key, name in (
        (GeneralKey.WRAPPED, "kek"),
        (GeneralKey.ONE_PASS, "peer_agreement_key"),
        (GeneralKey.STATIC_UNIFIED, "peer_agreement_key"),
    ):
        with pytest.raises(KeyMissing, match=name):
            seal(poor, APDU, Envelope(BOTH, key=key))
        with pytest.raises(KeyMissing, match=r"kek|agreement_key"):
            unseal(poor_meter, seal(client, APDU, Envelope(BOTH, key=key)))
    signed = Envelope(SecurityPolicy.SIGNED, order=SigningOrder.SIGN_FIRST)
    with pytest.raises(KeyMissing, match="signing_key"):
        seal(poor, APDU, signed)
    with pytest.raises(KeyMissing, match="peer_signing_key"):
        unseal(poor_meter, seal(client, APDU, signed))
    assert meter.last_received is None


def test_impossible_key_infos() -> None:
    client, meter = pair()
    message = seal(client, APDU, Envelope(BOTH, key=GeneralKey.IDENTIFIED))
    at = 1 + len(raw_header(message)[0])  # present, identified, unicast
    for replaced, match in (
        ("010002", "key 2"),
        ("010300", "choice 3"),
        ("010001", "broadcast"),
        ("0101010118", "wrapped with key 1|announced|cut short"),
        ("01020103" + "00", "unknown key agreement scheme"),
        ("01020200" + "0000", "unknown key agreement scheme"),
    ):
        with pytest.raises((SecurityError, DecodeError), match=match):
            unseal(meter, message[:at] + bytes.fromhex(replaced) + message[at + 3 :])


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("key", [None, *GeneralKey])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("order", list(SigningOrder))
def test_what_fits_the_room_fits_the_pdu(suite: int, key: GeneralKey | None, signed: bool, order: SigningOrder) -> None:
    policy = "authenticated-encrypted-signed" if signed else "authenticated-encrypted"
    more: dict[str, Any] = {"date_time": lambda: bytes(12), "other_information": bytes(200)}
    client = AssociationSecurity(
        context(suite, "client", policy, general=key or False, signing_order=order, **more), role="client"
    )
    client.peer_system_title = METER_TITLE
    envelope = service_envelope(client.context, False, True)
    for size in (1200, 4000, 65535):
        space = room(size, envelope, 1 << 30)
        assert space > size - 1200
        sealed = seal(client, APDU[:1] + bytes(space - 1), envelope)
        assert len(sealed) <= size
    assert room(0, envelope, 1 << 30) == 1 << 30


def test_a_date_time_has_twelve_octets() -> None:
    client, meter = pair(date_time=lambda: bytes(11))
    with pytest.raises(SecurityError, match="12"):
        seal(client, APDU, Envelope(BOTH, key=GeneralKey.IDENTIFIED))
    assert meter.last_received is None


def test_compressed_messages_are_refused_with_a_reason() -> None:
    client, meter = pair()
    for key in GeneralKey:
        message = bytearray(seal(client, APDU, Envelope(BOTH, key=key)))
        message[-(5 + len(APDU) + 12)] |= 0x80
        with pytest.raises(SecurityError, match="compressed"):
            unseal(meter, bytes(message))


def test_broadcast_keys_are_named_by_the_key_info() -> None:
    broadcast = bytes(range(60, 76))
    _, meter = pair(broadcast_key=broadcast)
    sender, _ = pair(broadcast_key=broadcast)
    message = seal(sender, APDU, Envelope(BOTH, key=GeneralKey.IDENTIFIED))
    header = message[:1] + raw_header(message)[0]
    cipher = sender.context.broadcast_cipher()
    content = cipher.seal(0x31, CLIENT_TITLE, 7, APDU, cipher.associated(0x31) + header[1:])
    message = header + bytes.fromhex("010001") + bytes([len(content)]) + content
    with pytest.raises(SecurityError, match="broadcast key"):
        unseal(meter, message)
    plain, envelope = unseal(meter, message, broadcast=True)
    assert (plain, envelope.broadcast) == (APDU, True)
    assert meter.last_received is None  # of the unicast key
