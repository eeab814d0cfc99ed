"""A line between two links in fake time, which loses, repeats, damages and delays what goes over it."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from cosemic.enums import Role
from cosemic.link.events import (
    ApduReceived,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
)
from cosemic.link.frames import HdlcAddress
from cosemic.link.hdlc import HdlcLink, HdlcParameters, HdlcTimers

CLIENT = HdlcAddress(16)
SERVER = HdlcAddress(1, 17)


def pair(
    client_parameters: HdlcParameters = HdlcParameters(),  # noqa: B008
    server_parameters: HdlcParameters = HdlcParameters(),  # noqa: B008
    *,
    client: HdlcAddress = CLIENT,
    server: HdlcAddress = SERVER,
    timers: HdlcTimers | None = None,
    **more,
) -> tuple[HdlcLink, HdlcLink]:
    """A client link and a server link that fit together."""
    return (
        HdlcLink(Role.CLIENT, destination=server, source=client, parameters=client_parameters, timers=timers, **more),
        HdlcLink(Role.SERVER, destination=client, source=server, parameters=server_parameters, **more),
    )


def shuttle(client: HdlcLink, server: HdlcLink, now: float = 0.0) -> tuple[list[LinkEvent], list[LinkEvent]]:
    """Carry octets to and fro until both are quiet; gives the events of both."""
    client_events: list[LinkEvent] = []
    server_events: list[LinkEvent] = []
    for _ in range(10_000):
        out, back = client.data_to_send(), server.data_to_send()
        if out:
            server.receive_data(out, now)
        if back:
            client.receive_data(back, now)
        client_events += client.events()
        server_events += server.events()
        if not out and not back:
            return client_events, server_events
    raise AssertionError("the links never come to rest")


def connected(*arguments, **named) -> tuple[HdlcLink, HdlcLink]:
    """A pair that has gone through SNRM and UA."""
    client, server = pair(*arguments, **named)
    client.connect(0.0)
    shuttle(client, server)
    assert client.state is server.state is LinkState.CONNECTED
    return client, server


def answer_to(request: bytes) -> bytes:
    """What the meter of these tests answers: tells requests apart, and is long when the request says so."""
    length = int.from_bytes(request[2:4], "big")
    return b"\xc4" + request[1:4] + bytes(index * 7 & 0xFF for index in range(length))


def request(number: int, length: int, answer_length: int) -> bytes:
    """The request with that number."""
    head = b"\xc0" + bytes((number,)) + answer_length.to_bytes(2, "big")
    return head + bytes(index * 3 & 0xFF for index in range(length))


@dataclass
class Faults:
    """How often (0 to 1) each thing happens to a frame."""

    drop: float = 0.0
    repeat: float = 0.0
    corrupt: float = 0.0
    truncate: float = 0.0
    lose_octet: float = 0.0
    noise: float = 0.0
    stall: float = 0.0  # late, and everything behind it as well
    overtake: float = 0.0  # the next one to three frames come first
    slow_answer: float = 0.0
    split: float = 0.5


@dataclass
class Run:
    """What came of a run."""

    client_up: int = 0
    server_up: int = 0
    requests: list[bytes] = field(default_factory=list)  # delivered to the server since its last LinkUp
    seen: list[bytes] = field(default_factory=list)  # the same, at the moment when the client was done
    answers: list[bytes] = field(default_factory=list)
    error: Exception | None = None
    finished: bool = False
    ended_at: float = 0.0
    frames: int = 0


def run(seed: int, faults: Faults, requests: list[bytes], limit: float = 2000.0, **named) -> Run:
    """Send ``requests`` one after the other over a bad line, then disconnect."""
    dice = random.Random(seed)
    client, server = pair(**named)
    outcome = Run()
    queue: list[tuple[float, int, str, bytes]] = []
    held: dict[str, list[tuple[int, bytes]]] = {"client": [], "server": []}  # frames to let pass, octets
    free = {"client": 0.0, "server": 0.0}
    sequence = 0
    now = 0.0
    todo = list(requests)
    answers: list[tuple[float, bytes]] = []
    sent: dict[str, list[bytes]] = {"client": [], "server": []}
    client.trace = lambda direction, octets: sent["client"].append(octets) if direction == "out" else None
    server.trace = lambda direction, octets: sent["server"].append(octets) if direction == "out" else None

    def carry(side: str, link: HdlcLink) -> None:
        nonlocal sequence
        link.data_to_send()
        frames, sent[side] = sent[side], []
        for octets in frames:
            outcome.frames += 1
            copies = 2 if dice.random() < faults.repeat else 1
            for _ in range(copies):
                if dice.random() < faults.drop:
                    continue
                data = bytearray(octets)
                if dice.random() < faults.corrupt:
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                if dice.random() < faults.truncate:
                    del data[dice.randrange(len(data)) :]
                if data and dice.random() < faults.lose_octet:
                    del data[dice.randrange(len(data))]
                if dice.random() < faults.noise:
                    noise = bytes(
                        dice.choice((0x7E, 0xA0, 0x00, dice.randrange(256))) for _ in range(dice.randrange(9))
                    )
                    data[:0] = noise
                late = dice.uniform(0, 15) if dice.random() < faults.stall else 0.0
                start = max(now, free[side]) + late
                at = free[side] = start
                if dice.random() < faults.overtake:
                    held[side].append((dice.randrange(1, 4), bytes(data)))
                    continue
                pieces = [bytes(data)]
                if len(data) > 1 and dice.random() < faults.split:
                    cut = dice.randrange(1, len(data))
                    pieces = [bytes(data[:cut]), bytes(data[cut:])]
                for piece in pieces:
                    sequence += 1
                    heapq.heappush(queue, (at, sequence, side, piece))
                waiting, held[side] = held[side], []
                for others, octets in waiting:
                    if others > 1:
                        held[side].append((others - 1, octets))
                    else:
                        sequence += 1
                        heapq.heappush(queue, (at, sequence, side, octets))

    def serve(events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, LinkUp):
                outcome.server_up += 1
            elif isinstance(event, LinkDown):
                outcome.requests.clear()
                answers.clear()
            elif isinstance(event, ApduReceived):
                outcome.requests.append(event.apdu)
                delay = dice.uniform(0, 12) if dice.random() < faults.slow_answer else 0.0
                answers.append((now + delay, answer_to(event.apdu)))
            elif isinstance(event, LinkFailed):
                raise AssertionError(f"a server has nothing to fail at: {event}")

    def proceed(events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, LinkUp):
                outcome.client_up += 1
                client.send_apdu(todo.pop(0), now)
            elif isinstance(event, ApduReceived):
                outcome.answers.append(event.apdu)
                if todo:
                    client.send_apdu(todo.pop(0), now)
                else:
                    outcome.seen = list(outcome.requests)
                    client.disconnect(now)
            elif isinstance(event, LinkDown):
                outcome.finished = True
            elif isinstance(event, LinkFailed):
                outcome.error = event.error

    client.connect(now)
    while not outcome.finished and outcome.error is None:
        carry("client", client)
        carry("server", server)
        times = [when for when, *_ in queue[:1]] + [when for when, _ in answers[:1]]
        times += [when for when in (client.next_deadline(), server.next_deadline()) if when is not None]
        assert times, "the client waits for nothing"
        now = max(now, min(times))
        assert now < limit, "no end in sight"
        if queue and queue[0][0] <= now:
            _, _, side, piece = heapq.heappop(queue)
            (server if side == "client" else client).receive_data(piece, now)
        elif answers and answers[0][0] <= now:
            if server.state is LinkState.CONNECTED:
                server.send_apdu(answers[0][1], now)
            answers.pop(0)
        else:
            client.on_time(now)
            server.on_time(now)
        serve(server.events())
        proceed(client.events())
    outcome.ended_at = now
    return outcome
