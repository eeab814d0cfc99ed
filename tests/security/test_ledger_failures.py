"""A counter file that is missing, empty, cut short, damaged, read-only, or on a full disk: an error that says what to
do, no message, and never a counter below one that was handed out."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosemic.errors import SecurityError
from cosemic.security import counters
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.counters import SqliteCounters
from tests.security.pair import APDU, CLIENT_TITLE, KEYS, METER_TITLE

NAMES = [f"key {number}" for number in range(40)]
FLIPS = int(os.environ.get("COSEMIC_SOAK", "500"))
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with forty keys, each at a counter of its own."""
    store = SqliteCounters(tmp_path / "c.sqlite3")
    for number, name in enumerate(NAMES):
        store.advance(name, 1000 + number)
    store.close()
    return store.path


def security(store: SqliteCounters) -> AssociationSecurity:
    context = SecurityContext(0, CLIENT_TITLE, counters=store, **KEYS[0])
    return AssociationSecurity(context, role="client", peer_system_title=METER_TITLE)


def refuses(store: SqliteCounters, text: str) -> None:
    """Neither a counter nor a message comes out, in any way that asks for one."""
    association = security(store)
    for call in (
        lambda: store.reserve(NAMES[0], 1),
        lambda: store.peek(NAMES[0]),
        lambda: store.advance(NAMES[0], 5000),
        lambda: association.protect(APDU),
        lambda: association.gmac(bytes(16)),
    ):
        with pytest.raises(SecurityError, match=text) as caught:
            call()
        assert any(word in str(caught.value) for word in ("put it back", "make room", "make file", "try again"))
    association.close()
    store.close()


def never_lower(path: Path) -> int:
    """How many keys of the (damaged) file can be used; each of them gives its own counter or a higher one."""
    store = SqliteCounters(path)
    used = 0
    for number, name in enumerate(NAMES):
        try:
            following = store.peek(name)
        except SecurityError:
            continue
        assert following is not None
        assert following >= 1000 + number, name
        used += 1
    if used:
        # What is looked up is what is handed out; one key shows it, for each takes a sync of the disk.
        with contextlib.suppress(SecurityError):  # the flag that the file may be written to can be gone too
            assert store.reserve(NAMES[-1], 1).start >= 1000 + len(NAMES) - 1
    store.close()
    return used


def test_removed_while_it_is_in_use(path: Path) -> None:
    store = SqliteCounters(path)
    store.reserve(NAMES[0], 1)
    path.unlink()
    refuses(store, "was removed while it was in use|is missing")
    assert not path.exists()  # nor is a new one begun by those who know better
    path.with_name("c.sqlite3-journal").unlink()
    refuses(store, "is missing")


