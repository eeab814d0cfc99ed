"""The JSON document of one message: what every output gets, with keys that stay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, Protocol, TypedDict, cast

from cosemic.codec.text import to_document as typed_document
from cosemic.codec.typed import BitString
from cosemic.delivery.exact_json import Plain
from cosemic.obis import ObisCode
from cosemic.push.messages import Push, PushReading, Undecoded
from cosemic.push.telegrams import Dropped
from cosemic.times import CosemDate, CosemDateTime, CosemTime


class Message(Protocol):
    """What a listener hands on: one message, when it came (aware) and from where."""

    @property
    def at(self) -> datetime:
        """When it was complete, with a zone."""

    @property
    def source(self) -> str:
        """Where it came from, as the user named it: a port, an address, a file."""

    @property
    def item(self) -> Push | Undecoded | Dropped:
        """What it is."""


class ReadingDocument(TypedDict):
    """One value. ``value`` is exact; octets are lower-case hex, times ISO 8601; ``label`` says whence the name is.

    ``obis`` is dotted, ``1.0.1.8.0.255``, as ``cosemic read --json`` writes it.
    """

    name: str
    obis: str | None
    class_id: int | None
    attribute: int | None
    value: Plain
    unit: str
    raw: Plain
    scaler: int | None
    time: str | None
    device: int
    label: str


class Document(TypedDict):
    """One message; every key is always there.

    ``id`` is its own and sorts by time. ``kind`` is that of the push, "undecoded" or "dropped"; with these two
    ``error`` says what is wrong, and ``diagnosis`` is a short name for it. ``verified`` is null where nothing protected
    the message. ``values`` is the tree of all values with their types, where the readings do not name all of them.
    """

    id: str
    received: str
    source: str
    meter: str | None
    meter_id: str | None
    system_title: str | None
    invocation_counter: int | None
    verified: bool | None
    kind: str
    layout: str | None
    time: str | None
    readings: list[ReadingDocument]
    hint: str | None
    notes: list[str]
    values: Plain
    error: str | None
    diagnosis: str | None


class Identities:
    """Gives ids that rise strictly, also for messages that came in the same microsecond or with a clock set back."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def of(self, message: Message) -> str:
        """The id of one more message: its time in microseconds and a hash of what it is, 31 characters."""
        moment = max(_microseconds(message.at), self._last + 1)
        self._last = moment
        return _identity(moment, message)


def to_document(message: Message, *, identity: str | None = None, with_values: bool | None = None) -> Document:
    """The document of a message.

    ``identity`` is its id; without one it is made of the time, the source and the octets, and is the same each time.
    ``with_values`` gives the tree of values always or never; by default where there are values without a reading.
    """
    item = message.item
    document: Document = {
        "id": identity or _identity(_microseconds(message.at), message),
        "received": message.at.isoformat(),
        "source": message.source,
        "meter": None,
        "meter_id": None,
        "system_title": None,
        "invocation_counter": None,
        "verified": None,
        "kind": "dropped",
        "layout": None,
        "time": None,
        "readings": [],
        "hint": None,
        "notes": [],
        "values": None,
        "error": None,
        "diagnosis": None,
    }
    if isinstance(item, Push):
        _add_push(document, item, with_values)
    elif isinstance(item, Undecoded):
        document["kind"] = "undecoded"
        document["meter"] = item.meter
        document["system_title"] = None if item.system_title is None else item.system_title.hex()
        document["invocation_counter"] = item.invocation_counter
        document["error"] = item.text
        document["diagnosis"] = _hyphenated(item.diagnosis.name)
    else:
        document["error"] = item.reason
        document["diagnosis"] = "dropped"
    return document


def stream_of(document: Document) -> str:
    """Whose message it is, as well as it is known: the meter's name, its own id, its system title, or the source."""
    return document["meter"] or document["meter_id"] or document["system_title"] or document["source"]


def manufacturer_of(system_title: str | None) -> str | None:
    """The three letters of the maker (FLAG id) that a system title begins with (IEC 62056-5-3, 4.3.4)."""
    if system_title is None or len(system_title) < 6:
        return None
    try:
        letters = bytes.fromhex(system_title[:6]).decode("ascii")
    except ValueError:
        return None
    return letters if letters.isalpha() and letters.isupper() else None


def plain_of(value: object) -> Plain:
    """A value of a push as JSON holds it: octets as hex, times as ISO 8601, arrays and structures as lists."""
    writer = _PLAIN.get(type(value))
    if writer is not None:
        return writer(value)
    for kind, other in _PLAIN.items():  # subclasses, such as the enums of the standard
        if isinstance(value, kind):
            return other(value)
    return str(value)


def _add_push(document: Document, push: Push, with_values: bool | None) -> None:
    protection = push.protection
    document["kind"] = push.kind
    document["meter"] = push.meter
    document["meter_id"] = push.meter_id
    document["layout"] = push.layout
    document["time"] = _time(push.time)
    document["readings"] = [_reading(reading) for reading in push.readings]
    document["hint"] = push.hint
    document["notes"] = list(push.notes)
    if protection is not None:
        document["system_title"] = protection.system_title.hex() or None
        document["invocation_counter"] = protection.invocation_counter
        document["verified"] = protection.is_verified
    if with_values is None:
        with_values = not push.readings or push.hint is not None
    if with_values and push.tree is not None:
        document["values"] = cast("Plain", typed_document(push.tree))


def _reading(reading: PushReading) -> ReadingDocument:
    obis = reading.obis
    return {
        "name": reading.name,
        "obis": None if obis is None else obis.dotted,
        "class_id": reading.class_id,
        "attribute": reading.attribute,
        "value": plain_of(reading.value),
        "unit": reading.unit,
        "raw": plain_of(reading.raw),
        "scaler": reading.scaler,
        "time": _time(reading.time),
        "device": reading.device,
        "label": _hyphenated(reading.label.name),
    }


def _time(moment: datetime | CosemDateTime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _hyphenated(name: str) -> str:
    return name.lower().replace("_", "-")


def _microseconds(moment: datetime) -> int:
    return max(0, (moment - _EPOCH) // _MICROSECOND) if moment.tzinfo else _microseconds(moment.replace(tzinfo=UTC))


def _identity(moment: int, message: Message) -> str:
    item = message.item
    octets, offset = (item.octets, item.offset) if isinstance(item, Dropped) else _place(item)
    content = hashlib.blake2b(octets, digest_size=8, salt=offset.to_bytes(8, "big") + b"cosemic1")
    content.update(f"\n{message.source}".encode("utf-8", "surrogatepass"))
    return f"{moment:014x}-{content.hexdigest()}"


def _place(item: Push | Undecoded) -> tuple[bytes, int]:
    return item.telegram.octets, item.telegram.offset & (1 << 63) - 1


def _itself(value: Plain) -> Plain:
    return value


def _iso(value: datetime | date | time | CosemDateTime | CosemDate | CosemTime) -> str:
    return value.isoformat()


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = datetime.resolution
_PLAIN: Final[dict[type, Callable[..., Plain]]] = {
    type(None): _itself,
    bool: _itself,
    str: _itself,
    int: int,
    float: lambda value: value if value - value == 0 else None,
    Decimal: lambda value: value if value.is_finite() else None,
    bytes: bytes.hex,
    bytearray: bytearray.hex,
    BitString: str,
    ObisCode: str,
    datetime: _iso,
    date: _iso,
    time: _iso,
    CosemDateTime: _iso,
    CosemDate: _iso,
    CosemTime: _iso,
    tuple: lambda value: [plain_of(item) for item in value],
    list: lambda value: [plain_of(item) for item in value],
}
