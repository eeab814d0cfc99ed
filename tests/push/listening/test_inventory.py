"""Inventories: who is found by what, which keys come of it, and each mistake told with its place."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from cosemic.push.listening.inventory import Inventory, InventoryError
from cosemic.push.meaning.layout import Layout
from cosemic.push.protection.keys import ENCRYPTION, MeterKeys, PushKeys

TITLE = bytes.fromhex("4B464D1020304050")
OTHER = bytes.fromhex("4B464D1020304051")
ONE = "6F" * 16
TWO = "A1" * 16

TWO_METERS = f"""
[defaults]
zone = "+01:00"

[meters.cellar]
system_title = "4B 46 4D 10 20 30 40 50"
ek = "{ONE}"
ak = "{TWO}"
check-replay = false

[meters.roof]
source = ["192.0.2.17", "198.51.100.0/24", "2001:db8:1::/48", "serial:///dev/ttyUSB0?baud=2400"]
meter_id = ["ABC123 ", "LDN-77"]
layout = "norway-kaifa"
zone = "UTC"
"""


def encryption_key(keys: MeterKeys | None) -> str | None:
    key = None if keys is None else keys.key(ENCRYPTION)
    return None if key is None else key.hex().upper()


def name_of(known: object) -> str | None:
    return getattr(known, "name", None)


def test_it_is_what_the_decoder_asks_for_keys() -> None:
    assert isinstance(Inventory(TWO_METERS), PushKeys)


def test_meters_by_title_source_and_identity() -> None:
    inventory = Inventory(TWO_METERS)
    assert len(inventory) == 2
    assert inventory.names == ("cellar", "roof")
    assert name_of(inventory.by_sender(TITLE, None)) == "cellar"
    assert name_of(inventory.by_sender(TITLE, "tcp://192.0.2.17:5000")) == "cellar"  # the title is the surer
    assert inventory.by_sender(None, None) is None
    assert name_of(inventory.by_identity("abc123")) == "roof"
    assert inventory.by_identity("abc124") is None
    roof = inventory.by_identity("LDN-77")
    assert roof is not None
    assert isinstance(roof.layout, Layout)
    assert roof.layout.name == "norway-kaifa"
    assert roof.zone is not None
    assert roof.zone.utcoffset(None) == timedelta(0)
    cellar = inventory.by_sender(TITLE, None)
    assert cellar is not None
    assert cellar.zone is not None
    assert cellar.zone.utcoffset(None) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("192.0.2.17", "roof"),
        ("tcp://192.0.2.17:50123", "roof"),
        ("udp://198.51.100.200:4059", "roof"),
        ("tcp://[2001:db8:1:2::3]:50123", "roof"),
        ("serial:///dev/ttyUSB0?baud=2400", "roof"),
        ("tcp://192.0.2.18:50123", None),
        ("tcp://[2001:db8:2::3]:50123", None),
        ("serial:///dev/ttyUSB1?baud=2400", None),
        ("capture.bin", None),
    ],
)
def test_sources(source: str, name: str | None) -> None:
    assert name_of(Inventory(TWO_METERS).by_sender(None, source)) == name


def test_the_narrower_network_wins() -> None:
    inventory = Inventory(
        '[meters.wide]\nsource = "10.0.0.0/8"\n[meters.narrow]\nsource = "10.1.0.0/16"\n'
        '[meters.one]\nsource = "10.1.2.3"\n'
    )
    names = [name_of(inventory.by_sender(None, host)) for host in ("10.2.0.1", "10.1.0.1", "10.1.2.3")]
    assert names == ["wide", "narrow", "one"]


def test_keys_by_title() -> None:
    inventory = Inventory(TWO_METERS)
    keys = inventory.find(TITLE)
    assert encryption_key(keys) == ONE
    assert keys is not None
    assert keys.authentication_key == bytes.fromhex(TWO)
    assert (keys.check_replay, keys.without_verifying, keys.allow_example_keys) == (False, False, False)
    assert inventory.find(OTHER) is None
    assert ONE not in repr(inventory)
    assert ONE.lower() not in repr(inventory._tables.entries)


def test_keys_by_source() -> None:
    inventory = Inventory(f'[meters.a]\nsource = "192.0.2.1"\nek = "{ONE}"\n[meters.b]\nsource="192.0.2.2"\nek="{TWO}"')
    assert inventory.find(TITLE) is None
    assert encryption_key(inventory.from_source("tcp://192.0.2.2:7").find(TITLE)) == TWO
    assert inventory.from_source("tcp://192.0.2.3:7").find(TITLE) is None


def test_default_keys_open_what_no_meter_has_keys_for() -> None:
    text = f"""
        [defaults]
        ek = "{TWO}"
        without_verifying = true
        [meters.own]
        system_title = "{TITLE.hex()}"
        ek = "{ONE}"
        [meters.shared]
        system_title = "{OTHER.hex()}"
        without_verifying = false
    """
    inventory = Inventory(text)
    own, shared, unknown = (inventory.find(title) for title in (TITLE, OTHER, bytes(8)))
    assert [encryption_key(keys) for keys in (own, shared, unknown)] == [ONE, TWO, TWO]
    assert [keys.without_verifying for keys in (own, shared, unknown) if keys] == [True, False, True]


def test_a_lone_meter_needs_nothing_to_be_known_by() -> None:
    inventory = Inventory(f'[meters.mine]\nek = "{ONE}"')
    assert encryption_key(inventory.find(TITLE)) == ONE
    assert name_of(inventory.by_sender(TITLE, "serial:///dev/ttyUSB0")) == "mine"
    assert name_of(inventory.by_sender(None, None)) == "mine"


def test_another_title_from_the_source_of_a_meter_is_not_that_meter() -> None:
    inventory = Inventory(f'[meters.a]\nsystem_title="{TITLE.hex()}"\nsource="192.0.2.1"\nek="{ONE}"\n[meters.b]\n')
    assert inventory.by_sender(OTHER, "tcp://192.0.2.1:7") is None
    assert inventory.from_source("tcp://192.0.2.1:7").find(OTHER) is None
    assert name_of(inventory.by_sender(None, "tcp://192.0.2.1:7")) == "a"


def test_nobody_becomes_a_meter_with_keys_by_calling_itself_so() -> None:
    inventory = Inventory(f'[meters.a]\nsystem_title="{TITLE.hex()}"\nmeter_id="7"\n[meters.b]\nmeter_id="8"\n')
    assert inventory.by_identity("7") is None
    assert name_of(inventory.by_identity("8")) == "b"


def test_references_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "one.ek").write_text(ONE + "\n")
    monkeypatch.setenv("TWO_AK", TWO)
    file = tmp_path / "inventory.toml"
    file.write_text(
        f'[meters.a]\nsystem_title = "{TITLE.hex()}"\nek = "file:keys/one.ek"\nak = "env:TWO_AK"\nlayout="own.toml"\n'
    )
    (tmp_path / "own.toml").write_text('title = "my own"\n[[push]]\nname = "a"\nwhen = {elements = 1}\n')
    file.chmod(0o644)
    inventory = Inventory.load(file)
    keys = inventory.find(TITLE)
    assert encryption_key(keys) == ONE
    assert keys is not None
    assert keys.authentication_key == bytes.fromhex(TWO)
    known = inventory.by_sender(TITLE, None)
    assert known is not None
    assert isinstance(known.layout, Layout)
    assert known.layout.title == "my own"


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_keys_that_lie_open_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "inventory.toml"
    file.write_text(f'[meters.a]\nek = "{ONE}"\n')
    file.chmod(0o640)
    with pytest.raises(InventoryError, match="others may read it: chmod 600") as caught:
        Inventory.load(file)
    assert ONE not in str(caught.value)
    file.chmod(0o600)
    assert len(Inventory.load(file)) == 1


def test_reading_again(tmp_path: Path) -> None:
    file = tmp_path / "inventory.toml"
    file.write_text('[meters.a]\nmeter_id = "1"\n')
    inventory = Inventory.load(file)
    assert inventory.reload_if_changed() is False
    file.write_text('[meters.a]\nmeter_id = "1"\n[meters.bb]\nmeter_id = "2"\n')
    assert inventory.reload_if_changed() is True
    assert name_of(inventory.by_identity("2")) == "bb"
    file.write_text("[meters.a]\nmeter_id = 1\n")
    with pytest.raises(InventoryError, match="meter_id must be text"):
        inventory.reload_if_changed()
    assert name_of(inventory.by_identity("2")) == "bb"  # what was right stays
    file.unlink()
    assert inventory.reload_if_changed() is False


def test_definitions(tmp_path: Path) -> None:
    inventory = Inventory('[meters.a]\npush_objects = ["8/0-0:1.0.0/2", "3/1-0:1.8.0/2", "3/1-0:2.8.0/2/0"]')
    known = inventory.by_sender(None, None)
    assert known is not None
    (columns,) = known.definition.lists
    assert [(column.class_id, str(column.obis), column.attribute) for column in columns] == [
        (8, "0-0:1.0.0*255", 2),
        (3, "1-0:1.8.0*255", 2),
        (3, "1-0:2.8.0*255", 2),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[meters.a\n", r"is no TOML: .*line 1"),
        ("[meter.a]\n", r"'meter' is unknown; an inventory has \[defaults\] and \[meters.NAME\]"),
        ("[meters]\na = 1\n", r"\[meters.a\]: this must be a table"),
        ("[meters.a]\nsystem_titel = 'x'\n", r"\[meters.a\]: unknown setting 'system_titel'; system_title is meant\?"),
        ("[meters.a]\nzzz = 'x'\n", "unknown setting 'zzz'; there are"),
        ("[defaults]\nsystem_title = 'x'\n", "unknown setting 'system_title'"),
        ("[meters.a]\nek = 5\n", "ek must be text in quotes"),
        ("[meters.a]\ncheck_replay = 'no'\n", "check_replay must be true or false"),
        ("[meters.a]\nsource = []\n", "source must be text in quotes, or a list of such"),
        ("[meters.a]\nek = '00112233'\n", "encryption key has 4 octets"),
        ("[meters.a]\nek = 'file:nowhere'\n", "ek names the file nowhere, which cannot be read: No such file"),
        ("[meters.a]\nek = 'env:COSEMIC_NOWHERE'\n", "environment variable COSEMIC_NOWHERE, which is not set"),
        ("[meters.a]\nsystem_title = '4B46'\n", "system_title: a system title has 8 octets"),
        ("[meters.a]\nsource = '192.0.2.300'\n", "source '192.0.2.300' is no address"),
        ("[meters.a]\nsource = '192.0.2.7/24'\n", "source '192.0.2.7/24' is no address: .*host bits"),
        ("[meters.a]\nzone = 'Atlantis'\n", "zone 'Atlantis' is unknown; write such as Europe/Vienna"),
        ("[meters.a]\npush_objects = '3/1.8.0'\n", "write CLASS/OBIS/ATTRIBUTE"),
        ("[meters.a]\npush_objects = '3/nonsense/2'\n", "nonsense"),
        ("[meters.a]\nlayout = 'norway-kaifax'\n", "layout: there is no layout 'norway-kaifax'; is norway-kaifa or "),
        ("[meters.a]\nlayout = 'none.toml'\n", "layout: .*none.toml: there is no such file"),
        ("[meters.a]\nmodel = 'nowhere.json'\n", "model nowhere.json cannot be read"),
        ("[meters.a]\npush_setup = '0.0.25.9.0.255'\n", "give model = FILE too"),
        (f"[meters.a]\nek = '{ONE}'\n[meters.b]\nmeter_id='1'\n", r"\[meters.a\]: there are keys, but nothing to know"),
        (
            "[meters.a]\nsystem_title='4B464D1020304050'\n[meters.b]\nsystem_title='4B464D1020304050'\n",
            "'a' and 'b' both have system_title 4B464D1020304050",
        ),
        ("[meters.a]\nsource='10.0.0.1'\n[meters.b]\nsource='10.0.0.1/32'\n", "both have source 10.0.0.1/32"),
        ("[meters.a]\nmeter_id='X'\n[meters.b]\nmeter_id='x'\n", "both have meter_id x"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    with pytest.raises(InventoryError, match=told) as caught:
        Inventory(text, name="meters.toml")
    assert str(caught.value).startswith("meters.toml")
    assert ONE not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="there is no inventory"):
        Inventory.load(tmp_path / "nowhere.toml")


def test_thousands_of_meters() -> None:
    text = "".join(
        f'[meters.m{number}]\nsystem_title = "{number:016X}"\nek = "{number:032X}"\nmeter_id = "{number}"\n'
        f'source = "10.{number >> 16}.{number >> 8 & 255}.{number & 255}"\n'
        for number in range(1, 5001)
    )
    inventory = Inventory(text)
    for number in (1, 2500, 5000):
        assert encryption_key(inventory.find(number.to_bytes(8, "big"))) == f"{number:032X}"
        source = f"tcp://10.0.{number >> 8}.{number & 255}:9"
        assert name_of(inventory.by_sender(None, source)) == f"m{number}"
