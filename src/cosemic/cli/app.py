"""The commands together, and the end that each of them comes to."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback

from cyclopts import App, CycloptsError

from cosemic.cli.commands import (
    attributes,
    certificates,
    clock,
    demo,
    doctor,
    explain,
    image,
    keys,
    listen,
    model,
    obis,
    profile,
    redact,
    simulate,
    sniff,
    tariffs,
)
from cosemic.cli.failing import CommandError, ConnectionTrouble, one_line
from cosemic.cli.options import hide_log, without_empty_variables
from cosemic.errors import DlmsError

USAGE_ERROR = 2
INTERRUPTED = 130
_BROKEN_PIPE = 141

app = App(
    name="cosemic",
    help=(
        "Read, write and simulate meters (DLMS/COSEM, IEC 62056).\n\n"
        "Start with 'cosemic demo'; it needs no meter.\n"
        "'cosemic COMMAND --help' shows examples."
    ),
    help_format="plaintext",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)

# In the order of the help.
app.command(demo.demo, sort_key=10)
app.command(attributes.read, sort_key=20)
app.command(attributes.set_, name="set", sort_key=21)
app.command(attributes.call, sort_key=22)
app.command(attributes.objects, sort_key=23)
app.command(profile.profile, sort_key=30)
app.command(sniff.sniff, sort_key=36)
app.command(listen.listen, sort_key=35, usage="Usage: cosemic listen [OPTIONS] URLS")
app.command(clock.clock, sort_key=40)
app.command(tariffs.tariffs, sort_key=41)
app.command(image.image, sort_key=42)
app.command(model.model, sort_key=50)
app.command(model.diff, sort_key=51)
app.command(certificates.app)
app.command(keys.app)
app.command(obis.obis, sort_key=55)
app.command(explain.explain, sort_key=60)
app.command(redact.redact, sort_key=61)
app.command(doctor.doctor, sort_key=70)
app.command(simulate.simulate, sort_key=80)


def run(arguments: list[str]) -> int:
    """Run one command; the exit code. Whatever goes wrong becomes one line on stderr."""
    # Warnings of the library go where -v sends them (see options), not between the lines of the command.
    silence = logging.NullHandler()
    logging.getLogger("cosemic").addHandler(silence)
    try:
        with without_empty_variables():
            code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said there, not even when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except CycloptsError as error:
        _debug(arguments)
        # What follows '=' may be a password after a misspelt option.
        text = re.sub(r"(--?[\w-]+)=\S+", r"\1", " ".join(str(error).split()))
        _complain(f"{text} See 'cosemic {_command_of(arguments)}--help'.")
        return USAGE_ERROR
    except CommandError as error:
        _debug(arguments)
        _complain(str(error))
        return USAGE_ERROR
    except (ConnectionTrouble, DlmsError, OSError, ValueError) as error:
        _debug(arguments)
        _complain(one_line(error))
        return 1
    except Exception as error:
        _debug(arguments)
        # The message of an error that nobody expected may hold anything, so only its kind is shown.
        _complain(f"unexpected {type(error).__name__}: please report it with the output of --debug")
        return 1
    finally:
        hide_log()
        logging.getLogger("cosemic").removeHandler(silence)


def _complain(text: str) -> None:
    print(f"cosemic: {text}", file=sys.stderr)


def _debug(arguments: list[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()


def _command_of(arguments: list[str]) -> str:
    """The names of command and subcommand, as far as they are right."""
    found, place = "", app
    for name in arguments[:2]:
        if name.startswith("-") or name not in place:
            break
        found, place = f"{found}{name} ", place[name]
    return found
