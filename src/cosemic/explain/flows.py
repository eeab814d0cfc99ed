"""The chunks of a capture explained: each flow is a conversation of its own, in the order of what came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cosemic.captures.chunks import Chunk
from cosemic.explain.annotations import Cursor, Explanation, Fault, Page, Sensitivity
from cosemic.explain.capture import Segments, is_complete, is_whole, walk_capture
from cosemic.explain.conversation import Conversation, Keys

_MOST_PARTS = 64
"""Chunks that are looked at together for where a message ends; of more only the end of the turn tells."""
_FRAMED = (0x7E, 0x68, 0x00)


@dataclass(slots=True)
class _Turn:
    """What one side of a flow says until something ends it."""

    first: Chunk
    parts: list[bytes] = field(default_factory=list)


def explain_chunks(chunks: Iterable[Chunk], *, keys: Keys | None = None) -> Explanation:
    """Explain a capture. Every octet of it stands in exactly one line; the buffers are the messages of the flows.

    Octets of one side are put together up to the end of a frame or of what the side says. Never raises for what they
    are. What is learned in a flow (system titles, dedicated keys, blocks) helps with the rest of it only.
    """
    page = Page(0)
    flows: dict[tuple[str, str], tuple[Conversation, Segments]] = {}
    shown: tuple[str, str] | None = None
    number = 0
    for turn in _turns(chunks):
        chunk, octets = turn.first, b"".join(turn.parts)
        page.budget += 10 + 4 * len(octets)
        number += 1
        cursor = Cursor(octets, page, buffer=f"message {number}")
        flow = (chunk.source, chunk.local)
        if chunk.is_gap:
            flows.pop(flow, None)
        if flow != shown and chunk.source:
            words = f"{chunk.source}, our end {chunk.local}" if chunk.local else chunk.source
            cursor.head("flow", words, sensitivity=Sensitivity.IDENTITY)
            shown = flow
        if chunk.note:
            cursor.head("note", chunk.note)
        if not octets:
            continue
        conversation, segments = flows.setdefault(flow, (Conversation(keys or Keys()), Segments()))
        conversation.speaker = chunk.direction.value
        at = "" if chunk.at is None else f"{chunk.at.isoformat(sep=' ', timespec='milliseconds')}, "
        cursor.head(chunk.direction.value or "-", f"message {number}, {at}{len(octets)} octets")
        try:
            walk_capture(cursor, conversation, segments)
        except Fault as fault:
            cursor.fail(fault)
    if not number:
        Cursor(b"", page).fail(Fault(0, "there are no octets"))
    return Explanation(tuple(page.lines))


def _turns(chunks: Iterable[Chunk]) -> Iterator[_Turn]:
    """Chunks put together; a turn of one flow may go on while others speak."""
    open_turns: dict[tuple[str, str], _Turn] = {}
    for chunk in chunks:
        flow = (chunk.source, chunk.local)
        turn = open_turns.pop(flow, None)
        if turn is not None and (chunk.is_gap or chunk.note or chunk.direction != turn.first.direction):
            yield turn
            turn = None
        if turn is None:
            turn = _Turn(chunk)
        turn.parts.append(chunk.octets)
        is_alone = chunk.source.startswith("udp://") or not chunk.octets
        if is_alone or _ends(turn):
            yield turn
        else:
            open_turns[flow] = turn
    yield from open_turns.values()


def _ends(turn: _Turn) -> bool:
    if len(turn.parts) > _MOST_PARTS:
        return False
    first = turn.parts[0]
    if len(turn.parts) == 1 and first and first[0] not in _FRAMED and is_whole(first):
        return True  # an APDU without a frame
    return is_complete(b"".join(turn.parts))
