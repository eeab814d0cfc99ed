"""APDUs as the JSON of the vector collection, field by field."""

from __future__ import annotations

from typing import Any

from cosemic.apdu import (
    AccessAction,
    AccessGet,
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    AccessSet,
    ActionOutcome,
    ActionRequestNextPblock,
    ActionRequestNormal,
    ActionRequestWithFirstPblock,
    ActionRequestWithListAndFirstPblock,
    ActionResponseNextPblock,
    ActionResponseNormal,
    ActionResponseWithList,
    AgreedKey,
    Apdu,
    AssociationRequest,
    AssociationResponse,
    AttributeDescriptor,
    BlockNumber,
    BlockNumberAccess,
    CipheredApdu,
    ConfirmedServiceError,
    DataNotification,
    EventNotificationRequest,
    ExceptionResponse,
    GeneralBlockTransfer,
    GeneralCiphering,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
    IdentifiedKey,
    InformationReportRequest,
    InitiateRequest,
    InitiateResponse,
    MethodDescriptor,
    ParameterizedAccess,
    ReadRequest,
    ReadResponse,
    ReleaseRequest,
    ReleaseResponse,
    SelectiveAccess,
    SetRequestNormal,
    SetRequestWithFirstDatablock,
    SetRequestWithList,
    SetResponseDatablock,
    SetResponseLastDatablock,
    SetResponseLastDatablockWithList,
    SetResponseNormal,
    SetResponseWithList,
    UnconfirmedWriteRequest,
    VariableName,
    WrappedKey,
    WriteRequest,
    WriteResponse,
    decode_apdu,
)
from cosemic.codec.axdr import Data, Typed
from cosemic.enums import Conformance, DataAccessResult
from cosemic.times import CosemDateTime

Json = Any


def apdu_json(apdu: Apdu) -> dict[str, Json]:
    """The expected form of one APDU; KeyError for a class that no vector holds."""
    return WRITERS[type(apdu)](apdu)


def typed_json(value: Typed) -> dict[str, Json]:
    name = value.type.name.lower().replace("_", "-")
    content = value.value
    if name in ("array", "structure"):
        content = [typed_json(item) for item in content]
    elif isinstance(content, bytes):
        content = content.hex()
    return {"t": name, "v": content}


def data_json(data: Data) -> dict[str, Json]:
    return typed_json(data.typed)


def name_of(code: object) -> str | None:
    name = getattr(code, "name", None)
    return name.lower().replace("_", "-") if name else None


def date_time_json(octets: bytes) -> Json:
    if not octets:
        return None
    moment = CosemDateTime.from_bytes(octets)
    return {
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "weekday": octets[4] if octets[4] != 0xFF else None,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "hundredths": octets[8] if octets[8] != 0xFF else None,
        "deviation": moment.deviation,
        "status": moment.clock_status,
    }


def invoke_json(apdu: Any) -> dict[str, Json]:
    return {
        "invoke_id_and_priority": {
            "raw": apdu.invoke_id_and_priority,
            "invoke_id": apdu.invoke_id,
            "service_class": "confirmed" if apdu.confirmed else "unconfirmed",
            "priority": "high" if apdu.high_priority else "normal",
        }
    }


def long_invoke_json(apdu: Any) -> dict[str, Json]:
    return {
        "long_invoke_id_and_priority": {
            "raw": f"{apdu.long_invoke_id_and_priority:08x}",
            "long_invoke_id": apdu.long_invoke_id,
            "self_descriptive": apdu.self_descriptive,
            "processing_option": "break" if apdu.break_on_error else "continue",
            "service_class": "confirmed" if apdu.confirmed else "unconfirmed",
            "priority": "high" if apdu.high_priority else "normal",
        }
    }


def attribute_json(item: AttributeDescriptor) -> dict[str, Json]:
    return {"class_id": item.class_id, "instance": item.instance.dotted, "attribute": item.attribute}


def method_json(item: MethodDescriptor) -> dict[str, Json]:
    return {"class_id": item.class_id, "instance": item.instance.dotted, "method": item.method}


def access_json(access: SelectiveAccess | None) -> Json:
    return None if access is None else {"selector": access.selector, "parameters": data_json(access.parameters)}


def result_json(result: Any) -> dict[str, Json]:
    if isinstance(result, Data):
        return {"data": data_json(result)}
    return {"data_access_result": int(result), "name": name_of(result)}


def outcome_json(outcome: Any) -> dict[str, Json]:
    given = outcome.return_parameters
    return {"result": int(outcome.result), "return_parameters": None if given is None else result_json(given)}


