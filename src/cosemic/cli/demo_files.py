"""Keys of the simulated meter as files, and its clients as named meters that use them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cosemic.cli.failing import CommandError
from cosemic.meter import demo, demo_keys
from cosemic.security.certificates import Certificate
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import new_authority

_Settings: TypeAlias = dict[str, int | str]

_NOTE = "# Made by 'cosemic simulate --write-keys'. These keys are known to everybody: never use them in a real meter."
_SYMMETRIC = {"ek": 0x00, "ak": 0xD0, "kek": 0x10}
"""First octet of each key of suites 1 and 2."""


@dataclass(frozen=True, slots=True)
class DemoAuthority:
    """An authority that the simulated meter trusts, made anew each time; it issues certificates to try things with."""

    certificate: Certificate
    key: SoftwareKey

    @classmethod
    def make(cls, suite: int) -> DemoAuthority:
        """One of that suite, valid since yesterday."""
        key = SoftwareKey.generate(suite)
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        return cls(new_authority(key, f"cosemic simulate, suite {suite}", not_before=start), key)


def write_demo_keys(
    folder: Path, host: str, wrapper_port: int, hdlc_port: int, authorities: Mapping[int, DemoAuthority] | None = None
) -> None:
    """Write the files, for their owner only; CommandError when the folder cannot take them."""
    place = f"[{host}]" if ":" in host else host
    wrapper, hdlc = f"tcp://{place}:{wrapper_port}", f"hdlc://{place}:{hdlc_port}"
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings: dict[str, _Settings] = {
            "public": {"client": demo.PUBLIC_CLIENT},
            "reader": {"client": demo.READER_CLIENT, "auth": "lls", "password": demo.LLS_PASSWORD.decode()},
            "manager": {"client": demo.MANAGER_CLIENT, "auth": "gmac", **_manager_keys(folder)},
        }
        short: dict[str, _Settings] = {
            f"{name}-sn": {**chosen, "client": demo.BY_SHORT_NAMES[int(chosen["client"])], "referencing": "sn"}
            for name, chosen in settings.items()
        }
        for client, suite in demo_keys.CLIENTS.items():
            settings[f"suite{suite}"] = {"client": client, "auth": "ecdsa", "suite": suite, **_keys(folder, suite)}
        for suite, authority in (authorities or {}).items():
            setup = {"certificates": str(folder / "certificates")}
            settings[f"suite{suite}"] |= setup
            (folder / "certificates" / "anchors").mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(folder / "certificates" / "anchors" / f"suite{suite}-authority.pem", authority.certificate.pem())
            _write(folder / f"suite{suite}-authority-key.pem", authority.key.private_pem().decode())
        meters: dict[str, _Settings] = {name: {"url": wrapper, **chosen} for name, chosen in (settings | short).items()}
        meters |= {f"{name}-hdlc": {**chosen, "url": hdlc} for name, chosen in meters.items()}
        _write(folder / "meters.toml", _NOTE + "\n" + "".join(_table(name, chosen) for name, chosen in meters.items()))
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise CommandError(f"--write-keys: {folder} cannot be written ({reason}): choose another folder") from None


def _manager_keys(folder: Path) -> _Settings:
    keys = {"ek": demo.ENCRYPTION_KEY, "ak": demo.AUTHENTICATION_KEY, "kek": demo.MASTER_KEY}
    return {name: _write(folder / f"suite0-{name}.hex", octets.hex().upper() + "\n") for name, octets in keys.items()}


def _keys(folder: Path, suite: int) -> _Settings:
    made: _Settings = {
        name: _write(folder / f"suite{suite}-{name}.hex", demo_keys.symmetric_octets(suite, first).hex().upper() + "\n")
        for name, first in _SYMMETRIC.items()
    }
    for purpose in ("signing", "agreement"):
        own, peer = (SoftwareKey(suite, demo_keys.private_octets(suite, side, purpose)) for side in ("client", "meter"))
        made[f"{purpose}_key"] = _write(folder / f"suite{suite}-client-{purpose}.pem", own.private_pem().decode())
        made[f"peer_{purpose}_key"] = _write(
            folder / f"suite{suite}-meter-{purpose}-public.hex", peer.public.hex().upper() + "\n"
        )
    return made


def _write(file: Path, text: str) -> str:
    """Write it for its owner only; what a setting says to name it."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    return f"file:{file}"


def _table(name: str, settings: Mapping[str, int | str]) -> str:
    lines = [f"\n[meters.{name}]"]
    for key, value in settings.items():
        # A literal string of TOML: folders of Windows have backslashes.
        lines.append(f"{key} = {value}" if isinstance(value, int) else f"{key} = '{value}'")
    return "\n".join(lines) + "\n"
