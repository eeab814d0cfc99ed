"""From octets or text to frames: finds HDLC frames and wrapper PDUs among garbage, puts segments together."""

from __future__ import annotations

from cosemic.explain import hdlc, mbus, sign_on
from cosemic.explain.annotations import Cursor, Fault, Page
from cosemic.explain.apdus import knows, walk_apdu
from cosemic.explain.conversation import MOST_OCTETS, Conversation
from cosemic.explain.values import walk_value

_FLAG = 0x7E
_WRAPPER_HEADER = 8
_MOST_TALKERS = 256
_LLC = {b"\xe6\xe6\x00": "to the meter", b"\xe6\xe7\x00": "from the meter"}
_DATA_TAGS = frozenset({*range(34), 255}) - {8, 11, 14}


class Segments:
    """HDLC segments on their way to whole APDUs, by destination and source."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: dict[tuple[bytes, bytes], tuple[bytearray, int]] = {}


def walk_capture(cursor: Cursor, conversation: Conversation, segments: Segments) -> None:
    """Annotate whatever the octets are: HDLC, wrapper, LLC, a bare APDU, or a bare value."""
    try:
        if mbus.frame_size(cursor.data, 0) is not None or (
            mbus.short_size(cursor.data, 0) is not None and _mbus_inside(cursor.data)
        ):
            _walk_mbus(cursor, conversation, segments)
        elif _wrapper_at(cursor.data, 0) is not None:
            _walk_wrappers(cursor, conversation)
        elif _frames_inside(cursor.data):
            _walk_stream(cursor, conversation, segments)
        elif hdlc.frame_size(cursor.data, 0) == len(cursor.data) and len(cursor.data) >= 7:
            _walk_frame(cursor, conversation, segments, len(cursor.data))
        elif size := sign_on.text_size(cursor.data, 0):
            sign_on.walk_text(cursor.within(size, depth=0))
            if cursor.left:
                cursor.rest("octets after the text", "not explained")
        elif _mbus_inside(cursor.data):
            _walk_mbus(cursor, conversation, segments)
        elif cursor.data[:3] in _LLC:
            _walk_information(cursor, conversation)
        elif (cursor.data[:2] == b"\x00\x01" and len(cursor.data) > 2) or (
            _wrapper_inside(cursor.data) and not _fits_as_apdu(cursor.data) and not _fits_as_value(cursor.data)
        ):
            _walk_wrappers(cursor, conversation)
        else:
            _walk_bare(cursor, conversation)
    except Fault as fault:
        cursor.depth = 0
        cursor.fail(fault)


def _frames_inside(data: bytes) -> bool:
    start = data.find(_FLAG)
    while start >= 0:
        if _frame_fits(data, start + 1) is not None:
            return True
        if start == 0 and len(data) > 1 and data[1] in hdlc.FORMATS:
            return True
        start = data.find(_FLAG, start + 1)
    return False


def _frame_fits(data: bytes, start: int) -> int | None:
    """The size of the frame after the flag, when its closing flag stands where it belongs."""
    size = hdlc.frame_size(data, start)
    if size is None or size < 7 or start + size >= len(data) or data[start + size] != _FLAG:
        return None
    return size


# -- HDLC -------------------------------------------------------------------------------------------------------------
def _walk_stream(cursor: Cursor, conversation: Conversation, segments: Segments) -> None:
    data = cursor.data
    opened = False  # the closing flag of the last frame opens this one
    while cursor.left:
        start = cursor.position if opened else cursor.position + 1
        size = _frame_fits(data, start) if opened or data[cursor.position] == _FLAG else None
        if size is None:
            _walk_between(cursor, conversation, _next_frame(data, cursor.position + 1))
            continue
        if not opened:
            cursor.position = start
            cursor.write("flag")
        _walk_frame(cursor, conversation, segments, size)
        opened = _frame_fits(data, cursor.position + 1) is not None
        cursor.take(1, "the flag")
        cursor.write("flag", None, "closes this frame and opens the next" if opened else "")


def _next_frame(data: bytes, position: int) -> int:
    """Where the next frame's opening flag stands, or the end."""
    flag = data.find(_FLAG, position)
    while flag >= 0 and _frame_fits(data, flag + 1) is None:
        flag = data.find(_FLAG, flag + 1)
    return len(data) if flag < 0 else flag


