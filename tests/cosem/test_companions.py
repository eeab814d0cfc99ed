"""Companion profiles: inheritance, names, status bits, users' files, and what is wrong in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosemic.cosem.companions import CompanionError, companion, companion_names, load_companion
from cosemic.errors import DlmsError

SOURCES = '[sources]\nS = "a public document"\n'
PLAIN = f'title = "Mine"\n{SOURCES}'


@pytest.fixture
def write(tmp_path):
    def _write(text: str, name: str = "mine.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_the_companions_that_come_with_the_package():
    assert {
        "dsmr", "esmr", "idis", "is15959", "italy-gas", "spain", "norway", "sweden", "denmark", "austria",
        "switzerland",
    } <= set(companion_names())  # fmt: skip
    for key in companion_names():
        profile = companion(key)
        assert profile.key == key
        assert profile.title
        assert key == "dlms" or profile.extends[-1] == "dlms"
        for name in profile.names():
            assert len(name.source) > 20
            assert name.text
        for item in (*profile.clients, *profile.quirks, *profile.status_tables):
            assert len(item.source) > 20
    assert companion("idis") is companion("idis")


def test_a_nearer_file_wins_and_the_rest_is_inherited():
    dsmr, esmr = companion("dsmr"), companion("esmr")
    assert esmr.extends == ("dsmr", "dlms")
    assert dsmr.name("0-2:24.2.1").text == "Last reading of the device on M-Bus channel 2"
    assert esmr.name("0-2:24.2.1").text == "Last 5-minute reading of the device on M-Bus channel 2"
    assert esmr.name("1-0:1.8.1").companion == "dsmr"
    assert esmr.name("1-0:1.8.3") is None
    assert dsmr.name("0-5:24.2.1") is None  # four channels
    assert len({name.pattern for name in esmr.names()}) == len(list(esmr.names()))


def test_names_of_several_countries():
    assert companion("is15959").name("1-0:94.91.0*255").text == "Instantaneous profile"
    assert companion("is15959").name("1-0:1.6.3*255").text == "Maximum demand, active import"
    assert companion("norway").name("1-1:0.2.129*255").text == "Version of the OBIS list"
    assert companion("denmark").name("1-1:96.1.1*255").companion == "kamstrup-han"
    assert companion("austria").name("0-0:99.98.1*255").text == "Fraud detection event log"
    assert companion("italy-gas").name("7-0:13.26.0*101").text == "Index of converted volume, previous gas day"
    assert companion("italy-gas").name("7-0:13.26.0*255") is None


def test_clients_are_inherited():
    clients = {item.name: (item.client, item.server) for item in companion("is15959").clients}
    assert clients == {"public": (16, 1), "meter reader": (32, 1), "utility setting": (48, 1)}
    assert {item.name for item in companion("switzerland").clients} == {"public", "management"}
    assert {item.name: item.client for item in companion("esmr").clients} == {
        "public": 16,
        "management": 1,
        "pre-established": 102,
    }


def test_status_bits_by_name():
    table = companion("switzerland").status_table("0-0:96.10.1*255")
    assert [bit.name for bit in table.set_bits(0b10001110)] == ["CIV", "DNV", "DST", "PDN"]
    assert table.set_bits(0) == ()
    assert [(bit.number, bit.name) for bit in table.set_bits(0b1010000)] == [(4, "bit 4"), (6, "bit 6")]
    with pytest.raises(ValueError, match="not negative"):
        table.set_bits(-1)
    assert companion("idis").status_table("1-0:1.8.0*255") is None
    assert companion("dsmr").status_table("0-0:96.10.1*255") is None
    table = companion("esmr").status_table("0-2:96.10.5*255")  # not among those of DSMR 4
    assert [bit.name for bit in table.set_bits(0b1000010)] == ["clock invalid", "recovered value"]
    assert companion("dsmr").status_table("0-2:96.10.5*255") is None


def test_a_file_of_a_user_extends_one_of_the_package(write):
    path = write(
        f"""
title = "Our grid"
extends = "idis"
{SOURCES}
[[names]]
source = "S"
[names.codes]
"1-0:1.8.*" = "Bought, tariff {{e}}"
"1-0:1.8.0" = "Bought, all in all"

[[clients]]
name = "management"
client = 2
source = "S"

