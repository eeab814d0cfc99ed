"""profile --since-last --into FILE: only the rows that the file lacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, warn
from cosemic.cli.output import dumps, say
from cosemic.cli.parsing import parse_obis, parse_time
from cosemic.errors import DlmsError, ServiceError
from cosemic.harvest.plan import Piece, harvest
from cosemic.harvest.stores import open_store

_DEVICE_NAME = (1, "0-0:42.0.0", 2)


def harvest_profile(
    url: str, obis: str, into: Path | None, *, since_last: bool, from_: str | None, to: str | None,
    others: Sequence[str], connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Read what the file lacks; each piece is kept, so that a broken line costs nothing but the piece under way."""
    code = parse_obis(obis)
    if into is None:
        raise CommandError("--since-last needs --into FILE: the file says what is there already")
    if others:
        raise CommandError(f"--into keeps whole rows of all columns: leave {', '.join(others)} away")
    if since_last and from_ is not None:
        raise CommandError("give either --since-last or --from, not both")
    now = datetime.now().astimezone()
    start = None if from_ is None else parse_time(from_, now=now)
    end = None if to is None else parse_time(to, now=now)
    if not into.absolute().parent.is_dir():
        raise CommandError(f"--into: there is no folder {into.parent}")
    try:
        store = open_store(into)
    except (ValueError, OSError) as error:
        raise CommandError(f"--into: {error}") from None
    kept = 0

    def tell(piece: Piece) -> None:
        nonlocal kept
        kept += piece.new
        if output.verbose:
            warn(f"{kept} new rows, up to {piece.until.isoformat()}")

    with closing(store):
        try:
            with connected(url, connection, output) as client:
                name: object = None
                with suppress(ServiceError):  # a meter without a name is taken at its word
                    name = client.get(*_DEVICE_NAME)
                done = client.run(
                    harvest(
                        code,
                        store,
                        time.monotonic,
                        since_last=since_last,
                        start=start,
                        end=end,
                        overlap=timedelta(days=1),
                        meter=name.hex() if isinstance(name, bytes) else None if name is None else str(name),
                        with_list=client.with_list,
                        cache=client.cache,
                        progress=tell,
                    )
                )
        except ValueError as error:
            raise CommandError(f"--into: {error}") from None
        except (DlmsError, OSError):
            if kept:
                warn(f"{kept} new rows are kept in {into}; the same command goes on from there")
            raise
    if output.json:
        result = {"new": done.new, "read": done.read, "first": done.first, "last": done.last, "file": str(into)}
        say(dumps(result))
    else:
        reach = "" if done.last is None else f", up to {done.last.isoformat()}"
        say(f"{done.new} new rows in {into}{reach}")
    return 0