def _walk_between(cursor: Cursor, conversation: Conversation, end: int) -> None:
    """Octets up to ``end`` that hold no whole frame: noise, or a damaged frame, explained as far as it goes."""
    data = cursor.data
    flag = data.find(_FLAG, cursor.position, end)
    while flag >= 0 and hdlc.frame_size(data, flag + 1) is None:
        flag = data.find(_FLAG, flag + 1, end)
    stop = end if flag < 0 else flag
    if stop > cursor.position:
        noise = cursor.within(stop - cursor.position, depth=0)
        size = sign_on.text_size(data, noise.position)
        if size:
            sign_on.walk_text(noise.within(min(size, noise.left), depth=0))
        if noise.left:
            noise.rest("not a frame", "octets between frames")
    if flag < 0:
        return
    cursor.take(1, "the flag")
    cursor.write("flag")
    broken = cursor.within(end - cursor.position, depth=0, layer="hdlc")
    headline = broken.head("HDLC frame", "damaged")
    broken.depth += 1
    start, found = broken.position, broken.left
    size = hdlc.frame_size(data, start) or 0
    page = cursor.page
    page.amend(headline, error=_wrong_length(size, found))
    with broken:
        seen = hdlc.walk_frame(broken, size)
        page.amend(headline, meaning=f"damaged; {_frame_words(seen)}")
        if seen.information is not None:
            if seen.kind in ("I", "UI") and not seen.segmented:
                _walk_information(seen.information, conversation)
            seen.information.rest("information")
        if size <= found:
            hdlc.finish_frame(broken, start)
        broken.rest("not explained")


def _wrong_length(size: int, found: int) -> str:
    if size < found:
        return f"the length field says {size} octets, and no closing flag stands after them"
    return f"the length field says {size} octets, only {found} are left"


def _walk_frame(cursor: Cursor, conversation: Conversation, segments: Segments, size: int) -> None:
    """One frame without its flags."""
    start = cursor.position
    frame = cursor.within(size, depth=0, layer="hdlc")
    headline = frame.head("HDLC frame")
    frame.depth += 1
    try:
        seen = hdlc.walk_frame(frame, size)
        cursor.page.amend(headline, meaning=_frame_words(seen))
        conversation.speaker = f"{seen.source.hex()} {seen.destination.hex()}"
        if seen.information is not None:
            _walk_frame_information(seen.information, seen, conversation, segments)
        hdlc.finish_frame(frame, start)
        if frame.left:
            frame.rest("octets before the flag", error="the frame is longer than its fields")
    except Fault as fault:
        frame.fail(fault)


def _walk_frame_information(
    information: Cursor, seen: hdlc.FrameSeen, conversation: Conversation, segments: Segments
) -> None:
    try:
        if seen.kind in ("SNRM", "UA"):
            hdlc.walk_parameters(information)
        elif seen.kind == "FRMR":
            hdlc.walk_reject(information)
        elif seen.kind in ("I", "UI"):
            _walk_segment(information, seen, conversation, segments)
        elif information.left:
            information.rest("information")
    except Fault as fault:
        information.fail(fault)


def _walk_segment(information: Cursor, seen: hdlc.FrameSeen, conversation: Conversation, segments: Segments) -> None:
    key = (seen.destination, seen.source)
    open_one = segments.parts.get(key)
    if not seen.segmented and open_one is None:
        _walk_information(information, conversation)
        return
    octets = information.data[information.position : information.end]
    parts, last = open_one if open_one is not None else (bytearray(), -1)
    number = seen.send_number if seen.kind == "I" else -1
    if open_one is not None and number == last and number >= 0:
        information.rest("information", "a repetition of the segment before")
        return
    parts += octets
    if seen.segmented and len(parts) > MOST_OCTETS:
        segments.parts.pop(key, None)
        information.rest("segment", error=f"{len(parts)} octets of segments without an end; given up")
        return
    if seen.segmented:
        if key not in segments.parts and len(segments.parts) >= _MOST_TALKERS:
            del segments.parts[next(iter(segments.parts))]
        segments.parts[key] = (parts, number)
        information.rest("segment", f"{len(octets)} octets, {len(parts)} so far; more follow")
        return
    del segments.parts[key]
    information.rest("segment", f"{len(octets)} octets, the last; {len(parts)} octets in all")
    whole = Cursor(
        bytes(parts), information.page, depth=information.depth, layer="hdlc", buffer="segments, put together"
    )
    whole.head("segments, put together", f"{len(parts)} octets")
    _walk_information(whole, conversation)


def _walk_information(cursor: Cursor, conversation: Conversation) -> None:
    """LLC header and APDU; some meters put several of them into one frame, some leave the header out."""
    while cursor.left:
        header = cursor.data[cursor.position : min(cursor.position + 3, cursor.end)]
        if header in _LLC:
            cursor.take(3, "the LLC header")
            cursor.layer = "llc"
            cursor.write("LLC", None, _LLC[header])
        elif header[:1] == b"\xe6":
            cursor.rest("LLC", error="the LLC header is E6 E6 00 (to the meter) or E6 E7 00 (from the meter)")
            return
        walk_apdu(cursor, conversation)
        if cursor.left and cursor.data[cursor.position : cursor.position + 3] not in _LLC:
            cursor.rest("octets after the APDU", error=f"{cursor.left} octets too many")


