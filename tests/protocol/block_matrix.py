"""The negative matrix of general blocks: protected requests and answers that are cut, and what is done to the blocks.

A block's own header is not protected. So a flipped bit there may change nothing at all; what must never be is that
another request is carried out, another value told, or that the next good exchange fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.services import ExceptionResponse
from cosemic.codec.axdr import Data
from cosemic.enums import ApduTag
from cosemic.errors import RemoteProtocolError, SecurityError
from cosemic.protocol.events import Completed, Failed, Requested
from cosemic.protocol.requests import Access, Request
from cosemic.protocol.states import State
from tests.protocol.matrix import ANSWERS, SERVICES, Case, Talk, counters_of, flipped, refused_in_plain, state_of

Blocks = list[bytes]
_HEADER = 7
"""Tag, control, two numbers, length of the data."""


def cut(apdu: bytes, *, window: int = 3, acknowledged: int = 0) -> Blocks:
    """Three blocks, all in one window."""
    size = -(-len(apdu) // 3)
    parts = [apdu[at : at + size] for at in range(0, len(apdu), size)]
    count = len(parts)
    return [
        GeneralBlockTransfer(
            number == count, number < count and window > 1, window, number, acknowledged, part
        ).encode()
        for number, part in enumerate(parts, 1)
    ]


def altered_contents(blocks: Blocks) -> Iterator[tuple[str, Blocks]]:
    """A bit flipped in what each block carries, at both ends, but for the envelope's tag."""
    for index, block in enumerate(blocks):
        for at in (_HEADER + 1 if index == 0 else _HEADER, len(block) - 1):
            yield f"block data {index} {at}", [*blocks[:index], flipped(block, at, 0), *blocks[index + 1 :]]


def altered_headers(blocks: Blocks, bits: tuple[int, ...]) -> Iterator[tuple[str, Blocks]]:
    """A bit flipped in the control octet, the numbers and the length of each block."""
    for index, block in enumerate(blocks):
        for at in range(1, _HEADER):
            for bit in bits:
                yield (
                    f"block header {index} {at} {bit}",
                    [*blocks[:index], flipped(block, at, bit), *blocks[index + 1 :]],
                )


def rearranged(apdu: bytes, blocks: Blocks) -> Iterator[tuple[str, Blocks]]:
    """Out of order, repeated, without the last, and with the windows that are the ends of their range."""
    first, second, last = blocks
    yield "out of order", [first, last, second]
    yield "the last one first", [last, first, second]
    yield "each twice", [block for block in blocks for _ in range(2)]
    yield "all of it twice", blocks * 2
    yield "without the last", [first, second]
    yield "without the first", [second, last]
    yield "without the middle", [first, last]
    yield "the last one alone", [last]
    yield "window 0", cut(apdu, window=0)
    yield "window 63", cut(apdu, window=63)


def _content(apdu: bytes) -> bytes:
    """What a block carries, or the APDU itself."""
    block = decode_apdu(apdu) if apdu[0] == ApduTag.GENERAL_BLOCK_TRANSFER else None
    return block.block_data if isinstance(block, GeneralBlockTransfer) else apdu


def _is_same(came: Request, sent: Request) -> bool:
    """Whether it is the request that was sent; where ACCESS has no data, null-data comes."""
    if isinstance(came, Access) and isinstance(sent, Access):
        null = Data.of(None)
        return came == replace(sent, data=tuple(null if data is None else data for data in sent.data))
    return came == sent


