"""The listener for scripts: plain iteration, errors, the end."""

from __future__ import annotations

import socket
import threading

import pytest

from cosemic.errors import LinkError
from cosemic.push.listening.blocking import listening
from cosemic.push.messages import Push
from tests.push.listening.test_listener import port_of
from tests.push.samples import hdlc, notification, wrapper


def send(place: str, octets: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(place)), timeout=20) as sender:
        sender.sendall(octets)


def test_plain_iteration() -> None:
    with listening("tcp://127.0.0.1:0") as pushes:
        send(pushes.places[0], b"".join(wrapper(notification(number)) for number in range(600)))
        found = []
        for received in pushes:
            assert isinstance(received.item, Push)
            found.append(received.item.readings[1].raw)
            if len(found) == 600:
                pushes.stop()
        assert found == list(range(600))
        assert pushes.statistics.pushes == {"tcp": 600}


def test_a_time_out_loses_nothing() -> None:
    with listening("tcp://127.0.0.1:0") as pushes:
        with pytest.raises(TimeoutError):
            pushes.next(timeout=0.01)
        send(pushes.places[0], hdlc(notification()))
        assert pushes.next(timeout=20) is not None


def test_files_end_it(tmp_path) -> None:
    (tmp_path / "capture").write_bytes(hdlc(notification()))
    with listening(str(tmp_path / "capture")) as pushes:
        assert len(list(pushes)) == 1


def test_what_cannot_be_opened() -> None:
    with pytest.raises(LinkError, match="no address of this machine"), listening("tcp://192.0.2.1:4059"):
        pass
    with pytest.raises(ValueError, match="unknown scheme"), listening("ftp://192.0.2.1"):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "cosemic listener"]


def test_the_end_of_the_block_ends_it() -> None:
    with listening("tcp://127.0.0.1:0") as pushes:
        place = pushes.places[0]
    assert not [thread for thread in threading.enumerate() if thread.name == "cosemic listener"]
    with pytest.raises(OSError):
        send(place, b"")
