"""The OBIS table of gurux-dlms: its rows, with codes that fit them, and its words. Runs in its own environment."""

import json
import os

import gurux_dlms
from gurux_dlms.enums import ObjectType
from gurux_dlms.GXDLMSConverter import GXDLMSConverter

EVERYDAY = ("6", "7", "8")  # ways of processing (D) for which each quantity (C) is asked for by itself


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
        lines = stream.read().splitlines()
    for line in lines:
        fields = line.split(";")
        if len(fields) < 5:
            continue
        written = fields[0].split(".")
        groups = [numbers(group) for group in written]
        classes = [int(item) for item in fields[1].split(",") if item.isdecimal()]
        first = tuple(group[0] for group in groups)
        codes = [first, tuple(group[-1] for group in groups)]
        if written[0] == "1" and written[3] in EVERYDAY and written[4:] == ["0", "255"]:
            codes += [(*first[:2], c, *first[3:]) for c in groups[2]]
        for code in dict.fromkeys(codes):
            name = ".".join(map(str, code))
            words = " ".join(fields[4:7])
            if "$1" in words and classes:
                words = " ".join(converter.getDescription(name, ObjectType(classes[0])))
            print(json.dumps({"code": name, "row": fields[0], "classes": classes, "words": words}))


main()
