"""Packets for tests, made here field by field and not by the code under test."""

from __future__ import annotations

import struct

CLIENT, METER = "192.0.2.9", "192.0.2.1"
SYN, FIN, RST, ACK = 0x02, 0x01, 0x04, 0x10


def ip4(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def ipv4(
    protocol: int, source: str, destination: str, payload: bytes, *, identifier: int = 0, offset: int = 0,
    more: bool = False, total: int | None = None,
) -> bytes:  # fmt: skip
    length = 20 + len(payload) if total is None else total
    place = offset // 8 | (0x2000 if more else 0)
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, length, identifier, place, 64, protocol, 0)
        + ip4(source)
        + ip4(destination)
        + payload
    )


def tcp(
    source: int, destination: int, sequence: int, payload: bytes = b"", *, flags: int = ACK, acknowledged: int = 0
) -> bytes:
    return (
        struct.pack(
            ">HHIIBBHHH", source, destination, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 0x50, flags, 512, 0, 0
        )
        + payload
    )


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def ethernet(packet: bytes, *, kind: int = 0x0800, tags: tuple[int, ...] = ()) -> bytes:
    head = b"\x02" * 12 + b"".join(struct.pack(">HH", tag, 42) for tag in tags)
    return head + struct.pack(">H", kind) + packet


def pcap(
    packets: list[bytes], *, link_type: int = 1, order: str = "<", nanoseconds: bool = False, original: int = 0
) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for number, packet in enumerate(packets):
        fraction = 123456789 if nanoseconds else 123456
        file += struct.pack(
            f"{order}IIII", 1_700_000_000 + number, fraction, len(packet), len(packet) + original
        )  # fmt: skip
        file += packet
    return file


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, order: str = "<", options: bytes = b"", snap: int = 0) -> bytes:
    return block(1, struct.pack(f"{order}HHI", link_type, 0, snap) + options, order)


def enhanced(
    packet: bytes, order: str = "<", *, number: int = 0, ticks: int = 0, options: bytes = b""
) -> bytes:  # fmt: skip
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, head + packet + bytes(-len(packet) % 4) + options, order)
