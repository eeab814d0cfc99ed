"""HDLC without a connection: APDUs to all stations, in UI frames, which nobody answers (IEC 62056-46, 6.4.3)."""

from __future__ import annotations

from cosemic.errors import LinkLost, LocalProtocolError
from cosemic.link.events import LinkDown, LinkEvent, LinkFailed, LinkState, LinkUp, Trace
from cosemic.link.hdlc import HdlcLink

ALL_STATIONS = 0x7F
"""The all-station address: an HDLC address of one or two octets, or a wPort."""


class BroadcastLink:
    """Sends by ``send_unconfirmed`` of an HdlcLink that never connects; see ``Link`` for the contract."""

    def __init__(self, link: HdlcLink) -> None:
        self._link = link
        self._state = LinkState.DISCONNECTED
        self._events: list[LinkEvent] = []
        self.data_to_send = link.data_to_send

    @property
    def trace(self) -> Trace | None:
        """Called with each whole frame."""
        return self._link.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._link.trace = trace

    @property
    def state(self) -> LinkState:
        """Connected from ``connect`` on, without a word."""
        return self._state

    @property
    def bare(self) -> None:
        """None: nothing is awaited."""
        return None

    @property
    def response_timeout(self) -> float:
        """Of no effect: no answer is waited for."""
        return self._link.response_timeout

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._link.response_timeout = seconds

    @property
    def tries(self) -> int:
        """How many times an answer is asked for before it is given up."""
        return self._link.tries

    def connect(self, now: float) -> None:
        """LinkUp at once."""
        if self._state is not LinkState.DISCONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        self._state = LinkState.CONNECTED
        self._events.append(LinkUp(None))

    def disconnect(self, now: float) -> None:
        """LinkDown at once."""
        if self._state is LinkState.CONNECTED:
            self._state = LinkState.DISCONNECTED
            self._events.append(LinkDown("closed by us"))

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU to all stations; LocalProtocolError where an answer is expected."""
        if self._state is not LinkState.CONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        if expect_response:
            raise LocalProtocolError("nobody answers a broadcast")
        self._link.send_unconfirmed(apdu, now)

    def poll(self, now: float) -> None:
        """LocalProtocolError: there is nobody to poll."""
        raise LocalProtocolError("nobody answers a broadcast")

    def receive_data(self, data: bytes, now: float) -> None:
        """Pushes may come, or our own frames back."""
        self._link.receive_data(data, now)

    def end_of_stream(self, now: float) -> None:
        """The line is gone."""
        if self._state is LinkState.CONNECTED:
            self._state = LinkState.DISCONNECTED
            self._events.append(LinkFailed(LinkLost("the connection was closed by the other side")))

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""
        events = [*self._events, *self._link.events()]
        self._events = []
        return events

    def next_deadline(self) -> float | None:
        """The end of a silence within a frame."""
        return self._link.next_deadline()

    def on_time(self, now: float) -> None:
        """Tell the time."""
        self._link.on_time(now)
