"""How far a command is: shown on a terminal only, after a second, and gone afterwards."""

from __future__ import annotations

import io
import sys

import pytest

from cosemic.cli import progress
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected
from cosemic.cli.output import say
from cosemic.cli.progress import Watch


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


class Client:
    trace = None


def test_it_counts_what_comes(terminal):
    client, watch = Client(), Watch(OutputOptions(), "reading", file=terminal)
    with watch.on(client):
        client.trace("link", "out", b"12345")
        client.trace("link", "in", b"123")
        client.trace("apdu", "in", b"12")
        client.trace("link", "in", bytes(41_200))
        client.trace("apdu", "in", b"")
    assert watch.text == "2 messages, 41.2 kB"
    assert client.trace is None
    assert terminal.getvalue() == ""  # it was over within a second


def test_another_trace_goes_on(terminal):
    client, seen = Client(), []
    client.trace = before = lambda *what: seen.append(what)
    with Watch(OutputOptions(), "reading", file=terminal).on(client):
        client.trace("link", "in", b"1")
    assert seen == [("link", "in", b"1")]
    assert client.trace is before


def test_after_a_second_it_is_shown_and_then_gone(terminal):
    watch = Watch(OutputOptions(), "sending FW-2.1", file=terminal)
    with watch.running():
        watch.of(3, 11)
        watch._start()  # what the timer does
        watch.of(4, 11)
        watch._bar.refresh()
        assert "sending FW-2.1" in terminal.getvalue()
        assert "4 of 11 blocks" in terminal.getvalue()
    assert watch._bar is None
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is wiped


def test_what_is_said_takes_its_place(terminal, capsys):
    watch = Watch(OutputOptions(), "reading", file=terminal)
    with watch.running():
        watch._start()
        assert watch._bar is not None
        say("a result")
        assert watch._bar is None
        watch._start()
        assert watch._bar is None  # and it does not come back
    say("another")
    assert capsys.readouterr().out == "a result\nanother\n"


def test_what_starts_when_it_is_over_is_not_shown(terminal):
    watch = Watch(OutputOptions(), "reading", file=terminal)
    with watch.running():
        pass
    watch._start()
    assert terminal.getvalue() == ""


def test_a_pipe_is_not_redirected(terminal):
    watch = Watch(OutputOptions(), "reading", file=terminal)
    out, err = sys.stdout, sys.stderr
    with watch.running():
        watch._start()
        assert (sys.stdout, sys.stderr) == (out, err)


@pytest.mark.parametrize("options", [{"json": True}, {"verbose": 1}])
def test_it_is_off_where_nobody_looks(terminal, options):
    client = Client()
    with Watch(OutputOptions(**options), "reading", file=terminal).on(client) as watch:
        assert client.trace is None
        watch.of(1, 2)
    assert not watch.enabled
    assert not Watch(OutputOptions(), "reading", file=io.StringIO()).enabled


def test_a_dumb_terminal_shows_nothing(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    watch = Watch(OutputOptions(), "reading", file=terminal)
    with watch.running():
        watch._start()
        assert watch._bar is None
    assert terminal.getvalue() == ""


def test_a_real_reading_is_counted_by_blocks(meter, terminal, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 3600.0)
    watch = Watch(OutputOptions(), "reading", file=terminal)
    with connected(meter.hdlc, ConnectionOptions(), OutputOptions(), watch=watch) as client:
        before = watch.messages
        rows = client.read_profile("1-0:99.1.0*255")
    assert len(rows) == 200
    assert watch.messages > before
    assert watch.octets > 200 * 10
