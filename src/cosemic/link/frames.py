"""HDLC frames of format type 3 and their recovery from a stream of octets (IEC 62056-46, 6.4).

A frame is ``7E | format | destination | source | control | HCS | information | FCS | 7E``; without information there is
no HCS. The length in the format field makes octet stuffing unnecessary: 7E may stand anywhere inside.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from typing import Final

from cosemic.errors import FrameError
from cosemic.link.addresses import HdlcAddress, address_size
from cosemic.link.control import KINDS, POLL_FINAL, FrameKind
from cosemic.link.crc import INITIAL, RESIDUE, REVERSED, check_octets, is_intact
from cosemic.link.events import FrameDropped

__all__ = ["FLAG", "MAX_FRAME", "FrameKind", "FrameReader", "HdlcAddress", "HdlcFrame"]

FLAG = 0x7E
MAX_FRAME = 0x7FF
"""The longest frame, flags not counted: the length has 11 bits."""

_FLAG = b"\x7e"
_FORMAT = 0xA000
_SEGMENTED = 0x0800
_CONTROLS = tuple(bytes((control,)) for control in range(256))
_OUTSIDE = "octets outside a frame"
WRONG_FCS: Final = "the frame check sequence (FCS) is wrong"
_ADDRESSES = HdlcAddress._cache


@dataclass(frozen=True, slots=True)
class HdlcFrame:
    """One frame. ``segmented`` says that the information goes on in the next frame."""

    destination: HdlcAddress
    source: HdlcAddress
    control: int
    information: bytes = b""
    segmented: bool = False

    @classmethod
    def decode(cls, octets: bytes) -> HdlcFrame:
        """Read exactly one frame, with or without its flags. FrameError says what is wrong with it."""
        octets = bytes(octets)
        if octets[:1] == _FLAG:
            octets = octets[1:]
        if len(octets) < 2:
            raise FrameError("the frame is cut short")
        if octets[0] & 0xF0 != 0xA0:
            raise FrameError(f"frame format type {octets[0] >> 4:X} is not A (type 3)")
        length = (octets[0] & 0x07) << 8 | octets[1]
        if len(octets) == length + 1 and octets[length] == FLAG:
            octets = octets[:length]
        if len(octets) != length:
            raise FrameError(f"the frame says it has {length} octets, but has {len(octets)}")
        header = _header_end(octets)
        if length < header + 2 or length == header + 3:
            raise FrameError(f"a length of {length} octets is too short for the header")
        if length > header + 2 and not is_intact(octets[: header + 2]):
            raise FrameError("the header check sequence (HCS) is wrong")
        if not is_intact(octets):
            raise FrameError(WRONG_FCS)
        return _frame(octets, 0, header, length)

    def encode(self) -> bytes:
        """The octets for the wire, with both flags. FrameError when the frame would exceed 2,047 octets."""
        information = self.information
        addresses = self.destination.octets + self.source.octets
        length = len(addresses) + 5
        if information:
            length += len(information) + 2
        if length > MAX_FRAME:
            raise FrameError(f"a frame of {length} octets is longer than {MAX_FRAME}")
        form = _FORMAT | length
        if self.segmented:
            form |= _SEGMENTED
        header = form.to_bytes(2, "big") + addresses + _CONTROLS[self.control]
        register = crc_hqx(header.translate(REVERSED), INITIAL)
        if not information:
            return _FLAG + header + check_octets(register) + _FLAG
        head = header + check_octets(register)
        # the register over a header with its correct check sequence is always the residue
        register = crc_hqx(information.translate(REVERSED), RESIDUE)
        return b"\x7e%b%b%b\x7e" % (head, information, check_octets(register))

    @property
    def kind(self) -> FrameKind:
        """What the control field says."""
        return KINDS[self.control]

    @property
    def send_number(self) -> int | None:
        """N(S) of an I frame."""
        return None if self.control & 1 else self.control >> 1 & 7

    @property
    def receive_number(self) -> int | None:
        """N(R) of an I, RR, RNR or REJ frame."""
        return None if self.control & 3 == 3 else self.control >> 5

    @property
    def poll_final(self) -> bool:
        """The P bit of a command, or the F bit of a response."""
        return bool(self.control & POLL_FINAL)


class FrameReader:
    """Finds frames in a stream that may start anywhere, lose octets or carry noise.

    ``feed`` gives the same items however the stream is cut. A frame whose header is damaged is dropped as soon as its
    header is there, so a wrong length is not waited for; one that lost octets later is dropped when the flag is not
    where the length puts it, or by ``expire`` after silence. Reading goes on at the next flag. No more than one frame
    is kept, and of what is dropped no more than ``max_buffer`` octets.
    """

    __slots__ = ("_buffer", "_limit", "_need", "_skipped", "_why")

    def __init__(self, max_buffer: int = MAX_FRAME + 2) -> None:
        self._buffer = bytearray()  # starts with a flag when it is not empty
        self._need = 0  # how long the buffer must be before looking at it again makes sense
        self._skipped = bytearray()  # what is being dropped, up to the next flag
        self._why = ""  # why it is being dropped; empty when nothing is
        self._limit = max_buffer

    @property
    def is_partial(self) -> bool:
        """Whether a frame has begun and is not complete, or noise has not ended."""
        return len(self._buffer) > 1 or bool(self._skipped)

    def feed(self, data: bytes) -> list[HdlcFrame | FrameDropped]:
        """Take octets, give the frames they complete and what had to be dropped, in order."""
        buffer = self._buffer
        if buffer:
            buffer += data
            if len(buffer) < self._need:
                return []
            data = bytes(buffer)
            buffer.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        found: list[HdlcFrame | FrameDropped] = []
        self._scan(data, 0, found)
        return found

    def expire(self) -> list[HdlcFrame | FrameDropped]:
        """Give up the frame that has begun, after silence; a whole frame that lies behind it is found."""
        found: list[HdlcFrame | FrameDropped] = []
        while len(self._buffer) > 1:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._why = "silence within a frame: octets of it are missing"
            self._skipped += data[:1]
            self._scan(data, 1, found)
        if self._skipped:
            found.append(FrameDropped(self._why, bytes(self._skipped)))
            self._skipped.clear()
        self._why = ""
        return found

    def _scan(self, data: bytes, position: int, found: list[HdlcFrame | FrameDropped]) -> None:
        size = len(data)
        if position < size and (self._why or data[position] != FLAG):
            position = self._skip(data, position, position, found)
        while position < size:
            # data[position] is a flag; what is usual stands here too, as calling ``frame_at`` takes a third of the time
            start = position + 1
            if size - start >= 8:
                if data[start] == FLAG:
                    position = start
                    continue
                end = start + ((data[start] & 0x07) << 8 | data[start + 1])
                if (
                    start + 7 <= end < size
                    and data[end] == FLAG
                    and (frame := _whole_frame(data, start, end)) is not None
                ):
                    found.append(frame)
                    position = end
                    continue
            seen = frame_at(data, position)
            if isinstance(seen, HdlcFrame):
                found.append(seen)
                position += 1 + ((data[position + 1] & 0x07) << 8 | data[position + 2])
            elif isinstance(seen, int):
                self._need = seen
                break
            elif data[start] == FLAG:
                position = start
            else:
                self._why = seen
                position = self._skip(data, position, position + 1, found)
        if position < size:
            self._buffer += data[position:]

    def _skip(self, data: bytes, position: int, search: int, found: list[HdlcFrame | FrameDropped]) -> int:
        """Drop from ``position`` to the first flag from ``search`` on, which may be beyond what is there."""
        skipped = self._skipped
        if not self._why:
            self._why = _OUTSIDE
        flag = data.find(_FLAG, search)
        skipped += data[position : flag if flag >= 0 else len(data)]
        while len(skipped) >= self._limit:
            found.append(FrameDropped(self._why, bytes(skipped[: self._limit])))
            del skipped[: self._limit]
        if flag < 0:
            return len(data)
        if skipped:
            found.append(FrameDropped(self._why, bytes(skipped)))
            skipped.clear()
        self._why = ""
        return flag


def frame_at(data: bytes | bytearray, flag: int) -> HdlcFrame | int | str:
    """The frame whose opening flag stands at ``flag``; its closing one stands where the length in its header puts it.

    A number says how many octets from the flag on are needed to tell; a text says why this is no frame. The outcome
    does not depend on what stands behind the frame, nor on how much of it is there.
    """
    start = flag + 1
    left = len(data) - start
    if left >= 8:
        end = start + ((data[start] & 0x07) << 8 | data[start + 1])
        if start + 7 <= end < start + left and data[end] == FLAG:
            frame = _whole_frame(data, start, end)
            if frame is not None:
                return frame
    # the checks one by one, by the order of the octets, so that the outcome does not depend on the cut
    if not left:
        return 2
    first = data[start]
    if first & 0xF0 != 0xA0:
        return f"frame format type {first >> 4:X} is not A (type 3)"
    if left < 7:
        return 8
    length = (first & 0x07) << 8 | data[start + 1]
    octets = bytes(data[start : start + length + 1])
    header = 2
    try:
        header += 1 if octets[2:3] and octets[2] & 1 else address_size(octets, 2)
        header += address_size(octets, header) + 1
    except FrameError as error:
        if left < 11 and len(octets) == left and "ends within" in str(error):
            return left + 2
        return str(error)
    checked = header + 2
    if length < checked or length == checked + 1:
        return f"a length of {length} octets is too short for the header"
    if left < checked:
        return checked + 1
    reversed_octets = octets[:length].translate(REVERSED)
    if crc_hqx(reversed_octets[:checked], INITIAL) != RESIDUE:
        return "the header check sequence (HCS) is wrong" if length > checked else WRONG_FCS
    if left <= length:
        return length + 2
    if octets[length] != FLAG:
        return f"no flag after the {length} octets of the frame"
    if length > checked and crc_hqx(reversed_octets[checked:], RESIDUE) != RESIDUE:
        return WRONG_FCS
    return _frame(octets, 0, header, length)


def _whole_frame(data: bytes | bytearray, start: int, end: int) -> HdlcFrame | None:
    """The frame between ``start`` and ``end`` if it is correct and its addresses were met before: the short path."""
    octets = bytes(data[start:end])
    middle = 3 if octets[2] & 1 else 4 if octets[3] & 1 else 6
    destination = _ADDRESSES.get(octets[2:middle])
    # an index may lie beyond a damaged frame, but not beyond one that has whole addresses
    if destination is None or len(octets) < middle + 4:
        return None
    control = middle + (1 if octets[middle] & 1 else 2 if octets[middle + 1] & 1 else 4)
    source = _ADDRESSES.get(octets[middle:control])
    if source is None or octets[0] & 0xF0 != 0xA0:
        return None
    turned = octets.translate(REVERSED)
    if crc_hqx(turned, INITIAL) != RESIDUE:
        return None
    checked = control + 3
    if checked == len(octets):
        information = b""
    elif checked + 2 > len(octets) or crc_hqx(turned[:checked], INITIAL) != RESIDUE:
        return None
    else:
        information = octets[checked:-2]
    # what the constructor of a frozen class does, at half the price
    frame = _new(HdlcFrame)
    _set_destination(frame, destination)
    _set_source(frame, source)
    _set_control(frame, octets[control])
    _set_information(frame, information)
    _set_segmented(frame, octets[0] & 0x08 != 0)
    return frame


_new = object.__new__
_set_destination = vars(HdlcFrame)["destination"].__set__
_set_source = vars(HdlcFrame)["source"].__set__
_set_control = vars(HdlcFrame)["control"].__set__
_set_information = vars(HdlcFrame)["information"].__set__
_set_segmented = vars(HdlcFrame)["segmented"].__set__


def _frame(octets: bytes, start: int, header: int, end: int) -> HdlcFrame:
    """Build the frame at ``start`` whose checks have passed; ``header`` is its length up to the HCS."""
    middle = start + 2
    middle += 1 if octets[middle] & 1 else 2 if octets[middle + 1] & 1 else 4
    control = start + header - 1
    destination = octets[start + 2 : middle]
    source = octets[middle:control]
    return HdlcFrame(
        _ADDRESSES.get(destination) or HdlcAddress.from_octets(destination),
        _ADDRESSES.get(source) or HdlcAddress.from_octets(source),
        octets[control],
        octets[control + 3 : end - 2],
        octets[start] & 0x08 != 0,
    )


def _header_end(octets: bytes) -> int:
    header = 2 + address_size(octets, 2)
    return header + address_size(octets, header) + 1
