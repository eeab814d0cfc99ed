"""Reads P1 texts with dsmr-parser: JSON on stdin (a list of questions), JSON on stdout (an answer each).

A question has the name of one of dsmr-parser's specifications and the text, or the encrypted text in hex and its keys.
An answer has its values (code, value and the type that it has there, unit, time, device), and the codes of lines that
the specification names and the parser refuses; or the error.
"""

import json
import logging
import re
import sys
from datetime import datetime

from dsmr_parser import parsers, telegram_specifications
from dsmr_parser.objects import ProfileGenericObject, Telegram

logging.disable(logging.CRITICAL)


class AllOf(Telegram):
    """A telegram that keeps each object it is given: by its names, the next of a kind takes the place of the last."""

    def __init__(self):
        super().__init__()
        self.objects = []

    def add(self, obis_reference, dsmr_object, obis_name):
        super().add(obis_reference, dsmr_object, obis_name)
        self.objects.append((obis_reference, dsmr_object))


def plain(value):
    """Exactly, as JSON has it: numbers in their digits, times in ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None else str(value)


def row(code, thing, value, unit=None, time=None, month=None):
    return {
        "code": code,
        "value": plain(value),
        "type": type(value).__name__,
        "unit": unit,
        "time": plain(time),
        "month": plain(month),
        "device": thing.obis_id_code[1] if thing.is_mbus_reading else 0,
    }


def rows_of(code, thing):
    if isinstance(thing, list):  # the highest demand of each month
        yield row(code, thing[0], len(thing))
        for peak in thing:
            yield row(code, peak, peak.value, peak.unit, peak.occurred, peak.datetime)
    elif isinstance(thing, ProfileGenericObject):
        yield row(code, thing, thing.buffer_length)
        for entry in thing.buffer:
            yield row(code, thing, entry.value, entry.unit, entry.datetime)
    elif hasattr(thing, "datetime"):
        yield row(code, thing, thing.value, thing.unit, thing.datetime)
    else:
        for value in thing.values:
            yield row(code, thing, value["value"], value["unit"])


def codes_of(reference, text):
    return [line.split("(")[0] for line in re.findall(reference, text, re.DOTALL | re.MULTILINE)]


def answer(question):
    specification = getattr(telegram_specifications, question["specification"])
    parser = parsers.TelegramParser(specification)
    keys = [question[name] for name in ("encryption_key", "authentication_key") if name in question]
    try:
        telegram = parser.parse(question["sealed" if keys else "text"], *keys)
    except Exception as error:
        return {"error": type(error).__name__}
    text, values, read = question["text"], [], []
    for reference, thing in telegram.objects:
        a, b = (thing[0] if isinstance(thing, list) else thing).obis_id_code
        (code,) = {code for code in codes_of(reference, text) if code.startswith(f"{a}-{b}:")}
        rows = list(rows_of(code, thing))
        if rows[0] not in values:  # a line that two objects of the specification match is read twice
            values += rows
        read.append((reference, code))
    known = [(item["obis_reference"], code) for item in specification["objects"]
             for code in codes_of(item["obis_reference"], text)]  # fmt: skip
    return {"values": values, "refused": sorted(code for reference, code in known if (reference, code) not in read)}


parsers.Telegram = AllOf
print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
