"""The command ``cosemic``. ``main`` is its entry point; everything else is loaded when a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

MISSING = "cosemic: the command needs the extra 'cli': pip install 'cosemic[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Every failure is one line on stderr, never a traceback (unless ``--debug``)."""
    try:
        import cyclopts  # noqa: F401
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _interrupted()
    try:
        from cosemic.cli.app import run
    except KeyboardInterrupt:
        return _interrupted()
    return run(list(sys.argv[1:] if arguments is None else arguments))


def _interrupted() -> int:
    """Ctrl-C while modules were still loading."""
    print("cosemic: interrupted", file=sys.stderr)
    return 130
