"""Our declarations of interface classes against what the installed peers say, number by number.

What differs is listed with its reason; a difference that is not listed fails, and so does one that is gone.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from cosemic.cosem.model import interface_class, interface_classes
from cosemic.enums import DataType
from tests.interop import peers

pytestmark = pytest.mark.interop


def _told(library: str) -> dict[tuple[int, int], dict[str, Any]]:
    done = subprocess.run(
        [peers.python_of(library), peers.DRIVERS / f"{library}_classes_driver.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {(item["id"], item["version"]): item for item in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def gurux() -> dict[tuple[int, int], dict[str, Any]]:
    return _told("gurux")


@pytest.fixture(scope="module")
def pydlms() -> dict[tuple[int, int], dict[str, Any]]:
    return _told("pydlms")


def test_every_class_that_a_peer_has_is_declared(
    gurux: dict[tuple[int, int], dict[str, Any]], pydlms: dict[tuple[int, int], dict[str, Any]]
) -> None:
    declared = {item.class_id for item in interface_classes()}
    assert len({class_id for class_id, _ in gurux}) == 58
    assert len({class_id for class_id, _ in pydlms}) == 57
    assert {class_id for class_id, _ in gurux} | {class_id for class_id, _ in pydlms} <= declared


GURUX_COUNTS = {
    # (class, version): attributes and methods of gurux-dlms, and why ours are others
    (4, 0): (5, 0, "it has no reset; jDLMS, pydlms-client and DlmsSPODES have it"),
    (7, 0): (8, 2, "it does not know the two methods that only version 0 has"),
    (12, 3): (4, 8, "it stops at version 2: no users"),
    (12, 4): (4, 8, "it stops at version 2: no users"),
    (65, 1): (4, 2, "it stops at version 0"),
    (91, 4): (22, 1, "it stops at version 3"),
    (92, 4): (23, 0, "it stops at version 3"),
}


def test_counts_of_attributes_and_methods_are_those_of_gurux(gurux: dict[tuple[int, int], dict[str, Any]]) -> None:
    found = {}
    for item in interface_classes():
        told = gurux.get((item.class_id, item.version))
        if told is None:
            continue
        theirs = (len(told["types"]), told["methods"])
        if theirs != (len(item.attributes), len(item.methods)):
            found[item.class_id, item.version] = theirs
    assert found == {key: row[:2] for key, row in GURUX_COUNTS.items()}


_SAYS_ARRAY = "it says array, and writes a structure"
_ONE_LAYOUT = "it has the layout of version 1 for both; jDLMS and Renesas have that of version 0"
GURUX_TYPES = {
    # (class, version, attribute): type of gurux-dlms, and why ours is another
    (4, 0, 3): (DataType.ARRAY, _SAYS_ARRAY),
    (5, 0, 4): (DataType.ARRAY, _SAYS_ARRAY),
    (7, 0, 6): (DataType.ARRAY, _SAYS_ARRAY),
    (7, 1, 6): (DataType.ARRAY, _SAYS_ARRAY),
    (21, 0, 3): (DataType.ARRAY, _SAYS_ARRAY),
    (22, 0, 2): (DataType.ARRAY, _SAYS_ARRAY),
    (24, 0, 2): (DataType.ENUM, _ONE_LAYOUT),
    (24, 0, 3): (DataType.ENUM, _ONE_LAYOUT),
    (24, 0, 5): (DataType.ARRAY, _ONE_LAYOUT),
    (28, 0, 6): (DataType.ARRAY, _SAYS_ARRAY),
    (28, 2, 6): (DataType.ARRAY, _SAYS_ARRAY),
    (45, 0, 4): (DataType.ARRAY, _SAYS_ARRAY),
}


def test_types_of_attributes_are_those_of_gurux(gurux: dict[tuple[int, int], dict[str, Any]]) -> None:
    found = {}
    checked = 0
    for item in interface_classes():
        told = gurux.get((item.class_id, item.version))
        if told is None:
            continue
        for attribute, code in zip(item.attributes, told["types"], strict=False):
            if code == 0 or not attribute.types:
                continue
            checked += 1
            if DataType(code) not in attribute.types:
                found[item.class_id, item.version, attribute.number] = DataType(code)
    assert found == {key: row[0] for key, row in GURUX_TYPES.items()}
    assert checked > 450


PYDLMS_COUNTS = {
    (7, 1): (8, 4, "it names two reserved methods that version 1 no longer has"),
    (12, 4): (6, 8, "it has no add_user and remove_user"),
}


def test_counts_of_attributes_and_methods_are_those_of_pydlms(pydlms: dict[tuple[int, int], dict[str, Any]]) -> None:
    found = {}
    for (class_id, version), told in pydlms.items():
        item = interface_class(class_id, version)
        assert (item.class_id, item.version) == (class_id, version)
        theirs = (len(told["attributes"]), len(told["methods"]))
        if theirs != (len(item.attributes), len(item.methods)):
            found[class_id, version] = theirs
    assert found == {key: row[:2] for key, row in PYDLMS_COUNTS.items()}


PREFIXES = ("mac_list_", "mac_", "adp_", "phy_stats_")
"""What the standard puts before the names of power line classes, and pydlms-client leaves out."""
_OWN_WORDS = "it words the name itself; gurux-dlms and the tables of the standard have ours"
PYDLMS_NAMES = {
    # (class, attribute): name of pydlms-client, and why ours is another
    (77, 7): ("frames_received_correctly", "the open smart grid platform and EnergyICT have ours"),
    (77, 8): ("failed_receptions", "the open smart grid platform and EnergyICT have ours"),
    (81, 3): ("crc_failed_count", _OWN_WORDS),
    (85, 6): ("communications", _OWN_WORDS),
    (91, 10): ("neighbour_table_entry_ttl", "the name of older editions; 13 and 16 have ours"),
    (92, 21): ("destination_address", _OWN_WORDS),
    (92, 22): ("low_lqi", _OWN_WORDS),
    (92, 23): ("high_lqi", _OWN_WORDS),
}


def test_names_are_those_of_pydlms(pydlms: dict[tuple[int, int], dict[str, Any]]) -> None:
    found = {}
    compared = 0
    for (class_id, version), told in pydlms.items():
        item = interface_class(class_id, version)
        for attribute, name in zip(item.attributes, told["attributes"], strict=True):
            compared += 1
            if _bare(attribute.name) != _bare(name):
                found[class_id, attribute.number] = _bare(name)
    assert found == {key: row[0] for key, row in PYDLMS_NAMES.items()}
    assert compared > 400


def _bare(name: str) -> str:
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)
