"""Stores of invocation counters: no number twice, whatever fails or dies."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosemic.errors import SecurityError
from cosemic.security._streams import Outgoing
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.counters import (
    CounterStore,
    MemoryCounters,
    SqliteCounters,
    default_counters,
    key_id,
    state_folder,
)
from tests.security.pair import APDU, CLIENT_TITLE, KEYS, METER_TITLE

NAME = "some key"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CounterStore:
    return MemoryCounters() if request.param == "memory" else SqliteCounters(tmp_path / "counters.sqlite3")


def test_first_counter_is_one_and_ranges_follow_each_other(store: CounterStore) -> None:
    assert store.peek(NAME) is None
    assert store.reserve(NAME, 64) == range(1, 65)
    assert store.reserve(NAME, 1) == range(65, 66)
    assert store.peek(NAME) == 66
    assert store.reserve("another key", 2) == range(1, 3)


def test_an_unused_tail_comes_back_only_if_nobody_reserved_since(store: CounterStore) -> None:
    store.reserve(NAME, 64)
    assert store.release(NAME, 11, 65)
    assert store.reserve(NAME, 4) == range(11, 15)
    store.reserve(NAME, 4)
    assert not store.release(NAME, 12, 15)
    assert not store.release(NAME, 19, 19)
    assert not store.release("unknown", 1, 5)
    assert store.peek(NAME) == 19


def test_advance_never_lowers(store: CounterStore) -> None:
    store.advance(NAME, 1000)
    assert store.reserve(NAME, 1) == range(1000, 1001)
    store.advance(NAME, 5)
    assert store.peek(NAME) == 1001
    store.advance("from zero", 0)
    assert store.reserve("from zero", 1) == range(1, 2)
    for wrong in (-1, (1 << 32) + 1):
        with pytest.raises(ValueError):
            store.advance(NAME, wrong)
    with pytest.raises(ValueError):
        store.reserve(NAME, 0)


def test_the_end_of_the_32_bits(store: CounterStore) -> None:
    store.advance(NAME, 0xFFFFFFF0)
    assert store.reserve(NAME, 64) == range(0xFFFFFFF0, 1 << 32)
    with pytest.raises(SecurityError, match="used up"):
        store.reserve(NAME, 1)
    assert store.release(NAME, 0xFFFFFFFF, 1 << 32)
    assert store.reserve(NAME, 64) == range(0xFFFFFFFF, 1 << 32)
    with pytest.raises(SecurityError, match="used up"):
        store.reserve(NAME, 1)


def test_threads_never_share_a_counter(store: CounterStore) -> None:
    def work(_: int) -> list[int]:
        used = []
        for size in (1, 7, 3) * 5:
            used += store.reserve(NAME, size)
        return used

    with ThreadPoolExecutor(8) as threads:
        used = [counter for part in threads.map(work, range(8)) for counter in part]
    assert sorted(used) == list(range(1, 8 * 55 + 1))


def test_threads_sharing_one_association_never_share_a_counter() -> None:
    outgoing = Outgoing(MemoryCounters(), NAME)
    with ThreadPoolExecutor(8) as threads:
        used = [n for part in threads.map(lambda _: [outgoing.take() for _ in range(2000)], range(8)) for n in part]
    assert len(set(used)) == len(used) == 16000


def test_a_second_command_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    used = []
    for _ in range(3):
        context = SecurityContext(0, CLIENT_TITLE, counters=SqliteCounters(tmp_path / "c.sqlite3"), **KEYS[0])
        security = AssociationSecurity(context, role="client", peer_system_title=METER_TITLE)
        used += [int.from_bytes(security.protect(APDU)[1:5], "big") for _ in range(5)]
        security.close()
    assert used == list(range(1, 16))


def test_the_store_tells_neither_key_nor_title(tmp_path: Path) -> None:
    store = SqliteCounters(tmp_path / "c.sqlite3")
    key = KEYS[0]["encryption_key"]
    name = key_id(CLIENT_TITLE, key)
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert len({name, key_id(METER_TITLE, key), key_id(CLIENT_TITLE, key[::-1])}) == 3
    store.reserve(name, 1)
    store.close()
    octets = store.path.read_bytes()
    for secret in (key, CLIENT_TITLE):
        assert secret not in octets
        assert secret.hex().encode() not in octets.lower()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file modes")
def test_only_the_owner_can_read(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = SqliteCounters(tmp_path / "state" / "c.sqlite3")
        store.reserve(NAME, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    for file in store.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COSEMIC_STATE", str(tmp_path / "here"))
    assert state_folder() == tmp_path / "here"
    assert default_counters().path == tmp_path / "here" / "counters.sqlite3"
    assert default_counters() is default_counters()
    assert SecurityContext().counters is default_counters()
    assert not (tmp_path / "here").exists()  # nothing is written before a counter is needed
    monkeypatch.delenv("COSEMIC_STATE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder() == Path("/state/cosemic")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == Path.home() / ".local" / "state" / "cosemic"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert state_folder() == Path.home() / "Library" / "Application Support" / "cosemic"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert state_folder() == Path("/local/cosemic")


def test_a_reservation_is_in_the_file_when_it_is_handed_out(tmp_path: Path) -> None:
    store = SqliteCounters(tmp_path / "c.sqlite3")
    store.reserve(NAME, 64)
    with sqlite3.connect(f"file:{store.path}?mode=ro", uri=True) as other:
        assert other.execute("SELECT next FROM counters").fetchall() == [(65,)]
    other.close()


def test_synchronous_is_full_and_the_journal_is_no_wal(tmp_path: Path) -> None:
    connection = SqliteCounters(tmp_path / "c.sqlite3")._open()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
    connection.close()


class TestFailures:
    """Whatever goes wrong, it is one clear error, no counter is handed out, and later the store works again."""

    def test_a_damaged_file(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite3"
        path.write_bytes(b"this is not a database, whatever its name may say" * 100)
        for _ in range(2):
            with pytest.raises(SecurityError, match=r"c\.sqlite3 cannot be used"):
                SqliteCounters(path).reserve(NAME, 1)

    def test_a_damaged_number(self, tmp_path: Path) -> None:
        store = SqliteCounters(tmp_path / "c.sqlite3")
        store.reserve(NAME, 1)
        for value in ("'many'", "-5", "0", "99999999999"):
            with sqlite3.connect(store.path) as other:
                other.execute(f"UPDATE counters SET next = {value}")
            other.close()
            with pytest.raises(SecurityError, match="damaged"):
                store.reserve(NAME, 1)

    def test_a_newer_layout(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite3"
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 7")
        other.close()
        with pytest.raises(SecurityError, match="newer cosemic"):
            SqliteCounters(path).reserve(NAME, 1)

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(SecurityError, match="cannot be used"):
            SqliteCounters(tmp_path / "file" / "c.sqlite3").reserve(NAME, 1)

    def test_another_process_that_holds_the_file(self, tmp_path: Path) -> None:
        store = SqliteCounters(tmp_path / "c.sqlite3", wait=0.05)
        assert store.reserve(NAME, 3) == range(1, 4)
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SecurityError, match="locked"):
            store.reserve(NAME, 1)
        other.execute("ROLLBACK")
        other.close()
        assert store.reserve(NAME, 1) == range(4, 5)

    def test_a_reader_that_keeps_the_commit_waiting(self, tmp_path: Path) -> None:
        store = SqliteCounters(tmp_path / "c.sqlite3", wait=0.05)
        store.reserve(NAME, 3)
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM counters").fetchall()
        with pytest.raises(SecurityError, match="locked"):
            store.reserve(NAME, 1)
        other.execute("COMMIT")
        other.close()
        assert store.reserve(NAME, 1) == range(4, 5)

    @pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
    def test_a_full_disk(self, tmp_path: Path) -> None:
        import resource

        store = SqliteCounters(tmp_path / "c.sqlite3")
        store.reserve(NAME, 3)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            with pytest.raises(SecurityError, match="cannot be used"):
                store.reserve(NAME, 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        assert store.reserve(NAME, 1) == range(4, 5)

    def test_an_association_without_a_store_protects_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        context = SecurityContext(0, CLIENT_TITLE, counters=SqliteCounters(tmp_path / "file" / "c"), **KEYS[0])
        security = AssociationSecurity(context, role="client", peer_system_title=METER_TITLE)
        for call in (lambda: security.protect(APDU), lambda: security.gmac(bytes(16))):
            with pytest.raises(SecurityError, match="cannot be used"):
                call()
        security.close()

    def test_a_tail_that_cannot_be_given_back_is_only_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SqliteCounters(tmp_path / "c.sqlite3", wait=0.05)
        outgoing = Outgoing(store, NAME)
        outgoing.take()
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        outgoing.close()
        other.execute("ROLLBACK")
        other.close()
        assert "could not be given back" in caplog.text
        assert store.peek(NAME) == 65


def test_the_oldest_key_in_memory_is_forgotten_at_the_limit() -> None:
    store = MemoryCounters(limit=2)
    for name in ("a", "b", "c"):
        store.reserve(name, 1)
    assert [store.peek(name) for name in ("a", "b", "c")] == [None, 2, 2]


WORKERS = [sys.executable, "-W", "error", "-m", "tests.security.counter_workers"]
KILLS = int(os.environ.get("COSEMIC_SOAK", "50"))
ROOT = Path(__file__).resolve().parents[2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run_workers(mode: str, path: Path, count: int, seed: int) -> list[int]:
    done = subprocess.run(
        [*WORKERS, mode, str(path), str(count), str(seed)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [int(line) for line in done.stdout.split()]


@needs_fork
@pytest.mark.timeout(120 + KILLS)
def test_killed_processes_never_make_a_counter_come_twice(tmp_path: Path) -> None:
    """COSEMIC_SOAK=5000 kills that many processes instead of a few."""
    used = run_workers("kill", tmp_path / "c.sqlite3", KILLS, seed=KILLS)
    assert len(used) > KILLS
    assert len(set(used)) == len(used)
    connection = sqlite3.connect(tmp_path / "c.sqlite3")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT next FROM counters").fetchone()[0] > max(used)
    connection.close()


@needs_fork
@pytest.mark.timeout(120 + KILLS)
def test_processes_killed_at_any_instant_never_make_a_counter_come_twice(tmp_path: Path) -> None:
    """COSEMIC_SOAK=2000 kills that many; some of the kills have to hit a transaction that is half done."""
    half_done, *used = run_workers("instant", tmp_path / "c.sqlite3", KILLS, seed=KILLS)
    assert half_done > KILLS // 50
    assert len(used) >= KILLS
    assert len(set(used)) == len(used)
    store = SqliteCounters(tmp_path / "c.sqlite3")
    assert store.reserve("the key of this test", 1).start > max(used)
    store.close()
    print(f"{KILLS} kills, {half_done} within a transaction, {len(used)} counters, each once")


@needs_fork
@pytest.mark.parametrize("processes", [2, 8])
def test_processes_at_once_never_share_a_counter(tmp_path: Path, processes: int) -> None:
    used = run_workers("race", tmp_path / "c.sqlite3", processes, seed=processes)
    assert len(used) > 12 * processes
    assert len(set(used)) == len(used)


@needs_fork
def test_a_fork_takes_no_range_along(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from cosemic.security._streams import Outgoing\n"
        "from cosemic.security.counters import MemoryCounters, SqliteCounters\n"
        "from cosemic.errors import SecurityError\n"
        "store = SqliteCounters(sys.argv[1])\n"
        "durable, memory = Outgoing(store, 'k'), Outgoing(MemoryCounters(), 'k')\n"
        "print(durable.take(), memory.take(), flush=True)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(durable.take(), flush=True)\n"
        "    try:\n"
        "        memory.take()\n"
        "    except SecurityError as error:\n"
        "        print('forked' in str(error), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(durable.take(), memory.take(), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c.sqlite3")], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "1", "65", "True", "2", "2"]


@needs_fork
def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from cosemic.security.counters import SqliteCounters\n"
        "store = SqliteCounters(sys.argv[1], wait=0.05)\n"
        "store.reserve('k', 1)\n"
        "inherited = store._place.get()  # as a thread has it in the middle of a reservation\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(store.reserve('k', 1), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "store._place.put(inherited)\n"
        "print(store.reserve('k', 1), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c.sqlite3")], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["range(2, 3)", "range(3, 4)"]


@pytest.mark.parametrize("kept", [1, 2])
def test_a_store_that_forgets_a_key_repeats_no_counter(kept: int) -> None:
    """A meter keeps the counters of so many dedicated keys; an association that outlives its place goes on above."""
    store = MemoryCounters(limit=kept)
    outgoing = Outgoing(store, "long")
    taken = [outgoing.take() for _ in range(64)]
    for number in range(kept):
        store.reserve(f"other {number}", 1)
    assert store.peek("long") is None
    taken += [outgoing.take() for _ in range(64)]
    assert len(set(taken)) == 128
    assert taken == sorted(taken)


def test_a_store_that_goes_back_for_good_is_an_error() -> None:
    class Amnesia(MemoryCounters):
        def reserve(self, key_id: str, count: int) -> range:
            return range(1, 1 + count)

    outgoing = Outgoing(Amnesia(), NAME)
    for _ in range(64):
        outgoing.take()
    with pytest.raises(SecurityError, match="went back"):
        outgoing.take()
