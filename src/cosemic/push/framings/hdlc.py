"""HDLC: the information of I and UI frames, segments put together, cut into APDUs at their LLC headers."""

from __future__ import annotations

from collections.abc import Hashable

from cosemic.link import llc
from cosemic.link.frames import HdlcFrame
from cosemic.push.framings import apdus
from cosemic.push.framings.sets import OpenSet, OpenSets, dropped
from cosemic.push.telegrams import Framing, Heard
from cosemic.tolerances import Tolerance, note

_UI = 0x03
_UI_MASK = 0xEF


def carries_information(frame: HdlcFrame) -> bool:
    """Whether this is an I or a UI frame with information: the others say nothing to a listener."""
    return bool(frame.information) and (not frame.control & 1 or frame.control & _UI_MASK == _UI)


def sender_of(frame: HdlcFrame) -> Hashable:
    """Who speaks to whom."""
    return frame.source.octets, frame.destination.octets


def add_segment(sets: OpenSets, frame: HdlcFrame, offset: int, found: list[Heard]) -> tuple[bytes, int] | None:
    """Take a frame that is a segment, or may be the last one; gives the whole information and where it began.

    I frames are numbered: one that is sent again is left out, and one that stays away is noticed. UI frames are not;
    one that begins with an LLC header begins a new set.
    """
    sender = sender_of(frame)
    number = -1 if frame.control & 1 else frame.control >> 1 & 7
    information = frame.information
    begun = sets.get(sender)
    if begun is not None:
        if number >= 0 and number == (begun.expected - 1) & 7 and information == begun.last:
            return None  # sent again
        if number != begun.expected:
            what = "a UI frame" if number < 0 else f"segment N(S)={number}"
            came = "an I frame" if begun.expected < 0 else f"N(S)={begun.expected}"
            sets.drop(sender, f"{what} came in place of {came} of an HDLC telegram", found)
            begun = None
        elif number < 0 and information[:3] in llc.HEADERS:
            sets.drop(sender, "a new telegram began before the last HDLC segment of this one", found)
            begun = None
    if not frame.segmented:
        if begun is None:
            return information, offset
        whole = sets.close(sender)
        return bytes(whole.octets) + information, whole.offset
    expected = -1 if number < 0 else (number + 1) & 7
    if begun is not None:
        begun.expected, begun.last = expected, information
        sets.extend(sender, information, found)
    elif information[:3] in llc.HEADERS or apdus.is_likely_push(information, 0):
        source, destination = frame.source.logical, frame.destination.logical
        begun = OpenSet(Framing.HDLC, source, destination, offset, bytearray(information), expected, information)
        sets.open(sender, begun, found)
    else:
        found.append(dropped("an HDLC segment without those before it", information, offset, Framing.HDLC))
    return None


def drop_unnumbered(sets: OpenSets, found: list[Heard]) -> None:
    """Between UI frames stood what may have been one: nobody knows whether a segment is missing."""
    for sender in [sender for sender, begun in sets if begun.expected < 0]:
        sets.drop(sender, "an HDLC telegram in UI frames, with a damaged frame among its segments", found)


def split(information: bytes, offset: int, tolerances: frozenset[Tolerance], found: list[Heard]) -> list[bytes]:
    """The APDUs of a whole information field."""
    if information[:3] in llc.HEADERS:
        # nearly always there is one header, and no need to look for where the first APDU ends
        if information.find(llc.RESPONSE, 3) < 0 and information.find(llc.COMMAND, 3) < 0:
            return [information[3:]]
    elif Tolerance.HDLC_MISSING_LLC not in tolerances or not apdus.is_likely_push(information, 0):
        found.append(dropped("HDLC information without an LLC header", information, offset, Framing.HDLC))
        return []
    else:
        note(Tolerance.HDLC_MISSING_LLC, "an APDU in an HDLC frame has no LLC header")
    return llc.split(information)[0]
