"""The sign-on of an optical port in mode E (IEC 62056-21, clause 6, annex B): ASCII first, then HDLC at another speed.

Both roles keep the contract of every layer, with one addition: ``SwitchLine`` among the events asks the owner to change
the line. It comes when the octets of earlier ``data_to_send`` calls have had the time to leave, so the owner carries
out the events in their order and needs no clock of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from cosemic.errors import DecodeError, DlmsError, LinkError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.signon_messages import (
    BAUD_RATES,
    BETWEEN_OCTETS,
    MOST_IN_MESSAGE,
    WAKE_UP,
    WAKE_UP_PAUSE,
    Identification,
    LineSettings,
    SignOnOptions,
    shown,
)
from cosemic.tolerances import DEFAULT, Tolerance, note

_MODE_B = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
_MOST_HELD = 512
"""Octets of a dialogue that are kept."""
_MARGIN = 0.01
"""Seconds that a line may take longer for its octets than the baud rate says."""


@dataclass(frozen=True, slots=True)
class SwitchLine:
    """Set the line so, now; what was sent before has left."""

    settings: LineSettings


@dataclass(frozen=True, slots=True)
class SignedOn:
    """The line belongs to HDLC from here on. ``identification`` is the meter's."""

    identification: Identification
    settings: LineSettings


@dataclass(frozen=True, slots=True)
class SignOnFailed:
    """The sign-on has ended without success."""

    error: DlmsError


SignOnEvent: TypeAlias = SwitchLine | SignedOn | SignOnFailed


class _Side:
    """What both roles do: queues, line time, parity."""

    def __init__(self, line: LineSettings, software_parity: bool) -> None:
        self._software_parity = software_parity
        self._line = line
        self._events: list[SignOnEvent] = []
        self._out = b""
        self._deadline: float | None = None
        self._held = b""
        self._parity_told = False

    def events(self) -> list[SignOnEvent]:
        """What happened since the last call, to be carried out in this order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """The octets to write now."""
        out, self._out = self._out, b""
        return out

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called; None when the sign-on is over, or nothing is waited for."""
        return self._deadline

    def _send(self, octets: bytes, now: float) -> float:
        """Queue octets; gives the time at which they have left the line."""
        self._out += bytes(map(_with_parity, octets)) if self._software_parity else octets
        return now + len(octets) * 10 / self._line.baud + _MARGIN

    def _switch(self, baud: int, data_bits: int, parity: str) -> None:
        settings = LineSettings(baud, 8, "N") if self._software_parity else LineSettings(baud, data_bits, parity)
        if settings != self._line:
            self._line = settings
            self._events.append(SwitchLine(settings))

    def _hold(self, data: bytes) -> None:
        plain = data.translate(_SEVEN_BITS)
        if plain != data and not self._parity_told and not self._software_parity:
            self._parity_told = True
            note(Tolerance.SIGN_ON_PARITY, "octets of the sign-on carry their parity in bit 7")
        self._held = (self._held + plain)[-_MOST_HELD:]


