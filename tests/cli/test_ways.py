"""Gateways, sends that nobody answers, blocks: options, variables and settings of named meters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cosemic.meter.demo import BROADCAST_CLIENT, SCRATCH_NUMBER, demo_meter
from cosemic.meter.server import running
from tests.cli.conftest import Outcome, Urls

Run = Callable[..., Outcome]
ENERGY = "1-0:1.8.0"
NUMBER = f"1/{SCRATCH_NUMBER}/2"
ADDRESS = "12345678"
TO_ALL = ("--broadcast", "--client", str(BROADCAST_CLIENT), "--server", "127")


@pytest.fixture(scope="module")
def gateway() -> Iterator[dict[str, str]]:
    with running(demo_meter(profile_rows=1), behind={(3, ADDRESS.encode()): demo_meter(profile_rows=1)}) as ports:
        yield {
            "wrapper": f"tcp://127.0.0.1:{ports.wrapper}",
            "hdlc": f"hdlc://127.0.0.1:{ports.hdlc}",
            "udp": f"udp://127.0.0.1:{ports.udp}",
        }


def failure(done: Outcome, code: int) -> str:
    assert done.code == code, done
    (line,) = done.err.splitlines()
    return line


def number(cosemic: Run, url: str, *options: str) -> object:
    return cosemic("read", url, NUMBER, "--json", *options).objects[0]["value"]


@pytest.mark.parametrize("way", ["wrapper", "hdlc"])
def test_a_device_behind_a_gateway(
    cosemic: Run, gateway: dict[str, str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, behind = gateway[way], ("--network-id", "3", "--device-address", ADDRESS)
    assert cosemic("set", url, NUMBER, "double-long-unsigned", "5").code == 0
    assert cosemic("set", url, NUMBER, "double-long-unsigned", "77", *behind).code == 0
    assert (number(cosemic, url), number(cosemic, url, *behind)) == (5, 77)
    monkeypatch.setenv("COSEMIC_NETWORK_ID", "3")
    monkeypatch.setenv("COSEMIC_DEVICE_ADDRESS", f"hex:{ADDRESS.encode().hex()}")
    assert number(cosemic, url) == 77


def test_a_named_meter_behind_a_gateway(
    cosemic: Run, gateway: dict[str, str], home, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "meters.toml"
    file.write_text(f'[meters.far]\nurl = "{gateway["wrapper"]}"\nnetwork_id = 3\ndevice_address = "{ADDRESS}"\n')
    monkeypatch.setenv("COSEMIC_METERS", str(file))
    assert cosemic("read", "far", ENERGY).code == 0


def test_a_gateway_that_does_not_know_the_device(cosemic: Run, gateway: dict[str, str]) -> None:
    options = ("--network-id", "3", "--device-address", "87654321", "--timeout", "0.5")
    done = cosemic("read", gateway["wrapper"], ENERGY, *options)
    assert "check --network-id and --device-address" in failure(done, 1)


def test_the_doctor_says_what_it_does_not_examine(cosemic: Run) -> None:
    done = cosemic("doctor", "tcp://127.0.0.1:1", "--device-address", ADDRESS)
    assert "does not look behind gateways" in failure(done, 2)
    assert "leave out --broadcast" in failure(cosemic("doctor", "hdlc://127.0.0.1:1", "--broadcast"), 2)


def test_help_is_named_for_the_subcommand(cosemic: Run) -> None:
    assert "See 'cosemic keys transfer --help'" in cosemic("keys", "transfer").err
    assert "See 'cosemic certificates --help'" in cosemic("certificates", "expord").err


@pytest.mark.parametrize("way", ["hdlc", "udp"])
def test_to_all_stations(cosemic: Run, gateway: dict[str, str], way: str) -> None:
    url = gateway[way]
    for wanted in (4711, 4712):
        done = cosemic("set", url, NUMBER, "double-long-unsigned", str(wanted), *TO_ALL, "--json")
        assert done.code == 0, done.err
        assert done.objects == [
            {"class_id": 1, "obis": "0.0.128.0.0.255", "attribute": 2, "result": "sent", "error": None}
        ]
        # Nobody says when it was carried out; each look is an exchange with the meter.
        assert any(number(cosemic, gateway["wrapper"]) == wanted for _ in range(100))
    done = cosemic("call", url, "3/0-0:128.0.2/1", "integer", "0", *TO_ALL)
    assert done.out == "3/0-0:128.0.2/1: sent; no answer is awaited\n"


def test_unconfirmed_in_an_association(cosemic: Run, gateway: dict[str, str]) -> None:
    for url in (gateway["wrapper"], gateway["hdlc"]):
        done = cosemic("set", url, NUMBER, "double-long-unsigned", "31", "--unconfirmed")
        assert (done.code, done.out) == (0, f"{NUMBER}: sent; no answer is awaited\n")
        assert any(number(cosemic, url) == 31 for _ in range(100))
        assert cosemic("call", url, "3/0-0:128.0.2/1", "integer", "0", "--unconfirmed").code == 0
        assert cosemic("set", url, NUMBER, "double-long-unsigned", "1").out == f"{NUMBER}: written\n"


@pytest.mark.parametrize("window", ["0", "1", "63"])
def test_a_window_of_general_blocks(cosemic: Run, gateway: dict[str, str], window: str) -> None:
    assert cosemic("objects", gateway["wrapper"], "--block-transfer-window", window).code == 0


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("read", ("--broadcast",), "nobody answers what goes to all stations"),
        ("set", ("--broadcast",), "goes over HDLC and UDP"),
        ("set", ("--broadcast", "--auth", "lls", "--password", "1"), "goes over HDLC"),
        ("read", ("--network-id", "1"), "needs --device-address"),
        ("read", ("--network-id", "256", "--device-address", "1"), "--network-id is a number from 0 to 255"),
        ("read", ("--device-address", "hex:"), "1 to 255 octets"),
        ("read", ("--block-transfer-window", "64"), "--block-transfer-window is a number from 0 to 63"),
    ],
)
def test_what_makes_no_sense(cosemic: Run, command: str, options: tuple[str, ...], said: str) -> None:
    target = (ENERGY,) if command == "read" else (NUMBER, "double-long-unsigned", "1")
    assert said in failure(cosemic(command, "tcp://127.0.0.1:1", *target, *options), 2)


def test_a_broadcast_has_no_login(cosemic: Run, gateway: dict[str, str]) -> None:
    options = (*TO_ALL, "--auth", "lls", "--password", "1")
    done = cosemic("set", gateway["hdlc"], NUMBER, "double-long-unsigned", "1", *options)
    assert "--broadcast has no login" in failure(done, 2)


def test_empty_variables_count_as_unset(cosemic: Run, meter: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in ("CLIENT", "AUTH", "EK", "SIGNING_KEY", "TIMEOUT", "METERS", "KEY_STORE", "POLICY", "BROADCAST"):
        monkeypatch.setenv(f"COSEMIC_{name}", "")
    assert cosemic("read", meter.wrapper, ENERGY).code == 0
    assert os.environ["COSEMIC_CLIENT"] == ""  # what others see of them stays
    monkeypatch.setenv("METER_PASSWORD", "")
    done = cosemic("read", meter.wrapper, ENERGY, "--auth", "lls", "--password", "env:METER_PASSWORD")
    assert "is empty" in failure(done, 2)
