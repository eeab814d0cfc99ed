"""Read, Write and UnconfirmedWrite: exchanges, serving, both of them joined, and what must not pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.notify import InformationReportRequest
from cosemic.apdu.services import (
    ActionOutcome,
    AttributeDescriptor,
    BlockNumber,
    BlockNumberAccess,
    ConfirmedServiceError,
    DataBlockResult,
    GetRequestNormal,
    GetResponseNormal,
    MethodDescriptor,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    SelectiveAccess,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.short_names import CURRENT_ASSOCIATION, NamedObject, ShortNameTable
from cosemic.enums import (
    ActionResult,
    ApplicationContext,
    AuthenticationMechanism,
    Conformance,
    DataAccessResult,
    Referencing,
)
from cosemic.errors import (
    AuthenticationError,
    ConfirmedServiceErrorReceived,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
    SequenceError,
)
from cosemic.protocol import short_name_exchange
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, Failed, Notified, Requested
from cosemic.protocol.redaction import Redactor
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.protocol.short_name_serving import ShortNameServing
from cosemic.protocol.short_naming import ONLY_LOGICAL_NAMES, SHORT_NAME_CONFORMANCE
from cosemic.protocol.states import State
from cosemic.protocol.terms import Exchange, Terms
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.pair.support import CLIENT_TITLE, ECHO, ENERGY, METER_TITLE, PROFILE, ROWS, Application, security

NAMES = ShortNameTable(
    [
        NamedObject(0xFA00, 12, 2, CURRENT_ASSOCIATION),
        NamedObject(0x0100, 3, 0, ENERGY),
        NamedObject(0x0200, 7, 1, PROFILE),
        NamedObject(0x0300, 1, 0, ECHO),
        NamedObject(0x0400, 9, 0, ECHO),
    ]
)
VALUE, UNIT, BUFFER, TEXT = (
    AttributeDescriptor(3, ENERGY, 2),
    AttributeDescriptor(3, ENERGY, 3),
    AttributeDescriptor(7, PROFILE, 2),
    AttributeDescriptor(1, ECHO, 2),
)
CALL = MethodDescriptor(9, ECHO, 1)
MISSING = AttributeDescriptor(3, PROFILE, 2)
NUMBER = Data.of(axdr.double_long_unsigned(16))
LONG = Data.of(axdr.octet_string(bytes(range(200))))
NULL = Data.of(None)


def octets(text: str) -> Apdu:
    return decode_apdu(bytes.fromhex(text))


def terms(room: int = 1 << 16, without: Conformance = Conformance.NONE, **options: object) -> Terms:
    conformance = int(SHORT_NAME_CONFORMANCE & ~without)
    return Terms(lambda: 0, room, conformance, 1 << 20, DEFAULT, lambda: 0, short_names=NAMES, **options)  # type: ignore[arg-type]


def start(request: Request, own: Terms | None = None) -> Exchange:
    return short_name_exchange.start(request, terms() if own is None else own, NAMES)


def play(steps: Exchange, *dialogue: tuple[Apdu, Apdu]) -> Result:
    """Answer what an exchange sends; each APDU has to be the one that is expected."""
    try:
        sent = next(steps)
        for expected, answer in dialogue:
            assert sent == expected, sent
            sent = steps.send(answer)
    except StopIteration as done:
        return done.value
    raise AssertionError(f"the exchange goes on: {sent}")


def get(*items: AttributeDescriptor | tuple[AttributeDescriptor, SelectiveAccess]) -> Get:
    return Get(tuple(item if isinstance(item, tuple) else (item, None) for item in items))


def write(*items: tuple[AttributeDescriptor, Data]) -> Set:
    return Set(tuple((at, None) for at, _ in items), tuple(value for _, value in items))


# The client's exchanges


def test_a_get_is_a_read() -> None:
    result = play(start(get(VALUE)), (octets("0501020108"), octets("0c01000600000010")))
    assert result == GetResults((NUMBER,))


def test_the_answer_of_a_list(  # the octets are those of the collection, constructed:sn-read-response-two
) -> None:
    dialogue = (octets("0502020108020300"), octets("0c020006000000100104"))
    text = AttributeDescriptor(1, ECHO, 1)
    assert play(start(get(VALUE, text)), dialogue) == GetResults((NUMBER, DataAccessResult.OBJECT_UNDEFINED))


def test_a_range_is_parameterized_access() -> None:
    """The selector and its structure as in constructed:sn-read-parameterized."""
    request = octets(
        "050104fa08010204020412000809060000010000ff0f02120000090c07e9010103000000ff800000090c07e9010204000000ff8000000100"
    )
    assert isinstance(request, ReadRequest)
    (specification,) = request.specifications
    assert isinstance(specification, ParameterizedAccess)
    access = SelectiveAccess(specification.selector, specification.parameter)
    expected = ReadRequest((ParameterizedAccess(0x0208, access.selector, access.parameters),))
    assert play(start(get((BUFFER, access))), (expected, ReadResponse((NUMBER,)))) == GetResults((NUMBER,))


def test_a_set_is_a_write() -> None:
    request = WriteRequest((VariableName(0x0308),), (Data.of(axdr.unsigned(5)),))
    assert request.encode().hex() == "060102030801" + "1105"
    result = play(start(write((TEXT, Data.of(axdr.unsigned(5))))), (request, octets("0d0100")))
    assert result == SetResults((DataAccessResult.SUCCESS,))


def test_a_list_is_written_at_once() -> None:
    request = WriteRequest((VariableName(0x0108), VariableName(0x0308)), (NUMBER, NULL))
    result = play(start(write((VALUE, NUMBER), (TEXT, NULL))), (request, octets("0d02000103")))
    assert result == SetResults((DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED))


def test_a_method_with_parameters_is_a_read() -> None:
    request = ReadRequest((ParameterizedAccess(0x0420, 0, NUMBER),))
    for answer, outcome in (
        (NULL, ActionOutcome(ActionResult.SUCCESS, None)),
        (LONG, ActionOutcome(ActionResult.SUCCESS, LONG)),
        (DataAccessResult.READ_WRITE_DENIED, ActionOutcome(ActionResult.READ_WRITE_DENIED, None)),
    ):
        result = play(start(Action((CALL,), (NUMBER,))), (request, ReadResponse((answer,))))
        assert result == ActionResults((outcome,))


def test_a_method_without_parameters_is_a_write() -> None:
    request = WriteRequest((VariableName(0x0420),), (NULL,))
    result = play(start(Action((CALL,), (None,))), (request, WriteResponse((DataAccessResult.TYPE_UNMATCHED,))))
    assert result == ActionResults((ActionOutcome(ActionResult.TYPE_UNMATCHED, None),))


def test_without_parameterized_access_a_method_is_a_write() -> None:
    own = terms(without=Conformance.PARAMETERIZED_ACCESS)
    request = WriteRequest((VariableName(0x0420),), (NUMBER,))
    result = play(start(Action((CALL,), (NUMBER,)), own), (request, WriteResponse((DataAccessResult.SUCCESS,))))
    assert result == ActionResults((ActionOutcome(ActionResult.SUCCESS, None),))


def test_methods_keep_their_order() -> None:
    methods = (CALL, CALL, CALL, CALL)
    one, two = (
        ReadRequest((ParameterizedAccess(0x0420, 0, NUMBER),) * 2),
        WriteRequest((VariableName(0x0420),), (NULL,)),
    )
    three = ReadRequest((ParameterizedAccess(0x0420, 0, LONG),))
    result = play(
        start(Action(methods, (NUMBER, NUMBER, None, LONG))),
        (one, ReadResponse((NULL, DataAccessResult.OTHER_REASON))),
        (two, WriteResponse((DataAccessResult.SUCCESS,))),
        (three, ReadResponse((LONG,))),
    )
    codes = [outcome.result for outcome in result.results]  # type: ignore[union-attr]
    assert codes == [0, 250, 0, 0]


def test_unlisted_objects_are_not_asked_for() -> None:
    wrong = DataAccessResult.OBJECT_CLASS_INCONSISTENT
    assert play(start(get(MISSING))) == GetResults((wrong,))
    assert play(start(write((MISSING, NULL)))) == SetResults((wrong,))
    call = MethodDescriptor(3, PROFILE, 1)
    assert play(start(Action((call,), (None,)))) == ActionResults((ActionOutcome(ActionResult(9), None),))
    mixed = start(get(MISSING, VALUE, MISSING))
    answer = ReadResponse((NUMBER,))
    assert play(mixed, (ReadRequest((VariableName(0x0108),)), answer)) == GetResults((wrong, NUMBER, wrong))


def test_lists_are_cut_to_the_pdu_size() -> None:
    """Two octets and three for each name: four fit into 14."""
    parts = [ReadRequest((VariableName(0x0108),) * count) for count in (4, 4, 2)]
    dialogue = [(part, ReadResponse((NUMBER,) * len(part.specifications))) for part in parts]
    assert all(len(part.encode()) <= 14 for part in parts)
    assert play(start(get(*[VALUE] * 10), terms(14)), *dialogue) == GetResults((NUMBER,) * 10)
    write_parts = [WriteRequest((VariableName(0x0108),) * count, (NUMBER,) * count) for count in (1, 1)]
    writes = [(part, WriteResponse((DataAccessResult.SUCCESS,))) for part in write_parts]
    assert play(start(write((VALUE, NUMBER), (VALUE, NUMBER)), terms(16)), *writes) == SetResults(
        (DataAccessResult(0),) * 2
    )


def test_without_multiple_references_one_by_one() -> None:
    own = terms(without=Conformance.MULTIPLE_REFERENCES)
    one = (ReadRequest((VariableName(0x0108),)), ReadResponse((NUMBER,)))
    assert play(start(get(VALUE, VALUE), own), one, one) == GetResults((NUMBER, NUMBER))


def blocks(data: bytes, size: int) -> list[tuple[Apdu, Apdu]]:
    """The dialogue of a long answer, after the first request."""
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    results = [DataBlockResult(n == len(chunks), n, chunk) for n, chunk in enumerate(chunks, 1)]
    requests: list[Apdu] = [ReadRequest((VariableName(0x0208),))]
    requests += [ReadRequest((BlockNumberAccess(n),)) for n in range(1, len(chunks))]
    return [(request, ReadResponse((result,))) for request, result in zip(requests, results, strict=True)]


@pytest.mark.parametrize(
    "value",
    [
        LONG,
        Data.of(ROWS),
        Data.of(axdr.array()),
        Data.of(axdr.array(axdr.null_data())),
        Data.of(axdr.array(axdr.unsigned(1))),
    ],
)
@pytest.mark.parametrize("head", ["", "0100"])
def test_a_long_answer_in_both_readings(value: Data, head: str) -> None:
    """The bare value (Gurux, pydlms-client) and a list of one result (jDLMS)."""
    dialogue = blocks(bytes.fromhex(head) + value.octets, 50)
    assert play(start(get(BUFFER)), *dialogue) == GetResults((value,))


def test_a_long_answer_to_a_list() -> None:
    data = bytes.fromhex("0300") + LONG.octets + bytes.fromhex("0103") + b"\x00" + NUMBER.octets
    (_, first), *rest = blocks(data, 64)
    request = ReadRequest((VariableName(0x0208), VariableName(0x0308), VariableName(0x0108)))
    result = play(start(get(BUFFER, TEXT, VALUE)), (request, first), *rest)
    assert result == GetResults((LONG, DataAccessResult.READ_WRITE_DENIED, NUMBER))


def test_a_refused_block_ends_a_long_answer() -> None:
    (request, first), *_ = blocks(LONG.octets, 50)
    refused = ReadResponse((DataAccessResult.DATA_BLOCK_NUMBER_INVALID,))
    result = play(start(get(BUFFER)), (request, first), (ReadRequest((BlockNumberAccess(1),)), refused))
    assert result == GetResults((DataAccessResult.DATA_BLOCK_NUMBER_INVALID,))


@pytest.mark.parametrize("number", [0, 1, 3])
def test_block_numbers_are_checked(number: int) -> None:
    (request, first), *_ = blocks(LONG.octets, 50)
    wrong = ReadResponse((DataBlockResult(False, number, b"x"),))
    with pytest.raises(SequenceError, match=f"block {number} came where block 2 was due"):
        play(start(get(BUFFER)), (request, first), (ReadRequest((BlockNumberAccess(1),)), wrong))


def test_blocks_are_bounded() -> None:
    own = terms()
    own.max_octets = 100
    with pytest.raises(RemoteProtocolError, match="more than 100 octets"):
        play(start(get(BUFFER), own), *blocks(LONG.octets, 50))


@pytest.mark.parametrize(
    "answer",
    [
        ReadResponse(()),
        ReadResponse((NUMBER, NUMBER)),
        ReadResponse((BlockNumber(1),)),
        WriteResponse((DataAccessResult.SUCCESS,)),
        GetResponseNormal(0xC1, NUMBER),
    ],
)
def test_answers_that_do_not_fit_a_read(answer: Apdu) -> None:
    with pytest.raises(RemoteProtocolError):
        play(start(get(VALUE)), (ReadRequest((VariableName(0x0108),)), answer))


def test_a_block_within_a_list_is_refused() -> None:
    request = ReadRequest((VariableName(0x0108), VariableName(0x0110)))
    with pytest.raises(RemoteProtocolError, match="mixes blocks"):
        play(start(get(VALUE, UNIT)), (request, ReadResponse((NUMBER, DataBlockResult(True, 1, b"\x00")))))


def test_an_error_for_a_whole_list() -> None:
    request = ReadRequest((VariableName(0x0108), VariableName(0x0110)))
    denied = DataAccessResult.READ_WRITE_DENIED
    assert play(start(get(VALUE, UNIT)), (request, ReadResponse((denied,)))) == GetResults((denied, denied))


def block_dialogue(request: ReadRequest | WriteRequest, room: int, answer: Apdu) -> list[tuple[Apdu, Apdu]]:
    """The blocks of a long request as the serving side puts them together: what follows its tag."""
    body = request.encode()[1:]
    size = room - (7 if isinstance(request, ReadRequest) else 9)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    dialogue: list[tuple[Apdu, Apdu]] = []
    for number, chunk in enumerate(chunks, 1):
        last = number == len(chunks)
        if isinstance(request, ReadRequest):
            sent: Apdu = ReadRequest((ReadDataBlockAccess(last, number, chunk),))
            confirmation: Apdu = ReadResponse((BlockNumber(number),))
        else:
            sent = WriteRequest((WriteDataBlockAccess(last, number),), (Data.of(axdr.octet_string(chunk)),))
            confirmation = WriteResponse((BlockNumber(number),))
        assert len(sent.encode()) <= room
        dialogue.append((sent, answer if last else confirmation))
    assert len(dialogue) > 2
    return dialogue


def test_a_long_write_goes_in_blocks() -> None:
    whole = WriteRequest((VariableName(0x0308),), (LONG,))
    dialogue = block_dialogue(whole, 64, WriteResponse((DataAccessResult.SUCCESS,)))
    assert play(start(write((TEXT, LONG)), terms(64)), *dialogue) == SetResults((DataAccessResult.SUCCESS,))


def test_a_long_read_request_goes_in_blocks() -> None:
    whole = ReadRequest((ParameterizedAccess(0x0420, 0, LONG),))
    dialogue = block_dialogue(whole, 64, ReadResponse((NUMBER,)))
    result = play(start(Action((CALL,), (LONG,)), terms(64)), *dialogue)
    assert result == ActionResults((ActionOutcome(ActionResult.SUCCESS, NUMBER),))


def test_a_meter_that_refuses_a_block() -> None:
    whole = WriteRequest((VariableName(0x0308),), (LONG,))
    (sent, _), *_ = block_dialogue(whole, 64, NULL)  # type: ignore[arg-type]
    refused = WriteResponse((DataAccessResult.DATA_BLOCK_UNAVAILABLE,))
    assert play(start(write((TEXT, LONG)), terms(64)), (sent, refused)) == SetResults((DataAccessResult(14),))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (WriteResponse((BlockNumber(2),)), "confirms block 2 where block 1"),
        (WriteResponse((DataAccessResult.SUCCESS,)), "before the last block"),
        (ReadResponse((BlockNumber(1),)), "does not answer"),
    ],
)
def test_confirmations_are_checked(answer: Apdu, why: str) -> None:
    whole = WriteRequest((VariableName(0x0308),), (LONG,))
    (sent, _), *_ = block_dialogue(whole, 64, answer)
    with pytest.raises(SequenceError, match=why):
        play(start(write((TEXT, LONG)), terms(64)), (sent, answer))


def test_a_last_block_without_a_result_is_an_error() -> None:
    whole = WriteRequest((VariableName(0x0308),), (LONG,))
    dialogue = block_dialogue(whole, 64, WriteResponse((BlockNumber(4),)))
    with pytest.raises(RemoteProtocolError, match="without saying what came of it"):
        play(start(write((TEXT, LONG)), terms(64)), *dialogue)


@pytest.mark.parametrize(
    ("request_", "own", "why"),
    [
        (get(), terms(), "at least one"),
        (Set((), ()), terms(), "one value for each"),
        (Action((CALL,), ()), terms(), "for each method"),
        (get(VALUE), terms(without=Conformance.READ), "'read'"),
        (write((TEXT, NULL)), terms(without=Conformance.WRITE), "'write'"),
        (
            get((BUFFER, SelectiveAccess(1, NULL))),
            terms(without=Conformance.PARAMETERIZED_ACCESS),
            "parameterized-access",
        ),
        (write((TEXT, LONG)), terms(64, without=Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE), "would need blocks"),
        (Action((CALL,), (LONG,)), terms(64, without=Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ), "would need blocks"),
        (write((TEXT, LONG)), terms(9), "no room"),
        (get(VALUE), terms(confirmed=False), "no answer"),
        (write((TEXT, LONG)), terms(64, confirmed=False), "fit one APDU"),
        (write((MISSING, NULL)), terms(confirmed=False), "object list"),
        (write((TEXT, NULL)), terms(confirmed=False, without=Conformance.UNCONFIRMED_WRITE), "unconfirmed-write"),
        (get(AttributeDescriptor(3, ENERGY, 6)), terms(), "where a method is"),
    ],
)
def test_wrong_requests_send_nothing(request_: Request, own: Terms, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        next(start(request_, own))


def test_unconfirmed_writes() -> None:
    own = terms(confirmed=False)
    assert next(start(write((TEXT, Data.of(axdr.unsigned(5)))), own)).encode().hex() == "16010203080" + "11105"
    assert next(start(Action((CALL,), (None,)), own)) == UnconfirmedWriteRequest((VariableName(0x0420),), (NULL,))


# The meter's side


def serving(
    room: int = 1 << 16, without: Conformance = Conformance.NONE, names: ShortNameTable = NAMES
) -> ShortNameServing:
    served = ShortNameServing(names, SHORT_NAME_CONFORMANCE & ~without, 1 << 12, DEFAULT)
    served.room = room
    return served


def test_a_read_of_attributes_and_methods_becomes_several_requests() -> None:
    served = serving()
    asked = served.receive(
        ReadRequest(
            (
                VariableName(0x0108),
                VariableName(0x0110),
                VariableName(0x0101),
                ParameterizedAccess(0x0420, 0, NUMBER),
                VariableName(0x0420),
                ParameterizedAccess(0x0208, 2, LONG),
            )
        )
    )
    assert asked == Get(((VALUE, None), (UNIT, None)))
    asked = served.respond(GetResults((NUMBER, DataAccessResult.HARDWARE_FAULT)))
    assert asked == Action((CALL, CALL), (NUMBER, None))
    done, failed = ActionOutcome(ActionResult.SUCCESS, None), ActionOutcome(ActionResult.TYPE_UNMATCHED, None)
    asked = served.respond(ActionResults((done, failed)))
    assert asked == Get(((BUFFER, SelectiveAccess(2, LONG)),))
    assert served.is_open
    undefined = DataAccessResult.OBJECT_UNDEFINED
    assert served.respond(GetResults((LONG,))) == ReadResponse(
        (NUMBER, DataAccessResult.HARDWARE_FAULT, undefined, NULL, DataAccessResult.TYPE_UNMATCHED, LONG)
    )
    assert not served.is_open


def test_a_write_of_attributes_and_methods() -> None:
    served = serving()
    names = (VariableName(0x0308), VariableName(0x0420), VariableName(0x0008), ParameterizedAccess(0x0208, 1, NULL))
    assert served.receive(WriteRequest(names, (LONG, NUMBER, NULL, NULL))) == write((TEXT, LONG))
    assert served.respond(SetResults((DataAccessResult.SUCCESS,))) == Action((CALL,), (NUMBER,))
    returned = ActionOutcome(ActionResult.SUCCESS, LONG)  # a Write has no room for what a method returns
    last = served.respond(ActionResults((returned,)))
    assert last == Set(((BUFFER, SelectiveAccess(1, NULL)),), (NULL,))
    assert served.respond(SetResults((DataAccessResult(13),))).encode().hex() == "0d04" + "00" + "00" + "0104" + "010d"  # type: ignore[union-attr]


def test_nothing_known_is_answered_at_once() -> None:
    assert serving().receive(octets("0501020000")).encode().hex() == "0c010104"  # type: ignore[union-attr]
    assert serving().receive(octets("06010200000100")).encode().hex() == "0d010104"  # type: ignore[union-attr]
    assert serving().receive(ReadRequest(())) == ReadResponse(())


@pytest.mark.parametrize(
    ("request_", "lacking", "answer"),
    [
        ("0501020108", Conformance.READ, "0e050302"),
        ("0502020108020110", Conformance.MULTIPLE_REFERENCES, "0e050302"),
        ("05010401080000", Conformance.PARAMETERIZED_ACCESS, "0e050302"),
        ("0501060100010101", Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ, "0e050302"),
        ("06010203080100", Conformance.WRITE, "0e060302"),
        ("0601070100010109010" + "1", Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE, "0e060302"),
        ("16010203080100", Conformance.UNCONFIRMED_WRITE, "0e060302"),
        ("060102030800", Conformance.NONE, "0e060300"),  # one name, no data
    ],
)
def test_what_was_not_agreed_is_refused(request_: str, lacking: Conformance, answer: str) -> None:
    assert serving(without=lacking).receive(octets(request_)).encode().hex() == answer  # type: ignore[union-attr]


@pytest.mark.parametrize("whole_list", [False, True])
def test_a_long_answer_is_cut(whole_list: bool) -> None:
    names = ShortNameTable(NAMES.objects, whole_list_in_blocks=whole_list)
    served = serving(64, names=names)
    served.receive(ReadRequest((VariableName(0x0208),)))
    answer = served.respond(GetResults((LONG,)))
    joined = b""
    for number in range(1, 10):
        assert isinstance(answer, ReadResponse)
        assert len(answer.encode()) <= 64
        (block,) = answer.results
        assert isinstance(block, DataBlockResult)
        assert block.block_number == number
        joined += block.raw_data
        if block.last_block:
            break
        answer = served.receive(ReadRequest((BlockNumberAccess(number),)))
    assert joined == (b"\x01\x00" if whole_list else b"") + LONG.octets
    assert not served.in_blocks
    late = served.receive(ReadRequest((BlockNumberAccess(1),)))
    assert late == ReadResponse((DataAccessResult.NO_LONG_GET_IN_PROGRESS,))


def test_a_long_answer_without_agreed_blocks() -> None:
    served = serving(64, without=Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ)
    served.receive(ReadRequest((VariableName(0x0208),)))
    assert served.respond(GetResults((LONG,))).encode().hex() == "0e050301"  # type: ignore[union-attr]


def test_another_request_ends_a_long_answer() -> None:
    served = serving(64)
    served.receive(ReadRequest((VariableName(0x0208),)))
    served.respond(GetResults((LONG,)))
    served.receive(ReadRequest((VariableName(0x0108),)))
    served.respond(GetResults((NUMBER,)))
    late = served.receive(ReadRequest((BlockNumberAccess(1),)))
    assert late == ReadResponse((DataAccessResult.LONG_GET_ABORTED,))


def test_a_wrong_block_number_ends_a_long_answer() -> None:
    served = serving(64)
    served.receive(ReadRequest((VariableName(0x0208),)))
    served.respond(GetResults((LONG,)))
    wrong = served.receive(ReadRequest((BlockNumberAccess(2),)))
    assert wrong == ReadResponse((DataAccessResult.DATA_BLOCK_NUMBER_INVALID,))
    assert not served.in_blocks


def block(number: int, last: bool, data: bytes) -> WriteRequest:
    return WriteRequest((WriteDataBlockAccess(last, number),), (Data.of(axdr.octet_string(data)),))


def test_a_long_write_is_put_together() -> None:
    served = serving()
    body = WriteRequest((VariableName(0x0308),), (LONG,)).encode()[1:]
    assert served.receive(block(1, False, body[:80])) == WriteResponse((BlockNumber(1),))
    assert served.receive(block(2, False, body[80:160])) == WriteResponse((BlockNumber(2),))
    assert served.receive(block(3, True, body[160:])) == write((TEXT, LONG))
    assert served.respond(SetResults((DataAccessResult.SUCCESS,))) == WriteResponse((DataAccessResult.SUCCESS,))


@pytest.mark.parametrize(
    ("requests", "result"),
    [
        ([block(2, False, b"x")], DataAccessResult.NO_LONG_SET_IN_PROGRESS),
        ([block(1, False, b"x"), block(3, False, b"x")], DataAccessResult.DATA_BLOCK_NUMBER_INVALID),
        ([block(1, False, b"x"), block(3, False, b"x"), block(2, True, b"x")], DataAccessResult.LONG_SET_ABORTED),
        ([block(1, True, b"\x01\x02")], DataAccessResult.TYPE_UNMATCHED),
        ([block(1, False, bytes(3000)), block(2, False, bytes(3000))], DataAccessResult.DATA_BLOCK_UNAVAILABLE),
        ([WriteRequest((WriteDataBlockAccess(False, 1),), (NUMBER,))], DataAccessResult.DATA_BLOCK_UNAVAILABLE),
        ([WriteRequest((WriteDataBlockAccess(False, 1),), ())], DataAccessResult.DATA_BLOCK_UNAVAILABLE),
        ([block(1, True, block(1, True, b"x").encode()[1:])], DataAccessResult.DATA_BLOCK_UNAVAILABLE),
    ],
)
def test_long_writes_that_go_wrong(requests: list[WriteRequest], result: DataAccessResult) -> None:
    served = serving()
    answer: object = None
    for request in requests:
        answer = served.receive(request)
    assert answer == WriteResponse((result,))
    assert not served.in_blocks


def test_a_read_request_in_blocks() -> None:
    served = serving()
    body = ReadRequest((ParameterizedAccess(0x0420, 0, LONG),)).encode()[1:]
    first = served.receive(ReadRequest((ReadDataBlockAccess(False, 1, body[:50]),)))
    assert first == ReadResponse((BlockNumber(1),))
    whole = served.receive(ReadRequest((ReadDataBlockAccess(True, 2, body[50:]),)))
    assert whole == Action((CALL,), (LONG,))


def test_blocks_of_a_read_do_not_go_on_as_a_write() -> None:
    served = serving()
    served.receive(ReadRequest((ReadDataBlockAccess(False, 1, b"\x01"),)))
    assert served.receive(block(2, True, b"x")) == WriteResponse((DataAccessResult.NO_LONG_SET_IN_PROGRESS,))


def test_results_that_do_not_fit() -> None:
    served = serving()
    with pytest.raises(LocalProtocolError, match="no request"):
        served.respond(GetResults(()))
    served.receive(ReadRequest((VariableName(0x0108),)))
    for wrong in (GetResults(()), SetResults((DataAccessResult.SUCCESS,))):
        with pytest.raises(LocalProtocolError):
            served.respond(wrong)


def test_a_long_list_takes_linear_time() -> None:
    """20,000 names, attributes and methods in turn."""
    served = serving()
    asked = served.receive(ReadRequest((VariableName(0x0108), VariableName(0x0110)) * 10_000))
    assert isinstance(asked, Get)
    assert len(asked.items) == 20_000


# Both sides


class Talk:
    """A client's and a server's association joined."""

    def __init__(
        self,
        client: ClientSettings,
        server: ServerSettings,
        change: Callable[[bytes], bytes] = lambda apdu: apdu,
    ) -> None:
        self.application = Application()
        self.application.attributes[1, ECHO, 2] = NULL
        self.client = ClientAssociation(client)
        self.server = ServerAssociation(server)
        self.change = change
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []
        self.protections: list[int] = []

    def pump(self) -> list[object]:
        events: list[object] = []
        while self.client.has_apdus:
            for apdu in self.client.apdus_to_send():
                self.sent.append(apdu)
                self.server.receive_apdu(apdu)
            while happened := self.server.events():
                for event in happened:
                    if isinstance(event, Requested):
                        self.protections.append(event.protection)
                        result = self.application.answer(event.request)
                        if event.confirmed:
                            self.server.respond(result)
            for apdu in self.server.apdus_to_send():
                self.answered.append(apdu)
                self.client.receive_apdu(self.change(apdu))
        return events + self.client.events()

    def connect(self) -> object:
        self.client.associate()
        (event,) = self.pump()
        return event

    def do(self, request: Request) -> object:
        self.client.request(request)
        (event,) = self.pump()
        return event.result if isinstance(event, Completed) else event


MECHANISMS = [mechanism for mechanism in AuthenticationMechanism if mechanism not in (2, 7)]


def talk(
    mechanism: AuthenticationMechanism = AuthenticationMechanism.NONE, policy: str | None = None, **options: object
) -> Talk:
    secret = options.pop("secret", b"12345678") if mechanism not in (0, 5) else None
    contexts = {}
    if policy is not None or mechanism in (5, 6):
        contexts = {
            "client": security(
                CLIENT_TITLE,
                policy or "none",
                dedicated_key=bool(options.pop("dedicated", False)),
                general=bool(options.pop("general", False)),
            ),
            "server": security(METER_TITLE, policy or "none"),
        }
    names = ShortNameTable(NAMES.objects)
    client = ClientSettings(
        referencing=Referencing.SHORT_NAME,
        short_names=names,
        mechanism=mechanism,
        password=secret,
        security=contexts.get("client"),
        **{"max_pdu_size": 128, **options.get("client", {})},  # type: ignore[dict-item]
    )
    server = ServerSettings(
        client_sap=16,
        short_names=names,
        mechanism=mechanism,
        secret=b"12345678" if secret else None,
        security=contexts.get("server"),
        **{"conformance": SHORT_NAME_CONFORMANCE, "max_pdu_size": 128, **options.get("server", {})},  # type: ignore[dict-item]
    )
    return Talk(client, server)


def exercise(pair: Talk) -> None:
    assert pair.do(get(VALUE, UNIT)) == pair.application.answer(get(VALUE, UNIT))
    assert pair.do(get(BUFFER)) == GetResults((Data.of(ROWS),))  # in blocks
    assert pair.do(write((TEXT, LONG))) == SetResults((DataAccessResult.SUCCESS,))  # in blocks
    assert pair.do(get(TEXT)) == GetResults((LONG,))
    assert pair.do(Action((CALL,), (LONG,))) == ActionResults((ActionOutcome(ActionResult.SUCCESS, LONG),))
    assert pair.do(get(AttributeDescriptor(1, ECHO, 3))) == GetResults((DataAccessResult.OBJECT_UNDEFINED,))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism(mechanism: AuthenticationMechanism) -> None:
    pair = talk(mechanism)
    event = pair.connect()
    assert isinstance(event, Associated), event
    exercise(pair)
    assert all(len(apdu) <= 128 for apdu in pair.sent[1:] + pair.answered[1:])


@pytest.mark.parametrize("dedicated", [False, True])
@pytest.mark.parametrize("policy", ["authenticated", "encrypted", "authenticated-encrypted"])
def test_every_policy(policy: str, dedicated: bool) -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC, policy, dedicated=dedicated)
    event = pair.connect()
    assert isinstance(event, Associated), event
    assert event.parameters.application_context == ApplicationContext.SHORT_NAME_CIPHERED
    before = len(pair.sent)
    exercise(pair)
    tags = {0x25, 0x26, 0x2C, 0x2D} if not dedicated else {0x45, 0x46, 0x4C, 0x4D}
    assert {apdu[0] for apdu in pair.sent[before:] + pair.answered[before:]} == tags
    assert all(len(apdu) <= 128 for apdu in pair.sent[1:] + pair.answered[1:])
    assert all(pair.protections)
    assert pair.sent[1][0] == 0x25  # pass 3 with the global key, whatever comes after


def test_general_protection() -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC, "authenticated-encrypted", general=True)
    assert isinstance(pair.connect(), Associated)
    before = len(pair.sent)
    exercise(pair)
    assert {apdu[0] for apdu in pair.sent[before:] + pair.answered[before:]} == {0xDB}


def test_a_wrong_secret_is_refused_on_both_sides() -> None:
    pair = talk(AuthenticationMechanism.HLS_MD5, secret=b"87654321")
    event = pair.connect()
    assert isinstance(event, Failed)
    assert isinstance(event.error, AuthenticationError)
    assert pair.server.state is State.IDLE
    stolen = talk(AuthenticationMechanism.HLS_MD5)
    stolen.change = lambda apdu: (
        apdu if apdu[0] != 0x0C else ReadResponse((Data.of(axdr.octet_string(bytes(16))),)).encode()
    )
    event = stolen.connect()
    assert isinstance(event, Failed)
    assert isinstance(event.error, AuthenticationError)


@pytest.mark.parametrize(
    "apdu",
    [
        ReadRequest((VariableName(0x0108),)),
        ReadRequest((VariableName(0xFA58),)),
        ReadRequest((ParameterizedAccess(0xFA50, 0, LONG),)),
        ReadRequest((ParameterizedAccess(0xFA58, 0, LONG), VariableName(0x0108))),
        WriteRequest((VariableName(0xFA58),), (LONG,)),
        GetRequestNormal(0xC1, VALUE),
    ],
)
def test_only_pass_3_while_the_authentication_is_pending(apdu: Apdu) -> None:
    pair = talk(AuthenticationMechanism.HLS_MD5)
    pair.client.associate()
    pair.server.receive_apdu(pair.client.apdus_to_send()[0])
    pair.server.apdus_to_send()
    pair.server.receive_apdu(apdu.encode())
    (answer,) = pair.server.apdus_to_send()
    assert answer[0] == 0xD8
    assert pair.server.state is State.AUTHENTICATION_PENDING
    assert not pair.server.events()


def test_the_reply_method_at_the_wrong_moment_is_an_action_of_the_application() -> None:
    pair = talk()
    pair.connect()
    pair.client.request(Action((MethodDescriptor(12, CURRENT_ASSOCIATION, 8),), (LONG,)))
    (event,) = pair.pump()
    assert event.result.results[0].result == ActionResult.OBJECT_UNDEFINED  # type: ignore[attr-defined]


def test_only_bits_of_short_names_are_proposed_and_agreed() -> None:
    pair = talk(server={"conformance": Conformance(0xFFFFFF)})
    event = pair.connect()
    assert isinstance(event, Associated)
    assert event.parameters.conformance == SHORT_NAME_CONFORMANCE
    assert not SHORT_NAME_CONFORMANCE & ONLY_LOGICAL_NAMES
    both = talk(client={"conformance": Conformance(0xFFFFFF)}, server={"conformance": Conformance(0xFFFFFF)})
    event = both.connect()
    assert isinstance(event, Associated)
    assert not event.parameters.conformance & ONLY_LOGICAL_NAMES


def test_a_client_of_logical_names_is_told_the_context() -> None:
    pair = Talk(ClientSettings(), ServerSettings(client_sap=16, short_names=NAMES, conformance=SHORT_NAME_CONFORMANCE))
    event = pair.connect()
    assert isinstance(event, Failed)
    assert "application-context-name-not-supported" in str(event.error)


@pytest.mark.parametrize("apdu", [GetRequestNormal(0xC1, VALUE), UnconfirmedWriteRequest((), ())])
def test_other_services_in_an_association(apdu: Apdu) -> None:
    pair = talk()
    pair.connect()
    pair.server.receive_apdu(apdu.encode())
    assert not [event for event in pair.server.events() if isinstance(event, Requested)]
    if isinstance(apdu, GetRequestNormal):
        assert pair.server.apdus_to_send() == [bytes.fromhex("d80202")]


def test_the_vaa_name_is_that_of_the_association() -> None:
    pair = talk()
    pair.connect()
    assert pair.answered[0].endswith(b"\xfa\x00")
    tolerant = talk()
    tolerant.change = lambda apdu: apdu[:-2] + b"\x00\x07" if apdu[0] == 0x61 else apdu  # as jDLMS does
    assert isinstance(tolerant.connect(), Associated)
    strict = talk(client={"tolerances": STRICT})
    strict.change = tolerant.change
    assert isinstance(strict.connect(), Failed)


def without_read(apdu: bytes) -> bytes:
    """The AARE of pydlms-client's simulator: multiple references is all that it agrees to."""
    return apdu[:-7] + b"\x00\x02\x00" + apdu[-4:] if apdu[0] == 0x61 else apdu


