"""What the associations of both roles share: the state, the queues, and the trace without secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.enums import ApduTag
from cosemic.errors import LocalProtocolError, RemoteProtocolError
from cosemic.protocol.events import AssociationParameters
from cosemic.protocol.general_blocks import GeneralBlocks, UnacknowledgedBlocks
from cosemic.protocol.redaction import Redactor
from cosemic.protocol.states import STEPS, Event, State

logger = logging.getLogger("cosemic.protocol")

Trace: TypeAlias = Callable[[str, str, bytes], None]
"""Called with the layer ("link" or "apdu"), the direction ("in" or "out") and the octets, without secrets."""

_E = TypeVar("_E")

UNLIMITED: Final = 1 << 30
"""Octets of an APDU where the peer names no limit."""

MOST_STREAMED: Final = 1 << 20
"""Octets of an APDU in blocks that nobody acknowledges: anybody may send those."""

_BLOCK: Final = bytes((ApduTag.GENERAL_BLOCK_TRANSFER,))


class Association(Generic[_E]):
    """One application association of one side, without its link: APDUs in, APDUs and events out."""

    __slots__ = (
        "_blocks",
        "_blocks_used",
        "_events",
        "_longest",
        "_outgoing",
        "_redactor",
        "_streamed",
        "parameters",
        "state",
        "trace",
    )

    def __init__(self, trace: Trace | None = None) -> None:
        self.state = State.IDLE
        self.parameters: AssociationParameters | None = None
        self.trace = trace
        self._events: list[_E] = []
        self._outgoing: list[bytes] = []
        self._redactor = Redactor()
        self._blocks: GeneralBlocks | None = None
        self._blocks_used = False  # by the exchange that is going on
        self._streamed: UnacknowledgedBlocks | None = None
        self._longest = UNLIMITED  # what goes out in one piece

    def events(self) -> list[_E]:
        """What happened since the last call."""
        events = self._events
        if events:
            self._events = []
        return events

    @property
    def has_apdus(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outgoing)

    def apdus_to_send(self) -> list[bytes]:
        """The APDUs to hand to the link now, protected where they have to be."""
        outgoing = self._outgoing
        if outgoing:
            self._outgoing = []
        return outgoing

    @property
    def in_blocks(self) -> bool:
        """Whether a general block transfer is under way."""
        return self._blocks is not None and self._blocks.is_active

    def ask_again(self) -> bool:
        """Nothing has come for a while: ask for blocks that are missing; False where that is of no use."""
        apdus = self._blocks.ask_again() if self._blocks is not None else []
        self._outgoing += apdus
        return bool(apdus)

    def take_progress(self) -> bool:
        """Whether a general block transfer has moved on since this was last asked."""
        blocks = self._blocks
        if blocks is None or not blocks.progressed:
            return False
        blocks.progressed = False
        return True

    def _begin_exchange(self) -> None:
        """Number blocks from 1 again; called where ``_blocks_used`` is set."""
        self._blocks_used = False
        if self._blocks is not None:
            self._blocks.begin()

    def _send_in_blocks(self, apdu: bytes) -> None:
        assert self._blocks is not None
        self._blocks_used = True
        self._outgoing += self._blocks.send(apdu)

    def _end_blocks(self) -> None:
        self._blocks = self._streamed = None
        self._blocks_used = False
        self._longest = UNLIMITED

    def _take_block(self, block: GeneralBlockTransfer) -> bytes | None:
        """Take a general block: what is to be sent goes out, the APDU that it completes is given.

        RemoteProtocolError when the transfer cannot go on.
        """
        if not block.window and block.block_data:
            return self._take_streamed(block)
        assert self._blocks is not None
        self._blocks_used = True
        apdus, whole = self._blocks.receive(block)
        self._outgoing += apdus
        return _checked(whole)

    def _take_streamed(self, block: GeneralBlockTransfer) -> bytes | None:
        """Take a general block that nobody acknowledges; where one is missing, the APDU is dropped."""
        if self._streamed is None:
            self._streamed = UnacknowledgedBlocks(MOST_STREAMED)
        try:
            whole = self._streamed.receive(block)
        except RemoteProtocolError as error:
            logger.warning("blocks of an APDU were dropped: %s", error)
            return None
        return _checked(whole)

    def _step(self, event: Event, doing: str) -> None:
        """Go on to the next state, or raise LocalProtocolError where the own side may not do this now."""
        state = STEPS[self.state][event]
        if state is None:
            raise LocalProtocolError(_WRONG_MOMENT[self.state].format(doing))
        self.state = state

    def _advance(self, event: Event) -> None:
        """Go on to the next state; only called where the table has one."""
        state = STEPS[self.state][event]
        assert state is not None, (self.state, event)
        self.state = state


def _checked(apdu: bytes | None) -> bytes | None:
    if apdu is not None and apdu[:1] == _BLOCK:
        raise RemoteProtocolError("a general block holds general blocks")
    return apdu


_WRONG_MOMENT = {
    State.IDLE: "{}: there is no association; connect first",
    State.ASSOCIATION_PENDING: "{}: the association is still being opened",
    State.AUTHENTICATION_PENDING: "{}: the authentication is still going on",
    State.ASSOCIATED: "{}: the association is open already",
    State.EXCHANGING: "{}: the previous request has not been answered yet",
    State.RELEASE_PENDING: "{}: the association is being released",
    State.CLOSED: "{}: this session has failed and is closed; reconnect with a new one",
}
