"""From the APDU of a push to what goes on a wire: general blocks, then wrapper PDUs, HDLC frames or M-Bus segments.

Blocks are those that Landis+Gyr meters send: streaming, window 0, nothing acknowledged, each in a frame of its own.
On HDLC a push is in UI frames with the final bit, from the meter to the client; what is too long for one frame is
segmented. On M-Bus it is in SND_UD frames to all stations.
"""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.cosem.push_objects import TransportService
from cosemic.errors import LocalProtocolError
from cosemic.link import llc
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.mbus import MAX_SEGMENT, segments
from cosemic.link.wrapper import WrapperPdu
from cosemic.protocol.general_blocks import block_octets

_UI_FINAL = 0x13
_SND_UD = 0x53
_ALL_STATIONS = 0xFF
_MOST_BLOCKS = 0xFFFF
_MOST_INFORMATION = 2030
_MOST_MBUS_ADDRESS = 0xFF


@dataclass(frozen=True, slots=True)
class PushFraming:
    """How pushes are cut and wrapped. ``max_pdu_size`` is the longest APDU that goes in one piece, 0 for any.

    ``max_information`` is how much an HDLC frame carries. With ``llc_once`` only the first block of an APDU has the LLC
    header, as the meters of Landis+Gyr have it; by the standard each frame has one. ``client_address`` and
    ``meter_address`` are HDLC addresses, by default those of the access points; ``mbus_address`` is where M-Bus frames
    go, ``mbus_segment`` how many octets of the APDU each has: Kaifa meters put 245 into one.
    """

    max_pdu_size: int = 0
    max_information: int = _MOST_INFORMATION
    llc_once: bool = False
    client_address: HdlcAddress | None = None
    meter_address: HdlcAddress | None = None
    mbus_address: int = _ALL_STATIONS
    mbus_segment: int = MAX_SEGMENT

    def __post_init__(self) -> None:
        if self.max_pdu_size and not 12 <= self.max_pdu_size <= 0xFFFF:
            raise ValueError(f"a maximum PDU size is 0 (no limit) or 12 to 65535, not {self.max_pdu_size}")
        if not 32 <= self.max_information <= _MOST_INFORMATION:
            raise ValueError(f"an HDLC frame carries 32 to {_MOST_INFORMATION} octets, not {self.max_information}")
        if not 0 <= self.mbus_address <= _MOST_MBUS_ADDRESS:
            raise ValueError(f"an M-Bus address is one octet, not {self.mbus_address}")
        if not 1 <= self.mbus_segment <= MAX_SEGMENT:
            raise ValueError(f"an M-Bus segment is 1 to {MAX_SEGMENT} octets, not {self.mbus_segment}")

    def frames(self, apdu: bytes, service: int, server_sap: int, client_sap: int) -> list[bytes]:
        """What to send, in order; over UDP each is a datagram. LocalProtocolError for an APDU that is too long."""
        pieces = self.pieces(apdu)
        if service in (TransportService.TCP, TransportService.UDP):
            if len(pieces[0]) > 0xFFFF:
                raise LocalProtocolError(f"a push of {len(apdu)} octets needs blocks: give it a maximum PDU size")
            return [WrapperPdu(server_sap, client_sap, piece).encode() for piece in pieces]
        if service == TransportService.HDLC:
            return self._hdlc(pieces, server_sap, client_sap)
        if service == TransportService.M_BUS:
            return [
                frame.encode()
                for piece in pieces
                for frame in segments(piece, _SND_UD, self.mbus_address, server_sap, client_sap, self.mbus_segment)
            ]
        raise LocalProtocolError(f"this meter cannot push by transport service {service}")

    def pieces(self, apdu: bytes) -> list[bytes]:
        """The APDU itself, or the general blocks that it is cut into."""
        if not self.max_pdu_size or len(apdu) <= self.max_pdu_size:
            return [apdu]
        size = block_octets(self.max_pdu_size)
        starts = range(0, len(apdu), size)
        if len(starts) > _MOST_BLOCKS:
            raise LocalProtocolError(f"a push of {len(apdu)} octets does not fit in {_MOST_BLOCKS} blocks")
        return [
            GeneralBlockTransfer(start == starts[-1], True, 0, number, 0, apdu[start : start + size]).encode()
            for number, start in enumerate(starts, 1)
        ]

    def _hdlc(self, pieces: list[bytes], server_sap: int, client_sap: int) -> list[bytes]:
        client = self.client_address or HdlcAddress(client_sap)
        meter = self.meter_address or HdlcAddress(server_sap)
        frames = []
        for number, piece in enumerate(pieces):
            information = piece if self.llc_once and number else llc.RESPONSE + piece
            starts = range(0, len(information), self.max_information)
            frames += [
                HdlcFrame(
                    client,
                    meter,
                    _UI_FINAL,
                    information[start : start + self.max_information],
                    segmented=start != starts[-1],
                ).encode()
                for start in starts
            ]
        return frames
