"""The fuzz targets: each takes octets and returns; whatever it raises is a violation.

Targets for decoders and their like are here, those for links and sessions, which play a script, in ``fuzz.talks``.
A decoder may raise ``DlmsError`` and nothing else; readers of text ``ValueError``. What is accepted must survive the
way back: encoding it and decoding again gives the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from cosemic.apdu.base import decode_apdu, encode_apdu
from cosemic.apdu.protected import unwrap_ciphered
from cosemic.codec import axdr, ber
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem import procedures
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import DataAccessResult, DataType, Role
from cosemic.errors import DecodeError, DlmsError, FrameError
from cosemic.explain import Explainer, Keys, explain, explain_text
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.parameters import HdlcParameters
from cosemic.link.wrapper import WrapperPdu, WrapperReader
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, SetResults
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.times import CosemDate, CosemDateTime, CosemTime
from cosemic.tolerances import ALL, DEFAULT, STRICT
from fuzz import captures, profiles, push_decoders, push_security, streams, talks, ways
from fuzz.pieces import Pieces
from fuzz.violation import ViolationError, require

Target = Callable[[bytes], None]


def axdr_values(data: bytes) -> None:
    """Plain and typed decoding agree on what is valid and what it means; typed values give their octets back."""
    plain: object = _NOTHING
    typed: Typed | None = None
    try:
        plain = axdr.decode(data)
    except DecodeError as error:
        _sane(error, data)
    try:
        typed = axdr.decode_typed(data)
    except DecodeError as error:
        _sane(error, data)
    require((plain is _NOTHING) == (typed is None), "decode and decode_typed disagree about validity", plain, typed)
    try:
        value, end = axdr.decode_prefix(b"\xff\x00" + data + b"\x00", 2)
        if plain is not _NOTHING:
            require(end == len(data) + 2, "decode_prefix ends elsewhere than decode", end)
            require(repr(value) == repr(plain), "decode_prefix and decode differ", value, plain)
    except DecodeError:
        require(plain is _NOTHING, "decode_prefix refuses what decode accepts")
    if typed is None:
        return
    require(axdr.encode(typed) == data, "encode does not give the octets back", axdr.encode(typed).hex())
    require(repr(_plain(typed)) == repr(plain), "decode and decode_typed differ", plain, typed)
    rebuilt = _rebuilt(typed)
    again = axdr.decode(axdr.encode(rebuilt))
    require(repr(again) == repr(plain), "the canonical octets mean something else", again, plain)
    axdr.describe(typed)
    require(Data.decode(data).typed.type == typed.type, "Data has another type")


def data_values(data: bytes) -> None:
    """``Data`` takes the octets of one value and no more."""
    try:
        value, end = Data.decode_prefix(data, 0)
    except DecodeError:
        try:
            Data.decode(data)
        except DecodeError:
            return
        raise ViolationError("Data.decode accepts what decode_prefix refuses") from None
    require(value.octets == data[:end], "Data keeps other octets")
    require(Data.decode(data[:end]) == value, "Data.decode differs from decode_prefix")
    require(repr(Data(data[:end]).value) == repr(value.value), "the value differs when it is decoded late")
    repr(value)


def axdr_text(data: bytes) -> None:
    """Values written by people: ValueError, or a value that can be encoded."""
    names = [axdr.type_name(kind) for kind in DataType] + ["", "double-long-", "DOUBLE-LONG"]
    if not data:
        return
    text = data[1:].decode("utf-8", "replace")
    try:
        typed = axdr.from_text(names[data[0] % len(names)], text)
    except ValueError:
        return
    octets = axdr.encode(typed)
    require(axdr.encode(axdr.decode_typed(octets)) == octets, "a value from text does not round-trip", text)
    axdr.describe(typed)


def apdus(data: bytes) -> None:
    """Whatever is accepted has canonical octets that mean the same; what is accepted strictly is always accepted."""
    before: object = None
    for tolerances in (STRICT, DEFAULT, ALL):
        try:
            apdu = decode_apdu(data, tolerances=tolerances)
        except DecodeError as error:
            require(before is None, "a tolerance makes an APDU invalid", before)
            require(error.octets == data, "the error names other octets", error.octets)
            _sane(error, data)
            continue
        require(before is None or apdu == before, "a tolerance changes the meaning", before, apdu)
        before = apdu
        repr(apdu)
        octets = encode_apdu(apdu)
        again = decode_apdu(octets, tolerances=tolerances)
        require(again == apdu, "the canonical octets mean something else", apdu, again, octets.hex())
        require(encode_apdu(again) == octets, "encoding is not stable", octets.hex())


def envelopes(data: bytes) -> None:
    """The short way into ciphered APDUs."""
    try:
        tag, title, content = unwrap_ciphered(data)
    except DlmsError:
        return
    require(len(content) <= len(data) and content in data, "the content is not of these octets", tag, title)


def ber_elements(data: bytes) -> None:
    """A walk through all elements, into the constructed ones too."""
    try:
        places = [(0, len(data))]
        while places:
            start, end = places.pop()
            while start < end:
                tag, inner, after = ber.decode_header(data, start, end)
                require(start < inner <= after <= end, "an element leaves its place", start, inner, after, end)
                content = data[inner:after]
                if len(content) < 0x80:  # longer ones may have come with a length of another form
                    require(ber.encode(tag, content)[-len(content) - 1 :][1:] == content, "BER is not inverse")
                if tag & 0x20:
                    places.append((inner, after))
                elif tag == ber.INTEGER:
                    number = ber.decode_integer(content, "number")
                    require(ber.decode_integer(ber.encode_integer(number), "number") == number, "INTEGER differs")
                start = after
    except DecodeError as error:
        _sane(error, data)
    try:
        ber.decode_only(data, 0, len(data), ber.OCTET_STRING, "octets")
    except DecodeError as error:
        _sane(error, data)


def hdlc_frames(data: bytes) -> None:
    """One frame, and one address."""
    try:
        address, end = HdlcAddress.decode(data)
        require(address.encode() == data[:end], "an address gives other octets", address)
    except FrameError:
        pass
    try:
        frame = HdlcFrame.decode(data)
    except FrameError:
        return
    str(frame.destination), str(frame.source), frame.kind, frame.send_number, frame.receive_number, frame.poll_final
    again = HdlcFrame.decode(frame.encode())
    require(again == frame, "the canonical frame means something else", frame, again)


def hdlc_made_frames(data: bytes) -> None:
    """The same with correct check sequences, which mutation hardly ever makes."""
    for octets in repaired(data):
        hdlc_frames(octets)


def frame_reader(data: bytes) -> None:
    """A stream gives the same items however it is cut; buffers stay small; no octet is lost without a word."""
    if not data:
        return
    seed, stream = data[0], data[1:]
    if seed & 1:
        stream = b"".join(repaired(stream))
    reader = FrameReader()
    whole = reader.feed(stream) + reader.expire()
    reader = FrameReader()
    cut = []
    for chunk in chunks(stream, seed >> 1):
        cut += reader.feed(chunk)
        require(len(reader._buffer) + len(reader._skipped) <= 2 * 2049 + len(chunk), "the buffer grows")
    cut += reader.expire()
    require(_joined(whole) == _joined(cut), "the cut of the stream changes the outcome", whole, cut)
    require(not reader.is_partial, "something is left after silence")


def wrapper(data: bytes) -> None:
    """Wrapper PDUs from a stream that is cut anywhere."""
    if not data:
        return
    seed, stream = data[0], data[1:]
    try:
        pdu = WrapperPdu.decode(stream)
        require(pdu.encode() == stream, "a wrapper PDU is not inverse", pdu)
    except FrameError:
        pass
    limit = 0xFFFF if seed & 1 else 64
    whole = WrapperReader(limit).feed(stream)
    reader = WrapperReader(limit)
    cut = [item for chunk in chunks(stream, seed >> 1) for item in reader.feed(chunk)]
    require(list(map(repr, whole)) == list(map(repr, cut)), "the cut of the stream changes the outcome", whole, cut)


def hdlc_parameters(data: bytes) -> None:
    """The parameter field of SNRM and UA."""
    try:
        parameters = HdlcParameters.decode(data)
    except FrameError:
        return
    require(HdlcParameters.decode(parameters.encode()) == parameters, "parameters are not inverse", parameters)
    HdlcParameters().negotiate(parameters)


def times(data: bytes) -> None:
    """Dates and times of any octets, there and back, and as text."""
    for kind, size in ((CosemDateTime, 12), (CosemDate, 5), (CosemTime, 4)):
        for octets in (data, data[:size].ljust(size, b"\x01")):
            try:
                value = kind.from_bytes(octets)
            except ValueError:
                require(len(octets) != size, "octets of the right number are refused", kind, octets.hex())
                continue
            require(bytes(value) == octets, "the octets change", kind, octets.hex(), bytes(value).hex())
            str(value), repr(value)
            for method in ("to_datetime", "to_date", "to_time", "isoformat"):
                with contextlib.suppress(ValueError):
                    getattr(value, method, str)()
            if isinstance(value, CosemDateTime):
                bytes(value.date), bytes(value.time)


def obis(data: bytes) -> None:
    """OBIS codes from text and octets."""
    for form in (data, data.decode("utf-8", "replace"), data.decode("latin-1")):
        try:
            code = ObisCode.parse(form)
        except ValueError:
            continue
        require(ObisCode.parse(str(code)) == ObisCode.parse(bytes(code)) == ObisCode.parse(code.dotted) == code, "obis")
        code.describe()
        try:
            code.matches(form)
        except ValueError:
            continue


def security_open(data: bytes) -> None:
    """Octets without the key's tag never open, and leave no trace; with the key, only in order."""
    if not data:
        return
    kind, content = data[0], data[1:]
    policy = SecurityPolicy((1 + kind % 3) << 4) if kind & 4 else SecurityPolicy.AUTHENTICATED_ENCRYPTED
    sender = AssociationSecurity(_context(talks.CLIENT_TITLE), role=Role.CLIENT, peer_system_title=talks.METER_TITLE)
    receiver = AssociationSecurity(
        _context(talks.METER_TITLE, policy=policy),
        role=Role.SERVER,
        peer_system_title=talks.CLIENT_TITLE if kind & 8 else None,
    )
    if kind & 16:
        receiver.set_dedicated_key(bytes(16))
    proven = policy & SecurityPolicy.AUTHENTICATED
    title = content[:8] if kind & 32 else talks.CLIENT_TITLE
    try:
        receiver.open(content, dedicated=bool(kind & 16), system_title=title)
        require(not proven, "a message without a valid tag was opened")
    except DlmsError:
        require(receiver.last_received is None, "a refused message moved the counter")
    for call in (receiver.verify_gmac, sender.verify_gmac):
        try:
            call(content, b"challenge")
            raise ViolationError("an HLS reply without a valid tag was accepted")
        except DlmsError:
            pass
    # with the key: what is sealed opens, and altered by the rest of the input it does not
    receiver = AssociationSecurity(_context(talks.METER_TITLE), role=Role.SERVER, peer_system_title=talks.CLIENT_TITLE)
    sealed = sender.protect(content)
    altered = bytearray(sealed)
    altered[len(content) * 7 % len(sealed)] ^= kind or 1
    try:
        receiver.open(bytes(altered))
        raise ViolationError("an altered message was opened")
    except DlmsError:
        pass
    require(receiver.open(sealed) == content, "a sealed message opens to something else")
    try:
        receiver.open(sealed)
        raise ViolationError("a repeated message was opened")
    except DlmsError:
        pass


