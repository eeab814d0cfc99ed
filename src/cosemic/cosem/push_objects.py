"""What a push setup (class 40) is made of: push objects, destination, windows, delays (IEC 62056-6-2, 4.4.8).

============================  ===========  ===========  ======================================
in the push object list       version 0    version 1    version 2
============================  ===========  ===========  ======================================
class, name, attribute, data  yes          yes          yes
restriction of the rows       no           yes          yes
columns                       no           no           yes
repetition delay              seconds      seconds      least, exponent in hundredths, most
============================  ===========  ===========  ======================================
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed, Value
from cosemic.cosem.selection import CaptureObject
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime

PUSH_SETUP = ObisCode(0, 0, 25, 9, 0, 255)
PUSH_SCRIPTS = ObisCode(0, 0, 10, 0, 108, 255)
PUSH_SCHEDULE = ObisCode(0, 0, 15, 0, 4, 255)


class TransportService(enum.IntEnum):
    """How a push travels."""

    TCP = 0
    UDP = 1
    FTP = 2
    SMTP = 3
    SMS = 4
    HDLC = 5
    M_BUS = 6
    ZIGBEE = 7
    GATEWAY = 8


class MessageType(enum.IntEnum):
    """What a push is written in; from 128 on the maker's own."""

    A_XDR = 0
    XML = 1


class OperationMethod(enum.IntEnum):
    """What counts as a failure of a push, after which it is sent again."""

    RETRY_ON_FAILURE = 0
    """Unconfirmed; the layer below says that it failed."""
    RETRY_WITHOUT_RECEIPT = 1
    """Unconfirmed; the layer below does not confirm it."""
    CONFIRMED = 2
    """The client does not confirm it."""


class RestrictionType(enum.IntEnum):
    """Which rows of a profile are pushed."""

    NONE = 0
    DATE = 1
    ENTRY = 2


@dataclass(frozen=True, slots=True)
class Restriction:
    """The rows of a profile that are pushed: from a time to a time, or from an entry to an entry."""

    kind: RestrictionType = RestrictionType.NONE
    first: CosemDateTime | int | None = None
    last: CosemDateTime | int | None = None

    @classmethod
    def from_value(cls, value: object) -> Restriction:
        """From {type, null-data or {from, to}}; DecodeError for anything else."""
        match value:
            case (0, _):
                return cls()
            case (1, (bytes(first), bytes(last))):
                return cls(RestrictionType.DATE, _moment(first), _moment(last, at_end=True))
            case (2, (int(first), int(last))) if 0 <= first <= 0xFFFFFFFF and 0 <= last <= 0xFFFFFFFF:
                return cls(RestrictionType.ENTRY, int(first), int(last))
        raise DecodeError(f"a restriction is a structure of a type (0 to 2) and its limits, not {value!r}")

    def typed(self) -> Typed:
        """The structure to send."""
        limits = axdr.null_data()
        if isinstance(self.first, CosemDateTime) and isinstance(self.last, CosemDateTime):
            limits = axdr.structure(axdr.octet_string(bytes(self.first)), axdr.octet_string(bytes(self.last)))
        elif isinstance(self.first, int) and isinstance(self.last, int):
            limits = axdr.structure(axdr.double_long_unsigned(self.first), axdr.double_long_unsigned(self.last))
        return axdr.structure(axdr.enum(self.kind), limits)


_WHOLE = Restriction()


@dataclass(frozen=True, slots=True)
class PushObject:
    """One value of a push: an attribute (0: all of them), or one element of it (``data_index`` from 1)."""

    class_id: int
    obis: ObisCode
    attribute: int = 2
    data_index: int = 0
    restriction: Restriction = _WHOLE
    columns: tuple[CaptureObject, ...] = ()

    @classmethod
    def from_value(cls, value: object) -> PushObject:
        """From the decoded structure of any version; DecodeError for anything else."""
        match value:
            case (class_id, name, attribute, data_index, *more) if len(more) <= 2:
                target = CaptureObject.from_value((class_id, name, attribute, data_index))
                restriction = Restriction.from_value(more[0]) if more else Restriction()
                columns: tuple[CaptureObject, ...] = ()
                if len(more) == 2:
                    if not isinstance(more[1], list):
                        raise DecodeError(f"the columns of a push object are an array, not {more[1]!r}")
                    columns = tuple(CaptureObject.from_value(column) for column in more[1])
                return cls(target.class_id, target.obis, target.attribute, target.data_index, restriction, columns)
        raise DecodeError(f"a push object is a structure of 4 to 6 elements, not {value!r}")

    def typed(self, version: int = 0) -> Typed:
        """The structure to send, as that version of the class has it."""
        parts = [
            axdr.long_unsigned(self.class_id),
            axdr.octet_string(bytes(self.obis)),
            axdr.integer(self.attribute),
            axdr.long_unsigned(self.data_index),
        ]
        if version >= 1:
            parts.append(self.restriction.typed())
        if version >= 2:
            parts.append(axdr.array(*(column.typed() for column in self.columns)))
        return axdr.structure(*parts)


