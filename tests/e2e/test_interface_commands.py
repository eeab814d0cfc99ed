"""What the outside calls as a command: options everywhere the same, JSON shapes, exit codes, the simulated meter.

One ``cosemic simulate`` as users start it serves the module; the commands run in this process. What single commands do
beyond the outside's agreement is in ``tests/cli``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cosemic import AuthenticationMechanism, SecurityContext, SecurityPolicy
from cosemic.cli import main
from cosemic.errors import LinkLost

EK, AK, TITLE = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "4D4D4D0000000001"
ENERGY, VOLTAGE, LOAD = "1.0.1.8.0.255", "1.0.32.7.0.255", "1.0.99.1.0.255"
SHAPE = ["class_id", "obis", "attribute", "value", "unit", "error"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """One JSON object a line; numbers with a point exactly."""
        return [json.loads(line, parse_float=Decimal) for line in self.out.splitlines()]


@pytest.fixture(scope="module")
def ports(tmp_path_factory) -> Iterator[dict[str, int]]:
    command = [sys.executable, "-m", "cosemic.cli", "simulate", "--wrapper-port", "0", "--hdlc-port", "0"]
    with subprocess.Popen(
        [*command, "--profile-rows", "40"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def home(tmp_path, state, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith(("COSEMIC_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COSEMIC_STATE", str(state))
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def command(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def url(ports) -> str:
    return f"tcp://127.0.0.1:{ports['wrapper_port']}"


# simulate


def test_simulate_prints_its_ports(ports) -> None:
    assert list(ports) == ["wrapper_port", "hdlc_port"]
    assert all(0 < port <= 65535 for port in ports.values())


ASSOCIATIONS = {
    "16": ["--client", "16"],
    "32": ["--client", "32", "--auth", "lls", "--password", "00000000"],
    "32-hex": ["--client", "32", "--auth", "lls", "--password", "hex:3030303030303030"],
    "1": ["--client", "1", "--auth", "gmac", "--suite", "0", "--ek", EK, "--ak", AK, "--system-title", TITLE],
}


@pytest.mark.parametrize("association", ASSOCIATIONS)
@pytest.mark.parametrize("scheme", ["tcp", "hdlc"])
def test_the_three_associations_of_the_simulated_meter(run, ports, scheme: str, association: str) -> None:
    port = ports["wrapper_port" if scheme == "tcp" else "hdlc_port"]
    options = ["--server", "1", "--timeout", "20", *ASSOCIATIONS[association], "--json"]
    done = run("read", f"{scheme}://127.0.0.1:{port}", ENERGY, *options)
    assert (done.code, done.err) == (0, "")
    (line,) = done.lines
    assert list(line) == SHAPE
    assert isinstance(line.pop("value"), int)
    assert line == {"class_id": 3, "obis": ENERGY, "attribute": 2, "unit": "Wh", "error": None}


def test_the_system_title_of_the_simulated_meter(run, url) -> None:
    done = run("read", url, ENERGY, *ASSOCIATIONS["1"], "-vv")
    assert done.code == 0
    assert "434f530000000001" in done.err.lower().replace(" ", "")


@pytest.mark.parametrize(
    "options",
    [["--client", "32"], ["--client", "1"], ["--client", "32", *ASSOCIATIONS["1"][2:]]],
    ids=["lls-without-password", "gmac-without-keys", "gmac-as-client-32"],
)
def test_the_simulated_meter_lets_nobody_else_in(run, url, options: list[str]) -> None:
    done = run("read", url, ENERGY, *options, "--timeout", "5")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1


# read, set, call, objects, profile


@pytest.mark.parametrize(
    "target", ["3/1.0.1.8.0.255/2", "3/1-0:1.8.0*255/2", "3/1-0:1.8.0/2", "3/0100010800FF/2", ENERGY, "1-0:1.8.0"]
)
def test_read_by_attribute_and_by_obis_alone(run, url, target: str) -> None:
    (line,) = run("read", url, target, "--json").lines
    assert list(line) == SHAPE
    assert line["value"] > 0
    assert {**line, "value": 0} == {
        "class_id": 3, "obis": ENERGY, "attribute": 2, "value": 0, "unit": "Wh", "error": None,
    }  # fmt: skip


def test_several_targets_keep_their_order(run, url) -> None:
    targets = [VOLTAGE, "8/0.0.1.0.0.255/2", "1/0.0.42.0.0.255/2", "3/1.0.32.7.0.255/3", "1/0.0.1.2.3.4/2"]
    done = run("read", url, *targets, "--json")
    assert done.code != 0
    assert len(done.err.splitlines()) == 1
    voltage, clock, name, scaler, missing = done.lines
    assert all(list(line) == SHAPE for line in done.lines)
    assert isinstance(voltage["value"], Decimal)
    assert voltage["value"].as_tuple().exponent == -1
    assert voltage["unit"] == "V"
    assert datetime.fromisoformat(clock["value"]).utcoffset() is not None
    assert name["value"] == "434f5330303030303030303030303031"
    assert scaler["value"] == [-1, 35]
    assert (missing["value"], missing["unit"]) == (None, None)
    assert "undefined" in missing["error"]
    assert [line["error"] for line in (voltage, clock, name, scaler)] == [None] * 4


def test_set_and_call(run, url) -> None:
    done = run("set", url, "1/0.0.128.0.0.255/2", "double-long-unsigned", "12345", "--json")
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == 1
    assert run("read", url, "1/0.0.128.0.0.255/2", "--json").lines[0]["value"] == 12345
    for parameters in (["integer", "0"], []):
        done = run("call", url, "3/0.0.128.0.2.255/1", *parameters, "--json")
        assert len(done.lines) == 1
        assert (done.code == 0) is (done.lines[0]["error"] is None)
    assert run("call", url, "3/0.0.128.0.2.255/1", "integer", "0").code == 0


def test_structures_are_written_too(run, url) -> None:
    tree = '[{"type": "unsigned", "value": 1}, {"type": "octet-string", "value": "AA00"}]'
    assert run("set", url, "1/0.0.128.0.1.255/2", "octet-string", "AA00FF").code == 0
    assert run("read", url, "1/0.0.128.0.1.255/2", "--json").lines[0]["value"] == "aa00ff"
    # It goes out as a structure; this meter holds an octet-string there.
    done = run("set", url, "1/0.0.128.0.1.255/2", "structure", tree, "--json")
    assert (done.code, done.lines[0]["result"]) == (1, "type-unmatched")
    assert "--typed" in done.err


def test_objects(run, url) -> None:
    done = run("objects", url, "--json")
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) > 10
    assert {"class_id", "version", "obis", "name", "attributes", "methods"} <= set(done.lines[0])
    assert (3, ENERGY) in {(line["class_id"], line["obis"]) for line in done.lines}


def test_profile_rows_are_keyed_by_column(run, url) -> None:
    done = run("profile", url, LOAD, "--last", "3", "--json")
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == 3
    times = [datetime.fromisoformat(line["0-0:1.0.0*255"]) for line in done.lines]
    assert times == sorted(times)
    assert all(time.utcoffset() is not None for time in times)
    assert all(isinstance(line["1-0:1.8.0*255"], int) for line in done.lines)
    between = ("--from", times[1].isoformat(), "--to", times[2].isoformat())
    assert run("profile", url, LOAD, *between, "--json").lines == done.lines[1:]
    assert run("profile", url, LOAD, *between, "--format", "json").lines == done.lines[1:]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_profile_to_screen_and_file(run, url, form: str, tmp_path) -> None:
    screen = run("profile", url, LOAD, "--last", "2", "--format", form)
    assert screen.code == 0
    file = tmp_path / "out"
    done = run("profile", url, LOAD, "--last", "2", "--format", form, "--out", str(file))
    assert (done.code, done.out) == (0, "")
    assert file.read_text() == screen.out


# Connection options: as an option, as a variable, in the file of named meters

OPTIONS: list[tuple[str, str, object, Callable[[dict[str, Any]], object]]] = [
    ("client", "77", 77, lambda client: client["client_sap"]),
    ("server", "17", 17, lambda client: client["server_sap"]),
    ("physical", "18", 18, lambda client: client["physical_address"]),
    ("auth", "sha256", AuthenticationMechanism.HLS_SHA256, lambda client: client["authentication"]),
    ("password", "hex:00FF", b"\x00\xff", lambda client: client["password"]),
    ("suite", "1", 1, lambda client: client["security"].suite),
    ("policy", "authenticated", SecurityPolicy.AUTHENTICATED, lambda client: client["security"].policy),
    (
        "system-title", "4D4D4D00000000FF", bytes.fromhex("4D4D4D00000000FF"),
        lambda client: client["security"].system_title,
    ),
    ("ek", "FF" * 16, "FF" * 16, lambda client: key_of(client["security"], "encryption_key")),
    ("ak", "EE" * 16, "EE" * 16, lambda client: key_of(client["security"], "authentication_key")),
    ("timeout", "7.5", 7.5, lambda client: client["timeout"]),
]  # fmt: skip
BASE = {"auth": "md5", "password": "p", "ek": EK, "ak": AK, "system-title": TITLE}
COMMANDS = {
    "read": [ENERGY],
    "set": ["3/1.0.1.8.0.255/2", "unsigned", "1"],
    "call": ["3/1.0.1.8.0.255/1", "integer", "0"],
    "objects": [],
    "profile": [LOAD],
}


def key_of(security: SecurityContext, name: str) -> str:
    return security._keys.present[name].hex().upper()


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What clients are made with; none connects."""
    made: list[dict[str, Any]] = []

    def client(url: str, **options: Any) -> object:
        made.append({"url": url, **options})
        raise LinkLost("nobody there")

    monkeypatch.setattr("cosemic.blocking.DlmsClient", client)
    return made


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "text", "value", "look"), OPTIONS, ids=[option[0] for option in OPTIONS])
def test_every_connection_option_of_every_command(
    run, clients, monkeypatch, home, command: str, name: str, text: str, value: object, look: Callable[..., object]
) -> None:
    base = [part for key, given in BASE.items() if key != name for part in (f"--{key}", given)]
    way = "hdlc://192.0.2.10:4059"
    done = run(command, way, *COMMANDS[command], *base, f"--{name}", text)
    assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
    variable = f"COSEMIC_{name.upper().replace('-', '_')}"
    monkeypatch.setenv(variable, text)
    run(command, way, *COMMANDS[command], *base)
    monkeypatch.delenv(variable)
    file = home / ".config" / "cosemic" / "meters.toml"
    file.parent.mkdir(parents=True)
    shown = text if isinstance(value, int | float) and name not in ("auth", "policy") else f'"{text}"'
    file.write_text(f'[meters.cellar]\nurl = "{way}"\n{name.replace("-", "_")} = {shown}\n')
    file.chmod(0o600)
    run(command, "cellar", *COMMANDS[command], *base)
    assert [client["url"] for client in clients] == [way] * 3
    assert [look(client) for client in clients] == [value] * 3