def meter_values(data: bytes) -> None:
    """Values of a meter that are not what the client expects: registers, clock, object list, profile."""
    pieces = Pieces(data)
    kind = pieces.octet()
    answers = list(_answers(pieces))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    makers: list[Callable[[], procedures.Procedure[object]]] = [
        lambda: procedures.read_register("1-0:1.8.0*255", with_list=bool(kind & 64)),
        lambda: procedures.read_clock(),
        lambda: procedures.read_objects(),
        lambda: procedures.read_profile("1-0:99.1.0*255", repeat_nulls=bool(kind & 64)),
        lambda: procedures.read_profile("1-0:99.1.0*255", start=start, end=start + timedelta(1)),
        lambda: procedures.read_profile("1-0:99.1.0*255", last=5, scale=False),
        lambda: procedures.read_profile("1-0:99.1.0*255", columns=["1-0:1.8.0*255"], start=start),
    ]
    try:
        result = _drive(makers[kind % len(makers)](), answers)
        repr(result)
        to_dicts = getattr(result, "to_dicts", None)
        if to_dicts is not None:
            to_dicts()
    except DlmsError as error:
        str(error)
    except ValueError as error:
        if "no column" not in str(error):  # the caller asks for a column, and this profile has others
            raise
    with contextlib.suppress(DlmsError):
        ScalerUnit.from_value(answers[0].value if answers and isinstance(answers[0], Data) else None)


