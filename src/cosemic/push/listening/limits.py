"""How much of a machine the senders of pushes may take, one by one and together."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a listener bears; whoever takes more is closed or turned away, counted, and told of in the log.

    ``connections`` and ``connections_per_address`` count TCP connections, the latter those of one IPv4 address or one
    IPv6 /64 network (meters behind one gateway share it). A connection has ``seconds_to_first_telegram`` from its
    opening, and ``seconds_for_telegram`` from the first octet of each later telegram on, to give a whole one;
    ``seconds_silent`` after the last octet it is closed. ``octets_without_telegram`` bounds what one connection may
    send before a telegram is whole, ``octets_held`` what all of them have begun together: when it is passed, the one
    that has begun most is closed. ``undecoded_in_a_row`` telegrams that give no readings end a connection too.

    ``queued`` messages, of ``queued_octets`` together, wait for whoever iterates. At a fifth of it streams are not read
    until half of that is gone; the rest is for datagrams, which cannot wait: beyond it they are dropped and counted.
    ``datagram_senders`` may have a telegram in blocks begun over UDP at one time, the longest silent one goes;
    ``bad_datagrams_per_second`` bounds how many without a reading are told of.

    ValueError for a number that is not above zero.
    """

    connections: int = 10_000
    connections_per_address: int = 1_000
    seconds_to_first_telegram: float = 120.0
    seconds_for_telegram: float = 60.0
    seconds_silent: float = 7_200.0
    octets_without_telegram: int = 256 * 1024
    octets_held: int = 64 * 1024 * 1024
    undecoded_in_a_row: int = 1_000
    queued: int = 10_000
    queued_octets: int = 16 * 1024 * 1024
    datagram_senders: int = 10_000
    bad_datagrams_per_second: int = 100

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"the limit {field.name} must be above zero, not {getattr(self, field.name)}")
