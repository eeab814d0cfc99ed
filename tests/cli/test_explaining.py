"""explain as a command: inputs, keys, exit codes, JSON."""

from __future__ import annotations

import json

FRAME = "7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E"
EK, AK, TITLE = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "4D4D4D0000BC614E"
GLO_GET = "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"
"""The example of the Green Book that every implementation quotes."""


def test_explains_and_ends_with_0(cosemic) -> None:
    done = cosemic("explain", FRAME)
    assert done.code == 0
    assert "get-request normal, Clock" in done.out
    assert done.err == ""


def test_blanks_between_octets(cosemic) -> None:
    assert cosemic("explain", *bytes.fromhex(FRAME).hex(" ").split()).out == cosemic("explain", FRAME).out


def test_faulty_octets_end_with_1_and_the_place(cosemic) -> None:
    done = cosemic("explain", FRAME.replace("7FDA", "7EDA"))
    assert done.code == 1
    assert "get-request normal, Clock" in done.out
    assert len(done.err.splitlines()) == 1
    assert "octet 6 (0x6): HCS" in done.err


def test_keys_open_ciphered_apdus(cosemic) -> None:
    done = cosemic("explain", GLO_GET, "--ek", EK, "--ak", AK, "--system-title", TITLE)
    assert done.code == 0
    assert "tag ok" in done.out
    assert "get-request normal, Clock" in done.out
    wrong = cosemic("explain", GLO_GET, "--ek", AK, "--ak", AK, "--system-title", TITLE)
    assert wrong.code == 1
    assert "system title is wrong" in wrong.err
    assert AK not in wrong.out + wrong.err


def test_keys_from_the_environment(cosemic, monkeypatch) -> None:
    for name, value in (("EK", EK), ("AK", AK), ("SYSTEM_TITLE", TITLE)):
        monkeypatch.setenv(f"COSEMIC_{name}", value)
    assert "tag ok" in cosemic("explain", GLO_GET).out


def test_a_text_file_of_both_directions(cosemic, tmp_path) -> None:
    file = tmp_path / "capture.txt"
    file.write_text(f"# Zähler im Keller\n> {FRAME}\n< C401C100060000303 9\n", encoding="utf-8")
    done = cosemic("explain", str(file))
    assert done.code == 0
    assert "double-long-unsigned: 12345" in done.out


def test_json_lines(cosemic) -> None:
    lines = [json.loads(line) for line in cosemic("explain", FRAME, "--json").out.splitlines()]
    assert bytes.fromhex("".join(line["octets"] for line in lines)) == bytes.fromhex(FRAME)


def test_redact(cosemic) -> None:
    done = cosemic("explain", f"DB08{TITLE}05300000000100", "--redact")
    assert TITLE not in done.out.replace(" ", "")
