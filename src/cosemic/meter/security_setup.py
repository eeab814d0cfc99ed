"""The security setup of the simulated meter (class 64, versions 0 and 1): policy, keys, certificates, counters.

What it does with keys is what keeps a meter reachable. A call changes all that it names or nothing. New global keys are
*offered*: the old ones stay valid until a message verifies under the new ones (``cosemic.security.key_change``); a new
master key likewise until a key transfer is wrapped with it; a new key pair until its certificate is imported. The
policy can only be made stricter, and never asks for signatures that the meter could not make or check (other-reason).

The counters that the peers have to exceed stand in 0-0:43.1.e*255, for anybody to read: for setup 0-0:43.0.n*255, that
of the global unicast key has e = 2n, that of the broadcast key e = 2n + 1. Each key has counters of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, TypeVar

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.rights import demands_of, request_policy, response_policy
from cosemic.enums import AccessRight, CertificateType, DataAccessResult, DataType, InterfaceClass
from cosemic.errors import AuthenticationError, CertificateError, DlmsError, SecurityError
from cosemic.meter.model import Access
from cosemic.meter.objects import (
    CALL_MANAGER,
    READ_ALL,
    Attribute,
    MeterObject,
    Method,
    Refusal,
    demanding,
    expect_integer,
    fixed,
    rights,
)
from cosemic.obis import ObisCode
from cosemic.security.suites import CIPHERING, KEY_LENGTH, KeyId, SecurityPolicy

if TYPE_CHECKING:
    from cosemic.security.certificate_store import CertificateStore
    from cosemic.security.certificates import Certificate
    from cosemic.security.context import SecurityContext
    from cosemic.security.ec import PrivateKey

logger = logging.getLogger("cosemic.meter")

_T = TypeVar("_T")

CALL_PROVED = demanding(CALL_MANAGER, AccessRight.AUTHENTICATED_REQUEST)
"""Whoever changes keys must prove each request, whatever the policy says."""

_NAMES = {
    KeyId.GLOBAL_UNICAST_ENCRYPTION: "encryption_key",
    KeyId.GLOBAL_BROADCAST_ENCRYPTION: "broadcast_key",
    KeyId.AUTHENTICATION: "authentication_key",
}
_UNUSED_BITS = 0x03
_SIGNED = int(AccessRight.SIGNED_REQUEST | AccessRight.SIGNED_RESPONSE)
_PAIRS = (CertificateType.DIGITAL_SIGNATURE, CertificateType.KEY_AGREEMENT, CertificateType.TLS)


class SecuritySetup:
    """The security of those associations of a meter that use one ``SecurityContext``.

    The context holds the symmetric keys, the master key, and the key pairs for signing and key agreement. ``received``
    are the counters of the peers (``ServerSettings.received``), ``certificates`` a store whose anchors the meter
    trusts. What is missing is refused when it is asked for.
    """

    def __init__(
        self,
        security: SecurityContext,
        received: MutableMapping[str, int],
        *,
        number: int = 0,
        version: int | None = None,
        certificates: CertificateStore | None = None,
    ) -> None:
        self.security = security
        self.version = (1 if security.suite else 0) if version is None else version
        self.obis = setup_name(number)
        self.certificates = certificates
        self._number = number
        self._received = received
        self._tls_key: PrivateKey | None = None
        self._generated: dict[CertificateType, PrivateKey] = {}

    def __repr__(self) -> str:
        return f"<SecuritySetup {self.obis}, version {self.version}, {self.security!r}>"

    def objects(self) -> list[MeterObject]:
        """The setup and its invocation counters."""
        who = rights("-", "r", "r")
        attributes = {
            2: Attribute(lambda access: axdr.enum(self.policy), who),
            3: fixed(axdr.enum(self.security.suite), who),
            4: Attribute(lambda access: axdr.octet_string(access.peer_title or b""), who),
            5: fixed(axdr.octet_string(self.security.system_title or b""), who),
        }
        calls: list[Callable[[Access, Data | None], Typed | None]] = [self._activate, self._transfer]
        if self.version >= 1:
            attributes[6] = Attribute(self._list_certificates, who)
            calls += [
                self._agree,
                self._generate_key_pair,
                self._request_certificate,
                self._import,
                self._export,
                self._remove,
            ]
        methods = {number: Method(call, CALL_PROVED) for number, call in enumerate(calls, start=1)}
        setup = MeterObject(InterfaceClass.SECURITY_SETUP, self.obis, self.version, attributes, methods)
        return [setup, self._counter(broadcast=False), self._counter(broadcast=True)]

    # Policy

    @property
    def policy(self) -> int:
        """Attribute 2: an enumeration in version 0, bits for requests and responses in version 1."""
        security = self.security
        if self.version == 0:
            return (int(security.minimum_policy) & CIPHERING) >> 4
        return demands_of(security.minimum_policy, security.policy)

    def _activate(self, access: Access, parameters: Data | None) -> None:
        value = expect_integer(parameters, DataType.ENUM)
        if self.version == 0:
            if value > int(SecurityPolicy.AUTHENTICATED_ENCRYPTED) >> 4:
                raise Refusal(DataAccessResult.OTHER_REASON)
            minimum = policy = SecurityPolicy.parse(value << 4)
        else:
            # A meter that cannot sign must not promise to, and one that cannot check a signature must not demand any:
            # nobody could ask it for anything again.
            if value & _UNUSED_BITS or (value & _SIGNED and self.security.signing_key is None):
                raise Refusal(DataAccessResult.OTHER_REASON)
            if value & AccessRight.SIGNED_REQUEST and not self._checks_signatures:
                logger.warning("refused to demand signatures: there is neither a peer_signing_key nor trust")
                raise Refusal(DataAccessResult.OTHER_REASON)
            minimum, policy = request_policy(value), response_policy(value)
        if self.policy & ~value:
            logger.warning("refused to weaken the security policy from %#04x to %#04x", self.policy, value)
            raise Refusal(DataAccessResult.OTHER_REASON)
        self.security.strengthen(minimum=minimum, policy=policy)

    @property
    def _checks_signatures(self) -> bool:
        return self.security.peer_signing_key is not None or self.security.trust is not None

    # Symmetric keys

    def _transfer(self, access: Access, parameters: Data | None) -> None:
        wrapped = _key_data(parameters)
        if self.version == 0 and KeyId.MASTER in wrapped:
            raise Refusal(DataAccessResult.OTHER_REASON)
        master, keys = _or_refuse("a key transfer", lambda: self._unwrap(wrapped))
        self.security.prove_kek(master)
        self._offer(keys)

    def _unwrap(self, wrapped: dict[KeyId, bytes]) -> tuple[bytes, dict[KeyId, bytes]]:
        """The keys, and the master key that all of them are wrapped with."""
        from cosemic.security.key_wrap import unwrap_key

        if not self.security.has_kek:
            raise SecurityError("the meter has no master key")
        problem = AuthenticationError("no key was named")
        for master in self.security.keks:
            try:
                keys = {key_id: unwrap_key(master, octets) for key_id, octets in wrapped.items()}
            except AuthenticationError as error:
                problem = error
                continue
            if any(len(key) != KEY_LENGTH[self.security.suite] for key in keys.values()):
                raise SecurityError("a key of another length than the security suite has")
            return master, keys
        raise problem

    def _agree(self, access: Access, parameters: Data | None) -> Typed:
        from cosemic.security.agreement import key_offer

        theirs = _key_data(parameters)
        security, title = self.security, access.peer_title
        own, server_title, suite = security.signing_key, security.system_title, security.suite
        if own is None or title is None or server_title is None:
            raise Refusal(DataAccessResult.OTHER_REASON)

        def work() -> tuple[dict[KeyId, bytes], list[Typed]]:
            peer = self._signing_key_of(title, access)
            keys, answers = {}, []
            for key_id, key_data in theirs.items():
                offer = key_offer(suite, key_id, own)
                keys[key_id] = offer.agree(key_data, peer, title, server_title)
                answers.append(axdr.structure(axdr.enum(key_id), axdr.octet_string(offer.key_data)))
            return keys, answers

        keys, answers = _or_refuse("a key agreement", work)
        self._offer(keys)
        return axdr.array(*answers)

    def _signing_key_of(self, title: bytes, access: Access) -> bytes:
        """The client's public key: the configured one, else that of its certificate."""
        if self.security.peer_signing_key is not None:
            return self.security.peer_signing_key
        if self.certificates is None:
            raise CertificateError("the meter has no public key of the client, and no certificates")
        return self.certificates.certificate_of(title, CertificateType.DIGITAL_SIGNATURE, at=access.now).public

    def _offer(self, keys: dict[KeyId, bytes]) -> None:
        """All of them at once; the old ones stay valid until a message verifies under the new ones."""
        self.security.offer_keys(**{_NAMES[key_id]: key for key_id, key in keys.items() if key_id in _NAMES})
        if KeyId.MASTER in keys:
            self.security.offer_kek(keys[KeyId.MASTER])
        logger.info("offered new keys: %s", ", ".join(key_id.name for key_id in keys))

    # Key pairs and certificates

    def _generate_key_pair(self, access: Access, parameters: Data | None) -> None:
        purpose = self._purpose(parameters)
        from cosemic.security.ec import SoftwareKey

        self._generated[purpose] = SoftwareKey.generate(self.security.suite)

    def _request_certificate(self, access: Access, parameters: Data | None) -> Typed:
        purpose, title = self._purpose(parameters), self.security.system_title
        key = self._generated.get(purpose) or self._key_pair(purpose)
        if key is None or title is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        from cosemic.security.issuing import certificate_request

        return axdr.octet_string(certificate_request(key, title))

    def _purpose(self, parameters: Data | None) -> CertificateType:
        value = expect_integer(parameters, DataType.ENUM)
        if value >= len(_PAIRS) or not self.security.suite:
            raise Refusal(DataAccessResult.OTHER_REASON)
        return _PAIRS[value]

    def _list_certificates(self, access: Access) -> Typed:
        return axdr.array() if self.certificates is None else self.certificates.attribute()

    def _import(self, access: Access, parameters: Data | None) -> None:
        store, octets = self._store(), _octets(parameters)

        def work() -> None:
            from cosemic.security.certificates import Certificate

            certificate = Certificate.parse(octets)
            if certificate.suite != self.security.suite:
                raise CertificateError(f"{certificate} is of suite {certificate.suite}")
            if certificate.type is CertificateType.OTHER and not certificate.is_authority:
                raise CertificateError(f"{certificate} is for nothing that a meter does")
            if certificate.system_title is not None and certificate.system_title == self.security.system_title:
                self._import_own(store, certificate, access)
            else:
                store.import_certificate(certificate, at=access.now)

        _or_refuse("a certificate", work)

    def _import_own(self, store: CertificateStore, certificate: Certificate, access: Access) -> None:
        """A certificate of this meter: it must be for one of its keys, and puts a generated one to use."""
        from cosemic.security.certificate_store import BySerial

        purpose = certificate.type
        generated = self._generated.get(purpose)
        if generated is not None and generated.public == certificate.public:
            store.import_certificate(certificate, at=access.now)
            self._use(purpose, self._generated.pop(purpose), certificate)
            for old in [one for one in store if one.system_title == certificate.system_title]:
                if old.type is purpose and old.public != certificate.public:
                    store.remove(BySerial(old.serial_octets, old.issuer))
            return
        key = self._key_pair(purpose)
        if key is None or key.public != certificate.public:
            raise CertificateError(f"{certificate} is for no key of this meter")
        store.import_certificate(certificate, at=access.now)

    def _key_pair(self, purpose: CertificateType) -> PrivateKey | None:
        if purpose is CertificateType.DIGITAL_SIGNATURE:
            return self.security.signing_key
        return self.security.agreement_key if purpose is CertificateType.KEY_AGREEMENT else self._tls_key

    def _use(self, purpose: CertificateType, key: PrivateKey, certificate: Certificate) -> None:
        if purpose is CertificateType.DIGITAL_SIGNATURE:
            self.security.signing_key = key
            if self.security.certificate is not None:
                self.security.certificate = certificate.der  # it goes out in the AARE
        elif purpose is CertificateType.KEY_AGREEMENT:
            self.security.agreement_key = key
        else:
            self._tls_key = key

    def _export(self, access: Access, parameters: Data | None) -> Typed:
        from cosemic.security.certificate_store import identification

        store, asked = self._store(), _typed(parameters)
        return axdr.octet_string(_or_refuse("an export", lambda: store.export(identification(asked)).der))

    def _remove(self, access: Access, parameters: Data | None) -> None:
        from cosemic.security.certificate_store import identification

        store, asked = self._store(), _typed(parameters)
        _or_refuse("a removal", lambda: store.remove(identification(asked)))

    def _store(self) -> CertificateStore:
        if self.certificates is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        return self.certificates

    # Counters

    def _counter(self, *, broadcast: bool) -> MeterObject:
        obis = ObisCode(0, 0, 43, 1, 2 * self._number + broadcast, 255)

        def read(access: Access) -> Typed:
            return axdr.double_long_unsigned(self.last_counter(broadcast=broadcast))

        return MeterObject(InterfaceClass.DATA, obis, 0, {2: Attribute(read, READ_ALL)})

    def last_counter(self, *, broadcast: bool = False) -> int:
        """The highest counter accepted under the key in use, from any client; the next message has to exceed it."""
        security = self.security
        names = self._names(broadcast=broadcast)
        if not broadcast and not security.has_replaced_key:
            # All counters are of this key then, also those kept from an earlier run, but for the broadcast key's.
            names = {*self._received} - self._names(broadcast=True)
        return max((self._received.get(name, 0) for name in names), default=0)

    def _names(self, *, broadcast: bool) -> set[str]:
        """What the counters of the peers that were heard are called under the key in use."""
        names = (self.security.counter_id(title, broadcast=broadcast) for title in self.security.heard)
        return {name for name in names if name is not None}


