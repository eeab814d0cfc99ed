"""Messages that come again in another dress: what no tag and no signature covers must not make them new."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.apdu.fields import encode_octet_string
from cosemic.apdu.general import raw_header
from cosemic.apdu.protected import wrap_ciphered, wrap_general
from cosemic.errors import DecodeError, ReplayError, SecurityError
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.suites import GeneralAad, GeneralKey, SigningOrder
from tests.pair.keys import context
from tests.pair.support import CLIENT_TITLE, METER_TITLE
from tests.security.test_general import APDU, BOTH, FRESH, FromZero, from_zero, pair

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: with (r, s) the signature (r, ORDER - s) holds too."""
WITHOUT_HEADER: dict[str, Any] = {"general_aad": GeneralAad.WITHOUT_HEADER}


def again(meter: AssociationSecurity) -> AssociationSecurity:
    """Another association of the same context."""
    later = AssociationSecurity(meter.context, role="server")
    later.peer_system_title = CLIENT_TITLE
    return later


def with_header(message: bytes, *fields: bytes) -> bytes:
    """The same message under other fields of the header."""
    rest = message[1 + len(raw_header(message)[0]) :]
    return message[:1] + b"".join(map(encode_octet_string, fields)) + rest


@pytest.mark.parametrize("general", [False, True])
def test_a_signed_message_is_not_new_because_of_an_envelope_that_proves_nothing(general: bool) -> None:
    client, meter = pair()
    message = seal(client, APDU, Envelope(SecurityPolicy.SIGNED, order=SigningOrder.SIGN_FIRST))
    header = message[1 : 1 + len(raw_header(message)[0])]
    assert unseal(meter, message)[0] == APDU
    for counter in (1, 2, 3):
        content = bytes([0x01]) + counter.to_bytes(4) + message
        if general:
            dressed = bytes([0xDD]) + header + bytes([0]) + encode_octet_string(content)
        else:
            dressed = wrap_general(0xDB, CLIENT_TITLE, content)
        for association in (meter, again(meter)):
            with pytest.raises(ReplayError, match="octet for octet"):
                unseal(association, dressed)


@pytest.mark.parametrize("order", list(SigningOrder))
def test_what_is_signed_but_has_no_tag_is_taken_once_by_all_associations(order: SigningOrder) -> None:
    client, meter = pair()
    message = seal(client, APDU, Envelope(SecurityPolicy.ENCRYPTED | SecurityPolicy.SIGNED, order=order))
    assert unseal(meter, message)[0] == APDU
    with pytest.raises(ReplayError, match="octet for octet"):
        unseal(again(meter), message)


def test_a_key_that_was_signed_anew_by_somebody_else_brings_no_new_message() -> None:
    _, meter = pair()
    message = from_zero(GeneralKey.ONE_PASS)
    assert unseal(meter, message)[0] == APDU
    end = message.rindex(encode_octet_string(message[-(5 + len(APDU) + 12) :]))
    s = int.from_bytes(message[end - 32 : end])
    with pytest.raises(ReplayError, match="octet for octet"):
        unseal(meter, message[: end - 32] + (ORDER - s).to_bytes(32) + message[end:])


@pytest.mark.parametrize("key", [GeneralKey.WRAPPED, GeneralKey.ONE_PASS])
def test_a_header_that_no_tag_covers_makes_no_message_new(key: GeneralKey) -> None:
    client, meter = pair(counters=FromZero(), **WITHOUT_HEADER)
    message = seal(client, APDU, Envelope(BOTH, key=key))
    assert unseal(meter, message)[0] == APDU
    for fields in (
        (b"another", CLIENT_TITLE, METER_TITLE, b"", b""),
        (b"another", CLIENT_TITLE, METER_TITLE, bytes(12), b"more"),
    ):
        with pytest.raises(ReplayError, match="octet for octet"):
            unseal(meter, with_header(message, *fields))


def test_an_originator_that_no_tag_covers_does_not_begin_to_count_anew() -> None:
    client, meter = pair(**WITHOUT_HEADER)
    message = seal(client, APDU, Envelope(BOTH, key=GeneralKey.WRAPPED))
    assert unseal(meter, message)[0] == APDU
    with pytest.raises(ReplayError):
        unseal(meter, with_header(message, b"", b"", METER_TITLE, b"", b""))


def test_a_transaction_id_that_no_tag_covers_does_not_prove_an_answer_new() -> None:
    client, meter = pair(**WITHOUT_HEADER)
    ask = Envelope(BOTH, key=GeneralKey.WRAPPED)
    answers = []
    for _ in range(2):
        _, envelope = unseal(meter, seal(client, APDU, ask))
        answers.append(seal(meter, APDU, envelope))
        assert unseal(client, answers[-1])[0] == APDU
    asked = unseal(meter, seal(client, APDU, ask))[1].transaction_id
    with pytest.raises(ReplayError):
        unseal(client, with_header(answers[0], asked, METER_TITLE, CLIENT_TITLE, b"", b""))


def test_an_empty_envelope_where_signatures_are_demanded() -> None:
    _, meter = pair()
    meter.demands_signature = True
    for tag in (0xC8, 0xD0):
        with pytest.raises((DecodeError, SecurityError)):
            unseal(meter, wrap_ciphered(tag, b""))


def test_a_certificate_in_suite_0_is_not_looked_at() -> None:
    public = context(1, "client").signing_key
    assert public is not None
    key = public.public
    security = AssociationSecurity(
        context(0, "meter", trust=lambda certificate, title: key), role="server", peer_system_title=CLIENT_TITLE
    )
    security.take_certificate(b"certificate")


@pytest.mark.parametrize("key", [None, GeneralKey.IDENTIFIED, *FRESH])
def test_what_is_encrypted_alone_is_taken_once_by_an_association(key: GeneralKey | None) -> None:
    """Nothing proves it, so that it bars no more than its like, in this association."""
    client, meter = pair()
    encrypted = Envelope(SecurityPolicy.ENCRYPTED, key=key)
    first, second = seal(client, APDU, encrypted), seal(client, APDU, encrypted)
    proved, third = seal(client, APDU, Envelope(BOTH, key=key)), seal(client, APDU, encrypted)
    assert unseal(meter, first)[0] == unseal(meter, second)[0] == APDU
    assert unseal(again(meter), third)[0] == unseal(meter, third)[0] == APDU
    for message in (first, second, third):
        with pytest.raises(ReplayError, match="not above"):
            unseal(meter, message)
    assert unseal(meter, proved)[0] == APDU


@pytest.mark.parametrize("key", FRESH)
def test_what_is_encrypted_alone_under_a_key_that_starts_at_zero_is_taken_once(key: GeneralKey) -> None:
    _, meter = pair()
    messages = []
    for _ in range(3):
        client, _ = pair(counters=FromZero())
        messages.append(seal(client, APDU, Envelope(SecurityPolicy.ENCRYPTED, key=key)))
    for message in messages:
        assert unseal(meter, message)[0] == APDU
    for message in messages:
        with pytest.raises(ReplayError, match="octet for octet"):
            unseal(meter, message)
    assert len(meter.context.replays) == 0
