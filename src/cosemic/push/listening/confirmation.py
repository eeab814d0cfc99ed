"""The answer to a confirmed DataNotification, in the framing that it came in."""

from __future__ import annotations

from cosemic.apdu.base import encode_apdu
from cosemic.apdu.notify import DataNotificationConfirm
from cosemic.link.wrapper import WrapperPdu
from cosemic.push.messages import Push
from cosemic.push.telegrams import Framing

_DATA_NOTIFICATION = 0x0F
_HEAD = 5


def confirmation(push: Push) -> bytes | None:
    """What is to be sent back, None where nothing can be.

    A protected push wants a protected answer, for which a listener has no title and no counter of its own; and on HDLC
    and M-Bus a push comes outside of a connection, where nobody has the turn to answer.
    """
    telegram = push.telegram
    octets = telegram.octets
    if not push.needs_confirmation or push.protection is not None:
        return None
    if len(octets) < _HEAD or octets[0] != _DATA_NOTIFICATION:
        return None
    answer = encode_apdu(DataNotificationConfirm(int.from_bytes(octets[1:_HEAD], "big")))
    if telegram.framing is Framing.APDU:
        return answer
    if telegram.framing is Framing.WRAPPER and telegram.source is not None and telegram.destination is not None:
        return WrapperPdu(telegram.destination, telegram.source, answer).encode()
    return None
