"""keys: new keys for a meter, written down before it is told of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cosemic.cli.certificates import setup_of
from cosemic.cli.critical import confirm
from cosemic.cli.failing import CommandError, ConnectionTrouble, one_line
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, make_security, resolve, warn
from cosemic.cli.output import dumps, say
from cosemic.enums import InterfaceClass
from cosemic.errors import (
    AssociationRefused,
    DataAccessError,
    DlmsError,
    ExceptionResponseError,
    LinkError,
    LocalProtocolError,
    SecurityError,
    ServiceError,
)
from cosemic.security.suites import KEY_LENGTH, KeyId

if TYPE_CHECKING:
    from cosemic.cosem.access import Obis
    from cosemic.security.context import SecurityContext

KEY_IDS = {
    "global-unicast": KeyId.GLOBAL_UNICAST_ENCRYPTION,
    "global-broadcast": KeyId.GLOBAL_BROADCAST_ENCRYPTION,
    "authentication": KeyId.AUTHENTICATION,
    "master": KeyId.MASTER,
}
_OPTIONS = {"global-unicast": "ek", "authentication": "ak", "master": "kek"}
_RETRY = "'cosemic keys settle' with the same options finds out which it uses"


class KeyFolder:
    """The keys of one meter in a folder, as ``FileKeyStore`` has them, with those that are to come and those before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, save: Path | None, settings: ConnectionOptions) -> KeyFolder:
        """The folder that the user names, made where it is not there; CommandError without one that is private."""
        kind, _, rest = (settings.key_store or "").partition(":")
        if save is None and (kind != "file" or not rest):
            raise CommandError("say where new keys are kept: --save FOLDER, or --key-store file:FOLDER")
        folder = (Path(rest) if save is None else save).expanduser()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name == "posix" and folder.stat().st_mode & 0o022:
                raise CommandError(f"others can write to {folder}: chmod 700 {folder}")
        except OSError as error:
            raise CommandError(f"the folder {folder} cannot be used: {error.strerror or error}") from None
        return cls(folder)

    def pending(self) -> dict[str, Path]:
        """The keys that were written down and not taken into use."""
        return {name: file for name in KEY_IDS if (file := self._file(name, ".new")).exists()}

    def put(self, keys: Mapping[str, bytes]) -> None:
        """Write keys down as new ones, for their owner only and on the disk before this returns."""
        try:
            for name, key in keys.items():
                file = self._file(name, ".new")
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with os.fdopen(os.open(file, flags, 0o600), "w", encoding="ascii") as opened:
                    opened.write(key.hex().upper() + "\n")
                    opened.flush()
                    os.fsync(opened.fileno())
            self._sync()
        except OSError as error:
            raise CommandError(
                f"the new keys cannot be written to {self.folder} ({error.strerror or error}); the meter was not told"
            ) from None

    def take_up(self, names: Iterable[str]) -> None:
        """The new keys are in use: the ones before are kept as old ones."""
        for name in names:
            file = self._file(name)
            if file.exists():
                # Linked first, so that at no instant there is no key under the name that is read.
                old = self._file(name, ".old")
                old.unlink(missing_ok=True)
                try:
                    os.link(file, old)
                except OSError:
                    file.replace(old)
            self._file(name, ".new").replace(file)
        self._sync()

    def drop(self, names: Iterable[str]) -> None:
        """The meter does not have the new keys."""
        for name in names:
            self._file(name, ".new").unlink(missing_ok=True)
        self._sync()

    def read(self, name: str) -> bytes:
        """A key that was written down as a new one."""
        try:
            return bytes.fromhex(self._file(name, ".new").read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            raise CommandError(f"{self._file(name, '.new')} holds no key: remove it") from None

    def _file(self, name: str, suffix: str = "") -> Path:
        return self.folder / f"{name}.key{suffix}"

    def _sync(self) -> None:
        if os.name != "posix":
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def transfer_keys(
    url: str, names: Iterable[str], *, save: Path | None, setup: str | None, yes: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Write new keys down, give them to the meter, take them into use."""
    names = _named(names)
    url, settings = resolve(url, connection)
    folder = KeyFolder.open(save, settings)
    security = _security(settings)
    if security.kek is None:
        raise CommandError("a transfer needs the master key: --kek, or master.key in the key store")
    size = KEY_LENGTH[security.suite]
    there = folder.pending()
    if there.keys() - set(names):
        raise CommandError(_left_over(there.keys() - set(names), folder))
    confirm(f"give the meter new keys ({', '.join(names)})", yes=yes)
    import secrets

    keys = {name: folder.read(name) if name in there else secrets.token_bytes(size) for name in names}
    told = False
    try:
        with connected(url, settings, output, security=security) as client:
            at = setup_of(client, setup)
            folder.put({name: key for name, key in keys.items() if name not in there})
            told = True
            client.transfer_keys({KEY_IDS[name]: key for name, key in keys.items()}, setup=at)
    except ServiceError as error:
        if not told:
            raise
        folder.drop(name for name in names if name not in there)
        warn(f"the meter refuses the keys, the old ones stay: {one_line(error)}")
        return 1
    except (DlmsError, ConnectionTrouble, OSError, KeyboardInterrupt) as error:
        if not told:
            raise
        return _unclear(error, folder)
    folder.take_up(names)
    return _changed(names, folder, settings, output)


def agree_keys(
    url: str, names: Iterable[str], *, save: Path | None, setup: str | None, yes: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Agree on keys, write them down, take them into use with the first message under them."""
    names = _named(names)
    url, settings = resolve(url, connection)
    folder = KeyFolder.open(save, settings)
    security = _security(settings)
    if not security.suite:
        raise CommandError("key agreement is there in suites 1 and 2; in suite 0 it is 'cosemic keys transfer'")
    there = folder.pending()
    if there:
        raise CommandError(_left_over(there.keys(), folder))
    confirm(f"agree on new keys with the meter ({', '.join(names)})", yes=yes)
    agreed = False
    try:
        with connected(url, settings, output, security=security) as client:
            at = setup_of(client, setup)
            keys = client.agree_keys([KEY_IDS[name] for name in names], setup=at, confirm=False)
            folder.put({name: keys[KEY_IDS[name]] for name in names})
            agreed = True
            _prove(client.get, at)
    except ServiceError as error:
        warn(f"the meter refuses, the old keys stay: {one_line(error)}")
        return 1
    except (DlmsError, ConnectionTrouble, OSError, KeyboardInterrupt) as error:
        if not agreed:
            # Without its answer nobody has the new keys; the meter keeps the old ones until a message under the new.
            raise
        return _unclear(error, folder)
    folder.take_up(names)
    return _changed(names, folder, settings, output)


def settle_keys(url: str, *, save: Path | None, connection: ConnectionOptions | None, output: OutputOptions) -> int:
    """Log in with the new keys, then with the old ones, and keep what the meter takes."""
    url, settings = resolve(url, connection)
    folder = KeyFolder.open(save, settings)
    pending = folder.pending()
    if not pending:
        say(f"nothing to settle: there are no new keys in {folder.folder}")
        return 0
    usable = {_OPTIONS[name]: f"file:{file}" for name, file in pending.items() if name in _OPTIONS}
    proving = [option for option in ("ek", "ak") if option in usable]
    if not proving:
        raise CommandError(
            f"a login does not show which {' and '.join(pending)} key the meter has: repeat 'cosemic keys transfer', "
            "which uses the keys that are there"
        )
    new = replace(settings)
    for option, text in usable.items():
        setattr(new, option, text)
    if _lets_in(url, new, output):
        folder.take_up(pending)
        return _changed(list(pending), folder, settings, output)
    if _lets_in(url, settings, output):
        folder.drop(pending)
        _tell(output, "old", list(pending), "the meter uses the old keys; the new ones are forgotten")
        return 0
    warn(
        f"the meter takes neither the new keys nor the old ones; nothing in {folder.folder} was changed. "
        "'cosemic doctor' says more"
    )
    return 1


def _lets_in(url: str, settings: ConnectionOptions, output: OutputOptions) -> bool:
    """Whether the meter takes a login and a message under these keys; errors of the way are raised."""
    try:
        with connected(url, settings, output) as client:
            _prove(client.get, setup_of(client, None))
    except (AssociationRefused, SecurityError, ExceptionResponseError):
        return False
    return True


def _prove(get: object, setup: Obis) -> None:
    """A message under the keys in use; that the meter refuses it proves them as well."""
    assert callable(get)
    try:
        get(InterfaceClass.SECURITY_SETUP, setup, 1)
    except DataAccessError:
        return


def _named(names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    if not found:
        raise CommandError(f"name the keys: {', '.join(KEY_IDS)}")
    return found


def _security(settings: ConnectionOptions) -> SecurityContext:
    security = make_security(settings)
    if security is None or not security.has_keys:
        raise CommandError("new keys are given in a ciphered association: --ek and --ak, or --key-store")
    return security


def _left_over(names: Iterable[str], folder: KeyFolder) -> str:
    files = ", ".join(f"{name}.key.new" for name in sorted(names))
    return f"{files} in {folder.folder} is left from a change that was cut short: run 'cosemic keys settle' first"


def _unclear(error: BaseException, folder: KeyFolder) -> int:
    reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error).rstrip(".")
    if isinstance(error, LocalProtocolError):
        raise error
    if isinstance(error, SecurityError) and not isinstance(error, LinkError):
        reason = " ".join(reason.split())
    warn(
        f"{reason}. Whether the meter uses the new keys is not known: both are kept, the new ones as *.key.new in "
        f"{folder.folder}. {_RETRY}"
    )
    return 1


def _changed(names: list[str], folder: KeyFolder, settings: ConnectionOptions, output: OutputOptions) -> int:
    _tell(output, "new", names, f"the meter uses the new keys ({', '.join(names)}), kept in {folder.folder}")
    stale = [f"--{option}" for name, option in _OPTIONS.items() if name in names and getattr(settings, option)]
    if stale:
        warn(f"what {' and '.join(stale)} named is the old key: use --key-store file:{folder.folder} from now on")
    return 0


def _tell(output: OutputOptions, in_use: str, names: list[str], text: str) -> None:
    say(dumps({"result": "success", "in_use": in_use, "keys": names}) if output.json else text)
