"""How far a command has come: one line on stderr for what takes more than a second, gone once it is done.

It hangs on the trace hook of the client, which costs nothing while nobody watches: there is no progress where stderr is
no terminal, nor with ``--json`` or ``-v``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from cosemic.cli.options import OutputOptions
from cosemic.cli.output import CLEARING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cosemic.blocking import DlmsClient

PATIENCE = 1.0
"""Seconds after which something is shown."""


class Watch:
    """Counts what comes from a meter, and shows it where somebody looks. ``of`` tells how much of how much is done."""

    def __init__(self, output: OutputOptions, title: str, *, file: TextIO | None = None) -> None:
        self.title = title
        self.messages = 0
        self.octets = 0
        self._file = sys.stderr if file is None else file
        self._done: int | None = None
        self._total: int | None = None
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._timer: threading.Timer | None = None
        quiet = bool(getattr(output, "quiet", False))
        self.enabled = not (output.json or output.verbose or quiet) and self._file.isatty()

    def of(self, done: int, total: int) -> None:
        """So many of so many blocks (rows, objects) are done."""
        self._done, self._total = done, total
        self._show()

    def trace(self, layer: str, direction: str, octets: bytes) -> None:
        """The trace hook of a client."""
        if direction != "in":
            return
        if layer == "apdu":
            self.messages += 1
        elif layer == "link":
            self.octets += len(octets)
            self._show()

    @property
    def text(self) -> str:
        """What there is to say without a total: ``37 messages, 41.2 kB``."""
        size = f"{self.octets} octets" if self.octets < 10_000 else f"{self.octets / 1000:.1f} kB"
        return f"{self.messages} messages, {size}"

    @contextmanager
    def running(self) -> Iterator[Watch]:
        """Show it, from a second on, for as long as this lasts."""
        if not self.enabled:
            yield self
            return
        self._timer = threading.Timer(PATIENCE, self._start)
        self._timer.daemon = True
        self._timer.start()
        CLEARING.append(self.stop)
        try:
            yield self
        finally:
            CLEARING.remove(self.stop)
            self.stop()

    def stop(self) -> None:
        """Take it away, and show it no more."""
        with self._lock:
            timer, self._timer = self._timer, None
            bar, self._bar = self._bar, None
        if timer is not None:
            timer.cancel()
        if bar is not None:
            bar.stop()

    @contextmanager
    def on(self, client: DlmsClient) -> Iterator[Watch]:
        """As ``running``, and counting what this client receives."""
        if not self.enabled:
            yield self
            return
        before = client.trace
        client.trace = _both(before, self.trace)
        try:
            with self.running():
                yield self
        finally:
            client.trace = before

    def _start(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        except ImportError:  # only comes with the extra cli; a command without it does not show how far it is
            return
        console = Console(file=self._file)
        if console.is_dumb_terminal:
            return
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[more]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,  # what goes into a pipe must not land on the terminal
            redirect_stderr=False,
        )
        with self._lock:
            if self._timer is None:
                return  # done meanwhile
            self._task = bar.add_task(self.title, total=self._total, completed=self._done or 0, more=self._more())
            bar.start()
            self._bar = bar

    def _show(self) -> None:
        with self._lock:
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, total=self._total, completed=self._done or 0, more=self._more())

    def _more(self) -> str:
        return self.text if self._total is None else f"{self._done} of {self._total} blocks"


Trace = Callable[[str, str, bytes], None]


def _both(first: Trace | None, second: Trace) -> Trace:
    if first is None:
        return second

    def trace(layer: str, direction: str, octets: bytes) -> None:
        first(layer, direction, octets)
        second(layer, direction, octets)

    return trace
