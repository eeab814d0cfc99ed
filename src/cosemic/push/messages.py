"""What comes of a telegram: a push with its readings, or the reason why there is none."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias, cast

from cosemic.codec.data import Data
from cosemic.codec.typed import Typed, Value
from cosemic.obis import ObisCode
from cosemic.push.telegrams import Dropped, Telegram
from cosemic.times import CosemDateTime


class Diagnosis(enum.Enum):
    """Why a telegram gives no readings; the value is what a user is told in short."""

    KEY_MISSING = "no key for this meter"
    KEY_LENGTH = "the key has the wrong length"
    EXAMPLE_KEY = "the key is a published example"
    WRONG_KEY_OR_TITLE = "wrong key or wrong system title"
    WRONG_AUTHENTICATION_KEY = "wrong authentication key"
    TRUNCATED = "the telegram is cut short"
    COUNTER_WENT_BACK = "the invocation counter did not rise"
    NOT_PROTECTED = "less protection than asked for"
    NOT_SUPPORTED = "a protection that cannot be opened here"
    DAMAGED = "the check sum does not hold"
    NO_PUSH = "an APDU that is no push"
    NOT_UNDERSTOOD = "octets that are no valid APDU"


class Label(enum.Enum):
    """Where the name of a reading comes from, the best first."""

    DEFINITION = "a push-object definition of the meter"
    OBJECT_LIST = "the object list in the push"
    PAIR = "the OBIS code beside the value"
    ATTRIBUTE = "the attribute descriptor of the service"
    LAYOUT = "a layout"
    TEXT = "the P1 text"


@dataclass(frozen=True, slots=True)
class Protection:
    """What protected a message. ``is_verified`` is False where no tag, or no right one, stood behind it."""

    system_title: bytes
    security_control: int
    invocation_counter: int
    is_verified: bool


@dataclass(frozen=True, slots=True)
class PushReading:
    """One value of a push.

    ``value`` is an exact Decimal where it is a number that scaler and unit are known of; otherwise the plain value as
    it came, text and times decoded where it is known that they are such. ``raw`` is what came. ``unit`` is the symbol,
    "" where there is none or it is not known; ``scaler`` None says that none is known. ``device`` is the channel of a
    device behind the meter (B of the code of an M-Bus device), 0 for the meter itself. ``time`` is that of the value,
    where it has one of its own.
    """

    name: str
    value: Value | Decimal | datetime
    unit: str = ""
    obis: ObisCode | None = None
    class_id: int | None = None
    attribute: int | None = None
    raw: Value = None
    scaler: int | None = None
    unit_code: int = 255
    time: datetime | CosemDateTime | None = None
    device: int = 0
    label: Label = Label.PAIR


class _Draft:
    """A reading that is being filled. It has the same slots and becomes one: a frozen one takes four times as long."""

    __slots__ = tuple(PushReading.__slots__)

    def __init__(
        self,
        name: str,
        value: Value | Decimal | datetime,
        unit: str,
        obis: ObisCode | None,
        class_id: int | None,
        attribute: int | None,
        raw: Value,
        scaler: int | None,
        unit_code: int,
        time: datetime | CosemDateTime | None,
        device: int,
        label: Label,
    ) -> None:
        self.name = name
        self.value = value
        self.unit = unit
        self.obis = obis
        self.class_id = class_id
        self.attribute = attribute
        self.raw = raw
        self.scaler = scaler
        self.unit_code = unit_code
        self.time = time
        self.device = device
        self.label = label
        self.__class__ = PushReading  # type: ignore[assignment]


make_reading: Final = cast("Callable[..., PushReading]", _Draft)
"""A reading from all of its fields, in their order; for inner loops, where many are made."""


@dataclass(frozen=True, slots=True)
class Push:
    """One message of a meter. ``readings`` are the values that have a name; ``tree`` has all of them, always.

    ``kind`` is the service: "data-notification", "event-notification", "information-report" or "p1-text".
    ``meter_id`` is what the message says of itself (a serial number, a logical device name), ``meter`` the name in the
    user's inventory. ``layout`` names the layout that was used. ``hint`` says in a sentence what would give more.
    ``notes`` tells of deviations from the standard that were borne.
    """

    kind: str
    readings: tuple[PushReading, ...]
    telegram: Telegram
    time: datetime | CosemDateTime | None = None
    body: Data | None = None
    protection: Protection | None = None
    meter_id: str | None = None
    meter: str | None = None
    layout: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    needs_confirmation: bool = False

    @property
    def tree(self) -> Typed | None:
        """All values with their types, as sent; None for text, and where the values are no valid A-XDR."""
        return None if self.body is None else self.body.typed

    @property
    def system_title(self) -> bytes | None:
        """The title of the sender, where the message has one."""
        return None if self.protection is None else self.protection.system_title


@dataclass(frozen=True, slots=True)
class Undecoded:
    """A telegram that gives no readings. ``text`` is the sentence for the user, with what to do; it has no secret."""

    diagnosis: Diagnosis
    text: str
    telegram: Telegram
    system_title: bytes | None = None
    invocation_counter: int | None = None
    meter: str | None = None


Decoded: TypeAlias = Push | Undecoded | Dropped
