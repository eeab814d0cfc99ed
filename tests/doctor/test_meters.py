"""The simulated meter with one fault at a time, over real sockets in both framings: causes named, logins counted."""

from __future__ import annotations

import pytest

from cosemic.doctor import Code, Known, Limits
from cosemic.enums import AuthenticationMechanism, DataAccessResult
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY
from cosemic.meter.demo_keys import security_context
from cosemic.meter.model import MeterAssociation
from cosemic.meter.objects import Level
from cosemic.protocol.settings import ServerSettings
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from tests.doctor.peers import (
    OTHER_KEY,
    Served,
    cause,
    codes,
    keys,
    make_meter,
    meter_keys,
    pushing,
    run,
    scripted,
    sealed_push,
    serving,
)

LLS, GMAC, MD5 = AuthenticationMechanism.LLS, AuthenticationMechanism.HLS_GMAC, AuthenticationMechanism.HLS_MD5
FRAMINGS = pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
READER = {"client": 32, "mechanism": LLS}


@FRAMINGS
async def test_everything_right(framing: str) -> None:
    async with serving(make_meter()) as meter:
        security = keys()
        findings = await run(meter.url(framing), Known(client=1, security=security))
        assert meter.logins == 1
    assert not any(finding.is_problem for finding in findings)
    found = {finding.code: finding for finding in findings}
    assert found[Code.DEVICE_NAME].facts["name"] == "COS0000000000001"
    assert found[Code.SECURITY_SETUP].facts == {
        "policy": 0, "suite": 0, "server_title": "434F530000000001", "client_title": security.system_title.hex().upper()
    }  # fmt: skip
    assert isinstance(found[Code.COUNTER].facts["counter"], int)
    assert found[Code.LOGGED_IN].facts["command"] == (
        f"cosemic read {meter.url(framing)} 8/0-0:1.0.0/2 --client 1 --server 1 --auth gmac …"
    )
    assert findings[-1].code is Code.LOGGED_IN


async def test_the_framing_is_found_whatever_the_url_says() -> None:
    async with serving(make_meter()) as meter:
        limits = Limits(budget=60, patience=0.6, listening=0.05)
        for url, code in ((meter.hdlc_as_wrapper, Code.HDLC), (meter.wrapper_as_hdlc, Code.WRAPPER)):
            findings = await run(url, Known(), limits)
            assert code in codes(findings)
            assert Code.PUBLIC_CLIENT in codes(findings)
            assert findings[-1].code is Code.NO_LOGIN
        assert meter.logins == 0


@pytest.mark.parametrize(
    ("physical", "serial_number"), [(17, None), (16, None), (9999, None), (6678, "31245678"), (5678, "31245678")]
)
async def test_the_physical_address_is_found(physical: int, serial_number: str | None) -> None:
    """The usual ones, what the user knows, and what comes from the serial number."""
    known = Known(physical=physical) if physical == 9999 else Known(serial_number=serial_number)
    async with serving(make_meter(), physical_address=physical) as meter:
        findings = await run(meter.hdlc, known, Limits(budget=60, patience=0.4, listening=0.05))
    found = next(finding for finding in findings if finding.code is Code.HDLC)
    # A meter that takes 1 octet too is found there, which is as good.
    assert found.facts["physical"] in (physical, None)
    assert Code.PUBLIC_CLIENT in codes(findings)


@FRAMINGS
async def test_a_wrong_password_is_tried_once(framing: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.url(framing), Known(**READER, password=b"11111111"))
        assert meter.logins == 1
    found = cause(findings)
    assert found.code is Code.WRONG_PASSWORD
    assert "password is wrong for client 32" in found.text


@FRAMINGS
async def test_the_right_password(framing: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.url(framing), Known(**READER, password=b"00000000"))
        assert meter.logins == 1
    assert findings[-1].code is Code.LOGGED_IN


