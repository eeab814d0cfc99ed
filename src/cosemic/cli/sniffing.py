"""sniff: what a port says, and at which speed and parity."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote, urlsplit

from cosemic.cli.failing import CommandError
from cosemic.cli.options import OutputOptions, warn
from cosemic.cli.output import dumps, say
from cosemic.link.signon_messages import LineSettings
from cosemic.push.sniffing.driver import PLAN, Refused, SniffLimits, SniffReport, Step, sniff
from cosemic.push.sniffing.judging import Sound, Verdict
from cosemic.transports.streams import Stream, connect_stream
from cosemic.transports.targets import Target, parse_url

_PARITIES = {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"}
_WORTH_LISTENING = 60  # the score from which on a setting is worth a command
_SILENT = (
    "nothing was heard. Is the port of the meter switched on (the grid operator does that), are its data line and "
    "ground connected, and does a P1 cable have power on its request line? Listen longer with --seconds and --total"
)


def sniff_port(port: str, *, seconds: float, total: float, output: OutputOptions) -> int:
    """Print what is heard at each setting, and in the end what that means; 1 where nothing is certain."""
    target, plan = _parse(port)
    try:
        limits = SniffLimits(seconds, total)
    except ValueError as error:
        raise CommandError(str(error).replace("seconds", "--seconds").replace("total", "--total")) from None

    async def open_line(settings: LineSettings | None) -> Stream:
        if settings is None:
            return await connect_stream(target)
        return await connect_stream(
            replace(target, baud=settings.baud, data_bits=settings.data_bits, parity=settings.parity)
        )

    report = asyncio.run(sniff(open_line, plan, limits, on_step=_print_json if output.json else _print))
    return _conclude(target, report, output)


def command_of(target: Target, verdict: Verdict) -> str:
    """The command that listens as this verdict advises."""
    settings = verdict.advised or verdict.settings
    if settings is None:
        return f"cosemic listen connect+tcp://{_place(target)}"
    on_bus = bool(target.device) and verdict.sound is Sound.MBUS
    usual = LineSettings(2400, 8, "E") if on_bus else LineSettings(0, 8, "N")
    query = [
        f"{name}={value}"
        for name, value, is_usual in (
            ("baud", str(settings.baud), settings.baud == usual.baud),
            ("parity", _PARITIES[settings.parity], settings.parity == usual.parity),
            ("data_bits", str(settings.data_bits), settings.data_bits == usual.data_bits),
        )
        if not is_usual
    ]
    scheme = "mbus" if on_bus else "serial" if target.device else "rfc2217"
    url = f"{scheme}://{_place(target)}" + (f"?{'&'.join(query)}" if query else "")
    return f"cosemic listen '{url}'" if "&" in url else f"cosemic listen {url}"


def _place(target: Target) -> str:
    if target.device:
        return quote(target.device, safe="/")
    return f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"


def _parse(port: str) -> tuple[Target, tuple[LineSettings | None, ...]]:
    """The port, and the settings to try."""
    if "://" not in port:
        port = f"tcp://{port}" if re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d+", port) else f"serial://{port}"
    port = port.replace("connect+tcp://", "tcp://", 1)
    target = parse_url(port)
    if target.scheme not in ("serial", "mbus", "rfc2217", "tcp", "mbus-tcp", "hdlc"):
        raise CommandError(f"sniff listens on serial ports, rfc2217:// and tcp://, not on {target.scheme}://")
    if not target.is_serial:
        return target, (None,)
    if re.search(r"(baud|parity|data_bits)=", urlsplit(port).query):
        return target, (LineSettings(target.baud, target.data_bits, target.parity),)
    return target, PLAN


def _conclude(target: Target, report: SniffReport, output: OutputOptions) -> int:
    best = report.best
    worth = best if best is not None and best.score >= _WORTH_LISTENING and best.sound is not Sound.INVERTED else None
    command = None if worth is None else command_of(target, worth)
    text = _SILENT if best is None or report.is_silent else best.text
    is_sure = best is not None and (best.is_sure or (best.score >= 85 and best.sound is not Sound.INVERTED))
    if output.json:
        settings = None if best is None or report.is_silent else best.advised or best.settings
        result = {"result": "silence" if best is None or report.is_silent else best.sound.name.lower()}
        say(dumps({**result, "text": text, "sure": is_sure, **_settings(settings), "command": command}))
    elif best is None or report.is_silent:
        warn(text)
    else:
        settings = best.advised or best.settings
        say(f"\n{best.sound.value}{'' if settings is None else f' at {settings}'}: {best.text}")
        if command is not None:
            say(f"Listen with: {command}")
    return 0 if is_sure else 1


def _print(step: Step) -> None:
    name = "as it is set" if step.settings is None else str(step.settings)
    if isinstance(step, Refused):
        say(f"{name:16}  not possible: {step.text}")
    else:
        say(f"{name:16}  {step.seconds:4.1f} s  {step.text}")


def _print_json(step: Step) -> None:
    if isinstance(step, Refused):
        say(dumps({"refused": step.text, **_settings(step.settings)}))
        return
    counts = step.counts
    say(
        dumps(
            {
                "heard": step.sound.name.lower(),
                "text": step.text,
                "score": step.score,
                **_settings(step.settings),
                "seconds": round(step.seconds, 1),
                "octets": step.octets,
                "hdlc_frames": counts.hdlc,
                "mbus_frames": counts.mbus,
                "p1_texts": counts.texts,
                "wrapper_pdus": counts.wrapper,
                "encrypted": step.is_protected,
            }
        )
    )


def _settings(settings: LineSettings | None) -> dict[str, object]:
    if settings is None:
        return {"baud": None, "data_bits": None, "parity": None}
    return {"baud": settings.baud, "data_bits": settings.data_bits, "parity": _PARITIES[settings.parity]}