def test_a_meter_that_agrees_to_neither_read_nor_write() -> None:
    pair = talk()
    pair.change = without_read
    event = pair.connect()
    assert isinstance(event, Associated)
    assert pair.do(get(VALUE)) == pair.application.answer(get(VALUE))
    strict = talk(client={"tolerances": DEFAULT - {Tolerance.UNNEGOTIATED_SERVICE}})
    strict.change = without_read
    event = strict.connect()
    assert isinstance(event, Failed)
    assert "without Read and Write" in str(event.error)


# Answers without invoke ids


@pytest.mark.parametrize("late", [ReadResponse((NUMBER,)), WriteResponse((DataAccessResult.SUCCESS,))])
def test_an_answer_that_nobody_asked_for_is_fatal(late: Apdu) -> None:
    """After it no answer could be trusted any more."""
    pair = talk()
    pair.connect()
    pair.do(get(VALUE))
    pair.client.receive_apdu(late.encode())
    (event,) = pair.client.events()
    assert isinstance(event, Failed)
    assert event.fatal
    assert isinstance(event.error, SequenceError)
    assert pair.client.state is State.CLOSED


def test_a_write_answer_to_a_read_is_fatal() -> None:
    pair = talk()
    pair.connect()
    pair.change = lambda apdu: WriteResponse((DataAccessResult.SUCCESS,)).encode()
    event = pair.do(get(VALUE))
    assert isinstance(event, Failed)
    assert event.fatal


