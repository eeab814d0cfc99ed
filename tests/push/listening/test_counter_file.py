"""Counters that outlive a process, whatever ends it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cosemic.errors import SecurityError
from cosemic.push.decoder import PushDecoder
from cosemic.push.listening import counter_file
from cosemic.push.listening.counter_file import CounterFile
from cosemic.push.listening.inventory import Inventory, InventoryError
from cosemic.push.listening.urls import parse_source
from cosemic.push.messages import Diagnosis, Push, Undecoded
from cosemic.push.protection.keys import MeterKeys
from tests.push.samples import AUTHENTICATION_KEY, KEY, notification, sealed, wrapper

ONE, OTHER = "0" * 31 + "1", "f" * 32


def test_what_was_written_is_there_when_nobody_closed_it(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "counters.txt"
    counters = CounterFile(path)
    for counter in range(1, 100):
        counters[ONE] = counter
    counters[OTHER] = 7
    left = path.read_bytes()  # as a killed process leaves it
    counters.close()
    path.write_bytes(left)
    with CounterFile(path) as again:
        assert dict(again) == {ONE: 99, OTHER: 7}
    assert path.stat().st_mode & 0o077 == 0
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("cut", range(1, 36))
def test_half_a_line_is_none(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "counters.txt"
    with CounterFile(path) as counters:
        counters[ONE] = 5
        counters[OTHER] = 4_294_967_295
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with CounterFile(path) as again:
        assert dict(again) == {ONE: 5}
        again[OTHER] = 9
    with CounterFile(path) as again:
        assert dict(again) == {ONE: 5, OTHER: 9}


def test_it_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_file, "_SPARE", 10)
    path = tmp_path / "counters.txt"
    with CounterFile(path) as counters:
        for counter in range(1000):
            counters[ONE] = counter
            assert len(path.read_bytes()) < 1000
    with CounterFile(path) as again:
        assert dict(again) == {ONE: 999}


def test_one_process_has_it_and_another_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "counters.txt"
    with CounterFile(path), pytest.raises(SecurityError, match="another process uses"):
        CounterFile(path)
    other = tmp_path / "notes.txt"
    other.write_text("mine\n")
    for _ in range(2):  # and the lock is free again
        with pytest.raises(SecurityError, match="no file of counters"):
            CounterFile(other)
    assert other.read_text() == "mine\n"
    with pytest.raises(SecurityError, match="cannot be kept"):
        CounterFile(Path("/proc/nowhere/counters.txt"))


def test_a_full_disk_is_told_once_and_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "counters.txt"
    with CounterFile(path) as counters:
        counters[ONE] = 1

        def full(descriptor: int, octets: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(counter_file.os, "write", full)
            patch.setattr(CounterFile, "_write_anew", lambda self: full(0, b""))
            counters[ONE] = 2
            counters[ONE] = 3
        assert counters[ONE] == 3
        assert sum("a restart would forget them" in record.getMessage() for record in caplog.records) == 1
        counters[OTHER] = 4
    with CounterFile(path) as again:
        assert dict(again) == {ONE: 3, OTHER: 4}


def test_a_recorded_message_after_a_restart(tmp_path: Path) -> None:
    from cosemic.push.decoder import Interpreter

    keys = MeterKeys(KEY, AUTHENTICATION_KEY)
    octets = wrapper(sealed(notification(), 50))
    seen = []
    for _ in range(2):
        with CounterFile(tmp_path / "counters.txt") as counters:
            (item,) = PushDecoder(interpreter=Interpreter(keys, counters=counters)).feed(octets)
            seen.append(item)
    assert isinstance(seen[0], Push)
    assert isinstance(seen[1], Undecoded)
    assert seen[1].diagnosis is Diagnosis.COUNTER_WENT_BACK


# -- beside it: messages without protection, slips ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[defaults]\naccept_plain = true\n", "--accept-plain"),
        ('[meters.a]\nmeter_id = "1"\naccept_plain = true\n[meters.b]\nsource = "192.0.2.1"\n', "give that too"),
        ('[meters.a]\nsource = "192.0.2.1"\naccept_plain = "yes"\n', "true or false"),
    ],
)
def test_accept_plain_needs_a_source(text: str, told: str) -> None:
    with pytest.raises(InventoryError, match=told):
        Inventory(text)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("tpc://0.0.0.0:4059", "is tcp:// meant"),
        ("serail:///dev/ttyUSB0", "is serial:// meant"),
        ("tcp:/0.0.0.0:4059", "two slashes"),
        ("udp:4059", "two slashes"),
    ],
)
def test_slips_in_urls(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_source(url)


def test_layouts_with_a_slip_name_those_that_are_near() -> None:
    from cosemic.push.meaning.layout import LayoutError
    from cosemic.push.meaning.layouts import layout

    for name, near in (
        ("norway_kaifa", "norway-kaifa"),
        ("norweg", "norway-kaifa"),
        ("wiener", "austria-wiener-netze"),
    ):
        with pytest.raises(LayoutError, match=f"is .*{near}.* meant"):
            layout(name)
    with pytest.raises(LayoutError, match="there are austria-"):
        layout("zzz")
