"""A decoder that needs no meter: lines of text. ``P…`` is a push, ``C…`` a confirmed one, ``U…`` cannot be decoded."""

from __future__ import annotations

from cosemic.push.listening.intake import Origin
from cosemic.push.messages import Decoded, Diagnosis, Push, Undecoded
from cosemic.push.telegrams import Dropped, Framing, Telegram


class LineDecoder:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.held = b""

    def feed(self, octets: bytes) -> list[Decoded]:
        *lines, self.held = (self.held + octets).split(b"\n")
        return [_decoded(line) for line in lines]

    def end_of_datagram(self) -> list[Decoded]:
        return []

    def idle(self) -> list[Decoded]:
        held, self.held = self.held, b""
        return [Dropped("the line fell silent", held)] if held else []

    def end(self) -> list[Decoded]:
        held, self.held = self.held, b""
        return [Dropped("the stream ended", held)] if held else []


def _decoded(line: bytes) -> Decoded:
    telegram = Telegram(Framing.APDU, b"\x0f\x80\x00\x00\x07\x00\x00" if line.startswith(b"C") else line)
    if line.startswith((b"P", b"C")):
        return Push("data-notification", (), telegram, meter_id=line.decode(), needs_confirmation=line.startswith(b"C"))
    if line.startswith(b"U"):
        return Undecoded(Diagnosis.KEY_MISSING, "no key", telegram)
    if line.startswith(b"X"):
        raise RuntimeError("a fault in the decoder")
    return Dropped("noise", line)
