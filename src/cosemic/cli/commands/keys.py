"""keys: new keys for a meter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions

Key = Literal["global-unicast", "global-broadcast", "authentication", "master"]
Save = Annotated[Path | None, Parameter(name="--save")]
Yes = Annotated[bool, Parameter(negative="", show_default=False)]
Setup = Annotated[str | None, Parameter(name="--setup")]

app = App(
    name="keys",
    help=(
        "New keys for a meter: transfer, agree, settle.\n\n"
        "They are kept in a folder of key files (--save, or that of --key-store file:FOLDER):\n"
        "as NAME.key.new before the meter is told of them, as NAME.key once it uses them;\n"
        "the key before is then in NAME.key.old. When an answer is lost, 'cosemic keys\n"
        "settle' finds out which of them the meter uses."
    ),
    help_format="plaintext",
    sort_key=51,
)


@app.command(sort_key=1)
def transfer(
    url: str, *keys: Key, save: Save = None, setup: Setup = None, yes: Yes = False,
    connection: ConnectionOptions | None = None, output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Give the meter new random keys, wrapped with the master key.

    KEY is global-unicast, global-broadcast, authentication or master. The master key
    comes from --kek or the key store. A NAME.key.new that is in the folder already is
    used in place of a random key: so a change that was cut short can be repeated.

    For example:
      cosemic keys transfer cellar global-unicast authentication --key-store file:~/keys/cellar

    Parameters
    ----------
    url
        Where the meter is, or its name.
    keys
        Which keys.
    save
        Folder for the new keys. [default: that of --key-store file:FOLDER]
    setup
        Security setup: an OBIS code. [default: that of the association]
    yes
        Do not ask.
    """
    from cosemic.cli.key_changes import transfer_keys

    return transfer_keys(url, keys, save=save, setup=setup, yes=yes, connection=connection,
                         output=output or OutputOptions())  # fmt: skip


@app.command(sort_key=2)
def agree(
    url: str, *keys: Key, save: Save = None, setup: Setup = None, yes: Yes = False,
    connection: ConnectionOptions | None = None, output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Agree on new keys with the meter (suites 1 and 2).

    Neither side knows the keys before the meter has answered; they are saved then,
    before the first message under them, until which the meter keeps the old ones.

    For example:
      cosemic keys agree cellar global-unicast authentication --save ~/keys/cellar

    Parameters
    ----------
    url
        Where the meter is, or its name.
    keys
        Which keys.
    save
        Folder for the new keys. [default: that of --key-store file:FOLDER]
    setup
        Security setup: an OBIS code. [default: that of the association]
    yes
        Do not ask.
    """
    from cosemic.cli.key_changes import agree_keys

    return agree_keys(url, keys, save=save, setup=setup, yes=yes, connection=connection,
                      output=output or OutputOptions())  # fmt: skip


@app.command(sort_key=3)
def settle(
    url: str, *, save: Save = None, connection: ConnectionOptions | None = None, output: OutputOptions | None = None
) -> int:
    """After a change that was cut short: find out which keys the meter uses, and keep these.

    Logs in with the new keys (NAME.key.new) once, and where the meter does not take them
    with the old ones once.

    For example:
      cosemic keys settle cellar --key-store file:~/keys/cellar

    Parameters
    ----------
    url
        Where the meter is, or its name.
    save
        Folder of the keys. [default: that of --key-store file:FOLDER]
    """
    from cosemic.cli.key_changes import settle_keys

    return settle_keys(url, save=save, connection=connection, output=output or OutputOptions())
