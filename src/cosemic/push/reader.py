"""From octets to whole telegrams: whatever framing a stream has, found in it by itself.

A place of the stream is looked at for what may begin there. What has a check sum (HDLC, M-Bus) is believed when that
holds; a P1 text when it has values, as whoever reads it says whether its check sum holds. The wrapper and APDUs without
a frame have none: they have to look right, more so behind octets that were none, and they are not believed where a
frame or text with a right check sum begins within them. Where nothing begins, reading goes on one octet behind, so that
a damaged frame never takes a good one with it. What comes out does not depend on how the stream is cut.
"""

from __future__ import annotations

import re
from typing import Final

from cosemic.link.frames import FLAG, WRONG_FCS, HdlcFrame, frame_at
from cosemic.link.llc import HEADERS
from cosemic.link.mbus import long_frame, long_frame_end
from cosemic.push.framings import apdus, blocks, hdlc, p1, wrapper
from cosemic.push.framings.assembly import Assembly
from cosemic.push.framings.noise import Noise
from cosemic.push.framings.p1 import Text
from cosemic.push.telegrams import Content, Framing, Heard, Telegram
from cosemic.tolerances import DEFAULT, Tolerance

MAX_TELEGRAM: Final = 1 << 16
MAX_SENDERS: Final = 16

_LONG: Final = 0x68
_SHORT_FRAMES: Final = b"\x10\xe5"
_LONGEST_HEADER: Final = 14
_LEAST_FRAME: Final = 8
_WRAPPER_HEADER: Final = 8
_MOST_OVERFLOW: Final = 0x3F
_MOST_TRIES: Final = 8

_LINE_FEEDS: Final = b"\r\n\x8d"

_PROTECTED: Final = rb"\x7e(?=[\xa0-\xaf]|\Z)|h(?=(.)\1h|(.)\2\Z|.?\Z)|"
_FRAMES: Final = re.compile(_PROTECTED + p1.SURE, re.DOTALL)
"""Where a frame with a check sum may begin; at the end of what is there also what may become one."""

_ANYTHING: Final = re.compile(
    _PROTECTED
    + p1.ANY
    + rb"|\x00(?=\x01|\Z)|\x0f(?=[\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0]|\Z)"
    rb"|[\xdb\xdc](?=\x08|\Z)|[\xdd\xdf\xe0]",
    re.DOTALL,
)
"""Where anything may begin, behind octets that were none."""


