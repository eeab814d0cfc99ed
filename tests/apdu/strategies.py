"""Hypothesis strategies for every class of APDU, in its canonical form."""

from __future__ import annotations

from hypothesis import strategies as st

from cosemic import apdu as a
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    ExceptionServiceError,
    ExceptionStateError,
    ReleaseRequestReason,
    ReleaseResponseReason,
    ServiceErrorType,
    known,
)
from cosemic.obis import ObisCode

octet = st.integers(0, 0xFF)
number16 = st.integers(0, 0xFFFF)
number32 = st.integers(0, 0xFFFFFFFF)
octets = st.binary(max_size=300)
short = st.binary(max_size=20)
flag = st.booleans()


def code(kind):
    """A member of the enumeration, or a number that it does not know."""
    return octet.map(lambda number: known(kind, number))


scalar = st.one_of(
    st.just(axdr.null_data()),
    flag.map(axdr.boolean),
    octet.map(axdr.unsigned),
    number16.map(axdr.long_unsigned),
    number32.map(axdr.double_long_unsigned),
    st.integers(-(1 << 63), (1 << 63) - 1).map(axdr.long64),
    octets.map(axdr.octet_string),
    st.text(alphabet="abcXYZ 09", max_size=8).map(axdr.visible_string),
    octet.map(axdr.enum),
)
data = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3).map(lambda items: axdr.structure(*items)), max_leaves=6
)
data = data.map(Data.of)

instance = st.binary(min_size=6, max_size=6).map(ObisCode.from_bytes)
attribute = st.builds(a.AttributeDescriptor, number16, instance, st.integers(-128, 127))
method = st.builds(a.MethodDescriptor, number16, instance, st.integers(-128, 127))
selection = st.builds(a.SelectiveAccess, octet, data)
access = st.none() | selection
items = st.lists(st.tuples(attribute, access), max_size=4).map(tuple)
methods = st.lists(method, max_size=4).map(tuple)
values = st.lists(data, max_size=4).map(tuple)
get_result = data | code(DataAccessResult)
outcome = st.builds(a.ActionOutcome, code(ActionResult), st.none() | get_result)
date_time = st.just(b"") | st.binary(min_size=12, max_size=12) | short

variable = st.one_of(
    st.builds(a.VariableName, number16),
    st.builds(a.ParameterizedAccess, number16, octet, data),
    st.builds(a.BlockNumberAccess, number16),
    st.builds(a.ReadDataBlockAccess, flag, number16, octets),
    st.builds(a.WriteDataBlockAccess, flag, number16),
)
variables = st.lists(variable, max_size=4).map(tuple)
read_result = st.one_of(
    get_result, st.builds(a.DataBlockResult, flag, number16, octets), st.builds(a.BlockNumber, number16)
)
write_result = code(DataAccessResult) | st.builds(a.BlockNumber, number16)

specification = st.one_of(
    st.builds(a.AccessGet, attribute, access),
    st.builds(a.AccessSet, attribute, access),
    st.builds(a.AccessAction, method),
)
specifications = st.lists(specification, max_size=4).map(tuple)
access_outcome = st.one_of(
    st.builds(a.AccessOutcome, st.sampled_from([1, 2]), code(DataAccessResult)),
    st.builds(a.AccessOutcome, st.just(3), code(ActionResult)),
)

context = st.sampled_from(ApplicationContext) | st.just(bytes.fromhex("6085740508010f"))
mechanism = st.none() | st.sampled_from(AuthenticationMechanism) | st.just(bytes.fromhex("60857405080233"))
title = st.none() | st.binary(max_size=200)
invocation_id = st.none() | st.integers(-(1 << 31), 1 << 31)
version = st.none() | st.just(b"\x07\x80")
result = st.integers(0, 255).map(lambda number: known(AssociationResult, number))
diagnostic = st.one_of(
    st.tuples(code(AcseServiceUserDiagnostic), st.just("user")),
    st.tuples(code(AcseServiceProviderDiagnostic), st.just("provider")),
)


