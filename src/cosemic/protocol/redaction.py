"""APDUs and frames as they may be shown: the places of secrets hold zeros."""

from __future__ import annotations

import re
from dataclasses import replace

from cosemic.apdu.acse import AssociationRequest, InitiateRequest
from cosemic.apdu.base import decode_apdu
from cosemic.codec.axdr import decode_length
from cosemic.enums import ApduTag, AuthenticationMechanism
from cosemic.errors import DecodeError, FrameError
from cosemic.link import llc
from cosemic.link.control import FrameKind
from cosemic.link.frames import HdlcFrame
from cosemic.link.gateway import is_prefixed
from cosemic.link.mbus import MbusFrame
from cosemic.protocol.ciphering import CIPHERED
from cosemic.protocol.short_naming import CHANGE_SECRET_NAME
from cosemic.security.suites import ENCRYPTED, HEADER_LENGTH


def association_request(aarq: AssociationRequest, initiate: InitiateRequest | None) -> bytes:
    """The AARQ with its user-information in plain, a password and a dedicated key replaced by zeros."""
    password = aarq.calling_authentication_value
    if password is not None and aarq.mechanism in (None, AuthenticationMechanism.NONE, AuthenticationMechanism.LLS):
        aarq = replace(aarq, calling_authentication_value=bytes(len(password)))
    if initiate is not None:
        if initiate.dedicated_key is not None:
            initiate = replace(initiate, dedicated_key=bytes(len(initiate.dedicated_key)))
        aarq = replace(aarq, user_information=initiate.encode())
    return aarq.encode()


class Redactor:
    """Puts zeros in the places of secrets of association objects (class 15): attribute 7, the LLS secret, read and
    written, and method 2, which changes the HLS secret; with short names (class 12) method change_secret; in blocks,
    lists and ACCESS too. Keys travel wrapped.

    It follows one association: which blocks and answers hold a secret is told by the request before them.
    """

    __slots__ = ("_answers", "_answers_access", "_blocks")

    def __init__(self) -> None:
        self._answers = False
        self._answers_access = False
        self._blocks = False

    def service(self, apdu: bytes) -> bytes:
        """A plain service APDU as it may be shown."""
        kept = self.kept(apdu, True)
        return apdu if kept is None else apdu[:kept] + bytes(max(len(apdu) - kept, 0))

    def kept(self, apdu: bytes, is_whole: bool) -> int | None:
        """How many octets of an APDU (or of its beginning) may be shown; None: all of them."""
        tag, choice = apdu[0] if apdu else 0, apdu[1] if len(apdu) > 1 else 0
        if CIPHERED[tag]:
            return self._kept_inside(apdu, is_whole)
        if tag in _BY_SHORT_NAME:
            return self._kept_by_short_name(apdu, is_whole)
        if tag == ApduTag.GET_REQUEST:
            if choice != 2:  # not the request for the next block
                # Of a list that is cut nobody knows the rest.
                self._answers = _is_at(apdu, 7) if choice == 1 else not is_whole or bool(_ATTRIBUTE.search(apdu))
            return None
        if tag == ApduTag.GET_RESPONSE:
            return 3 if self._answers else None
        if tag == ApduTag.ACCESS_REQUEST:
            self._answers_access = not is_whole or bool(_ATTRIBUTE.search(apdu) or _METHOD.search(apdu))
            return 5 if self._answers_access else None
        if tag == ApduTag.ACCESS_RESPONSE:
            return 5 if self._answers_access else None
        if tag not in _WRITES:
            return None
        number, pattern, further = _WRITES[tag]
        if choice == further:
            return 3 if self._blocks else None
        if tag == ApduTag.ACTION_REQUEST and choice == 2:  # the request for the next block of an answer
            return None
        is_single = choice in (1, 2, 4) if tag == ApduTag.ACTION_REQUEST else choice in (1, 2)
        self._blocks = _is_at(apdu, number) if is_single else not is_whole or bool(pattern.search(apdu))
        return (12 if is_single else 3) if self._blocks else None

    def _kept_by_short_name(self, apdu: bytes, is_whole: bool) -> int | None:
        """The method change_secret; in blocks everything after the block that names it."""
        if apdu[2:3] not in _IN_BLOCKS or apdu[4:6] == b"\x00\x01":
            self._blocks = False
        is_list = apdu[1:2] != b"\x01"
        self._blocks = self._blocks or _CHANGE_SECRET in apdu or (is_list and not is_whole)
        return 2 if self._blocks else None

    def _kept_inside(self, apdu: bytes, is_whole: bool) -> int | None:
        """Of an envelope that does not encrypt, such as a signature: as of the APDU inside."""
        try:
            start = _inside(apdu)
        except (DecodeError, IndexError):
            start = len(apdu)
        if start is not None and start >= len(apdu):
            if is_whole:
                return None
            self._answers = self._blocks = True  # cut before what is inside begins: nobody knows what it is
            return 1
        if start is None:
            return None
        kept = self.kept(apdu[start:], is_whole)
        return None if kept is None else start + kept


