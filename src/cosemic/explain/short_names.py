"""Short names in words, where the object list of the association was in the capture (IEC 62056-6-2, 4.1.2)."""

from __future__ import annotations

from bisect import bisect_right

from cosemic.codec import axdr
from cosemic.cosem.model import class_name, interface_class
from cosemic.errors import DlmsError
from cosemic.explain.values import obis_meaning

ASSOCIATION = 0xFA00
_STEP = 8
_MOST_OBJECTS = 1 << 14


class ShortNames:
    """Which object stands at which base name. The association at FA00 is known from the start."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[int, int, bytes]] = {ASSOCIATION: (12, 0, bytes((0, 0, 40, 0, 0, 255)))}
        self._bases = [ASSOCIATION]

    def learn(self, octets: bytes) -> int:
        """Take an encoded value; the number of objects when it is an object list, else 0."""
        if octets[:1] != b"\x01" or b"\x02\x04\x10" not in octets[:12]:
            return 0
        try:
            value = axdr.decode(octets)
        except DlmsError:
            return 0
        found: dict[int, tuple[int, int, bytes]] = {}
        for element in value if isinstance(value, list) else ():
            match element:
                case (int(base), int(class_id), int(version), bytes(name)) if len(name) == 6:
                    found[int(base) & 0xFFFF] = (int(class_id), int(version), name)
                case _:
                    return 0
        if len(found) + len(self._objects) <= _MOST_OBJECTS:
            self._objects |= found
            self._bases = sorted(self._objects)
        return len(found)

    def describe(self, name: int) -> str:
        """``Clock 0-0:1.0.0*255 attribute 2 (time)``; empty where no object list told."""
        place = bisect_right(self._bases, name & 0xFFFF)
        if not place:
            return ""
        base = self._bases[place - 1]
        class_id, version, obis = self._objects[base]
        offset = (name & 0xFFFF) - base
        if base == ASSOCIATION and offset >= 0x100:
            return ""
        what = f"{class_name(class_id)} {obis_meaning(obis).partition(' ')[0]}"
        number = offset // _STEP + 1
        declared = interface_class(class_id, version)
        attribute = declared.attribute_name(number)
        if offset % _STEP:
            return f"{what}, {offset} octets behind its base name: no attribute"
        if attribute == f"attribute {number}" and number > 1:
            return f"{what}, offset 0x{offset:02X} behind its attributes: a method"
        return f"{what} attribute {number}" + (f" ({attribute})" if attribute != f"attribute {number}" else "")