def control_json(apdu: Any) -> dict[str, Json]:
    return {
        "security_control": {
            "raw": f"{apdu.security_control:02x}",
            "suite": apdu.suite,
            "authenticated": apdu.authenticated,
            "encrypted": apdu.encrypted,
            "key_set": "broadcast" if apdu.broadcast else "unicast",
            "compressed": apdu.compressed,
        },
        "invocation_counter": apdu.invocation_counter,
        "ciphertext": apdu.ciphertext.hex(),
        "tag": apdu.authentication_tag.hex() if apdu.authentication_tag is not None else None,
    }


def conformance_json(block: Conformance) -> dict[str, Json]:
    names = [
        (name_of(bit) or "").replace("attribute-0", "attribute0")
        for bit in sorted(Conformance, key=int, reverse=True)
        if bit in block and bit
    ]
    return {"conformance_hex": f"{int(block):06x}", "conformance": names}


def initiate_request(apdu: InitiateRequest) -> dict[str, Json]:
    return {
        "apdu": "initiate-request",
        "dedicated_key": apdu.dedicated_key.hex() if apdu.dedicated_key is not None else None,
        "response_allowed": apdu.response_allowed,
        "proposed_quality_of_service": apdu.proposed_quality_of_service,
        "dlms_version": apdu.proposed_dlms_version,
        **conformance_json(apdu.proposed_conformance),
        "max_pdu": apdu.client_max_receive_pdu_size,
    }


def initiate_response(apdu: InitiateResponse) -> dict[str, Json]:
    return {
        "apdu": "initiate-response",
        "negotiated_quality_of_service": apdu.negotiated_quality_of_service,
        "dlms_version": apdu.negotiated_dlms_version,
        **conformance_json(apdu.negotiated_conformance),
        "max_pdu": apdu.server_max_receive_pdu_size,
        "vaa_name": f"{apdu.vaa_name:04x}",
    }


def present(**items: Json) -> dict[str, Json]:
    return {key: value for key, value in items.items() if value is not None}


def information_json(octets: bytes | None) -> dict[str, Json]:
    if octets is None:
        return {}
    return {"user_information_hex": octets.hex(), "user_information": apdu_json(decode_apdu(octets))}


def hexed(octets: bytes | None) -> str | None:
    return None if octets is None else octets.hex()


def association_request(apdu: AssociationRequest) -> dict[str, Json]:
    value = apdu.calling_authentication_value
    return {
        "apdu": "aarq",
        "application_context": int(apdu.application_context),
        **present(
            protocol_version=hexed(apdu.protocol_version),
            calling_ap_title=hexed(apdu.calling_ap_title),
            acse_requirements="0780" if apdu.acse_requirements else None,
            mechanism=None if apdu.mechanism is None else int(apdu.mechanism),
            authentication_value=hexed(value),
            authentication_value_choice=None if value is None else "charstring",
        ),
        **information_json(apdu.user_information),
    }


def association_response(apdu: AssociationResponse) -> dict[str, Json]:
    value = apdu.responding_authentication_value
    return {
        "apdu": "aare",
        "application_context": int(apdu.application_context),
        "result": int(apdu.result),
        "diagnostic": {"source": f"acse-service-{apdu.diagnostic_source}", "value": int(apdu.diagnostic)},
        **present(
            responding_ap_title=hexed(apdu.responding_ap_title),
            acse_requirements="0780" if apdu.acse_requirements else None,
            mechanism=None if apdu.mechanism is None else int(apdu.mechanism),
            authentication_value=hexed(value),
            authentication_value_choice=None if value is None else "charstring",
        ),
        **information_json(apdu.user_information),
    }


def datablock(apdu: GetResponseWithDatablock) -> dict[str, Json]:
    result = apdu.result
    content = {"raw_data": result.hex()} if isinstance(result, bytes) else {"data_access_result": int(result)}
    return {
        "apdu": "get-response-with-datablock",
        **invoke_json(apdu),
        "last_block": apdu.last_block,
        "block_number": apdu.block_number,
        **content,
    }


def block_json(apdu: Any) -> dict[str, Json]:
    return {"last_block": apdu.last_block, "block_number": apdu.block_number, "raw_data": apdu.raw_data.hex()}


def specification_json(item: Any) -> dict[str, Json]:
    if isinstance(item, AccessAction):
        return {"action": method_json(item.method)}
    assert item.access is None, "no vector has selection in ACCESS"
    return {"get" if isinstance(item, AccessGet) else "set": attribute_json(item.attribute)}


def access_result_json(outcome: AccessOutcome) -> dict[str, Json]:
    return {"kind": {1: "get", 2: "set", 3: "action"}[outcome.kind], "result": int(outcome.result)}


