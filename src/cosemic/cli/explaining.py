"""explain: octets from the command line, a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cosemic.captures import CaptureFormat, open_capture
from cosemic.captures.hextext import TextStyle, is_plain_text, is_telegram, read_hex_text, style_of
from cosemic.cli.failing import CommandError
from cosemic.cli.options import OutputOptions, warn
from cosemic.cli.output import say
from cosemic.cli.parsing import key_octets, read_secret
from cosemic.explain import Explanation, Keys, Sensitivity, explain, explain_chunks, explain_text


def explain_input(
    inputs: Sequence[str], *, ek: str | None, ak: str | None, system_titles: Sequence[str], dedicated_key: str | None,
    broadcast_key: str | None, kek: str | None, private_keys: Sequence[str], public_keys: Sequence[str], redact: bool,
    output: OutputOptions,
) -> int:  # fmt: skip
    """Print the explanation; 1 when the octets are faulty."""
    try:
        keys = Keys(
            _key(ek, "--ek"),
            _key(ak, "--ak"),
            tuple(key_octets(title, "--system-title") for title in system_titles),
            _key(dedicated_key, "--dedicated-key"),
            _key(broadcast_key, "--broadcast-key"),
            _key(kek, "--kek"),
            tuple(read_secret(key, "--private-key") for key in private_keys),
            tuple(read_secret(key, "--public-key") for key in public_keys),
        )
    except ValueError as error:
        text = str(error)
        option = next((f"--{kind}-key: " for kind in ("private", "public") if f"{kind} key" in text), "")
        raise CommandError(option + text) from None
    explanation = _explain(inputs, keys)
    if redact:
        explanation = explanation.redacted(Sensitivity.IDENTITY)
    say(explanation.to_json() if output.json else explanation.to_text())
    if explanation.fault is not None:
        warn(f"something is wrong at {explanation.fault}")
        return 1
    return 0


def _explain(inputs: Sequence[str], keys: Keys) -> Explanation:
    first = inputs[0]
    if first == "-":
        return _explain_file(BytesIO(sys.stdin.buffer.read()), keys)
    if len(inputs) == 1 and _is_file(first):
        with Path(first).open("rb") as file:
            return _explain_file(file, keys)
    try:
        return explain_text(" ".join(inputs), keys=keys)
    except ValueError as error:
        kind = "hexadecimal" if "odd number" not in str(error) else "whole octets"
        shown = first if len(first) <= 40 else first[:37] + "..."
        raise CommandError(f"{shown!r} is no file and not {kind}: {error}; give hex, a file, or - for stdin") from None


def _explain_file(file: BinaryIO, keys: Keys) -> Explanation:
    """A capture, hex text, or the octets themselves; octets of frames are never all printable."""
    with open_capture(file) as capture:
        if capture.format in (CaptureFormat.PCAP, CaptureFormat.PCAPNG, CaptureFormat.RECORDING):
            return explain_chunks(capture, keys=keys)
    file.seek(0)
    octets = file.read()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return explain(octets, keys=keys)
    style = style_of(text)
    if style not in (TextStyle.LINES, TextStyle.NONE):
        return explain_chunks(read_hex_text(text, style), keys=keys)
    try:
        return explain_text(text, keys=keys)
    except ValueError as error:
        if is_plain_text(octets) and not is_telegram(octets):
            raise CommandError(f"{error}; the input must be hexadecimal text or plain octets") from None
    return explain(octets, keys=keys)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _key(text: str | None, option: str) -> bytes | None:
    return None if text is None else key_octets(text, option)
