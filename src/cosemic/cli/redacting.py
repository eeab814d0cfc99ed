"""redact: a capture that may be shown, written in the format it came in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cosemic.captures import CaptureFormat, Chunk, open_capture, write_capture
from cosemic.cli.failing import CommandError
from cosemic.cli.parsing import key_octets
from cosemic.errors import DecodeError
from cosemic.explain import Keys
from cosemic.redacting import Keep, Redacted, redact

_FORMATS = {
    "pcap": CaptureFormat.PCAP,
    "pcapng": CaptureFormat.PCAPNG,
    "recording": CaptureFormat.RECORDING,
    "hex": CaptureFormat.TEXT,
    "octets": CaptureFormat.OCTETS,
}
_FOR_PEOPLE = (CaptureFormat.RECORDING, CaptureFormat.TEXT)
_MOST_OCTETS = 64 << 20
"""A capture is held in memory as a whole, several times over."""


def redact_file(
    input: str, output: str | None, *, format: str | None, eks: Sequence[str], aks: Sequence[str],  # noqa: A002
    broadcast_key: str | None, dedicated_key: str | None, system_titles: Sequence[str], keep: Sequence[str],
) -> int:  # fmt: skip
    """Redact a file and say on stderr what was done; 0."""
    keys = _keys(eks, aks, broadcast_key, dedicated_key, system_titles)
    found, chunks = _read(input)
    wanted = _FORMATS[format] if format is not None else found
    if output is None and wanted not in _FOR_PEOPLE and sys.stdout.isatty():
        raise CommandError(f"a {wanted.value} file is nothing for a terminal: give it a name with -o")
    if output is not None and output != "-" and input != "-" and _is_same(input, output):
        raise CommandError(f"{output} would replace the capture itself: give the result another name")
    redacted = redact(chunks, keys=keys, keep=[Keep(name) for name in keep])
    result = BytesIO()
    try:
        write_capture(result, wanted, redacted.chunks, comments=_comments(redacted))
    except ValueError as error:
        raise CommandError(f"{error}: --format pcapng") from None
    if output is None or output == "-":
        sys.stdout.buffer.write(result.getvalue())
        sys.stdout.buffer.flush()
    else:
        Path(output).write_bytes(result.getvalue())
    for line in _report(redacted, keys, keep):
        print(f"cosemic: {line}", file=sys.stderr)
    return 0


def _keys(
    eks: Sequence[str], aks: Sequence[str], broadcast_key: str | None, dedicated_key: str | None, titles: Sequence[str]
) -> list[Keys]:
    """One set for each --ek; a single --ak goes with all of them."""
    if len(aks) > 1 and len(aks) != len(eks):
        raise CommandError(f"{len(eks)} --ek and {len(aks)} --ak: give one --ak for all, or one for each --ek")
    if aks and not eks and broadcast_key is None and dedicated_key is None:
        raise CommandError("--ak alone opens nothing: give the --ek too")
    authentication = [key_octets(key, "--ak") for key in aks]
    given = tuple(key_octets(title, "--system-title") for title in titles)
    broadcast = None if broadcast_key is None else key_octets(broadcast_key, "--broadcast-key")
    dedicated = None if dedicated_key is None else key_octets(dedicated_key, "--dedicated-key")
    found: list[Keys] = []
    for number, text in enumerate(eks or ([""] if broadcast or dedicated else [])):
        key = key_octets(text, "--ek") if text else None
        own = authentication[number if len(authentication) > 1 else 0] if authentication else None
        try:
            found.append(Keys(key, own, given, dedicated, broadcast))
        except ValueError as error:
            raise CommandError(str(error)) from None
    return found


def _read(name: str) -> tuple[CaptureFormat, list[Chunk]]:
    if name == "-":
        return _chunks(BytesIO(sys.stdin.buffer.read(_MOST_OCTETS + 1)), "the standard input")
    with Path(name).open("rb") as file:
        return _chunks(file, name)


def _chunks(file: BinaryIO, name: str) -> tuple[CaptureFormat, list[Chunk]]:
    chunks: list[Chunk] = []
    size = 0
    try:
        with open_capture(file) as capture:
            for chunk in capture:
                chunks.append(chunk)
                size += len(chunk.octets)
                if size > _MOST_OCTETS:
                    raise CommandError(
                        f"{name} holds more than {_MOST_OCTETS >> 20} MiB of octets: cut it first, "
                        "for instance with 'editcap -c 10000'"
                    )
            found = capture.format
    except DecodeError as error:
        raise CommandError(f"{name}: {error}") from None
    if not size:
        raise CommandError(f"{name} holds no octets that could be redacted")
    return found, chunks


def _comments(redacted: Redacted) -> list[str]:
    """What goes into the result itself."""
    lines = ["redacted by 'cosemic redact': identifiers and secrets are masked, check sums and tags are made anew"]
    for keys in redacted.keys:
        parts = [
            f"{name} {key.hex().upper()}"
            for name, key in (
                ("--ek", keys.encryption_key),
                ("--ak", keys.authentication_key),
                ("--broadcast-key", keys.broadcast_key),
                ("--dedicated-key", keys.dedicated_key),
            )
            if key is not None
        ]
        parts += [f"--system-title {title.hex().upper()}" for title in redacted.titles]
        lines.append(f"throw-away keys, made for this file: {' '.join(parts)}")
    if redacted.left_closed:
        lines.append(f"{redacted.left_closed} ciphered APDUs were left as they are, and cannot be opened by anybody")
    return lines


def _report(redacted: Redacted, keys: Sequence[Keys], keep: Sequence[str]) -> list[str]:
    lines = [f"masked {redacted.different} different things in {redacted.masked} places"]
    if redacted.opened:
        lines.append(f"{redacted.opened} ciphered APDUs were opened, masked, and sealed under throw-away keys:")
        lines += _comments(redacted)[1 : 1 + len(redacted.keys)]
    if redacted.left_closed:
        why = "none of the keys opens them" if keys else "no key was given (--ek, --ak)"
        fate = "" if Keep.TITLES.value in keep else "; their system title is masked, so nobody can open them any more"
        lines.append(f"{redacted.left_closed} ciphered APDUs stay as they are: {why}{fate}")
    if redacted.unknown_octets:
        lines.append(f"{redacted.unknown_octets} octets were not understood, and are zeros now (--keep unknown)")
    lines.append("times and readings stay: look at the result before you post it")
    return lines


def _is_same(first: str, second: str) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
