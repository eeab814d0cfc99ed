"""Conversations between other people's clients and meters, recorded octet by octet, replayed against both our sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosemic.enums import AuthenticationMechanism
from cosemic.errors import ReplayError
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Notified
from cosemic.protocol.settings import ClientSettings
from cosemic.security.hls import aes_ecb_mechanism2
from cosemic.tolerances import DEFAULT, Tolerance
from tests.vectors.collection import FOLDER, REASON
from tests.vectors.replay import Talk, hdlc_apdus, replay_client, replay_server, service_requests

RECORDED = FOLDER / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=REASON)

_LLS, _GMAC = AuthenticationMechanism.LLS, AuthenticationMechanism.HLS_GMAC
_RESTARTS = DEFAULT | {Tolerance.SERVER_COUNTER_RESTART, Tolerance.GMAC_COUNTER_SHARED}

COVERED: dict[str, dict[str, object]] = {
    "hdlc-gmac-suite0_gurux-python_pydlms-sim": {"mechanism": _GMAC},
    "hdlc-gmac-suite0_pydlms_gurux-c": {"mechanism": _GMAC},
    "hdlc-none_gurux-python_pydlms-sim": {},
    "hdlc-none_pydlms_gurux-c": {},
    "wrapper-gmac-generalglo_pydlms_gurux-java": {"mechanism": _GMAC, "tolerances": _RESTARTS},
    "wrapper-gmac-suite0_gurux-python_pydlms-sim": {"mechanism": _GMAC},
    "wrapper-gmac-suite0_pydlms_gurux-c": {"mechanism": _GMAC},
    "wrapper-gmac-suite0_pydlms_gurux-java": {"mechanism": _GMAC, "tolerances": _RESTARTS},
    "wrapper-hls-hls2_pydlms_gurux-java": {
        "mechanism": AuthenticationMechanism.HLS,
        "password": b"Gurux",
        "hls_function": aes_ecb_mechanism2,
    },
    "wrapper-hls-md5_pydlms_gurux-java": {"mechanism": AuthenticationMechanism.HLS_MD5, "password": b"Gurux"},
    "wrapper-lls-getwithlist_pydlms_gurux-java": {"mechanism": _LLS, "password": b"Gurux"},
    "wrapper-lls-profile-blocks_pydlms_gurux-java": {"mechanism": _LLS, "password": b"Gurux"},
    "wrapper-lls_gurux-python_pydlms-sim": {"mechanism": _LLS, "password": b"12345678"},
    "wrapper-lls_pydlms_gurux-c": {"mechanism": _LLS, "password": b"Gurux"},
    "wrapper-none-setblocks_pydlms_pydlms-sim": {},
}

DIFFERENT = {
    "wrapper-gmac-generalglo_pydlms_gurux-java": "it sends pass 3 in general-glo-ciphering, ours goes in glo-action",
    "wrapper-none-setblocks_pydlms_pydlms-sim": "its later blocks are as long as the first, ours fill the PDU",
}
"""Where our octets rightly differ from those of the recorded client."""

NOT_COVERED = {
    "wrapper-ecdsa-suite1-plain_pydlms_gurux-java": "see test_recorded_ecdsa",
    "wrapper-ecdsa-suite1_pydlms_pydlms-sim": "see test_recorded_ecdsa",
    "wrapper-none-access_pydlms_pydlms-sim": "the ACCESS service comes with the next issue",
    "wrapper-none-gbt_pydlms_pydlms-sim": "general block transfer comes with the next issue",
    "wrapper-sn-none_gurux-java_pydlms-sim": "see test_recorded_short_names.py",
    "wrapper-sn-none_pydlms_gurux-java": "see test_recorded_short_names.py",
    "push-wrapper_gurux-c-and-java": "no association; see test_pushes_become_events",
}


def lines(name: str) -> list[tuple[bool, bytes]]:
    text = (RECORDED / f"{name}.hex").read_text()
    return [(line[0] == ">", bytes.fromhex(line[1:].strip())) for line in text.splitlines() if line[:1] in (">", "<")]


def talk(name: str) -> Talk:
    octets = lines(name)
    if name.startswith("hdlc"):
        apdus = hdlc_apdus(octets)
    else:
        apdus = [(from_client, line[8:]) for from_client, line in octets]
    return Talk(apdus, **COVERED[name])  # type: ignore[arg-type]


def test_every_recording_is_covered_or_listed() -> None:
    names = {Path(path).stem for path in RECORDED.glob("*.hex")}
    assert names == set(COVERED) | set(NOT_COVERED)


@pytest.mark.parametrize("name", COVERED)
def test_our_client_with_the_recorded_meter(name: str) -> None:
    conversation = talk(name)
    results, _ = replay_client(conversation)
    wanted = service_requests(conversation)
    assert len(results) == len(wanted)
    for (request, _), result in zip(wanted, results, strict=True):
        assert len(result.results) == len(request.items)


@pytest.mark.parametrize("name", [name for name in COVERED if "_pydlms_" in name and name not in DIFFERENT])
def test_our_client_sends_what_the_recorded_one_sent(name: str) -> None:
    conversation = talk(name)
    _, sent = replay_client(conversation)
    for number, (ours, theirs) in enumerate(zip(sent, conversation.requests, strict=True)):
        assert ours.hex() == theirs.hex(), number


@pytest.mark.parametrize("name", COVERED)
def test_our_meter_with_the_recorded_client(name: str) -> None:
    conversation = talk(name)
    understood = replay_server(conversation)
    assert understood == [request for request, _ in service_requests(conversation)]


@pytest.mark.parametrize("name", [name for name in COVERED if COVERED[name].get("tolerances")])
def test_a_meter_that_repeats_counters_is_refused_by_default(name: str) -> None:
    conversation = talk(name)
    conversation.tolerances = DEFAULT
    with pytest.raises(ReplayError, match="SERVER_COUNTER_RESTART"):
        replay_client(conversation)


def test_values_of_a_recorded_list() -> None:
    (result,), _ = replay_client(talk("wrapper-lls-getwithlist_pydlms_gurux-java"))
    assert [data.value for data in result.results] == [b"GRX123456", 37, (0, 0)]


def test_values_of_recorded_blocks() -> None:
    (result,), _ = replay_client(talk("wrapper-lls-profile-blocks_pydlms_gurux-java"))
    (profile,) = result.results
    assert len(profile.value) == 150


def test_values_of_a_recorded_ciphered_read() -> None:
    (value, scaler), _ = replay_client(talk("wrapper-gmac-suite0_pydlms_gurux-c"))
    assert value.results[0].value == 2358
    assert scaler.results[0].value == (-2, 30)


def test_pushes_become_events() -> None:
    client = ClientAssociation(ClientSettings())
    for _, octets in lines("push-wrapper_gurux-c-and-java"):
        client.receive_apdu(octets[8:])
    events = client.events()
    assert len(events) == 3
    assert all(isinstance(event, Notified) for event in events)
