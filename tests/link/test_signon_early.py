"""A client that goes on with HDLC before the last message of the sign-on has left, as over a serial server."""

from __future__ import annotations

from cosemic.link.signon import SignedOn, SignOnServer
from cosemic.link.signon_messages import Identification

SNRM = bytes.fromhex("7EA0070321930F017E")


def test_hdlc_that_comes_early_is_kept() -> None:
    port = SignOnServer(Identification("COS", "4", "2", "TCP"))
    port.receive_data(b"/?!\r\n", 0.0)
    due = port.next_deadline()
    assert due is not None
    port.on_time(due)
    port.receive_data(b"\x06202\r\n", 1.0)
    due = port.next_deadline()
    assert due is not None
    port.on_time(due)
    assert port.early == b""
    port.receive_data(SNRM[:4], due)
    port.receive_data(SNRM[4:], due)
    due = port.next_deadline()
    assert due is not None
    port.on_time(due)
    assert isinstance(port.events()[-1], SignedOn)
    assert port.early == SNRM
    port.receive_data(SNRM * 1000, due)
    assert port.early == SNRM
