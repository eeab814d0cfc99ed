"""``cosemic keys``: new keys are on the disk before the meter hears of them, whatever is lost on the way."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosemic.cli.demo_files import write_demo_keys
from cosemic.meter import demo
from cosemic.meter.server import Ports, running
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
ENERGY = "1-0:1.8.0"
BOTH = ("global-unicast", "authentication")
MANAGER = ("--client", "1", "--auth", "gmac", "--timeout", "5")


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """A meter of its own; its clients as named meters."""
    with running(demo.demo_meter(profile_rows=1)) as ports:
        write_demo_keys(tmp_path / "demo", "127.0.0.1", ports.wrapper, ports.hdlc)
        monkeypatch.setenv("COSEMIC_METERS", str(tmp_path / "demo" / "meters.toml"))
        yield ports


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The manager's keys as a folder of key files."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    for name, key in (
        ("global-unicast", demo.ENCRYPTION_KEY),
        ("authentication", demo.AUTHENTICATION_KEY),
        ("master", demo.MASTER_KEY),
    ):
        file = folder / f"{name}.key"
        file.write_text(key.hex())
        file.chmod(0o600)
    return folder


@contextlib.contextmanager
def losing(port: int, answers: int) -> Iterator[str]:
    """A way to the meter that lets so many of its answers through, and hangs up instead of the next one."""
    listener = socket.create_server(("127.0.0.1", 0))

    def read(stream: socket.socket) -> bytes:
        head = stream.recv(8, socket.MSG_WAITALL)
        return head + stream.recv(int.from_bytes(head[6:8], "big"), socket.MSG_WAITALL) if len(head) == 8 else b""

    def relay() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as meter:
            for _ in range(answers):
                meter.sendall(read(client))
                client.sendall(read(meter))
            meter.sendall(read(client))
            read(meter)  # the meter has done it

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("way", ["manager", "manager-hdlc", "suite1", "suite2"])
def test_a_transfer(cosemic: Run, ports: Ports, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "new"
    done = cosemic("keys", "transfer", way, *BOTH, "--save", str(folder), "--yes")
    assert done.code == 0, done.err
    assert f"use --key-store file:{folder} from now on" in done.err
    assert names(folder) == ["authentication.key", "global-unicast.key"]
    text = (folder / "global-unicast.key").read_text().strip()
    assert len(bytes.fromhex(text)) == (32 if way == "suite2" else 16)
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert text not in done.out + done.err
    assert cosemic("read", way, ENERGY).code == 1
    options = ("--ek", f"file:{folder / 'global-unicast.key'}", "--ak", f"file:{folder / 'authentication.key'}")
    assert cosemic("read", way, ENERGY, *options).code == 0


def test_the_keys_before_are_kept(cosemic: Run, ports: Ports, store: Path) -> None:
    url = f"tcp://127.0.0.1:{ports.wrapper}"
    options = (*MANAGER, "--key-store", f"file:{store}")
    done = cosemic("keys", "transfer", url, *BOTH, *options, "--yes", "--json")
    assert done.objects == [{"result": "success", "in_use": "new", "keys": [*BOTH]}]
    assert done.err == ""
    assert names(store) == sorted([*(f"{name}.key{end}" for name in BOTH for end in ("", ".old")), "master.key"])
    assert bytes.fromhex((store / "authentication.key.old").read_text()) == demo.AUTHENTICATION_KEY
    assert cosemic("read", url, ENERGY, *options).code == 0


def test_a_new_master_key(cosemic: Run, ports: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert cosemic("keys", "transfer", "suite1", "master", "--save", str(folder), "--yes").code == 0
    options = ("--save", str(folder), "--yes", "--kek", f"file:{folder / 'master.key'}")
    assert cosemic("keys", "transfer", "suite1", "global-broadcast", *options).code == 0
    old = cosemic("keys", "transfer", "suite1", "global-broadcast", "--save", str(folder), "--yes")
    assert old.code == 1
    assert "the meter refuses the keys" in old.err
    assert names(folder) == ["global-broadcast.key", "master.key"]


@pytest.mark.parametrize("way", ["suite1", "suite2"])
def test_an_agreement(cosemic: Run, ports: Ports, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "new"
    done = cosemic("keys", "agree", way, *BOTH, "master", "--save", str(folder), "--yes")
    assert done.code == 0, done.err
    keys = [
        option
        for name, key in (("--ek", "global-unicast"), ("--ak", "authentication"), ("--kek", "master"))
        for option in (name, f"file:{folder / key}.key")
    ]
    assert cosemic("read", way, ENERGY, *keys).code == 0
    assert cosemic("read", way, ENERGY).code == 1
    assert cosemic("keys", "transfer", way, "global-broadcast", "--save", str(folder), "--yes", *keys).code == 0


def test_nothing_without_a_yes(cosemic: Run, ports: Ports, tmp_path: Path) -> None:
    for command in (("transfer", "manager"), ("agree", "suite1")):
        done = cosemic("keys", *command, "global-unicast", "--save", str(tmp_path / "new"))
        assert done.code == 2
        assert "say --yes" in done.err
        assert names(tmp_path / "new") == []
    assert cosemic("read", "manager", ENERGY).code == 0


@pytest.mark.parametrize("answers", [0, 2])
def test_a_way_that_breaks_before_the_meter_is_told(cosemic: Run, ports: Ports, store: Path, answers: int) -> None:
    options = (*MANAGER, "--key-store", f"file:{store}")
    with losing(ports.wrapper, answers) as url:
        done = cosemic("keys", "transfer", url, *BOTH, *options, "--yes")
    assert done.code == 1
    assert "not known" not in done.err
    assert names(store) == ["authentication.key", "global-unicast.key", "master.key"]


def test_a_lost_answer_and_the_new_keys(cosemic: Run, ports: Ports, store: Path) -> None:
    options = (*MANAGER, "--key-store", f"file:{store}")
    url = f"tcp://127.0.0.1:{ports.wrapper}"
    with losing(ports.wrapper, 3) as lossy:  # AARE, pass 4, which setup it is; then the answer to the transfer
        done = cosemic("keys", "transfer", lossy, *BOTH, *options, "--yes")
    assert done.code == 1
    assert "Whether the meter uses the new keys is not known" in done.err
    assert "'cosemic keys settle'" in done.err
    assert len(done.err.splitlines()) == 1
    new = (store / "global-unicast.key.new").read_text()
    assert cosemic("read", url, ENERGY, *options).code == 0  # this meter waits for a message under the new ones
    other = cosemic("keys", "agree", "suite1", "global-unicast", "--save", str(store), "--yes")
    assert "run 'cosemic keys settle' first" in other.err

    done = cosemic("keys", "settle", url, *options)
    assert done.code == 0, done.err
    assert (store / "global-unicast.key").read_text() == new
    assert names(store) == sorted([*(f"{name}.key{end}" for name in BOTH for end in ("", ".old")), "master.key"])
    assert cosemic("read", url, ENERGY, *options).code == 0
    assert "nothing to settle" in cosemic("keys", "settle", url, *options).out


def test_a_lost_answer_and_another_try(cosemic: Run, ports: Ports, store: Path) -> None:
    """The keys that are there are given once more, so that the meter cannot be left with ones that nobody has."""
    options = (*MANAGER, "--key-store", f"file:{store}")
    with losing(ports.wrapper, 3) as lossy:
        assert cosemic("keys", "transfer", lossy, *BOTH, *options, "--yes").code == 1
    new = (store / "global-unicast.key.new").read_text()
    url = f"tcp://127.0.0.1:{ports.wrapper}"
    assert cosemic("keys", "transfer", url, *BOTH, *options, "--yes").code == 0
    assert (store / "global-unicast.key").read_text() == new
    assert cosemic("read", url, ENERGY, *options).code == 0


def test_settling_on_the_old_keys(cosemic: Run, ports: Ports, store: Path) -> None:
    for name in BOTH:
        (store / f"{name}.key.new").write_text("11" * 16)
    url, options = f"tcp://127.0.0.1:{ports.wrapper}", (*MANAGER, "--key-store", f"file:{store}")
    done = cosemic("keys", "settle", url, *options)
    assert done.code == 0, done.err
    assert "uses the old keys" in done.out
    assert names(store) == ["authentication.key", "global-unicast.key", "master.key"]


def test_settling_on_neither(cosemic: Run, ports: Ports, store: Path) -> None:
    for end, octet in ((".new", "11"), ("", "22")):
        for name in BOTH:
            (store / f"{name}.key{end}").write_text(octet * 16)
    done = cosemic("keys", "settle", f"tcp://127.0.0.1:{ports.wrapper}", *MANAGER, "--key-store", f"file:{store}")
    assert done.code == 1
    assert "neither the new keys nor the old ones" in done.err
    assert len(names(store)) == 5


def test_a_meter_that_refuses(cosemic: Run, ports: Ports, store: Path) -> None:
    (store / "master.key").write_text("33" * 16)  # not the one that the meter has
    url, options = f"tcp://127.0.0.1:{ports.wrapper}", (*MANAGER, "--key-store", f"file:{store}")
    done = cosemic("keys", "transfer", url, *BOTH, *options, "--yes")
    assert done.code == 1
    assert "the meter refuses the keys, the old ones stay" in done.err
    assert "33" * 16 not in done.err
    assert names(store) == ["authentication.key", "global-unicast.key", "master.key"]
    assert cosemic("read", url, ENERGY, *options).code == 0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_folder_that_cannot_take_the_keys(cosemic: Run, ports: Ports, store: Path) -> None:
    store.chmod(0o777)
    url, options = f"tcp://127.0.0.1:{ports.wrapper}", (*MANAGER, "--key-store", f"file:{store}")
    done = cosemic("keys", "transfer", url, *BOTH, *options, "--save", str(store), "--yes")
    assert done.code in (1, 2)
    assert "chmod" in done.err
    store.chmod(0o700)
    assert cosemic("read", url, ENERGY, *options).code == 0  # the meter was not told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("transfer", "manager", "--save", "."), "name the keys"),
        (("transfer", "manager", "global-unicast"), "say where new keys are kept"),
        (("transfer", "public", "global-unicast", "--save", "."), "in a ciphered association"),
        (("agree", "manager", "global-unicast", "--save", "."), "in suites 1 and 2"),
        (("settle", "manager"), "say where new keys are kept"),
    ],
)
def test_what_makes_no_sense(
    cosemic: Run, ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    done = cosemic("keys", *arguments)
    assert done.code == 2
    assert said in done.err
    assert names(folder) == []