@pytest.mark.parametrize("plain", [ReadResponse((NUMBER,)), WriteResponse((DataAccessResult.SUCCESS,))])
def test_a_plain_answer_in_a_ciphered_association_is_fatal(plain: Apdu) -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC, "authenticated-encrypted")
    assert isinstance(pair.connect(), Associated)
    pair.change = lambda apdu: plain.encode()
    event = pair.do(get(VALUE))
    assert isinstance(event, Failed)
    assert isinstance(event.error, SecurityError)
    assert event.fatal


@pytest.mark.parametrize("position", [0, 1, 2, 6, 10, -1])
def test_a_flipped_bit_is_refused(position: int) -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC, "authenticated-encrypted")
    assert isinstance(pair.connect(), Associated)

    def flip(apdu: bytes) -> bytes:
        octets_ = bytearray(apdu)
        octets_[position] ^= 1
        return bytes(octets_)

    pair.change = flip
    event = pair.do(get(VALUE))
    assert isinstance(event, Failed)
    assert event.fatal


def test_a_plain_request_in_a_ciphered_association_is_refused() -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC, "authenticated-encrypted")
    assert isinstance(pair.connect(), Associated)
    pair.server.events()
    pair.server.receive_apdu(ReadRequest((VariableName(0x0108),)).encode())
    assert pair.server.apdus_to_send() == [bytes.fromhex("d80101")]
    assert not pair.server.events()


