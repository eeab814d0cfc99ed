"""doctor: how a meter is reached, and why a login fails."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from cosemic.cli.failing import CommandError
from cosemic.cli.options import (
    ConnectionOptions,
    OutputOptions,
    check_numbers,
    make_security,
    mechanism_of,
    resolve,
    show_log,
    warn,
)
from cosemic.cli.output import dumps, say
from cosemic.cli.parsing import password_octets
from cosemic.doctor import Code, Finding, Known, Limits, Severity, examine

_MARKS = {Severity.OK: "ok  ", Severity.NOTE: "note", Severity.PROBLEM: "FAIL"}


def examine_meter(
    url: str, *, serial_number: str | None, budget: float, tries: int, connection: ConnectionOptions | None,
    output: OutputOptions,
) -> int:  # fmt: skip
    """Print the findings as they come; 1 when one of them is in the way of reading the meter."""
    url, settings = resolve(_with_scheme(url), connection)
    if settings.referencing == "sn":
        raise CommandError("the doctor examines by logical names only: leave out --referencing sn")
    if settings.device_address is not None:
        raise CommandError("the doctor does not look behind gateways: without --device-address it examines the gateway")
    if settings.broadcast:
        raise CommandError("the doctor examines one meter: leave out --broadcast")
    # The framing is still to be found out, so that addresses are welcome on every URL.
    check_numbers(
        "hdlc://host" if settings.physical is not None or settings.address_size is not None else url, settings
    )
    known = _known(settings, serial_number)
    try:
        limits = Limits(budget=budget, tries=tries)
        if settings.timeout is not None:
            limits = replace(limits, patience=settings.timeout)
    except ValueError as error:
        raise CommandError(str(error).replace("budget", "--budget").replace("tries", "--tries")) from None
    trace = None
    if output.verbose:
        from cosemic.cli.tracing import make_trace

        trace = make_trace(output.verbose)
        show_log(output.verbose)
    findings = asyncio.run(
        examine(
            url,
            known,
            limits,
            on_finding=_print_json if output.json else _print,
            on_step=None if output.json else _print_step,
            trace=trace,
        )
    )
    first = next((finding for finding in findings if finding.is_problem), None)
    if first is None or any(finding.code is Code.LOGGED_IN for finding in findings):
        return 0
    warn(f"{first.text}; {first.remedy}" if first.remedy else first.text)
    return 1


def _known(settings: ConnectionOptions, serial_number: str | None) -> Known:
    return Known(
        client=settings.client,
        server=settings.server,
        physical=settings.physical,
        address_size=settings.address_size,
        serial_number=serial_number,
        mechanism=mechanism_of(settings),
        password=None if settings.password is None else password_octets(settings.password),
        security=make_security(settings),
    )


def _with_scheme(url: str) -> str:
    """``host:port`` and device names as URLs; names of meters stay as they are."""
    if "://" in url:
        return url
    if url.startswith("/dev/") or re.fullmatch(r"COM\d+", url, re.IGNORECASE):
        return f"serial://{url}"
    return f"tcp://{url}" if re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d+", url) else url


def _print(finding: Finding) -> None:
    say(f"{_MARKS[finding.severity]}  {finding.text}")
    if finding.remedy:
        say(f"      -> {finding.remedy}")


def _print_json(finding: Finding) -> None:
    say(dumps(finding.to_dict()))


def _print_step(what: str) -> None:
    say(f"..    {what}")
