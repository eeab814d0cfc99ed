"""The driver's bounds in fake time, and a meter that goes along with a wrong key and so gives it away."""

from __future__ import annotations

import asyncio

import pytest

from cosemic.apdu.acse import AssociationResponse, InitiateResponse
from cosemic.apdu.protected import wrap_ciphered
from cosemic.doctor import Code, Known, Limits, examine
from cosemic.enums import (
    AcseServiceUserDiagnostic,
    ApduTag,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
)
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, SYSTEM_TITLE
from cosemic.security.cipher import CipherKey
from cosemic.transports.memory import FakeClock, MemoryStream, memory_pair
from cosemic.transports.targets import Target
from tests.doctor.peers import OTHER_KEY, Script, cause, codes, keys, run, scripted


@pytest.mark.parametrize("url", ["tcp://192.0.2.1", "hdlc://192.0.2.1"])
@pytest.mark.parametrize("budget", [0.5, 5.0, 17.0, 120.0])
async def test_a_silent_line_ends_within_the_budget(url: str, budget: float) -> None:
    clock = FakeClock()
    ends: list[MemoryStream] = []

    async def opener(target: Target) -> MemoryStream:
        near, far = memory_pair(clock)
        ends.append(far)
        return near

    start = clock()
    findings = await examine(url, Known(), Limits(budget=budget), opener=opener, clock=clock)
    assert clock() - start <= budget + 1e-6
    assert cause(findings).code is (Code.NO_OCTET if budget == 120.0 else Code.BUDGET)


def accepting(ek: bytes, ak: bytes, named: bytes = SYSTEM_TITLE) -> Script:
    """A meter that checks nothing and answers every AARQ with an AARE sealed by its own keys."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counter = 0
        while data := await reader.read(4096):
            pdu = WrapperPdu.decode(data)
            counter += 1
            plain = InitiateResponse(None, 6, Conformance.GET | Conformance.ACTION, 1024, 0x0007).encode()
            ciphered = b"\xa6\x0a\x04\x08" in pdu.apdu
            if ciphered:
                cipher = CipherKey(ek, ak, "test")
                sealed = cipher.seal(0x30, SYSTEM_TITLE, counter, plain, cipher.associated(0x30))
                plain = wrap_ciphered(ApduTag.GLO_INITIATE_RESPONSE, sealed)
            aare = AssociationResponse(
                ApplicationContext.LOGICAL_NAME_CIPHERED if ciphered else ApplicationContext.LOGICAL_NAME,
                AssociationResult.ACCEPTED,
                AcseServiceUserDiagnostic.NULL,
                mechanism=AuthenticationMechanism.HLS_GMAC if ciphered else None,
                responding_authentication_value=bytes(16) if ciphered else None,
                responding_ap_title=named if ciphered else None,
                user_information=plain,
            )
            if pdu.apdu[:1] != b"\x60":
                return
            writer.write(WrapperPdu(pdu.destination, pdu.source, aare.encode()).encode())

    return script


async def test_an_answer_in_blocks_without_an_end_is_bounded() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            pdu = WrapperPdu.decode(data)
            invoke = pdu.apdu[2:3]
            if pdu.apdu[:1] == b"\x60":
                plain = InitiateResponse(None, 6, Conformance.GET | Conformance(1 << 12), 1024, 0x0007).encode()
                answer = AssociationResponse(
                    ApplicationContext.LOGICAL_NAME,
                    AssociationResult.ACCEPTED,
                    AcseServiceUserDiagnostic.NULL,
                    user_information=plain,
                ).encode()
            else:
                number = pdu.apdu[3:7] if pdu.apdu[1] == 2 else bytes(4)
                following = (int.from_bytes(number, "big") + 1).to_bytes(4, "big")
                answer = b"\xc4\x02" + invoke + b"\x00" + following + b"\x00\x01\x01"
            writer.write(WrapperPdu(pdu.destination, pdu.source, answer).encode())

    async with scripted(script, "tcp") as url:
        findings = await run(url, Known(), Limits(budget=1.5, patience=1, listening=0))
    assert Code.CUT_SHORT in codes(findings)


@pytest.mark.parametrize(
    ("wrong", "named", "code"),
    [
        ({"authentication_key": OTHER_KEY}, SYSTEM_TITLE, Code.WRONG_AUTHENTICATION_KEY),
        ({"encryption_key": OTHER_KEY}, SYSTEM_TITLE, Code.WRONG_ENCRYPTION_KEY),
        ({"peer_system_title": None}, b"XYZ00000", Code.WRONG_ENCRYPTION_KEY),
    ],
)
async def test_a_meter_that_lets_a_wrong_key_in(wrong: dict[str, object], named: bytes, code: Code) -> None:
    async with scripted(accepting(ENCRYPTION_KEY, AUTHENTICATION_KEY, named), "tcp") as url:
        findings = await run(url, Known(client=1, security=keys(**wrong)), Limits(patience=1, listening=0))
    assert cause(findings).code is code, cause(findings)
    assert Code.LOGGED_IN not in codes(findings)