def test_a_write_in_blocks_is_protected_as_its_least_protected_block() -> None:
    """The policy of the meter lets plain requests in; the rights of its objects may not."""
    names = ShortNameTable(NAMES.objects)
    gmac = AuthenticationMechanism.HLS_GMAC
    server = ServerAssociation(
        ServerSettings(
            client_sap=16,
            short_names=names,
            mechanism=gmac,
            security=security(METER_TITLE, "authenticated-encrypted", minimum_policy="none"),
            conformance=SHORT_NAME_CONFORMANCE,
        )
    )
    client = ClientAssociation(
        ClientSettings(
            referencing=Referencing.SHORT_NAME, short_names=names, mechanism=gmac, security=security(CLIENT_TITLE)
        )
    )
    client.associate()
    while client.has_apdus:
        for apdu in client.apdus_to_send():
            server.receive_apdu(apdu)
        for apdu in server.apdus_to_send():
            client.receive_apdu(apdu)
    server.events()
    body = WriteRequest((VariableName(0x0308),), (LONG,)).encode()[1:]
    client._send(block(1, False, body[:100]).encode())
    server.receive_apdu(client.apdus_to_send()[0])
    server.receive_apdu(block(2, True, body[100:]).encode())
    (event,) = server.events()
    assert isinstance(event, Requested)
    assert event.request == write((TEXT, LONG))
    assert event.protection == 0


