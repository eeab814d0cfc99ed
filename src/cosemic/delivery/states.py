"""The newest values of each meter, as they stand under its topic: what came last of every reading, with the last id."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from cosemic.delivery.documents import Document, ReadingDocument
from cosemic.delivery.exact_json import Plain, dumps, loads
from cosemic.delivery.names import code_slug, meter_slug, reading_slug

METERS: Final = 100_000
"""As many meters are kept in memory, those heard last."""
READINGS: Final = 400
"""As many readings of one meter have a place in its state."""


@dataclass(slots=True)
class Identity:
    """What is known of a meter by any of its messages: not each of them says everything."""

    name: str | None = None
    meter_id: str | None = None
    system_title: str | None = None

    def take(self, document: Document) -> None:
        """Learn from a message."""
        self.name = document["meter"] or self.name
        self.meter_id = document["meter_id"] or self.meter_id
        self.system_title = document["system_title"] or self.system_title


class MeterState:
    """One meter: ``last`` is the id of the message that is in it, ``readings`` values by their names.

    ``announced`` is for those who tell others of readings: what they have told, by the code of the reading.
    """

    __slots__ = ("_keys", "announced", "document", "identity", "last", "meter", "readings")

    def __init__(self, meter: str) -> None:
        self.meter = meter
        self.identity = Identity()
        self.announced: dict[str, tuple[object, ...]] = {}
        self.last: str | None = None
        self.readings: dict[str, Plain] = {}
        self.document: Document | None = None
        self._keys: dict[str, str] = {}

    def take(self, document: Document) -> list[tuple[str, ReadingDocument]]:
        """Take a message in; its readings with the names that they have here."""
        self.last = document["id"]
        self.document = document
        self.identity.take(document)
        named = [(self.key(reading), reading) for reading in document["readings"]]
        kept: list[tuple[str, ReadingDocument]] = []
        for key, reading in named:
            if key in self.readings or len(self.readings) < READINGS:
                self.readings[key] = reading["value"]
                kept.append((key, reading))
        return kept

    def key(self, reading: ReadingDocument) -> str:
        """The name of a reading, with its code where another one has the same name."""
        code = code_slug(reading)
        key = self._keys.get(code)
        if key is None:
            key = reading_slug(reading)
            if key in self._keys.values():
                key = f"{key}_{code}"
            if len(self._keys) < READINGS:
                self._keys[code] = key
        return key

    def text(self) -> str:
        """The state as JSON."""
        document = self.document
        return dumps(
            {
                "id": self.last,
                "received": document and document["received"],
                "time": document and document["time"],
                "meter": document and (document["meter"] or document["meter_id"]),
                "verified": document and document["verified"],
                "readings": self.readings,
                "error": document and document["error"],
                "diagnosis": document and document["diagnosis"],
            }
        )

    def restore(self, text: bytes) -> str | None:
        """Take up what stands under the topic; the id of the message in it. What is newer here stays."""
        try:
            state = loads(text)
        except ValueError:
            return None
        if not isinstance(state, dict):
            return None
        readings = state.get("readings")
        if isinstance(readings, dict) and self.last is None:
            self.readings = {str(key): value for key, value in list(readings.items())[:READINGS] if _is_small(value)}
        last = state.get("id")
        return last if isinstance(last, str) else None


class MeterStates:
    """All meters that were heard, the one heard longest ago forgotten first."""

    def __init__(self, most: int = METERS) -> None:
        self._most = most
        self._states: OrderedDict[str, MeterState] = OrderedDict()

    def of(self, document: Document) -> MeterState:
        """The state of the meter that a message is from."""
        return self.named(meter_slug(document))

    def named(self, meter: str) -> MeterState:
        """The state of a meter by its short name."""
        state = self._states.get(meter)
        if state is None:
            state = self._states[meter] = MeterState(meter)
            if len(self._states) > self._most:
                self._states.popitem(last=False)
        else:
            self._states.move_to_end(meter)
        return state

    def __len__(self) -> int:
        return len(self._states)


def _is_small(value: Plain) -> bool:
    return value is None or isinstance(value, bool | int | float | Decimal | str | list)
