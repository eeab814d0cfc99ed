"""Targets by name, values without a type, dry runs, and what is asked about before it is done."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from cosemic.cli.failing import CommandError
from cosemic.cli.options import OutputOptions
from cosemic.cli.output import dumps, say
from cosemic.cli.parsing import Target
from cosemic.errors import LocalProtocolError

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient
    from cosemic.blocking_objects import LiveObject
    from cosemic.cosem.objects import DryRun


def live(client: DlmsClient, target: Target) -> LiveObject:
    """The object of a target; the object list is read where its class is not given."""
    item = client[target.obis if target.class_id is None else (target.class_id, target.obis)]
    if target.class_id is None or (target.name is not None and not client.cache.objects):
        # Names depend on the version of the class, which only the object list tells.
        client.list_objects()
    return item


def resolved(client: DlmsClient, target: Target, *, method: bool = False) -> Target:
    """The target with its class and number; CommandError names what there is."""
    if target.name is None:
        return target
    item = live(client, target)
    try:
        member = item.method_number(target.name) if method else item.attribute_number(target.name)
        return replace(target, class_id=item.class_id, member=member, name=None)
    except (LookupError, LocalProtocolError) as error:
        raise CommandError(f"{target.text}: {error}") from None


def show_dry_run(target: Target, tried: DryRun, output: OutputOptions) -> int:
    """Print what would be sent."""
    if output.json:
        line = {
            "class_id": target.class_id,
            "obis": target.obis.dotted,
            "apdu": tried.apdu,
            "value": None if tried.value is None else tried.value.plain,
            "sent": False,
        }
        say(dumps(line))
    else:
        say(f"{tried}\nnothing was sent")
    return 0


_RESETS = frozenset(((3, 1), (4, 1), (5, 1)))
"""The reset of a register is what its rights are for; nothing else hangs on it."""


def confirm(client: DlmsClient, target: Target, *, yes: bool) -> None:
    """Ask before a method that switches, changes keys, tariffs or firmware, or loses billing data."""
    assert target.member is not None
    item = client[target.obis if target.class_id is None else (target.class_id, target.obis)]
    if yes or not item.is_critical(target.member) or (item.class_id, target.member) in _RESETS:
        return
    what = f"{item.declaration.method_name(target.member)} of {item}"
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"{what} has consequences at the meter. Go on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise CommandError("nothing was sent")
    raise CommandError(f"{what} has consequences at the meter: say --yes, or --dry-run to see what would be sent")