class FrameRedactor:
    """The frames and wrapper PDUs of one link as they may be shown: zeros where an unprotected APDU holds a secret.

    In a whole AARQ that is the password; of one in segments, or one that cannot be read, everything goes unless it
    names an HLS mechanism and so holds a challenge only. What to hide is told by the structure of frames and APDUs, not
    by looking for the secret, so that it does not matter how an APDU is cut.
    """

    __slots__ = ("_block_hides", "_goes_on", "_hides", "_in_blocks", "_redactor")

    def __init__(self) -> None:
        self._redactor = Redactor()
        self._hides = {"in": False, "out": False}  # echoes of our own frames come in
        self._in_blocks = {"in": False, "out": False}  # general blocks: more of the same APDU follow
        self._block_hides = {"in": False, "out": False}
        self._goes_on = {"in": False, "out": False}  # M-Bus segments: more of the same APDU follow

    def frame(self, direction: str, octets: bytes) -> bytes:
        """One whole frame or wrapper PDU."""
        if octets[:1] == b"\x68" and octets[3:4] == b"\x68":
            return self._mbus(direction, octets)
        if octets[:1] != b"\x7e":
            return octets[:8] + self._shown(direction, octets[8:], True)[0]
        try:
            frame = HdlcFrame.decode(octets)
        except FrameError:
            return octets
        information = frame.information
        if not information or frame.kind not in _WITH_APDU:
            return octets
        if information[:3] in llc.HEADERS:
            shown, self._hides[direction] = self._shown(direction, information[3:], not frame.segmented)
            shown = information[:3] + shown
        else:  # goes on with what the last header began
            shown = bytes(len(information)) if self._hides[direction] else information
        return octets if shown == information else replace(frame, information=shown).encode()

    def _mbus(self, direction: str, octets: bytes) -> bytes:
        """A long frame of an M-Bus; only its first segment has the beginning of the APDU."""
        try:
            frame = MbusFrame.decode(octets)
        except FrameError:
            return octets
        if not frame.is_transport:
            return octets
        segment = frame.data[2:]
        if frame.number == 0 and not self._goes_on[direction]:
            shown, self._hides[direction] = self._shown(direction, segment, frame.is_last)
        else:
            shown = bytes(len(segment)) if self._hides[direction] else segment
        self._goes_on[direction] = not frame.is_last
        if shown == segment:
            return octets
        redacted = octets[:9] + shown
        return redacted + bytes((sum(redacted[4:]) & 0xFF, octets[-1]))

    def _shown(self, direction: str, octets: bytes, is_whole: bool) -> tuple[bytes, bool]:
        """An APDU, or the beginning of one, as it may be shown, and whether there is something to hide."""
        if not is_prefixed(octets):
            return self._shown_apdu(direction, octets, is_whole)
        size = 3 + octets[2] if len(octets) > 2 else len(octets)
        if len(octets) <= size:
            return octets, not is_whole  # what follows the prefix of a gateway is not known
        shown, hides = self._shown_apdu(direction, octets[size:], is_whole)
        return octets[:size] + shown, hides

    def _shown_apdu(self, direction: str, apdu: bytes, is_whole: bool) -> tuple[bytes, bool]:
        if apdu[:1] == _BLOCK:
            return self._shown_block(direction, apdu)
        if apdu[:1] != _AARQ:
            kept = self._redactor.kept(apdu, is_whole)
            return (apdu, False) if kept is None else (apdu[:kept] + bytes(max(len(apdu) - kept, 0)), True)
        mechanism = _MECHANISM.search(apdu)
        if mechanism is not None and mechanism[1] not in (b"\x00", b"\x01"):
            return apdu, False
        if is_whole:
            try:
                aarq = decode_apdu(apdu)
            except DecodeError:
                pass
            else:
                password = getattr(aarq, "calling_authentication_value", None)
                return (apdu.replace(password, bytes(len(password))) if password else apdu), True
        return apdu[:1] + bytes(len(apdu) - 1), True

    def _shown_block(self, direction: str, apdu: bytes) -> tuple[bytes, bool]:
        """A general block: what hides something in its first block hides everything after it, sent again or not."""
        start = 7 + (apdu[6] & 0x7F if apdu[6:7] >= b"\x80" else 0)
        data = apdu[start:]
        if not data:
            return apdu, False
        is_last = bool(apdu[1] & 0x80)
        shown = bytes(len(data))
        if apdu[2:4] == b"\x00\x01" or not (self._in_blocks[direction] or self._block_hides[direction]):
            shown, self._block_hides[direction] = self._shown(direction, data, is_last)
        self._in_blocks[direction] = not is_last
        return (apdu[:start] + shown, True) if self._block_hides[direction] else (apdu, False)


