"""The push setup of the simulated meter (class 40, versions 0 to 2): what is pushed, where to, when and how often.

What is written is checked as a strict meter does: a value of another type is type-unmatched; one that the meter cannot
follow (a transport service that it does not have, an address that is none, XML, more objects than it takes) is
other-reason. The method push starts a push, reset gives up what is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.push_objects import (
    PUSH_SETUP,
    MessageType,
    OperationMethod,
    PushDestination,
    PushObject,
    RepetitionDelay,
    TransportService,
    Window,
    decode_push_objects,
    decode_windows,
    encode_push_objects,
    encode_windows,
)
from cosemic.enums import DataAccessResult, DataType, InterfaceClass
from cosemic.meter.model import Access
from cosemic.meter.objects import (
    CALL_MANAGER,
    Attribute,
    Getter,
    MeterObject,
    Method,
    Refusal,
    Rights,
    Setter,
    expect_integer,
    rights,
)
from cosemic.meter.push_protection import ProtectionLayer, decode_layers, encode_layers
from cosemic.meter.push_values import MOST_OBJECTS
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

SERVICES = frozenset((TransportService.TCP, TransportService.UDP, TransportService.HDLC, TransportService.M_BUS))
"""What the simulated meter can send by."""
PUSH_CLIENT = 103
"""The client that pushes go to unless the setup says otherwise; meters of Landis+Gyr and Kaifa push to it."""
MOST_WINDOWS = 32
_MOST_ADDRESS = 255
_WHO = rights("-", "r", "rw")
_SEEN = rights("-", "r", "r")
_NEVER = CosemDateTime()
_NOWHERE = PushDestination()
_TEN_SECONDS = RepetitionDelay(10)
_PORT = ObisCode(0, 0, 25, 0, 0, 255)


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What a push setup has in its attributes; times in seconds."""

    objects: tuple[PushObject, ...] = ()
    destination: PushDestination = _NOWHERE
    windows: tuple[Window, ...] = ()
    randomisation: int = 0
    retries: int = 0
    delay: RepetitionDelay = _TEN_SECONDS
    port_reference: ObisCode = _PORT
    client_sap: int = PUSH_CLIENT
    protection: tuple[ProtectionLayer, ...] = ()
    method: OperationMethod = OperationMethod.RETRY_ON_FAILURE
    confirmation_start: CosemDateTime = _NEVER
    confirmation_interval: int = 0


