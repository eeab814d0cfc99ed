"""Short names in words: attributes and methods, before and after the object list was seen."""

from __future__ import annotations

import pytest

from cosemic import blocking
from cosemic.codec import axdr
from cosemic.cosem.short_names import NamedObject, encode_named_objects
from cosemic.explain import explain_text
from cosemic.explain.short_names import ShortNames
from cosemic.meter.demo import BY_SHORT_NAMES, PUBLIC_CLIENT, demo_meter
from cosemic.meter.server import running
from cosemic.obis import ObisCode

OBJECTS = [
    NamedObject(0x0100, 8, 0, ObisCode.parse("0-0:1.0.0*255")),
    NamedObject(0x0300, 3, 0, ObisCode.parse("1-0:1.8.0*255")),
    NamedObject(0x0400, 1, 0, ObisCode.parse("0-0:42.0.0*255")),
    NamedObject(0x0500, 7, 1, ObisCode.parse("1-0:99.1.0*255")),
    NamedObject(0xFA00, 12, 2, ObisCode.parse("0-0:40.0.0*255")),
]


@pytest.fixture
def names() -> ShortNames:
    names = ShortNames()
    assert names.learn(axdr.encode(encode_named_objects(OBJECTS))) == len(OBJECTS)
    return names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (0x0108, "Clock 0-0:1.0.0*255 attribute 2 (time)"),
        (0x0140, "Clock 0-0:1.0.0*255 attribute 9 (clock_base)"),
        (0x0160, "Clock 0-0:1.0.0*255 method 1 (adjust_to_quarter)"),
        (0x0188, "Clock 0-0:1.0.0*255 method 6 (shift_time)"),
        (0x0328, "Register 1-0:1.8.0*255 method 1 (reset)"),
        (0x0558, "Profile generic 1-0:99.1.0*255 method 1 (reset)"),
        (0x0103, "Clock 0-0:1.0.0*255, 3 octets behind its base name: neither attribute nor method"),
        (0x0420, "Data 0-0:42.0.0*255, offset 0x20 behind its attributes: perhaps a method"),
        (0xFA08 - 0x10000, "Association SN 0-0:40.0.0*255 attribute 2 (object_list)"),
        (0xFA30, "Association SN 0-0:40.0.0*255 method 3 (read_by_logicalname)"),
        (0x00F8, ""),
        (0xFB00, ""),
    ],
)
def test_names_of_attributes_and_methods(names: ShortNames, name: int, text: str) -> None:
    assert names.describe(name) == text


def test_without_an_object_list_only_the_association_is_known() -> None:
    names = ShortNames()
    assert names.describe(0xFA08) == "Association SN 0-0:40.0.0*255 attribute 2 (object_list)"
    assert names.describe(0x0160) == ""
    for octets in (b"", b"\x01", b"\x01\x81", b"\x01\x01\x02\x04\x10\x00\x01\x12\x00\x08\x11\x00\x09\x01\x00"):
        assert names.learn(octets) == 0


def test_a_conversation_with_a_meter() -> None:
    """The capture of a client that reads the object list, then the clock, then calls a method of it."""
    lines: list[str] = []

    def trace(layer: str, direction: str, octets: bytes) -> None:
        if layer != "apdu":
            lines.append(f"{'>' if direction == 'out' else '<'} {octets.hex()}")

    with running(demo_meter(profile_rows=1)) as ports:
        client_sap = BY_SHORT_NAMES[PUBLIC_CLIENT]
        with blocking.DlmsClient(
            f"tcp://127.0.0.1:{ports.wrapper}", client_sap=client_sap, server_sap=1, referencing="sn", trace=trace
        ) as client:
            client.objects()
            client.read_clock()
            client.action(8, "0-0:1.0.0", 1, axdr.integer(0))
    text = explain_text("\n".join(lines)).to_text()
    assert "short names are told by them from here on" in text
    assert "Clock 0-0:1.0.0*255 attribute 2 (time)" in text
    assert "Clock 0-0:1.0.0*255 method 1 (adjust_to_quarter)" in text
    assert "behind its" not in text