class StreamReader:
    """Finds telegrams in a stream. ``framing`` names the only one that it has; None finds out, and goes on finding out.

    ``max_telegram`` bounds the octets of a telegram (and of what is kept of the stream), ``max_senders`` how many may
    have sent a part of one; together they keep no more than two telegrams' octets of parts. Nothing here waits or
    raises for what a stream has.
    """

    __slots__ = (
        "_assembly",
        "_buffer",
        "_cleared",
        "_framing",
        "_known",
        "_look",
        "_max_senders",
        "_max_telegram",
        "_need",
        "_noise",
        "_offset",
        "_text",
        "_tolerances",
        "_tried_until",
        "_tries",
        "_weak_from",
    )

    def __init__(
        self,
        framing: Framing | None = None,
        *,
        max_telegram: int = MAX_TELEGRAM,
        max_senders: int = MAX_SENDERS,
        tolerances: frozenset[Tolerance] = DEFAULT,
    ) -> None:
        if max_telegram < 16 or max_senders < 1:
            raise ValueError("a telegram may have 16 octets at the least, and somebody has to send it")
        self._framing = framing
        self._max_telegram = max_telegram
        self._max_senders = max_senders
        self._tolerances = tolerances
        self._offset = 0
        self._buffer: bytearray | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what has begun, and what framing the stream has: another stream begins."""
        self._buffer = None
        self._need = 0
        self._offset = 0
        self._known: Framing | None = None
        self._noise: Noise | None = None
        self._look: apdus.Look | None = None
        self._text: Text | None = None
        self._assembly: Assembly | None = None
        self._weak_from = 0  # nothing without a check sum is believed that begins before this place
        self._cleared = 0  # no frame with a check sum begins before this place, as far as it was searched for
        self._tried_until = 0
        self._tries = 0

    @property
    def is_partial(self) -> bool:
        """Whether something has begun that is not complete, or noise has not ended; a flag alone is nothing."""
        has_begun = self._buffer is not None and self._buffer != b"\x7e"
        return bool(has_begun or self._noise or self._assembly)

    @property
    def waiting(self) -> int:
        """How many octets are kept in all."""
        kept = len(self._buffer or b"") + (len(self._noise.octets) if self._noise else 0)
        return kept + (self._assembly.octets if self._assembly is not None else 0)

    def feed(self, octets: bytes) -> list[Heard]:
        """Take octets; gives the telegrams that they complete, and what was none, in order."""
        buffer = self._buffer
        data: bytes | bytearray = octets
        if buffer is not None:
            buffer += octets
            if len(buffer) < self._need:
                return []
            data = buffer
        found: list[Heard] = []
        self._keep(data, self._scan(data, False, found))
        return found

    def end_of_datagram(self) -> list[Heard]:
        """A datagram is over, and with it the frame that has begun; parts of telegrams go on to wait for their rest."""
        found: list[Heard] = []
        if self._buffer is not None:
            self._keep(self._buffer, self._scan(self._buffer, True, found))
        self._tell_noise(found)
        self._weak_from = self._cleared = self._tried_until = 0  # whatever was damaged is over too
        return found

    def idle(self) -> list[Heard]:
        """The line is silent: what has begun is not going to end. What comes next begins a telegram."""
        found = self.end_of_datagram()
        if self._assembly is not None:
            self._assembly.close(found)
        return found

    def end(self) -> list[Heard]:
        """The stream is over. Octets may follow all the same; they are read as those of the same line."""
        return self.idle()

    # -- the stream ---------------------------------------------------------------------------------------------------
    def _keep(self, data: bytes | bytearray, place: int) -> None:
        self._offset += place
        self._need -= place
        if place == len(data):
            self._buffer = None
        elif data is self._buffer:
            del self._buffer[:place]
        else:
            self._buffer = bytearray(data[place:])

    def _parts(self) -> Assembly:
        assembly = self._assembly
        if assembly is None:
            assembly = self._assembly = Assembly(self._max_senders, self._max_telegram, self._tolerances)
        return assembly

    def _scan(self, data: bytes | bytearray, at_end: bool, found: list[Heard]) -> int:
        """Read what is there; gives the place that reading has to go on from."""
        place, size = 0, len(data)
        while place < size:
            first = data[place]
            if first == FLAG:
                end = self._hdlc_frame(data, place, at_end, found)
            elif first == _LONG:
                end = self._mbus_frame(data, place, at_end, found)
            elif first in p1.STARTS:
                end = self._p1_text(data, place, at_end, found)
            elif first == 0 or first in apdus.STARTS:
                end = self._unprotected(data, place, at_end, found)
            elif first in _SHORT_FRAMES:
                end = self._short_frame(data, place, at_end)
            elif first in _LINE_FEEDS and self._known is _P1 and self._noise is None:
                end = place + 1  # empty lines between texts
            else:
                end = 0
            if end < 0:
                self._need = -end
                break
            self._look = self._text = None
            place = end or self._skip(data, place, size, found)
        return place

    def _skip(self, data: bytes | bytearray, place: int, size: int, found: list[Heard]) -> int:
        """Nothing begins at ``place``: gives the next place where something may."""
        following = _ANYTHING.search(data, place + 1)
        stop = following.start() if following is not None else size
        noise = self._suspicion(place)
        while (place := noise.add(data, place, stop)) < stop or noise.is_full:
            if noise.is_full:
                found.append(noise.told())
                noise = self._noise = Noise(self._offset + place, tail=noise.tail)
                if place == stop:
                    break
        return place

    def _suspicion(self, place: int) -> Noise:
        """The run of octets that are no telegram, which begins here if it has not begun."""
        noise = self._noise
        if noise is None:
            noise = self._noise = Noise(self._offset + place)
        return noise

    def _tell_noise(self, found: list[Heard]) -> None:
        if self._noise is not None:
            if self._noise.size:
                found.append(self._noise.told())
            self._noise = None

    def _taint(self, end: int) -> None:
        """Up to this place lies a damaged frame: what it has inside is not believed without a check sum of its own."""
        self._weak_from = max(self._weak_from, self._offset + end)

    # -- frames with a check sum --------------------------------------------------------------------------------------
    def _hdlc_frame(self, data: bytes | bytearray, place: int, at_end: bool, found: list[Heard]) -> int:
        if self._framing is not None and self._framing is not _HDLC:
            return 0
        seen = frame_at(data, place)
        if isinstance(seen, HdlcFrame):
            if self._noise is not None:
                if self._assembly is not None and self._noise.size >= _LEAST_FRAME:
                    self._assembly.doubt_segments(found)
                self._tell_noise(found)
            self._known = _HDLC
            if hdlc.carries_information(seen):
                self._parts().add_hdlc(seen, self._offset + place, found)
            return place + 1 + ((data[place + 1] & 0x07) << 8 | data[place + 2])
        if isinstance(seen, int):
            if not at_end:
                return -(place + seen)
            if len(data) == place + 1 and self._noise is None:
                return place + 1
            if seen > _LONGEST_HEADER:
                self._taint(place + seen)
            self._suspicion(place).suspect("an HDLC frame that is cut short", _HDLC, 1)
            return 0
        following = data[place + 1]
        if following & 0xF0 != 0xA0:
            # flags between frames fill the time
            is_fill = self._noise is None and (self._known is _HDLC or following == FLAG)
            return place + 1 if is_fill else 0
        is_sure = seen is WRONG_FCS or seen.startswith("no flag")
        if is_sure:
            self._taint(place + 1 + ((following & 0x07) << 8 | data[place + 2]))
        self._suspicion(place).suspect(f"a damaged HDLC frame: {seen}", _HDLC, 2 if is_sure else 1)
        return 0

    def _mbus_frame(self, data: bytes | bytearray, place: int, at_end: bool, found: list[Heard]) -> int:
        if self._framing is not None and self._framing is not _MBUS:
            return 0
        end = long_frame_end(data, place, most_overflow=self._most_overflow, at_end=at_end)
        if end < 0:
            return end
        if not end:
            if data[place + 3 : place + 4] == b"h" and data[place + 1] == data[place + 2]:
                length = data[place + 1] + (256 if data[place + 1] <= self._most_overflow else 0)
                self._taint(place + length + 6)
                is_cut = at_end and place + length + 6 > len(data)
                what = "cut short" if is_cut else "damaged: the check sum is wrong"
                self._suspicion(place).suspect(f"an M-Bus frame that is {what}", _MBUS, 2)
            return 0
        self._tell_noise(found)
        self._known = _MBUS
        self._parts().add_mbus(long_frame(data, place, end), self._offset + place, found)
        return end

    @property
    def _most_overflow(self) -> int:
        return _MOST_OVERFLOW if Tolerance.MBUS_LENGTH_OVERFLOW in self._tolerances else -1

    def _short_frame(self, data: bytes | bytearray, place: int, at_end: bool) -> int:
        """An acknowledgement or a short frame of the M-Bus: nothing that a listener wants to know."""
        if self._noise is not None or (self._framing or self._known) not in (None, _MBUS):
            return 0
        if data[place] == _SHORT_FRAMES[1]:
            return place + 1
        octets = data[place : place + 5]
        if len(octets) < 5:
            return 0 if at_end else -(place + 5)
        return place + 5 if octets[3] == (octets[1] + octets[2]) & 0xFF and octets[4] == 0x16 else 0

    def _p1_text(self, data: bytes | bytearray, place: int, at_end: bool, found: list[Heard]) -> int:
        if self._framing is not None and self._framing is not _P1:
            return 0
        text = self._text or Text(Tolerance.TEXT_PARITY in self._tolerances)
        end = text.end(data, place, self._max_telegram, at_end=at_end)
        if end < 0:
            self._text = text
        elif end:
            self._tell_noise(found)
            self._known = _P1
            octets = bytes(data[place:end]).rstrip(_LINE_FEEDS if data[place] & 0x80 else b"\r\n")
            found.append(Telegram(_P1, octets, Content.P1_TEXT, offset=self._offset + place))
        elif text.reason:
            self._suspicion(place).suspect(text.reason, _P1, 2)
        return end

    # -- what has no check sum ----------------------------------------------------------------------------------------
    def _unprotected(self, data: bytes | bytearray, place: int, at_end: bool, found: list[Heard]) -> int:
        here = self._offset + place
        if here < self._weak_from:
            return 0
        if here >= self._tried_until:
            self._tries = 0
        elif self._tries >= _MOST_TRIES:
            return 0
        framing = _APDU if data[place] else _WRAPPER
        if self._framing is not None and self._framing is not framing:
            return 0
        noise = self._noise
        if noise is not None and noise.tail in HEADERS:
            return 0  # the inside of a damaged HDLC frame
        look = self._look or apdus.Look()
        known = self._framing or self._known
        is_due = known is framing and noise is None
        in_noise = not is_due and (noise is not None or known is not None)
        size = len(data)
        if framing is _WRAPPER:
            end = wrapper.end(data, place, is_due=is_due)
            start = place + _WRAPPER_HEADER
            has_begun = size > start
        else:
            end = look.end(data, place, in_noise=in_noise)
            start = place
            has_begun = look.has_begun
        if not end and look.walked:
            # At other cuts this walk would have waited, and a frame on its way would have been found.
            frame = self._frame_within(data, place, place + look.walked, at_end, False)
            if frame > 0:
                self._taint(frame)
                return 0
            if frame < 0:
                self._look = look
                return frame
        if not end or abs(end) - start > self._max_telegram:
            return self._refused(look, place, data[place], found)
        is_whole = 0 < end <= size
        need = 0 if is_whole else -abs(end)
        if not is_due or framing is _APDU:
            frame = self._frame_within(data, place, end, at_end, is_due)
            if frame > 0:
                self._taint(frame)
                return 0
            if frame < 0:
                need = max(need, frame) if need else frame
        if need and not at_end:
            self._look = look
            return need
        if has_begun and (again := apdus.begins_again(data, start, min(abs(end), size))):
            # octets of the first one are missing
            self._suspicion(place).suspect("an APDU that is cut short", framing, 2)
            self._taint(again)
            return 0
        if is_whole and self._framing is None and not (is_due and framing is _WRAPPER):
            confirmed = self._confirmation(look, data, place, start, end, in_noise, at_end)
            if confirmed < 0:
                self._look = look
                return confirmed
            if not confirmed:
                return self._refused(look, place, 0, found)
        if not is_whole:
            if not has_begun:
                return 0
            end = size
        self._tell_noise(found)
        self._known = framing
        source = destination = None
        if framing is _WRAPPER:
            source, destination = data[place + 2] << 8 | data[place + 3], data[place + 4] << 8 | data[place + 5]
        sender = (framing, source, destination)
        self._parts().take(bytes(data[start:end]), framing, source, destination, here, sender, found, is_whole)
        return end

    def _refused(self, look: apdus.Look, place: int, tag: int, found: list[Heard]) -> int:
        """No APDU after all. A walk that failed late is not repeated at each place that it went by."""
        here = self._offset + place
        walked = look.walked
        if walked:
            self._tried_until = max(self._tried_until, here + walked)
            self._tries += 1
            if self._noise is None and tag == apdus.DATA_NOTIFICATION and self._known in (None, _APDU):
                self._noise = Noise(here, is_push=True, longest=self._max_telegram)
        return 0

    def _confirmation(
        self, look: apdus.Look, data: bytes | bytearray, place: int, start: int, end: int, in_noise: bool, at_end: bool
    ) -> int:
        """Whether what stands around an APDU lets it be one; a look.

        Behind octets that were none it may be the inside of a damaged frame, whose check sum then follows. Elsewhere it
        is believed where its first octets are rare, else where the next one follows, or nothing.
        """
        size = len(data)
        if start != place:
            apdu = bytes(data[start:end])
            # among noise the APDU has to fill its wrapper
            is_filled = not in_noise or look.end(apdu, 0, in_noise=False) == len(apdu)
            return end if is_filled and apdus.is_likely_push(apdu, 0) else 0
        if not in_noise:
            if apdus.is_rare(data, place) or self._is_expected(data, place):
                return end
            return (end if at_end else -(end + 1)) if end == size else end if data[end] in apdus.STARTS else 0
        behind = 3 if self._known is _HDLC else 2 if self._known is _MBUS else 0
        if not behind:
            return end
        if end + behind > size and not at_end:
            return -(end + behind)
        return 0 if data[end + behind - 1 : end + behind] == (b"\x7e" if behind == 3 else b"\x16") else end

    def _is_expected(self, data: bytes | bytearray, place: int) -> bool:
        number = data[place + 2] << 8 | data[place + 3]
        is_block = data[place : place + 1] == blocks.TAG and self._assembly is not None
        return is_block and self._parts().expects_block((_APDU, None, None), number)

    def _frame_within(self, data: bytes | bytearray, place: int, end: int, at_end: bool, is_due: bool) -> int:
        """Where a frame with a check sum begins in what seems to be an unprotected telegram; a look.

        Where a telegram is due, the frame has to lie in it as a whole; else it suffices that it begins in it.
        """
        size = len(data)
        is_whole = 0 < end <= size
        stop = end if is_whole else size
        cleared = at = max(place + 1, self._cleared - self._offset)
        is_clear = True  # so far: no frame begins before ``at``
        while (match := _FRAMES.search(data, at, stop)) is not None:
            inner = match.start()
            ends = self._protected_end(data, inner, at_end)
            if is_clear:
                cleared, is_clear = inner, not ends
            if ends > 0 and (not is_due or not is_whole or ends <= end):
                self._cleared = self._offset + cleared
                return inner
            if ends < 0 and not (is_due and is_whole):
                self._cleared = self._offset + cleared
                return ends
            at = inner + 1
        self._cleared = self._offset + max(stop if is_clear else cleared, place + 1)
        return 0

    def _protected_end(self, data: bytes | bytearray, place: int, at_end: bool) -> int:
        """Where the frame or text at ``place`` ends; a look."""
        first = data[place]
        if first == FLAG:
            if self._framing not in (None, _HDLC):
                return 0
            seen = frame_at(data, place)
            if isinstance(seen, int):
                return 0 if at_end else -(place + seen)
            return place + 2 + ((data[place + 1] & 7) << 8 | data[place + 2]) if isinstance(seen, HdlcFrame) else 0
        if first == _LONG:
            if self._framing not in (None, _MBUS):
                return 0
            return long_frame_end(data, place, most_overflow=self._most_overflow, at_end=at_end)
        if self._framing not in (None, _P1):
            return 0
        text = Text(Tolerance.TEXT_PARITY in self._tolerances)
        ends = text.end(data, place, self._max_telegram, at_end=at_end)
        if ends > 0:
            return ends if text.holds(data, place) else 0
        # looked at anew each time, so not for each octet
        return ends and -(len(data) + 1 + (len(data) - place) // 8)


_HDLC, _WRAPPER, _MBUS, _APDU, _P1 = Framing
