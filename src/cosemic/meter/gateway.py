"""A simulated meter that is a gateway: what has the prefix of the gateway protocol goes to a meter behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cosemic.apdu.errors import ExceptionResponse
from cosemic.enums import ExceptionServiceError, ExceptionStateError
from cosemic.errors import DecodeError
from cosemic.link.gateway import GatewayAddress, GatewayPrefix, is_prefixed, split_prefix
from cosemic.meter.connections import Talk, Trace, logger
from cosemic.meter.model import SimulatedMeter

_NOT_THERE = ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.OTHER_REASON).encode()


class GatewayTalk(Talk):
    """What one client SAP says to one logical device of the gateway itself, or of the devices behind it.

    Each device has an association of its own. A device that is not there is answered for with an exception-response
    without a prefix.
    """

    __slots__ = ("_behind", "_datagram", "_devices", "_saps", "_trace")

    def __init__(
        self,
        meter: SimulatedMeter,
        client_sap: int,
        server_sap: int,
        trace: Trace | None = None,
        *,
        datagram: bool = False,
        behind: Mapping[GatewayAddress, SimulatedMeter],
    ) -> None:
        super().__init__(meter, client_sap, server_sap, trace, datagram=datagram)
        self._behind = behind
        self._saps = (client_sap, server_sap)
        self._trace = trace
        self._datagram = datagram
        self._devices: dict[GatewayAddress, Talk] = {}

    def receive(self, apdu: bytes) -> list[bytes]:
        """Take an APDU, give those to send back."""
        if not is_prefixed(apdu):
            return super().receive(apdu)
        return self._route(apdu, lambda talk, inner: talk.receive(inner))

    def receive_datagram(self, apdu: bytes, now: float) -> list[bytes]:
        """Take an APDU that may have come before."""
        if not is_prefixed(apdu):
            return super().receive_datagram(apdu, now)
        return self._route(apdu, lambda talk, inner: talk.receive_datagram(inner, now))

    def close(self, reason: str) -> None:
        """The link below is gone."""
        super().close(reason)
        for talk in self._devices.values():
            talk.close(reason)

    def _route(self, octets: bytes, give: Callable[[Talk, bytes], list[bytes]]) -> list[bytes]:
        try:
            prefix, apdu = split_prefix(octets)
        except DecodeError as error:
            logger.info("dropped %d octets: %s", len(octets), error)
            return [_NOT_THERE]
        if prefix.is_response:
            logger.info("dropped an answer: a gateway gets requests")
            return []
        address = (prefix.network_id, prefix.address)
        talk = self._devices.get(address)
        if talk is None:
            meter = self._behind.get(address)
            if meter is None:
                logger.info("no device %s in network %d", prefix.address.hex(), prefix.network_id)
                return [_NOT_THERE]
            talk = self._devices[address] = Talk(meter, *self._saps, self._trace, datagram=self._datagram)
        back = GatewayPrefix(prefix.network_id, prefix.address, True).encode()
        return [back + answer for answer in give(talk, apdu)]