class BlockTalk:
    """One association whose requests and answers are put into blocks; every attempt ends with a good exchange."""

    def __init__(self, case: Case, service: str, counts: Counter[str]) -> None:
        self.talk = Talk(case, service)
        self.service = service
        self.counts = counts
        self.what: object = None

    def attempt_request(self, name: str, request: bytes, blocks: Blocks, *, altered: bool) -> None:
        """Blocks on their way to the meter. ``altered``: what they carry is not what was sealed."""
        talk = self.talk
        self.what = (str(talk.case), self.service, "request", name)
        before = state_of(talk.meter_security)
        asked = self._to_meter(blocks)
        assert len(asked) <= 1, self.what
        self.counts["blocks unharmed" if asked else "blocks"] += 1
        if altered:
            assert not asked, self.what
        if not asked:
            assert state_of(talk.meter_security) == before, self.what
            # A new exchange of somebody without the keys: refused, and in the way of nobody.
            assert not self._to_meter([self._plain_request()]), self.what
            assert state_of(talk.meter_security) == before, self.what
            asked = self._to_meter(cut(request))
            self.counts["downgrade"] += 1
        (event,) = asked
        assert _is_same(event.request, SERVICES[self.service]), self.what
        talk.meter.respond(talk.application.answer(event.request))
        # A flipped bit may have cut the answer, or have had it not cut at all: what was sealed is what counts here.
        answer = b"".join(_content(apdu) for apdu in talk.meter.apdus_to_send())
        talk.finish(answer)
        assert talk.client.state is State.ASSOCIATED
        after = state_of(talk.meter_security)  # the same message as an exchange of its own: a replay, in blocks
        assert not self._to_meter([self._plain_request()]), self.what
        assert not self._to_meter(cut(request)), self.what
        assert state_of(talk.meter_security) == after, self.what
        self.counts["replay"] += 1
        self.counts["downgrade"] += 1

    def repeat_request(self, request: bytes) -> None:
        """The blocks of the last request once more, as after a lost answer: its octets again, and nothing is done."""
        talk = self.talk
        self.what = (str(talk.case), self.service, "request again in blocks")
        (event,) = self._to_meter(cut(request))
        talk.meter.respond(talk.application.answer(event.request))
        answer = talk.meter.apdus_to_send()
        state = state_of(talk.meter_security)
        for _ in range(2):
            for block in cut(request):
                talk.meter.receive_apdu(block)
            assert talk.meter.events() == [], self.what
            assert talk.meter.apdus_to_send() == answer, self.what
            assert state_of(talk.meter_security) == state, self.what
            self.counts["replay"] += 1
        talk.finish(b"".join(map(_content, answer)))

    def attempt_answer(self, name: str, answer: bytes, blocks: Blocks, *, altered: bool) -> bool:
        """Blocks on their way to the client: the right value, no value, or the end. Whether the association lives."""
        talk = self.talk
        self.what = (str(talk.case), self.service, "answer", name)
        security = talk.client_security
        before, counters = state_of(security), counters_of(security)
        events = []
        for block in blocks:
            talk.client.receive_apdu(block)
            events += talk.client.events()
        talk.client.apdus_to_send()
        assert len(events) <= 1, (self.what, events)
        is_complete = bool(events) and isinstance(events[0], Completed)
        if events:
            self.counts["blocks unharmed" if is_complete else "blocks"] += 1
        else:
            self.counts["blocks waiting"] += 1
            assert not altered, self.what
            assert state_of(security) == before, self.what
            assert talk.client.state is State.EXCHANGING, self.what
            return False  # the owner's time-out ends it
        (event,) = events
        if isinstance(event, Completed):
            assert not altered, self.what
            assert event.result == talk.result, (self.what, event.result)
            return True
        assert isinstance(event, Failed), (self.what, event)
        assert event.fatal, self.what
        assert isinstance(event.error, SecurityError | RemoteProtocolError), (self.what, event.error)
        assert counters_of(security) == counters, self.what  # the keys of the association are forgotten
        assert talk.client.state is State.CLOSED, self.what
        return False

    def _plain_request(self) -> bytes:
        return GeneralBlockTransfer(True, False, 3, 1, 0, self.talk.client._plain).encode()

    def _to_meter(self, blocks: Blocks) -> list[Requested]:
        talk = self.talk
        for block in blocks:
            talk.meter.receive_apdu(block)
        events = talk.meter.events()
        for apdu in talk.meter.apdus_to_send():
            said = decode_apdu(apdu)
            if isinstance(said, GeneralBlockTransfer) and said.block_data:
                said = decode_apdu(said.block_data)
            assert isinstance(said, GeneralBlockTransfer | ExceptionResponse), (self.what, said)
        assert all(isinstance(event, Requested) for event in events), (self.what, events)
        return [event for event in events if isinstance(event, Requested)]


def attack_blocks(case: Case, service: str, counts: Counter[str], bits: tuple[int, ...]) -> None:
    """Everything that can be done to the blocks of a request and of an answer.

    What they carry is altered only where a tag or a signature proves it.
    """
    counts["associations"] += 1
    talk = BlockTalk(case, service, counts)
    sample = cut(talk.talk.ask(service))
    pending = [(name, True) for name, _ in altered_contents(sample) if case.has_tag]
    pending += [(name, False) for name, _ in altered_headers(sample, bits)]
    pending += [(name, False) for name, _ in rearranged(bytes(3), sample)]
    request = b"".join(decode_apdu(block).block_data for block in sample)
    for name, altered in pending:
        blocks = cut(request)
        kinds = dict(altered_contents(blocks)) | dict(altered_headers(blocks, bits)) | dict(rearranged(request, blocks))
        if name not in kinds:
            continue  # the message is a few octets longer or shorter than the first one
        talk.attempt_request(name, request, kinds[name], altered=altered)
        request = talk.talk.ask(service)
    talk.repeat_request(request)
    _attack_answers(case, service, counts, bits)


def _attack_answers(case: Case, service: str, counts: Counter[str], bits: tuple[int, ...]) -> None:
    index, alive, talk = 0, False, BlockTalk(case, service, counts)
    while True:
        if not alive and index:
            talk = BlockTalk(case, service, counts)
        talk.talk.meter.receive_apdu(talk.talk.ask(service))
        answer = talk.talk.serve()
        blocks = cut(answer)
        attempts = [(name, changed, True) for name, changed in altered_contents(blocks) if case.has_tag]
        attempts += [(name, changed, False) for name, changed in altered_headers(blocks, bits)]
        attempts += [(name, changed, False) for name, changed in rearranged(answer, blocks)]
        if index >= len(attempts):
            assert type(decode_apdu(talk.talk.plain)) is ANSWERS[service]
            refused_in_plain(talk.talk, cut(talk.talk.plain), service)
            counts["downgrade"] += 1
            return
        name, changed, altered = attempts[index]
        alive = talk.attempt_answer(name, answer, changed, altered=altered)
        index += 1
