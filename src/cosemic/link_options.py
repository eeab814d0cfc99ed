"""How the link of a connection is made: which framing, which addresses, which times. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cosemic.enums import Role
from cosemic.link.addresses import HdlcAddress
from cosemic.link.broadcast import BroadcastLink
from cosemic.link.events import Link
from cosemic.link.gateway import GatewayLink, GatewayPrefix
from cosemic.link.hdlc import HdlcLink
from cosemic.link.mbus_link import MbusLink
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.wrapper import WrapperLink
from cosemic.tolerances import Tolerance
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.targets import Framing, Target

_MBUS_RESPONSE = 2.0
"""Seconds for an answer on an M-Bus, level converters and gateways included (the standard has 330 bits and 50 ms)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """How the link of a connection is made."""

    framing: Framing
    datagram: bool = False
    bit_rate: int | None = None
    physical_address: int | None = None
    address_size: int | None = None
    information_size: tuple[int, int] = (128, 128)
    window: tuple[int, int] = (1, 1)
    response_timeout: float | None = None
    inter_octet_timeout: float | None = None
    retries: int = 3
    mbus_address: int = 0
    gateway: tuple[int, bytes] | None = None
    broadcast: bool = False

    def check(self, client_sap: int, server_sap: int) -> None:
        """ValueError for what no frame can carry, before there is a connection."""
        if self.framing is Framing.HDLC:
            HdlcAddress(client_sap)
            self.server_address(server_sap)
            self.parameters()
            return
        on_bus = self.framing is Framing.MBUS
        for sap in (client_sap, server_sap):
            if not 0 <= sap <= (0xFF if on_bus else 0xFFFF):
                name = "an access point on an M-Bus" if on_bus else "a wPort"
                raise ValueError(f"{name} is a number from 0 to {255 if on_bus else 65535}, not {sap}")
        if self.physical_address is not None or self.address_size is not None:
            raise ValueError(f"the {self.framing.value} has no physical addresses and no address size; HDLC has")
        if on_bus and self.broadcast:
            raise ValueError("broadcast is not there on an M-Bus; it is over HDLC and UDP")

    def server_address(self, server_sap: int) -> HdlcAddress:
        """The HDLC address of the meter."""
        return HdlcAddress(server_sap, self.physical_address, self.address_size)

    def parameters(self) -> HdlcParameters:
        """The HDLC parameters to propose."""
        return HdlcParameters(*self.information_size, *self.window)

    def frame_time(self) -> float:
        """Seconds that the largest windows of both directions take on a serial line, before any answer can be there."""
        if self.bit_rate is None:
            return 0.0
        octets = sum(size * window for size, window in zip(self.information_size, self.window, strict=True)) + 64
        return octets * 11 / self.bit_rate

    def response_time(self, timeout: float) -> float:
        """Seconds after which the link polls or repeats, so that all tries fit into ``timeout``."""
        if self.response_timeout is not None:
            return self.response_timeout
        if self.framing is Framing.MBUS:  # a station answers at once, if only with E5
            return min(timeout / (self.retries + 1), _MBUS_RESPONSE) + self.frame_time()
        repeats = self.framing is Framing.HDLC or self.datagram
        return (timeout / (self.retries + 1) if repeats else timeout) + self.frame_time()

    def allowance(self, timeout: float) -> float:
        """Seconds for one answer with all tries, the time on a slow line included."""
        return timeout + (self.retries + 1) * self.frame_time()

    def make_link(self, client_sap: int, server_sap: int, timeout: float, tolerances: frozenset[Tolerance]) -> Link:
        """A new link, not connected yet."""
        link = self._make_link(client_sap, server_sap, timeout, tolerances)
        return link if self.gateway is None else GatewayLink(link, *self.gateway)

    def _make_link(self, client_sap: int, server_sap: int, timeout: float, tolerances: frozenset[Tolerance]) -> Link:
        response_timeout = self.response_time(timeout)
        if self.framing is Framing.MBUS:
            return MbusLink(
                address=self.mbus_address,
                source=client_sap,
                destination=server_sap,
                response_timeout=response_timeout,
                retries=self.retries,
                tolerances=tolerances,
                inter_octet_timeout=self.inter_octet_timeout or 0.5,
            )
        if self.framing is Framing.WRAPPER:
            return WrapperLink(
                Role.CLIENT,
                source=client_sap,
                destination=server_sap,
                response_timeout=response_timeout,
                retries=self.retries,
                datagram=self.datagram,
            )
        silence = self.inter_octet_timeout
        timers = HdlcTimers(response_timeout=response_timeout, retries=self.retries)
        if silence is not None:
            timers = replace(timers, inter_octet_timeout=silence)
        link = HdlcLink(
            Role.CLIENT,
            destination=self.server_address(server_sap),
            source=HdlcAddress(client_sap),
            parameters=self.parameters(),
            timers=timers,
            tolerances=tolerances,
        )
        return BroadcastLink(link) if self.broadcast else link


def framing_of(way: object, target: Target | None, framing: Framing | str | None) -> Framing:
    """The framing of a way: what its URL or stream says, else what the caller says."""
    if framing is not None:
        try:
            framing = Framing(framing)
        except ValueError:
            raise ValueError(f"framing is 'wrapper', 'hdlc' or 'mbus', not {framing!r}") from None
    if target is not None:
        if framing not in (None, target.framing):
            raise ValueError(f"{target} means {target.framing.value}, not {framing.value}")
        return target.framing
    if framing is None:
        framing = getattr(way, "framing", None)
    if framing is None:
        raise ValueError("a stream of your own needs framing='wrapper' or framing='hdlc'")
    return Framing(framing)


def target_of(way: object) -> Target | None:
    """What a stream, or a shared line, says about where it leads."""
    target: object = getattr(way, "target", None)
    return target if isinstance(target, Target) else None


def with_tls(way: object, target: Target | None, tls: TlsSettings) -> Target:
    """The target with more settings for its TLS; ValueError where it has none."""
    if target is None:
        raise ValueError("tls belongs to a tls:// URL")
    if callable(way):
        raise ValueError("a shared line is given tls itself: Line(url, tls=...)")
    return target.with_tls(tls)


def gateway_of(network_id: int, address: bytes | str) -> tuple[int, bytes]:
    """The network id and physical address of a meter behind a gateway, checked."""
    prefix = GatewayPrefix(network_id, address.encode("ascii") if isinstance(address, str) else address)
    return prefix.network_id, prefix.address


def both_ways(value: int | tuple[int, int]) -> tuple[int, int]:
    """One number for both directions, or (transmit, receive)."""
    return (value, value) if isinstance(value, int) else value