def variable_json(item: Any) -> dict[str, Json]:
    if isinstance(item, VariableName):
        return {"variable_name": f"{item.name:04x}"}
    if isinstance(item, ParameterizedAccess):
        return {
            "parameterized": f"{item.name:04x}",
            "selector": item.selector,
            "parameter": data_json(item.parameter),
        }
    assert isinstance(item, BlockNumberAccess)
    return {"block_number": item.block_number}


def short_name_result_json(result: Any) -> dict[str, Json]:
    if isinstance(result, Data):
        return {"data": data_json(result)}
    if isinstance(result, BlockNumber):
        return {"block_number": result.block_number}
    if result == DataAccessResult.SUCCESS:
        return {"success": True}
    return {"data_access_error": int(result), "name": name_of(result)}


def key_info_json(info: Any) -> Json:
    if info is None:
        return None
    if isinstance(info, IdentifiedKey):
        return {"identified_key": info.key_id}
    if isinstance(info, WrappedKey):
        return {"wrapped_key": info.kek_id, "data": info.key_ciphered_data.hex()}
    assert isinstance(info, AgreedKey)
    return {"agreed_key": info.key_parameters.hex(), "data": info.key_ciphered_data.hex()}


def general_header_json(apdu: Any) -> dict[str, Json]:
    return {
        "transaction_id": apdu.transaction_id.hex(),
        "originator_system_title": apdu.originator_system_title.hex(),
        "recipient_system_title": apdu.recipient_system_title.hex(),
        "date_time": apdu.date_time.hex(),
        "other_information": apdu.other_information.hex(),
    }


def items_json(items: Any) -> list[Json]:
    return [{**attribute_json(attribute), "access": access_json(access)} for attribute, access in items]


def write_json(name: str) -> Any:
    return lambda a: {
        "apdu": name,
        "specifications": [variable_json(item) for item in a.specifications],
        "data": [data_json(item) for item in a.data],
    }