@FRAMINGS
async def test_no_login_where_none_is_allowed(framing: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(
            meter.url(framing),
            Known(**READER, password=b"00000000"),
            Limits(budget=60, patience=2, listening=0, tries=0),
        )
        assert meter.logins == 0
    assert findings[-1].code is Code.NO_LOGIN


@FRAMINGS
async def test_a_wrong_client(framing: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.url(framing), Known(client=99, mechanism=LLS, password=b"00000000"))
        assert meter.logins == 1
    assert cause(findings).code is Code.WRONG_CLIENT
    assert "does not know it" in cause(findings).text


@FRAMINGS
async def test_a_wrong_mechanism(framing: str) -> None:
    async with serving(make_meter()) as meter:
        findings = await run(meter.url(framing), Known(client=1, mechanism=LLS, password=b"00000000"))
        assert meter.logins == 1
    assert cause(findings).code is Code.WRONG_MECHANISM


@FRAMINGS
async def test_a_wrong_application_context(framing: str) -> None:
    async with serving(make_meter()) as meter:
        known = Known(client=32, mechanism=LLS, password=b"00000000", security=keys())
        findings = await run(meter.url(framing), known)
        assert meter.logins == 1
    assert cause(findings).code is Code.WRONG_CONTEXT
    assert "without ciphering" in cause(findings).remedy


@FRAMINGS
async def test_a_wrong_secret_of_hls(framing: str) -> None:
    meter = make_meter()
    settings = ServerSettings(client_sap=48, server_sap=1, mechanism=MD5, secret=b"right secret")
    meter._associations[48, 1] = MeterAssociation(settings, Level.READER, 4)
    async with serving(meter) as served:
        wrong = await run(served.url(framing), Known(client=48, mechanism=MD5, password=b"wrong secret"))
        assert served.logins == 1
        right = await run(served.url(framing), Known(client=48, mechanism=MD5, password=b"right secret"))
    assert cause(wrong).code is Code.WRONG_PASSWORD
    assert "refuses our proof" in cause(wrong).text
    assert right[-1].code is Code.LOGGED_IN


@FRAMINGS
@pytest.mark.parametrize("wrong", [{"encryption_key": OTHER_KEY}, {"authentication_key": OTHER_KEY}, {"suite": 1}])
async def test_keys_that_nothing_can_be_tried_on(framing: str, wrong: dict[str, object]) -> None:
    """A strict meter answers each of them with the same octets, so the finding says that it cannot be told."""
    async with serving(make_meter()) as meter:
        findings = await run(meter.url(framing), Known(client=1, security=keys(**wrong)))
        assert meter.logins == 1
    assert cause(findings).code is Code.WRONG_KEY
    assert "cannot be told" in cause(findings).text


@FRAMINGS
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"encryption_key": OTHER_KEY}, Code.WRONG_ENCRYPTION_KEY),
        ({"authentication_key": OTHER_KEY}, Code.WRONG_AUTHENTICATION_KEY),
        ({"encryption_key": AUTHENTICATION_KEY, "authentication_key": ENCRYPTION_KEY}, Code.WRONG_ENCRYPTION_KEY),
        ({"suite": 1}, Code.WRONG_SUITE),
    ],
)
async def test_keys_that_a_push_can_be_tried_on(framing: str, wrong: dict[str, object], code: Code) -> None:
    served = Served()
    async with scripted(
        pushing(make_meter(), framing, sealed_push(), served), "tcp" if framing == "wrapper" else "hdlc"
    ) as url:
        findings = await run(url, Known(client=1, security=keys(**wrong)), Limits(budget=60, patience=2, listening=0.3))
        assert served.logins <= 1  # the push may end it before the meter reads it
    assert Code.PUSHES in codes(findings)
    assert cause(findings).code is code


@FRAMINGS
async def test_a_wrong_system_title(framing: str) -> None:
    meter = make_meter(meter_keys(peer_system_title=b"HES00001"))
    async with serving(meter) as served:
        findings = await run(served.url(framing), Known(client=1, security=keys()))
        assert served.logins == 1
    assert cause(findings).code is Code.WRONG_SYSTEM_TITLE