@pytest.mark.parametrize(
    ("word", "mechanism"),
    [("none", 0), ("lls", 1), ("md5", 3), ("sha1", 4), ("gmac", 5), ("sha256", 6)],
)
def test_every_word_for_auth(run, clients, word: str, mechanism: int) -> None:
    secret = [] if word in ("none", "gmac") else ["--password", "p"]
    run("read", "tcp://192.0.2.10:4059", ENERGY, "--auth", word, *secret, "--ek", EK, "--ak", AK)
    assert [client["authentication"] for client in clients] == [mechanism]


@pytest.mark.parametrize(
    ("word", "more"), [("hls", ": use the Python API .*"), ("ecdsa", "needs --signing-key, --peer-signing-key too.*")]
)
def test_words_for_auth_that_need_more_say_so(run, clients, word: str, more: str) -> None:
    done = run("read", "tcp://192.0.2.10:4059", ENERGY, "--auth", word, "--password", "p")
    assert done.code != 0
    assert re.fullmatch(rf"cosemic: --auth {word} .*{more}\n", done.err)


@pytest.mark.parametrize("word", ["none", "authenticated", "encrypted", "authenticated-encrypted"])
def test_every_word_for_policy(run, clients, word: str) -> None:
    run("read", "tcp://192.0.2.10:4059", ENERGY, "--policy", word, "--ek", EK, "--ak", AK)
    assert [client["security"].policy.label for client in clients] == [word]


