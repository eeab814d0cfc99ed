"""General block transfer: any APDU, protected or not, cut into blocks that travel in windows (IEC 62056-5-3, 7.3.13).

``GeneralBlocks`` is one side's state, the same for both roles: no link, no clock. What it keeps to:

- Each side numbers its blocks from 1 in every exchange; acknowledgements, which are blocks without data, count too.
- The window that a side names in its blocks is how many it takes in one go. All but the last block of a window have the
  streaming bit; after the last one the other side has the turn. Until it has named its window, it gets single blocks.
- An acknowledgement names the last block before a gap, and as window the length of the gap: these blocks come again.
- Window 0 means that nobody acknowledges anything: ``UnacknowledgedBlocks``, for pushes and unconfirmed services.
- The answer to the last block of a request is its acknowledgement; the last block of an answer needs none.

A peer that never gets on (acknowledges nothing new, repeats, sends empty blocks) ends in an error, never in a loop.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.enums import ApduTag
from cosemic.errors import LocalProtocolError, RemoteProtocolError, SequenceError

MOST_WINDOW: Final = 63
"""The window has six bits."""
MOST_RECOVERIES: Final = 5
"""How often in a row the same blocks are asked for, or sent, again."""
_MOST_EMPTY: Final = 8
"""Blocks in a row that neither bring nor acknowledge anything."""
_MOST_USELESS: Final = 256
"""Blocks in a row that bring nothing new: all of a few windows sent again is not too much."""
_LAST_NUMBER: Final = 0xFFFF
_WINDOW_OCTETS: Final = 1 << 16
"""A window ends once it has this many octets, whatever the peer would take: nobody should have to hold more."""
_HEADER: Final = 6


def block_octets(max_pdu_size: int) -> int:
    """How many octets of an APDU fit in one block, so that the whole block is no longer than ``max_pdu_size``."""
    size = (max_pdu_size or 0xFFFF) - _HEADER
    if size <= 0x80:
        return size - 1
    return max(size - (2 if size <= 0x101 else 3), 0x7F)


def unacknowledged(apdu: bytes, max_pdu_size: int) -> list[bytes]:
    """Cut an APDU into blocks of window 0; LocalProtocolError when there are not numbers enough."""
    chunks = _cut(apdu, block_octets(max_pdu_size))
    count = len(chunks)
    _check_numbers(count, len(apdu))
    return [
        GeneralBlockTransfer(number == count, False, 0, number, 0, chunk).encode()
        for number, chunk in enumerate(chunks, 1)
    ]


class UnacknowledgedBlocks:
    """Blocks that cannot be asked for again: in order, or the APDU is lost."""

    __slots__ = ("_limit", "_number", "_octets")

    def __init__(self, max_octets: int) -> None:
        self._limit = max_octets
        self._number = 0
        self._octets = bytearray()

    def receive(self, block: GeneralBlockTransfer) -> bytes | None:
        """The APDU once its last block is here; SequenceError where one is missing: what came so far is dropped."""
        number = block.block_number
        if number == 1:
            self._clear()
        elif number == self._number and self._octets.endswith(block.block_data):
            return None  # the same datagram once more
        elif number != self._number + 1 or not self._number:
            due = self._number + 1
            self._clear()
            raise SequenceError(f"block {number} came where block {due} was due, and nobody can ask for it again")
        if len(self._octets) + len(block.block_data) > self._limit:
            self._clear()
            raise RemoteProtocolError(f"the blocks of a push add up to more than {self._limit} octets")
        self._number = number
        self._octets += block.block_data
        if not block.last_block:
            return None
        apdu = bytes(self._octets)
        self._clear()
        return apdu

    def _clear(self) -> None:
        self._number = 0
        self._octets.clear()


class GeneralBlocks:
    """The general block transfer of one association, seen from one side.

    ``window`` is how many blocks we take in one go. A server (``answers``) takes block 1 that acknowledges nothing as
    a new exchange and says where it stands when it is sent a window again; a client is the one who asks on silence.
    ``datagram``: blocks may come twice, or late.
    """

    __slots__ = (
        "_acknowledged",
        "_ahead",
        "_answers",
        "_before",
        "_block_size",
        "_chunks",
        "_collected",
        "_collecting",
        "_datagram",
        "_empty",
        "_first",
        "_first_block",
        "_limit",
        "_max_pdu_size",
        "_next",
        "_peer_window",
        "_received",
        "_recoveries",
        "_request",
        "_sent",
        "_useless",
        "_window",
        "progressed",
    )

    def __init__(
        self, *, window: int, max_pdu_size: int, max_octets: int, answers: bool = False, datagram: bool = False
    ) -> None:
        if not 1 <= window <= MOST_WINDOW:
            raise ValueError(f"a window has 1 to {MOST_WINDOW} blocks, not {window}")
        self.progressed = False
        """Whether anything moved on since this was last set to False."""
        self._window = window
        self._limit = max_octets
        self._answers = answers
        self._datagram = datagram
        self._max_pdu_size = max_pdu_size
        self._block_size = block_octets(max_pdu_size)
        self._peer_window = 1
        self.begin()

    def begin(self) -> None:
        """A new exchange: both sides number from 1 again. The window of the peer is remembered."""
        self._next = 1  # our next number
        self._first = 1  # the number of the first of ``_chunks``
        self._chunks: list[bytes] = []  # what we send, until it is acknowledged
        self._acknowledged = 0  # our last number that the peer has, and all before it
        self._sent = 0  # our last number that was sent
        self._received = 0  # the peer's last number that we have, and all before it
        self._collected = bytearray()
        self._collecting = False
        self._ahead: dict[int, GeneralBlockTransfer] = {}  # what came after a gap
        self._first_block = b""  # of the last APDU that came
        self._request = b""  # digest of the last APDU that came
        self._before: _Answered | None = None  # what is sent again where the request turns out to be the last one
        self._recoveries = self._useless = self._empty = 0

    @property
    def longest(self) -> int:
        """The longest APDU that can be sent in blocks now."""
        return self._block_size * (_LAST_NUMBER + 1 - self._next)

    @property
    def is_sending(self) -> bool:
        """Whether blocks of ours are not acknowledged yet."""
        return bool(self._chunks)

    @property
    def is_collecting(self) -> bool:
        """Whether an APDU of the peer is here in part."""
        return self._collecting

    @property
    def is_active(self) -> bool:
        """Whether blocks are still to come from either side."""
        return self._collecting or bool(self._chunks) or bool(self._ahead)

    def send(self, apdu: bytes) -> list[bytes]:
        """Begin to send an APDU: the blocks of the first window. LocalProtocolError when it is too long."""
        chunks = _cut(apdu, self._block_size)
        _check_numbers(self._next - 1 + len(chunks), len(apdu))
        self._chunks = chunks
        self._first = self._next
        self._acknowledged = self._sent = self._first - 1
        self._next += len(chunks)
        self._recoveries = 0
        return self._send_window()

    def receive(self, block: GeneralBlockTransfer) -> tuple[list[bytes], bytes | None]:
        """Take a block: the blocks to send now, and the APDU that it completes.

        RemoteProtocolError when the transfer cannot go on; ``begin`` is due then.
        """
        if self._answers and self._begins(block):
            before = self._answered() if block.block_data == self._first_block and not _is_get(block) else None
            self.begin()
            self._before = before
        if block.window:
            self._peer_window = block.window
        if not block.block_data and not (self._collecting and not self._chunks):
            return self._take_acknowledgement(block), None
        return self._take_data(block)

    def acknowledge(self) -> bytes:
        """An acknowledgement of what is here so far, which asks for what is missing."""
        number = self._next
        if number > _LAST_NUMBER:
            raise RemoteProtocolError("the general block transfer has used up its block numbers")
        self._next += 1
        gap = min(self._ahead) - self._received - 1 if self._ahead else 0
        window = min(gap, self._window) if gap else self._window
        return GeneralBlockTransfer(True, False, window, number, self._received, b"").encode()

    def ask_again(self) -> list[bytes]:
        """Nothing has come for a while: what to send so that it goes on; nothing once that was tried too often.

        On a stream no block of a request is sent again unless the peer asks for it: it has arrived, or the stream has
        ended. The peer may be at work on it, would take it for the next request, and carry it out twice; and what it
        says to both would come in the exchange after this one. What is missing of an answer is asked for.
        """
        if not self.is_active or self._recoveries >= MOST_RECOVERIES:
            return []
        if not (self._collecting or self._datagram):
            return []
        self._recoveries += 1
        if self._chunks and not self._collecting:
            return self._send_window()
        return [self.acknowledge()]

    @property
    def _is_sent(self) -> bool:
        """Whether all blocks of ours have been sent once."""
        return self._sent >= self._first + len(self._chunks) - 1

    def _begins(self, block: GeneralBlockTransfer) -> bool:
        """Whether a block of a client begins an exchange: block 1.

        A client that has no answer sends its request again, which must not be carried out twice; but two requests may
        begin alike, so only the whole of it tells. A plain GET is always a new one over a connection: it changes
        nothing, and a client with a constant invoke id wants a fresh value. Datagrams may come late, and are judged by
        block 1.
        """
        if block.block_number != 1 or block.block_number_ack or not block.block_data:
            return False
        if block.block_data != self._first_block:
            return True
        return not (self._datagram or self._collecting)

    def _answered(self) -> _Answered:
        state = (self._next, self._first, self._acknowledged, self._sent, self._recoveries)
        return _Answered(self._request, self._chunks, state)

    def _answer_again(self, before: _Answered) -> list[bytes]:
        """The request was the last one once more: its answer goes on where it was."""
        self._request, self._chunks = before.request, before.chunks
        self._next, self._first, self._acknowledged, self._sent, self._recoveries = before.state
        self._recover("the peer sends its request again and again")
        return self._send_window() if self._chunks else []

    # Sending

    def _send_window(self) -> list[bytes]:
        last = self._first + len(self._chunks) - 1
        end = min(self._acknowledged + self._peer_window, last)
        end = min(end, self._acknowledged + max(_WINDOW_OCTETS // self._block_size, 1))
        self._sent = max(self._sent, end)
        first, window, received = self._first, self._window, self._received
        return [
            GeneralBlockTransfer(
                number == last, number < end, window, number, received, self._chunks[number - first]
            ).encode()
            for number in range(self._acknowledged + 1, end + 1)
        ]

    def _take_acknowledgement(self, block: GeneralBlockTransfer) -> list[bytes]:
        number, acknowledged = block.block_number, block.block_number_ack
        repeated = self._datagram and number <= self._received
        if not self._collecting:
            self._received = max(self._received, number)
        if not self._chunks or repeated or acknowledged < self._first - 1:
            self._wasted(block)
            return []
        if acknowledged > self._sent:
            self._refuse(block, f"the peer acknowledges block {acknowledged}, but only {self._sent} were sent")
            return []
        if acknowledged <= self._acknowledged:
            self._recover("the peer acknowledges no further block")
        else:
            self._advance()
        self._acknowledged = acknowledged
        if acknowledged == self._first + len(self._chunks) - 1:
            self._chunks = []
            return []
        return self._send_window()

    # Receiving

    def _take_data(self, block: GeneralBlockTransfer) -> tuple[list[bytes], bytes | None]:
        number = block.block_number
        if not number:
            raise SequenceError("a block has the number 0; they begin with 1")
        if not self._collecting and number == 1 and self._received and block.block_data != self._first_block:
            self._received = 0  # after its acknowledgements, or one APDU, the peer numbers from 1 again
        due = self._received + 1
        if number < due:
            return self._take_repeated(block), None
        if self._chunks and not self._is_sent:
            if number > due:
                self._wasted(block)  # late, of the exchange before this one
            else:
                self._refuse(block, "the peer answers in blocks before it has the whole request")
            return [], None
        if number > due:
            self._take_ahead(block, number - due)
            return ([] if block.streaming else self._ask_for_gap()), None
        self._chunks = []  # whoever answers has the request
        turn = not block.streaming
        self._append(block)
        last = block.last_block
        while not last and self._ahead:
            following = self._ahead.pop(self._received + 1, None)
            if following is None:
                break
            self._append(following)
            last = following.last_block
            turn = turn or not following.streaming
        if last:
            apdu = bytes(self._collected)
            self._collected.clear()
            self._collecting = False
            self._ahead.clear()
            if self._answers:
                self._request = hashlib.sha256(apdu).digest()
                before, self._before = self._before, None
                if before is not None and before.request == self._request:
                    return self._answer_again(before), None
            return [], apdu
        return ([self.acknowledge()] if turn else []), None

    def _take_repeated(self, block: GeneralBlockTransfer) -> list[bytes]:
        self._wasted(block)
        if block.streaming or (self._datagram and not self._answers):
            return []
        self._recover(f"the peer sends block {block.block_number} again and again")
        if self._chunks:
            return self._send_window()
        return [self.acknowledge()] if self._collecting else []

    def _take_ahead(self, block: GeneralBlockTransfer, distance: int) -> None:
        number = block.block_number
        # Before block 1 is here, what comes may still be of the exchange before this one.
        if number in self._ahead or distance >= self._window or not block.block_data or not self._collecting:
            self._wasted(block)
            return
        self._check_limit(block, sum(len(item.block_data) for item in self._ahead.values()))
        self._ahead[number] = block
        self._useless = 0

    def _ask_for_gap(self) -> list[bytes]:
        self._recover(f"block {self._received + 1} never comes")
        return [self.acknowledge()]

    def _append(self, block: GeneralBlockTransfer) -> None:
        if not self._collecting:
            self._collecting = True
            self._first_block = block.block_data
        self._received = block.block_number
        self._check_limit(block, 0)
        self._collected += block.block_data
        if block.block_data or block.last_block:
            self._advance()
        else:
            self._wasted(block)

    # Bounds

    def _check_limit(self, block: GeneralBlockTransfer, more: int) -> None:
        if len(self._collected) + more + len(block.block_data) > self._limit:
            raise RemoteProtocolError(f"the blocks add up to more than {self._limit} octets")

    def _advance(self) -> None:
        self._recoveries = self._useless = self._empty = 0
        self.progressed = True

    def _recover(self, why: str) -> None:
        self._recoveries += 1
        if self._recoveries > MOST_RECOVERIES:
            raise RemoteProtocolError(f"the general block transfer makes no progress: {why}")

    def _refuse(self, block: GeneralBlockTransfer, why: str) -> None:
        if not self._datagram:
            raise SequenceError(why)
        self._wasted(block)  # a late datagram, of an exchange that is over

    def _wasted(self, block: GeneralBlockTransfer) -> None:
        self._useless += 1
        if not block.block_data:
            self._empty += 1
        if self._empty > _MOST_EMPTY:
            raise RemoteProtocolError(
                f"the general block transfer makes no progress: {self._empty} empty blocks in a row"
            )
        if self._useless > _MOST_USELESS:
            raise RemoteProtocolError(
                f"the general block transfer makes no progress: {self._useless} blocks that bring nothing new"
            )


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last exchange of a server, while a request comes in that begins like that one."""

    request: bytes
    chunks: list[bytes]
    state: tuple[int, int, int, int, int]


def _is_get(block: GeneralBlockTransfer) -> bool:
    return block.block_data[0] == ApduTag.GET_REQUEST


def _cut(apdu: bytes, size: int) -> list[bytes]:
    return [apdu[start : start + size] for start in range(0, len(apdu), size)]


def _check_numbers(count: int, length: int) -> None:
    if count > _LAST_NUMBER:
        raise LocalProtocolError(f"an APDU of {length} octets does not fit in {_LAST_NUMBER} blocks of the peer's size")
