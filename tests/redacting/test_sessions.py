"""Recorded sessions redacted: logins, keys, ciphering, blocks, short names, ACCESS."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from cosemic.captures import open_capture
from cosemic.explain import Explanation, Keys, explain_chunks
from cosemic.redacting import Redacted, redact
from tests.interop.peers import DRIVERS, python_of
from tests.redacting.support import RECORDED, SALT, joined, left
from tests.vectors.collection import REASON, load

EK, AK = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"
LOOPBACK = (0x0100007F, 0x7F000001)
"""127.0.0.1, as pushes of Gurux have it: an address is masked."""
FILES = sorted(RECORDED.glob("*.hex")) if RECORDED.is_dir() else []
pytestmark = pytest.mark.skipif(not FILES, reason=REASON)


def redacted(file: Path) -> tuple[Explanation, Explanation, Redacted]:
    """The explanation before and after, each with its keys."""
    chunks = list(open_capture(file))
    result = redact(chunks, keys=Keys(EK, AK), salt=SALT)
    keys = result.keys[0] if result.keys else None
    after = Keys(keys.encryption_key, keys.authentication_key) if keys is not None else None
    return explain_chunks(chunks, keys=Keys(EK, AK)), explain_chunks(result.chunks, keys=after), result


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_session_stays_one(file: Path) -> None:
    was, now, result = redacted(file)
    assert result.left_closed == 0
    if was.ok:
        assert now.ok, now.fault
        assert [(line.buffer, line.offset, line.length, line.field) for line in now.lines] == [
            (line.buffer, line.offset, line.length, line.field) for line in was.lines
        ]
        fields = re.compile("double-long|long-unsigned|enum|integer|block number|conformance|result")
        numbers = [
            (old.value, new.value)
            for old, new in zip(was.lines, now.lines, strict=True)
            if fields.search(old.field) and old.value not in LOOPBACK
        ]
        assert all(old == new for old, new in numbers)
    assert "tag ok" in now.to_text() or not result.opened
    checks = [line for line in now.lines if line.field in ("FCS", "HCS")]
    assert all(line.value == "ok" for line in checks)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_titles_passwords_and_challenges_are_gone(file: Path) -> None:
    was, now, result = redacted(file)
    secrets: set[bytes] = set()
    for line in was.lines:
        if not isinstance(line.value, str):
            continue
        if line.field.endswith(("title", "authentication value", "dedicated key")):
            value = bytes.fromhex(line.value)
            secrets.add(value)
        elif line.field.endswith("octet-string") and "text" in line.meaning:
            secrets.add(bytes.fromhex(line.value))
    secrets = {value for value in secrets if len(set(value)) > 1 and len(value) >= 5}
    plain = b"".join(line.octets for line in now.lines)
    assert not left(secrets, joined(result.chunks))
    assert not left(secrets, plain)


def test_a_session_without_its_key_is_left_closed_under_another_title() -> None:
    file = RECORDED / "wrapper-gmac-generalglo_pydlms_gurux-java.hex"
    chunks = list(open_capture(file))
    result = redact(chunks, salt=SALT)
    assert result.left_closed > 0
    assert result.keys == []
    explanation = explain_chunks(result.chunks, keys=Keys(EK, AK))
    assert "tag ok" not in explanation.to_text()
    was = [line.octets for line in explain_chunks(chunks).lines if line.field == "ciphertext"]
    assert [line.octets for line in explanation.lines if line.field == "ciphertext"] == was


def test_the_real_key_opens_nothing_of_the_result() -> None:
    for file in FILES:
        _, _, result = redacted(file)
        if result.opened:
            assert "tag ok" not in explain_chunks(result.chunks, keys=Keys(EK, AK)).to_text()


SESSIONS = [case for case in load("sessions") if isinstance(case["bytes"], list)]


@pytest.mark.parametrize("case", SESSIONS, ids=lambda case: str(case["name"]))
def test_real_sessions_of_the_collection(case: dict) -> None:
    text = "\n".join(case["bytes"]).encode()
    chunks = list(open_capture(text))
    result = redact(chunks, keys=Keys(EK, AK), salt=SALT)
    keys = result.keys[0] if result.keys else None
    was = explain_chunks(chunks, keys=Keys(EK, AK))
    now = explain_chunks(result.chunks, keys=Keys(keys.encryption_key, keys.authentication_key) if keys else None)
    if was.ok:
        assert now.ok, now.fault
    assert [line.value for line in now.lines if line.field in ("FCS", "HCS")] == [
        line.value for line in was.lines if line.field in ("FCS", "HCS")
    ]
    titles = {
        bytes.fromhex(str(line.value)) for line in was.lines if line.field.endswith("title") and line.value is not None
    }
    assert not left(titles, joined(result.chunks))


@pytest.mark.interop
def test_pydlms_client_opens_what_was_sealed_again() -> None:
    """Another implementation checks the tags: with the throw-away keys, under the masked titles."""
    python = python_of("pydlms")
    file = RECORDED / "wrapper-gmac-generalglo_pydlms_gurux-java.hex"
    _, _, result = redacted(file)
    by_title: dict[str, list[str]] = {}
    for chunk in result.chunks:
        apdu = chunk.octets[8:]
        if apdu[:2] == b"\xdb\x08":
            by_title.setdefault(apdu[2:10].hex(), []).append(apdu.hex())
    assert len(by_title) == 2
    keys = result.keys[0]
    assert keys.encryption_key is not None
    assert keys.authentication_key is not None
    for title, apdus in by_title.items():
        config = {
            "sender": title, "apdus": apdus, "ek": keys.encryption_key.hex(), "ak": keys.authentication_key.hex(),
            "bk": bytes(16).hex(),
        }  # fmt: skip
        done = subprocess.run(
            [python, DRIVERS / "pydlms_open_driver.py"],
            input=json.dumps(config), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(apdus), done.stderr[-1000:]
        assert all("plain" in answer for answer in answers), answers
