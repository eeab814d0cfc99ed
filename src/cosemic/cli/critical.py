"""Which methods take a confirmation: what they do to supply, keys, billing or firmware is hard to take back."""

from __future__ import annotations

import sys

from cosemic.cli.failing import CommandError
from cosemic.cli.output import clear_line
from cosemic.cli.parsing import Target
from cosemic.cosem.model import interface_class
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


_RESETS = frozenset((class_id, 1) for class_id in (C.REGISTER, C.EXTENDED_REGISTER, C.DEMAND_REGISTER))
"""The reset of a register is what its rights are for; nothing else hangs on it."""


def what_it_does(class_id: int, method: int) -> str | None:
    """What has to be confirmed of a method; None where nothing has to."""
    words = CRITICAL.get((class_id, method))
    if words is not None or (class_id, method) in _RESETS:
        return words
    declared = interface_class(class_id)
    found = next((item for item in declared.methods if item.number == method), None)
    return f"call {found.name} of {declared.name}" if found is not None and found.critical else None


def ask_first(target: Target, *, yes: bool) -> None:
    """Have a method confirmed that is hard to take back, as soon as its number is known."""
    if target.class_id is not None and target.member is not None:
        words = what_it_does(target.class_id, target.member)
        if words is not None:
            confirm(f"{words} ({target.text})", yes=yes)


def confirm(what: str, *, yes: bool) -> None:
    """Ask on a terminal; CommandError without one, or for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"to {what}, say --yes")
    clear_line()
    print(f"cosemic: {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done")
