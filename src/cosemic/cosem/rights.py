"""What access rights and security policies demand of messages, as bits (IEC 62056-6-2, 4.4.4 and 4.4.7).

An access mode of association LN version 3 and a ``security_policy`` of security setup version 1 use the same bits for
the protection of requests and of responses; ``AccessRight`` names them. The security control octet of a message says
authenticated and encrypted with bits of its own (``SecurityPolicy``); a signature is seen in its envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cosemic.enums import AccessRight
from cosemic.errors import LocalProtocolError
from cosemic.protocol.requests import Action, Request, target
from cosemic.protocol.terms import NO_DEMANDS, Demands
from cosemic.security.suites import SecurityPolicy

if TYPE_CHECKING:
    from cosemic.cosem.object_list import ObjectEntry
    from cosemic.obis import ObisCode

REQUEST_DEMANDS = AccessRight.AUTHENTICATED_REQUEST | AccessRight.ENCRYPTED_REQUEST | AccessRight.SIGNED_REQUEST
"""What a right can demand of the request."""
RESPONSE_DEMANDS = AccessRight.AUTHENTICATED_RESPONSE | AccessRight.ENCRYPTED_RESPONSE | AccessRight.SIGNED_RESPONSE
"""What a right can demand of the response."""

_REQUEST_SHIFT, _RESPONSE_SHIFT = 2, 1
_POLICY = int(SecurityPolicy.AUTHENTICATED_ENCRYPTED)


def request_policy(demands: int) -> SecurityPolicy:
    """The authentication and encryption that a right, or a policy, demands of a request."""
    return _POLICIES[demands << _REQUEST_SHIFT & _POLICY]


def response_policy(demands: int) -> SecurityPolicy:
    """The authentication and encryption that a right, or a policy, demands of a response."""
    return _POLICIES[demands >> _RESPONSE_SHIFT & _POLICY]


def demands_of(request: int, response: int = 0, *, signed_request: bool = False, signed_response: bool = False) -> int:
    """The bits that say: this protection of requests, and that of responses."""
    bits = (request & _POLICY) >> _REQUEST_SHIFT | (response & _POLICY) << _RESPONSE_SHIFT
    if signed_request:
        bits |= AccessRight.SIGNED_REQUEST
    if signed_response:
        bits |= AccessRight.SIGNED_RESPONSE
    return int(bits)


def has_demands(entry: ObjectEntry) -> bool:
    """Whether any right of an object demands protection."""
    rights = (*entry.attributes.values(), *entry.methods.values())
    return any(right & _DEMANDS for right in rights)


def demands_on(request: Request, objects: Mapping[tuple[int, ObisCode], ObjectEntry]) -> Demands:
    """What the rights of the objects demand of a request and its response.

    LocalProtocolError for a signature: it would take general-signing around the request.
    """
    bits = 0
    if isinstance(request, Action):
        for method in request.items:
            entry = objects.get((method.class_id, method.instance))
            if entry is not None:
                bits |= entry.methods.get(method.method, 0)
    else:
        for attribute, _ in request.items:
            entry = objects.get((attribute.class_id, attribute.instance))
            if entry is not None:
                bits |= entry.attributes.get(attribute.attribute, 0)
    bits &= _DEMANDS
    if not bits:
        return NO_DEMANDS
    if bits & _SIGNED:
        raise LocalProtocolError(
            f"{target(request)}: the access right demands a digital signature, which this client does not make"
        )
    return Demands(request_policy(bits), response_policy(bits))


_DEMANDS = int(REQUEST_DEMANDS | RESPONSE_DEMANDS)
_SIGNED = int(AccessRight.SIGNED_REQUEST | AccessRight.SIGNED_RESPONSE)
_POLICIES = {int(policy): policy for policy in (SecurityPolicy(bits << 4) for bits in range(4))}
