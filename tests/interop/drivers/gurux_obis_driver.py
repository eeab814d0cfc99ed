"""The OBIS table of gurux-dlms: each row with codes that fit it, and how the library describes them. Runs in its own environment."""

import json
import os

import gurux_dlms
from gurux_dlms.enums import ObjectType
from gurux_dlms.GXDLMSConverter import GXDLMSConverter


def numbers(text):
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main():
    table = os.path.join(os.path.dirname(gurux_dlms.__file__), "OBISCodes.txt")
    converter = GXDLMSConverter()
    with open(table, encoding="utf-8") as stream:
        for line in stream.read().splitlines():
            fields = line.split(";")
            if len(fields) < 5:
                continue
            groups = [numbers(group) for group in fields[0].split(".")]
            codes = {tuple(group[0] for group in groups), tuple(group[-1] for group in groups)}
            classes = [int(item) for item in fields[1].split(",") if item.isdecimal()]
            for code in sorted(codes):
                name = ".".join(map(str, code))
                known = [ObjectType(item) for item in classes[:1] if item in list(ObjectType)]
                described = converter.getDescription(name, known[0]) if known else []
                print(json.dumps({"code": name, "row": fields[0], "classes": classes, "words": " ".join(described)}))


main()
