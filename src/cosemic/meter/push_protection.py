"""How a push is protected: by the policy of the meter's keys, or by the layers of push_protection_parameters.

Without layers a DataNotification has no envelope of its own and goes in general-glo-ciphering, as the policy says, or
in general-ciphering where the keys are set up for that. The layers of attribute 10 (IEC 62056-6-2, 4.4.8.2.10) ask for
general-ciphering under the key that they name, and for general-signing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed, Value
from cosemic.enums import DataAccessResult, Role
from cosemic.errors import KeyMissing
from cosemic.meter.objects import Refusal
from cosemic.protocol.ciphering import CIPHERED, Envelope, seal, unseal
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.suites import CIPHERING, SIGNED, GeneralKey, SigningOrder

_MOST_LAYERS = 2
_LONGEST = 255
_MOST_RECIPIENTS = 16


class LayerKind(enum.IntEnum):
    """What a layer does."""

    AUTHENTICATION = 0
    ENCRYPTION = 1
    AUTHENTICATED_ENCRYPTION = 2
    SIGNATURE = 3


class KeyKind(enum.IntEnum):
    """Where the key of a layer comes from."""

    IDENTIFIED = 0
    WRAPPED = 1
    AGREED = 2


_POLICIES = {
    LayerKind.AUTHENTICATION: SecurityPolicy.AUTHENTICATED,
    LayerKind.ENCRYPTION: SecurityPolicy.ENCRYPTED,
    LayerKind.AUTHENTICATED_ENCRYPTION: SecurityPolicy.AUTHENTICATED_ENCRYPTED,
}


@dataclass(frozen=True, slots=True)
class ProtectionLayer:
    """One layer, the first is the innermost. ``scheme`` is that of an agreed key: 1 one-pass, 2 static keys."""

    kind: LayerKind = LayerKind.AUTHENTICATED_ENCRYPTION
    transaction_id: bytes = b""
    originator: bytes = b""
    recipient: bytes = b""
    other_information: bytes = b""
    key: KeyKind = KeyKind.IDENTIFIED
    scheme: int = 2

    @property
    def general_key(self) -> GeneralKey:
        """The key for general-ciphering."""
        if self.key is KeyKind.AGREED:
            return GeneralKey.ONE_PASS if self.scheme == 1 else GeneralKey.STATIC_UNIFIED
        return GeneralKey.WRAPPED if self.key is KeyKind.WRAPPED else GeneralKey.IDENTIFIED

    def typed(self) -> Typed:
        """The structure to send; no key is in it."""
        if self.key is KeyKind.AGREED:
            options = axdr.structure(axdr.octet_string(bytes((self.scheme,))), axdr.octet_string(b""))
        elif self.key is KeyKind.WRAPPED:
            options = axdr.structure(axdr.enum(0), axdr.octet_string(b""))
        else:
            options = axdr.structure(axdr.enum(0))
        names = (self.transaction_id, self.originator, self.recipient, self.other_information)
        return axdr.structure(
            axdr.enum(self.kind),
            axdr.structure(*map(axdr.octet_string, names), axdr.structure(axdr.enum(self.key), options)),
        )


def encode_layers(layers: tuple[ProtectionLayer, ...]) -> Typed:
    """push_protection_parameters."""
    return axdr.array(*(layer.typed() for layer in layers))


def decode_layers(value: Value) -> tuple[ProtectionLayer, ...]:
    """push_protection_parameters. Refusal: type-unmatched for what is none, other-reason for what cannot be done.

    One layer of ciphering and one signature can be, in either order.
    """
    if not isinstance(value, list):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    layers = tuple(_layer(element) for element in value)
    signatures = sum(layer.kind is LayerKind.SIGNATURE for layer in layers)
    if len(layers) > _MOST_LAYERS or signatures > 1 or len(layers) - signatures > 1:
        raise Refusal(DataAccessResult.OTHER_REASON)
    return layers


def _layer(value: object) -> ProtectionLayer:
    match value:
        case (int(kind), (bytes(transaction), bytes(originator), bytes(recipient), bytes(other), key_info)):
            pass
        case _:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    if kind not in tuple(LayerKind) or max(map(len, (transaction, originator, recipient, other))) > _LONGEST:
        raise Refusal(DataAccessResult.OTHER_REASON)
    scheme = 2
    match key_info:
        case None:
            key = KeyKind.IDENTIFIED
        case (0, (0,) | 0):
            key = KeyKind.IDENTIFIED
        case (1, (0, bytes())):
            key = KeyKind.WRAPPED
        case (2, (b"\x01" | b"\x02" as parameters, bytes())):
            key, scheme = KeyKind.AGREED, parameters[0]
        case (int(), _):
            raise Refusal(DataAccessResult.OTHER_REASON)
        case _:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return ProtectionLayer(LayerKind(kind), transaction, originator, recipient, other, key, scheme)


class PushSealer:
    """Seals the pushes of one meter with its keys and its durable counters, and opens their confirmations.

    ``policy`` None takes that of the context. With ``broadcast`` the global broadcast key protects, which all
    listeners share. ``recipient`` is the system title of the client, needed where keys or headers name it.
    """

    def __init__(
        self,
        context: SecurityContext,
        *,
        policy: SecurityPolicy | str | None = None,
        broadcast: bool = False,
        recipient: bytes | None = None,
    ) -> None:
        self._context = context
        self._policy = SecurityPolicy.parse(policy) if isinstance(policy, str) else policy
        self._broadcast = broadcast
        self._recipient = recipient
        self._securities: dict[bytes, AssociationSecurity] = {}
        self._received: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<PushSealer {self._context!r}>"

    @property
    def policy(self) -> SecurityPolicy:
        """What a push without layers of its own is protected by."""
        return self._context.policy if self._policy is None else self._policy

    def seal(self, apdu: bytes, layers: tuple[ProtectionLayer, ...] = ()) -> bytes:
        """The protected APDU. KeyMissing for a key or a title that is needed; SecurityError from the counter store."""
        if layers:
            return self._seal_layers(apdu, layers)
        policy = self.policy
        key = self._context.general if isinstance(self._context.general, GeneralKey) else None
        order = self._context.signing_order if int(policy) & SIGNED else None
        envelope = Envelope(
            policy, general=True, key=key if int(policy) & CIPHERING else None, order=order, broadcast=self._broadcast
        )
        return seal(self._security(self._recipient), apdu, envelope)

    def open(self, apdu: bytes, layers: tuple[ProtectionLayer, ...] = ()) -> bytes:
        """The confirmation inside an envelope, or as it is where the push had none.

        A SecurityError where it is not good, RemoteProtocolError where it makes no sense.
        """
        if not apdu or not CIPHERED[apdu[0]]:
            if self.policy or layers:
                raise KeyMissing("a confirmation without protection, of a push that had some")
            return apdu
        security = AssociationSecurity(
            self._context, role=Role.SERVER, peer_system_title=self._recipient, received=self._received
        )
        try:
            return unseal(security, apdu)[0]
        finally:
            security.close()

    def close(self) -> None:
        """Give unused counters back."""
        for security in self._securities.values():
            security.close()
        self._securities.clear()

    def _seal_layers(self, apdu: bytes, layers: tuple[ProtectionLayer, ...]) -> bytes:
        ciphering = next((layer for layer in layers if layer.kind is not LayerKind.SIGNATURE), None)
        signed = next((layer for layer in layers if layer.kind is LayerKind.SIGNATURE), None)
        policy = SecurityPolicy.NONE
        if ciphering is not None:
            policy |= _POLICIES[ciphering.kind]
        order = None
        if signed is not None:
            policy |= SecurityPolicy.SIGNED
            order = SigningOrder.SIGN_FIRST if layers[0] is signed else SigningOrder.CIPHER_FIRST
        named = layers[0]
        envelope = Envelope(
            policy,
            general=True,
            key=None if ciphering is None else ciphering.general_key,
            order=order,
            transaction_id=named.transaction_id,
        )
        return seal(self._security(named.recipient or self._recipient), apdu, envelope)

    def _security(self, recipient: bytes | None) -> AssociationSecurity:
        name = recipient or b""
        security = self._securities.get(name)
        if security is None:
            while len(self._securities) >= _MOST_RECIPIENTS:  # clients write whom it goes to
                self._securities.pop(next(iter(self._securities))).close()
            security = AssociationSecurity(self._context, role=Role.SERVER, peer_system_title=recipient or None)
            self._securities[name] = security
        return security
