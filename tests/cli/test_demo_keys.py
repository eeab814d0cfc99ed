"""``simulate --write-keys``: every client of the simulated meter as a named meter."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cosemic.cli.demo_files import write_demo_keys
from tests.cli.conftest import Outcome, Urls

Run = Callable[..., Outcome]
NAMES = ("public", "reader", "manager", "suite1", "suite2", "public-sn", "reader-sn", "manager-sn")


def ports(meter: Urls) -> tuple[int, int]:
    return int(meter.wrapper.rpartition(":")[2]), int(meter.hdlc.rpartition(":")[2])


@pytest.mark.parametrize("suffix", ["", "-hdlc"])
def test_each_named_client_can_read(
    cosemic: Run, meter: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    folder = tmp_path / "keys"
    for _ in range(2):  # what an earlier run wrote is replaced
        write_demo_keys(folder, "127.0.0.1", *ports(meter))
    monkeypatch.setenv("COSEMIC_METERS", str(folder / "meters.toml"))
    for name in NAMES:
        outcome = cosemic("read", name + suffix, "1-0:1.8.0", "--json")
        assert outcome.code == 0, (name, outcome.err)
        assert outcome.objects[0]["unit"] == "Wh"
    for general in ("one-pass", "static-unified", "wrapped-key"):
        for name in ("suite1", "suite2"):
            options = ("--general", general, "--policy", "authenticated-encrypted-signed")
            assert cosemic("read", name + suffix, "1-0:1.8.0", *options).code == 0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_files_are_for_their_owner(tmp_path: Path) -> None:
    write_demo_keys(tmp_path / "keys", "::1", 1, 2)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (tmp_path / "keys").iterdir())
    assert "tcp://[::1]:1" in (tmp_path / "keys" / "meters.toml").read_text()


def test_a_folder_that_cannot_be_written(cosemic: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = ("--wrapper-port", "0", "--hdlc-port", "0", "--profile-rows", "1")
    outcome = cosemic("simulate", *options, "--write-keys", str(tmp_path / "file" / "keys"))
    assert outcome.code == 2
    assert re.fullmatch(r"cosemic: --write-keys: .* cannot be written \(.*\): choose another folder\n", outcome.err)
