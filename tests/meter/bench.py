"""A simulated meter and blocking clients on lines in memory, with everything that goes over them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cosemic import blocking
from cosemic.enums import AuthenticationMechanism
from cosemic.link.wrapper import WrapperPdu, WrapperReader
from cosemic.meter.connections import WrapperConnection
from cosemic.meter.demo import (
    AUTHENTICATION_KEY,
    ENCRYPTION_KEY,
    LLS_PASSWORD,
    MANAGER_CLIENT,
    MASTER_KEY,
    SYSTEM_TITLE,
    demo_meter,
)
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
CLIENT_TITLE = bytes.fromhex("434F530000000002")


class Line:
    """A BlockingStream to a meter in the same thread; time passes only where nothing comes."""

    def __init__(self, meter: Any) -> None:
        self.connection = WrapperConnection(meter)
        self.now = 1000.0
        self.closed = False
        self.waiting: list[bytes] = []
        self.apdus: list[tuple[str, bytes]] = []
        """Every APDU, ">" to the meter and "<" back."""
        self.to_meter: Callable[[bytes], bytes] = lambda data: data
        self.to_client: Callable[[bytes], bytes] = lambda data: data

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes, deadline: float | None = None) -> None:
        if self.closed:
            raise BrokenPipeError("closed")
        self._note(">", data)
        data = self.to_meter(data)
        answer = self.connection.receive_data(data, self.now) if data else b""
        self._note("<", answer)
        answer = self.to_client(answer)
        if answer:
            self.waiting.append(answer)

    def receive(self, deadline: float | None = None) -> bytes:
        if self.waiting:
            return self.waiting.pop(0)
        if self.closed:
            return b""
        assert deadline is not None, "every wait has a deadline"
        self.now = max(self.now, deadline)
        raise TimeoutError

    def close(self) -> None:
        self.closed = True
        self.connection.close()

    def _note(self, direction: str, data: bytes) -> None:
        for pdu in WrapperReader().feed(data):
            assert isinstance(pdu, WrapperPdu)
            self.apdus.append((direction, pdu.apdu))


class Bench:
    """A meter, and clients of it; ``line`` is the newest one's."""

    def __init__(self, **options: Any) -> None:
        self.meter = demo_meter(profile_rows=20, clock=lambda: NOW, **options)
        self.lines: list[Line] = []

    @property
    def line(self) -> Line:
        return self.lines[-1]

    def open(self) -> Line:
        self.lines.append(Line(self.meter))
        return self.line

    def client(self, **options: Any) -> blocking.DlmsClient:
        return blocking.DlmsClient(self.open, framing="wrapper", retries=0, timeout=5.0, **options)

    def reader(self) -> blocking.DlmsClient:
        return self.client(client_sap=32, authentication=AuthenticationMechanism.LLS, password=LLS_PASSWORD)

    def manager(self, context: SecurityContext, **options: Any) -> blocking.DlmsClient:
        options.setdefault("authentication", AuthenticationMechanism.HLS_GMAC)
        return self.client(client_sap=MANAGER_CLIENT, security=context, **options)

    def sent(self, start: int = 0) -> list[bytes]:
        return [apdu for direction, apdu in self.line.apdus[start:] if direction == ">"]

    def answered(self, start: int = 0) -> list[bytes]:
        return [apdu for direction, apdu in self.line.apdus[start:] if direction == "<"]


def client_context(policy: str = "authenticated-encrypted", **options: Any) -> SecurityContext:
    options.setdefault("counters", MemoryCounters())
    options.setdefault("encryption_key", ENCRYPTION_KEY)
    options.setdefault("authentication_key", AUTHENTICATION_KEY)
    return SecurityContext(options.pop("suite", 0), CLIENT_TITLE, policy=policy, **options)


def meter_context(policy: str = "none", minimum: str = "none", **options: Any) -> SecurityContext:
    options.setdefault("counters", MemoryCounters())
    options.setdefault("encryption_key", ENCRYPTION_KEY)
    options.setdefault("authentication_key", AUTHENTICATION_KEY)
    if not options.get("suite"):
        options.setdefault("kek", MASTER_KEY)
    return SecurityContext(options.pop("suite", 0), SYSTEM_TITLE, policy=policy, minimum_policy=minimum, **options)


def control_of(apdu: bytes) -> int:
    """The security control octet of a service-specific envelope."""
    assert 0xC8 <= apdu[0] <= 0xD7, apdu.hex()
    skipped = 2 if apdu[1] < 0x80 else 2 + (apdu[1] & 0x7F)
    return apdu[skipped]
