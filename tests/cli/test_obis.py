"""cosemic obis: a code in words, codes by words and by patterns, companion profiles."""

from __future__ import annotations

import pytest


def test_a_code_in_words(cosemic):
    done = cosemic("obis", "1-0:1.8.1*255")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "1-0:1.8.1*255  active energy import, tariff 1, Wh-type register"
    assert lines[2:8] == [
        "A    1  electricity",
        "B    0  no channel, or the only one",
        "C    1  Active power import (+A)",
        "D    8  time integral 1",
        "E    1  tariff 1",
        "F  255  the present value, or not used",
    ]
    facts = [line.split(maxsplit=1) for line in lines[9:]]
    assert ["unit", "Wh"] in facts
    assert ["class", "3 Register, 4 Extended register"] in facts
    assert ["pattern", "1-*:1.8.0-63,255"] in facts
    assert any(heading == "source" and "IEC 62056-6-1" in text for heading, text in facts)
    assert any(heading == "dsmr" and text.startswith("Electricity delivered to the client") for heading, text in facts)


@pytest.mark.parametrize("code", ["1-0:1.8.1", "1.0.1.8.1.255", "0100010801FF"])
def test_all_ways_to_write_a_code(cosemic, code):
    assert cosemic("obis", code).out == cosemic("obis", "1-0:1.8.1*255").out


def test_as_json(cosemic):
    (found,) = cosemic("obis", "1-2:32.7.5", "--json").objects
    assert found["headline"] == "voltage L1 instantaneous, harmonic 5, channel 2, V-type register"
    assert (found["obis"], found["unit"], found["kind"]) == ("1.2.32.7.5.255", "V", "V-type register")
    assert found["classes"][0] == {"class_id": 3, "name": "Register"}
    assert [group["number"] for group in found["groups"]] == [1, 2, 32, 7, 5, 255]
    assert not found["generic"]
    assert not found["companions"]
    (found,) = cosemic("obis", "0-1:24.2.1", "--json").objects
    assert {item["companion"] for item in found["companions"]} == {"dsmr", "esmr"}


def test_an_unknown_code_is_described_as_far_as_its_groups_go(cosemic):
    done = cosemic("obis", "1-0:1.8.77")
    assert done.code == 0
    assert done.out.startswith("1-0:1.8.77*255  active power import time integral 1, item 77\n")
    assert "the catalogue has no name for this code" in done.out
    assert cosemic("obis", "3-4:5.6.7*8", "--json").objects[0]["generic"]
    done = cosemic("obis", "1-1:128.0.3")
    assert "the standard leaves this code to the manufacturer" in done.out


def test_search_by_words(cosemic):
    done = cosemic("obis", "--search", "voltage L1")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[2].split("  ")[0] == "1-*:32.7.0,255"
    assert len(lines) == 42
    assert "more: say --all" in done.err
    every = cosemic("obis", "--search", "voltage L1", "--all")
    assert len(every.out.splitlines()) > 200
    assert every.err == ""
    assert len(cosemic("obis", "--search", "Voltage l1", "--json").objects) == len(every.out.splitlines()) - 2


def test_search_by_pattern(cosemic):
    found = cosemic("obis", "1-0:1-2.8.*", "--json").objects
    assert [item["pattern"] for item in found] == ["1-*:1.8.0-63,255", "1-*:2.8.0-63,255"]
    found = cosemic("obis", "1-0:*.7.0", "--search", "voltage neutral", "--json").objects
    assert [item["name"] for item in found] == ["Voltage neutral instantaneous"]


def test_a_search_without_a_match(cosemic):
    done = cosemic("obis", "--search", "flux capacitor")
    assert (done.code, done.out) == (1, "")
    assert "nothing in the catalogue fits 'flux capacitor'" in done.err


def test_a_companion_of_the_package(cosemic):
    assert "Last reading of the device on M-Bus channel 1" in cosemic("obis", "0-1:24.2.1", "--companion", "dsmr").out
    done = cosemic("obis", "0-0:96.10.1", "--companion", "idis")
    assert "DNV: data not valid" in done.out
    assert "Profile status of load profile 1" in done.out
    assert "has no name of its own for this code" in cosemic("obis", "1-0:14.7.0", "--companion", "idis").out
    done = cosemic("obis", "--companion", "austria")
    assert "extends idis, dlms" in done.out
    assert "client 16, server 1: public" in done.out
    (profile,) = cosemic("obis", "--companion", "is15959", "--json").objects
    assert {item["client"] for item in profile["clients"]} == {16, 32, 48}
    assert len(profile["names"]) > 90
    found = cosemic("obis", "--search", "sags", "--companion", "dsmr", "--json").objects
    assert found[0]["name"] == "Number of voltage sags in phase L1 (dsmr)"
    found = cosemic("obis", "1-0:32.32.*", "--companion", "dsmr", "--json").objects
    assert found[0]["name"] == "Number of voltage sags in phase L1 (dsmr)"


def test_a_companion_of_a_user(cosemic, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        'title = "Grid"\nextends = "dsmr"\n[sources]\nS = "our own paper"\n'
        '[[names]]\nsource = "S"\ncodes = {"1-0:128.0.0" = "Pulse counter of the boiler"}\n',
        encoding="utf-8",
    )
    done = cosemic("obis", "1-0:128.0.0", "--companion", str(path))
    assert "Pulse counter of the boiler" in done.out
    assert "Tariff indicator" in cosemic("obis", "0-0:96.14.0", "--companion", str(path)).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "'bogus' is not an OBIS code; write it like"),
        ([], "say a code, --search WORDS, or --companion"),
        (["--search", " "], "--search: say what to look for"),
        (["1-0:1.8.0", "--search", "x"], "--search looks for codes"),
        (["1-0:1.8.0", "--companion", "mars"], "--companion: there is no companion 'mars'; there are austria"),
        (["1-0:1.8.0", "--companion", "none.toml"], "--companion: cannot read none.toml"),
    ],
)
def test_what_is_wrong_is_one_line(cosemic, arguments, message):
    done = cosemic("obis", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert message in done.err
