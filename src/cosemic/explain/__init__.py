"""Takes octets apart, layer by layer: HDLC, wrapper, LLC, ciphering, APDU, values.

>>> print(explain(bytes.fromhex("0600003039")).to_text())
      A-XDR value
0000  06 00 00 30 39                value double-long-unsigned: 12345
"""

from __future__ import annotations

from cosemic.explain.annotations import Cursor, Explanation, Fault, Line, Page, Sensitivity
from cosemic.explain.capture import Segments, walk_capture
from cosemic.explain.conversation import Conversation, Keys
from cosemic.explain.flows import explain_chunks
from cosemic.explain.text import join_fragments, read_text

__all__ = ["Explainer", "Explanation", "Keys", "Line", "Sensitivity", "explain", "explain_chunks", "explain_text"]


def explain(data: bytes, *, keys: Keys | None = None) -> Explanation:
    """Explain any octets: frames, a capture with garbage between them, a wrapper PDU, a bare APDU or A-XDR value.

    Ciphered APDUs are opened when ``keys`` fit. Never raises, whatever the octets are; ``Explanation.ok`` and
    ``.fault`` tell what is wrong. Takes time linear in the input.
    """
    return _explain([("", bytes(data))], keys)


def explain_text(text: str, *, keys: Keys | None = None) -> Explanation:
    """Explain hexadecimal text, such as a log: one frame or APDU a line, ``>`` and ``<`` before them, comments.

    What an earlier line teaches (system titles, dedicated keys, blocks) helps with the later ones.
    ValueError when a line is not hexadecimal.
    """
    return _explain(join_fragments(read_text(text)), keys)


class Explainer:
    """Explains one message after the other and remembers: system titles, dedicated keys, segments, blocks."""

    def __init__(self, keys: Keys | None = None) -> None:
        self._conversation = Conversation(keys or Keys())
        self._segments = Segments()

    def explain(self, data: bytes) -> Explanation:
        """Explain the next octets. Never raises, whatever they are."""
        page = Page(len(data))
        cursor = Cursor(bytes(data), page)
        try:
            walk_capture(cursor, self._conversation, self._segments)
        except Fault as fault:
            cursor.fail(fault)
        return Explanation(tuple(page.lines))


def _explain(chunks: list[tuple[str, bytes]], keys: Keys | None) -> Explanation:
    page = Page(sum(len(octets) for _, octets in chunks))
    conversation = Conversation(keys or Keys())
    segments = Segments()
    for number, (direction, octets) in enumerate(chunks, 1):
        buffer = "input" if len(chunks) == 1 else f"line {number}"
        cursor = Cursor(octets, page, buffer=buffer)
        conversation.speaker = direction
        try:
            if direction or len(chunks) > 1:
                cursor.head({">": ">", "<": "<"}.get(direction, "-"), f"{buffer}, {len(octets)} octets")
            walk_capture(cursor, conversation, segments)
        except Fault as fault:
            cursor.fail(fault)
    if not chunks:
        Cursor(b"", page).fail(Fault(0, "there are no octets"))
    return Explanation(tuple(page.lines))
