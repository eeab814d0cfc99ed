"""Options from the environment, from the file of named meters, and secrets from elsewhere."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, resolve
from cosemic.cli.parsing import password_octets
from cosemic.cli.titles import own_title
from tests.cli.conftest import GMAC

ENERGY = "1-0:1.8.0"


@pytest.fixture
def meters(home):
    folder = home / ".config" / "cosemic"
    folder.mkdir(parents=True)
    file = folder / "meters.toml"

    def write(text: str, mode: int = 0o600) -> None:
        file.write_text(text)
        file.chmod(mode)

    return write


def test_the_environment(cosemic, meter, monkeypatch) -> None:
    monkeypatch.setenv("COSEMIC_CLIENT", "32")
    monkeypatch.setenv("COSEMIC_AUTH", "lls")
    monkeypatch.setenv("COSEMIC_PASSWORD", "00000000")
    assert cosemic("read", meter.wrapper, "8/0-0:1.0.0/2", "--json").code == 0
    # The command line wins.
    assert cosemic("read", meter.wrapper, ENERGY, "--password", "wrong").code == 1


@pytest.mark.parametrize("name", ["cellar", "@cellar"])
def test_a_named_meter(cosemic, meter, meters, name: str) -> None:
    meters(
        f'[meters.cellar]\nurl = "{meter.hdlc}"\nclient = 1\nauth = "gmac"\nsystem-title = "4D4D4D0000000003"\n'
        'ek = "000102030405060708090A0B0C0D0E0F"\nak = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"\ntimeout = 5\n'
    )
    assert cosemic("read", name, ENERGY, "--json").objects[0]["unit"] == "Wh"


def test_command_line_and_environment_come_before_the_file(meters, monkeypatch) -> None:
    meters('[meters.a]\nurl = "tcp://h"\nclient = 1\nserver = 2\ntimeout = 3\n')
    url, settings = resolve("a", ConnectionOptions(client=7))
    assert (url, settings.client, settings.server, settings.timeout) == ("tcp://h", 7, 2, 3)


def test_cosemic_meters_names_another_file(cosemic, meter, home, monkeypatch) -> None:
    file = home / "mine.toml"
    file.write_text(f'[meters.a]\nurl = "{meter.wrapper}"\n')
    monkeypatch.setenv("COSEMIC_METERS", str(file))
    assert cosemic("read", "a", ENERGY).code == 0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_keys_that_others_may_read_are_refused(cosemic, meter, meters) -> None:
    text = f'[meters.a]\nurl = "{meter.wrapper}"\nclient = 32\nauth = "lls"\npassword = "00000000"\n'
    meters(text, 0o644)
    done = cosemic("read", "a", ENERGY)
    assert done.code == 2
    assert "chmod 600" in done.err
    assert "00000000" not in done.err
    meters(text, 0o600)
    assert cosemic("read", "a", ENERGY).code == 0
    meters(f'[meters.a]\nurl = "{meter.wrapper}"\n', 0o644)
    assert cosemic("read", "a", ENERGY).code == 0


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[meters.b]\nurl = 'tcp://h'\n", "there are: b"),
        ("[meters.a]\nclient = 1\n", "has no url"),
        ("[meters.a]\nurl = 'tcp://h'\nclinet = 1\n", "unknown setting 'clinet'"),
        ("[meters.a]\nurl = 'tcp://h'\nclient = '1'\n", "must be a number"),
        ("[meters.a]\nurl = 'tcp://h'\nauth = 'magic'\n", "is unknown; there are none, lls"),
        ("[meters.a\n", "is no TOML"),
        ("meters = 3\n", "there are: none"),
    ],
)
def test_mistakes_in_the_file(cosemic, meters, text: str, remedy: str) -> None:
    meters(text)
    done = cosemic("read", "a", ENERGY)
    assert done.code == 2
    assert remedy in done.err
    assert len(done.err.splitlines()) == 1


def test_secrets_from_elsewhere(home, monkeypatch) -> None:
    monkeypatch.setenv("METER_PASSWORD", "hex:3031")
    (home / "password").write_text("abc\n")
    assert password_octets("plain") == b"plain"
    assert password_octets("hex:00ff") == b"\x00\xff"
    assert password_octets("env:METER_PASSWORD") == b"01"
    assert password_octets("file:~/password") == b"abc"
    assert password_octets("text:env:x") == b"env:x"
    with pytest.raises(CommandError, match="not hexadecimal") as caught:
        password_octets("hex:geheim")
    assert "geheim" not in str(caught.value)


def test_a_user_has_a_system_title_of_his_own(cosemic, meter, home, monkeypatch) -> None:
    monkeypatch.setenv("COSEMIC_STATE", str(home / "state"))
    keys = [value for value in GMAC if value not in ("--system-title", "4D4D4D0000000001")]
    for _ in range(2):
        assert cosemic("read", meter.wrapper, ENERGY, *keys).code == 0
    file = home / "state" / "system-title"
    assert file.read_text() == own_title().hex().upper() + "\n"
    assert own_title().startswith(b"COS")
    assert [path.name for path in file.parent.glob("system-title*")] == ["system-title"]
    file.write_text("nonsense")
    done = cosemic("read", meter.wrapper, ENERGY, *keys)
    assert done.code == 2
    assert "delete it, or give --system-title" in done.err


def test_commands_at_once_make_one_title(home, monkeypatch) -> None:
    monkeypatch.setenv("COSEMIC_STATE", str(home / "state"))
    with ThreadPoolExecutor(8) as pool:
        titles = set(pool.map(lambda _: own_title(), range(32)))
    assert len(titles) == 1
