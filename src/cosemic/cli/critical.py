"""Which methods take a confirmation: what they do to supply, keys, billing or firmware is hard to take back."""

from __future__ import annotations

from cosemic.enums import InterfaceClass as C

CRITICAL: dict[tuple[int, int], str] = {
    (C.DISCONNECT_CONTROL, 1): "disconnect the supply",
    (C.DISCONNECT_CONTROL, 2): "reconnect the supply",
    (C.SECURITY_SETUP, 1): "change the security policy",
    (C.SECURITY_SETUP, 2): "change keys",
    (C.SECURITY_SETUP, 3): "change keys",
    (C.SECURITY_SETUP, 4): "replace a key pair of the meter",
    (C.SECURITY_SETUP, 6): "give the meter a certificate",
    (C.SECURITY_SETUP, 8): "remove a certificate",
    (C.ASSOCIATION_LN, 2): "change the secret of the login",
    (C.MBUS_CLIENT, 7): "change the key of an M-Bus device",
    (C.MBUS_CLIENT, 8): "give an M-Bus device a new key",
    (C.ACTIVITY_CALENDAR, 1): "activate the passive calendar",
    (C.SPECIAL_DAYS_TABLE, 1): "change the special days",
    (C.SPECIAL_DAYS_TABLE, 2): "remove a special day",
    (C.SCRIPT_TABLE, 1): "run a script",
    (C.SCHEDULE, 1): "change the schedule",
    (C.SCHEDULE, 2): "change the schedule",
    (C.SCHEDULE, 3): "remove an entry of the schedule",
    (C.REGISTER_ACTIVATION, 1): "change which registers count",
    (C.REGISTER_ACTIVATION, 2): "change which registers count",
    (C.REGISTER_ACTIVATION, 3): "change which registers count",
    (C.IMAGE_TRANSFER, 1): "begin an image transfer, which gives up the image that is there",
    (C.IMAGE_TRANSFER, 4): "activate the image",
}
"""What a method of a class does, by class id and method."""


def what_it_does(class_id: int, method: int) -> str | None:
    """What has to be confirmed of a method; None where nothing has to."""
    return CRITICAL.get((class_id, method))
