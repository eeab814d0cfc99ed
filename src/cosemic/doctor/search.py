"""The search for a meter on a line: open it, listen, find speed, framing and address. No secret is used here."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass, replace
from urllib.parse import quote

from cosemic.doctor.addresses import candidates, describe
from cosemic.doctor.findings import Code, Finding, Plain, good, problem, remark
from cosemic.doctor.heard import Heard, Sound, has_answer, identification, listen_to
from cosemic.doctor.keys import messages_of
from cosemic.doctor.knowledge import (
    KEPT,
    Answer,
    Associate,
    Attempt,
    Open,
    Opened,
    Outcome,
    Reply,
    Say,
    Step,
)
from cosemic.doctor.line import Line
from cosemic.doctor.verdicts import TLS_REMEDY, verdict
from cosemic.enums import AuthenticationMechanism
from cosemic.errors import LinkLost
from cosemic.link.addresses import HdlcAddress
from cosemic.link.control import DISC, SNRM, FrameKind, describe_reject
from cosemic.link.frames import HdlcFrame
from cosemic.link.parameters import HdlcParameters
from cosemic.link.signon_messages import SignOnOptions
from cosemic.transports.targets import Framing, Target, parse_url

PUBLIC_CLIENT, MANAGEMENT_CLIENT = 16, 1
_FIRST = 3  # candidates that are worth a second look
_AUTH = {
    AuthenticationMechanism.LLS: "lls",
    AuthenticationMechanism.HLS_MD5: "md5",
    AuthenticationMechanism.HLS_SHA1: "sha1",
    AuthenticationMechanism.HLS_GMAC: "gmac", AuthenticationMechanism.HLS_SHA256: "sha256",
    AuthenticationMechanism.HLS_ECDSA: "ecdsa",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How the meter is reached: something answered there, by the rules of this framing."""

    target: Target
    framing: Framing
    server: int
    address: HdlcAddress | None = None

    def __str__(self) -> str:
        where = f"{self.target}, logical device {self.server}"
        return where if self.address is None else f"{where}, HDLC address {describe(self.address)}"

    def facts(self) -> dict[str, Plain]:
        """For programs."""
        address = self.address
        return {
            "url": str(self.target),
            "framing": self.framing.value,
            "server": self.server,
            "physical": None if address is None else address.physical,
            "address_size": None if address is None else len(address.octets),
        }

    def command(self, client: int, mechanism: AuthenticationMechanism | None = None) -> str:
        """What to type to read this meter."""
        words = [f"cosemic read {_typed(self.target)} 8/0-0:1.0.0/2 --client {client} --server {self.server}"]
        if self.address is not None and self.address.physical is not None:
            words.append(f"--physical {self.address.physical} --address-size {len(self.address.octets)}")
        if mechanism:
            words.append(f"--auth {_AUTH.get(mechanism, int(mechanism))} …")
        return " ".join(words)


def _typed(target: Target) -> str:
    """The URL to type: with the files of TLS, which ``str`` leaves out."""
    tls = target.tls
    if tls is None:
        return str(target)
    named = {
        "ca": tls.ca_file,
        "certificate": tls.certificate_file,
        "key": tls.key_file,
        "server_name": tls.server_name,
    }
    settings = [f"{name}={quote(value, safe='/')}" for name, value in named.items() if value]
    settings += ["check_name=no"] if not tls.check_name else []
    settings += ["framing=hdlc"] if target.framing is Framing.HDLC else []
    return shlex.quote(f"{target}?{'&'.join(settings)}") if settings else str(target)


Search = Generator[Step | Finding, Reply | None, Way | None]


def find_way(line: Line) -> Search:
    """Find how the meter is reached, or say why it is not."""
    if line.is_serial:
        way = yield from _on_serial(line)
    else:
        way = yield from _on_network(line)
    if way is None and not line.is_told:
        yield verdict(line)
    return way


