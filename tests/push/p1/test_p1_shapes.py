"""P1 texts read by their shape give exactly what they give line by line, which is the definition."""

from __future__ import annotations

import itertools
import re
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.push.messages import Label, Push, PushReading, make_reading
from cosemic.push.p1 import texts as p1
from cosemic.push.p1.contents import Contents, read_contents
from cosemic.push.p1.shapes import LONGEST, TextShapes
from cosemic.push.p1.texts import interpret_p1
from cosemic.push.p1.times import zone_of
from tests.push import p1_texts
from tests.push.p1_texts import telegram, text

TEXTS = {name: lines for name, lines in vars(p1_texts).items() if name.isupper()}
KEPT = sorted(set(TEXTS) - {"DSMR_2"})


def plainly(octets: bytes, zone: tzinfo | None = None) -> Contents:
    """Line by line. ``octets`` are those from the ``/`` to the last line."""
    letters = octets[1:].decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    head, _, body = letters.partition("\n")
    return read_contents(head.strip(), body, zone or zone_of(head.strip()))


def by_shape(shapes: TextShapes, octets: bytes, zone: tzinfo | None = None) -> Contents | None:
    """None where there is no shape for the text; it is learned then, as ``interpret_p1`` does."""
    shape = shapes.find(octets, zone)
    if shape is not None:
        return shape.read(octets)
    contents = plainly(octets, zone)
    shapes.learn(octets, zone, zone or zone_of(octets[1:].decode("latin-1").splitlines()[0].strip()), contents.layout)
    return None


def lines_of(lines: str) -> bytes:
    return lines.strip().replace("\n", "\r\n").encode("latin-1") + b"\r"


def same(one: Contents, other: Contents) -> None:
    """Equal, and the values of the same kind: 5 is equal to Decimal(5)."""
    assert one == other
    for left, right in zip(one.readings, other.readings, strict=True):
        assert (type(left), repr(left)) == (type(right), repr(right))


def test_made_readings_are_as_others() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    made = make_reading("a", 1, "V", None, 3, 2, b"x", -1, 35, at, 4, Label.TEXT)
    other = PushReading("a", 1, "V", None, 3, 2, b"x", -1, 35, at, 4, Label.TEXT)
    assert type(made) is PushReading
    assert made == other
    assert hash(made) == hash(other)
    with pytest.raises(AttributeError):
        made.value = 2  # type: ignore[misc]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("zone", [None, ZoneInfo("Europe/Vilnius"), timezone(timedelta(hours=-3))])
def test_every_text(name: str, zone: tzinfo | None) -> None:
    octets, shapes = lines_of(TEXTS[name]), TextShapes()
    found = [by_shape(shapes, octets, zone) for _ in range(4)]
    if name == "DSMR_2":
        assert found == [None] * 4  # the value of its profile stands on a line of its own
        return
    assert found[:2] == [None, None]
    for contents in found[2:]:
        assert contents is not None
        same(contents, plainly(octets, zone))


@pytest.mark.parametrize("name", KEPT)
def test_other_digits(name: str) -> None:
    octets, shapes = lines_of(TEXTS[name]), TextShapes()
    for _ in range(2):
        by_shape(shapes, octets)
    for digit in b"0123456789":
        table = bytes.maketrans(b"56789", b"%c" % digit * 5)
        groups = re.split(rb"(\([^)*]*)", octets)
        other = b"".join(group.translate(table) if group.startswith(b"(") else group for group in groups)
        contents = by_shape(shapes, other)
        if contents is not None:
            same(contents, plainly(other))


def test_unchanged_lines_give_the_same_readings() -> None:
    shapes, octets = TextShapes(), lines_of(p1_texts.DSMR_5)
    for _ in range(2):
        by_shape(shapes, octets)
    before, after = by_shape(shapes, octets), by_shape(shapes, octets.replace(b"004812.377", b"004812.378"))
    assert before is not None
    assert after is not None
    others = [new for old, new in zip(before.readings, after.readings, strict=True) if old is not new]
    assert [reading.raw for reading in others] == ["004812.378*kWh"]


