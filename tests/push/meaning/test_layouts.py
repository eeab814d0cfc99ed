"""Layouts: each recognised by itself and by no other, tested by its capture; files of users and what is wrong there."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.errors import LocalProtocolError
from cosemic.push.meaning.layout import Layout, LayoutError
from cosemic.push.meaning.layouts import layout, layouts, load_layout, parse_layout
from cosemic.push.messages import Label, Protection, PushReading
from cosemic.times import CosemDate, CosemTime
from tests.push.plain import BY_NAME, CASES, notification, obis, understand
from tests.vectors.collection import REASON

captures = pytest.mark.skipif(not CASES, reason=REASON)
every_layout = pytest.mark.parametrize("known", layouts(), ids=lambda known: known.name)

#: what each capture is; None where every value has name and unit without a layout, or the country is not known
LAYOUT_OF = {
    "norway-kaifa-ma304h3e-list2": "norway-kaifa",
    "austria-landis-gyr-e450-gbt-encrypted": "austria-landis-gyr-e450",
    "austria-lgz-e450-2-gbt-encrypted": "austria-landis-gyr-e450",
    "netz-noe-kaifa-mbus-official-example": "austria-netz-noe",
    "salzburg-netz-plain-notification": "austria-ksmwest",
    "energomera-plain-notification": None,
    "cyprus-landis-gyr-e450-gbt-plain-1": "landis-gyr-e450-cii",
    "cyprus-landis-gyr-e450-gbt-plain-2": "landis-gyr-e450-cii",
    "cyprus-e450-user-posted": "landis-gyr-e450-cii",
    "e450-notification-ic-0008fd7d": "austria-landis-gyr-e450",
    "czech-egd-example": "czech-egd",
    "sagemcom-xt211": "czech-sagemcom-xt211",
    "norway-aidon-3phase-list2": "norway-aidon",
    "norway-aidon-3phase-list3": "norway-aidon",
    "norway-kamstrup-1h-list": "kamstrup-omnipower",
    "aidon-no-list-1": None,
    "aidon-no-list-2": "norway-aidon",
    "aidon-se-list": "sweden-aidon",
    "kaifa-no-list-1": "norway-kaifa",
    "kaifa-no-list-2": "norway-kaifa",
    "kaifa-no-list-3": "norway-kaifa",
    "kaifa-se-list": "sweden-kaifa",
    "kamstrup-no-list-1-three-phase": "kamstrup-omnipower",
    "kamstrup-no-list-2-single-phase": "kamstrup-omnipower",
    "kamstrup-no-list-2-single-phase-real-sample": "kamstrup-omnipower",
    "kamstrup-se-list-real-sample": "kamstrup-omnipower",
    "norway-kaifa-han-41-octets-2": "norway-kaifa",
    "norway-kaifa-han-41-octets-3": "norway-kaifa",
    "norway-kaifa-han-41-octets-4": "norway-kaifa",
    "norway-kaifa-han-228-octets-5": "kamstrup-omnipower",
    "kaifa-plain-557": "austria-ksmwest",
}


@captures
def test_each_capture_is_recognised_by_its_layout_and_no_other() -> None:
    for name, case in BY_NAME.items():
        fitting = [known.name for known in layouts() if understand(case, layouts=[known]).layout]
        assert fitting == ([] if LAYOUT_OF[name] is None else [LAYOUT_OF[name]]), name
        assert understand(case).layout == LAYOUT_OF[name]


@captures
@every_layout
def test_evidence_is_there_and_true(known: Layout) -> None:
    assert known.evidence
    for evidence in known.evidence:
        if evidence.is_capture:
            push = understand(BY_NAME[evidence.text])
            assert push.layout == known.name
            assert push.hint is None  # every value has a name, every measured one its unit
            assert all(reading.unit for reading in push.readings if _is_measured(reading))
    assert known.is_tested == any(evidence.is_capture for evidence in known.evidence)


def _is_measured(reading: PushReading) -> bool:
    assert reading.obis is not None
    a, _, c, d, _, _ = reading.obis.octets
    return isinstance(reading.raw, int) and a == 1 and (c, d) != (0, 0) and c not in (13, 33, 53, 73)


#: values by capture: the first ones with a unit that a layout gave
UNITS = {
    "kaifa-no-list-3": [
        ("1-0:1.7.0*255", "4904", "W"), ("1-0:4.7.0*255", "377", "var"), ("1-0:31.7.0*255", "14.571", "A"),
        ("1-0:32.7.0*255", "219.3", "V"), ("1-0:1.8.0*255", "79591144", "Wh"), ("1-0:4.8.0*255", "3210932", "varh"),
    ],
    "kaifa-se-list": [
        ("1-0:1.7.0*255", "2816", "W"), ("1-0:31.7.0*255", "6.781", "A"), ("1-0:72.7.0*255", "228.9", "V"),
        ("1-0:1.8.0*255", "4786979", "Wh"),
    ],
    "kamstrup-no-list-2-single-phase-real-sample": [
        ("1-1:1.7.0*255", "10050", "W"), ("1-1:31.7.0*255", "45.12", "A"), ("1-1:32.7.0*255", "223", "V"),
        ("1-1:1.8.0*255", "77452500", "Wh"), ("1-1:4.8.0*255", "11415870", "varh"),
    ],
    "austria-landis-gyr-e450-gbt-encrypted": [
        ("1-0:1.8.0*255", "4408736", "Wh"), ("1-0:1.7.0*255", "2893", "W"), ("1-0:3.7.0*255", "1735", "var"),
    ],
    "cyprus-landis-gyr-e450-gbt-plain-1": [
        ("1-0:31.7.0*255", "1.30", "A"), ("1-0:13.7.0*255", "0.286", ""), ("1-0:32.7.0*255", "238", "V"),
        ("1-0:14.7.0*255", "50", "Hz"),
    ],
    "sagemcom-xt211": [("1-0:1.7.0*255", "1956", "W"), ("1-0:1.8.0*255", "4913794", "Wh")],
}  # fmt: skip


@captures
@pytest.mark.parametrize("name", UNITS)
def test_units_that_are_not_sent(name: str) -> None:
    found = {str(reading.obis): reading for reading in understand(BY_NAME[name]).readings}
    for code, value, unit in UNITS[name]:
        assert (found[code].value, found[code].unit) == (Decimal(value), unit)
        assert str(found[code].value) == value


@captures
def test_power_and_current_agree() -> None:
    """Where a layout scales both: U x I of the phases is about P and Q together."""
    found = {str(r.obis): r.value for r in understand(BY_NAME["cyprus-landis-gyr-e450-gbt-plain-1"]).readings}
    phases = ((32, 31), (52, 51), (72, 71))
    apparent = sum(float(found[f"1-0:{u}.7.0*255"]) * float(found[f"1-0:{i}.7.0*255"]) for u, i in phases)  # type: ignore[arg-type]
    there = (float(found["1-0:1.7.0*255"]) ** 2 + float(found["1-0:4.7.0*255"]) ** 2) ** 0.5  # type: ignore[arg-type]
    assert apparent == pytest.approx(there, rel=0.1)


def u16(*numbers: int) -> list[Typed]:
    return [axdr.long_unsigned(number) for number in numbers]


def u32(*numbers: int) -> list[Typed]:
    return [axdr.double_long_unsigned(number) for number in numbers]


def text(words: str) -> Typed:
    return axdr.octet_string(words.encode())


CLOCK = axdr.octet_string(bytes.fromhex("07e80c0106000000ff800000"))
#: bodies made after published dumps and documents, with numbers of our own
MADE = {
    "austria-wiener-netze": axdr.structure(CLOCK, *u32(5_000_000, 0, 1000, 2000, 230, 0, 88, 21)),
    "austria-netz-burgenland": axdr.structure(
        *u16(236, 236, 235, 0, 46, 26), *u32(125, 0, 27_000_000, 7000), *u16(400, 3, 288), text("1234")
    ),
    "austria-iskraemeco-am550": axdr.structure(
        obis("0-6:25.9.0"), text("1121000"), axdr.octet_string(bytes.fromhex("150b1100")),
        axdr.octet_string(bytes.fromhex("07e8050702")), *u32(14_000_000, 420_000, 7, 8, 9, 0), text(""), text(""),
    ),
    "slovenia-iskraemeco-am550": axdr.structure(
        text("ISK1030700000000"), text("12345678"), *u32(1393, 0, 0, 738), *u16(2379, 2379, 2296, 103, 125, 597),
        *u32(16, 51, 1325, 0, 0, 0),
    ),
    "croatia-iskraemeco-ie5": axdr.structure(
        text("92000000"), axdr.octet_string(bytes.fromhex("17372800")), axdr.octet_string(bytes.fromhex("07e90c1305")),
        *u32(7_000_000, 4, 3, 5, 4, 1, 10, 20, 30, 40, 382, 0), *u16(889), *u32(127, 189, 65, 0, 0, 0),
        *u16(2388, 2357, 2377, 55, 89, 77), *u32(17250),
        *(axdr.array(axdr.long_unsigned(9400)) for _ in range(3)), axdr.boolean(False),
    ),
    "norway-landis-gyr": axdr.array(
        axdr.structure(obis("1-1:0.2.129"), axdr.visible_string("EMBRIQ_V1_1")),
        axdr.structure(obis("1-0:1.7.0"), *u32(9460), axdr.structure(axdr.integer(0), axdr.enum(27))),
    ),
    "switzerland-iskraemeco-am550": axdr.structure(
        axdr.structure(obis("0-0:96.1.0"), text("78")), axdr.structure(obis("0-0:96.1.1"), text("12")),
        *(
            axdr.structure(obis(code), *u32(5), axdr.structure(axdr.integer(0), axdr.enum(27)))
            for code in ("1-1:1.7.0", "1-0:72.7.0", *(f"1-0:{c}.7.0" for c in range(100, 112)))
        ),
    ),
}  # fmt: skip
UNTESTED = {"kamstrup-omnipower-ct", "landis-gyr-e570-cii"}  # only where they are named


@pytest.mark.parametrize("name", MADE)
def test_layouts_from_documents(name: str) -> None:
    apdu = notification(MADE[name])
    assert [known.name for known in layouts() if understand(apdu, layouts=[known]).layout] == [name]
    push = understand(apdu)
    assert push.layout == name
    assert push.hint is None


def test_values_of_layouts_from_documents() -> None:
    def of(name: str) -> dict[str, tuple[object, str]]:
        return {str(r.obis)[:-4]: (r.value, r.unit) for r in understand(notification(MADE[name])).readings}

    vienna = of("austria-wiener-netze")
    assert vienna["1-0:1.8.0"] == (Decimal(5_000_000), "Wh")
    assert vienna["1-0:1.7.0"] == (Decimal(230), "W")
    assert vienna["1-0:4.7.0"] == (Decimal(21), "var")
    east = of("austria-netz-burgenland")
    assert east["1-0:51.7.0"] == (Decimal("0.46"), "A")
    assert east["1-0:81.7.62"] == (Decimal(288), "°")
    assert east["0-0:96.1.0"] == ("1234", "")
    south = of("austria-iskraemeco-am550")
    assert south["1-0:0.9.1"] == (CosemTime(21, 11, 17, 0), "")
    assert south["1-0:0.9.2"] == (CosemDate(2024, 5, 7, 2), "")
    assert of("slovenia-iskraemeco-am550")["1-0:71.7.0"] == (Decimal("5.97"), "A")
    assert of("croatia-iskraemeco-ie5")["1-0:13.7.0"] == (Decimal("0.889"), "")


def test_every_layout_was_met() -> None:
    met = {name for name in LAYOUT_OF.values() if name} | MADE.keys() | UNTESTED
    assert met == {known.name for known in layouts()}
    assert all(known.is_tested == (known.name in LAYOUT_OF.values()) for known in layouts())


@captures
def test_layouts_that_must_be_named() -> None:
    push = understand(BY_NAME["cyprus-landis-gyr-e450-gbt-plain-1"], layout="landis-gyr-e570-cii")
    assert {str(r.obis): r.value for r in push.readings}["1-0:31.7.0*255"] == Decimal(130)
    assert push.hint is None
    push = understand(BY_NAME["kamstrup-se-list-real-sample"], layout="kamstrup-omnipower-ct")
    assert {str(r.obis): str(r.value) for r in push.readings}["1-1:31.7.0*255"] == "0.237"


@captures
def test_the_sender_decides_where_it_is_known() -> None:
    def by(title: str) -> Protection:
        return Protection(title.encode() + bytes(5), 0x30, 1, True)

    case = BY_NAME["austria-landis-gyr-e450-gbt-encrypted"]
    assert understand(case, protection=by("LGZ")).layout == "austria-landis-gyr-e450"
    assert understand(case, protection=by("XYZ")).layout is None


@every_layout
def test_layouts_tell_how_to_listen(known: Layout) -> None:
    assert known.title
    assert known.country
    assert known.meters
    assert known.line == "" or known.framing is not None or known.name == "czech-egd"
    assert known.is_encrypted is not False or not known.keys


OWN = """
title = "The meter in my cellar"
[[push]]
when = { elements = 2, types = ["octet-string"] }
values = [{ obis = "0-0:96.1.0", kind = "text" }, { obis = "1-0:1.7.0", scaler = -1, unit = "W", name = "Power" }]
"""


def test_a_layout_of_the_user(tmp_path: Path) -> None:
    file = tmp_path / "cellar.toml"
    file.write_text(OWN)
    mine = load_layout(file)
    assert mine.name == "cellar"
    body = axdr.structure(text("abc"), axdr.long(-55))
    for push in (
        understand(notification(body), layout=mine),
        understand(notification(body), layouts=[*layouts(), mine]),
        understand(notification(body), layout=str(file)),
    ):
        assert push.layout == "cellar"
        assert push.meter_id == "abc"
        assert (push.readings[1].name, str(push.readings[1].value), push.readings[1].label) == (
            "Power", "-5.5", Label.LAYOUT,
        )  # fmt: skip
    assert understand(notification(axdr.structure(text("abc"))), layout=mine).readings == ()
    assert layout(str(file)).title == mine.title


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"x: title: must be a text"),
        ("title = 5", "title: must be a text"),
        ("title", "this is no TOML"),
        ('title = "t"\nfolks = 1', "folks: is no key of a layout; there are title"),
        ('title = "t"\nline = "fast"', "line: 'fast' is no setting of a line; write it like 2400 8E1"),
        ('title = "t"\nframing = "pigeon"', "framing: must be one of hdlc, mbus, wrapper"),
        ('title = "t"\nkeys = ["house"]', "keys: must be one of encryption, authentication"),
        ('title = "t"\nencrypted = "yes"', "encrypted: must be true or false"),
        ('title = "t"\nevidence = [{}]', r"evidence\[1\]: must have one of capture and document"),
        ('title = "t"\npush = 5', r"push: must be a list"),
        ('title = "t"\n[[push]]\nname = "n"', r"push\[1\]\.when: must say how the push is recognised"),
        ('title = "t"\n[[push]]\nwhen = { elements = 0 }', r"push\[1\]\.when\.elements: must be a whole number"),
        ('title = "t"\n[[push]]\nwhen = { types = ["float"] }', r"push\[1\]\.when\.types: must be one of null-data"),
        ('title = "t"\n[[push]]\nwhen = { codes = ["1.8"] }', r"codes: '1\.8' is no OBIS code; write it like"),
        ('title = "t"\n[[push]]\nwhen = { elements = 2 }\nvalues = [{}]', r"values: has 1 places, but when.elements"),
        ('title = "t"\n[[push]]\nwhen = { elements = 1 }\nvalues = [{ unit = "W" }]', r"values\[1\]\.obis: None is no"),
        ('title = "t"\n[[push]]\nwhen = { elements = 1 }\nat = { one = {} }', r"at\.one: is no place"),
        ('title = "t"\n[objects]\n"1-0:1.7.0" = { unit = "watt" }', r"unit: 'watt' is no unit; write its symbol"),
        ('title = "t"\n[objects]\n"1-0:1.7.0" = { scaler = 400 }', r"scaler: must be a whole number from -128 to 127"),
        ('title = "t"\n[objects]\n"1-0" = { }', r"objects\.'1-0': '1-0' is not a pattern"),
        ('title = "t"\n[objects]\n"1-0:1.7.0" = { kind = "song" }', r"kind: must be one of text, time, plain"),
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deep|this is no TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file(content: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words) as caught:
        parse_layout(content, "x")
    assert str(caught.value).startswith("x: ")
    assert isinstance(caught.value, LocalProtocolError)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="there is no such file"):
        load_layout(tmp_path / "none.toml")
    with pytest.raises(LayoutError, match=r"there is no layout 'none'; .*push-layouts\.md"):
        layout("none")
    with pytest.raises(LayoutError, match="there is no layout"):
        understand(notification(axdr.structure()), layout="none")
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(LayoutError, match="a layout is a small file"):
        load_layout(large)
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(LayoutError, match=r"broken\.toml"):
        load_layout(broken)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(LayoutError, match=r"folder\.toml"):
        load_layout(tmp_path / "folder.toml")


def test_the_page_has_the_layouts_with_their_evidence() -> None:
    page = (Path(__file__).parents[3] / "docs" / "push-layouts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| .* \| (capture|document) \|$", page, re.MULTILINE))
    assert rows == {known.name: "capture" if known.is_tested else "document" for known in layouts()}
    assert len(page.splitlines()) <= 140