# -- ways --------------------------------------------------------------------------------------------------------------
def _on_network(line: Line) -> Search:
    target = line.target
    if target.framing is Framing.MBUS:
        line.is_told = True
        yield problem(
            "open", Code.INTERNAL, "wired M-Bus is not examined yet",
            f"try it: cosemic read {target} 8/0-0:1.0.0/2 -v, with the primary address of the meter in the URL",
        )  # fmt: skip
        return None
    opened = yield from _open(line, target, "opening")
    if opened is not None:
        yield opened
        line.is_told = True
        return None
    yield good("open", Code.OPENED, f"{target} takes connections", url=str(target))
    heard = yield from _listen(line, line.limits.listening)
    yield from _of_pushes(line, heard)
    if heard.sound is Sound.OTHER:
        return None
    framings = [target.framing]
    if target.scheme in ("tcp", "hdlc"):
        framings.append(Framing.HDLC if target.framing is Framing.WRAPPER else Framing.WRAPPER)
    if heard.sound is Sound.HDLC:
        framings.sort(key=lambda framing: framing is not Framing.HDLC)
    for framing in framings:
        scheme = target.scheme if framing is target.framing else "hdlc" if framing is Framing.HDLC else "tcp"
        other = replace(target, scheme=scheme, framing=framing)
        way = yield from (_by_hdlc(line, other) if framing is Framing.HDLC else _by_wrapper(line, other))
        if way is not None or line.sounds[Sound.OTHER]:
            return way
    if target.scheme in ("tcp", "hdlc"):
        return (yield from _by_sign_on(line, target))
    return None


def _on_serial(line: Line) -> Search:
    target = line.target
    speeds = [target.baud, *(speed for speed in line.limits.speeds if speed != target.baud)]
    for number, speed in enumerate(speeds):
        setting = replace(target, baud=speed)
        opened = yield from _open(line, setting, f"opening at {speed} baud, 8N1")
        if opened is not None:
            yield opened
            line.is_told = True
            return None
        if not number:
            yield good("open", Code.OPENED, f"{target} can be opened", url=str(target))
        heard = yield from _listen(line, line.limits.listening if not number else line.limits.listening / 4)
        yield from _of_pushes(line, heard)
        way = yield from _by_hdlc(line, setting, thorough=not number or heard.sound is Sound.HDLC)
        if way is not None:
            yield good("line", Code.SPEED, f"the meter answers at {speed} baud, 8N1", baud=speed)
            return way
        if not number:
            way = yield from _by_sign_on(line, replace(target, baud=300, data_bits=7, parity="E"))
            if way is not None or line.is_told:
                return way
    return None


def _open(line: Line, target: Target, what: str) -> Generator[Step | Finding, Reply | None, Finding | None]:
    reply = yield Open(f"{what} {target}", target)
    assert isinstance(reply, Opened)
    line.opened = target if reply.error is None else None
    if reply.error is None:
        return None
    remedy = "check the device, its rights, and that no other program uses it"
    if target.sign_on is not None:
        remedy = "check the optical head and how it sits; 'cosemic doctor serial://…' listens at other speeds too"
    elif not target.device:
        remedy = "check host and port, and that the meter listens there and takes one more connection"
    said = f"{reply.error}"
    if target.scheme == "tls" and ("certificate" in said or "TLS:" in said or "ended TLS" in said):
        return problem("open", Code.TLS, said, TLS_REMEDY, url=str(target))
    return problem("open", Code.CANNOT_OPEN, said, remedy, url=str(target))


def _listen(line: Line, seconds: float) -> Generator[Step | Finding, Reply | None, Heard]:
    if not seconds:
        return Heard(Sound.NOTHING, b"")
    reply = yield Say(f"listening for {seconds:g} s", b"", seconds, lambda octets: False)
    assert isinstance(reply, Answer)
    heard = line.hear(reply)
    if heard.sound in (Sound.HDLC, Sound.WRAPPER):
        line.pushes += messages_of(reply.octets)
    return heard


