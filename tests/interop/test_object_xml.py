"""Object lists as gurux-dlms reads them and saves them as XML, against our own reading: names, versions, rights."""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree

import pytest

from cosemic.codec import axdr
from cosemic.cosem.object_list import ObjectEntry, decode_object_list
from cosemic.enums import AccessRight
from cosemic.meter.demo import demo_meter
from cosemic.protocol.requests import Get, GetResults
from tests.interop import peers
from tests.vectors.collection import REASON, load

pytestmark = pytest.mark.interop

KAMSTRUP = [case for case in load("axdr") if case["name"] == "jdlms:kamstrup-association-object-list-complete"]
AUTHENTICATED = AccessRight.AUTHENTICATED_REQUEST
MODES = {
    AccessRight.NONE: "0",
    AccessRight.READ: "1",
    AccessRight.WRITE: "2",
    AccessRight.READ | AccessRight.WRITE: "3",
    AccessRight.READ | AUTHENTICATED: "4",
    AccessRight.WRITE | AUTHENTICATED: "5",
    AccessRight.READ | AccessRight.WRITE | AUTHENTICATED: "6",
}

EXTENDED_REGISTER = 4
CALLS = {AccessRight.NONE: "0", AccessRight.READ: "1", AccessRight.READ | AUTHENTICATED: "2"}


def _of_gurux(octets: bytes) -> dict[str, tuple[int, str, str]]:
    """Version and digits of the rights by logical name."""
    command = [peers.python_of("gurux"), peers.DRIVERS / "gurux_object_xml_driver.py"]
    done = subprocess.run(command, input=octets.hex(), capture_output=True, text=True, timeout=60, check=True)
    return {
        item.findtext("LN", ""): (
            int(item.findtext("Version") or 0),
            item.findtext("Access") or "",
            item.findtext("MethodAccess") or "",
        )
        for item in ElementTree.fromstring(done.stdout)
    }


def _of_ours(entry: ObjectEntry) -> tuple[int, str, str]:
    attributes = "".join(MODES[entry.attributes[number]] for number in sorted(entry.attributes))
    methods = "".join(CALLS[entry.methods[number]] for number in sorted(entry.methods))
    return entry.version, attributes, methods


def _same(octets: bytes, at_least: int) -> None:
    theirs = _of_gurux(octets)
    entries = [entry for entry in decode_object_list(axdr.decode(octets)) if entry.obis.dotted in theirs]
    assert len(entries) == len(theirs) >= at_least
    for entry in entries:
        version, attributes, methods = theirs[entry.obis.dotted]
        ours = _of_ours(entry)
        # Gurux writes a right for each attribute and method of the class, ours for each that the list has.
        assert version == ours[0], entry.obis
        # The logical name counts as readable there, whatever the list says.
        assert attributes[1 : len(ours[1])] == ours[1][1:], entry.obis
        if entry.class_id == EXTENDED_REGISTER:
            continue  # which has no methods for gurux-dlms
        # It leaves the methods away where none may be called.
        assert methods[: len(ours[2])].rstrip("0") == ours[2].rstrip("0"), entry.obis


@pytest.mark.parametrize("client", [1, 16, 32])
def test_the_list_of_the_simulated_meter(client: int) -> None:
    answer = demo_meter(profile_rows=1).execute((client, 1), Get.one(15, "0-0:40.0.0", 2))
    assert isinstance(answer, GetResults)
    _same(answer.results[0].octets, 40)  # type: ignore[union-attr]


@pytest.mark.skipif(not KAMSTRUP, reason=REASON)
def test_the_list_of_a_real_meter() -> None:
    _same(bytes.fromhex(KAMSTRUP[0]["bytes"]), 100)