def _frame_words(seen: hdlc.FrameSeen) -> str:
    words = (
        f"{hdlc.control_text(seen.control)}, {hdlc.address_text(seen.source)} -> {hdlc.address_text(seen.destination)}"
    )
    return f"{words}, segment" if seen.segmented else words


# -- wrapper ----------------------------------------------------------------------------------------------------------
def _wrapper_at(data: bytes, position: int) -> int | None:
    """The length of the APDU of the wrapper PDU at ``position``, when a whole and likely one stands there."""
    if position < 0 or position + _WRAPPER_HEADER >= len(data) or data[position : position + 2] != b"\x00\x01":
        return None
    length = int.from_bytes(data[position + 6 : position + 8], "big")
    if not length or position + _WRAPPER_HEADER + length > len(data) or not knows(data[position + _WRAPPER_HEADER]):
        return None
    return length


def _wrapper_inside(data: bytes) -> bool:
    position = data.find(b"\x00\x01")
    while position >= 0:
        if _wrapper_at(data, position) is not None:
            return True
        position = data.find(b"\x00\x01", position + 1)
    return False


def _walk_wrappers(cursor: Cursor, conversation: Conversation) -> None:
    data = cursor.data
    while cursor.left:
        if _wrapper_at(data, cursor.position) is None:
            following = data.find(b"\x00\x01", cursor.position + 1)
            while following >= 0 and _wrapper_at(data, following) is None:
                following = data.find(b"\x00\x01", following + 1)
            if data[cursor.position : cursor.position + 2] != b"\x00\x01":
                between = cursor.within((following if following >= 0 else len(data)) - cursor.position, depth=0)
                between.rest("not a wrapper PDU", "octets between wrapper PDUs")
                continue
            inner = cursor.within((following if following >= 0 else len(data)) - cursor.position, depth=0)
            _walk_wrapper(inner, conversation)
            continue
        length = _wrapper_at(data, cursor.position) or 0
        _walk_wrapper(cursor.within(_WRAPPER_HEADER + length, depth=0), conversation)


def _walk_wrapper(cursor: Cursor, conversation: Conversation) -> None:
    cursor.layer = "wrapper"
    headline = cursor.head("wrapper PDU")
    cursor.depth += 1
    try:
        cursor.number(2, "version")
        source = cursor.number(2, "source port", "sender's SAP")
        destination = cursor.number(2, "destination port", "receiver's SAP")
        cursor.page.amend(headline, meaning=f"{source} -> {destination}")
        conversation.speaker = f"{source} {destination}"
        length = int.from_bytes(cursor.take(2, "the length"), "big")
        wrong = f"the length says {length} octets, {cursor.left} are there" if length != cursor.left else None
        cursor.write("length", length, error=wrong)
        if cursor.left:
            walk_apdu(cursor, conversation)
            if cursor.left:
                cursor.rest("octets after the APDU", error=f"{cursor.left} octets too many")
    except Fault as fault:
        cursor.fail(fault)


# -- wired M-Bus ------------------------------------------------------------------------------------------------------
def _mbus_inside(data: bytes) -> bool:
    start = data.find(0x68)
    while start >= 0:
        if mbus.frame_size(data, start) is not None:
            return True
        start = data.find(0x68, start + 1)
    return bool(data) and mbus.short_size(data, 0) == len(data)


def _walk_mbus(cursor: Cursor, conversation: Conversation, segments: Segments) -> None:
    data = cursor.data
    while cursor.left:
        size = mbus.frame_size(data, cursor.position)
        short = mbus.short_size(data, cursor.position)
        if size is not None:
            _walk_mbus_frame(cursor.within(size, depth=0, layer="mbus"), conversation, segments)
        elif short is not None:
            mbus.walk_short(cursor.within(short, depth=0, layer="mbus"))
        else:
            end = cursor.position + 1
            while end < len(data) and mbus.frame_size(data, end) is None and mbus.short_size(data, end) is None:
                end += 1
            between = cursor.within(end - cursor.position, depth=0)
            between.rest("not an M-Bus frame", "octets between frames")


def _walk_mbus_frame(frame: Cursor, conversation: Conversation, segments: Segments) -> None:
    start = frame.position
    try:
        seen = mbus.walk_long(frame)
        if seen is not None:
            conversation.speaker = f"{seen.source} {seen.destination}"
            _walk_mbus_segment(seen, conversation, segments)
        mbus.finish(frame, start)
        if frame.left:
            frame.rest("octets after the frame", error=f"{frame.left} octets too many")
    except Fault as fault:
        frame.fail(fault)


