"""Messages for the tests of outputs: small, and like those of meters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from cosemic.codec import axdr
from cosemic.codec.data import Data
from cosemic.obis import ObisCode
from cosemic.push.messages import Diagnosis, Protection, Push, PushReading, Undecoded
from cosemic.push.telegrams import Dropped, Framing, Telegram

TITLE = bytes.fromhex("4b464d1020300001")
MOMENT = datetime(2026, 3, 29, 10, 0, 0, 250_000, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Received:
    at: datetime
    source: str
    item: Push | Undecoded | Dropped


def reading(name: str, obis: str, value: object, unit: str = "", scaler: int | None = None, **more) -> PushReading:
    code = ObisCode.parse(obis)
    raw = int(value.scaleb(-scaler)) if isinstance(value, Decimal) and scaler is not None else value
    return PushReading(name, value, unit, code, 3, 2, raw, scaler, device=code.octets[1], **more)  # type: ignore[arg-type]


def energy(number: int = 0, *, meter: str | None = "cellar", at: datetime | None = None) -> Received:
    """A message of three readings whose energy rises with ``number``."""
    total = Decimal(1_234_567 + number)
    readings = (
        reading("Active energy import", "1-0:1.8.0", total, "Wh", 0),
        reading("Active power import", "1-0:1.7.0", Decimal(345 + number % 100), "W", 0),
        reading("Voltage L1", "1-0:32.7.0", Decimal(2301 + number % 10).scaleb(-1), "V", -1),
    )
    octets = b"\x0f" + number.to_bytes(4, "big") + b"\x00\x02\x03"
    push = Push(
        "data-notification",
        readings,
        Telegram(Framing.HDLC, octets, offset=number * 100),
        time=MOMENT,
        body=Data.of(axdr.structure(axdr.double_long_unsigned(int(total)))),
        protection=Protection(TITLE, 0x30, number + 1, True),
        meter_id="KFM0000001",
        meter=meter,
        layout=None,
    )
    return Received(at or MOMENT + timedelta(milliseconds=number), "/dev/ttyUSB0", push)


def undecoded(number: int = 0) -> Received:
    telegram = Telegram(Framing.HDLC, b"\xdb\x08" + TITLE, offset=number)
    text = "no key for this meter; give --ek"
    return Received(MOMENT, "tcp:127.0.0.1", Undecoded(Diagnosis.KEY_MISSING, text, telegram, TITLE, 7))


def dropped() -> Received:
    return Received(MOMENT, "/dev/ttyUSB0", Dropped("the check sum does not hold", b"\x7e\xa0", 12, Framing.HDLC))
