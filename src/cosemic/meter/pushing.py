"""The pushes of a meter, without I/O: when one is due, what it says, and what follows when it arrives or does not.

::

    called for ── window shut? ── wait ──┐
        │                                │
        └── random delay ── Delivery ── delivered ── confirmation due? ── done
                              │                            │ none came
                              └── failed ──────────────────┴── retries left? ── wait ── Delivery
                                                                    └── no: given up

``PushAgenda`` keeps to the four-method contract with data instead of octets: ``on_time``, ``next_deadline``,
``deliveries`` (what to send now), and the results fed back: ``delivered``, ``failed``, ``received``. Every wait has a
deadline of its own, so that whoever sends may forget a delivery and nothing hangs. Times are points on one clock of the
caller's; schedules and windows go by the meter's.
"""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.fields import long_invoke_number
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.cosem.next_moments import next_moment
from cosemic.cosem.push_objects import OperationMethod, PushDestination, TransportService, Window
from cosemic.enums import InterfaceClass
from cosemic.errors import DlmsError, FrameError
from cosemic.link.wrapper import WrapperReader
from cosemic.meter.action_schedules import ActionSchedules
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.push_protection import ProtectionLayer, PushSealer
from cosemic.meter.push_setup import PushSetup
from cosemic.meter.push_values import PushShape, own_access, push_body
from cosemic.times import CosemDateTime

logger = logging.getLogger("cosemic.meter")

_MOST_CONFIRMATION = 2048
_LONGEST_SLEEP = 3600.0
"""Seconds after which due times are looked at anew, as the meter's clock may run away from the caller's."""
_CONFIRMABLE = (TransportService.TCP, TransportService.UDP)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to send now. Over UDP each of ``frames`` is a datagram.

    ``is_confirmed``: the client is to answer; give what it sends to ``PushAgenda.received``. ``wants_receipt``: it
    counts as delivered once the layer below has told so. After ``deadline`` it has failed, whatever comes.
    """

    number: int
    setup: PushSetup
    destination: PushDestination
    frames: tuple[bytes, ...]
    deadline: float
    is_confirmed: bool = False
    wants_receipt: bool = False


class Outcome(enum.Enum):
    """How a push ended."""

    SENT = "sent"
    CONFIRMED = "confirmed"
    GIVEN_UP = "given up"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class PushEnded:
    """The end of one push: after how many attempts, and why it failed."""

    setup: PushSetup
    outcome: Outcome
    attempts: int
    reason: str = ""


class _State(enum.Enum):
    IDLE = enum.auto()
    WAITING = enum.auto()
    SENDING = enum.auto()
    CONFIRMING = enum.auto()


class _Process:
    """One setup's push: at most one is under way, and one waits."""

    __slots__ = ("again", "apdu", "attempts", "due", "layers", "long_invoke_id", "number", "reader",
                 "setup", "state", "waits_for_window")  # fmt: skip

    def __init__(self, setup: PushSetup) -> None:
        self.setup = setup
        self.again = False
        self.clear()

    def clear(self) -> None:
        self.state = _State.IDLE
        self.due: float | None = None
        self.apdu: bytes | None = None
        self.layers: tuple[ProtectionLayer, ...] = ()
        self.long_invoke_id: int | None = None  # of a push that is to be confirmed
        self.attempts = 0
        self.waits_for_window = False
        self.number = 0
        self.reader: WrapperReader | None = None


