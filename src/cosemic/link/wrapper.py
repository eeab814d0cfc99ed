"""The wrapper of DLMS/COSEM over TCP and UDP (IEC 62056-47, 6.4): version, source and destination wPort, length."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from struct import Struct

from cosemic.enums import Role
from cosemic.errors import DlmsError, FrameError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
    Trace,
)

logger = logging.getLogger("cosemic.link")

VERSION = 1
HEADER_LENGTH = 8
MAX_APDU = 0xFFFF
HIGHEST_PORT = 0x3FFF
"""The wPorts that stand for SAPs: those of clients are below 128, those of logical devices have 14 bits."""
_HEADER = Struct(">HHHH")
_CONNECTED = LinkState.CONNECTED


@dataclass(frozen=True, slots=True)
class WrapperPdu:
    """One wrapper PDU. ``source`` and ``destination`` are wPorts: client SAP and server SAP, or the other way round."""

    source: int
    destination: int
    apdu: bytes

    @classmethod
    def decode(cls, octets: bytes) -> WrapperPdu:
        """Read exactly one PDU; FrameError when the octets are none."""
        if len(octets) < HEADER_LENGTH:
            raise FrameError(f"a wrapper header has 8 octets, only {len(octets)} are there")
        version, source, destination, length = _HEADER.unpack_from(octets)
        if version != VERSION:
            raise FrameError(f"wrapper version {version} is not 1")
        if length != len(octets) - HEADER_LENGTH:
            raise FrameError(f"the wrapper says {length} octets follow, but there are {len(octets) - HEADER_LENGTH}")
        return cls(source, destination, bytes(octets[HEADER_LENGTH:]))

    def encode(self) -> bytes:
        """The octets for the wire; LocalProtocolError when the APDU exceeds 65,535 octets."""
        if len(self.apdu) > MAX_APDU:
            raise LocalProtocolError(f"an APDU of {len(self.apdu)} octets does not fit into one wrapper PDU")
        return _HEADER.pack(VERSION, self.source, self.destination, len(self.apdu)) + self.apdu


class WrapperReader:
    """Cuts a TCP stream into wrapper PDUs. The stream has no marks: after a FrameError it cannot be read any more."""

    __slots__ = ("_broken", "_buffer", "_max_length")

    def __init__(self, max_length: int = MAX_APDU) -> None:
        self._buffer = b""
        self._max_length = max_length
        self._broken = False

    @property
    def is_partial(self) -> bool:
        """Whether a PDU has begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[WrapperPdu | FrameError]:
        """Take octets, give the PDUs they complete; a FrameError as the last item means that the stream is lost."""
        if self._broken:
            return []
        buffer = self._buffer
        if buffer:
            buffer += data
            if len(buffer) < HEADER_LENGTH:
                self._buffer = buffer
                return []
            data = buffer
        found: list[WrapperPdu | FrameError] = []
        offset, size = 0, len(data)
        while size - offset >= HEADER_LENGTH:
            version, source, destination, length = _HEADER.unpack_from(data, offset)
            if version != VERSION or length > self._max_length:
                self._broken = True
                self._buffer = b""
                what = (
                    f"wrapper version {version} is not 1"
                    if version != VERSION
                    else f"a wrapper PDU of {length} octets exceeds the limit of {self._max_length}"
                )
                found.append(FrameError(f"{what}; the stream cannot be read any further"))
                return found
            end = offset + HEADER_LENGTH + length
            if end > size:
                break
            found.append(WrapperPdu(source, destination, bytes(data[offset + HEADER_LENGTH : end])))
            offset = end
        self._buffer = bytes(data[offset:])
        return found


