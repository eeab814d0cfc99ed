"""The parts without I/O: what octets are, which addresses are tried, what keys fit, how a plan keeps its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.doctor import Code, Finding, Known, Limits
from cosemic.doctor.addresses import candidates, describe, physicals
from cosemic.doctor.heard import Sound, listen_to
from cosemic.doctor.keys import Fit, check_keys, messages_of
from cosemic.doctor.knowledge import Answer, Associate, Open, Opened, Outcome, OutOfTimeError, Say
from cosemic.doctor.plan import examine
from cosemic.errors import LinkTimeout
from cosemic.meter.demo import SYSTEM_TITLE
from cosemic.transports.targets import parse_url
from tests.doctor.peers import OTHER_KEY, framed, keys, sealed_push
from tests.vectors.collection import REASON, load

SNRM = bytes.fromhex("7EA00703219300 6E7E".replace(" ", ""))


# -- octets ------------------------------------------------------------------------------------------------------------
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_any_octets_are_something(received: bytes, sent: bytes) -> None:
    heard = listen_to(received, sent)
    assert (heard.sound is Sound.NOTHING) == (not received) or heard.echo


def test_an_answer_behind_an_echo() -> None:
    answer = framed(sealed_push(), "hdlc")
    heard = listen_to(SNRM + answer, SNRM)
    assert (heard.sound, heard.echo, heard.octets) == (Sound.HDLC, True, answer)
    assert listen_to(SNRM, SNRM).sound is Sound.ECHO
    assert listen_to(SNRM[:5], SNRM).sound is Sound.ECHO


def test_the_echo_that_a_user_reported() -> None:
    """u9n/dlms-cosem issue 62: the optical head sends back what it is sent."""
    octets = bytes.fromhex("7EA008200327937385 7E".replace(" ", ""))
    assert listen_to(octets, octets).sound is Sound.ECHO


@pytest.mark.skipif(not load("pushes"), reason=REASON)
def test_pushes_of_real_meters_are_known_as_what_they_are() -> None:
    """Captures of many makers: none of them is taken for noise, a wrong speed or a wrong parity."""
    kinds: dict[str, int] = {}
    for case in load("pushes"):
        parts = case["bytes"] if isinstance(case["bytes"], list) else [case["bytes"]]
        octets = b"".join(bytes.fromhex(part) for part in parts)
        if octets[:1] == b"\x7e" and octets[-1:] == b"\x7e":
            sound = listen_to(octets).sound
            kinds[sound.name] = kinds.get(sound.name, 0) + 1
    assert kinds.get("HDLC", 0) > 10
    assert set(kinds) <= {"HDLC", "DAMAGED"}


# -- addresses ---------------------------------------------------------------------------------------------------------
def test_addresses_from_a_serial_number() -> None:
    # 024131: documented for a meter whose last five digits, modulo 15000, are its address
    assert physicals("026129141324") == [2324, 1324, 11324, 40]
    assert 15011 in physicals("100000011")
    assert physicals("no digits") == []


def test_what_the_user_knows_comes_first_and_alone() -> None:
    assert [describe(address) for address in candidates(1, 17, None, None)] == ["1/17 in 2 octets", "1/17 in 4 octets"]
    assert [describe(address) for address in candidates(1, 17, 4, None)] == ["1/17 in 4 octets"]
    assert [describe(address) for address in candidates(None, 17, None, None)][-1] == "17 in 1 octet"
    assert describe(candidates(None, None, None, "12345678")[0]) == "1/6678 in 4 octets"
    octets = [address.octets for address in candidates(None, None, None, "12345678")]
    assert len(octets) == len(set(octets))
    assert candidates(300, None, 1, None) == []


# -- keys --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("push", "wrong", "fit"),
    [
        (sealed_push(), {}, Fit.BOTH),
        (sealed_push(), {"authentication_key": OTHER_KEY}, Fit.ENCRYPTION_ONLY),
        (sealed_push(), {"encryption_key": OTHER_KEY}, Fit.NEITHER),
        (sealed_push(), {"suite": 1}, Fit.OTHER_SUITE),
        (sealed_push(0x20), {}, Fit.BOTH),
        (sealed_push(0x20), {"authentication_key": OTHER_KEY}, Fit.BOTH),
        (sealed_push(0x20), {"encryption_key": OTHER_KEY}, Fit.NEITHER),
        (sealed_push(0x10), {}, Fit.BOTH),
        (sealed_push(0x10), {"authentication_key": OTHER_KEY}, Fit.UNTOLD),
        (sealed_push(0x10), {"encryption_key": OTHER_KEY}, Fit.UNTOLD),
        (bytes.fromhex("0F000000010000"), {}, Fit.NOTHING),
        (b"\xdb\x08COS\x00", {}, Fit.NOTHING),
    ],
)
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_which_key_fits(framing: str, push: bytes, wrong: dict[str, object], fit: Fit) -> None:
    assert check_keys(messages_of(framed(push, framing)), keys(**wrong), ()).fit is fit


def test_a_title_that_is_not_the_one_it_names() -> None:
    push = sealed_push(named=b"XYZ00000")
    assert check_keys([push], keys(), ()).fit is Fit.NEITHER
    found = check_keys([push], keys(), (SYSTEM_TITLE,))
    assert (found.fit, found.title, found.named) == (Fit.BOTH, SYSTEM_TITLE, b"XYZ00000")


@pytest.mark.skipif(not load("sessions"), reason=REASON)
def test_keys_on_the_answers_of_a_real_meter() -> None:
    """Recorded HLS-GMAC sessions of a real meter: right keys fit, and each wrong one is told from the other."""
    tried = 0
    for case in load("sessions"):
        if "hls-gmac" not in case["name"]:
            continue
        octets = b"".join(bytes.fromhex(part) for part in case["bytes"])
        apdus = messages_of(octets)
        assert check_keys(apdus, keys(), ()).fit is Fit.BOTH
        assert check_keys(apdus, keys(authentication_key=OTHER_KEY), ()).fit is Fit.ENCRYPTION_ONLY
        assert check_keys(apdus, keys(encryption_key=OTHER_KEY), ()).fit is Fit.NEITHER
        tried += 1
    assert tried


# -- the plan ----------------------------------------------------------------------------------------------------------
def test_a_plan_that_runs_out_of_time_anywhere_says_so() -> None:
    """Whatever the step, the end of the budget gives one finding and ends the plan."""
    ended = 0
    for stop in range(30):
        plan = examine(parse_url("hdlc://192.0.2.1"), Known(client=1, security=keys()), Limits())
        item = next(plan)
        steps = 0
        findings: list[Finding] = []
        try:
            while True:
                if isinstance(item, Finding):
                    findings.append(item)
                    item = plan.send(None)
                    continue
                if steps == stop:
                    ended += 1
                    item = plan.throw(OutOfTimeError())
                    continue
                steps += 1
                replies = {Open: Opened(), Say: Answer(b""), Associate: Outcome(False, LinkTimeout("no answer"))}
                item = plan.send(replies[type(item)])
        except StopIteration:
            pass
        assert (findings[-1].code is Code.BUDGET) == (ended == stop + 1)
    assert ended > 10


@pytest.mark.parametrize("bad", [{"budget": 0}, {"patience": -1}, {"tries": 11}, {"tries": -1}, {"listening": -1}])
def test_limits_that_make_no_sense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Limits(**bad)  # type: ignore[arg-type]
