"""Names in place of numbers, values without types, dry runs, confirmation, models, differences, harvest."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from cosemic import decode_apdu
from cosemic.apdu.services import ActionRequestNormal, SetRequestNormal
from tests.cli.conftest import GMAC

SUPPLY = "0-0:96.3.10"
NUMBER = "0-0:128.0.0"


def test_reads_by_name(cosemic, meter):
    done = cosemic("read", meter.wrapper, "0-0:1.0.0/time_zone", "3/1-0:32.7.0/value", "--json")
    zone, voltage = done.objects
    assert (zone["class_id"], zone["attribute"], zone["value"]) == (8, 3, -60)
    assert voltage["unit"] == "V"


def test_a_name_that_is_not_there_stops_nothing_else(cosemic, meter):
    done = cosemic("read", meter.wrapper, "1-0:1.8.0/worth", "1-0:1.8.0", "--json")
    bad, good = done.objects
    assert done.code == 1
    assert "has no attribute 'worth': logical_name, value, scaler_unit" in bad["error"]
    assert good["error"] is None


def test_writes_in_the_type_that_the_meter_has(cosemic, meter):
    done = cosemic("set", meter.wrapper, f"{NUMBER}/value", "4711")
    assert (done.code, done.out) == (0, f"{NUMBER}/value: written\n")
    assert cosemic("read", meter.wrapper, f"1/{NUMBER}/2", "--json").objects[0]["value"] == 4711
    done = cosemic("set", meter.wrapper, "0-0:128.0.2/value", "1.5")
    assert done.code == 0
    assert '"value": 1.500, "unit": "m³"' in cosemic("read", meter.wrapper, "0-0:128.0.2", "--json").out


def test_a_value_that_does_not_fit_is_one_line(cosemic, meter):
    done = cosemic("set", meter.wrapper, f"{NUMBER}/value", "many")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "many" in done.err


def test_a_dry_run_sends_nothing(cosemic, meter):
    cosemic("set", meter.wrapper, f"{NUMBER}/value", "1")
    done = cosemic("set", meter.wrapper, f"{NUMBER}/value", "2", "--dry-run", "--json")
    (line,) = done.objects
    apdu = decode_apdu(bytes.fromhex(line["apdu"]))
    assert isinstance(apdu, SetRequestNormal)
    assert (apdu.value.value, line["value"], line["sent"]) == (2, 2, False)
    assert cosemic("read", meter.wrapper, f"1/{NUMBER}/2", "--json").objects[0]["value"] == 1
    done = cosemic("call", meter.wrapper, f"{SUPPLY}/remote_disconnect", "--dry-run", "--json", *GMAC)
    assert isinstance(decode_apdu(bytes.fromhex(done.objects[0]["apdu"])), ActionRequestNormal)


def test_what_rights_forbid_is_refused_by_a_dry_run(cosemic, meter):
    done = cosemic("set", meter.wrapper, "1-0:14.7.0/value", "50", "--dry-run")
    assert done.code == 1
    assert "this association has read, not write" in done.err


def test_what_has_consequences_needs_a_yes(cosemic, meter):
    for target in ((f"{SUPPLY}/remote_disconnect",), (f"70/{SUPPLY}/1", "integer", "0")):
        done = cosemic("call", meter.wrapper, *target, *GMAC)
        assert done.code == 2
        assert "to disconnect the supply" in done.err
        assert "--yes" in done.err
        assert cosemic("read", meter.wrapper, f"{SUPPLY}/output_state", "--json").objects[0]["value"] is True
    assert cosemic("call", meter.wrapper, f"{SUPPLY}/remote_disconnect", "--yes", *GMAC).code == 0
    assert cosemic("read", meter.wrapper, f"{SUPPLY}/output_state", "--json").objects[0]["value"] is False
    assert cosemic("call", meter.wrapper, f"70/{SUPPLY}/2", "integer", "0", "--yes", *GMAC).code == 0


def test_a_method_by_name_takes_a_plain_value(cosemic, meter):
    done = cosemic("call", meter.wrapper, "0-0:1.0.0/shift_time", "5", *GMAC)
    assert (done.code, done.err) == (0, "")
    assert cosemic("call", meter.wrapper, "0-0:1.0.0/shift_time", "-5", *GMAC).code == 0


def test_objects_with_their_units(cosemic, meter):
    lines = cosemic("objects", meter.wrapper, "--units", "--json").objects
    units = {line["obis"]: line["unit"] for line in lines}
    assert units["1.0.32.7.0.255"] == "V"
    assert units["0.0.1.0.0.255"] is None
    assert "unit" not in cosemic("objects", meter.wrapper, "--json").objects[0]


def test_a_model_and_its_differences(cosemic, meter, tmp_path):
    file = tmp_path / "meter.json"
    done = cosemic("model", meter.wrapper, "--out", str(file))
    assert done.code == 0
    assert "objects with" in done.err
    assert json.loads(file.read_text())["format"] == "cosemic meter model"
    assert json.loads(cosemic("model", meter.wrapper).out)["objects"]
    same = cosemic("diff", str(file), str(file))
    assert (same.code, same.out) == (0, "no differences\n")
    other = cosemic("diff", str(file), meter.wrapper, "--json", *GMAC)
    assert other.code == 1
    found = {(line["subject"], line["target"][:17]) for line in other.objects}
    assert ("access", "8/0-0:1.0.0*255/2") in found


def test_a_file_that_is_no_model(cosemic, meter, tmp_path):
    file = tmp_path / "other.json"
    for content, complaint in (("{}", "no meter model"), ("[", "neither")):
        file.write_text(content)
        done = cosemic("diff", str(file), meter.wrapper)
        assert done.code == 2
        assert complaint in done.err
    assert "cannot read" in cosemic("diff", str(tmp_path / "none.json"), meter.wrapper).err
    assert "cannot read" in cosemic("simulate", "--model", str(tmp_path / "none.json")).err


def test_harvest_into_a_file(cosemic, meter, tmp_path):
    file = tmp_path / "load.sqlite"
    first = cosemic("profile", meter.wrapper, "1-0:99.1.0", "--from", "-5h", "--into", str(file))
    assert first.code == 0
    assert "20 new rows" in first.out
    again = cosemic("profile", meter.wrapper, "1-0:99.1.0", "--since-last", "--into", str(file), "--json")
    (line,) = again.objects
    assert line["new"] in (0, 1)
    with closing(sqlite3.connect(file)) as database:
        (count,) = database.execute('SELECT count(*) FROM "1-0:99.1.0*255"').fetchone()
    assert count in (20, 21)


def test_harvest_refuses_what_makes_no_sense(cosemic, meter, tmp_path):
    where = ("profile", meter.wrapper, "1-0:99.1.0")
    file = str(tmp_path / "load.csv")
    assert "needs --into" in cosemic(*where, "--since-last").err
    assert "--last, --format" in cosemic(*where, "--into", file, "--last", "3", "--format", "csv").err
    assert "not both" in cosemic(*where, "--into", file, "--since-last", "--from", "-1h").err
    assert "end in" in cosemic(*where, "--into", str(tmp_path / "load.xls")).err
    assert "no folder" in cosemic(*where, "--into", str(tmp_path / "none" / "load.csv")).err
