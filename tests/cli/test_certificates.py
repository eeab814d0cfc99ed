"""``cosemic certificates``: from a key pair made in the meter to the certificate that puts it to use."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosemic.cli.certificates import _name
from cosemic.cli.demo_files import DemoAuthority, write_demo_keys
from cosemic.meter import demo
from cosemic.meter.server import running
from cosemic.security.certificates import Certificate
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
METER = demo.SYSTEM_TITLE.hex().upper()


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A meter of its own, which the test may change; the folder of ``simulate --write-keys``."""
    authorities = {suite: DemoAuthority.make(suite) for suite in (1, 2)}
    meter = demo.demo_meter(profile_rows=1, authorities=[one.certificate for one in authorities.values()])
    folder = tmp_path / "keys"
    with running(meter) as ports:
        write_demo_keys(folder, "127.0.0.1", ports.wrapper, ports.hdlc, authorities)
        monkeypatch.setenv("COSEMIC_METERS", str(folder / "meters.toml"))
        yield folder


def issue(cosemic: Run, keys: Path, csr: Path, purpose: str, suite: int = 1) -> Path:
    out = csr.with_suffix(".pem")
    done = cosemic(
        "certificates", "issue", str(csr), purpose, "--out", str(out),
        "--authority", str(keys / "certificates" / "anchors" / f"suite{suite}-authority.pem"),
        "--authority-key", f"file:{keys / f'suite{suite}-authority-key.pem'}",
    )  # fmt: skip
    assert done.code == 0, done.err
    return out


@pytest.mark.parametrize("suite", [1, 2])
def test_a_new_key_pair_of_the_meter(cosemic: Run, keys: Path, tmp_path: Path, suite: int) -> None:
    name, csr = f"suite{suite}", tmp_path / "meter.csr"
    assert cosemic("certificates", "request", name, "signing", "--new-key", "--out", str(csr)).code == 0
    if openssl := shutil.which("openssl"):
        said = subprocess.run(
            [openssl, "req", "-in", csr, "-verify", "-noout", "-subject"], capture_output=True, text=True
        )
        assert "verify OK" in said.stderr + said.stdout
        assert METER in said.stdout
    assert cosemic("read", name, "1-0:1.8.0").code == 0  # the old pair is in use until the certificate is there
    pem = issue(cosemic, keys, csr, "signing", suite)
    done = cosemic("certificates", "import", name, str(pem))
    assert done.code == 0
    assert f"--peer-signing-key file:{pem}" in done.err
    assert cosemic("read", name, "1-0:1.8.0").code == 1
    new = ("--peer-signing-key", f"file:{pem}")
    assert cosemic("read", name, "1-0:1.8.0", *new).code == 0

    listed = cosemic("certificates", "list", name, "--json", *new).objects
    assert [row["of"] for row in listed] == ["authority", "authority", "meter"]
    assert listed[-1]["subject"] == f"CN={METER}"
    assert listed[-1]["purpose"] == "signing"
    assert METER in cosemic("certificates", "list", name, *new).out

    certificate = Certificate.parse(pem.read_text())
    by_purpose = cosemic("certificates", "export", name, "signing", *new)
    by_serial = cosemic("certificates", "export", name, "--serial", listed[-1]["serial"], *new)
    assert by_purpose.code == by_serial.code == 0  # the folder of certificates vouches for it
    assert Certificate.parse(by_purpose.out) == Certificate.parse(by_serial.out) == certificate

    kept = cosemic("certificates", "remove", name, "signing", *new)
    assert kept.code == 2
    assert "say --yes" in kept.err
    assert cosemic("certificates", "remove", name, "signing", "--yes", *new).code == 0
    gone = cosemic("certificates", "export", name, "signing", *new)
    assert gone.code == 2
    assert "lists no certificate for signing of its own" in gone.err


def test_a_certificate_for_key_agreement_and_one_of_a_client(cosemic: Run, keys: Path, tmp_path: Path) -> None:
    csr = tmp_path / "agreement.csr"
    assert cosemic("certificates", "request", "suite1", "agreement", "--out", str(csr)).code == 0
    pem = issue(cosemic, keys, csr, "agreement")
    assert cosemic("certificates", "import", "suite1", str(pem)).code == 0
    done = cosemic("certificates", "export", "suite1", "agreement", "--title", METER)
    assert Certificate.parse(done.out) == Certificate.parse(pem.read_text())


