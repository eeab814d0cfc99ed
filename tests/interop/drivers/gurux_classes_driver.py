"""Prints what gurux-dlms knows of interface classes: id, version, attribute types, number of methods; one line each.

Versions 0 to 4 are asked for each class: the library answers for any, by the newest that it knows.
"""

import json

from gurux_dlms._GXObjectFactory import _GXObjectFactory
from gurux_dlms.enums import ObjectType


def types_of(item):
    for number in range(1, item.getAttributeCount() + 1):
        try:
            yield int(item.getDataType(number))
        except Exception:
            yield 0


for code in ObjectType:
    item = _GXObjectFactory.createObject(code)
    if item is None or type(item).__name__ == "GXDLMSObject":
        continue
    for version in range(5):
        item.version = version
        types = list(types_of(item))
        print(json.dumps({"id": int(code), "version": version, "types": types, "methods": item.getMethodCount()}))
