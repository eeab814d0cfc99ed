"""model and diff: a meter as a file, and how two meters differ."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, warn
from cosemic.cli.output import dumps, say
from cosemic.cosem.meter_model import MeterModel
from cosemic.cosem.model_differences import differences


def save_model(
    url: str, out: Path | None, *, buffers: bool, connection: ConnectionOptions | None, output: OutputOptions
) -> int:
    """Read a meter's model and write it to a file, or to standard output."""
    if out is not None and not out.absolute().parent.is_dir():
        raise CommandError(f"--out: there is no folder {out.parent}")
    if out is not None and out.is_dir():
        raise CommandError(f"--out: {out} is a folder; name a file in it")
    model = _read(url, buffers, connection, output)
    if out is None:
        say(model.to_json().rstrip("\n"))
        return 0
    try:
        out.write_text(model.to_json(), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--out: cannot write {out}: {error.strerror}") from None
    values = sum(len(item.values) for item in model.objects)
    refused = sum(len(item.refused) for item in model.objects)
    line = f"{len(model.objects)} objects with {values} values written to {out}"
    warn(line + (f"; {refused} attributes were refused" if refused else ""))
    return 0


def show_differences(
    first: str, second: str, *, values: bool, connection: ConnectionOptions | None, output: OutputOptions
) -> int:
    """Print how two meters differ; the exit code is 1 when they do, as that of diff."""
    models = [_model(source, values, connection, output) for source in (first, second)]
    found = differences(models[0], models[1], measured=values)
    for difference in found:
        if output.json:
            line = {
                "subject": difference.subject.value,
                "target": difference.target,
                "first": difference.first,
                "second": difference.second,
            }
            say(dumps(line))
        else:
            say(str(difference))
    if not found and not output.json:
        say("no differences")
    return 1 if found else 0


def load_model(file: Path) -> MeterModel:
    """The model in a file; CommandError says what is wrong with it."""
    try:
        return MeterModel.from_text(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from None


def _model(source: str, buffers: bool, connection: ConnectionOptions | None, output: OutputOptions) -> MeterModel:
    """From a file where there is one of that name, else from the meter of that URL or name."""
    if "://" not in source and (Path(source).is_file() or Path(source).suffix.lower() in (".json", ".toml")):
        return load_model(Path(source))
    return _read(source, buffers, connection, output)


def _read(url: str, buffers: bool, connection: ConnectionOptions | None, output: OutputOptions) -> MeterModel:
    with connected(url, connection, output) as client:
        about = f"{url}, read {datetime.now().astimezone().isoformat(timespec='seconds')}"
        return client.read_model(about=about, buffers=buffers)
