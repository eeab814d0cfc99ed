"""The system title that a user has when none is given: made once, kept beside the invocation counters."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.security.counters import state_folder

_MANUFACTURER = b"COS"
_LENGTH = 8


def own_title() -> bytes:
    """This user's system title.

    It must differ between users of one key: AES-GCM starts from title and counter, and each user keeps counters of his
    own. Five random octets and a file that is written once see to it.
    """
    file = state_folder() / "system-title"
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(file, error) from None
    draft = file.with_name(f"system-title.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write((_MANUFACTURER + secrets.token_bytes(_LENGTH - len(_MANUFACTURER))).hex().upper() + "\n")
        try:
            # Unlike a rename, a link fails when another command was faster; then its title holds.
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
        return _read(file)
    except OSError as error:
        raise _unusable(file, error) from None


def _read(file: Path) -> bytes:
    try:
        title = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except ValueError:
        title = b""
    if len(title) != _LENGTH:
        raise CommandError(f"{file} holds no system title: delete it, or give --system-title")
    return title


def _unusable(file: Path, error: OSError) -> CommandError:
    reason = (error.strerror or str(error)).lower()
    return CommandError(f"no system title can be kept in {file} ({reason}): give --system-title")