def test_without_options_it_is_the_public_client(run, clients) -> None:
    run("read", "tcp://192.0.2.10:4059", ENERGY)
    (client,) = clients
    assert (client["client_sap"], client["server_sap"], client["physical_address"]) == (16, 1, None)
    assert (client["authentication"], client["password"], client["security"]) == (0, None, None)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_connection_option(run, command: str) -> None:
    text = run(command, "--help").out
    for name, *_ in OPTIONS:
        assert f"--{name}" in text
        assert f"COSEMIC_{name.upper().replace('-', '_')}" in text
    assert "--json" in text


def test_help_of_read_tells_about_units(run) -> None:
    text = " ".join(run("read", "--help").out.split())
    assert "scaled and has its unit either way; --raw shows it as sent" in text


def test_explain_takes_keys_as_options_and_variables(run, monkeypatch) -> None:
    # The example of the Green Book that every implementation quotes.
    apdu = "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"
    given = run("explain", apdu, "--ek", EK, "--ak", AK, "--system-title", "4D4D4D0000BC614E", "--json")
    assert (given.code, given.err) == (0, "")
    assert all(isinstance(line, dict) for line in given.lines)
    for name, value in (("EK", EK), ("AK", AK), ("SYSTEM_TITLE", "4D4D4D0000BC614E")):
        monkeypatch.setenv(f"COSEMIC_{name}", value)
    assert run("explain", apdu, "--json").out == given.out