def decode_push_objects(value: Value) -> tuple[PushObject, ...]:
    """push_object_list, of any version. DecodeError for what is none."""
    if not isinstance(value, list):
        raise DecodeError(f"a push object list is an array, not {value!r}")
    return tuple(PushObject.from_value(element) for element in value)


def encode_push_objects(objects: Iterable[PushObject], version: int = 0) -> Typed:
    """push_object_list."""
    return axdr.array(*(item.typed(version) for item in objects))


@dataclass(frozen=True, slots=True)
class PushDestination:
    """send_destination_and_method; ``address`` is the text that the transport service wants, ``host:port`` mostly."""

    service: int = TransportService.TCP
    address: bytes = b""
    message: int = MessageType.A_XDR

    @classmethod
    def from_value(cls, value: object) -> PushDestination:
        """From the decoded structure; DecodeError for anything else."""
        match value:
            case (int(service), bytes(address), int(message)):
                return cls(int(service), address, int(message))
        raise DecodeError(f"a destination is a structure of service, destination and message type, not {value!r}")

    def typed(self) -> Typed:
        """The structure to send."""
        return axdr.structure(axdr.enum(self.service), axdr.octet_string(self.address), axdr.enum(self.message))

    def __str__(self) -> str:
        try:
            name = TransportService(self.service).name.lower().replace("_", "-")
        except ValueError:
            name = f"service {self.service}"
        return f"{name} {self.address.decode('ascii', 'backslashreplace') or '(nowhere)'}"


@dataclass(frozen=True, slots=True)
class Window:
    """When pushes may be sent: from each ``start`` to the next ``end``; both may have wildcards."""

    start: CosemDateTime
    end: CosemDateTime


def decode_windows(value: Value) -> tuple[Window, ...]:
    """communication_window; DecodeError for what is none."""
    if not isinstance(value, list):
        raise DecodeError(f"communication windows are an array, not {value!r}")
    windows = []
    for element in value:
        match element:
            case (bytes(start), bytes(end)) if len(start) == len(end) == 12:
                windows.append(Window(CosemDateTime.from_bytes(start), CosemDateTime.from_bytes(end)))
            case (CosemDateTime() as first, CosemDateTime() as last):
                windows.append(Window(first, last))
            case _:
                raise DecodeError(f"a communication window is a structure of two date-times, not {element!r}")
    return tuple(windows)


def encode_windows(windows: Iterable[Window]) -> Typed:
    """communication_window."""
    return axdr.array(
        *(
            axdr.structure(axdr.octet_string(bytes(window.start)), axdr.octet_string(bytes(window.end)))
            for window in windows
        )
    )


@dataclass(frozen=True, slots=True)
class RepetitionDelay:
    """Seconds between attempts: ``least`` times (``exponent`` / 100) to the power of the retry, ``most`` at most."""

    least: int = 0
    exponent: int = 100
    most: int = 0xFFFF

    @classmethod
    def from_value(cls, value: object) -> RepetitionDelay:
        """From seconds (versions 0 and 1) or a structure of three (version 2); DecodeError for anything else."""
        match value:
            case bool():
                pass
            case int(seconds) if 0 <= seconds <= 0xFFFF:
                return cls(int(seconds))
            case (int(least), int(exponent), int(most)) if all(0 <= part <= 0xFFFF for part in (least, exponent, most)):
                return cls(int(least), int(exponent), int(most))
        raise DecodeError(f"a repetition delay is a number of seconds, or a structure of three numbers, not {value!r}")

    def typed(self, version: int = 0) -> Typed:
        """What to send, as that version of the class has it."""
        if version < 2:
            return axdr.long_unsigned(self.least)
        return axdr.structure(
            axdr.long_unsigned(self.least), axdr.long_unsigned(self.exponent), axdr.long_unsigned(self.most)
        )

    def before(self, retry: int) -> float:
        """Seconds to wait before a retry, the first is 1."""
        factor = self.exponent / 100
        seconds = float(self.least)
        for _ in range(min(retry - 1, 255)):
            seconds *= factor
            if seconds >= self.most:
                break
        return max(0.0, min(seconds, float(self.most)))


def _moment(octets: bytes, *, at_end: bool = False) -> CosemDateTime:
    """A date-time; of a date alone its first moment, or its last."""
    if len(octets) == 12:
        return CosemDateTime.from_bytes(octets)
    if len(octets) == 5:
        day = CosemDate.from_bytes(octets)
        hour, minute, second = (23, 59, 59) if at_end else (0, 0, 0)
        return CosemDateTime(day.year, day.month, day.day, day.weekday, hour, minute, second, 0)
    raise DecodeError(f"a date-time has 12 octets and a date 5, not {len(octets)}")
