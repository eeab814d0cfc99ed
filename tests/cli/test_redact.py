"""redact as a command: formats in and out, keys, what is told, what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from cosemic.captures import CaptureFormat, Chunk, Direction, RecordingWriter, open_capture, write_capture
from cosemic.security.cipher import CipherKey

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
EK, AK = "404142434445464748494A4B4C4D4E4F", "606162636465666768696A6B6C6D6E6F"
TITLE = b"KFM\x01\x02\x03\x04\x05"
SERIAL = b"KFM12345678"
PUSH = (
    bytes.fromhex("0F00000001000102020209060000600100FF090B") + SERIAL + bytes.fromhex("020209060100010800FF0600003039")
)


def sealed() -> bytes:
    cipher = CipherKey(bytes.fromhex(EK), bytes.fromhex(AK), "test")
    content = cipher.seal(0x30, TITLE, 7, PUSH, cipher.associated(0x30))
    return b"\xdb\x08" + TITLE + bytes((len(content),)) + content


def wrapper(apdu: bytes) -> bytes:
    return b"\0\1\0\1\0\x66" + len(apdu).to_bytes(2, "big") + apdu


def chunks(apdu: bytes = PUSH) -> list[Chunk]:
    return [Chunk(AT, "tcp://203.0.113.77:50000", Direction.RECEIVED, wrapper(apdu), local="198.51.100.5:4059")]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "meter.rec"
    with RecordingWriter(path) as writer:
        writer.write(AT, "tcp://203.0.113.77:50000", "<", wrapper(sealed()))
    return path


def test_a_recording_stays_one_and_says_what_opens_it(cosemic, recording) -> None:
    done = cosemic("redact", str(recording), "--ek", EK, "--ak", AK)
    assert done.code == 0
    assert done.out.startswith("# cosemic recording 1\n# redacted by")
    assert "203.0.113.77" not in done.out + done.err
    assert TITLE.hex().upper() not in done.out
    assert EK not in done.out + done.err
    keys = re.search(r"throw-away keys, made for this file: --ek ([0-9A-F]{32}) --ak ([0-9A-F]{32})", done.out)
    assert keys is not None
    assert keys[0] in done.err
    assert "1 ciphered APDUs were opened" in done.err
    result = recording.with_name("result.rec")
    result.write_text(done.out)
    shown = cosemic("explain", str(result), "--ek", keys[1], "--ak", keys[2])
    assert shown.code == 0
    assert "tag ok" in shown.out
    assert "12345" in shown.out
    assert SERIAL.decode() not in shown.out
    assert re.search(r'text "KFM[0-9]{8}"', shown.out)


def test_without_the_key_it_says_what_that_means(cosemic, recording) -> None:
    done = cosemic("redact", str(recording))
    assert done.code == 0
    assert "no key was given" in done.err
    assert "nobody can open them any more" in done.err
    kept = cosemic("redact", str(recording), "--keep", "titles")
    assert TITLE.hex().upper() in kept.out
    assert "nobody can open" not in kept.err
    other = cosemic("redact", str(recording), "--ek", AK, "--ak", EK)
    assert "none of the keys opens them" in other.err


@pytest.mark.parametrize(
    "kind, name",
    [
        (CaptureFormat.PCAP, "pcap"),
        (CaptureFormat.PCAPNG, "pcapng"),
        (CaptureFormat.RECORDING, "recording"),
        (CaptureFormat.TEXT, "hex"),
        (CaptureFormat.OCTETS, "octets"),
    ],
)
def test_the_format_stays_or_is_chosen(cosemic, tmp_path, kind, name: str) -> None:
    source, result, chosen = tmp_path / "source", tmp_path / "result", tmp_path / "chosen"
    with source.open("wb") as file:
        write_capture(file, kind, chunks())
    assert cosemic("redact", str(source), "-o", str(result)).code == 0
    with open_capture(result) as capture:
        assert capture.format is kind
        found = list(capture)
    assert [len(chunk.octets) for chunk in found] == [len(wrapper(PUSH))]
    assert SERIAL not in found[0].octets
    assert b"\x06\x00\x00\x30\x39" in found[0].octets
    assert "203.0.113.77" not in found[0].source
    assert cosemic("redact", str(source), "--output", str(chosen), "--format", name).code == 0
    assert open_capture(chosen).format is kind


def test_hex_of_a_log_becomes_lines_that_explain_reads(cosemic, tmp_path) -> None:
    log = tmp_path / "esphome.log"
    log.write_text(f"[12:00:00][D][dlms:100]: Frame: {wrapper(PUSH).hex('.').upper()} (66)\n")
    done = cosemic("redact", str(log))
    assert done.code == 0
    assert "dlms:100" not in done.out
    (tmp_path / "shown.txt").write_text(done.out)
    assert "12345" in cosemic("explain", str(tmp_path / "shown.txt")).out


def test_noise_becomes_zeros_unless_asked_for(cosemic, tmp_path) -> None:
    file = tmp_path / "noise.txt"
    file.write_text(f"AABBCCDDEE{wrapper(PUSH).hex()}\n")
    done = cosemic("redact", str(file))
    assert "AABBCC" not in done.out
    assert "5 octets were not understood" in done.err
    assert "AABBCCDDEE" in cosemic("redact", str(file), "--keep-unknown").out


def test_the_capture_itself_is_never_replaced(cosemic, recording) -> None:
    before = recording.read_bytes()
    done = cosemic("redact", str(recording), "-o", str(recording))
    assert done.code == 2
    assert "would replace" in done.err
    assert recording.read_bytes() == before


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "no octets"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"\xd4\xc3\xb2\xa1", "cut short"),
    ],
)
def test_what_cannot_be_redacted(cosemic, tmp_path, content: bytes, words: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    done = cosemic("redact", str(file))
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_mistakes_with_keys_and_names(cosemic, recording, tmp_path) -> None:
    assert "No such file" in cosemic("redact", str(tmp_path / "nothing")).err
    wrong = cosemic("redact", str(recording), "--ek", "40414243")
    assert wrong.code == 2
    assert "4 octets" in wrong.err
    alone = cosemic("redact", str(recording), "--ak", AK)
    assert alone.code == 2
    assert "--ek too" in alone.err
    uneven = cosemic("redact", str(recording), "--ek", EK, "--ak", AK, "--ak", EK)
    assert uneven.code == 2
    assert "one for each --ek" in uneven.err


def test_explain_of_a_pcap_names_the_flow_and_hides_it_on_request(cosemic, tmp_path) -> None:
    file = tmp_path / "push.pcap"
    with file.open("wb") as opened:
        write_capture(opened, CaptureFormat.PCAP, chunks())
    shown = cosemic("explain", str(file))
    assert shown.code == 0
    assert "tcp://203.0.113.77:50000" in shown.out
    assert "2026-11-25 08:00:00.000+00:00" in shown.out
    hidden = cosemic("explain", str(file), "--redact")
    assert "203.0.113.77" not in hidden.out
    assert "KFM12345678" not in hidden.out


def test_a_key_in_a_variable_may_have_blanks_and_so_may_the_path_of_its_file(
    cosemic, recording, tmp_path, monkeypatch
) -> None:
    file = tmp_path / "my keys"
    file.write_text(AK)
    monkeypatch.setenv("COSEMIC_EK", bytes.fromhex(EK).hex(" "))
    monkeypatch.setenv("COSEMIC_AK", f"file:{file}")
    done = cosemic("redact", str(recording))
    assert done.code == 0
    assert "1 ciphered APDUs were opened" in done.err