class PushAgenda:
    """The pushes of one logical device of a meter: of ``setups``, by default all that the device has.

    ``sealer`` protects them (None: plain). ``send_timeout`` is how long sending may take, ``confirm_timeout`` how long
    a confirmation may; seconds. ``with_time`` False leaves the date-time of the notification empty, ``shape`` puts
    labels beside the values, as some meters do. ``random`` gives numbers from 0 to 1 for the randomised start.
    ``on_ended`` is told how each push ended. Values are those of the first attempt: attempts after it say the same,
    under the same invoke id.
    """

    def __init__(
        self,
        meter: SimulatedMeter,
        setups: Iterable[PushSetup] | None = None,
        *,
        server_sap: int = 1,
        sealer: PushSealer | None = None,
        framing: PushFraming | None = None,
        send_timeout: float = 30.0,
        confirm_timeout: float = 30.0,
        with_time: bool = True,
        shape: PushShape = PushShape.VALUES,
        random: Callable[[], float] = random.random,
        on_ended: Callable[[PushEnded], object] | None = None,
    ) -> None:
        self.meter = meter
        self._device = meter.devices[server_sap]
        self._sealer = sealer
        self._framing = PushFraming() if framing is None else framing
        self._send_timeout = send_timeout
        self._confirm_timeout = confirm_timeout
        self._with_time = with_time
        self._shape = shape
        self._random = random
        self._on_ended = on_ended
        self._schedules = ActionSchedules(meter, self._device)
        served = self._device.push_setups if setups is None else setups
        self._processes = {setup.obis: _Process(setup) for setup in served}
        self._called: list[PushSetup] = []
        self._outgoing: list[Delivery] = []
        self._numbers = 0
        self._invoke_id = 0
        self._next: float | None = None
        self._offset = meter.offset
        for process in self._processes.values():
            process.setup.on_push = self._call
            process.setup.on_reset = self._reset

    @property
    def setups(self) -> tuple[PushSetup, ...]:
        """The push setups that are served."""
        return tuple(process.setup for process in self._processes.values())

    def push(self, setup: PushSetup, now: float) -> None:
        """Start a push, as the method of the setup does; one that comes while another waits is that one."""
        self._call(setup)
        self.on_time(now)

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called: None for not at all."""
        return self._next

    def on_time(self, now: float) -> None:
        """Tell the time; also after a client has written to the meter, or called one of its methods."""
        if self.meter.offset != self._offset:  # the clock was set: windows open at other times
            self._offset = self.meter.offset
            for process in self._processes.values():
                if process.waits_for_window:
                    self._wait_for_start(process, now)
        self._schedules.run()
        called, self._called = self._called, []
        for setup in called:
            process = self._processes[setup.obis]
            if process.state is _State.IDLE:
                self._begin(process, now)
            else:
                process.again = True
        for process in self._processes.values():
            if process.due is not None and now >= process.due:
                self._on_due(process, now)
        self._next = self._deadline(now)

    def deliveries(self) -> list[Delivery]:
        """What is to be sent now."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def delivered(self, delivery: Delivery, now: float) -> float | None:
        """All octets have left (and the layer below has confirmed them, where that is wanted).

        Gives the point until which a confirmation is waited for, None where none is.
        """
        process = self._of(delivery)
        if process is None or process.state is not _State.SENDING:
            return None
        until = None
        if process.long_invoke_id is None:
            self._end(process, Outcome.SENT, now)
        else:
            process.state = _State.CONFIRMING
            process.due = until = now + self._confirm_timeout
        self.on_time(now)
        return until

    def failed(self, delivery: Delivery, reason: str, now: float) -> None:
        """It could not be sent, or the way broke before a confirmation came."""
        process = self._of(delivery)
        if process is None:
            return
        self._fail(process, reason, now)
        self.on_time(now)

    def received(self, delivery: Delivery, octets: bytes, now: float) -> bool:
        """Take what the client sends back; True once nothing more is waited for. Never raises because of the octets."""
        process = self._of(delivery)
        if process is None or process.reader is None:
            return True
        for item in process.reader.feed(octets):
            if isinstance(item, FrameError):
                self._fail(process, f"the client's answer makes no sense: {item}", now)
                break
            if self._confirms(process, item.apdu):
                process.setup.last_confirmation = self.meter.now()
                self._end(process, Outcome.CONFIRMED, now)
                break
        else:
            return False
        self.on_time(now)
        return True

    def close(self) -> None:
        """Give invocation counters back that were reserved and not used; it may go on afterwards."""
        if self._sealer is not None:
            self._sealer.close()

    # What calls for a push

    def _call(self, setup: PushSetup) -> None:
        if setup not in self._called:
            self._called.append(setup)

    def _reset(self, setup: PushSetup) -> None:
        process = self._processes[setup.obis]
        self._called = [called for called in self._called if called is not setup]
        self._outgoing = [delivery for delivery in self._outgoing if delivery.setup is not setup]
        process.again = False
        if process.state is not _State.IDLE:
            self._tell(process, Outcome.RESET, "")
            process.clear()

    def _begin(self, process: _Process, now: float) -> None:
        process.clear()
        process.again = False
        self._wait_for_start(process, now)

    def _wait_for_start(self, process: _Process, now: float) -> None:
        """Wait for a window to open, and then a random while."""
        options = process.setup.options
        opens = self._opening(options.windows, now)
        if opens is None:
            self._end(process, Outcome.GIVEN_UP, now, "no communication window opens any more")
            return
        process.state = _State.WAITING
        process.waits_for_window = opens > now
        process.due = opens + self._random() * options.randomisation

    def _opening(self, windows: tuple[Window, ...], now: float) -> float | None:
        """``now`` where a window is open, or there is none; else when the next one opens."""
        if not windows:
            return now
        clock = self.meter.now()
        opens: list[datetime] = []
        for window in windows:
            try:
                start = next_moment(window.start.time, window.start.date, clock, self.meter.zone)
                end = next_moment(window.end.time, window.end.date, clock, self.meter.zone)
            except ValueError as error:
                logger.warning("a communication window is left out: %s", error)
                continue
            if end is not None and (start is None or end <= start):
                return now
            if start is not None and end is not None:
                opens.append(start)
        return now + (min(opens) - clock).total_seconds() if opens else None

    # Attempts

    def _on_due(self, process: _Process, now: float) -> None:
        if process.state is _State.SENDING:
            self._fail(process, f"it was not sent within {self._send_timeout:g} s", now)
        elif process.state is _State.CONFIRMING:
            self._fail(process, f"the client did not confirm it within {self._confirm_timeout:g} s", now)
        else:
            opens = self._opening(process.setup.options.windows, now)
            if opens is None or opens > now:
                self._wait_for_start(process, now)
            else:
                self._attempt(process, now)

    def _attempt(self, process: _Process, now: float) -> None:
        setup = process.setup
        options = setup.options
        process.attempts += 1
        process.waits_for_window = False
        destination = options.destination
        if not destination.address:
            self._end(process, Outcome.GIVEN_UP, now, "it has no destination")
            return
        is_confirmable = destination.service in _CONFIRMABLE
        try:
            if process.apdu is None:
                process.apdu = self._notification(process)
            if process.long_invoke_id is not None and not is_confirmable:
                self._end(process, Outcome.GIVEN_UP, now, "only a push over TCP or UDP can be confirmed")
                return
            sealed = process.apdu
            if self._sealer is not None:
                sealed = self._sealer.seal(sealed, process.layers)
            elif process.layers:
                self._end(process, Outcome.GIVEN_UP, now, "the meter has no keys for the protection that is asked for")
                return
            frames = self._framing.frames(sealed, destination.service, self._device.sap, options.client_sap)
        except (DlmsError, ValueError, LookupError) as error:
            self._end(process, Outcome.GIVEN_UP, now, str(error))
            return
        except Exception:
            # A bug in an object of the meter must not end its other pushes.
            logger.exception("push %s could not be made", setup.obis)
            self._end(process, Outcome.GIVEN_UP, now, "an object of the meter failed")
            return
        self._numbers += 1
        process.number = self._numbers
        process.state = _State.SENDING
        is_confirmed = process.long_invoke_id is not None
        process.reader = WrapperReader(_MOST_CONFIRMATION) if is_confirmed else None
        longest = self._send_timeout + (self._confirm_timeout if is_confirmed else 0)
        process.due = now + self._send_timeout
        self._outgoing.append(
            Delivery(
                process.number,
                setup,
                destination,
                tuple(frames),
                now + longest,
                is_confirmed,
                options.method is OperationMethod.RETRY_WITHOUT_RECEIPT and destination.service == TransportService.TCP,
            )
        )

    def _notification(self, process: _Process) -> bytes:
        """The DataNotification, with the values of now."""
        setup = process.setup
        options = setup.options
        access = own_access(self.meter, self._device)
        process.layers = options.protection
        is_confirmed = setup.is_confirmed(access.now)
        self._invoke_id = (self._invoke_id + 1) & 0xFFFFFF
        process.long_invoke_id = self._invoke_id if is_confirmed else None
        first = options.objects[0] if options.objects else None
        describes_itself = first is not None and (first.class_id, first.obis, first.attribute) == (
            InterfaceClass.PUSH_SETUP,
            setup.obis,
            2,
        )
        invoke = long_invoke_number(
            self._invoke_id, is_confirmed, high_priority=False, self_descriptive=describes_itself
        )
        time = bytes(CosemDateTime.from_datetime(access.now)) if self._with_time else b""
        return DataNotification(invoke, time, push_body(access, options.objects, self._shape)).encode()

    def _confirms(self, process: _Process, octets: bytes) -> bool:
        try:
            plain = octets if self._sealer is None else self._sealer.open(octets, process.layers)
            apdu = decode_apdu(plain)
        except DlmsError as error:
            logger.warning("push %s: the client's answer was not taken: %s", process.setup.obis, error)
            return False
        return isinstance(apdu, DataNotificationConfirm) and apdu.long_invoke_id == process.long_invoke_id

    def _fail(self, process: _Process, reason: str, now: float) -> None:
        options = process.setup.options
        process.number = 0
        process.reader = None
        if process.attempts > options.retries:
            self._end(process, Outcome.GIVEN_UP, now, reason)
            return
        delay = options.delay.before(process.attempts)
        logger.info("push %s failed, again in %g s: %s", process.setup.obis, delay, reason)
        process.state = _State.WAITING
        process.due = now + delay

    def _end(self, process: _Process, outcome: Outcome, now: float, reason: str = "") -> None:
        self._tell(process, outcome, reason)
        again = process.again
        process.clear()
        process.again = False
        if again:
            self._begin(process, now)

    def _tell(self, process: _Process, outcome: Outcome, reason: str) -> None:
        setup = process.setup
        if outcome is Outcome.GIVEN_UP:
            logger.warning(
                "push %s to %s given up after %d attempts: %s",
                setup.obis,
                setup.options.destination,
                process.attempts,
                reason,
            )
        else:
            logger.debug("push %s: %s", setup.obis, outcome.value)
        if self._on_ended is not None:
            self._on_ended(PushEnded(setup, outcome, process.attempts, reason))

    def _of(self, delivery: Delivery) -> _Process | None:
        process = self._processes.get(delivery.setup.obis)
        return process if process is not None and process.number == delivery.number else None

    def _deadline(self, now: float) -> float | None:
        points = [process.due for process in self._processes.values() if process.due is not None]
        due = self._schedules.next_due()
        if due is not None:
            seconds = (due - self.meter.now()).total_seconds()
            points.append(now + min(max(seconds, 0.0), _LONGEST_SLEEP))
        return min(points, default=None)
