"""Why no meter was found on a line: the most telling of what was heard, in plain words."""

from __future__ import annotations

from cosemic.doctor.addresses import describe
from cosemic.doctor.findings import Code, Finding, problem
from cosemic.doctor.heard import Heard, Sound
from cosemic.doctor.line import Line

TLS_REMEDY = (
    "check ca=, certificate= and key= in the URL (docs/transports.md); "
    "where the port speaks no TLS, use tcp:// or hdlc://"
)


def verdict(line: Line) -> Finding:
    """Why nothing was found: the most telling of what was heard."""
    if line.refused:
        return problem(
            "line", Code.DISCONNECTED_MODE,
            f"there is a meter at {line.refused}, but it took none of the clients that were tried",
            "give --client; if it is busy with another connection, wait until that one times out (minutes)",
        )  # fmt: skip
    for sound, make in _VERDICTS:
        if line.sounds[sound]:
            return make(line, line.examples[sound])
    if line.sounds[Sound.ECHO]:
        return problem(
            "line", Code.ECHO, "only our own octets come back (echo), and no answer to them",
            "an optical head or RS-485 adapter echoes, so our side works: check the meter's side, the polarity of "
            "the wires, the address (--physical) and the speed", tries=line.sent,
        )  # fmt: skip
    if line.closed and line.target.scheme == "tls":
        said = line.reason or "the other side ended TLS without a word"
        return problem("line", Code.TLS, said, TLS_REMEDY)
    if line.closed and line.target.is_datagram:
        return problem(
            "line", Code.CLOSED_AT_ONCE, "the host is there, and says that no program listens on this UDP port",
            "check the port, and that the meter speaks UDP: most speak TCP (tcp://)",
        )  # fmt: skip
    if line.closed:
        return problem(
            "line", Code.CLOSED_AT_ONCE, "the other side takes the connection and closes it without an octet",
            "it may serve one client at a time, not know our network address, or want another protocol (TLS)",
        )  # fmt: skip
    where = "the cabling, the polarity, the supply of the adapter, the address (--physical) and the speed"
    if not line.is_serial:
        where = "that a meter stands behind the port (and behind the modem or serial server), the address and --client"
    return problem(
        "line", Code.NO_OCTET, f"no octet came at all, whatever was tried ({line.sent} frames)", f"check {where}",
        tries=line.sent,
    )  # fmt: skip


def _other(line: Line, heard: Heard) -> Finding:
    return problem(
        "line",
        Code.OTHER_PROTOCOL,
        f"this port speaks {heard.text}",
        "name the port of the meter",
        octets=len(heard.octets),
    )


def _only_frames(line: Line, heard: Heard) -> Finding:
    sources = ", ".join(dict.fromkeys(describe(frame.source) for frame in heard.frames))
    return problem(
        "line", Code.NO_FRAME, f"HDLC frames come (from {sources}), but none that answers us: the line is right, the "
        "address is not; or the meter only pushes, and cannot be asked", "give --physical",
        sources=sources,
    )  # fmt: skip


def _only_pdus(line: Line, heard: Heard) -> Finding:
    ports = ", ".join(dict.fromkeys(f"{pdu.source} to {pdu.destination}" for pdu in heard.pdus))
    return problem(
        "line", Code.NO_FRAME, f"wrapper PDUs come ({ports}), but none that answers us; the meter may only push",
        "check --client and --server; one that only pushes needs a listener", ports=ports,
    )  # fmt: skip


def _damaged(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.DAMAGED_FRAMES, f"HDLC frames come, but damaged: {heard.text}",
        "the speed is right; octets are lost or changed on the way: check parity (8N1?), cabling, flow control and the "
        "adapter", octets=len(heard.octets),
    )  # fmt: skip


def _seven_bits(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.WRONG_PARITY, "HDLC frames come, but the highest bit of each octet is lost (7E 20 in place of "
        "7E A0): something on the way is set to 7 data bits", "set line, converter or serial server to 8N1",
        octets=len(heard.octets),
    )  # fmt: skip


def _parity(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.WRONG_PARITY, f"text comes with parity bits: the other side speaks 7E1 (IEC 62056-21): "
        f"{heard.text[:40]!r}", "the meter waits for a sign-on: use optical:// in place of serial://, or set 7E1",
        octets=len(heard.octets),
    )  # fmt: skip


def _speed(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.WRONG_SPEED, "octets come, but no frame, and they look like those of another speed: "
        f"{_beginning(heard)}", _speed_remedy(line), octets=len(heard.octets),
    )  # fmt: skip


def _unknown(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.NO_FRAME, f"octets come ({len(heard.octets)}), but no frame: {_beginning(heard)}",
        f"wrong speed or parity, noise, or another protocol: {_speed_remedy(line)}", octets=len(heard.octets),
    )  # fmt: skip


def _mbus(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.OTHER_PROTOCOL, "wired M-Bus frames come: a customer interface that pushes", "use mbus://",
        octets=len(heard.octets),
    )  # fmt: skip


def _text(line: Line, heard: Heard) -> Finding:
    return problem(
        "line", Code.SIGN_ON, f"text comes: {heard.sound.value}; it begins {heard.text[:40]!r}",
        "a meter that wants a sign-on is read with optical://; a telegram (P1) is no DLMS", octets=len(heard.octets),
    )  # fmt: skip


def _beginning(heard: Heard) -> str:
    return heard.octets[:8].hex(" ").upper() + (" …" if len(heard.octets) > 8 else "")


def _speed_remedy(line: Line) -> str:
    if line.is_serial:
        return "all usual speeds were tried: look for the speed on the meter, and check the cabling"
    return "set the serial server to the meter's speed and parity"


_VERDICTS = (
    (Sound.OTHER, _other),
    (Sound.HDLC, _only_frames),
    (Sound.WRAPPER, _only_pdus),
    (Sound.SEVEN_BITS, _seven_bits),
    (Sound.IDENTIFICATION, _text),
    (Sound.TELEGRAM, _text),
    (Sound.MBUS, _mbus),
    (Sound.PARITY, _parity),
    (Sound.DAMAGED, _damaged),
    (Sound.SPEED, _speed),
    (Sound.UNKNOWN, _unknown),
)