@FRAMINGS
async def test_a_meter_whose_messages_fit_our_keys_and_which_does_not_take_ours(framing: str) -> None:
    """It deciphers with another title than ours: its own push proves that the keys are not at fault."""
    served = Served()
    meter = make_meter(meter_keys(encryption_key=OTHER_KEY))  # never deciphers us
    scheme = "tcp" if framing == "wrapper" else "hdlc"
    async with scripted(pushing(meter, framing, sealed_push(), served), scheme) as url:
        findings = await run(url, Known(client=1, security=keys()), Limits(budget=60, patience=2, listening=0.3))
        assert served.logins == 1
    assert cause(findings).code is Code.WRONG_SYSTEM_TITLE
    assert "fit both keys" in cause(findings).text


@FRAMINGS
async def test_a_counter_that_is_too_low(framing: str) -> None:
    async with serving(make_meter()) as meter:
        await run(meter.url(framing), Known(client=1, security=keys(system_title=b"DOCTOR01")))
        assert meter.logins == 1
        findings = await run(meter.url(framing), Known(client=1, security=keys(system_title=b"DOCTOR01")))
        assert meter.logins == 2
        found = cause(findings)
        assert found.code is Code.COUNTER_TOO_LOW
        assert found.facts["own_counter"] == 1
        assert isinstance(found.facts["meter_counter"], int)
        # Allowed to go above it: the counter that the public client reads saves the try.
        allowed = keys(system_title=b"DOCTOR01", allow_counter_from_meter=True)
        findings = await run(meter.url(framing), Known(client=1, security=allowed))
        assert meter.logins == 3
        assert findings[-1].code is Code.LOGGED_IN


@FRAMINGS
async def test_a_counter_that_only_the_refusal_tells(framing: str) -> None:
    """Never more tries than stated, even where the session itself would try again."""
    device = make_meter()
    device.faults.force(1, "0-0:43.1.0", 2, DataAccessResult.READ_WRITE_DENIED)
    async with serving(device) as meter:
        await run(meter.url(framing), Known(client=1, security=keys(system_title=b"DOCTOR02")))
        for tries, code in ((1, Code.COUNTER_TOO_LOW), (2, Code.LOGGED_IN)):
            before = meter.logins
            allowed = keys(
                system_title=b"DOCTOR02", allow_counter_from_meter=True, counters=MemoryCounters()
            )  # fmt: skip
            limits = Limits(budget=60, patience=2, listening=0.05, tries=tries)
            findings = await run(meter.url(framing), Known(client=1, security=allowed), limits)
            assert meter.logins - before == tries
            assert code in codes(findings)


@FRAMINGS
async def test_without_a_mechanism_the_secrets_tell(framing: str) -> None:
    """Keys and a password: each is tried once, and the client is asked for where it was not named."""
    async with serving(make_meter()) as meter:
        known = Known(client=32, password=b"00000000", security=keys())
        findings = await run(meter.url(framing), known)
        assert meter.logins == 2
    assert Code.WRONG_CONTEXT in codes(findings) or Code.WRONG_MECHANISM in codes(findings)
    assert findings[-1].code is Code.LOGGED_IN
    assert codes(findings).count(Code.CHOICE) == 2


@FRAMINGS
@pytest.mark.parametrize(("client", "suite"), [(4, 1), (5, 2)])
async def test_ecdsa(framing: str, client: int, suite: int) -> None:
    """The demo meter's clients of suites 1 and 2: the right signing key, and another one."""
    ecdsa = AuthenticationMechanism.HLS_ECDSA

    def known(title: bytes) -> Known:
        security = security_context(suite, "client", title, counters=MemoryCounters())
        return Known(client=client, mechanism=ecdsa, security=security)

    async with serving(make_meter()) as meter:
        right = await run(meter.url(framing), known(b"DOCECD01"))
        assert right[-1].code is Code.LOGGED_IN
        assert meter.logins == 1
        wrong = known(b"DOCECD02")
        assert wrong.security is not None
        wrong.security.signing_key = SoftwareKey.generate(suite)
        findings = await run(meter.url(framing), wrong)
        assert meter.logins == 2
    assert cause(findings).code is Code.WRONG_SIGNING_KEY
    assert "the meter refuses our proof" in cause(findings).text
