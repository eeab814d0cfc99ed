"""Wrapper PDUs of other people's meters and libraries."""

from __future__ import annotations

import pytest

from cosemic.enums import Role
from cosemic.link.events import ApduReceived, LinkUp
from cosemic.link.wrapper import WrapperLink, WrapperPdu, WrapperReader
from tests.vectors.collection import FOLDER, REASON, load

CASES = [pytest.param(case, id=case["name"]) for case in load("acse") if case["kind"] == "wrapper"]
RECORDED = sorted((FOLDER / "recorded").glob("wrapper-*.hex")) + sorted((FOLDER / "recorded").glob("push-wrapper*"))
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


@pytest.mark.parametrize("case", CASES)
def test_header(case):
    octets = bytes.fromhex(case["bytes"])
    pdu = WrapperPdu.decode(octets)
    expected = case["expected"]["wrapper"]
    assert (pdu.source, pdu.destination, len(pdu.apdu)) == (
        expected["source_wport"],
        expected["destination_wport"],
        expected["length"],
    )
    assert pdu.encode() == octets


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_conversation(file):
    """Our client sends each recorded request octet for octet and understands each answer, octet by octet."""
    steps = [line.split() for line in file.read_text().splitlines() if line[:1] in ("<", ">")]
    links: dict[tuple[int, int], WrapperLink] = {}
    answers = 0
    for mark, text in steps:
        octets = bytes.fromhex(text)
        pdu = WrapperPdu.decode(octets)
        assert WrapperReader().feed(octets) == [pdu]
        key = (pdu.source, pdu.destination) if mark == ">" else (pdu.destination, pdu.source)
        link = links.get(key)
        if link is None:
            link = links[key] = WrapperLink(Role.CLIENT, source=key[0], destination=key[1])
            link.connect(0.0)
            assert link.events() == [LinkUp(None)]
        if mark == ">":
            link.send_apdu(pdu.apdu, 0.0, expect_response=False)
            assert link.data_to_send() == octets
        else:
            for index in range(len(octets)):
                assert link.events() == []
                link.receive_data(octets[index : index + 1], 0.0)
            assert link.events() == [ApduReceived(pdu.apdu)]
            answers += 1
    assert answers