class SignOnClient(_Side):
    """The client's side. ``start`` it, then feed octets and time until ``SignedOn`` or ``SignOnFailed`` comes."""

    def __init__(self, options: SignOnOptions, *, tolerances: frozenset[Tolerance] = DEFAULT) -> None:
        super().__init__(options.line, options.software_parity)
        self._options = options
        self._tolerances = tolerances
        self._state = "new"
        self._tries = 0
        self._octets = 0
        self._copies = 1  # of the acknowledgement that come back: the meter's own, and the echo of the head
        self._latest = 0.0  # when an identification that is arriving is given up
        self._identification: Identification | None = None
        self._acknowledgement = b""
        self._baud = 0

    def start(self, now: float) -> None:
        """Wake the meter up, where asked for, and send the request."""
        if self._state != "new":
            raise LocalProtocolError("a sign-on is started once")
        self._begin(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line; never raises because of what they are."""
        if self._state not in ("requested", "leaving", "acknowledged"):
            return  # noise while waking, reacting or settling
        self._octets += len(data)
        bears_parity = self._software_parity or Tolerance.SIGN_ON_PARITY in self._tolerances
        if not bears_parity and any(octet & 0x80 for octet in data):
            return
        self._hold(data)
        if self._state == "requested":
            self._look_for_identification(now)
        elif self._state == "acknowledged":
            self._look_for_confirmation(now)
        # what comes while the acknowledgement is leaving (an echo, a meter without a line between) is looked at then

    def end_of_stream(self, now: float) -> None:
        """The line is gone."""
        if self._state not in ("done", "failed"):
            self._fail(LinkLost("the connection was closed by the other side during the sign-on"))

    def on_time(self, now: float) -> None:
        """Go on where a deadline has passed."""
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        step = {
            "waking": self._pause,
            "pausing": self._request,
            "requested": self._again,
            "reacting": self._acknowledge,
            "leaving": self._change_speed,
            "acknowledged": self._without_confirmation,
            "settling": self._finish,
        }.get(self._state)
        if step is not None:
            step(now)

    # the steps, in their order

    def _begin(self, now: float) -> None:
        self._tries += 1
        if not self._options.wake_up:
            self._request(now)
            return
        self._state = "waking"
        self._deadline = self._send(bytes(round(WAKE_UP * self._line.baud / 10)), now)

    def _pause(self, now: float) -> None:
        self._state = "pausing"
        self._deadline = now + WAKE_UP_PAUSE

    def _request(self, now: float) -> None:
        self._state = "requested"
        self._held = b""
        self._deadline = self._send(self._options.request, now) + self._options.response_timeout
        self._latest = self._deadline + MOST_IN_MESSAGE * 10 / self._line.baud + BETWEEN_OCTETS

    def _look_for_identification(self, now: float) -> None:
        for line in self._held.split(b"\n")[:-1]:
            message = line[line.rfind(b"/") :].rstrip(b"\r")
            if message.startswith(b"/?"):
                self._heard_ourselves()
                continue
            try:
                identification = Identification.decode(message)
            except DecodeError:
                continue
            self._identified(identification, now)
            return
        # what has begun may end; a line that never falls silent has an end too
        if self._deadline is not None:
            self._deadline = max(self._deadline, min(now + BETWEEN_OCTETS, self._latest))

    def _heard_ourselves(self) -> None:
        if Tolerance.LOCAL_ECHO in self._tolerances and self._copies == 1:
            note(Tolerance.LOCAL_ECHO, "the request of the sign-on came back")
            self._copies = 2

    def _identified(self, identification: Identification, now: float) -> None:
        self._identification = identification
        if identification.baud is None:
            mode = "B" if identification.baud_character in _MODE_B else "A"
            self._fail(LinkError(f"the meter {identification} speaks mode {mode} only: no DLMS on this port"))
            return
        if not identification.offers_hdlc and self._options.requires_marker:
            self._fail(
                LinkError(
                    f"the meter {identification} offers mode C only (its identification has no \\2): no DLMS on this "
                    "port as it is set up; if you know better, add marker=no to the URL"
                )
            )
            return
        limit = self._options.max_baud or 1 << 30
        self._baud = max((baud for baud in BAUD_RATES.values() if baud <= min(identification.baud, limit)), default=300)
        self._state = "reacting"
        self._deadline = now + identification.reaction_time

    def _acknowledge(self, now: float) -> None:
        character = next(key for key, baud in BAUD_RATES.items() if baud == self._baud)
        self._acknowledgement = f"\x062{character}2\r\n".encode("ascii")
        self._held = b""
        self._octets = 0
        self._state = "leaving"
        self._deadline = self._send(self._acknowledgement, now)

    def _change_speed(self, now: float) -> None:
        self._switch(self._baud, 7, "E")  # the meter's copy comes at the new speed, with parity still
        self._state = "acknowledged"
        self._deadline = now + self._options.response_timeout
        self._look_for_confirmation(now)

    def _look_for_confirmation(self, now: float) -> None:
        if self._held.count(self._acknowledgement) >= self._copies:
            self._settle(now)
        elif b"\x02" in self._held or b"\x15" in self._held:
            what = "sends its data in mode C" if b"\x02" in self._held else "answers NAK"
            self._fail(LinkError(f"the meter {self._identification} does not take mode E: it {what} instead"))

    def _without_confirmation(self, now: float) -> None:
        detail = f"no copy of the acknowledgement came back ({self._octets} octets did)"
        if Tolerance.SIGN_ON_CONFIRMATION not in self._tolerances:
            self._fail(LinkTimeout(f"sign-on with {self._identification}: {detail}"))
            return
        note(Tolerance.SIGN_ON_CONFIRMATION, detail)
        self._settle(now)

    def _settle(self, now: float) -> None:
        assert self._identification is not None
        self._switch(self._baud, 8, "N")
        self._state = "settling"
        self._deadline = now + self._identification.reaction_time

    def _finish(self, now: float) -> None:
        assert self._identification is not None
        self._state = "done"
        self._events.append(SignedOn(self._identification, self._line))

    def _again(self, now: float) -> None:
        if self._tries < self._options.tries:
            self._begin(now)
            return
        asked = f"{self._options.request.decode('ascii').strip()} at {self._options.line}, {self._tries} tries"
        if not self._octets:
            self._fail(
                LinkTimeout(
                    f"no octet at all came back to {asked}: is the head on the meter, the right way up, and is this "
                    "its port? A battery-operated meter may need wake_up=yes, one among several its address"
                )
            )
        elif self._copies == 2 and not _without_requests(self._held):
            self._fail(LinkTimeout(f"only our own request came back to {asked}: the head echoes, the meter is silent"))
        else:
            self._fail(
                LinkError(
                    f"{self._octets} octets came back to {asked}, but no identification: {shown(self._held)}; "
                    "is the speed right, and the parity?"
                )
            )

    def _fail(self, error: DlmsError) -> None:
        self._state = "failed"
        self._deadline = None
        self._events.append(SignOnFailed(error))


class SignOnServer(_Side):
    """The meter's side: waits for a request, again and again, until ``SignedOn`` comes.

    Other modes than E are not served: whoever chooses one hears nothing, and the meter waits for the next request.
    """

    def __init__(
        self,
        identification: Identification,
        *,
        address: str = "",
        initial_baud: int = 300,
        software_parity: bool = False,
    ) -> None:
        line = LineSettings(initial_baud, 8, "N") if software_parity else LineSettings(initial_baud)
        super().__init__(line, software_parity)
        if identification.baud is None:
            raise ValueError("a meter of mode E proposes one of the baud rates 300 to 19200")
        self._identification = identification
        self._address = address.lstrip("0")
        self._initial = line
        self._baud = identification.baud
        self._state = "waiting"
        self._acknowledgement = b""
        self.early = b""
        """What came after the last message of the sign-on, before its octets had left: HDLC already, where there is no
        line between whose speed would have to be waited for (a serial server)."""

    @property
    def initial_line(self) -> LineSettings:
        """How the line is set while a request is waited for."""
        return self._initial

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line."""
        if self._state == "leaving":
            self.early = (self.early + data)[-_MOST_HELD:]
        if self._state not in ("waiting", "identified"):
            return
        self._hold(data)
        if self._state == "waiting":
            self._look_for_request(now)
        else:
            self._look_for_choice(now)

    def on_time(self, now: float) -> None:
        """Go on where a deadline has passed."""
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        if self._state == "answering":
            self._state = "identified"
            self._held = b""
            self._deadline = self._send(self._identification.encode(), now) + 2.5
        elif self._state == "confirming":
            self._state = "leaving"
            self._deadline = self._send(self._acknowledgement, now)
        elif self._state == "leaving":
            self._switch(self._baud, 8, "N")
            self._state = "done"
            self._events.append(SignedOn(self._identification, self._line))
        else:
            self._state = "waiting"
            self._held = b""

    def _look_for_request(self, now: float) -> None:
        match = _REQUEST.search(self._held)
        if match is None:
            return
        address = match[1].decode("ascii").lstrip("0")
        self._held = b""
        if address and address != self._address:
            return
        self._state = "answering"
        self._deadline = now + self._identification.reaction_time

    def _look_for_choice(self, now: float) -> None:
        match = _CHOICE.search(self._held)
        if match is None:
            return
        protocol, baud, mode = (part.decode("ascii") for part in match.groups())
        speed = BAUD_RATES.get(baud)
        if (protocol, mode) != ("2", "2") or speed is None or speed > (self._identification.baud or 0):
            self._state = "waiting"
            self._held = b""
            self._deadline = None
            return
        self._acknowledgement = match[0]
        self._baud = speed
        self._switch(speed, 7, "E")
        self._state = "confirming"
        self._deadline = now + self._identification.reaction_time


_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
_CHOICE = re.compile(rb"\x06([0-9])([0-9A-Za-z])([0-9A-Z])\r\n")
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


def _with_parity(octet: int) -> int:
    """An octet of seven bits with even parity in bit 7."""
    return octet | (octet.bit_count() & 1) << 7


def _without_requests(held: bytes) -> bytes:
    return _REQUEST.sub(b"", held).strip(b"\x00")