def _inside(apdu: bytes) -> int | None:
    """Where the APDU in an envelope begins; None when it is encrypted. DecodeError or IndexError when it is cut."""
    tag, at = apdu[0], 1
    for _ in range(5 if tag in (_GENERAL_CIPHERING, _SIGNING) else 1 if tag in _TITLED else 0):
        at = _after(apdu, at)
    if tag == _GENERAL_CIPHERING:
        at = _after_key_info(apdu, at)
    _, at = decode_length(apdu, at)
    if tag == _SIGNING:
        return at
    return None if apdu[at] & ENCRYPTED else at + HEADER_LENGTH


def _after_key_info(apdu: bytes, at: int) -> int:
    if not apdu[at]:
        return at + 1
    choice = apdu[at + 1]
    if choice == 2:
        return _after(apdu, _after(apdu, at + 2))
    return _after(apdu, at + 3) if choice == 1 else at + 3


def _after(apdu: bytes, at: int) -> int:
    length, start = decode_length(apdu, at)
    return start + length


def _is_at(apdu: bytes, number: int) -> bool:
    """Whether the descriptor of a single request is this attribute or method of class 15, as far as it is there."""
    return b"\x00\x0f".startswith(apdu[3:5]) and apdu[11:12] in (b"", bytes((number,)))


_GENERAL_CIPHERING, _SIGNING = int(ApduTag.GENERAL_CIPHERING), int(ApduTag.GENERAL_SIGNING)
_TITLED = (ApduTag.GENERAL_GLO_CIPHERING, ApduTag.GENERAL_DED_CIPHERING)
_AARQ = bytes((ApduTag.AARQ,))
_BLOCK = bytes((ApduTag.GENERAL_BLOCK_TRANSFER,))
_MECHANISM = re.compile(rb"\x60\x85\x74\x05\x08\x02(.)", re.DOTALL)
_ATTRIBUTE = re.compile(rb"\x00\x0f.{6}\x07", re.DOTALL)
_METHOD = re.compile(rb"\x00\x0f.{6}\x02", re.DOTALL)
_WRITES = {int(ApduTag.SET_REQUEST): (7, _ATTRIBUTE, 3), int(ApduTag.ACTION_REQUEST): (2, _METHOD, 6)}
"""Attribute or method, its place in a list, and the choice that carries further blocks."""
_BY_SHORT_NAME = frozenset((ApduTag.READ_REQUEST, ApduTag.WRITE_REQUEST, ApduTag.UNCONFIRMED_WRITE_REQUEST))
_IN_BLOCKS = (b"\x06", b"\x07")
"""read-data-block-access and write-data-block-access."""
_CHANGE_SECRET = CHANGE_SECRET_NAME.to_bytes(2, "big")
_WITH_APDU = (FrameKind.INFORMATION, FrameKind.UNNUMBERED_INFORMATION)
