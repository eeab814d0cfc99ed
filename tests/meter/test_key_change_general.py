"""New keys in an association whose messages bring their own: the authentication key covers those as well."""

from __future__ import annotations

import secrets

import pytest

from cosemic import GeneralKey, KeyId, blocking
from cosemic.meter import demo_keys
from cosemic.meter.demo import demo_meter
from cosemic.meter.security_setup import setup_name
from cosemic.meter.server import running
from cosemic.security.counters import MemoryCounters
from cosemic.security.suites import KEY_LENGTH

BOTH = (KeyId.GLOBAL_UNICAST_ENCRYPTION, KeyId.AUTHENTICATION)


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("general", [GeneralKey.WRAPPED, GeneralKey.ONE_PASS, GeneralKey.STATIC_UNIFIED])
@pytest.mark.parametrize("ids", [(KeyId.AUTHENTICATION,), BOTH])
def test_new_keys_under_keys_of_the_message(suite: int, general: GeneralKey, ids: tuple[KeyId, ...]) -> None:
    title = bytes.fromhex("4D4D4D0000000011")
    keys = demo_keys.security_context(suite, "client", title, general=general, counters=MemoryCounters())
    old = demo_keys.security_context(suite, "client", title, general=general, counters=keys.counters)
    new = {key_id: secrets.token_bytes(KEY_LENGTH[suite]) for key_id in ids}
    client_sap = {number: sap for sap, number in demo_keys.CLIENTS.items()}[suite]
    with running(demo_meter(profile_rows=1)) as ports:
        url = f"tcp://127.0.0.1:{ports.wrapper}"
        with blocking.DlmsClient(url, client_sap=client_sap, authentication=7, security=keys) as meter:
            meter.transfer_keys(new, setup=setup_name(suite))
            assert meter.read_register("1-0:1.8.0").unit == "Wh"
        with blocking.DlmsClient(url, client_sap=client_sap, authentication=7, security=keys) as meter:
            assert meter.read_register("1-0:1.8.0").unit == "Wh"
        # The new keys were proved, so that the old ones open nothing any more.
        with pytest.raises(Exception, match=r"deciphering-error|does not verify"):
            blocking.DlmsClient(url, client_sap=client_sap, authentication=7, security=old).connect()


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("agreed", [False, True], ids=["transferred", "agreed"])
@pytest.mark.parametrize("ids", [(KeyId.MASTER,), (*BOTH, KeyId.MASTER)])
def test_a_new_master_key_wraps_the_next_message(suite: int, agreed: bool, ids: tuple[KeyId, ...]) -> None:
    title = bytes.fromhex("4D4D4D0000000013")
    keys = demo_keys.security_context(suite, "client", title, general=GeneralKey.WRAPPED, counters=MemoryCounters())
    old_master = keys.kek
    client_sap = {number: sap for sap, number in demo_keys.CLIENTS.items()}[suite]
    with running(demo_meter(profile_rows=1)) as ports:
        url = f"tcp://127.0.0.1:{ports.wrapper}"
        with blocking.DlmsClient(url, client_sap=client_sap, authentication=7, security=keys) as meter:
            if agreed:
                meter.agree_keys(ids, setup=setup_name(suite))
            else:
                meter.transfer_keys(
                    {key_id: secrets.token_bytes(KEY_LENGTH[suite]) for key_id in ids}, setup=setup_name(suite)
                )
            assert meter.read_register("1-0:1.8.0").unit == "Wh"
            assert keys.kek != old_master
            assert keys.keks == [keys.kek], "the meter wraps with the new one, so that the old one is forgotten"
        with blocking.DlmsClient(url, client_sap=client_sap, authentication=7, security=keys) as meter:
            assert meter.read_register("1-0:1.8.0").unit == "Wh"
            new_master = keys.kek
            keys.replace_kek(old_master)
            with pytest.raises(Exception, match="deciphering-error"):
                meter.read_register("1-0:1.8.0")
            keys.replace_kek(new_master)
            assert meter.read_register("1-0:1.8.0").unit == "Wh"
