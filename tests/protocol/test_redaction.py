"""No secret in a trace, whatever the APDU is cut into."""

from __future__ import annotations

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.codec import axdr
from cosemic.enums import AuthenticationMechanism, Role
from cosemic.link.addresses import HdlcAddress
from cosemic.link.hdlc import HdlcLink
from cosemic.link.parameters import HdlcParameters
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.connections import HdlcConnection, HdlcTimers, WrapperConnection
from cosemic.meter.demo import demo_meter
from cosemic.obis import ObisCode
from cosemic.protocol.events import Associated
from cosemic.protocol.redaction import FrameRedactor
from cosemic.protocol.requests import Action
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import ClientSettings
from tests.pair.support import ECHO, ENERGY, Pair, client_settings, get, server_settings, set_

LLS = AuthenticationMechanism.LLS
NONE = AuthenticationMechanism.NONE
PASSWORD = b"open sesame, please"
SECRET = bytes(range(0x40, 0x7E)) * 3
ASSOCIATION = ObisCode(0, 0, 40, 0, 0, 255)


def traced(pair: Pair) -> list[tuple[str, str, bytes]]:
    seen: list[tuple[str, str, bytes]] = []

    def trace(layer: str, direction: str, octets: bytes) -> None:
        seen.append((layer, direction, octets))

    pair.client.trace = trace
    pair.server.trace = trace
    pair.server.link.trace = pair.server._trace_frame
    return seen


def leaks(seen: list[tuple[str, str, bytes]], secret: bytes) -> list[str]:
    """Runs of four octets of the secret that can be seen."""
    parts = {secret[start : start + 4] for start in range(len(secret) - 3)}
    return [octets.hex() for _, _, octets in seen if any(part in octets for part in parts)]


@pytest.mark.parametrize("size", [None, 8, 11, 16, 30, 64, 128])
def test_a_password_in_segments_of_any_size(size: int | None) -> None:
    kind, options = ("wrapper", {}) if size is None else ("hdlc", {"parameters": HdlcParameters(size, size)})
    pair = Pair(client_settings(LLS, password=PASSWORD), server_settings(LLS, secret=PASSWORD), kind, **options)
    seen = traced(pair)
    assert isinstance(pair.connect(), Associated)
    assert len(seen) > 4
    assert not leaks(seen, PASSWORD)
    pair.do(get((3, ENERGY, 2)))
    assert any(octets.endswith(bytes.fromhex("0600003039")) for layer, _, octets in seen if layer == "apdu")


def test_the_echo_of_a_password() -> None:
    """An optical head gives our own frames back; they come in."""
    seen: list[tuple[str, str, bytes]] = []
    link = HdlcLink(Role.CLIENT, destination=HdlcAddress(1, 17), source=HdlcAddress(16))
    server = HdlcLink(Role.SERVER, destination=HdlcAddress(16), source=HdlcAddress(1, 17))
    session = ClientSession(
        link, ClientSettings(mechanism=LLS, password=PASSWORD), trace=lambda *what: seen.append(what)
    )
    session.connect(0.0)
    for _ in range(3):
        data = session.data_to_send()
        server.receive_data(data, 0.0)
        session.receive_data(data + server.data_to_send(), 0.0)
    assert len([octets for layer, direction, octets in seen if direction == "in" and len(octets) > 60]) == 1
    assert not leaks(seen, PASSWORD)


SET, READ = (15, ECHO, 7, axdr.octet_string(SECRET)), (15, ECHO, 7)
OTHER = (3, ENERGY, 2, axdr.double_long_unsigned(1))


@pytest.mark.parametrize("size", [None, 11, 16, 128])
@pytest.mark.parametrize("pdu", [0xFFFF, 60])
@pytest.mark.parametrize("how", ["set", "list", "action", "get", "get list"])
def test_new_and_read_secrets(how: str, pdu: int, size: int | None) -> None:
    kind, options = ("wrapper", {}) if size is None else ("hdlc", {"parameters": HdlcParameters(size, size)})
    pair = Pair(client_settings(NONE, max_pdu_size=pdu), server_settings(NONE, max_pdu_size=pdu), kind, **options)
    pair.application.attributes[READ] = axdr.Data.of(axdr.octet_string(SECRET))
    seen = traced(pair)
    pair.connect()
    pair.do(
        {
            "set": set_(SET),
            "list": set_(OTHER, SET),
            "action": Action.one(15, ASSOCIATION, 2, axdr.octet_string(SECRET)),
            "get": get(READ),
            "get list": get(OTHER[:3], READ),
        }[how]
    )
    assert not leaks(seen, SECRET)
    seen.clear()
    pair.do(set_((1, ECHO, 2, axdr.octet_string(SECRET))))
    pair.do(get((1, ECHO, 2)))
    assert leaks(seen, SECRET), "what is no secret is shown"


@pytest.mark.parametrize("size", [None, 16, 128])
def test_a_meter_shows_no_password(size: int | None) -> None:
    seen: list[tuple[str, str, bytes]] = []
    trace = lambda *what: seen.append(what)  # noqa: E731
    meter = demo_meter(profile_rows=1)
    parameters = HdlcParameters(size or 128, size or 128)
    connection = (
        WrapperConnection(meter, trace=trace)
        if size is None
        else HdlcConnection(meter, parameters=parameters, timers=HdlcTimers(), trace=trace)
    )
    wrong = b"wrong pass"  # somebody else's, perhaps
    pair = Pair(client_settings(LLS, password=wrong, client_sap=32), None, "wrapper" if size is None else "hdlc")
    session = pair.client
    if size is not None:
        session = ClientSession(
            HdlcLink(Role.CLIENT, destination=HdlcAddress(1, 17), source=HdlcAddress(32), parameters=parameters),
            ClientSettings(mechanism=LLS, password=wrong),
        )
        session.connect(0.0)
        for _ in range(20):
            session.receive_data(connection.receive_data(session.data_to_send(), 0.0), 0.0)
    else:
        session.connect(0.0)
        pdu = WrapperPdu.decode(session.data_to_send())
        connection.receive_data(WrapperPdu(32, 1, pdu.apdu).encode(), 0.0)
    assert len([what for what in seen if what[0] == "link"]) >= 2
    assert not leaks(seen, wrong)


def test_what_is_shown_keeps_its_form() -> None:
    aarq = bytes.fromhex("601da109060760857405080101be10040e01000000065f1f0400001e1d0500")
    password = bytes.fromhex(
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738be10040e01000000065f1f0400007e1fffff"
    )
    redactor = FrameRedactor()
    for apdu in (aarq, password):
        shown = WrapperPdu.decode(redactor.frame("out", WrapperPdu(16, 1, apdu).encode())).apdu
        assert decode_apdu(shown).user_information == decode_apdu(apdu).user_information
    assert decode_apdu(shown).calling_authentication_value == bytes(8)