def _of_pushes(line: Line, heard: Heard) -> list[Finding]:
    if heard.sound in (Sound.HDLC, Sound.WRAPPER):
        count = len(heard.frames) or len(heard.pdus)
        return [
            remark(
                "listen", Code.PUSHES, f"it sends by itself: {count} {heard.sound.value} ({len(heard.octets)} octets)",
                "'cosemic listen' takes pushes", octets=len(heard.octets), framing=heard.sound.name.lower(),
            )
        ]  # fmt: skip
    if heard.sound is Sound.TELEGRAM:
        return [remark("listen", Code.PUSHES, "it sends text telegrams by itself (IEC 62056-21 mode D, DSMR P1)")]
    return []


# -- the wrapper -------------------------------------------------------------------------------------------------------
def _by_wrapper(line: Line, target: Target) -> Search:
    """An AARQ without a secret, as public client and as management client: any wrapper PDU in answer is a meter."""
    server = 1 if line.known.server is None else line.known.server
    for client in (PUBLIC_CLIENT, MANAGEMENT_CLIENT):
        attempt = Attempt(target, Framing.WRAPPER, client, server)
        what = f"AARQ without a secret in the wrapper, client {client} to server {server}"
        line.opened = None  # an association over a network has a stream of its own
        reply = yield Associate(what, attempt, line.limits.patience)
        assert isinstance(reply, Outcome)
        heard = line.hear(Answer(reply.received, closed=isinstance(reply.error, LinkLost)), reply.sent)
        if reply.associated or heard.sound is Sound.WRAPPER:
            yield good("wrapper", Code.WRAPPER, f"it speaks the wrapper (IEC 62056-47): {target}", url=str(target))
            return Way(target, Framing.WRAPPER, server)
        if heard.sound not in (Sound.NOTHING, Sound.ECHO):
            return None
    return None


# -- HDLC --------------------------------------------------------------------------------------------------------------
def _by_hdlc(line: Line, target: Target, *, thorough: bool = True) -> Search:
    """SNRM at likely addresses, as public client, then as others; UA, DM and FRMR all tell that there is a meter."""
    known = line.known
    addresses = candidates(known.server, known.physical, known.address_size, known.serial_number)
    clients = dict.fromkeys((PUBLIC_CLIENT, known.client or MANAGEMENT_CLIENT, MANAGEMENT_CLIENT))
    rounds = [(client, address, True) for client in list(clients)[:1] for address in addresses]
    rounds = rounds if thorough else rounds[:_FIRST]
    if thorough:
        rounds += [(PUBLIC_CLIENT, address, False) for address in addresses[:_FIRST]]
        rounds += [(client, address, True) for client in list(clients)[1:] for address in addresses[:_FIRST]]
    is_open = line.opened == target
    keeps = target.scheme in KEPT
    refused: set[tuple[int, bytes]] = set()
    hung_up = 0
    position = 0
    while position < len(rounds):
        client, address, with_parameters = rounds[position]
        position += 1
        if (client, address.octets) in refused:
            continue
        if not is_open:
            opened = yield from _open(line, target, "opening")
            if opened is not None:
                return None
            is_open = True
        frame = HdlcFrame(address, HdlcAddress(client), SNRM, HdlcParameters().encode() if with_parameters else b"")
        heard, closed = yield from _ask(line, target, frame, f"SNRM to {describe(address)} as client {client}")
        if closed:
            is_open = keeps
            hung_up += 1
            if hung_up > _FIRST and heard.sound is not Sound.HDLC:
                return None
        ours = (item for item in heard.frames if item.destination.logical == client)
        answer = next((item for item in ours if has_answer((item,))), None)
        if answer is None:
            if heard.sound is Sound.OTHER:
                return None
            continue
        found = answer.source if answer.source.logical else address
        if answer.kind is FrameKind.UNNUMBERED_ACKNOWLEDGEMENT:
            disconnect = HdlcFrame(found, HdlcAddress(client), DISC)
            yield from _ask(line, target, disconnect, f"DISC to {describe(found)}")
            yield good(
                "hdlc", Code.HDLC, f"it speaks HDLC (IEC 62056-46) at address {describe(found)}",
                server=found.logical, physical=found.physical, address_size=len(found.octets), client=client,
            )  # fmt: skip
            return Way(target, Framing.HDLC, found.logical, found)
        line.refused = line.refused or describe(found)
        yield _refusal(answer, found, client)
        refused.add((client, address.octets))
        rounds[position:position] = [(other, found, True) for other in clients if other != client]
        refused |= {(client, found.octets)}
    return None


