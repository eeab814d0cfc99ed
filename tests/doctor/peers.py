"""Meters and other things that stand at the far end of a line, for the doctor to examine; with the logins counted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cosemic.apdu.acse import AssociationRequest
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.protected import wrap_general
from cosemic.codec import axdr
from cosemic.doctor import Code, Finding, Known, Limits, examine
from cosemic.enums import ApduTag
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import HdlcFrame
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, LLS_PASSWORD, SYSTEM_TITLE, demo_meter
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.server import MeterServer
from cosemic.security.cipher import CipherKey
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters

MOMENT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
OTHER_KEY = bytes(range(0x40, 0x50))
QUICK = Limits(budget=60, patience=2.0, listening=0.05)
HASTY = Limits(budget=60, patience=0.2, listening=0.05)
"""For peers that never answer: each wait is a tenth of a second."""

_titles = itertools.count(1)


def keys(**options: object) -> SecurityContext:
    """A client's right keys, with a title and counters of its own unless told otherwise."""
    settings: dict[str, object] = {
        "system_title": b"DOC" + next(_titles).to_bytes(5, "big"),
        "encryption_key": ENCRYPTION_KEY,
        "authentication_key": AUTHENTICATION_KEY,
        "counters": MemoryCounters(),
    }
    return SecurityContext(**(settings | options))  # type: ignore[arg-type]


def meter_keys(**options: object) -> SecurityContext:
    """The meter's own security context, to bend."""
    settings: dict[str, object] = {
        "system_title": SYSTEM_TITLE,
        "encryption_key": ENCRYPTION_KEY,
        "authentication_key": AUTHENTICATION_KEY,
        "counters": MemoryCounters(),
        "minimum_policy": "none",
    }
    return SecurityContext(**(settings | options))  # type: ignore[arg-type]


def make_meter(security: SecurityContext | None = None) -> SimulatedMeter:
    return demo_meter(profile_rows=5, clock=lambda: MOMENT, security=security)


@dataclass
class Served:
    """A meter on the network, and what it saw of logins: an AARQ that names a mechanism is a try."""

    wrapper: str = ""
    hdlc: str = ""
    wrapper_as_hdlc: str = ""
    hdlc_as_wrapper: str = ""
    logins: int = 0
    openings: int = 0
    seen: list[str] = field(default_factory=list)

    def trace(self, layer: str, direction: str, octets: bytes) -> None:
        if layer != "apdu" or direction != "in" or octets[:1] != bytes((ApduTag.AARQ,)):
            return
        aarq = decode_apdu(octets)
        assert isinstance(aarq, AssociationRequest)
        self.openings += 1
        self.logins += bool(aarq.mechanism)

    def url(self, framing: str) -> str:
        return {"wrapper": self.wrapper, "hdlc": self.hdlc}[framing]


@contextlib.asynccontextmanager
async def serving(meter: SimulatedMeter, **options: object) -> AsyncIterator[Served]:
    served = Served()
    async with MeterServer(meter, trace=served.trace, **options) as server:  # type: ignore[arg-type]
        wrapper, hdlc = await server.serve_wrapper(), await server.serve_hdlc()
        served.wrapper, served.hdlc = f"tcp://127.0.0.1:{wrapper}", f"hdlc://127.0.0.1:{hdlc}"
        served.wrapper_as_hdlc, served.hdlc_as_wrapper = f"hdlc://127.0.0.1:{wrapper}", f"tcp://127.0.0.1:{hdlc}"
        yield served


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script, scheme: str = "hdlc") -> AsyncIterator[str]:
    """A TCP port that follows a script on each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def answering(answer: Callable[[bytes], bytes]) -> Script:
    """Answer whatever comes by a function of it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if out := answer(data):
                writer.write(out)
                await writer.drain()

    return script


def pushing(meter: SimulatedMeter, framing: str, push: bytes, served: Served) -> Script:
    """A simulated meter that pushes as soon as somebody connects, as those with a shared line do."""
    from cosemic.transports.targets import Framing

    server = MeterServer(meter, trace=served.trace)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = server.new_connection(Framing(framing))
        loop = asyncio.get_running_loop()
        writer.write(framed(push, framing))
        while data := await reader.read(4096):
            if out := connection.receive_data(data, loop.time()):
                writer.write(out)
        connection.close()

    return script


def framed(apdu: bytes, framing: str) -> bytes:
    """A push of server 1 to client 1."""
    if framing == "wrapper":
        return WrapperPdu(1, 1, apdu).encode()
    return HdlcFrame(HdlcAddress(1), HdlcAddress(1), 0x13, b"\xe6\xe7\x00" + apdu).encode()


def sealed_push(
    control: int = 0x30, ek: bytes = ENCRYPTION_KEY, ak: bytes = AUTHENTICATION_KEY, title: bytes = SYSTEM_TITLE,
    named: bytes | None = None,
) -> bytes:  # fmt: skip
    """A DataNotification in general-glo-ciphering, as the meter would seal it."""
    plain = bytes.fromhex("0F0000000100") + axdr.encode(axdr.structure(axdr.unsigned(1), axdr.long_unsigned(230)))
    cipher = CipherKey(ek, ak, "test")
    content = cipher.seal(control, title, 77, plain, cipher.associated(control))
    return wrap_general(ApduTag.GENERAL_GLO_CIPHERING, title if named is None else named, content)


async def run(url: str, known: Known, limits: Limits = QUICK) -> list[Finding]:
    """Examine, and check what holds for every examination: it says its bounds, and no finding holds a secret."""
    steps: list[str] = []
    findings = await examine(url, known, limits, on_step=steps.append)
    assert findings[0].code is Code.STARTED
    assert findings[0].facts["budget"] == limits.budget
    text = " ".join(f"{finding.to_dict()}" for finding in findings) + " ".join(steps)
    for secret in (ENCRYPTION_KEY, AUTHENTICATION_KEY, OTHER_KEY):
        assert secret.hex() not in text.lower()
    if known.password is not None and known.password != LLS_PASSWORD:  # which is part of the meter's name too
        assert known.password.decode() not in text
    return findings


def codes(findings: list[Finding]) -> list[Code]:
    return [finding.code for finding in findings]


def cause(findings: list[Finding]) -> Finding:
    """The one problem that was found."""
    problems = [finding for finding in findings if finding.is_problem]
    assert problems, codes(findings)
    assert problems[0].remedy
    return problems[0]
