"""The gateway protocol of DLMS/COSEM: a prefix names the device behind a gateway (Green Book, annex on gateways).

``E6 network-id length address`` stands before the APDU on its way to the device, ``E7 …`` before what comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from cosemic.enums import ApduTag
from cosemic.errors import DecodeError
from cosemic.link.events import ApduReceived, FrameDropped, Link, LinkEvent, LinkState, Trace, UnconfirmedApduReceived

REQUEST: Final = 0xE6
RESPONSE: Final = 0xE7

GatewayAddress: TypeAlias = tuple[int, bytes]
"""Network id and physical device address."""


@dataclass(frozen=True, slots=True)
class GatewayPrefix:
    """What stands before an APDU that goes through a gateway."""

    network_id: int
    address: bytes
    is_response: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.network_id <= 0xFF:
            raise ValueError(f"a network id is 0 to 255, not {self.network_id}")
        if not 1 <= len(self.address) <= 0xFF:
            raise ValueError(f"a physical device address has 1 to 255 octets, not {len(self.address)}")

    def encode(self) -> bytes:
        """The octets of the prefix."""
        tag = RESPONSE if self.is_response else REQUEST
        return bytes((tag, self.network_id, len(self.address))) + self.address


def is_prefixed(octets: bytes) -> bool:
    """Whether a gateway's prefix stands before the APDU."""
    return octets[:1] in (b"\xe6", b"\xe7")


def split_prefix(octets: bytes) -> tuple[GatewayPrefix, bytes]:
    """The prefix and the APDU behind it; DecodeError where there is none, or no APDU."""
    if not is_prefixed(octets):
        raise DecodeError("no gateway prefix (E6 or E7) stands before the APDU", octets=octets)
    size = 3 + octets[2] if len(octets) > 2 else 3
    if len(octets) <= size:
        raise DecodeError("the gateway prefix is cut short, or has no APDU behind it", octets=octets)
    if size == 3:
        raise DecodeError("the gateway prefix has an empty device address", octets=octets)
    return GatewayPrefix(octets[1], bytes(octets[3:size]), octets[0] == RESPONSE), bytes(octets[size:])


class GatewayLink:
    """A link to one device behind a gateway: puts the prefix before what goes out, takes it from what comes in.

    What comes from another device is dropped. An exception-response without a prefix is the gateway's own word and
    passes, as it says why the device does not answer; other APDUs without one are dropped.
    """

    def __init__(self, link: Link, network_id: int, address: bytes) -> None:
        self._link = link
        self._bare = link.bare
        self._prefix = GatewayPrefix(network_id, address)
        self._octets = self._prefix.encode()
        self.data_to_send = link.data_to_send
        self.connect = link.connect
        self.disconnect = link.disconnect
        self.poll = link.poll
        self.receive_data = link.receive_data
        self.end_of_stream = link.end_of_stream
        self.next_deadline = link.next_deadline
        self.on_time = link.on_time

    @property
    def trace(self) -> Trace | None:
        """Called with each whole frame."""
        return self._link.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._link.trace = trace

    @property
    def state(self) -> LinkState:
        """Where the link to the gateway stands."""
        return self._link.state

    @property
    def bare(self) -> GatewayLink | None:
        """The link itself where the one to the gateway is bare."""
        return self if self._bare is not None else None

    @property
    def response_timeout(self) -> float:
        """How long silence is borne while an answer is due, in seconds."""
        return self._link.response_timeout

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._link.response_timeout = seconds

    @property
    def tries(self) -> int:
        """How many times an answer is asked for before it is given up."""
        return self._link.tries

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU to the device."""
        self._link.send_apdu(self._octets + apdu, now, expect_response=expect_response)

    def send_aside(self, apdu: bytes) -> None:
        """Send one APDU to the device that no answer is expected to; for a bare link."""
        assert self._bare is not None
        self._bare.send_aside(self._octets + apdu)

    def stop_waiting(self) -> None:
        """The answer is not waited for any longer; for a bare link."""
        assert self._bare is not None
        self._bare.stop_waiting()

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""
        return [self._taken(event) for event in self._link.events()]

    def _taken(self, event: LinkEvent) -> LinkEvent:
        if not isinstance(event, ApduReceived | UnconfirmedApduReceived):
            return event
        octets = event.apdu
        if isinstance(event, ApduReceived) and octets[:1] == _EXCEPTION:
            return event
        try:
            prefix, apdu = split_prefix(octets)
        except DecodeError as error:
            return FrameDropped(str(error), octets)
        if not prefix.is_response or (prefix.network_id, prefix.address) != (
            self._prefix.network_id,
            self._prefix.address,
        ):
            return FrameDropped(f"an APDU of device {prefix.address.hex()} in network {prefix.network_id}", octets)
        return type(event)(apdu)


_EXCEPTION = bytes((ApduTag.EXCEPTION_RESPONSE,))