def _ask(
    line: Line, target: Target, frame: HdlcFrame, what: str
) -> Generator[Step | Finding, Reply | None, tuple[Heard, bool]]:
    octets = frame.encode()
    reply = yield Say(what, octets, line.wait(target), lambda came: has_answer(listen_to(came, octets).frames))
    assert isinstance(reply, Answer)
    line.sent += 1
    heard = line.hear(reply, octets)
    frames = tuple(item for item in heard.frames if item.encode() != octets)
    return replace(heard, frames=frames), reply.closed


def _refusal(answer: HdlcFrame, address: HdlcAddress, client: int) -> Finding:
    meter = f"there is a meter at {describe(address)}, which answers client {client} with"
    if answer.kind is FrameKind.DISCONNECTED_MODE:
        return remark(
            "hdlc", Code.DISCONNECTED_MODE,
            f"{meter} DM: it does not take this client, or is busy with another one",
            "use another --client; wait, if it may be busy",
            server=address.logical, physical=address.physical, client=client,
        )  # fmt: skip
    return remark(
        "hdlc", Code.FRAME_REJECT, f"{meter} {describe_reject(answer.information)}", "",
        server=address.logical, physical=address.physical, client=client,
    )  # fmt: skip


# -- IEC 62056-21 ------------------------------------------------------------------------------------------------------
def _by_sign_on(line: Line, setting: Target) -> Search:
    """The request of IEC 62056-21 (at 300 baud, 7E1, where that is ours to choose), then the sign-on and HDLC."""
    if (yield from _open(line, setting, "opening for the sign-on,")) is not None:
        return None  # the device cannot do 7E1, or the port takes no further connection
    request = SignOnOptions().request
    seconds = line.limits.patience / 2 + (60 * 10 / 300 if line.is_serial else 0.0)
    what = "sign-on request /?! (IEC 62056-21)" + (" at 300 baud, 7E1" if line.is_serial else "")
    reply = yield Say(what, request, seconds, lambda came: b"\n" in came.replace(request, b""))
    assert isinstance(reply, Answer)
    heard = line.hear(reply, request)
    found = identification(heard.text) if heard.sound in (Sound.IDENTIFICATION, Sound.TELEGRAM) else None
    if found is None:
        return None
    text = f"it answers the sign-on of IEC 62056-21: maker {found.manufacturer}, {found.text!r}"
    text += f", offers {found.baud} baud" if found.baud else ""
    text += "; HDLC follows after the sign-on (mode E)" if found.offers_hdlc else "; it does not offer HDLC (mode E)"
    facts: dict[str, Plain] = {"maker": found.manufacturer, "identification": found.text, "baud": found.baud}
    optical = parse_url(_optical(line.target))
    yield remark("sign-on", Code.SIGN_ON, text, f"use {optical} in place of {line.target}", **facts)
    line.is_told = True
    opened = yield from _open(line, optical, "signing on at")
    if opened is not None:
        yield problem("sign-on", Code.SIGN_ON, f"the sign-on fails: {opened.text}", opened.remedy, **facts)
        return None
    way = yield from _by_hdlc(line, optical, thorough=True)
    if way is None:
        yield problem(
            "sign-on", Code.NO_FRAME, "the sign-on works, but no HDLC frame comes after it",
            "check --physical; some heads cannot follow the change of speed: set max_baud in the URL", **facts,
        )  # fmt: skip
    return way


def _optical(target: Target) -> str:
    """The URL of the same line with a sign-on."""
    if target.scheme == "serial":
        return f"optical://{target.device}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    scheme = "optical-rfc2217" if target.scheme == "rfc2217" else "optical-tcp"
    return f"{scheme}://{host}:{target.port}"