def _walk_mbus_segment(seen: mbus.SegmentSeen, conversation: Conversation, segments: Segments) -> None:
    """One segment: the APDU itself where it is the only one, else a part of it."""
    key = (b"mbus", b"")  # not by access points: some meters change them within an APDU
    cursor = seen.octets
    if seen.number == 0 and seen.is_last:
        segments.parts.pop(key, None)
        walk_apdu(cursor, conversation)
        if cursor.left:
            cursor.rest("octets after the APDU", error=f"{cursor.left} octets too many")
        return
    octets = cursor.data[cursor.position : cursor.end]
    parts, last = segments.parts.pop(key, (bytearray(), -1))
    if seen.number == 0:
        parts, last = bytearray(), -1
    elif seen.number != (last + 1) & 0x0F or last < 0:
        cursor.rest("segment", f"segment {seen.number}, and the one before it is missing")
        return
    parts += octets
    if len(parts) > MOST_OCTETS:
        cursor.rest("segment", error=f"{len(parts)} octets of segments without an end; given up")
        return
    if not seen.is_last:
        while len(segments.parts) >= _MOST_TALKERS:
            del segments.parts[next(iter(segments.parts))]
        segments.parts[key] = (parts, seen.number)
        cursor.rest("segment", f"{len(octets)} octets, {len(parts)} so far; more follow")
        return
    cursor.rest("segment", f"{len(octets)} octets, the last; {len(parts)} octets in all")
    whole = Cursor(bytes(parts), cursor.page, depth=cursor.depth, layer="mbus", buffer="segments, put together")
    whole.head("segments, put together", f"{len(parts)} octets")
    walk_apdu(whole, conversation)
    if whole.left:
        whole.rest("octets after the APDU", error=f"{whole.left} octets too many")


# -- neither ----------------------------------------------------------------------------------------------------------
def _walk_bare(cursor: Cursor, conversation: Conversation) -> None:
    """A bare APDU, or a bare value; some first octets are both, then the one that fits to the end wins."""
    if not cursor.left:
        raise Fault(cursor.position, "there are no octets")
    first = cursor.peek()
    if knows(first) and (first not in _DATA_TAGS or not _fits_as_value(cursor.data) or _fits_as_apdu(cursor.data)):
        walk_apdu(cursor, conversation)
        if cursor.left:
            cursor.rest("octets after the APDU", error=f"{cursor.left} octets too many")
    elif first in _DATA_TAGS:
        cursor.layer = "data"
        cursor.head("A-XDR value")
        cursor.depth += 1
        walk_value(cursor)
        if cursor.left:
            cursor.rest("octets after the value", error=f"{cursor.left} octets too many")
    elif mbus.begins_frame(cursor.data):
        _walk_mbus_frame(cursor.within(cursor.left, depth=0, layer="mbus"), conversation, Segments())
    else:
        raise Fault(
            cursor.position,
            f"0x{first:02X} begins neither an HDLC frame (7E), a wrapper PDU (00 01), an M-Bus frame (68), an APDU nor "
            "an A-XDR value",
        )


def _fits_as_value(data: bytes) -> bool:
    cursor = Cursor(data, Page(len(data)))
    try:
        walk_value(cursor)
    except Fault:
        return False
    return not cursor.left


def _fits_as_apdu(data: bytes) -> bool:
    page = Page(len(data))
    cursor = Cursor(data, page)
    walk_apdu(cursor, Conversation())
    return not cursor.left and not any(line.error for line in page.lines)


def is_complete(octets: bytes) -> bool:
    """Whether the octets are whole frames or wrapper PDUs from the first octet to the last."""
    at, size = 0, len(octets)
    if octets[:1] == b"\x7e":
        while at < size - 1:
            frame = _frame_fits(octets, at + 1)
            if frame is None and octets[at + 1] != _FLAG:
                return False
            at += 1 + (frame or 0)
        return size > 1
    while at < size:
        length = _wrapper_at(octets, at)
        step = mbus.frame_size(octets, at) if length is None else _WRAPPER_HEADER + length
        if step is None:
            return False
        at += step
    return size > 0


def is_whole(octets: bytes) -> bool:
    """Whether the octets are one message: a frame, a wrapper PDU, or a bare APDU."""
    if octets[0] == _FLAG:
        return octets[-1] == _FLAG and len(octets) > 2
    if octets[:2] == b"\x00\x01":
        length = _wrapper_at(octets, 0)
        return length is not None and length + _WRAPPER_HEADER == len(octets)
    if len(octets) in (mbus.frame_size(octets, 0), mbus.short_size(octets, 0), sign_on.text_size(octets, 0)):
        return True
    return knows(octets[0]) and _fits_as_apdu(octets)
