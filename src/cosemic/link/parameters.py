"""HDLC parameters that SNRM and UA negotiate, and the time-outs of a link (IEC 62056-46, 6.4.4.4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.errors import FrameError

FORMAT = 0x81
GROUP = 0x80
_IDENTIFIERS = {
    0x05: "max_information_transmit",
    0x06: "max_information_receive",
    0x07: "window_transmit",
    0x08: "window_receive",
}
MAX_INFORMATION = 2035
"""The 11-bit length leaves this much information with the shortest addresses that make sense (1 and 4 octets)."""


@dataclass(frozen=True, slots=True)
class HdlcParameters:
    """Maximum information field lengths (octets) and window sizes (frames), seen from the station that names them.

    The defaults are those of the standard, which hold for every parameter that is not sent. Frames are counted modulo
    8, so large windows rely on a line that keeps the order, as serial lines and TCP do: on one where frames overtake
    each other, a window above 3 can take an old frame for a new one.
    """

    max_information_transmit: int = 128
    max_information_receive: int = 128
    window_transmit: int = 1
    window_receive: int = 1

    def __post_init__(self) -> None:
        for name in ("max_information_transmit", "max_information_receive"):
            if not 1 <= getattr(self, name) <= MAX_INFORMATION:
                raise ValueError(f"{name} must be 1 to {MAX_INFORMATION}, not {getattr(self, name)}")
        for name in ("window_transmit", "window_receive"):
            if not 1 <= getattr(self, name) <= 7:
                raise ValueError(f"{name} must be 1 to 7, not {getattr(self, name)}")

    def encode(self) -> bytes:
        """The information field of an SNRM or UA: lengths in 1 or 2 octets, windows in 4."""
        body = b"".join(
            (
                _length_parameter(0x05, self.max_information_transmit),
                _length_parameter(0x06, self.max_information_receive),
                b"\x07\x04" + self.window_transmit.to_bytes(4, "big"),
                b"\x08\x04" + self.window_receive.to_bytes(4, "big"),
            )
        )
        return bytes((FORMAT, GROUP, len(body))) + body

    @classmethod
    def decode(cls, octets: bytes) -> HdlcParameters:
        """Read the information field of an SNRM or UA; an empty one gives the defaults.

        Values may have any size, unknown parameters are passed over, and a value that cannot be is brought to the
        nearest possible one. A field that is no parameter field at all is a FrameError.
        """
        values: dict[str, int] = {}
        for identifier, number in decode_fields(octets):
            name = _IDENTIFIERS.get(identifier)
            if name is not None:
                values[name] = max(1, min(number, 7 if identifier > 0x06 else MAX_INFORMATION))
        return cls(**values)

    def negotiate(self, peer: HdlcParameters) -> HdlcParameters:
        """What holds between us and ``peer``, seen from our side: the smaller value in each direction."""
        return HdlcParameters(
            min(self.max_information_transmit, peer.max_information_receive),
            min(self.max_information_receive, peer.max_information_transmit),
            min(self.window_transmit, peer.window_receive),
            min(self.window_receive, peer.window_transmit),
        )


DEFAULT_PARAMETERS = HdlcParameters()


def decode_fields(octets: bytes) -> list[tuple[int, int]]:
    """The (identifier, value) pairs of a parameter field; FrameError when it is damaged."""
    if not octets:
        return []
    if len(octets) < 3 or octets[0] != FORMAT or octets[1] != GROUP:
        raise FrameError(f"not an HDLC parameter field: it starts with {octets[:2].hex()}, not 8180")
    end = 3 + octets[2]
    if end > len(octets):
        raise FrameError("the HDLC parameter field is cut short")
    fields: list[tuple[int, int]] = []
    offset = 3
    while offset < end:
        if offset + 2 > end or offset + 2 + octets[offset + 1] > end:
            raise FrameError("an HDLC parameter is cut short")
        start = offset + 2
        offset = start + octets[offset + 1]
        fields.append((octets[start - 2], int.from_bytes(octets[start:offset], "big")))
    return fields


@dataclass(frozen=True, slots=True)
class HdlcTimers:
    """The time-outs of an HDLC link, in seconds.

    ``response_timeout`` covers silence after a frame that demands an answer; after it the client polls or repeats,
    ``retries`` times. ``inter_octet_timeout`` covers silence within a frame. ``busy_timeout`` bounds how long a meter
    may answer polls (RR, RNR) without sending its response; ``poll_interval`` is the pause between such polls.
    ``inactivity_timeout`` (server) disconnects a client that stays silent.
    """

    response_timeout: float = 5.0
    inter_octet_timeout: float = 0.5
    retries: int = 3
    inactivity_timeout: float | None = None
    busy_timeout: float = 60.0
    poll_interval: float = 0.2


def _length_parameter(identifier: int, number: int) -> bytes:
    if number > 0xFF:
        return bytes((identifier, 2, number >> 8, number & 0xFF))
    return bytes((identifier, 1, number))
