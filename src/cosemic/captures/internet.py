"""From packets to what TCP and UDP carry: link headers, IPv4 and IPv6, fragments put together."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

from cosemic.captures.packets import LinkType

TCP, UDP = 6, 17
_IPV4, _IPV6, _PPPOE = 0x0800, 0x86DD, 0x8864
_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
_IPV6_FAMILIES = frozenset({10, 24, 28, 30})
_EXTENSIONS = frozenset({0, 43, 60, 135})
_FRAGMENT = 44
_MOST_EXTENSIONS = 16
_MOST_FRAGMENTED = 64


@dataclass(frozen=True, slots=True)
class Segment:
    """What one TCP segment or UDP datagram holds; ``missing`` octets at its end were not captured."""

    protocol: int
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes
    missing: int = 0
    sequence: int = 0
    acknowledgement: int | None = None
    syn: bool = False
    fin: bool = False
    rst: bool = False


@dataclass(slots=True)
class _Fragments:
    pieces: dict[int, bytes] = field(default_factory=dict)
    end: int | None = None
    octets: int = 0


class Internet:
    """Unwraps packets. Keeps fragments of at most 64 datagrams; what never becomes whole is counted in ``lost``."""

    def __init__(self) -> None:
        self._fragments: dict[tuple[bytes, bytes, int, int], _Fragments] = {}
        self.lost = 0
        self.fragments = 0
        """Fragments that came, of whatever became of them."""

    @property
    def unfinished(self) -> int:
        """Datagrams of which fragments are missing."""
        return self.lost + len(self._fragments)

    def unwrap(self, link_type: int, octets: bytes) -> Segment | None:
        """The TCP segment or UDP datagram in a packet; None where there is none, or not yet a whole one."""
        try:
            packet = _network_layer(link_type, octets)
            if not packet:
                return None
            version = packet[0] >> 4
            if version == 4:
                return self._version4(packet)
            return self._version6(packet) if version == 6 else None
        except (IndexError, struct.error):
            return None

    def _version4(self, packet: bytes) -> Segment | None:
        header = (packet[0] & 0x0F) * 4
        total, identifier, place = struct.unpack_from(">HHH", packet, 2)
        protocol, source, destination = packet[9], packet[12:16], packet[16:20]
        if header < 20 or len(destination) < 4:
            return None
        total = total or len(packet)  # zero: the card was to cut it (segmentation offload)
        content = packet[header:total]
        missing = max(total - max(len(packet), header), 0)
        offset, more = (place & 0x1FFF) * 8, bool(place & 0x2000)
        if offset or more:
            whole = self._gather((source, destination, protocol, identifier), offset, content, more, missing)
            return None if whole is None else _transport(protocol, source, destination, whole, 0)
        return _transport(protocol, source, destination, content, missing)

    def _version6(self, packet: bytes) -> Segment | None:
        length, following = struct.unpack_from(">HB", packet, 4)
        source, destination = packet[8:24], packet[24:40]
        if len(destination) < 16:
            return None
        end = 40 + length if length else len(packet)
        missing = max(end - max(len(packet), 40), 0)
        content = packet[40:end]
        for _ in range(_MOST_EXTENSIONS):
            if following == _FRAGMENT:
                following, _, place, identifier = struct.unpack_from(">BBHI", content)
                offset, more, content = place & 0xFFF8, bool(place & 1), content[8:]
                if offset or more:
                    whole = self._gather((source, destination, following, identifier), offset, content, more, missing)
                    if whole is None:
                        return None
                    content, missing = whole, 0
            elif following in _EXTENSIONS:
                following, content = content[0], content[8 + content[1] * 8 :]
            else:
                break
        return _transport(following, source, destination, content, missing)

    def _gather(
        self, key: tuple[bytes, bytes, int, int], offset: int, content: bytes, more: bool, missing: int
    ) -> bytes | None:
        self.fragments += 1
        gathered = self._fragments.pop(key, None) or _Fragments()
        if missing or not content or offset + len(content) > 65_535:
            self.lost += 1
            return None
        if offset not in gathered.pieces:
            gathered.pieces[offset] = content
            gathered.octets += len(content)
        if not more:
            gathered.end = offset + len(content)
        if gathered.end is not None and gathered.octets >= gathered.end:
            whole = bytearray()
            for start in sorted(gathered.pieces):
                if start > len(whole):
                    break
                whole += gathered.pieces[start][len(whole) - start :]
            if len(whole) >= gathered.end:
                return bytes(whole[: gathered.end])
        if gathered.octets > 4 * 65_536:
            self.lost += 1
            return None
        while len(self._fragments) >= _MOST_FRAGMENTED:
            del self._fragments[next(iter(self._fragments))]
            self.lost += 1
        self._fragments[key] = gathered
        return None


def _network_layer(link_type: int, octets: bytes) -> bytes | None:
    """The IP packet in a packet of that link type."""
    if link_type == LinkType.ETHERNET:
        return _by_ether_type(octets, 12)
    if link_type in (LinkType.RAW, LinkType.RAW_BSD, LinkType.RAW_OPENBSD, LinkType.IPV4, LinkType.IPV6):
        return octets
    if link_type in (LinkType.NULL, LinkType.LOOP):
        family = octets[:4]
        numbers = {int.from_bytes(family, "big"), int.from_bytes(family, "little")}
        return octets[4:] if 2 in numbers or numbers & _IPV6_FAMILIES else None
    if link_type == LinkType.LINUX_SLL:
        return _by_ether_type(octets, 14)
    if link_type == LinkType.LINUX_SLL2:
        return _by_ether_type(octets[:2] + octets[20:], 0)
    return None


def _by_ether_type(octets: bytes, at: int) -> bytes | None:
    (kind,) = struct.unpack_from(">H", octets, at)
    while kind in _TAGS:
        at += 4
        (kind,) = struct.unpack_from(">H", octets, at)
    at += 2
    if kind == _PPPOE:
        (protocol,) = struct.unpack_from(">H", octets, at + 6)
        return octets[at + 8 :] if protocol in (0x0021, 0x0057) else None
    return octets[at:] if kind in (_IPV4, _IPV6) else None


def _transport(protocol: int, source: bytes, destination: bytes, content: bytes, missing: int) -> Segment | None:
    if protocol not in (TCP, UDP) or len(content) < (20 if protocol == TCP else 8):
        return None
    ports = struct.unpack_from(">HH", content)
    ends = (_address(source), ports[0]), (_address(destination), ports[1])
    if protocol == UDP:
        length = struct.unpack_from(">H", content, 4)[0] or len(content)  # zero: a jumbogram
        payload = content[8 : max(length, 8)]
        return Segment(UDP, *ends, payload, missing=max(length - 8 - len(payload), 0))
    sequence, acknowledgement = struct.unpack_from(">II", content, 4)
    header, flags = (content[12] >> 4) * 4, content[13]
    if not 20 <= header <= len(content):
        return None
    return Segment(
        TCP,
        *ends,
        content[header:],
        missing,
        sequence,
        acknowledgement if flags & 0x10 else None,
        syn=bool(flags & 0x02),
        fin=bool(flags & 0x01),
        rst=bool(flags & 0x04),
    )


def _address(octets: bytes) -> str:
    return str(ipaddress.ip_address(octets))
