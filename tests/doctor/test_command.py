"""cosemic doctor as users call it, and the doctor at meters that other people wrote."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosemic.doctor import Code, Known, Limits
from cosemic.enums import AuthenticationMechanism
from cosemic.security.counters import MemoryCounters
from tests.cli.conftest import GMAC, LLS, Urls, cosemic, home, meter, state
from tests.doctor.peers import OTHER_KEY, cause, codes, keys, run
from tests.interop import peers

__all__ = ["cosemic", "home", "meter", "state"]
QUICK = ("--timeout", "2", "--budget", "60")


def test_a_login_that_works(cosemic, meter: Urls) -> None:
    done = cosemic("doctor", meter.hdlc, *LLS, *QUICK)
    assert done.code == 0, done.err
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == f"note  examining {meter.hdlc} for 60 s at most; login tries: at most 1 for each secret"
    assert any(line.startswith("..    SNRM to 1 in 1 octet as client 16") for line in lines)
    assert lines[-1].startswith("ok    to read this meter: cosemic read hdlc://127.0.0.1:")


def test_a_login_that_fails(cosemic, meter: Urls) -> None:
    done = cosemic("doctor", meter.wrapper, "--client", "32", "--auth", "lls", "--password", "12345678", *QUICK)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "the password is wrong for client 32; check --password" in done.err
    assert "FAIL  " in done.out
    assert "12345678" not in done.out + done.err


def test_json_has_one_object_a_finding(cosemic, meter: Urls) -> None:
    done = cosemic("doctor", meter.wrapper, *GMAC, *QUICK, "--json")
    assert done.code == 0, done.err
    assert all(
        list(line) == ["probe", "code", "severity", "text", "remedy", "facts"] for line in done.objects
    )  # fmt: skip
    assert [line["code"] for line in done.objects][-1] == "logged-in"
    assert done.objects[0]["facts"] == {"budget": 60, "tries": 1}


def test_frames_are_shown_without_secrets(cosemic, meter: Urls) -> None:
    done = cosemic("doctor", meter.hdlc, *LLS, *QUICK, "-v")
    assert "> HDLC frame SNRM" in done.err
    assert "AARQ" in done.err
    assert "3030303030303030" not in done.err


def test_a_host_and_port_or_a_device_is_enough(cosemic, meter: Urls) -> None:
    done = cosemic("doctor", meter.wrapper.removeprefix("tcp://"), *QUICK)
    assert done.code == 0, done.err
    assert "no login was tried, as no password and no keys were given" in done.out
    pytest.importorskip("serialx")
    done = cosemic("doctor", "/dev/no-such-port", *QUICK)
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "serial:///dev/no-such-port" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget", "0"), "--budget"),
        (("--tries", "99"), "--tries"),
        (("--timeout", "-1"), "--timeout"),
        (("--ek", "00"), "--ek must have 16 octets"),
        (("--auth", "gmac"), "--auth gmac needs --ek, --ak"),
        (("--physical", "99999"), "--physical"),
    ],
)
def test_options_that_make_no_sense(cosemic, options: tuple[str, ...], said: str) -> None:
    done = cosemic("doctor", "tcp://127.0.0.1:1", *options)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert said in done.err


def test_address_size_for_every_command(cosemic, meter: Urls) -> None:
    done = cosemic("read", meter.hdlc, "1-0:1.8.0", "--physical", "17", "--address-size", "4", "--json")
    assert done.code == 0, done.err
    assert cosemic("read", meter.hdlc, "1-0:1.8.0", "--address-size", "3").code == 2
    assert cosemic("read", meter.hdlc, "1-0:1.8.0", "--address-size", "2").code == 2
    assert cosemic("read", meter.wrapper, "1-0:1.8.0", "--address-size", "2").code == 2


# -- foreign meters ----------------------------------------------------------------------------------------------------
COUNTERS = MemoryCounters()  # pydlms-client's meter keeps one last counter for all clients
LOGIN = Limits(budget=60, patience=3, listening=0.05)
_KEYS = ("--key", peers.EK, "--auth-key", peers.AK, "--client", "1:5")


@contextlib.contextmanager
def pydlms(framing: str, *options: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    driver = (peers.python_of("pydlms"), peers.DRIVERS / "pydlms_meter_driver.py", str(port))
    hdlc = ("--hdlc",) if framing == "hdlc" else ()
    process = peers.Process(*driver, *options, *hdlc, "--client", "16:0", "--client", "32:1:00000000")
    assert process.first_line == "ready"
    try:
        yield f"{'hdlc' if framing == 'hdlc' else 'tcp'}://127.0.0.1:{port}"
    finally:
        process.close()


@pytest.mark.interop
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_passwords_at_the_meter_of_pydlms(framing: str) -> None:
    lls = AuthenticationMechanism.LLS
    with pydlms(framing) as url:
        right = await run(url, Known(client=32, mechanism=lls, password=b"00000000"), LOGIN)
        assert right[-1].code is Code.LOGGED_IN
        wrong = await run(url, Known(client=32, mechanism=lls, password=b"not-that-one"), LOGIN)
        assert cause(wrong).code is Code.WRONG_PASSWORD
        other = await run(url, Known(client=77, mechanism=lls, password=b"not-that-one"), LOGIN)
        assert cause(other).code is Code.WRONG_CLIENT, cause(other)


@pytest.mark.interop
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_keys_at_the_meter_of_pydlms(framing: str) -> None:
    def known(**wrong: object) -> Known:
        return Known(client=1, security=keys(**{"system_title": b"DOCTOR09", "counters": COUNTERS} | wrong))

    with pydlms(framing, *_KEYS) as url:
        right = await run(url, known(), LOGIN)
        assert right[-1].code is Code.LOGGED_IN
        for wrong in ({"encryption_key": OTHER_KEY}, {"authentication_key": OTHER_KEY}):
            # It checks the counter, which goes with each key, before the tag: the second try meets the key.
            twice = replace(LOGIN, tries=2)
            findings = await run(url, known(**wrong, allow_counter_from_meter=True), twice)
            assert [finding.code for finding in findings if finding.is_problem][-1] is Code.WRONG_KEY
            assert "cannot be told" in [finding.text for finding in findings if finding.is_problem][-1]
        behind = cause(await run(url, known(counters=MemoryCounters()), LOGIN))
        assert behind.code is Code.COUNTER_TOO_LOW
        assert behind.facts["own_counter"] == 1
        assert isinstance(behind.facts["meter_counter"], int)
        password = Known(client=32, mechanism=AuthenticationMechanism.LLS, password=b"00000000")
        assert cause(await run(url, password, LOGIN)).code is Code.WRONG_CONTEXT


@pytest.mark.interop
async def test_the_meter_of_gurux() -> None:
    process = peers.Process(peers.python_of("gurux"), peers.DRIVERS / "gurux_meter_driver.py")
    try:
        url = f"tcp://127.0.0.1:{int(process.first_line)}"
        findings = await run(url, Known(), LOGIN)
        assert {Code.WRAPPER, Code.PUBLIC_CLIENT} <= set(codes(findings))
        wrong = await run(url, Known(client=32, mechanism=AuthenticationMechanism.LLS, password=b"not-that-one"), LOGIN)
        assert cause(wrong).code is Code.WRONG_PASSWORD
    finally:
        process.close()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--auth", "hls"), 1, "an algorithm of the maker's own"),
        (("--auth", "lls"), 1, "LLS needs a password"),
        (("--auth", "ecdsa"), 2, "--auth ecdsa needs --signing-key, --peer-signing-key"),
    ],
)
def test_a_login_without_its_secret_is_no_success(
    cosemic, meter, options: tuple[str, ...], code: int, said: str
) -> None:
    done = cosemic("doctor", meter.wrapper, *options)
    assert done.code == code
    assert said in done.err
    assert len(done.err.splitlines()) == 1