association_response = st.builds(
    lambda why, **fields: a.AssociationResponse(diagnostic=why[0], diagnostic_source=why[1], **fields),
    why=diagnostic,
    application_context=context,
    result=result,
    mechanism=mechanism,
    responding_authentication_value=title,
    responding_ap_title=title,
    responding_ae_qualifier=title,
    responding_ap_invocation_id=invocation_id,
    responding_ae_invocation_id=invocation_id,
    user_information=title,
    acse_requirements=flag,
    protocol_version=version,
    implementation_information=title,
)

# The payload is long enough for the tag of 12 octets that the security control octet may announce.
payload = st.binary(min_size=12, max_size=200)
header = (octet, number32, payload)
key_info = st.none() | st.one_of(
    st.builds(a.IdentifiedKey, octet), st.builds(a.WrappedKey, octet, octets), st.builds(a.AgreedKey, short, octets)
)

BY_CLASS = {
    a.GetRequestNormal: st.builds(a.GetRequestNormal, octet, attribute, access),
    a.GetRequestNext: st.builds(a.GetRequestNext, octet, number32),
    a.GetRequestWithList: st.builds(a.GetRequestWithList, octet, items),
    a.GetResponseNormal: st.builds(a.GetResponseNormal, octet, get_result),
    a.GetResponseWithDatablock: st.builds(
        a.GetResponseWithDatablock, octet, flag, number32, octets | code(DataAccessResult)
    ),
    a.GetResponseWithList: st.builds(a.GetResponseWithList, octet, st.lists(get_result, max_size=4).map(tuple)),
    a.SetRequestNormal: st.builds(a.SetRequestNormal, octet, attribute, access, data),
    a.SetRequestWithFirstDatablock: st.builds(
        a.SetRequestWithFirstDatablock, octet, attribute, access, flag, number32, octets
    ),
    a.SetRequestWithDatablock: st.builds(a.SetRequestWithDatablock, octet, flag, number32, octets),
    a.SetRequestWithList: st.builds(a.SetRequestWithList, octet, items, values),
    a.SetRequestWithListAndFirstDatablock: st.builds(
        a.SetRequestWithListAndFirstDatablock, octet, items, flag, number32, octets
    ),
    a.SetResponseNormal: st.builds(a.SetResponseNormal, octet, code(DataAccessResult)),
    a.SetResponseDatablock: st.builds(a.SetResponseDatablock, octet, number32),
    a.SetResponseLastDatablock: st.builds(a.SetResponseLastDatablock, octet, code(DataAccessResult), number32),
    a.SetResponseLastDatablockWithList: st.builds(
        a.SetResponseLastDatablockWithList, octet, st.lists(code(DataAccessResult)).map(tuple), number32
    ),
    a.SetResponseWithList: st.builds(a.SetResponseWithList, octet, st.lists(code(DataAccessResult)).map(tuple)),
    a.ActionRequestNormal: st.builds(a.ActionRequestNormal, octet, method, st.none() | data),
    a.ActionRequestNextPblock: st.builds(a.ActionRequestNextPblock, octet, number32),
    a.ActionRequestWithList: st.builds(a.ActionRequestWithList, octet, methods, values),
    a.ActionRequestWithFirstPblock: st.builds(a.ActionRequestWithFirstPblock, octet, method, flag, number32, octets),
    a.ActionRequestWithListAndFirstPblock: st.builds(
        a.ActionRequestWithListAndFirstPblock, octet, methods, flag, number32, octets
    ),
    a.ActionRequestWithPblock: st.builds(a.ActionRequestWithPblock, octet, flag, number32, octets),
    a.ActionResponseNormal: st.builds(a.ActionResponseNormal, octet, code(ActionResult), st.none() | get_result),
    a.ActionResponseWithPblock: st.builds(a.ActionResponseWithPblock, octet, flag, number32, octets),
    a.ActionResponseWithList: st.builds(a.ActionResponseWithList, octet, st.lists(outcome, max_size=4).map(tuple)),
    a.ActionResponseNextPblock: st.builds(a.ActionResponseNextPblock, octet, number32),
    a.AccessRequest: st.builds(a.AccessRequest, number32, date_time, specifications, values),
    a.AccessResponse: st.builds(
        a.AccessResponse,
        number32,
        date_time,
        st.none() | specifications,
        values,
        st.lists(access_outcome, max_size=4).map(tuple),
    ),
    a.ReadRequest: st.builds(a.ReadRequest, variables),
    a.ReadResponse: st.builds(a.ReadResponse, st.lists(read_result, max_size=4).map(tuple)),
    a.WriteRequest: st.builds(a.WriteRequest, variables, values),
    a.WriteResponse: st.builds(a.WriteResponse, st.lists(write_result, max_size=4).map(tuple)),
    a.UnconfirmedWriteRequest: st.builds(a.UnconfirmedWriteRequest, variables, values),
    a.InformationReportRequest: st.builds(a.InformationReportRequest, st.none() | short, variables, values),
    a.DataNotification: st.builds(a.DataNotification, number32, date_time, data),
    a.DataNotificationConfirm: st.builds(a.DataNotificationConfirm, number32, date_time),
    a.EventNotificationRequest: st.builds(a.EventNotificationRequest, st.none() | date_time, attribute, data),
    a.ExceptionResponse: st.one_of(
        st.builds(
            a.ExceptionResponse,
            code(ExceptionStateError),
            octet.filter(lambda n: n != 6).map(lambda n: known(ExceptionServiceError, n)),
        ),
        st.builds(
            a.ExceptionResponse,
            code(ExceptionStateError),
            st.just(ExceptionServiceError.INVOCATION_COUNTER_ERROR),
            number32,
        ),
    ),
    a.ConfirmedServiceError: st.builds(a.ConfirmedServiceError, code(ConfirmedService), code(ServiceErrorType), octet),
    a.InitiateRequest: st.builds(
        a.InitiateRequest,
        st.none() | octets,
        flag,
        st.none() | st.integers(-128, 127),
        octet,
        st.integers(0, 0xFFFFFF).map(Conformance),
        number16,
    ),
    a.InitiateResponse: st.builds(
        a.InitiateResponse,
        st.none() | st.integers(-128, 127),
        octet,
        st.integers(0, 0xFFFFFF).map(Conformance),
        number16,
        number16,
    ),
    a.AssociationRequest: st.builds(
        a.AssociationRequest,
        context,
        mechanism,
        title,
        title,
        title,
        invocation_id,
        title,
        flag,
        version,
        title,
        title,
        invocation_id,
        invocation_id,
        invocation_id,
        title,
    ),
    a.AssociationResponse: association_response,
    a.ReleaseRequest: st.builds(
        a.ReleaseRequest,
        st.none() | st.integers(-128, 127).map(lambda n: known(ReleaseRequestReason, n)),
        title,
    ),
    a.ReleaseResponse: st.builds(
        a.ReleaseResponse,
        st.none() | st.integers(-128, 127).map(lambda n: known(ReleaseResponseReason, n)),
        title,
    ),
    a.CipheredApdu: st.builds(a.CipheredApdu, st.sampled_from(sorted(a.PLAIN_TAG)).map(ApduTag), *header),
    a.GeneralGloCiphering: st.builds(a.GeneralGloCiphering, short, *header),
    a.GeneralDedCiphering: st.builds(a.GeneralDedCiphering, short, *header),
    a.GeneralCiphering: st.builds(a.GeneralCiphering, short, short, short, short, short, key_info, *header),
    a.GeneralSigning: st.builds(a.GeneralSigning, short, short, short, short, short, octets, octets),
    a.GeneralBlockTransfer: st.builds(
        a.GeneralBlockTransfer, flag, flag, st.integers(0, 63), number16, number16, octets
    ),
}
