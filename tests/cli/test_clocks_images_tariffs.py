"""clock, image and tariffs: what they show, what they do, and what they do only with --yes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cosemic.meter.demo import demo_meter
from cosemic.meter.image_transfer import ImageStore
from cosemic.meter.server import running
from cosemic.protocol.server_association import ServerAssociation
from tests.cli.conftest import GMAC, LLS, Urls


@pytest.fixture(scope="module")
def store():
    return ImageStore(block_size=300, verifying=1, activating=1)


@pytest.fixture(scope="module")
def simulated(store):
    return demo_meter(profile_rows=10, images=store)


@pytest.fixture
def own(simulated):
    """A meter for this module alone: its clock is moved, its tariffs are changed."""
    with running(simulated) as ports:
        yield Urls(f"tcp://127.0.0.1:{ports.wrapper}", f"hdlc://127.0.0.1:{ports.hdlc}")


# clock


def test_the_clock_is_shown(cosemic, own) -> None:
    shown = cosemic("clock", own.wrapper)
    assert shown.code == 0
    for text in ("-60 min to UTC", "good", "internal crystal", "*-03-last Sun 02:00:00", "(±"):
        assert text in shown.out
    as_json = cosemic("clock", own.hdlc, "--json").objects[0]
    assert abs(as_json["offset_seconds"]) <= as_json["uncertainty_seconds"]
    assert (as_json["time_zone"], as_json["action"], as_json["status_words"]) == (-60, None, [])


def test_the_clock_is_synchronised(cosemic, own, simulated) -> None:
    simulated.offset = timedelta(seconds=40)
    done = cosemic("clock", own.wrapper, "--sync", *LLS, "--json").objects[0]
    assert done["action"] == "shift"
    assert done["offset_seconds_before"] == pytest.approx(40, abs=1)
    assert abs(simulated.offset) < timedelta(seconds=2)
    assert "left as it is" in cosemic("clock", own.wrapper, "--sync", *LLS).out


def test_beyond_the_limit_it_is_refused_unless_forced(cosemic, own, simulated) -> None:
    simulated.offset = timedelta(hours=3)
    refused = cosemic("clock", own.wrapper, "--sync", *LLS)
    assert refused.code == 1
    assert "nothing was changed" in refused.err
    assert simulated.offset == timedelta(hours=3)
    assert cosemic("clock", own.wrapper, "--sync", "--force", *LLS).code == 0
    assert abs(simulated.offset) < timedelta(seconds=2)


def test_the_clock_is_set(cosemic, own, simulated) -> None:
    assert cosemic("clock", own.wrapper, "--set", "2030-01-01T12:00+01:00", *LLS).code == 0
    assert simulated.now() - datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=1))) < timedelta(minutes=1)
    assert cosemic("clock", own.wrapper, "--set", "now", *LLS, "--json").objects[0]["action"] == "set"
    assert abs(simulated.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_what_a_clock_cannot_be_told(cosemic, own) -> None:
    assert "not both" in cosemic("clock", own.wrapper, "--sync", "--set", "now").err
    assert "--limit" in cosemic("clock", own.wrapper, "--sync", "--limit", "-1").err
    assert "is no time" in cosemic("clock", own.wrapper, "--set", "soon").err
    denied = cosemic("clock", own.wrapper, "--set", "now")
    assert denied.code == 1
    assert "read-write-denied" in denied.err


# image


@pytest.fixture
def firmware(tmp_path):
    file = tmp_path / "fw.bin"
    file.write_bytes(bytes(range(256)) * 8)
    return file


def send(cosemic, own, file, *options):
    return cosemic("image", own.wrapper, str(file), "--identification", "FW-2.1", "--interval", "0.01", *options, *GMAC)


def test_an_image_is_sent_verified_and_activated_only_with_yes(cosemic, own, store, firmware) -> None:
    held = send(cosemic, own, firmware, "--activate")
    assert held.code == 1
    assert "have the meter verify it, have the meter activate it" in held.out
    assert "give --yes" in held.err
    assert str(store.status) == "not initiated"
    sent = send(cosemic, own, firmware, "--verify", "--json")
    assert sent.code == 0
    assert (sent.objects[0]["verified"], sent.objects[0]["activated"]) == (True, False)
    state = cosemic("image", own.wrapper, *LLS, "--json").objects[0]
    assert state["status"] == "verification successful"
    assert state["images"] == [{"identification": "FW-2.1", "size": 2048, "signature": ""}]
    again = send(cosemic, own, firmware)
    assert again.code == 1
    assert "has an image FW-2.1 already" in again.err
    assert send(cosemic, own, firmware, "--resume", "--activate", "--yes").out == "FW-2.1, 2048 octets: activated\n"
    assert store.active == firmware.read_bytes()
    assert "activation successful" in cosemic("image", own.wrapper, *LLS).out


def test_what_an_image_needs(cosemic, own, firmware, tmp_path) -> None:
    assert "--identification is missing" in cosemic("image", own.wrapper, str(firmware)).err
    assert "name the FILE" in cosemic("image", own.wrapper, "--verify").err
    missing = cosemic("image", own.wrapper, str(tmp_path / "none"), "--identification", "A")
    assert (missing.code, "No such file" in missing.err) == (1, True)
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    assert "1 to" in cosemic("image", own.wrapper, str(empty), "--identification", "A").err
    assert "read-write-denied" in cosemic("image", own.wrapper, str(firmware), "--identification", "A", *LLS).err


def test_a_cut_line_is_gone_on_with(cosemic, own, store, simulated, firmware, monkeypatch) -> None:
    """The meter restarts in the middle: the connection is closed, and the transfer goes on in a new one."""
    store.status = type(store.status)(0)
    cuts = [4, 9]
    seen = [0]
    respond = ServerAssociation.respond

    def cut(self, *arguments):
        seen[0] += 1
        if seen[0] in cuts:
            raise OSError("power lost")  # asyncio closes the connection
        return respond(self, *arguments)

    monkeypatch.setattr(ServerAssociation, "respond", cut)
    done = send(cosemic, own, firmware, "--verify", "--timeout", "0.5")
    assert (done.code, done.out) == (0, "FW-2.1, 2048 octets: verified, not activated\n"), done.err
    assert done.err.count("going on in") == 2
    assert store.image() == firmware.read_bytes()


# tariffs


def test_tariffs_are_shown(cosemic, own) -> None:
    shown = cosemic("tariffs", own.wrapper, *LLS)
    assert shown.code == 0
    assert "calendar 0-0:13.0.0*255 active season ALL" in shown.out
    lines = cosemic("tariffs", own.wrapper, *LLS, "--json").objects
    assert {"item": "special days 0-0:11.0.0*255 special day 1", "text": "*-01-01, day profile 2"} in lines
    nothing = cosemic("tariffs", own.wrapper)
    assert nothing.code == 2
    assert "no tariff objects" in nothing.err


def test_what_the_meter_does_on_a_date(cosemic, own) -> None:
    monday = cosemic("tariffs", own.wrapper, *LLS, "--date", "2025-11-24")
    assert "2025-11-24 (Mon): day profile 1, season ALL, week profile WEEK" in monday.out
    assert "06:00:00  script 1 of 0-0:10.0.100*255  write 6/0-0:14.0.0*255 attribute 4" in monday.out
    christmas = cosemic("tariffs", own.wrapper, *LLS, "--date", "2025-12-25", "--json").objects[0]
    assert (christmas["day"], christmas["special_day"]) == (2, 2)
    assert [switch["script"] for switch in christmas["switches"]] == [2]


def test_a_calendar_is_saved_changed_compared_written_and_activated(cosemic, own, tmp_path) -> None:
    file = tmp_path / "calendar.json"
    assert cosemic("tariffs", own.wrapper, *LLS, "--save", str(file)).code == 0
    same = cosemic("tariffs", own.wrapper, *LLS, "--diff", str(file))
    assert (same.code, same.out) == (0, "")
    content = json.loads(file.read_text())
    content["name"] = "2026"
    content["days"][0]["actions"][1]["time"] = "07:00"
    content["special_days"].append({"index": 3, "date": "*-05-01", "day": 2})
    file.write_text(json.dumps(content))
    limit = "limiter 0-0:17.0.0*255 monitors"
    content["others"][limit] = "3/1-0:2.7.0*255/2"
    file.write_text(json.dumps(content))
    assert f"+ {limit}: 3/1-0:2.7.0*255/2" in cosemic("tariffs", own.wrapper, *LLS, "--diff", str(file)).out
    del content["others"]
    file.write_text(json.dumps(content))
    different = cosemic("tariffs", own.wrapper, *LLS, "--diff", str(file))
    assert different.code == 1
    assert "- name: DEMO\n+ name: 2026\n" in different.out
    assert "+ special day 3: *-05-01, day profile 2" in different.out
    held = cosemic("tariffs", own.wrapper, *GMAC, "--write", str(file), "--activate")
    assert held.code == 1
    assert held.out == different.out
    assert "give --yes" in held.err
    assert cosemic("tariffs", own.wrapper, *LLS, "--diff", "passive").code == 0
    assert cosemic("tariffs", own.wrapper, *GMAC, "--write", str(file), "--yes").out.endswith("written\n")
    assert cosemic("tariffs", own.wrapper, *LLS, "--diff", "passive").code == 1
    assert "activated" in cosemic("tariffs", own.wrapper, *GMAC, "--activate", "--yes").out
    assert cosemic("tariffs", own.wrapper, *LLS, "--diff", str(file)).code == 0
    day = cosemic("tariffs", own.wrapper, *LLS, "--date", "2026-05-01", "--json").objects[0]
    assert (day["day"], day["special_day"]) == (2, 3)


def test_what_tariffs_cannot_be_told(cosemic, own, tmp_path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"seasons": [{"name": "A"}]}')
    assert "is no tariff file: seasons, number 1" in cosemic("tariffs", own.wrapper, "--diff", str(wrong)).err
    wrong.write_text("no json")
    assert "is no tariff file" in cosemic("tariffs", own.wrapper, "--write", str(wrong)).err
    wrong.write_text('{"seasons": [{"name": "A", "start": "*-*-*", "week": "W"}]}')
    assert "does not fit together" in cosemic("tariffs", own.wrapper, *LLS, "--write", str(wrong)).err
    assert "only one of" in cosemic("tariffs", own.wrapper, "--date", "today", "--diff", "passive").err
    assert "--calendar" in cosemic("tariffs", own.wrapper, *LLS, "--date", "today", "--calendar", "0-0:13.0.1").err