[[status]]
name = "own"
source = "S"
objects = ["0-0:96.10.1"]
[status.bits]
0 = "bad"
"""
    )
    mine = load_companion(path)
    assert mine.extends == ("idis", "dlms")
    assert mine.name("1-0:1.8.0*255").text == "Bought, all in all"
    assert mine.name("1-0:1.8.2*255").text == "Bought, tariff 2"
    assert mine.name("1-0:1.8.2*255").source == "a public document"
    assert mine.name("0-0:99.98.0*255").companion == "idis"
    assert {item.name: (item.client, item.server) for item in mine.clients}["management"] == (2, None)
    assert [bit.name for bit in mine.status_table("0-0:96.10.1").set_bits(1)] == ["bad"]
    assert [bit.name for bit in mine.status_table("0-0:96.10.2").set_bits(1)] == ["ERR"]


def test_a_file_beside_another(write):
    write(PLAIN + '[[quirks]]\nname = "n"\ntext = "t"\nsource = "S"\n', "base.toml")
    child = load_companion(write('extends = "base.toml"\n' + PLAIN))
    assert child.extends == ("base",)
    assert [item.text for item in child.quirks] == ["t"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "mine.toml: Invalid value (at end of document)"),
        (SOURCES, "mine.toml: title must be a text, and it is missing"),
        ('title = "x"', "mine.toml: [sources] must be a table of texts, and it is missing"),
        ('title = "x"\n[sources]\nS = 1', "mine.toml: sources, 'S': must be a text"),
        (PLAIN + "colour = 1", "mine.toml: sources, 'colour': must be a text"),
        ("colour = 1\n" + PLAIN, "mine.toml: 'colour' is not a key here; there are title, extends"),
        ("extends = 3\n" + PLAIN, "mine.toml: extends must be a text"),
        ('extends = "nope"\n' + PLAIN, "mine.toml: extends 'nope', which is no companion; there are austria"),
        ('extends = "gone.toml"\n' + PLAIN, "gone.toml: No such file"),
        ('extends = "mine.toml"\n' + PLAIN, "mine.toml: the companions that it extends come back to mine.toml"),
        (PLAIN + '[[names]]\nsource = "T"\ncodes = {"1-0:1.8.0" = "x"}', "names 1: source 'T' is not in [sources]"),
        (PLAIN + '[[names]]\nsource = "S"\ncodes = {"1.8.0" = "x"}', "names 1: '1.8.0' is not a pattern of OBIS codes"),
        (PLAIN + '[[names]]\nsource = "S"\ncodes = {"1-0:1.8.0" = 4}', "names 1: codes, '1-0:1.8.0': must be a text"),
        (PLAIN + '[[names]]\nsource = "S"', "names 1: [codes] must be a table of texts, and it is missing"),
        (PLAIN + '[names]\nsource = "S"', "mine.toml: write [[names]] before each of the names"),
        (
            PLAIN + '[[clients]]\nname = "a"\nclient = 16\nsource = "S"\n'
            '[[clients]]\nname = "b"\nclient = 70000\nsource = "S"',
            "clients 2: client must be a number from 0 to 16383",
        ),
        (PLAIN + '[[clients]]\nname = "a"\nclient = true\nsource = "S"', "clients 1: client must be a number"),
        (PLAIN + '[[quirks]]\nname = "a"\nsource = "S"', "quirks 1: text must be a text, and it is missing"),
        (
            PLAIN + '[[status]]\nname = "a"\nsource = "S"\nobjects = ["0-0:96.10.1"]\nbits = {"99" = "x"}',
            "status 1: bits: '99' must be a number from 0 to 63",
        ),
        (
            PLAIN + '[[status]]\nname = "a"\nsource = "S"\nobjects = 1\nbits = {"0" = "x"}',
            "status 1: objects must be a list",
        ),
    ],
)  # fmt: skip
def test_a_bad_file_gives_one_clear_error_with_the_place(write, text, message):
    with pytest.raises(CompanionError) as caught:
        load_companion(write(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, DlmsError)


def test_what_is_no_file_and_no_companion(tmp_path):
    with pytest.raises(CompanionError, match="there is no companion 'mars'; there are austria"):
        companion("mars")
    with pytest.raises(CompanionError, match=r"cannot read .*none\.toml: No such file"):
        load_companion(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'title = "\xe9"')
    with pytest.raises(CompanionError, match=r"latin\.toml is not a text in UTF-8"):
        load_companion(latin)


def test_files_that_extend_each_other(write):
    write('extends = "b.toml"\n' + PLAIN, "a.toml")
    path = write('extends = "a.toml"\n' + PLAIN, "b.toml")
    with pytest.raises(CompanionError, match="come back to"):
        load_companion(path)


KEYS = st.sampled_from(["title", "extends", "sources", "names", "clients", "quirks", "status", "source", "codes", "x"])
LEAVES = st.one_of(
    st.integers(), st.booleans(), st.sampled_from(['"S"', '"dsmr"', '"1-0:1.8.0"', '""', "[]", "{}", "1.5"])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(KEYS, st.one_of(LEAVES, st.lists(LEAVES, max_size=2), st.dictionaries(KEYS, LEAVES, max_size=2)))
)
def test_whatever_a_file_holds_there_is_a_companion_or_one_error(tmp_path, content):
    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key} = {text(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(text, value)) + "]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    path = tmp_path / "any.toml"
    path.write_text("\n".join(f"{key} = {text(value)}" for key, value in content.items()), encoding="utf-8")
    with contextlib.suppress(CompanionError):
        assert list(load_companion(path).names()) is not None