def setup_name(number: int) -> ObisCode:
    """The logical name of the security setup with that number."""
    return ObisCode(0, 0, 43, 0, number, 255)


def _key_data(parameters: Data | None) -> dict[KeyId, bytes]:
    """An array of structures of key id and octets; each key once."""
    typed = _typed(parameters)
    if typed.type is not DataType.ARRAY or not typed.elements:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    keys: dict[KeyId, bytes] = {}
    for element in typed.elements:
        if element.type is not DataType.STRUCTURE or len(element.elements) != 2:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        key_id, octets = element.elements
        if key_id.type is not DataType.ENUM or octets.type is not DataType.OCTET_STRING:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        assert isinstance(key_id.value, int)
        assert isinstance(octets.value, bytes)
        if key_id.value not in list(KeyId) or key_id.value in keys:
            raise Refusal(DataAccessResult.OTHER_REASON)
        keys[KeyId(key_id.value)] = octets.value
    return keys


def _typed(parameters: Data | None) -> Typed:
    if parameters is None:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return parameters.typed


def _octets(parameters: Data | None) -> bytes:
    typed = _typed(parameters)
    if typed.type is not DataType.OCTET_STRING or not isinstance(typed.value, bytes):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return typed.value


def _or_refuse(what: str, work: Callable[[], _T]) -> _T:
    """What ``work`` gives; an error of ours in it becomes the refusal that the client gets to see."""
    try:
        return work()
    except DlmsError as error:
        logger.warning("refused %s: %s", what, error)
        raise Refusal(DataAccessResult.OTHER_REASON) from None
