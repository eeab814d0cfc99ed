"""cosemic obis: a code in words, searches, companions."""

from __future__ import annotations

from pathlib import Path


def test_a_code_as_one_sentence_and_group_by_group(cosemic) -> None:
    done = cosemic("obis", "1-0:1.8.1*255")
    assert done.code == 0
    assert done.out.splitlines()[0] == "1-0:1.8.1*255: active energy import, tariff 1, Wh-type register"
    assert "electricity" in done.out
    assert "3 Register" in done.out
    assert "Blue Book" in done.out


def test_json_has_stable_keys(cosemic) -> None:
    (result,) = cosemic("obis", "1.0.1.8.1.255", "--json", "--companion", "india").objects
    assert result["description"] == "active energy import, tariff 1, Wh-type register"
    assert (result["medium"], result["unit"], result["known"]) == ("electricity", "Wh", True)
    assert result["groups"]["C"] == {"value": 1, "meaning": "Active power import (+A)"}
    assert result["companion"]["object"]["name"] == "Cumulative energy Wh, import, time zone"


def test_status_bits_of_a_companion(cosemic) -> None:
    done = cosemic("obis", "0-0:96.10.1", "--companion", "idis-2")
    assert "idis: Status of load profile 1" in done.out
    assert "clock invalid" in done.out


def test_search_finds_codes_and_wildcards_list_them(cosemic) -> None:
    done = cosemic("obis", "--search", "voltage L1")
    assert done.code == 0
    assert "1-*:32.7.0" in done.out
    (result,) = cosemic("obis", "1-0:*.8.0", "--json", "--limit", "3").objects
    assert [found["pattern"] for found in result["results"]] == ["1-*:1.8.0", "1-*:2.8.0", "1-*:3.8.0"]
    assert result["found"] > 3
    nothing = cosemic("obis", "--search", "flux capacitor")
    assert nothing.code == 1
    assert "Nothing" in nothing.out


def test_an_unknown_code_says_so(cosemic) -> None:
    done = cosemic("obis", "0-0:96.5.134")
    assert done.code == 0
    assert "no name for this code" in done.out


def test_what_is_wrong_is_said_in_one_line(cosemic, tmp_path: Path) -> None:
    for arguments, words in (
        (["obis"], "give one OBIS code"),
        (["obis", "1-0:1.8.0", "--search", "x"], "give one OBIS code"),
        (["obis", "banana"], "not an OBIS code"),
        (["obis", "--search", "voltage", "--limit", "0"], "--limit must be 1 or more"),
        (["obis", "1-0:1.8.0", "--companion", "atlantis"], "--companion: there is no companion 'atlantis'"),
    ):
        done = cosemic(*arguments)
        assert done.code == 2
        assert words in done.err
        assert "Traceback" not in done.err
    bad = tmp_path / "bad.toml"
    bad.write_text("titel = 1\n", encoding="utf-8")
    assert "titel: is no key" in cosemic("obis", "1-0:1.8.0", "--companion", str(bad)).err