def test_replaced_while_it_is_in_use(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    store = SqliteCounters(path)
    store.reserve(NAMES[0], 1)
    os.replace(copy, path)
    refuses(store, "was replaced by another")


def test_missing_beside_its_journal(path: Path) -> None:
    path.unlink()
    refuses(SqliteCounters(path), "is missing")
    path.with_name("c.sqlite3-journal").unlink()
    assert SqliteCounters(path).reserve(NAMES[0], 1) == range(1, 2)  # nothing tells it from the first use


@pytest.mark.parametrize("journal", [True, False])
def test_empty(path: Path, journal: bool) -> None:
    path.write_bytes(b"")
    if not journal:
        path.with_name("c.sqlite3-journal").unlink()
    refuses(SqliteCounters(path), "is empty, so it was cut short")
    assert path.stat().st_size == 0


def test_cut_short_anywhere(path: Path) -> None:
    whole = path.read_bytes()
    cuts = [*range(1, 200, 7), *range(256, len(whole), 256), len(whole) - 1]
    for length in cuts:
        path.write_bytes(whole[:length])
        never_lower(path)
    path.write_bytes(whole[: len(whole) // 2])
    refuses(SqliteCounters(path), "put it back")
    path.write_bytes(whole)
    assert never_lower(path) == len(NAMES)


def test_damaged_anywhere(path: Path) -> None:
    """Bits that are flipped, octets that are zeroed: some do no harm, none brings a counter back.

    COSEMIC_SOAK=n flips n bits; over the number of bits of the file, every one of them.
    """
    whole = path.read_bytes()
    chance = random.Random(3)
    bits = range(8 * len(whole)) if 8 * len(whole) <= FLIPS else chance.sample(range(8 * len(whole)), FLIPS)
    usable = []
    for at in bits:
        octets = bytearray(whole)
        octets[at // 8] ^= 1 << at % 8
        path.write_bytes(octets)
        usable.append(never_lower(path))
    for _ in range(60):
        octets = bytearray(whole)
        start = chance.randrange(len(whole))
        octets[start : start + 300] = bytes(len(octets[start : start + 300]))
        path.write_bytes(octets)
        usable.append(never_lower(path))
    assert 0 in usable
    path.write_bytes(whole)
    assert never_lower(path) == len(NAMES)


def test_a_row_that_SQLite_finds_nothing_wrong_with(path: Path) -> None:
    for change in (
        "UPDATE counters SET next = next - 1 WHERE key_id = 'key 7'",
        "UPDATE counters SET key_id = 'key 70' WHERE key_id = 'key 7'",
        "UPDATE counters SET digest = 'text' WHERE key_id = 'key 7'",
        "UPDATE counters SET next = 'many' WHERE key_id = 'key 7'",
    ):
        copy = path.with_name("changed")
        shutil.copy(path, copy)
        with sqlite3.connect(copy) as other:
            assert other.execute(change).rowcount == 1
        other.close()
        refuses(SqliteCounters(copy), "is damaged")


def test_another_database(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE something (else_ TEXT)")
    other.close()
    refuses(SqliteCounters(path), "no layout")


def test_the_first_layout_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE counters (key_id TEXT PRIMARY KEY, next INTEGER NOT NULL)")
        old.executemany("INSERT INTO counters VALUES (?, ?)", [("a", 65), ("b", 1 << 32)])
        old.execute("PRAGMA user_version = 1")
    old.close()
    store = SqliteCounters(path)
    assert store.reserve("a", 2) == range(65, 67)
    with pytest.raises(SecurityError, match="used up"):
        store.reserve("b", 1)
    store.close()
    assert SqliteCounters(path).peek("a") == 67
    with sqlite3.connect(path) as old:
        old.execute("DROP TABLE counters")
        old.execute("CREATE TABLE counters (key_id TEXT PRIMARY KEY, next INTEGER NOT NULL)")
        old.execute("INSERT INTO counters VALUES ('a', -5)")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with pytest.raises(SecurityError, match="is damaged"):
        SqliteCounters(path).peek("a")


READ_ONLY = """
import os, sqlite3, sys
from cosemic.errors import SecurityError
from cosemic.security.counters import SqliteCounters
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
store = SqliteCounters(sys.argv[1])
for call in (lambda: store.reserve("key 0", 1), lambda: store.advance("key 0", 5000)):
    try:
        print("handed out", call())
    except SecurityError as error:
        print(error)
"""


@posix
@pytest.mark.parametrize("file, folder", [(0o444, 0o777), (0o666, 0o555), (0o000, 0o777), (0o444, 0o555)])
def test_read_only(path: Path, file: int, folder: int) -> None:
    journal = path.with_name("c.sqlite3-journal")
    if folder == 0o555:
        journal.unlink()
    path.chmod(file)
    path.parent.chmod(folder)
    try:
        for above in list(path.parents)[1:3]:  # pytest keeps its folders to itself; the child is somebody else
            above.chmod(0o755)
        done = subprocess.run([sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=False)
    finally:
        path.parent.chmod(0o700)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert "cannot be used" in line
        assert "make file and folder writable for their owner, or name another folder with COSEMIC_STATE" in line
    path.chmod(0o600)
    assert never_lower(path) == len(NAMES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB, where mounting is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(folder)], capture_output=True, check=False
    ) if shutil.which("mount") else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@posix
def test_a_full_disk_at_every_size_left(small_disk: Path) -> None:
    store = SqliteCounters(small_disk / "c.sqlite3")
    filling = small_disk / "filling"
    expected = 1
    refused = 0
    for left in (0, 1, 2, 3, 4, 5, 8):  # pages of 4096 octets
        store.close()
        store.path.with_name("c.sqlite3-journal").unlink(missing_ok=True)
        filling.unlink(missing_ok=True)
        free = shutil.disk_usage(small_disk).free // 4096
        filling.write_bytes(bytes(4096 * (free - left)))
        association = security(store)
        try:
            assert store.reserve(NAMES[0], 1) == range(expected, expected + 1)
            expected += 1
        except SecurityError as error:
            assert "make room on the disk" in str(error)  # noqa: PT017
            refused += 1
            with pytest.raises(SecurityError, match="make room on the disk"):
                association.protect(APDU)
        association.close()
    filling.unlink()
    assert refused
    assert store.reserve(NAMES[0], 1) == range(expected, expected + 1)
    store.close()


@posix
def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(counters.os, "link", no_links)
    store = SqliteCounters(tmp_path / "c.sqlite3")
    assert store.reserve(NAMES[0], 3) == range(1, 4)
    store.close()
    assert SqliteCounters(tmp_path / "c.sqlite3").reserve(NAMES[0], 3) == range(4, 7)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.sqlite3", "c.sqlite3-journal"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_many_processes_begin_one_file(tmp_path: Path) -> None:
    """All of them find the file missing; one makes it, and none sees it half made."""
    for run in range(10):
        path = tmp_path / f"{run}.sqlite3"
        reading, writing = os.pipe()
        gate, opener = os.pipe()
        children = []
        for _ in range(8):
            child = os.fork()
            if not child:
                os.close(opener)
                os.read(gate, 1)
                try:
                    octets = SqliteCounters(path).reserve(NAMES[0], 1).start.to_bytes(4, "big")
                except BaseException as error:
                    octets = f"E{type(error).__name__}"[:4].encode()
                os.write(writing, octets)
                os._exit(0)
            children.append(child)
        os.close(opener)
        os.close(writing)
        for child in children:
            os.waitpid(child, 0)
        octets = os.read(reading, 100)
        os.close(reading)
        os.close(gate)
        assert sorted(int.from_bytes(octets[at : at + 4], "big") for at in range(0, len(octets), 4)) == list(
            range(1, 9)
        )
        assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith(f"{run}.")) == [
            f"{run}.sqlite3",
            f"{run}.sqlite3-journal",
        ]
