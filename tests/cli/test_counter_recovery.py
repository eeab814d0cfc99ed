"""``--counter-recovery``: a ledger that was lost goes on above what the meter shows to the public client."""

from __future__ import annotations

from .test_reading import ENERGY, GMAC


def keys(title: str) -> list[str]:
    return [title if value == "4D4D4D0000000001" else value for value in GMAC]


def test_a_lost_ledger_goes_on_from_what_the_public_client_sees(cosemic, meter, home, monkeypatch) -> None:
    own = keys("4D4D4D00000000A2")
    assert cosemic("read", meter.wrapper, ENERGY, *own).code == 0
    for number, policy in enumerate(("from-public-client", "from-answer")):
        monkeypatch.setenv("COSEMIC_STATE", str(home / f"lost {number}"))
        assert cosemic("read", meter.wrapper, ENERGY, *own, "--counter-recovery", "never").code == 1
        assert cosemic("read", meter.wrapper, ENERGY, *own, "--counter-recovery", policy).code == 0
        assert cosemic("read", meter.wrapper, ENERGY, *own).code == 0


def test_an_unknown_policy_names_the_known_ones(cosemic, meter) -> None:
    refused = cosemic("read", meter.wrapper, ENERGY, *keys("4D4D4D00000000A3"), "--counter-recovery", "sometimes")
    assert refused.code != 0
    assert "from-public-client" in refused.err


def test_named_meters_have_it_too(cosemic, meter, tmp_path, home, monkeypatch) -> None:
    own = keys("4D4D4D00000000A4")
    assert cosemic("read", meter.wrapper, ENERGY, *own).code == 0
    monkeypatch.setenv("COSEMIC_STATE", str(home / "lost"))
    file = tmp_path / "meters.toml"
    monkeypatch.setenv("COSEMIC_METERS", str(file))
    file.write_text(f'[meters.home]\nurl = "{meter.wrapper}"\ncounter_recovery = "sometimes"\n')
    refused = cosemic("read", "home", ENERGY, *own)
    assert refused.code != 0
    assert "from-public-client" in refused.err
    assert len(refused.err.splitlines()) == 1
    file.write_text(f'[meters.home]\nurl = "{meter.wrapper}"\ncounter-recovery = "from-public-client"\n')
    assert cosemic("read", "home", ENERGY, *own).code == 0