def test_a_question_on_a_terminal(cosemic: Run, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    serial = cosemic("certificates", "list", "suite1", "--json").objects[0]["serial"]
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    done = cosemic("certificates", "remove", "suite1", "--serial", serial)
    assert (done.code, "nothing was done" in done.err) == (2, True)
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    done = cosemic("certificates", "remove", "suite1", "--serial", serial)
    assert done.code == 1
    assert "an authority that it trusts cannot be removed" in done.err
    assert len(cosemic("certificates", "list", "suite1", "--json").objects) == 2


def test_a_certificate_of_a_stranger(cosemic: Run, keys: Path, tmp_path: Path) -> None:
    stranger = DemoAuthority.make(1)
    (tmp_path / "root.pem").write_text(stranger.certificate.pem())
    done = cosemic("certificates", "import", "suite1", str(tmp_path / "root.pem"))
    assert done.code == 1
    assert "issued by an authority that the meter trusts" in done.err
    # What the meter has, but our own folder does not vouch for.
    csr = tmp_path / "a.csr"
    cosemic("certificates", "request", "suite1", "signing", "--out", str(csr))
    cosemic("certificates", "import", "suite1", str(issue(cosemic, keys, csr, "signing")))
    folder = tmp_path / "mine"
    (folder / "anchors").mkdir(parents=True)
    (folder / "anchors" / "root.pem").write_text(stranger.certificate.pem())
    done = cosemic("certificates", "export", "suite1", "signing", "--certificates", str(folder))
    assert done.code == 1
    assert "not to be trusted" in done.err


def test_the_local_certificates(cosemic: Run, keys: Path, tmp_path: Path) -> None:
    csr = tmp_path / "meter.csr"
    cosemic("certificates", "request", "suite1", "signing", "--out", str(csr))
    pem = issue(cosemic, keys, csr, "signing")
    folder = keys / "certificates"
    shutil.copy(pem, folder / "meter.pem")
    listed = cosemic("certificates", "list", "--certificates", str(folder), "--json").objects
    assert [row["trusted"] for row in listed] == ["as an anchor", "as an anchor", "by an anchor"]
    assert listed[-1]["subject"] == f"CN={METER}"
    assert "by an anchor" in cosemic("certificates", "list", "--certificates", str(folder)).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list",), "name a meter, or a folder"),
        (("export", "x"), "name the certificate by its purpose"),
        (("export", "x", "signing", "--serial", "01"), "name the certificate by its purpose"),
        (("export", "x", "--serial", "xyz"), "--serial is not hexadecimal"),
        (("export", "x", "signing", "--title", "00"), "16 hexadecimal digits"),
        (("import", "x", "/not/there.pem"), "cannot be read"),
        (("list", "--certificates", "/not/there"), "there is no folder"),
    ],
)
def test_what_makes_no_sense(cosemic: Run, arguments: tuple[str, ...], said: str) -> None:
    done = cosemic("certificates", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_suite_0_has_no_certificates(cosemic: Run, keys: Path) -> None:
    commands = (("list", "manager"), ("export", "manager", "signing"), ("request", "manager", "signing"))
    for command in commands:
        done = cosemic("certificates", *command)
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert command[0] == "request" or "security setup of version 1" in done.err
    pem = cosemic("certificates", "request", "suite1", "signing", "--json").objects[0]["pem"]
    assert pem.startswith("-----BEGIN CERTIFICATE REQUEST-----")


@pytest.mark.parametrize(
    ("der", "text"),
    [
        ("3010310E300C06035504030C054D65746572", "CN=Meter"),
        ("3010310E300C06035504030C05070A1B0001", "CN=\\x07\\n\\x1b\\x00\\x01"),
        ("30", "30"),
        ("3080", "3080"),
        ("30820FFF", "30820FFF"),
        ("30023100", ""),
        ("FFFF", "FFFF"),
    ],
)
def test_names_of_whatever_kind(der: str, text: str) -> None:
    assert _name(bytes.fromhex(der)) == text
