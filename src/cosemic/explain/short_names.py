"""Short names in words, where the object list of the association was in the capture (IEC 62056-6-2, 4.1.2)."""

from __future__ import annotations

from bisect import bisect_right

from cosemic.apdu.services import MethodDescriptor
from cosemic.codec import axdr
from cosemic.cosem.model import class_name, interface_class
from cosemic.cosem.short_names import NamedObject, ShortNameTable, decode_named_objects, method_offset
from cosemic.errors import DlmsError
from cosemic.explain.values import obis_meaning
from cosemic.protocol.short_naming import ASSOCIATION_BASE_NAME

_STEP = 8
_MOST_OBJECTS = 1 << 14
_WITHIN_ASSOCIATION = 0x100


class ShortNames:
    """Which object stands at which base name. The association at FA00 is known from the start."""

    def __init__(self) -> None:
        self._objects: dict[int, NamedObject] = {}
        self._table = ShortNameTable()
        self._index()

    def learn(self, octets: bytes) -> int:
        """Take an encoded value; the number of objects when it is an object list, else 0."""
        if octets[:1] != b"\x01" or b"\x02\x04\x10" not in octets[:12]:
            return 0
        try:
            found = {item.base_name: item for item in decode_named_objects(axdr.decode(octets))}
        except (DlmsError, ValueError):
            return 0
        if len(found) + len(self._objects) <= _MOST_OBJECTS:
            self._objects |= found
            self._table.load(self._objects.values())
            self._index()
        return len(found)

    def describe(self, name: int) -> str:
        """``Clock 0-0:1.0.0*255 attribute 2 (time)``, or ``… method 1 (…)``; empty where no object list told."""
        number = name & 0xFFFF
        item = self._item(number)
        if item is None:
            return ""
        offset = number - item.base_name
        what = f"{class_name(item.class_id)} {obis_meaning(bytes(item.obis)).partition(' ')[0]}"
        if offset % _STEP:
            return f"{what}, {offset} octets behind its base name: neither attribute nor method"
        found = self._table.find(number)
        declared = interface_class(item.class_id, item.version)
        if isinstance(found, MethodDescriptor):
            return f"{what} method {found.method}" + _named(declared.method_name(found.method), "method", found.method)
        attribute = offset // _STEP + 1
        text = declared.attribute_name(attribute)
        if attribute > 1 and text == f"attribute {attribute}" and method_offset(item.class_id, item.version) is None:
            return f"{what}, offset 0x{offset:02X} behind its attributes: perhaps a method"
        return f"{what} attribute {attribute}" + _named(text, "attribute", attribute)

    def _index(self) -> None:
        self._by_base = {item.base_name: item for item in self._table.objects}
        self._bases = sorted(self._by_base)

    def _item(self, name: int) -> NamedObject | None:
        """The object with the nearest base name below."""
        place = bisect_right(self._bases, name)
        item = self._by_base[self._bases[place - 1]] if place else None
        if (
            item is not None
            and item.base_name == ASSOCIATION_BASE_NAME
            and name - item.base_name >= _WITHIN_ASSOCIATION
        ):
            return None
        return item


def _named(text: str, word: str, number: int) -> str:
    return "" if text == f"{word} {number}" else f" ({text})"