class WrapperLink:
    """A link over the wrapper, for either role; see ``Link`` for the contract.

    ``source`` is our wPort and ``destination`` the peer's. A server may leave ``destination`` None: it then answers
    whoever asked last. PDUs for other ports are dropped unless ``check_ports`` is False. With ``datagram`` each
    ``receive_data`` is one UDP datagram, and a client repeats an unanswered request ``retries`` times; over TCP an
    unanswered request breaks the link, because a late answer would be taken for the next one's.
    """

    def __init__(
        self,
        role: Role,
        *,
        source: int,
        destination: int | None,
        response_timeout: float = 5.0,
        retries: int = 3,
        max_length: int = MAX_APDU,
        check_ports: bool = True,
        datagram: bool = False,
        trace: Trace | None = None,
    ) -> None:
        if role is Role.CLIENT and destination is None:
            raise ValueError("a client needs the wPort of its server")
        for port in (source, destination or 0):
            if not 0 <= port <= 0xFFFF:
                raise ValueError(f"wPort {port} is not 0 to 65535")
        self.role = role
        self.source = source
        self.destination = destination
        self.trace = trace
        self._timeout = response_timeout
        self._retries = retries if datagram else 0
        self._max_length = max_length
        self._check_ports = check_ports
        self._datagram = datagram
        self._is_client = role is Role.CLIENT
        self._learns = destination is None
        self._state = LinkState.DISCONNECTED
        self._reader = WrapperReader(max_length)
        self._events: list[LinkEvent] = []
        self._out: list[bytes] = []
        self._deadline: float | None = None
        self._tries = 0
        self._request = b""
        self._octets = 0  # received since the request
        self._others = 0  # PDUs for other ports since the request
        self._set_ports()

    @property
    def state(self) -> LinkState:
        """Where the link stands."""
        return self._state

    @property
    def bare(self) -> WrapperLink:
        """The link itself: neither TCP nor UDP tells what the peer has."""
        return self

    @property
    def response_timeout(self) -> float:
        """How long an answer may take, in seconds."""
        return self._timeout

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._timeout = seconds

    @property
    def tries(self) -> int:
        """How many times a request is sent before it is given up."""
        return self._retries + 1

    def connect(self, now: float) -> None:
        """The wrapper needs no connection of its own: LinkUp at once."""
        if self._state is not LinkState.DISCONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        self._state = _CONNECTED
        self._reader = WrapperReader(self._max_length)
        self._deadline = None
        self._events.append(LinkUp(None))

    def disconnect(self, now: float) -> None:
        """Close: LinkDown at once; an open exchange is given up."""
        if self._state is _CONNECTED:
            self._state = LinkState.DISCONNECTED
            self._deadline = None
            self._events.append(LinkDown("closed by us"))

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU; a client then waits for an answer, if it expects one."""
        if self._state is not _CONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        if self._deadline is not None:
            raise LocalProtocolError("the answer to the previous APDU is still awaited")
        length = len(apdu)
        if length > self._max_length:
            raise LocalProtocolError(f"an APDU of {length} octets exceeds the limit of {self._max_length}")
        if self._learns and self.destination is None:
            raise LocalProtocolError("nobody to answer: no PDU has come yet")
        pdu = self._prefix + length.to_bytes(2, "big") + apdu
        self._out.append(pdu)
        if self.trace is not None:
            self.trace("out", pdu)
        if self._is_client and expect_response:
            self._deadline = now + self._timeout
            self._octets = 0
            self._others = 0
            if self._retries:
                self._request = pdu
                self._tries = 0
        elif self._retries:
            self._request = b""

    def stop_waiting(self) -> None:
        """The answer is not waited for any longer: something else is sent in its place."""
        self._deadline = None

    def send_aside(self, apdu: bytes) -> None:
        """Send one APDU that no answer is expected to, whatever else is waited for."""
        if self._state is not _CONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        pdu = self._prefix + len(apdu).to_bytes(2, "big") + apdu
        self._out.append(pdu)
        if self.trace is not None:
            self.trace("out", pdu)

    def poll(self, now: float) -> None:
        """Go on waiting: the APDU that came was not the answer, or one more follows it."""
        if self._state is not _CONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        self._octets = self._others = 0
        self._deadline = now + self._timeout  # and repeat the request: it, or its answer, may be lost all the same

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the stream, or one datagram."""
        if type(data) is not bytes:
            data = bytes(data)
        if self._state is not _CONNECTED:
            if data:
                self._events.append(FrameDropped("the link is disconnected", data))
            return
        self._octets += len(data)
        reader = self._reader
        if (
            data[:6] == self._expected
            and not reader.is_partial
            and int.from_bytes(data[6:8], "big") == len(data) - HEADER_LENGTH <= self._max_length
        ):  # by far the most usual case: one whole PDU from the expected peer
            if self.trace is not None:
                self.trace("in", data)
            self._deadline = None
            self._events.append(ApduReceived(data[8:]))
            return
        if self._datagram:
            try:
                pdu = WrapperPdu.decode(data)
            except FrameError as error:
                self._events.append(FrameDropped(str(error), data))
                return
            self.receive_pdu(pdu, now)
            return
        for item in reader.feed(data):
            if isinstance(item, FrameError):
                self._fail(item)
            elif self._state is _CONNECTED:
                self.receive_pdu(item, now)

    def receive_pdu(self, pdu: WrapperPdu, now: float) -> None:
        """Take one PDU that was read elsewhere (a server that shares one stream among several SAPs)."""
        if self.trace is not None:
            self.trace("in", pdu.encode())
        if self._check_ports:
            if pdu.destination != self.source:
                self._drop(pdu, f"it is for wPort {pdu.destination}, not {self.source}")
                return
            if not self._learns and pdu.source != self.destination:
                self._drop(pdu, f"it comes from wPort {pdu.source}, not {self.destination}")
                return
        if self._learns and pdu.source != self.destination:
            self.destination = pdu.source
            self._set_ports()
        self._deadline = None
        self._events.append(ApduReceived(pdu.apdu))

    def end_of_stream(self, now: float) -> None:
        """The peer closed the stream."""
        if self._state is _CONNECTED:
            rest = " in the middle of a PDU" if self._reader.is_partial else ""
            self._fail(LinkLost(f"the connection was closed by the other side{rest}"))

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""
        events = self._events
        if events:
            self._events = []
        return events

    def data_to_send(self) -> bytes:
        """The octets to write now; with ``datagram`` one datagram, b"" when there is none left."""
        out = self._out
        if not out:
            return b""
        if len(out) == 1 or self._datagram:
            return out.pop(0)
        data = b"".join(out)
        out.clear()
        return data

    def next_deadline(self) -> float | None:
        """When the answer is due."""
        return self._deadline

    def on_time(self, now: float) -> None:
        """Repeat (datagrams) or give up when the answer is overdue."""
        if self._deadline is None or now < self._deadline:
            return
        if self._request and self._tries < self._retries:
            self._tries += 1
            self._deadline = now + self._timeout
            self._out.append(self._request)
            if self.trace is not None:
                self.trace("out", self._request)
            return
        tries = f" after {self._tries + 1} tries" if self._tries else ""
        came = f"{self._octets} octets received"
        if self._others:
            came += f", {self._others} PDUs for other wPorts"
        elif self._octets:
            came += ", but no whole PDU"
        self._fail(LinkTimeout(f"no answer from server {self.destination} within {self._timeout:g} s{tries}; {came}"))

    def _set_ports(self) -> None:
        peer = self.destination or 0
        self._prefix = _HEADER.pack(VERSION, self.source, peer, 0)[:6]
        # a peer that is not known yet matches nothing on the short path
        known = self.destination is not None and self._check_ports
        self._expected = _HEADER.pack(VERSION, peer, self.source, 0)[:6] if known else b"none"

    def _drop(self, pdu: WrapperPdu, why: str) -> None:
        self._others += 1
        self._events.append(FrameDropped(f"a wrapper PDU was dropped: {why}", pdu.encode()))

    def _fail(self, error: DlmsError) -> None:
        logger.debug("wrapper link failed: %s", error)
        self._state = LinkState.DISCONNECTED
        self._deadline = None
        self._events.append(LinkFailed(error))
