"""Companion specifications: what they inherit, their status bits, and files of a user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cosemic.cosem.companions import CompanionError, companion, companion_names
from cosemic.cosem.model import interface_class
from cosemic.errors import DlmsError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"


@pytest.mark.parametrize("name", companion_names())
def test_every_companion_can_be_read_and_has_sources(name: str) -> None:
    found = companion(name)
    assert found.title
    assert found.sources
    assert found.objects
    for known in found.objects:
        assert known.name.strip()
        for class_id in known.classes:
            assert interface_class(class_id).name
    parents = ", ".join(found.parents) or "-"
    own = sum(known.companion == name for known in found.objects)
    line = f"| `{name}` | {found.title} | {parents} | {own} |"
    assert line in DOCS.read_text("utf-8"), line


def test_names_are_inherited_and_the_nearer_file_wins() -> None:
    four, five = companion("dsmr-4"), companion("dsmr-5")
    assert five.parents == ("dsmr-4",)
    gas = five.look_up("0-2:24.2.1")
    assert gas is not None
    assert (gas.name, gas.companion) == ("Last 5-minute value of an M-Bus device", "dsmr-5")
    older = four.look_up("0-2:24.2.1")
    assert older is not None
    assert older.name == "Last value of an M-Bus device"
    switch = five.look_up("0-0:96.3.10")
    assert switch is not None
    assert switch.companion == "dsmr-4"
    assert five.look_up("0-0:96.3.11") is None


def test_idis_status_bits() -> None:
    three = companion("idis-3")
    assert three.parents == ("idis-2", "idis")
    table = three.status_of("0-0:96.10.1")
    assert table is not None
    assert table.read(0b1000_0110) == ["clock invalid", "data not valid", "power down"]
    assert table.read(0) == []
    assert three.status_of("0-0:96.10.9") is None
    with pytest.raises(ValueError, match="8 bits"):
        table.read(256)
    assert three.clients[16] == "public client"


def test_a_file_of_ones_own_says_what_a_profile_holds(tmp_path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(
        'title = "ours"\nextends = "idis-3"\n[profiles]\n'
        '"1-0:99.1.0" = {name = "load", period = 900, columns = ["0-0:1.0.0", "0-0:96.10.1"]}\n'
    )
    profile = companion(str(file)).profile_of("1-0:99.1.0")
    assert profile is not None
    assert profile.period == 900
    assert str(profile.columns[1]) == "0-0:96.10.1*255"
    assert companion("idis-3").profile_of("1-0:99.1.0") is None


def test_dsmr_meters_have_status_bits_and_clients_that_their_consumers_port_has_not() -> None:
    four, five = companion("dsmr-4-p3"), companion("dsmr-5-p3")
    assert five.parents == ("dsmr-5", "dsmr-4")
    table = five.status_of("0-2:96.10.5")
    assert table is not None
    assert table.read(0b0100_0010) == ["clock invalid", "recovered value"]
    assert four.status_of("0-2:96.10.5") is None
    daily = four.status_of("0-0:96.10.2")
    assert daily is not None
    assert daily.read(0b1000_0000) == ["power down"]
    assert five.clients == {1: "management client", 16: "public client", 102: "pre-established client"}
    assert not companion("dsmr-5").clients
    assert not companion("sweden").clients
    name = five.look_up("0-0:97.98.2")
    assert name is not None
    assert name.name == "Alarm register 3"


def test_a_file_of_ones_own_extends_another(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\nextends = "idis-2"\nsources = ["our meters"]\n'
        '[objects]\n"1-0:1.8.0" = "Billing register"\n'
        '[status.house]\nobjects = ["0-0:96.5.134"]\nwidth = 16\nsource = "manual"\nbits = { 15 = "door open" }\n',
        encoding="utf-8",
    )
    (tmp_path / "nearer.toml").write_text('title = "Nearer"\nextends = "./mine.toml"\n', encoding="utf-8")
    found = companion(str(tmp_path / "nearer.toml"))
    assert found.parents == ("mine", "idis-2", "idis")
    known = found.look_up("1-0:1.8.0*255")
    assert known is not None
    assert known.name == "Billing register"
    assert found.status["house"].read(0x8001) == ["bit 0", "door open"]
    assert found.status_of("0-0:96.10.2") is found.status["amr-profile"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("title = ", "bad.toml: Invalid value"),
        ('titel = "x"', "titel: is no key"),
        ("", "title: must be a text"),
        ('title = "x"\nextends = "nowhere"', "there is no companion 'nowhere'; there are austria"),
        ('title = "x"\nextends = "./bad.toml"', "in a circle"),
        ('title = "x"\n[objects]\n"1-0:x" = "y"', "objects.'1-0:x': '1-0:x' is not a pattern"),
        ('title = "x"\n[objects]\n"1-0:1.8.0" = 5', "objects.'1-0:1.8.0': must be a name"),
        ('title = "x"\n[objects]\n"1-0:1.8.0" = {name="y", classes=["3x"]}', "classes: must be a number"),
        ('title = "x"\n[status]\ns = {width = 8, source="m", bits = {9 = "x"}}', "bits.9: must be a number from 0"),
        ('title = "x"\n[status]\ns = {width = 8, source="m"}', "status.s.bits: must be a table"),
        ('title = "x"\n[profiles]\n"1-0:99.1.0" = {name="p", columns=["1-0:1.*.0"]}', "is not an OBIS code"),
        ('title = "x"\n[clients]\n999 = "x"', "clients.999: must be a number from 1 to 127"),
        ("a = " + "[" * 5000, "nested too deep"),
        ('title = "x"\nsources = "one"', "sources: must be a list of texts"),
        ('title = "x"\n[quirks]\na = 1', "quirks.a: must be a text"),
    ],
)  # fmt: skip
def test_a_bad_file_gives_one_error_with_the_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CompanionError, match=re.escape(place)) as caught:
        companion(str(path))
    assert isinstance(caught.value, DlmsError)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(CompanionError, match="idis-1, idis-2"):
        companion("atlantis")
    with pytest.raises(CompanionError, match="no companion"):
        companion("./atlantis.toml")
