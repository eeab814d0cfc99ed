"""image: what images a meter holds; sending, verifying and activating one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cosemic.cli.failing import CommandError, ConnectionTrouble
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, warn
from cosemic.cli.output import dumps, say, table
from cosemic.cli.parsing import parse_obis
from cosemic.cli.progress import Watch

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient
    from cosemic.cosem.image_transfer import ImageInfo, ImageState, ImageTransfer

NOT_DONE = 1


def handle_image(
    url: str, file: Path | None, *, identification: str | None, obis: str, resume: bool, replace: bool, verify: bool,
    activate: bool, yes: bool, retries: int, reconnects: int, interval: float,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Show the state of the object, or send an image and go as far as asked."""
    code = parse_obis(obis)
    if file is None:
        if identification is not None or resume or replace or verify or activate:
            raise CommandError("name the FILE of the image after the URL; without one the meter's state is shown")
        return _show_state(url, str(code), connection, output)
    if identification is None:
        raise CommandError("--identification is missing: the name that the maker gave this image")
    if retries < 0 or reconnects < 0 or not 0 < interval < 1e6:
        raise CommandError("--retries and --reconnects count from 0, --interval is a number of seconds above 0")
    transfer = _plan(
        file,
        identification,
        obis=str(code),
        resume=resume,
        replace=replace,
        retries=retries,
        interval=interval,
    )
    if (activate or replace) and not yes:
        return _only_say(transfer, file, verify=verify, activate=activate, output=output)
    _carry_out(url, transfer, verify or activate, activate, reconnects, connection, output)
    if output.json:
        say(dumps(_result(transfer)))
    else:
        say(f"{_name(transfer)}: {_reached(transfer)}")
    return 0


def _plan(file: Path, identification: str, **options: object) -> ImageTransfer:
    from cosemic.cosem.image_transfer import ImageTransfer
    from cosemic.cosem.octet_names import octets_of

    image = file.read_bytes()
    try:
        return ImageTransfer(image, octets_of(identification), **options)  # type: ignore[arg-type]
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from None


def _only_say(transfer: ImageTransfer, file: Path, *, verify: bool, activate: bool, output: OutputOptions) -> int:
    steps = [f"{'replace the image that is there and ' if transfer.replace else ''}send {file} as {_name(transfer)}"]
    steps += ["have the meter verify it"] if verify or activate else []
    steps += ["have the meter activate it; it may restart"] if activate else []
    if output.json:
        say(dumps({**_result(transfer), "would": steps}))
    else:
        say("This would " + ", ".join(steps) + ".")
    warn("nothing was done: give --yes to do it")
    return NOT_DONE


def _carry_out(
    url: str,
    transfer: ImageTransfer,
    verify: bool,
    activate: bool,
    reconnects: int,
    connection: ConnectionOptions | None,
    output: OutputOptions,
) -> None:
    """All steps, in a new association after each cut of the line: the plan knows how far it is."""
    watch = Watch(output, f"sending {_name(transfer)}")
    transfer.progress = watch.of
    began = False
    for left in range(reconnects, -1, -1):
        try:
            with connected(url, connection, output, watch=watch) as client:
                began = True
                _steps(client, transfer, verify, activate)
                return
        except ConnectionTrouble as trouble:
            if not began or not left:
                raise
            warn(f"{trouble}; going on in {transfer.interval:g} s")
            time.sleep(transfer.interval)


def _steps(client: DlmsClient, transfer: ImageTransfer, verify: bool, activate: bool) -> None:
    transfer.cache = client.cache
    client.run(transfer.send())
    for wanted, step in ((verify, transfer.verify), (activate, transfer.activate)):
        while wanted and (pause := client.run(step())):
            time.sleep(pause)


def _show_state(url: str, obis: str, connection: ConnectionOptions | None, output: OutputOptions) -> int:
    from cosemic.cosem.image_transfer import read_image_state

    with connected(url, connection, output) as client:
        state = client.run(read_image_state(obis, cache=client.cache))
    if output.json:
        say(
            dumps(
                {
                    "status": str(state.status),
                    "enabled": state.enabled,
                    "block_size": state.block_size,
                    "first_missing": state.first_missing,
                    "images": [_info(info) for info in state.images],
                }
            )
        )
        return 0
    say(table(["image transfer", obis], _rows(state)))
    return 0


def _rows(state: ImageState) -> list[list[str]]:
    told = "not told"
    rows = [
        ["status", str(state.status)],
        ["takes images", told if state.enabled is None else "yes" if state.enabled else "no"],
        ["block size", told if state.block_size is None else f"{state.block_size} octets"],
        ["first missing block", told if state.first_missing is None else str(state.first_missing)],
    ]
    for info in state.images:
        rows.append(["would activate", str(info)])
        rows.append(["its signature", info.signature.hex() or "none"])
    return rows


def _name(transfer: ImageTransfer) -> str:
    from cosemic.cosem.image_transfer import ImageInfo

    assert isinstance(transfer.identification, bytes)
    return str(ImageInfo(len(transfer.image), transfer.identification, b""))


def _reached(transfer: ImageTransfer) -> str:
    if transfer.activated:
        return "activated"
    return "verified, not activated" if transfer.verified else "sent, not verified"


def _info(info: ImageInfo) -> dict[str, object]:
    from cosemic.cosem.octet_names import readable

    return {"identification": readable(info.identification), "size": info.size, "signature": info.signature}


def _result(transfer: ImageTransfer) -> dict[str, object]:
    from cosemic.cosem.octet_names import readable

    assert isinstance(transfer.identification, bytes)
    return {
        "identification": readable(transfer.identification),
        "size": len(transfer.image),
        "status": str(transfer.status),
        "verified": transfer.verified,
        "activated": transfer.activated,
        "signature": None if transfer.info is None else transfer.info.signature,
    }