def explaining(data: bytes) -> None:
    """``explain`` never raises, with keys or without, in one piece or in several."""
    keys = Keys(talks.ENCRYPTION_KEY, talks.AUTHENTICATION_KEY, (talks.CLIENT_TITLE, talks.METER_TITLE))
    for explanation in (explain(data), explain(data, keys=keys)):
        explanation.to_text()
        bool(explanation.ok), explanation.fault
    explainer = Explainer(keys)
    for chunk in chunks(data, len(data)):
        explainer.explain(chunk).to_text()
    with contextlib.suppress(ValueError):
        explain_text(data.decode("latin-1"), keys=keys).to_text()
    explain_text(f"> {data.hex()}\n< {data.hex(' ')}").to_text()


TARGETS: dict[str, Target] = {
    "axdr": axdr_values,
    "data": data_values,
    "text": axdr_text,
    "apdu": apdus,
    "envelope": envelopes,
    "ber": ber_elements,
    "frame": hdlc_frames,
    "made-frame": hdlc_made_frames,
    "frame-reader": frame_reader,
    "wrapper": wrapper,
    "parameters": hdlc_parameters,
    "times": times,
    "obis": obis,
    "security": security_open,
    "meter-values": meter_values,
    "explain": explaining,
    **talks.TARGETS,
    **ways.TARGETS,
    **profiles.TARGETS,
    **captures.TARGETS,
    **push_security.TARGETS,
    **push_decoders.TARGETS,
    **streams.TARGETS,
}
"""Every target by name."""