class PushSetup:
    """One push setup: its options, which clients write too, and what calls for a push.

    ``on_push`` and ``on_reset`` are called when a client or a script calls the methods; whoever sends sets them.
    """

    def __init__(
        self,
        options: PushOptions | None = None,
        *,
        obis: ObisCode = PUSH_SETUP,
        version: int = 1,
        who: Rights = _WHO,
        call: Rights = CALL_MANAGER,
    ) -> None:
        if version not in (0, 1, 2):
            raise ValueError(f"a push setup has version 0, 1 or 2 here, not {version}")
        self.options = PushOptions() if options is None else options
        self.obis = obis
        self.version = version
        self.last_confirmation: datetime | None = None
        self.on_push: Callable[[PushSetup], object] | None = None
        self.on_reset: Callable[[PushSetup], object] | None = None
        self._who = who
        self._call = call

    def __repr__(self) -> str:
        return f"<PushSetup {self.obis} version {self.version} to {self.options.destination}>"

    def is_confirmed(self, now: datetime) -> bool:
        """Whether a push at this time asks for a confirmation.

        Its operation method is "confirmed", the start date has come, and the last confirmation is older than the
        confirmation interval, where there is one. One from the time before the clock was set back does not count.
        """
        options = self.options
        if options.method is not OperationMethod.CONFIRMED:
            return False
        start = options.confirmation_start
        if start.year is not None:
            try:
                if now < start.to_datetime(now.tzinfo):
                    return False
            except ValueError:
                return False
        if not options.confirmation_interval or self.last_confirmation is None:
            return True
        age = (now - self.last_confirmation).total_seconds()
        return age < 0 or age >= options.confirmation_interval

    def meter_object(self) -> MeterObject:
        """The object that clients see."""
        attributes = {
            2: self._attribute(lambda: encode_push_objects(self.options.objects, self.version), self._write_objects),
            3: self._attribute(lambda: self.options.destination.typed(), self._write_destination),
            4: self._attribute(lambda: encode_windows(self.options.windows), self._write_windows),
            5: self._attribute(lambda: axdr.long_unsigned(self.options.randomisation), self._write_randomisation),
            6: self._attribute(lambda: axdr.unsigned(self.options.retries), self._write_retries),
            7: self._attribute(lambda: self.options.delay.typed(self.version), self._write_delay),
        }
        methods = {1: Method(self._push, self._call)}
        if self.version >= 1:
            attributes |= {
                8: self._attribute(lambda: axdr.octet_string(bytes(self.options.port_reference)), self._write_port),
                9: self._attribute(lambda: axdr.integer(self.options.client_sap), self._write_client),
                10: self._attribute(lambda: encode_layers(self.options.protection), self._write_protection),
            }
        if self.version >= 2:
            attributes |= {
                11: self._attribute(lambda: axdr.enum(self.options.method), self._write_method),
                12: self._attribute(self._confirmation, self._write_confirmation),
                13: self._attribute(self._confirmed_at, None),
            }
            methods[2] = Method(self._reset, self._call)
        return MeterObject(InterfaceClass.PUSH_SETUP, self.obis, self.version, attributes, methods)

    def _attribute(self, read: Callable[[], Typed], write: Setter | None) -> Attribute:
        getter: Getter = lambda access: read()  # noqa: E731
        return Attribute(getter, self._who if write is not None else _SEEN, write)

    def _confirmation(self) -> Typed:
        options = self.options
        return axdr.structure(
            axdr.date_time(options.confirmation_start), axdr.double_long_unsigned(options.confirmation_interval)
        )

    def _confirmed_at(self) -> Typed:
        last = self.last_confirmation
        return axdr.date_time(_NEVER if last is None else CosemDateTime.from_datetime(last))

    # What clients write

    def _write_objects(self, access: Access, data: Data) -> None:
        objects = decode_push_objects(data.value)
        if any(_sizes(self.version) != len(element.elements) for element in data.typed.elements):
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        if len(objects) > MOST_OBJECTS or any(item.attribute < 0 for item in objects):
            raise Refusal(DataAccessResult.OTHER_REASON)
        self.options = replace(self.options, objects=objects)

    def _write_destination(self, access: Access, data: Data) -> None:
        _expect(data, DataType.STRUCTURE, (DataType.ENUM, DataType.OCTET_STRING, DataType.ENUM))
        destination = PushDestination.from_value(data.value)
        check_destination(destination)
        self.options = replace(self.options, destination=destination)

    def _write_windows(self, access: Access, data: Data) -> None:
        windows = decode_windows(data.value)
        if len(windows) > MOST_WINDOWS:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self.options = replace(self.options, windows=windows)

    def _write_randomisation(self, access: Access, data: Data) -> None:
        self.options = replace(self.options, randomisation=_number(data, DataType.LONG_UNSIGNED))

    def _write_retries(self, access: Access, data: Data) -> None:
        self.options = replace(self.options, retries=_number(data, DataType.UNSIGNED))

    def _write_delay(self, access: Access, data: Data) -> None:
        if self.version < 2:
            _number(data, DataType.LONG_UNSIGNED)
        else:
            _expect(data, DataType.STRUCTURE, (DataType.LONG_UNSIGNED,) * 3)
        self.options = replace(self.options, delay=RepetitionDelay.from_value(data.value))

    def _write_port(self, access: Access, data: Data) -> None:
        value = data.value
        if not isinstance(value, bytes) or len(value) != 6:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        self.options = replace(self.options, port_reference=ObisCode.from_bytes(value))

    def _write_client(self, access: Access, data: Data) -> None:
        client = _number(data, DataType.INTEGER)
        if client < 0:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self.options = replace(self.options, client_sap=client)

    def _write_protection(self, access: Access, data: Data) -> None:
        layers = decode_layers(data.value)
        self.options = replace(self.options, protection=layers)

    def _write_method(self, access: Access, data: Data) -> None:
        try:
            method = OperationMethod(_number(data, DataType.ENUM))
        except ValueError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None
        self.options = replace(self.options, method=method)

    def _write_confirmation(self, access: Access, data: Data) -> None:
        match data.value:
            case (bytes(octets), int(interval)) if len(octets) == 12:
                start = CosemDateTime.from_bytes(octets)
            case (CosemDateTime() as start, int(interval)):
                pass
            case _:
                raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        if data.typed.elements[1].type is not DataType.DOUBLE_LONG_UNSIGNED:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        self.options = replace(self.options, confirmation_start=start, confirmation_interval=interval)

    # Methods

    def _push(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        if self.on_push is None or not self.options.objects or not self.options.destination.address:
            raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
        self.on_push(self)

    def _reset(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        self.last_confirmation = None
        if self.on_reset is not None:
            self.on_reset(self)


def check_destination(destination: PushDestination) -> None:
    """Refusal for a destination that the meter cannot send to; an empty address turns pushes off.

    By HDLC and M-Bus it may be the name of a line that the meter has, letters and digits, instead of ``host:port``.
    """
    if destination.service not in SERVICES or destination.message != MessageType.A_XDR:
        raise Refusal(DataAccessResult.OTHER_REASON)
    if not destination.address:
        return
    is_line = destination.service in (TransportService.HDLC, TransportService.M_BUS)
    if is_line and b":" not in destination.address and destination.address.isalnum():
        return  # the name of a line
    try:
        host_and_port(destination)
    except ValueError:
        raise Refusal(DataAccessResult.OTHER_REASON) from None


def host_and_port(destination: PushDestination) -> tuple[str, int]:
    """Host and port of an address ``host:port``, ``[v6]:port`` too; ValueError for anything else."""
    try:
        text = destination.address.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("a destination is text: host:port") from None
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"a destination is host:port, or [address]:port for IPv6, not {text!r}")
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    if not colon or not host or not is_number or not 0 < int(port) <= 0xFFFF or len(text) > _MOST_ADDRESS:
        raise ValueError(f"a destination is host:port, not {text!r}")
    if any(not 0x20 < ord(letter) < 0x7F for letter in host):
        raise ValueError(f"{host!r} is no name of a host")
    return host, int(port)


def _sizes(version: int) -> int:
    return 4 + version


def _number(data: Data, kind: DataType) -> int:
    typed = data.typed
    if typed.type is not kind or not isinstance(typed.value, int):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return typed.value


def _expect(data: Data, kind: DataType, elements: Iterable[DataType]) -> None:
    typed = data.typed
    if typed.type is not kind or [element.type for element in typed.elements] != list(elements):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
