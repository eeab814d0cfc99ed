"""What access rights and security policies demand of messages, as bits (IEC 62056-6-2, 4.4.4 and 4.4.7).

An access mode of association LN version 3 and a ``security_policy`` of security setup version 1 use the same bits for
the protection of requests and of responses; ``AccessRight`` names them. The security control octet of a message says
authenticated and encrypted with bits of its own (``SecurityPolicy``); a signature is seen in its envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from cosemic.apdu.services import (
    AccessAction,
    AccessGet,
    AccessSet,
    AttributeDescriptor,
    MethodDescriptor,
    SelectiveAccess,
)
from cosemic.enums import AccessRight
from cosemic.protocol.requests import Request
from cosemic.protocol.terms import NO_DEMANDS, Demands
from cosemic.security.suites import SecurityPolicy

if TYPE_CHECKING:
    from cosemic.cosem.object_list import ObjectEntry
    from cosemic.obis import ObisCode

_Item: TypeAlias = (
    tuple[AttributeDescriptor, SelectiveAccess | None] | MethodDescriptor | AccessGet | AccessSet | AccessAction
)

REQUEST_DEMANDS = AccessRight.AUTHENTICATED_REQUEST | AccessRight.ENCRYPTED_REQUEST | AccessRight.SIGNED_REQUEST
"""What a right can demand of the request."""
RESPONSE_DEMANDS = AccessRight.AUTHENTICATED_RESPONSE | AccessRight.ENCRYPTED_RESPONSE | AccessRight.SIGNED_RESPONSE
"""What a right can demand of the response."""


def request_policy(demands: int) -> SecurityPolicy:
    """The protection that a right, or a security policy, demands of a request."""
    return _POLICIES[demands >> _REQUEST & 7]


def response_policy(demands: int) -> SecurityPolicy:
    """The protection that a right, or a security policy, demands of a response."""
    return _POLICIES[demands >> _RESPONSE & 7]


def demands_of(request: SecurityPolicy, response: SecurityPolicy) -> int:
    """The bits that say: this protection of requests, and that of responses."""
    return _BITS[int(request)] << _REQUEST | _BITS[int(response)] << _RESPONSE


_REQUEST, _RESPONSE = 2, 5
_POLICIES = tuple(
    SecurityPolicy(policy)
    for signed in (SecurityPolicy.NONE, SecurityPolicy.SIGNED)
    for policy in (
        signed,
        signed | SecurityPolicy.AUTHENTICATED,
        signed | SecurityPolicy.ENCRYPTED,
        signed | SecurityPolicy.AUTHENTICATED_ENCRYPTED,
    )
)
_BITS = {int(policy): bits for bits, policy in enumerate(_POLICIES)}


def has_demands(entry: ObjectEntry) -> bool:
    """Whether any right of an object demands protection."""
    rights = (*entry.attributes.values(), *entry.methods.values())
    return any(right & _DEMANDS for right in rights)


def demands_on(request: Request, objects: Mapping[tuple[int, ObisCode], ObjectEntry]) -> Demands:
    """What the rights of the objects demand of a request and its response."""
    bits = 0
    for at in map(_descriptor, request.items):
        entry = objects.get((at.class_id, at.instance))
        if entry is None:
            continue
        if isinstance(at, MethodDescriptor):
            bits |= entry.methods.get(at.method, 0)
        else:
            bits |= entry.attributes.get(at.attribute, 0)
    if not bits & _DEMANDS:
        return NO_DEMANDS
    return Demands(request_policy(bits), response_policy(bits))


def _descriptor(item: _Item) -> AttributeDescriptor | MethodDescriptor:
    """What an item of any request is about."""
    if isinstance(item, AccessGet | AccessSet):
        return item.attribute
    if isinstance(item, AccessAction):
        return item.method
    return item[0] if isinstance(item, tuple) else item


_DEMANDS = int(REQUEST_DEMANDS | RESPONSE_DEMANDS)