WRITERS: dict[type, Any] = {
    InitiateRequest: initiate_request,
    InitiateResponse: initiate_response,
    AssociationRequest: association_request,
    AssociationResponse: association_response,
    ReleaseRequest: lambda a: {
        "apdu": "rlrq",
        **present(reason=a.reason),
        **information_json(a.user_information),
    },
    ReleaseResponse: lambda a: {
        "apdu": "rlre",
        **present(reason=a.reason),
        **information_json(a.user_information),
    },
    ConfirmedServiceError: lambda a: {
        "apdu": "confirmed-service-error",
        "service": a.service,
        "error_type": a.error_type,
        "error": a.error,
    },
    ExceptionResponse: lambda a: {
        "apdu": "exception-response",
        "state_error": a.state_error,
        "service_error": a.service_error,
        **present(invocation_counter=a.invocation_counter),
    },
    GetRequestNormal: lambda a: {
        "apdu": "get-request-normal",
        **invoke_json(a),
        "attribute": attribute_json(a.attribute),
        "access": access_json(a.access),
    },
    GetRequestNext: lambda a: {"apdu": "get-request-next", **invoke_json(a), "block_number": a.block_number},
    GetRequestWithList: lambda a: {
        "apdu": "get-request-with-list",
        **invoke_json(a),
        "attributes": items_json(a.attributes),
    },
    GetResponseNormal: lambda a: {"apdu": "get-response-normal", **invoke_json(a), "result": result_json(a.result)},
    GetResponseWithDatablock: datablock,
    GetResponseWithList: lambda a: {
        "apdu": "get-response-with-list",
        **invoke_json(a),
        "results": [result_json(item) for item in a.results],
    },
    SetRequestNormal: lambda a: {
        "apdu": "set-request-normal",
        **invoke_json(a),
        "attribute": attribute_json(a.attribute),
        "access": access_json(a.access),
        "value": data_json(a.value),
    },
    SetRequestWithFirstDatablock: lambda a: {
        "apdu": "set-request-with-first-datablock",
        **invoke_json(a),
        "attribute": attribute_json(a.attribute),
        "access": access_json(a.access),
        **block_json(a),
    },
    SetRequestWithList: lambda a: {
        "apdu": "set-request-with-list",
        **invoke_json(a),
        "attributes": items_json(a.attributes),
        "values": [data_json(value) for value in a.values],
    },
    SetResponseNormal: lambda a: {
        "apdu": "set-response-normal",
        **invoke_json(a),
        "result": a.result,
        "name": name_of(a.result),
    },
    SetResponseDatablock: lambda a: {
        "apdu": "set-response-datablock",
        **invoke_json(a),
        "block_number": a.block_number,
    },
    SetResponseLastDatablock: lambda a: {
        "apdu": "set-response-last-datablock",
        **invoke_json(a),
        "result": a.result,
        "block_number": a.block_number,
    },
    SetResponseLastDatablockWithList: lambda a: {
        "apdu": "set-response-last-datablock-with-list",
        **invoke_json(a),
        "results": [int(result) for result in a.results],
        "block_number": a.block_number,
    },
    SetResponseWithList: lambda a: {
        "apdu": "set-response-with-list",
        **invoke_json(a),
        "results": [int(result) for result in a.results],
    },
    ActionRequestNormal: lambda a: {
        "apdu": "action-request-normal",
        **invoke_json(a),
        "method": method_json(a.method),
        "parameters": None if a.parameters is None else data_json(a.parameters),
    },
    ActionRequestNextPblock: lambda a: {
        "apdu": "action-request-next-pblock",
        **invoke_json(a),
        "block_number": a.block_number,
    },
    ActionRequestWithFirstPblock: lambda a: {
        "apdu": "action-request-with-first-pblock",
        **invoke_json(a),
        "method": method_json(a.method),
        **block_json(a),
    },
    ActionRequestWithListAndFirstPblock: lambda a: {
        "apdu": "action-request-with-list-and-first-pblock",
        **invoke_json(a),
        "methods": [method_json(item) for item in a.methods],
        **block_json(a),
    },
    ActionResponseNormal: lambda a: {"apdu": "action-response-normal", **invoke_json(a), **outcome_json(a)},
    ActionResponseWithList: lambda a: {
        "apdu": "action-response-with-list",
        **invoke_json(a),
        "results": [outcome_json(item) for item in a.results],
    },
    ActionResponseNextPblock: lambda a: {
        "apdu": "action-response-next-pblock",
        **invoke_json(a),
        "block_number": a.block_number,
    },
    ActionOutcome: outcome_json,
    AccessRequest: lambda a: {
        "apdu": "access-request",
        **long_invoke_json(a),
        "date_time": date_time_json(a.date_time),
        "specifications": [specification_json(item) for item in a.specifications],
        "data": [data_json(item) for item in a.data],
    },
    AccessSet: specification_json,
    AccessResponse: lambda a: {
        "apdu": "access-response",
        **long_invoke_json(a),
        "date_time": date_time_json(a.date_time),
        "data": [data_json(item) for item in a.data],
        "results": [access_result_json(item) for item in a.results],
    },
    DataNotification: lambda a: {
        "apdu": "data-notification",
        **long_invoke_json(a),
        "date_time": date_time_json(a.date_time),
        "body": data_json(a.body),
    },
    EventNotificationRequest: lambda a: {
        "apdu": "event-notification-request",
        "time": hexed(a.time),
        "attribute": attribute_json(a.attribute),
        "value": data_json(a.value),
    },
    InformationReportRequest: lambda a: {
        **write_json("information-report-request")(a),
        "current_time": hexed(a.current_time),
    },
    ReadRequest: lambda a: {
        "apdu": "read-request",
        "specifications": [variable_json(item) for item in a.specifications],
    },
    ReadResponse: lambda a: {
        "apdu": "read-response",
        "results": [short_name_result_json(item) for item in a.results],
    },
    WriteRequest: write_json("write-request"),
    UnconfirmedWriteRequest: write_json("unconfirmed-write-request"),
    WriteResponse: lambda a: {
        "apdu": "write-response",
        "results": [short_name_result_json(item) for item in a.results],
    },
    CipheredApdu: lambda a: {"apdu": name_of(a.tag), **control_json(a)},
    GeneralGloCiphering: lambda a: {
        "apdu": "general-glo-ciphering",
        "system_title": a.system_title.hex(),
        **control_json(a),
    },
    GeneralDedCiphering: lambda a: {
        "apdu": "general-ded-ciphering",
        "system_title": a.system_title.hex(),
        **control_json(a),
    },
    GeneralCiphering: lambda a: {
        "apdu": "general-ciphering",
        **general_header_json(a),
        "key_info": key_info_json(a.key_info),
        **control_json(a),
    },
    GeneralSigning: lambda a: {
        "apdu": "general-signing",
        **general_header_json(a),
        "content": a.content.hex(),
        "signature": a.signature.hex(),
    },
    GeneralBlockTransfer: lambda a: {
        "apdu": "general-block-transfer",
        "last_block": a.last_block,
        "streaming": a.streaming,
        "window": a.window,
        "block_number": a.block_number,
        "block_number_ack": a.block_number_ack,
        "block_data": a.block_data.hex(),
    },
}
