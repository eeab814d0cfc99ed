"""Targets by name and dry runs."""

from __future__ import annotations

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
            "apdu": None if tried.secret else tried.apdu,
            "value": None if tried.secret or tried.value is None else tried.value.plain,
            "sent": False,
        }
        say(dumps(line))
    else:
        say(f"{tried}\nnothing was sent")
    return 0