# Unconfirmed, pushed, and hidden


def test_unconfirmed_writes_are_carried_out_and_not_answered() -> None:
    pair = talk(client={"confirmed": False})
    pair.connect()
    assert pair.do(write((TEXT, NUMBER))) == SetResults(())
    assert pair.application.attributes[1, ECHO, 2] == NUMBER
    assert len(pair.answered) == 1  # the AARE
    pair.server.receive_apdu(
        UnconfirmedWriteRequest((VariableName(0x0308), VariableName(0x0420)), (NULL, NUMBER)).encode()
    )
    requests = [event.request for event in pair.server.events() if isinstance(event, Requested)]
    assert requests == [write((TEXT, NULL)), Action((CALL,), (NUMBER,))]
    assert not pair.server.apdus_to_send()
    assert pair.server.state is State.ASSOCIATED


@pytest.mark.parametrize("policy", [None, "authenticated-encrypted"])
def test_an_information_report_in_the_middle_of_a_read(policy: str | None) -> None:
    pair = talk(AuthenticationMechanism.HLS_GMAC if policy else AuthenticationMechanism.NONE, policy)
    assert isinstance(pair.connect(), Associated)
    report = octets("18000102fa08010600000010")  # constructed:sn-information-report
    pair.client.request(get(VALUE))
    pair.server.notify(report)
    (pushed,) = pair.server.apdus_to_send()
    assert pushed[0] == (0x38 if policy else 0x18)
    pair.client.receive_apdu(pushed)
    notified, completed = pair.pump()
    assert isinstance(notified, Notified)
    assert isinstance(notified.apdu, InformationReportRequest)
    assert notified.apdu.data == (NUMBER,)
    assert bool(notified.protection) is bool(policy)
    assert isinstance(completed, Completed)


