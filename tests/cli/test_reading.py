"""read, set, call and objects against a simulated meter."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from tests.cli.conftest import GMAC, LLS

ENERGY = "1-0:1.8.0"


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("login", [(), LLS, GMAC], ids=["none", "lls", "gmac"])
def test_reads_a_register_with_its_unit(cosemic, meter, framing: str, login: tuple[str, ...]) -> None:
    done = cosemic("read", getattr(meter, framing), ENERGY, "--json", *login)
    assert done.code == 0
    assert done.err == ""
    (line,) = done.objects
    assert list(line) == ["class_id", "obis", "attribute", "value", "unit", "error"]
    value = line.pop("value")
    assert line == {"class_id": 3, "obis": "1.0.1.8.0.255", "attribute": 2, "unit": "Wh", "error": None}
    assert isinstance(value, int)
    assert value > 0


def test_scaled_values_are_exact(cosemic, meter) -> None:
    done = cosemic("read", meter.wrapper, "1-0:32.7.0", "--json")
    assert re.search(r'"value": 2\d\d\.\d, "unit": "V"', done.out)
    raw = cosemic("read", meter.wrapper, "1-0:32.7.0", "--json", "--raw")
    assert isinstance(raw.objects[0]["value"], int)
    assert raw.objects[0]["unit"] is None


def test_what_a_register_measures_has_its_unit_by_attribute_too(cosemic, meter) -> None:
    for obis, attributes in (("1-0:32.7.0", {3: [2]}), ("1-0:1.6.0", {4: [2]}), ("1-0:1.4.0", {5: [2, 3]})):
        for class_id, numbers in attributes.items():
            targets = [f"{class_id}/{obis}/{number}" for number in numbers]
            alone, *lines = cosemic("read", meter.wrapper, obis, *targets, "--json").objects
            raw = cosemic("read", meter.wrapper, *targets, "--json", "--raw").objects
            scaler = cosemic("read", meter.wrapper, f"{class_id}/{obis}/{4 if class_id == 5 else 3}", "--json")
            for line, sent in zip(lines, raw, strict=True):
                assert line["unit"] == alone["unit"] is not None
                assert sent["unit"] is None
                assert line["value"] == pytest.approx(sent["value"] * 10 ** scaler.objects[0]["value"][0], rel=0.1)
    typed = cosemic("read", meter.wrapper, "3/1-0:32.7.0/2", "--json", "--typed").objects[0]
    assert typed["unit"] == "V"
    assert typed["type"].endswith("unsigned")


def test_reads_attributes(cosemic, meter) -> None:
    done = cosemic("read", meter.wrapper, "3/1-0:1.8.0*255/3", "8/0.0.1.0.0.255/2", "1/0-0:42.0.0/2", "--json")
    scaler, clock, name = done.objects
    assert scaler["value"] == [0, 30]
    assert datetime.fromisoformat(clock["value"]).tzinfo is not None
    assert name["value"] == b"COS0000000000001".hex()
    assert clock["unit"] is None


def test_obis_alone_finds_clock_and_data_too(cosemic, meter) -> None:
    clock, name = cosemic("read", meter.wrapper, "0-0:1.0.0", "0-0:42.0.0", "--json").objects
    assert (clock["class_id"], name["class_id"]) == (8, 1)


def test_raw_and_typed(cosemic, meter) -> None:
    raw = cosemic("read", meter.wrapper, "8/0-0:1.0.0/2", "--raw", "--json").objects[0]
    assert re.fullmatch(r"[0-9a-f]{24}", raw["value"])
    typed = cosemic("read", meter.wrapper, "3/1-0:1.8.0/3", ENERGY, "--typed", "--json").objects
    assert typed[0]["type"] == "structure"
    assert typed[0]["value"] == [{"type": "integer", "value": 0}, {"type": "enum", "value": 30}]
    assert typed[1]["type"].endswith("unsigned")


def test_table_for_people(cosemic, meter) -> None:
    done = cosemic("read", meter.wrapper, ENERGY)
    assert done.code == 0
    assert re.search(r"1-0:1\.8\.0\*255 +3/2 +\d+ Wh +Active energy import", done.out)


def test_a_failed_target_does_not_stop_the_others(cosemic, meter) -> None:
    done = cosemic("read", meter.wrapper, "3/1-0:99.9.9/2", ENERGY, "--json")
    assert done.code == 1
    failed, read = done.objects
    assert failed["value"] is None
    assert failed["error"] == "object-undefined (4)"
    assert read["error"] is None
    assert read["value"] > 0
    assert len(done.err.splitlines()) == 1
    assert "3/1-0:99.9.9/2" in done.err


def test_sets_and_reads_back(cosemic, meter) -> None:
    done = cosemic("set", meter.wrapper, "1/0-0:128.0.0/2", "double-long-unsigned", "4711", "--json")
    assert done.objects == [
        {"class_id": 1, "obis": "0.0.128.0.0.255", "attribute": 2, "result": "success", "error": None}
    ]
    assert cosemic("read", meter.hdlc, "1/0-0:128.0.0/2", "--json").objects[0]["value"] == 4711


def test_long_values_go_in_blocks(cosemic, meter) -> None:
    octets = bytes(range(256)) * 4
    assert cosemic("set", meter.hdlc, "1/0-0:128.0.1/2", "octet-string", octets.hex()).code == 0
    assert cosemic("read", meter.hdlc, "1/0-0:128.0.1/2", "--json").objects[0]["value"] == octets.hex()


def test_a_refused_set_says_why(cosemic, meter) -> None:
    done = cosemic("set", meter.wrapper, "3/1-0:2.8.0/2", "double-long-unsigned", "1", "--json")
    assert done.code == 1
    assert done.objects[0]["result"] == "read-write-denied"
    assert done.objects[0]["error"] == "read-write-denied (3)"
    assert len(done.err.splitlines()) == 1
    assert "cosemic objects" in done.err


def test_calls_a_method(cosemic, meter) -> None:
    done = cosemic("call", meter.wrapper, "3/0-0:128.0.2/1", "integer", "0", "--json")
    assert done.code == 0
    assert done.objects == [
        {"class_id": 3, "obis": "0.0.128.0.2.255", "method": 1, "result": "success", "value": None, "error": None}
    ]
    denied = cosemic("call", meter.wrapper, "70/0-0:96.3.10/1", "integer", "0", "--yes")
    assert denied.code == 1
    assert "read-write-denied" in denied.err


@pytest.mark.parametrize(
    "target, says",
    [
        ("70/0-0:96.3.10/1", "to disconnect the supply (70/0-0:96.3.10/1), say --yes"),
        ("64/0-0:43.0.0/2", "to change keys"),
        ("20/0-0:13.0.0/1", "to activate the passive calendar"),
        ("18/0-0:44.0.0/4", "to activate the image"),
    ],
)
def test_what_is_hard_to_take_back_is_not_sent_without_yes(cosemic, target: str, says: str) -> None:
    held = cosemic("call", "tcp://127.0.0.1:1", target, "integer", "0")  # nobody is asked there
    assert held.code == 2
    assert says in held.err


def test_lists_objects_with_rights(cosemic, meter) -> None:
    lines = cosemic("objects", meter.wrapper, "--json").objects
    assert all(
        list(line) == ["class_id", "version", "class_name", "obis", "name", "attributes", "methods"] for line in lines
    )
    by_obis = {(line["class_id"], line["obis"]): line for line in lines}
    clock = by_obis[8, "0.0.1.0.0.255"]
    assert clock["class_name"] == "Clock"
    assert clock["attributes"][1] == {
        "attribute": 2, "name": "time", "read": True, "write": False, "rights": "read",
    }  # fmt: skip
    table = cosemic("objects", meter.wrapper)
    assert f"{len(lines)} objects" in table.out


def test_verbose_shows_the_exchange_without_secrets(cosemic, meter) -> None:
    for login, secret in ((LLS, "3030303030303030"), (GMAC, "000102030405060708090a0b0c0d0e0f")):
        for flag in ("-v", "-vv"):
            for url in (meter.wrapper, meter.hdlc):
                done = cosemic("read", url, ENERGY, "--json", flag, *login)
                assert done.code == 0
                assert len(done.objects) == 1
                assert "AARQ" in done.err
                assert "get-request" in done.err
                text = done.err.lower().replace(" ", "")
                assert secret not in text
                assert "<--" not in text


def with_title(title: str) -> list[str]:
    return [title if value == "4D4D4D0000000001" else value for value in GMAC]


def test_commands_share_a_durable_counter(cosemic, meter, home, monkeypatch) -> None:
    monkeypatch.delenv("COSEMIC_STATE")
    for _ in range(2):
        assert cosemic("read", meter.wrapper, ENERGY, "--json", *with_title("4D4D4D0000000004")).code == 0
    assert (home / ".local" / "state" / "cosemic" / "counters.sqlite3").stat().st_mode & 0o077 == 0


def test_a_counter_behind_the_meters(cosemic, meter, home, monkeypatch) -> None:
    keys = with_title("4D4D4D0000000002")
    assert cosemic("read", meter.wrapper, ENERGY, *keys).code == 0
    monkeypatch.setenv("COSEMIC_STATE", str(home / "fresh"))
    behind = cosemic("read", meter.wrapper, ENERGY, *keys)
    assert behind.code == 1
    assert "--allow-counter-from-meter" in behind.err
    assert len(behind.err.splitlines()) == 1
    assert cosemic("read", meter.wrapper, ENERGY, *keys, "--allow-counter-from-meter").code == 0
