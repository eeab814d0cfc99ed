"""TLS, UDP, serial servers of RFC 2217; what an association shows, and what a login lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosemic.doctor import Code, Finding, Known, Limits
from cosemic.doctor.survey import policy_words
from cosemic.enums import AuthenticationMechanism, DataAccessResult
from cosemic.meter.demo_keys import security_context
from cosemic.meter.server import MeterServer
from cosemic.security.counters import MemoryCounters
from cosemic.transports.certificates import server_context
from tests.doctor.peers import cause, codes, keys, make_meter, run, serving
from tests.e2e.test_rfc2217 import SerialServer
from tests.transports.authority import Authority

LLS = AuthenticationMechanism.LLS
READER = Known(client=32, mechanism=LLS, password=b"00000000")
RESPONSES = "authenticated and encrypted responses"
LIMITS = Limits(budget=60, patience=1.0, listening=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder, "stranger")


def said(findings: list[Finding], code: Code) -> str:
    return next(finding.text for finding in findings if finding.code is code)


# -- TLS: handshakes of OpenSSL on loopback ----------------------------------------------------------------------------
async def test_tls(authority: Authority) -> None:
    own = authority.issue("meter", "127.0.0.1")
    async with MeterServer(make_meter()) as server:
        port = await server.serve_tls(server_context(own.certificate, own.key))
        findings = await run(f"tls://127.0.0.1:{port}?ca={authority.file}", READER, LIMITS)
    assert findings[-1].code is Code.LOGGED_IN
    assert f"'tls://127.0.0.1:{port}?ca={authority.file}'" in findings[-1].text  # what is to be typed has all of it


async def test_tls_with_the_certificate_of_another_authority(authority: Authority, stranger: Authority) -> None:
    own = authority.issue("meter", "127.0.0.1")
    async with MeterServer(make_meter()) as server:
        port = await server.serve_tls(server_context(own.certificate, own.key))
        findings = await run(f"tls://127.0.0.1:{port}?ca={stranger.file}", READER, LIMITS)
    found = cause(findings)
    assert found.code is Code.TLS
    assert "stranger.pem does not certify it" in found.text
    assert "ca=" in found.remedy


async def test_tls_without_the_certificate_that_the_meter_wants(authority: Authority) -> None:
    own, client = authority.issue("meter", "127.0.0.1"), authority.issue("client")
    async with MeterServer(make_meter()) as server:
        port = await server.serve_tls(server_context(own.certificate, own.key, client_ca_file=authority.file))
        url = f"tls://127.0.0.1:{port}?ca={authority.file}"
        without = await run(url, READER, LIMITS)
        findings = await run(f"{url}&certificate={client.certificate}&key={client.key}", READER, LIMITS)
    assert cause(without).code is Code.TLS
    assert "client certificate" in cause(without).text
    assert findings[-1].code is Code.LOGGED_IN


async def test_a_port_without_tls(authority: Authority) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.wrapper.replace("tcp:", "tls:") + f"?ca={authority.file}", READER, LIMITS)
    assert cause(findings).code is Code.TLS
    assert "where the port speaks no TLS, use tcp://" in cause(findings).remedy


async def test_a_port_with_tls_that_was_not_asked_for(authority: Authority) -> None:
    own = authority.issue("meter", "127.0.0.1")
    async with MeterServer(make_meter()) as server:
        port = await server.serve_tls(server_context(own.certificate, own.key))
        findings = await run(f"tcp://127.0.0.1:{port}", READER, LIMITS)
    assert cause(findings).code in (Code.CLOSED_AT_ONCE, Code.OTHER_PROTOCOL)
    assert "TLS" in cause(findings).text + cause(findings).remedy


# -- UDP ---------------------------------------------------------------------------------------------------------------
async def test_udp() -> None:
    async with MeterServer(make_meter()) as server:
        port = await server.serve_udp()
        findings = await run(f"udp://127.0.0.1:{port}", READER, LIMITS)
    assert Code.WRAPPER in codes(findings)
    assert findings[-1].code is Code.LOGGED_IN


async def test_udp_where_nobody_listens() -> None:
    async with MeterServer(make_meter()) as server:
        port = await server.serve_udp()
    findings = await run(f"udp://127.0.0.1:{port}", READER, Limits(budget=20, patience=0.2, listening=0.05))
    assert cause(findings).code in (Code.CLOSED_AT_ONCE, Code.NO_OCTET)


# -- RFC 2217 ----------------------------------------------------------------------------------------------------------
async def test_a_serial_server_of_rfc_2217() -> None:
    async with MeterServer(make_meter()) as server:
        line = SerialServer(await server.serve_hdlc())
        try:
            findings = await run(f"rfc2217://127.0.0.1:{line.port}?baud=19200", READER, LIMITS)
        finally:
            line.close()
    assert findings[-1].code is Code.LOGGED_IN
    assert said(findings, Code.SPEED) == "the meter answers at 19200 baud, 8N1"
    assert line.steps[-1][:2] == (19200, 8)


# -- what the association shows ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("client", "suite", "setup"), [(4, 1, "0-0:43.0.1*255"), (5, 2, "0-0:43.0.2*255")])
async def test_policy_and_suite_come_from_the_associations_own_setup(client: int, suite: int, setup: str) -> None:
    security = security_context(suite, "client", b"DOCOWN" + bytes((0, client)), counters=MemoryCounters())
    known = Known(client=client, mechanism=AuthenticationMechanism.HLS_ECDSA, security=security)
    async with serving(make_meter()) as meter:
        findings = await run(meter.wrapper, known)
    setups = [finding for finding in findings if finding.code is Code.SECURITY_SETUP]
    assert [finding.facts["suite"] for finding in setups] == [suite]
    assert setups[0].text.startswith(f"security setup {setup}: policy 96 ({RESPONSES}), suite {suite}")


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (None, "not known"),
        (0, "no protection demanded"),
        (3, "authenticated and encrypted"),
        (0x0C, "authenticated and encrypted requests"),
        (0xFC, "authenticated and encrypted and signed requests, authenticated and encrypted and signed responses"),
        (0x80, "signed responses"),
        (256, "not known"),
    ],
)
def test_policies_in_words(policy: int | None, words: str) -> None:
    assert policy_words(policy) == words


async def test_a_meter_without_an_object_list() -> None:
    """What everybody has is asked for by its usual names, and the login does not need the list."""
    device = make_meter()
    device.faults.force(15, "0-0:40.0.0", 2, DataAccessResult.READ_WRITE_DENIED)
    async with serving(device) as meter:
        findings = await run(meter.wrapper, Known(client=1, security=keys()))
    assert not any(finding.is_problem for finding in findings)
    assert findings[-1].code is Code.LOGGED_IN
    found = {finding.code for finding in findings if finding.probe == "public"}
    assert {Code.DEVICE_NAME, Code.COUNTER} <= found
    assert Code.SECURITY_SETUP in codes(findings)


# -- logins that lack something ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mechanism", "said"),
    [
        (AuthenticationMechanism.LLS, "LLS needs a password"),
        (AuthenticationMechanism.HLS, "an algorithm of the maker's own"),
        (AuthenticationMechanism.HLS_SHA256, "HLS-SHA256 needs a password"),
        (AuthenticationMechanism.HLS_GMAC, "HLS-GMAC needs keys"),
        (AuthenticationMechanism.HLS_ECDSA, "HLS-ECDSA needs our private signing key"),
    ],
)
async def test_a_mechanism_without_its_secret(mechanism: AuthenticationMechanism, said: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.wrapper, Known(client=1, mechanism=mechanism))
        assert meter.logins == 0
    found = cause(findings)
    assert found.code is Code.NO_LOGIN
    assert said in found.text
    assert found.remedy
    assert Code.PUBLIC_CLIENT in codes(findings)


async def test_ecdsa_with_symmetric_keys_only() -> None:
    known = Known(client=4, mechanism=AuthenticationMechanism.HLS_ECDSA, security=keys(suite=1))
    async with serving(make_meter()) as meter:
        findings = await run(meter.wrapper, known)
        assert meter.logins == 0
    assert "private signing key" in cause(findings).text


async def test_no_login_is_no_problem_where_none_was_wanted() -> None:
    limits = Limits(budget=60, patience=2, listening=0, tries=0)
    async with serving(make_meter()) as meter:
        findings = await run(meter.wrapper, Known(client=1, mechanism=LLS), limits)
    assert not any(finding.is_problem for finding in findings)