def test_a_service_error_fails_the_request_alone() -> None:
    pair = talk()
    pair.connect()
    refused = ConfirmedServiceError(5, 3, 2).encode()
    pair.change = lambda apdu: refused
    event = pair.do(get(VALUE))
    assert isinstance(event, Failed)
    assert not event.fatal
    assert isinstance(event.error, ConfirmedServiceErrorReceived)
    assert "service-unsupported" in str(event.error)
    pair.change = lambda apdu: apdu
    assert pair.do(get(VALUE)) == pair.application.answer(get(VALUE))


def test_an_answer_that_cannot_be_decoded_fails_the_request_alone() -> None:
    pair = talk()
    pair.connect()
    pair.change = lambda apdu: b"\x0c\x01\x00\x06\x00"
    event = pair.do(get(VALUE))
    assert isinstance(event, Failed)
    assert not event.fatal
    pair.change = lambda apdu: apdu
    assert pair.do(get(VALUE)) == pair.application.answer(get(VALUE))


def test_traces_hide_a_new_secret() -> None:
    redactor = Redactor()
    secret = Data.of(axdr.octet_string(b"new secret"))
    for apdu in (
        ReadRequest((ParameterizedAccess(0xFA40, 0, secret),)),
        WriteRequest((VariableName(0xFA40),), (secret,)),
        WriteRequest((VariableName(0x0308), VariableName(0xFA40)), (NULL, secret)),
        UnconfirmedWriteRequest((VariableName(0xFA40),), (secret,)),
    ):
        shown = redactor.service(apdu.encode())
        assert b"secret" not in shown
        assert len(shown) == len(apdu.encode())
    body = WriteRequest((VariableName(0xFA40),), (secret,)).encode()[1:]
    for number, chunk in enumerate((body[:8], body[8:14], body[14:]), 1):
        shown = redactor.service(block(number, number == 3, chunk).encode())
        assert not any(part in shown for part in (b"new", b"sec", b"ret"))
    harmless = WriteRequest((VariableName(0x0308),), (secret,)).encode()
    assert redactor.service(harmless) == harmless
    harmless = block(1, False, b"\x01\x02\x03\x08").encode()
    assert redactor.service(harmless) == harmless