def test_what_decides_how_others_are_read_belongs_to_the_shape() -> None:
    """The type of a device names its value, and the version the layout."""
    shapes, octets = TextShapes(), lines_of(p1_texts.DSMR_5)
    for _ in range(3):
        by_shape(shapes, octets)
    for old, new in (
        (b"0-1:24.1.0(003)", b"0-1:24.1.0(007)"),
        (b"0.2.8(50)", b"0.2.8(40)"),
        (b"1-0:1.7.0", b"1-0:1.4.0"),
    ):
        other = octets.replace(old, new)
        assert other != octets
        assert shapes.find(other, None) is None
        for _ in range(3):
            contents = by_shape(shapes, other)
        assert contents is not None
        same(contents, plainly(other))


def test_digits_in_units_belong_to_the_shape() -> None:
    shapes, octets = TextShapes(), lines_of("/X5\n\n0-0:1.0.0(250101000000W)\n1-0:1.8.0(1.5*m3)")
    for _ in range(3):
        by_shape(shapes, octets)
    assert shapes.find(octets.replace(b"1.5*m3", b"2.6*m3"), None) is not None
    assert shapes.find(octets.replace(b"1.5*m3", b"1.5*m2"), None) is None


def test_a_profile_has_no_shape() -> None:
    """The codes of its columns stand in brackets, and may be that of the clock."""
    shapes = TextShapes()
    lines = "/X5\n\n0-0:1.0.0(250101000000W)\n0-1:24.3.0(120325010000)(00)(60)(1)(0-1:24.2.0)(m3)(1)(2)"
    for _ in range(4):
        assert by_shape(shapes, lines_of(lines)) is None


def test_two_zones_alternating() -> None:
    shapes = TextShapes()
    octets = lines_of("/X5\n\n0-0:1.0.0(250101000000)\n0-1:24.2.1(250101000000)(00001.000*m3)")
    zones = (None, ZoneInfo("Europe/Vilnius"), UTC)
    found = [by_shape(shapes, octets, zone) for _ in range(4) for zone in zones]
    for contents, zone in zip(found[6:], zones * 2, strict=True):
        assert contents is not None
        same(contents, plainly(octets, zone))
    assert len({contents.time for contents in found[6:] if contents is not None}) == 3


def test_times_that_are_none() -> None:
    shapes = TextShapes()
    octets = lines_of("/X5\n\n0-0:1.0.0(250101000000W)\n0-1:24.2.1(250101000000W)(00001.000*m3)")
    for _ in range(3):
        by_shape(shapes, octets)
    for old, new in ((b"0.0(2501", b"0.0(2599"), (b"2.1(2501", b"2.1(2513")):
        other = octets.replace(old, new)
        shape = shapes.find(other, None)
        assert shape is not None
        for _ in range(2):
            contents = shape.read(other)
            assert contents is None or contents == plainly(other)
            assert plainly(other).notes


def test_many_notes_go_the_plain_way() -> None:
    shapes = TextShapes()
    octets = lines_of("/X5\n\n" + "".join(f"1-0:{number}.6.0(991332000000W)(1*kW)\n" for number in range(1, 31)))
    for _ in range(2):
        by_shape(shapes, octets)
    shape = shapes.find(octets, None)
    assert shape is not None
    assert shape.read(octets) is None
    assert len(plainly(octets).notes) == 20


def test_two_meters_alternating() -> None:
    """Through interpret_p1; the texts of the third differ from those of the first in digits only."""
    third = p1_texts.DSMR_5.replace("4530303331", "4530303332").replace("0-2:24", "0-3:24").replace("0-2:96", "0-3:96")
    for number in range(6):
        for lines in (p1_texts.DSMR_5, p1_texts.SWEDEN, third):
            octets = text(lines.replace("1.193", f"1.19{number}").replace("230.7", f"23{number}.7"))
            end = octets.rindex(b"\n!")
            push, expected = interpret_p1(telegram(octets), octets), plainly(octets[:end])
            assert (push.readings, push.time, push.meter_id) == (expected.readings, expected.time, expected.meter_id)
            assert (push.layout, push.notes) == (expected.layout, expected.notes)


