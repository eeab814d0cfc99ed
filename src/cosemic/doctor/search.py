"""The search for a meter on a line: open it, listen, find speed, framing and address. No secret is used here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace

from cosemic.doctor.addresses import candidates, describe
from cosemic.doctor.findings import Code, Finding, Plain, good, problem, remark
from cosemic.doctor.heard import SPEEDS, Heard, Sound, has_answer, identification, listen_to
from cosemic.doctor.keys import messages_of
from cosemic.doctor.knowledge import Answer, Associate, Attempt, Known, Limits, Open, Opened, Outcome, Reply, Say, Step
from cosemic.enums import AuthenticationMechanism
from cosemic.errors import LinkLost
from cosemic.link.addresses import HdlcAddress
from cosemic.link.control import DISC, SNRM, FrameKind, describe_reject
from cosemic.link.frames import HdlcFrame
from cosemic.link.parameters import HdlcParameters
from cosemic.transports.targets import Framing, Target

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
        words = [f"cosemic read {self.target} 8/0-0:1.0.0/2 --client {client} --server {self.server}"]
        if self.address is not None and self.address.physical is not None:
            words.append(f"--physical {self.address.physical} --address-size {len(self.address.octets)}")
        if mechanism:
            words.append(f"--auth {_AUTH.get(mechanism, int(mechanism))} …")
        return " ".join(words)


@dataclass(slots=True)
class Line:
    """The line under examination, and what was heard on it."""

    target: Target
    known: Known
    limits: Limits
    sounds: Counter[Sound] = field(default_factory=Counter)
    examples: dict[Sound, Heard] = field(default_factory=dict)
    pushes: list[bytes] = field(default_factory=list)
    echo: bool = False
    closed: int = 0
    sent: int = 0
    refused: str = ""
    """The address of a station that answered, though not with UA."""
    is_told: bool = False
    """Whether a finding says already why there is no way."""

    @property
    def is_serial(self) -> bool:
        """Whether speed and parity are ours to choose."""
        return self.target.scheme == "serial"

    def hear(self, answer: Answer, sent: bytes = b"") -> Heard:
        """Remember what an answer was."""
        heard = listen_to(answer.octets, sent)
        self.echo = self.echo or heard.echo
        self.closed += answer.closed
        if heard.sound is not Sound.NOTHING:
            self.sounds[heard.sound] += 1
            self.examples.setdefault(heard.sound, heard)
        return heard

    def wait(self, target: Target) -> float:
        """How long one answer of the search is waited for: shorter than in an association, as many stay away."""
        slow = 2 * 64 * 11 / target.baud if self.is_serial else 0.0
        return self.limits.patience / 2 + slow


Search = Generator[Step | Finding, Reply | None, Way | None]


def find_way(line: Line) -> Search:
    """Find how the meter is reached, or say why it is not."""
    if line.is_serial:
        way = yield from _on_serial(line)
    else:
        way = yield from _on_network(line)
    if way is None and not line.is_told:
        yield _verdict(line)
    return way


# -- ways --------------------------------------------------------------------------------------------------------------
def _on_network(line: Line) -> Search:
    target = line.target
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
        if not number and (yield from _sign_on(line)):
            line.is_told = True
            return None
    return None


def _open(line: Line, target: Target, what: str) -> Generator[Step | Finding, Reply | None, Finding | None]:
    reply = yield Open(f"{what} {target}", target)
    assert isinstance(reply, Opened)
    if reply.error is None:
        return None
    remedy = "check the device, its rights, and that no other program uses it"
    if not line.is_serial:
        remedy = "check host and port, and that the meter listens there and takes one more connection"
    return problem("open", Code.CANNOT_OPEN, f"{reply.error}", remedy, url=str(target))


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
    is_open = line.is_serial
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
            is_open = line.is_serial
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
def _sign_on(line: Line) -> Generator[Step | Finding, Reply | None, bool]:
    """The request of IEC 62056-21 at 300 baud, 7E1: an identification line means that the meter wants a sign-on."""
    setting = replace(line.target, baud=300, data_bits=7, parity="E")
    if (yield from _open(line, setting, "opening at 300 baud, 7E1")) is not None:
        return False  # the device cannot do 7E1
    request = b"/?!\r\n"
    seconds = line.limits.patience / 2 + 30 * 10 / 300
    reply = yield Say("sign-on request /?! (IEC 62056-21)", request, seconds, lambda came: came.count(b"\n") > 1)
    assert isinstance(reply, Answer)
    heard = line.hear(reply, request)
    if heard.sound not in (Sound.IDENTIFICATION, Sound.TELEGRAM):
        return False
    found = identification(heard.text)
    maker, speed, name = found if found is not None else ("", "", "")
    offered = SPEEDS.get(speed)
    text = f"it answers the sign-on of IEC 62056-21: maker {maker}, {name!r}"
    if offered:
        text += f", offers {offered} baud"
    yield problem(
        "sign-on", Code.SIGN_ON, text + "; HDLC follows only after the sign-on (mode E)",
        f"use optical://{line.target.device} in place of serial://", maker=maker, identification=name, baud=offered,
    )  # fmt: skip
    return True


# -- nothing found -----------------------------------------------------------------------------------------------------
def _verdict(line: Line) -> Finding:
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
        "address is not; or the meter only pushes, and cannot be asked", "give --physical, or use 'cosemic listen'",
        sources=sources,
    )  # fmt: skip


def _only_pdus(line: Line, heard: Heard) -> Finding:
    ports = ", ".join(dict.fromkeys(f"{pdu.source} to {pdu.destination}" for pdu in heard.pdus))
    return problem(
        "line", Code.NO_FRAME, f"wrapper PDUs come ({ports}), but none that answers us; the meter may only push",
        "check --client and --server, or use 'cosemic listen'", ports=ports,
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
