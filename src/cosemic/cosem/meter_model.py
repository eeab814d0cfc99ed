"""What a meter is made of, as a file: its objects, the rights of one association, the values that could be read.

A file is JSON (written) or TOML or JSON (read), for people to read, keep, edit and compare; ``meter.from_model`` makes
a simulated meter of it. What may be a secret by its name (``model.may_be_secret``) is not read.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cosemic.codec import text
from cosemic.codec.axdr import Data
from cosemic.cosem.access import ItemResult, MeterCache, Procedure, get_list
from cosemic.cosem.model import may_be_secret
from cosemic.cosem.object_list import ObjectEntry, right_from_words
from cosemic.enums import AccessRight, DataAccessResult, InterfaceClass
from cosemic.errors import DecodeError, ServiceError
from cosemic.obis import ObisCode

FORMAT = "cosemic meter model"
FORMAT_VERSION = 1

_BUFFER = (int(InterfaceClass.PROFILE_GENERIC), 2)
_OBJECT_LISTS = ((int(InterfaceClass.ASSOCIATION_LN), 2), (int(InterfaceClass.ASSOCIATION_SN), 2))
_AT_ONCE = 10
"""Attributes in one request; a meter that cannot answer so many at once is asked one by one."""


@dataclass(frozen=True, slots=True)
class ModelObject:
    """One object: its entry of the object list, what was read of it, and what the meter refused to tell."""

    entry: ObjectEntry
    values: Mapping[int, Data] = field(default_factory=dict, repr=False)
    refused: Mapping[int, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[int, ObisCode]:
        """Class id and OBIS code: what makes an object one of its kind in a logical device."""
        return self.entry.class_id, self.entry.obis


@dataclass(frozen=True, slots=True)
class MeterModel:
    """The objects that one association of a meter sees. ``about`` is free text: which meter, when, who."""

    objects: tuple[ModelObject, ...]
    about: str = ""

    def to_json(self) -> str:
        """The model as a file; ``from_text`` is the inverse."""
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "about": self.about,
            "objects": [_object_document(item) for item in self.objects],
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_text(cls, content: str) -> MeterModel:
        """From the text of a file, JSON or TOML; ValueError says where it is wrong and what belongs there."""
        document = _parsed(content)
        if document.get("format") != FORMAT:
            raise ValueError(f'this is no meter model: "format" must be "{FORMAT}", not {document.get("format")!r}')
        if document.get("format_version") != FORMAT_VERSION:
            version = document.get("format_version")
            raise ValueError(f"format_version {version!r} of a meter model is not known; {FORMAT_VERSION} is")
        objects = document.get("objects")
        if not isinstance(objects, list):
            raise ValueError('a meter model has "objects", a list')
        read = tuple(_model_object(item, f"object {number}") for number, item in enumerate(objects, start=1))
        seen: set[tuple[int, ObisCode]] = set()
        for item in read:
            if item.place in seen:
                raise ValueError(f"{item.entry.class_id}/{item.entry.obis} stands in the meter model twice")
            seen.add(item.place)
        return cls(read, str(document.get("about", "")))


def read_model(
    entries: Iterable[ObjectEntry],
    *,
    about: str = "",
    buffers: bool = False,
    with_list: bool = True,
    cache: MeterCache | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Procedure[MeterModel]:
    """Read the values of objects (the object list of the meter, or some of it).

    Attributes without the right to read, secrets and object lists are left out, and the buffers of profiles unless
    ``buffers``. What the meter refuses is noted and does not stop the rest. ``progress`` is called with (attributes
    done, all of them).
    """
    entries = list(entries)
    wanted = [
        (entry, attribute)
        for entry in entries
        for attribute in sorted(entry.attributes)
        if entry.may_read(attribute) and not _left_out(entry, attribute, buffers)
    ]
    values: dict[tuple[int, ObisCode], dict[int, Data]] = {}
    refused: dict[tuple[int, ObisCode], dict[int, str]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        results: Sequence[ItemResult] = yield from get_list(
            [(entry.class_id, entry.obis, attribute) for entry, attribute in part], with_list=with_list, cache=cache
        )
        for (entry, attribute), result in zip(part, results, strict=True):
            place = (entry.class_id, entry.obis)
            if result.data is not None:
                values.setdefault(place, {})[attribute] = result.data
            elif result.error is not None:
                refused.setdefault(place, {})[attribute] = _reason(result.error)
        if progress is not None:
            progress(min(start + _AT_ONCE, len(wanted)), len(wanted))
    return MeterModel(
        tuple(
            ModelObject(
                entry, values.get((entry.class_id, entry.obis), {}), refused.get((entry.class_id, entry.obis), {})
            )
            for entry in entries
        ),
        about,
    )


def _reason(error: ServiceError) -> str:
    code = getattr(error, "result", None)
    return code.name.lower().replace("_", "-") if isinstance(code, DataAccessResult) else str(error)


def _left_out(entry: ObjectEntry, attribute: int, buffers: bool) -> bool:
    place = (entry.class_id, attribute)
    if place in _OBJECT_LISTS or (place == _BUFFER and not buffers):
        return True
    return may_be_secret(entry.declaration.attribute_name(attribute))


# The file


def _object_document(item: ModelObject) -> dict[str, object]:
    entry = item.entry
    document: dict[str, object] = {
        "class_id": entry.class_id,
        "version": entry.version,
        "obis": str(entry.obis),
        "class": entry.class_name,
        "name": entry.name,
    }
    if entry.base_name is not None:
        document["base_name"] = entry.base_name
    document["attributes"] = {
        str(number): _attribute_document(item, number) for number in sorted({*entry.attributes, *item.values})
    }
    document["methods"] = {
        str(number): {"name": entry.declaration.method_name(number), "access": entry.method_rights(number)}
        for number in sorted(entry.methods)
    }
    return document


def _attribute_document(item: ModelObject, number: int) -> dict[str, object]:
    entry = item.entry
    document: dict[str, object] = {
        "name": entry.declaration.attribute_name(number),
        "access": entry.attribute_rights(number),
    }
    if number in entry.selectors:
        document["selectors"] = list(entry.selectors[number])
    if number in item.values:
        document |= _value_document(item.values[number])
    if number in item.refused:
        document["refused"] = item.refused[number]
    return document


def _value_document(data: Data) -> dict[str, object]:
    """The value in words where these mean exactly the same octets, else the octets."""
    try:
        document = text.to_document(data.typed)
        if Data.of(text.from_document(document)) == data:
            return document
    except (DecodeError, ValueError):
        pass
    return {"octets": data.octets.hex()}


def _parsed(content: str) -> Mapping[str, object]:
    try:
        if content.lstrip()[:1] == "{":
            document = json.loads(content)
        else:
            document = tomllib.loads(content)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"a meter model is a JSON or TOML file; this is neither: {error}") from None
    assert isinstance(document, dict)
    return document


def _model_object(document: object, where: str) -> ModelObject:
    if not isinstance(document, dict):
        raise ValueError(f"{where} is no table of class_id, version, obis, attributes, methods")
    try:
        obis = ObisCode.parse(str(document.get("obis")))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    where = f"{where} ({obis})"
    attributes: dict[int, AccessRight] = {}
    selectors: dict[int, tuple[int, ...]] = {}
    values: dict[int, Data] = {}
    refused: dict[int, str] = {}
    for number, part in _numbered(document.get("attributes", {}), f"{where}, attributes"):
        at = f"{where}, attribute {number}"
        attributes[number] = _right(part, at, attribute=True)
        accepted = part.get("selectors")
        if accepted is not None:
            if not isinstance(accepted, list) or not all(type(one) is int and 0 <= one <= 255 for one in accepted):
                raise ValueError(f"{at}: selectors are a list of numbers, not {accepted!r}")
            selectors[number] = tuple(accepted)
        if "type" in part or "octets" in part:
            values[number] = _value(part, at)
        if "refused" in part:
            refused[number] = str(part["refused"])
    methods = {
        number: _right(part, f"{where}, method {number}", attribute=False)
        for number, part in _numbered(document.get("methods", {}), f"{where}, methods")
    }
    base_name = document.get("base_name")
    entry = ObjectEntry(
        _number(document, "class_id", 0xFFFF, where),
        _number(document, "version", 0xFF, where),
        obis,
        attributes,
        methods,
        selectors,
        None if base_name is None else _number(document, "base_name", 0xFFFF, where),
    )
    return ModelObject(entry, values, refused)


def _numbered(tables: object, where: str) -> list[tuple[int, Mapping[str, object]]]:
    if not isinstance(tables, dict):
        raise ValueError(f"{where} are tables by number")
    numbered: list[tuple[int, Mapping[str, object]]] = []
    for key, part in tables.items():
        if not (key.isascii() and key.isdecimal() and 1 <= int(key) <= 127) or not isinstance(part, dict):
            raise ValueError(f"{where} are tables by number from 1 to 127, not {key!r}")
        numbered.append((int(key), part))
    return numbered


def _number(document: Mapping[str, object], key: str, most: int, where: str) -> int:
    value = document.get(key)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{where}: {key} is a number from 0 to {most}, not {value!r}")
    return value


def _right(part: Mapping[str, object], where: str, *, attribute: bool) -> AccessRight:
    words = part.get("access")
    if not isinstance(words, str):
        raise ValueError(f'{where} needs "access", such as "{"read and write" if attribute else "call"}"')
    try:
        return right_from_words(words, attribute=attribute)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _value(part: Mapping[str, object], where: str) -> Data:
    try:
        if "octets" in part:
            return Data.decode(bytes.fromhex(str(part["octets"])))
        return Data.of(text.from_document({key: part[key] for key in ("type", "value") if key in part}))
    except (ValueError, DecodeError) as error:
        raise ValueError(f"{where}: {error}") from None