_BITS = (
    "0",
    "1",
    "5",
    "9",
    "-",
    "+",
    ".",
    "*",
    "(",
    ")",
    "A",
    "W",
    "S",
    " ",
    "²",
    "\t",
    "m3",
    "kWh",
    ")(",
    "\n",
    "\n(",
)


@st.composite
def _streams(draw: st.DrawFn) -> list[bytes]:
    """Texts of one or two meters, changed here and there: in digits, in other characters, in the order of lines."""
    texts = []
    for _ in range(draw(st.integers(1, 2))):
        lines = TEXTS[draw(st.sampled_from(sorted(TEXTS)))].strip().split("\n")
        kind = draw(st.sampled_from(("as it is", "swapped", "doubled", "mixed", "short")))
        first, second = (draw(st.integers(1, len(lines) - 1)) for _ in range(2))
        if kind == "swapped":
            lines[first], lines[second] = lines[second], lines[first]
        elif kind == "doubled":
            lines.insert(first, lines[second])
        elif kind == "mixed":
            lines[first] = draw(st.sampled_from(TEXTS[draw(st.sampled_from(sorted(TEXTS)))].strip().split("\n")[1:]))
        elif kind == "short":
            del lines[max(2, first) :]
        texts.append("\n".join(lines))
        for _ in range(draw(st.integers(0, 3))):  # what makes another shape
            at = draw(st.integers(5, len(texts[-1]) - 1))
            texts[-1] = texts[-1][:at] + draw(st.sampled_from(_BITS)) + texts[-1][at + draw(st.integers(0, 1)) :]
    ends = draw(st.sampled_from(("\r\n", "\n", "\r")))
    stream = []
    for _ in range(3):
        for lines in texts:
            places = [place.start() for place in re.finditer("[0-9]", lines[5:])]
            changed = list(lines)
            for place in draw(st.lists(st.sampled_from(places), max_size=6)) if places else ():
                changed[5 + place] = draw(st.sampled_from("0123456789"))
            stream += ["".join(changed).replace("\n", ends).encode("latin-1") + b"\r"] * 2
    return stream


@settings(max_examples=400, deadline=None)
@given(_streams(), st.sampled_from((None, ZoneInfo("Europe/Vilnius"))))
def test_any_text(stream: list[bytes], zone: tzinfo | None) -> None:
    shapes = TextShapes()
    for octets in itertools.chain(stream, reversed(stream)):
        contents = by_shape(shapes, octets, zone)
        if contents is not None:
            same(contents, plainly(octets, zone))


def test_a_sender_cannot_fill_the_memory() -> None:
    """Each text has another mask, or the same mask and other codes; what is kept of them stays bounded."""
    shapes = TextShapes()
    most = 0
    tracemalloc.start()
    try:
        for number in range(16):
            for codes in range(2):
                line = f"1-0:{codes}.8.0" + "(1)" * 60
                octets = lines_of("/X5\n\n" + f"{line}\n" * 40 + "x" * (number + 1))
                for _ in range(3):
                    contents = by_shape(shapes, octets)
                most = max(most, shapes.octets)
            assert contents is not None
    finally:
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert 1 << 17 < most <= 1 << 18
    assert after < 60_000_000


def test_long_texts_have_no_shape() -> None:
    shapes, octets = TextShapes(), lines_of("/X5\n\n" + "1-0:1.8.0(1*kWh)\n" * (LONGEST // 16))
    for _ in range(3):
        assert by_shape(shapes, octets) is None
    assert shapes.octets == 0


def test_the_check_sum_is_compared_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p1, "_SHAPES", TextShapes())
    octets = text(p1_texts.SWEDEN)
    pushes: list[Push] = [interpret_p1(telegram(octets), octets) for _ in range(4)]
    assert all(push == pushes[0] for push in pushes)
    damaged = octets.replace(b"230.7", b"231.7")
    with pytest.raises(p1.P1Error):
        interpret_p1(telegram(damaged), damaged)
