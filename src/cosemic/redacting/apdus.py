"""APDUs of one conversation: masked in place, opened and sealed again, put together from blocks.

The walk of ``cosemic.explain`` takes each APDU apart; what it cannot understand it marks as such, and that is masked.
What is sealed, and what stands in blocks, is written back when all is done, for the end of a value may come late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cosemic.codec.axdr import decode_length
from cosemic.enums import ApduTag
from cosemic.errors import DecodeError
from cosemic.explain.annotations import INPUT, Cursor, Fault, Line, Page, Sensitivity
from cosemic.explain.apdus import walk_apdu
from cosemic.explain.ciphering import DEEPEST
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import walk_value
from cosemic.redacting.identifying import PUSHED, UNKNOWN, Member, is_moment
from cosemic.redacting.marks import Marks
from cosemic.redacting.scatter import Scatter
from cosemic.redacting.sealing import Opened, Sealing
from cosemic.redacting.texts import redact_text
from cosemic.redacting.values import Place, places, trees, value_node
from cosemic.security.suites import AUTHENTICATED, ENCRYPTED, TAG_LENGTH

_MOST_REQUESTS = 64
_DEEPEST = 8
_SECRET_FIELDS = frozenset(
    (
        "key ciphered data", "ephemeral public key", "signature of the ephemeral key", "signature", "wrapped key",
        "calling authentication value", "responding authentication value", "dedicated key",
    )
)  # fmt: skip
_TITLES = frozenset(("system title", "originator system title"))
_KNOWN_OPEN = frozenset(("conformance", "tag and length", "application context name", "mechanism name"))
_LONGEST_OPEN = 8
_LONGEST_LINE = 16
"""Octets of a name, a result or the like; what is longer holds something else."""
_NUMBER_HEADER, _SHORT_NUMBER = 4, 6
"""Tags and lengths around a number of ACSE; with them, one of two octets."""
_SERVICES = {
    "get-response": "get", "set-request": "set", "action-request": "action", "action-response": "action answer",
    "read-request": "read", "read-response": "read answer",
}  # fmt: skip
_PUT_TOGETHER = " blocks, put together"
_GENERAL_BLOCKS = "blocks, put together"
_PUSHES = frozenset(("data-notification", "information-report-request"))


@dataclass(slots=True)
class Talk:
    """What is remembered of one conversation: requests, blocks, a key that was carried."""

    conversation: Conversation = field(default_factory=Conversation)
    dedicated_key: bytes | None = field(default=None, repr=False)
    asked: dict[tuple[str, int], list[Member]] = field(default_factory=dict)
    blocks: dict[str, list[Scatter]] = field(default_factory=dict)
    general: dict[str, dict[int, Scatter]] = field(default_factory=dict)


@dataclass(slots=True)
class _Envelope:
    """The fields of a protected APDU, as far as they came by."""

    tag: str = ""
    title: bytes = b""
    start: int = 0
    header: Scatter | None = None
    header_before: bytes | None = field(default=None, repr=False)
    """What a tag may cover, as it was before it was masked."""
    control: int | None = None


class ApduRedactor:
    """Masks the APDUs of all conversations of a capture; ``finish`` writes back what was opened."""

    def __init__(self, marks: Marks, sealing: Sealing) -> None:
        self._marks = marks
        self._sealing = sealing
        self._later: list[Callable[[], None]] = []
        self._talks: list[Talk] = []

    def talk(self) -> Talk:
        """A conversation that begins."""
        talk = Talk()
        self._talks.append(talk)
        return talk

    def apdu(self, octets: Scatter, talk: Talk, nesting: int = 0) -> int:
        """Mask one APDU; how many octets it has. What is behind it stays as it is."""
        if nesting > _DEEPEST:
            self._marks.unknown(octets)
            return len(octets)
        whole = octets.read()
        page = Page(len(whole))
        cursor = Cursor(whole, page)
        conversation = talk.conversation
        conversation.nesting = DEEPEST  # so that the walk leaves what is inside a protected APDU to us
        try:
            walk_apdu(cursor, conversation)
        except Fault as fault:
            cursor.fail(fault)
        conversation.nesting = 0
        if conversation.dedicated_key is not None:
            talk.dedicated_key, conversation.dedicated_key = conversation.dedicated_key, None
        self._lines(page.lines, octets, talk, nesting)
        return cursor.position

    def value(self, octets: Scatter) -> None:
        """Mask a bare A-XDR value of nobody knows what."""
        whole = octets.read()
        page = Page(len(whole))
        cursor = Cursor(whole, page)
        try:
            walk_value(cursor)
            cursor.rest("further octets")
        except Fault as fault:
            cursor.fail(fault)
        self._lines(page.lines, octets, Talk(), 0)

    def repeated(self, first: Scatter, again: Scatter) -> None:
        """What came twice is masked once."""
        self._later.append(lambda: again.write(first.read()))

    def finish(self) -> None:
        """Write back what was opened, the inner before the outer; what never became whole is masked."""
        for talk in self._talks:
            for parts in (*talk.blocks.values(), *(list(blocks.values()) for blocks in talk.general.values())):
                for part in parts:
                    self._marks.unknown(part)
        self._marks.finish()
        for step in reversed(self._later):
            step()
        self._later.clear()
        self._talks.clear()

    # -- the lines of one APDU ----------------------------------------------------------------------------------------
    def _lines(self, lines: Sequence[Line], octets: Scatter, talk: Talk, nesting: int) -> None:
        buffers: dict[str, list[Line]] = {}
        for line in lines:
            buffers.setdefault(line.buffer, []).append(line)
        wholes: dict[str, tuple[Scatter, list[Member]]] = {INPUT: (octets, [])}
        for name, found in buffers.items():
            if name in wholes:
                whole, members = wholes.pop(name)
                self._buffer(found, whole, members, talk, nesting, buffers, wholes)

    def _buffer(
        self, lines: list[Line], octets: Scatter, members: list[Member], talk: Talk, nesting: int,
        buffers: dict[str, list[Line]], wholes: dict[str, tuple[Scatter, list[Member]]],
    ) -> None:  # fmt: skip
        envelope = _Envelope()
        tag = _tag(lines)
        own = self._members(lines, tag, talk) or members
        for number, line in enumerate(lines):
            if not line.length:
                continue
            part = octets.part(line.offset, line.length)
            if line.field == "tag":
                envelope = _Envelope(str(line.value), start=line.offset + line.length)
            elif line.field in _TITLES:
                envelope.title = _hex(line)
                self._marks.title(_tail(part, len(envelope.title)))
            elif line.field == "key information":
                fields = [item.octets for item in lines if envelope.start <= item.offset < line.offset and item.length]
                envelope.header_before = b"".join(fields)
                envelope.header = octets.part(envelope.start, line.offset - envelope.start)
            elif line.field == "security control":
                envelope.control = line.octets[0]
            elif line.field == "invocation counter" and envelope.control is not None:
                length = sum(item.length for item in lines[number + 1 : number + 3] if item.field in _CONTENT)
                content = octets.part(line.offset + 4, length)
                self._protected(content, int.from_bytes(line.octets, "big"), envelope, talk, nesting)
                envelope.control = None
            elif line.field == "raw data":
                self._block(_SERVICES.get(tag, ""), _tail(part, len(_hex(line))), own, talk, buffers, wholes)
            elif line.field == "block data":
                self._general_block(_after_length(part), lines, talk, buffers, wholes)
            elif line.field not in _CONTENT and value_node(line) is None:
                self._line(line, part)
        default = PUSHED if tag in _PUSHES or (tag.endswith("-request") and not tag.startswith("write")) else UNKNOWN
        for root in trees(lines):
            member = default
            if own and not root.name.startswith("access"):
                place = root.index or 0
                member = own[place] if place < len(own) else UNKNOWN
            for found in places(root, member, keep_texts=self._marks.keeps_texts):
                self._place(found, octets)

    def _line(self, line: Line, part: Scatter) -> None:
        """A line that is no value: what identifies and what nobody knows is masked."""
        inner = _hex(line)
        content = _tail(part, len(inner)) if inner else part
        if line.field in _SECRET_FIELDS:
            if inner:  # else a line about whether it is there
                self._marks.secret(content)
        elif line.field.endswith("title"):
            self._marks.title(content)
        elif line.sensitivity is Sensitivity.SECRET:
            if inner:
                self._marks.secret(content)
            else:
                self._marks.unknown(part)
        elif line.sensitivity is Sensitivity.IDENTITY or line.field in ("transaction id", "other information"):
            if inner[:1] == b"\x04" and len(inner) > 2 and inner[1] == len(inner) - 2:
                content = _tail(part, len(inner) - 2)
            self._marks.octets(content)
        elif line.field in ("date-time", "time"):
            if inner and not is_moment(inner):
                self._marks.octets(content)
        elif line.field.endswith("invocation id") and isinstance(line.value, int) and line.length > _SHORT_NUMBER:
            self._marks.number(_tail(part, line.length - _NUMBER_HEADER), signed=True)
        elif len(inner) > (_LONGEST_LINE if line.field in _KNOWN_OPEN else _LONGEST_OPEN):
            self._marks.octets(content)  # nobody said that this is harmless
        elif not inner and line.length > _LONGEST_LINE:
            self._marks.unknown(part.part(2, line.length))

    def _place(self, place: Place, octets: Scatter) -> None:
        part = octets.part(place.offset, place.length)
        if place.how == "secret":
            self._marks.secret(part)
        elif place.how == "number":
            self._marks.number(part, signed=place.is_signed)
        elif place.how == "kept":
            self._marks.kept(part, signed=place.is_signed)
        else:
            self._marks.octets(part)

    def _members(self, lines: list[Line], tag: str, talk: Talk) -> list[Member]:
        """What the values of an APDU belong to: its descriptors, or those of the request that it answers."""
        described = _described(lines)
        invoked = next((line.value for line in lines if "invoke-id-and-priority" in line.field), None)
        if not isinstance(invoked, int):
            return described
        service, _, kind = tag.partition("-")
        if described and kind == "request":
            while len(talk.asked) >= _MOST_REQUESTS:
                del talk.asked[next(iter(talk.asked))]
            talk.asked[service, invoked] = described
        return described or talk.asked.get((service, invoked), [])

    # -- protection ---------------------------------------------------------------------------------------------------
    def _protected(self, content: Scatter, counter: int, envelope: _Envelope, talk: Talk, nesting: int) -> None:
        control = envelope.control or 0
        payload = content.read()
        if not control & ENCRYPTED:
            size = max(len(payload) - (TAG_LENGTH if control & AUTHENTICATED else 0), 0)
            opened = self._open(control, counter, payload, envelope, talk) if control & AUTHENTICATED else None
            inner, tag = content.part(0, size), content.part(size, len(payload))
            if opened is None:
                self._marks.secret(tag)
            else:
                self._seal_later(content, inner, opened, control, counter, envelope)
            self._inside(inner, talk, nesting)
            return
        opened = self._open(control, counter, payload, envelope, talk)
        if opened is not None:
            inner = Scatter.over(bytearray(opened.plain))
            self._seal_later(content, inner, opened, control, counter, envelope)
            self._inside(inner, talk, nesting)

    def _open(self, control: int, counter: int, payload: bytes, envelope: _Envelope, talk: Talk) -> Opened | None:
        conversation = talk.conversation
        number = next((int(tag) for tag in ApduTag if tag.name.lower().replace("_", "-") == envelope.tag), 0)
        titles = [envelope.title] if len(envelope.title) == 8 else conversation.titles_for(number)
        titles += [title for title in self._sealing.titles if title not in titles and len(envelope.title) != 8]
        return self._sealing.open(
            control, counter, payload, titles, dedicated=talk.dedicated_key, is_dedicated=_is_dedicated(envelope.tag),
            header=envelope.header_before,
        )  # fmt: skip

    def _seal_later(
        self, content: Scatter, inner: Scatter, opened: Opened, control: int, counter: int, envelope: _Envelope
    ) -> None:
        title = self._marks.title_of(opened.title)

        def seal() -> None:
            header = b"" if envelope.header is None else envelope.header.read()
            sealed = self._sealing.seal(
                opened, control, counter, inner.read(), title, is_dedicated=_is_dedicated(envelope.tag), header=header
            )
            content.write(sealed)

        self._later.append(seal)

    def _inside(self, inner: Scatter, talk: Talk, nesting: int) -> None:
        if inner.part(0, 1).read() == b"/":
            redact_text(inner, self._marks)
            return
        end = self.apdu(inner, talk, nesting + 1) if len(inner) else 0
        self._marks.unknown(inner.part(end, len(inner)))

    # -- blocks -------------------------------------------------------------------------------------------------------
    def _block(
        self, service: str, block: Scatter, members: list[Member], talk: Talk, buffers: dict[str, list[Line]],
        wholes: dict[str, tuple[Scatter, list[Member]]],
    ) -> None:  # fmt: skip
        """A block of GET, SET, ACTION or Read; the walk has gathered it too, its state tells which one it is."""
        before = talk.blocks.pop(service, [])
        gathered = talk.conversation.blocks.get(service)
        name = service + _PUT_TOGETHER
        parts = [*before, block]
        if gathered is not None:
            if len(gathered) == len(block) and before:
                self._forget(before)
                parts = [block]
            talk.blocks[service] = parts
            return
        if name in buffers:
            size = max(line.offset + line.length for line in buffers[name])
            while parts and sum(map(len, parts)) > size:
                self._forget([parts.pop(0)])
            if sum(map(len, parts)) == size:
                wholes[name] = (Scatter.join(parts), members)
                return
        self._forget(parts)

    def _general_block(
        self, block: Scatter, lines: list[Line], talk: Talk, buffers: dict[str, list[Line]],
        wholes: dict[str, tuple[Scatter, list[Member]]],
    ) -> None:  # fmt: skip
        number = next((line.value for line in lines if line.field == "block number"), 0)
        blocks = talk.general.setdefault(talk.conversation.speaker, {})
        assert isinstance(number, int)
        if not len(block):
            return
        known = blocks.get(number)
        if number == 1 and (known is None or known.read() != block.read()):
            self._forget(list(blocks.values()))
            blocks.clear()
        elif known is not None:
            self.repeated(known, block)
            return
        blocks[number] = block
        if _GENERAL_BLOCKS in buffers:
            size = max(line.offset + line.length for line in buffers[_GENERAL_BLOCKS])
            whole = Scatter.join(blocks[key] for key in sorted(blocks))
            if len(whole) == size:
                wholes[_GENERAL_BLOCKS] = (whole, [])
            else:
                self._forget(list(blocks.values()))
            del talk.general[talk.conversation.speaker]

    def _forget(self, parts: list[Scatter]) -> None:
        for part in parts:
            self._marks.unknown(part)


_CONTENT = ("ciphertext", "information", "authentication tag")


def _tag(lines: list[Line]) -> str:
    """The innermost APDU whose fields stand here by themselves."""
    return next((str(line.value) for line in reversed(lines) if line.field == "tag"), "")


def _described(lines: list[Line]) -> list[Member]:
    """The descriptors of a service, not those within values."""
    depth = next((line.depth for line in reversed(lines) if line.field == "tag"), -1)
    found: list[Member] = []
    class_id, obis = 0, b""
    for line in lines:
        if line.depth != depth:
            continue
        if line.field == "class id":
            class_id = int.from_bytes(line.octets, "big")
        elif line.field == "instance id":
            obis = line.octets
        elif line.field in ("attribute", "method") and obis:
            found.append(Member(class_id, obis, int.from_bytes(line.octets, "big", signed=True), line.field))
    return found


def _is_dedicated(tag: str) -> bool:
    return tag.startswith(("ded-", "general-ded"))


def _hex(line: Line) -> bytes:
    """The octets that a line shows as its value."""
    if not isinstance(line.value, str):
        return b""
    try:
        octets = bytes.fromhex(line.value)
    except ValueError:
        return b""
    return octets if octets and line.octets.endswith(octets) else b""


def _tail(part: Scatter, length: int) -> Scatter:
    return part.part(len(part) - length, length)


def _after_length(part: Scatter) -> Scatter:
    try:
        length, start = decode_length(part.read(), 0)
    except DecodeError:
        return part
    return part.part(start, length)