def repaired(data: bytes) -> list[bytes]:
    """Frames with lengths and check sequences made right: pieces of ``data`` are addresses, control, information."""
    pieces = Pieces(data)
    found = []
    while pieces:
        shape = pieces.octet()
        address = HdlcAddress(pieces.octet() >> 1) if shape & 1 else HdlcAddress(1, 17)
        source = HdlcAddress(16)
        if shape & 2:
            address, source = source, address
        if shape & 4:
            address = HdlcAddress(1, 17, 4)
        frame = HdlcFrame(address, source, pieces.octet(), pieces.short(), bool(shape & 8))
        octets = frame.encode()
        found.append(octets[: -1 - (shape >> 4 & 3)] if shape & 0x80 else octets)
    return found


def chunks(data: bytes, seed: int) -> Iterator[bytes]:
    """``data`` in pieces of odd sizes that follow from ``seed``; 0 means octet by octet."""
    position = 0
    while position < len(data):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF if seed else 0
        size = 1 + (seed >> 16) % 19 if seed else 1
        yield data[position : position + size]
        position += size


_NOTHING = object()


def _sane(error: DecodeError, data: bytes) -> None:
    require(error.offset is None or 0 <= error.offset <= max(len(data), len(error.octets or b"")), "offset", error)
    require(len(str(error)) < 500, "an error as long as its input", str(error))


def _plain(typed: Typed) -> object:
    if typed.type is DataType.ARRAY:
        return [_plain(item) for item in typed.value]  # type: ignore[union-attr]
    if typed.type is DataType.STRUCTURE:
        return tuple(_plain(item) for item in typed.value)  # type: ignore[union-attr]
    return typed.value


def _rebuilt(typed: Typed) -> Typed:
    """The same value without the octets it came from, so that encoding really encodes."""
    if typed.type is DataType.ARRAY or typed.type is DataType.STRUCTURE:
        return Typed(typed.type, tuple(_rebuilt(item) for item in typed.value))  # type: ignore[union-attr]
    return typed if typed.type is DataType.COMPACT_ARRAY else Typed(typed.type, typed.value)


def _joined(items: list[object]) -> list[object]:
    return [item if isinstance(item, HdlcFrame) else repr(item) for item in items]


def _context(title: bytes, policy: SecurityPolicy = SecurityPolicy.AUTHENTICATED_ENCRYPTED) -> SecurityContext:
    return SecurityContext(0, title, talks.ENCRYPTION_KEY, talks.AUTHENTICATION_KEY, policy, MemoryCounters())


def _answers(pieces: Pieces) -> Iterator[Data | int]:
    """The values that the octets hold one after another; what is no value becomes a data-access result, 32 times."""
    rest = pieces.rest()
    offset = refused = 0
    while offset < len(rest) and refused < 32:
        try:
            value, offset = Data.decode_prefix(rest, offset)
            yield value
        except DecodeError:
            yield rest[offset]
            offset += 1
            refused += 1


def _drive(procedure: procedures.Procedure[object], answers: list[Data | int]) -> object:
    place = 0
    try:
        request = next(procedure)
        for _ in range(100):
            results: list[Data | int] = []
            for _ in request.items:
                results.append(answers[place % len(answers)] if answers else DataAccessResult.OBJECT_UNDEFINED)
                place += 1
            if isinstance(request, Get):
                request = procedure.send(GetResults(tuple(results)))
            elif isinstance(request, Action):
                request = procedure.send(ActionResults(()))
            else:
                request = procedure.send(SetResults(tuple(r if isinstance(r, int) else 0 for r in results)))
    except StopIteration as stop:
        return stop.value
    raise ViolationError("a procedure does not end")


__all__ = ["TARGETS", "Target", "chunks", "repaired"]