def test_settings_say_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="short_names"):
        ClientSettings(referencing=Referencing.SHORT_NAME)
    with pytest.raises(ValueError, match="does not fit"):
        ClientSettings(application_context=ApplicationContext.SHORT_NAME)
    with pytest.raises(ValueError, match="does not fit"):
        ClientSettings(
            referencing=Referencing.SHORT_NAME, short_names=NAMES, application_context=ApplicationContext.LOGICAL_NAME
        )


@pytest.mark.parametrize("ciphered", [False, True])
def test_a_pre_established_association(ciphered: bool) -> None:
    own = {"client": {"pre_established": True}, "server": {"pre_established": True}}
    pair = talk(AuthenticationMechanism.NONE, "authenticated-encrypted" if ciphered else None, **own)
    if ciphered:
        pair.client.settings.security.peer_system_title = METER_TITLE  # type: ignore[union-attr]
    pair.client.associate()
    (event,) = pair.client.events()
    assert isinstance(event, Associated)
    context = ApplicationContext.SHORT_NAME_CIPHERED if ciphered else ApplicationContext.SHORT_NAME
    assert event.parameters.application_context == context
    assert pair.server.parameters.application_context == context  # type: ignore[union-attr]


# Anything may come


SPECIFICATIONS = st.one_of(
    st.builds(VariableName, st.sampled_from([0, 0x0108, 0x0208, 0x0308, 0x0420, 0xFA08, 0xFFFF])),
    st.builds(
        ParameterizedAccess,
        st.sampled_from([0x0208, 0x0420, 0xFA58]),
        st.integers(0, 255),
        st.sampled_from([NULL, LONG]),
    ),
    st.builds(BlockNumberAccess, st.integers(0, 3)),
    st.builds(ReadDataBlockAccess, st.booleans(), st.integers(0, 3), st.binary(max_size=20)),
    st.builds(WriteDataBlockAccess, st.booleans(), st.integers(0, 3)),
)
VALUES = st.sampled_from([NULL, NUMBER, LONG, Data.of(axdr.octet_string(b"\x01\x02\x03\x08\x01\x00"))])
REQUESTS = st.one_of(
    st.builds(ReadRequest, st.lists(SPECIFICATIONS, max_size=3).map(tuple)),
    st.builds(WriteRequest, st.lists(SPECIFICATIONS, max_size=3).map(tuple), st.lists(VALUES, max_size=3).map(tuple)),
    st.builds(
        UnconfirmedWriteRequest,
        st.lists(SPECIFICATIONS, max_size=3).map(tuple),
        st.lists(VALUES, max_size=3).map(tuple),
    ),
)
RESULTS = st.one_of(
    VALUES,
    st.sampled_from([DataAccessResult.OBJECT_UNDEFINED, DataAccessResult.SUCCESS]),
    st.builds(DataBlockResult, st.booleans(), st.integers(0, 3), st.binary(max_size=20)),
    st.builds(BlockNumber, st.integers(0, 3)),
)
WRITTEN = st.one_of(
    st.sampled_from([DataAccessResult.SUCCESS, DataAccessResult.TYPE_UNMATCHED]),
    st.builds(BlockNumber, st.integers(0, 3)),
)
RESPONSES = st.one_of(
    st.builds(ReadResponse, st.lists(RESULTS, max_size=3).map(tuple)),
    st.builds(WriteResponse, st.lists(WRITTEN, max_size=3).map(tuple)),
)


