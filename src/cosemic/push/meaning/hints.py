"""What a push says of its meter, and what would give more of its values a name or a unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosemic.push.meaning.labelling import Labels, lacks_scaler
from cosemic.push.messages import PushReading

_NO_NAMES: Final = (
    "nothing in this push names its values: give the list of its objects, read from the meter (attribute 2 of its push "
    "setup), or a layout"
)
_LONGEST: Final = 64
_MOST: Final = 4


def hint_of(labels: Labels, doubts: list[str]) -> str | None:
    """What was doubtful and what is missing, in a sentence; None where nothing is."""
    texts = doubts if labels.items else [*doubts, _NO_NAMES]
    without = [item.obis for item in labels.items if lacks_scaler(item)]
    if without:
        number = "one value" if len(without) == 1 else f"{len(without)} values"
        texts = [
            *texts,
            f"scaler and unit of {number} are not known ({without[0]} is the first): a layout, or a model of the meter "
            "with its registers' scaler_unit, gives them",
        ]
    texts = [*texts, *labels.doubts]
    texts = list(dict.fromkeys(texts))
    if len(texts) > _MOST:
        texts[_MOST - 1 :] = [f"and {len(texts) - _MOST + 1} more of the kind"]
    return "; ".join(texts) or None


def identity_in(readings: Sequence[PushReading], number: int | None) -> str | None:
    """What the reading of that number tells of the meter: its text, its number or its octets in hex."""
    if number is None:
        return None
    value = readings[number].value
    if isinstance(value, bytes):
        return value[:_LONGEST].hex() or None
    if isinstance(value, str):
        return value.strip()[:_LONGEST] or None
    return str(value) if type(value) is int else None