def damaged(apdus: st.SearchStrategy[Apdu]) -> st.SearchStrategy[bytes]:
    """An APDU, cut short now and then, or with an octet changed."""

    def change(apdu: Apdu, cut: int, place: int, value: int) -> bytes:
        data = bytearray(apdu.encode())
        if place < len(data):
            data[place] = value
        return bytes(data[: len(data) - cut])

    numbers = st.one_of(st.just(1 << 16), st.integers(1, 12))
    return st.builds(change, apdus, st.sampled_from([0, 0, 0, 1, 3]), numbers, st.integers(0, 255))


@given(st.lists(damaged(REQUESTS), max_size=8))
def test_whatever_is_asked_the_meter_answers_once_and_goes_on(apdus: list[bytes]) -> None:
    pair = talk()
    pair.connect()
    for apdu in apdus:
        pair.server.receive_apdu(apdu)
        while events := pair.server.events():
            for event in events:
                if isinstance(event, Requested) and event.confirmed:
                    pair.server.respond(pair.application.answer(event.request))
        answers = pair.server.apdus_to_send()
        if apdu and apdu[0] != UnconfirmedWriteRequest.TAG:
            assert len(answers) == 1
        assert all(len(answer) <= 128 for answer in answers)
        if pair.server.state is State.IDLE:  # the damage made an AARQ or an RLRQ of it
            return
    pair.server.receive_apdu(ReadRequest((VariableName(0x0108),)).encode())
    assert any(isinstance(event, Requested) for event in pair.server.events())


@given(
    st.sampled_from([get(VALUE), get(VALUE, UNIT), write((TEXT, LONG)), Action((CALL, CALL), (LONG, None))]),
    st.lists(damaged(RESPONSES), max_size=8),
)
def test_whatever_is_answered_the_client_gives_one_result_or_one_error(request_: Request, answers: list[bytes]) -> None:
    pair = talk()
    pair.connect()
    pair.client.request(request_)
    pair.client.apdus_to_send()
    events = []
    for answer in answers:
        pair.client.receive_apdu(answer)
        sent = pair.client.apdus_to_send()
        assert len(sent) <= 1
        events += pair.client.events()
        if events:
            break
    ends = [event for event in events if isinstance(event, Completed | Failed)]
    assert len(ends) == len([event for event in events if not isinstance(event, Notified)])
    assert len(ends) <= 1
    if ends and isinstance(ends[0], Completed):
        assert len(ends[0].result.results) == len(request_.items)
