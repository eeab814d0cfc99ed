"""What one side knows before an association is opened: who it is, which secrets it has, what it can do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cosemic.enums import ApplicationContext, AuthenticationMechanism, Conformance, Referencing
from cosemic.obis import ObisCode
from cosemic.tolerances import DEFAULT, Tolerance

if TYPE_CHECKING:
    from cosemic.protocol.short_naming import NamedObjects, ShortNames
    from cosemic.security.context import SecurityContext, SecurityPolicy

HlsFunction: TypeAlias = Callable[[bytes, bytes], bytes]
"""Mechanism 2: (secret, challenge of the peer) -> reply."""

DEFAULT_CONFORMANCE: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.SELECTIVE_ACCESS
    | Conformance.PRIORITY_MGMT_SUPPORTED
    | Conformance.EVENT_NOTIFICATION
    | Conformance.DATA_NOTIFICATION
    | Conformance.GENERAL_BLOCK_TRANSFER
    | Conformance.ACCESS
)
"""The services that exist here; GENERAL_PROTECTION comes with a security context that asks for it."""

DEFAULT_WINDOW: Final = 16
"""Blocks of a general block transfer that are taken in one go."""

MINIMUM_PDU_SIZE: Final = 12
"""The smallest maximum APDU size that an association can work with; 0 means no limit."""

LOGICAL_NAME_ASSOCIATION: Final = ObisCode(0, 0, 40, 0, 0, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client brings to an association with a meter."""

    client_sap: int = 16
    server_sap: int = 1
    mechanism: AuthenticationMechanism = AuthenticationMechanism.NONE
    password: bytes | None = field(default=None, repr=False)
    """LLS password, or the HLS secret of mechanisms 2, 3, 4 and 6. GMAC needs ``security`` instead."""
    security: SecurityContext | None = None
    conformance: Conformance | None = None
    """Proposed conformance; None proposes every service that exists here."""
    max_pdu_size: int = 0xFFFF
    """The largest APDU that the meter may send to us; 0 = no limit."""
    user_id: int | None = None
    """calling-AE-invocation-id, where a meter tells users apart by it."""
    application_context: ApplicationContext | None = None
    """None: ciphered when ``security`` has a policy other than none, plain otherwise."""
    association_object: ObisCode = LOGICAL_NAME_ASSOCIATION
    """Where passes 3 and 4 of HLS happen: method 1 of this object of class 15."""
    pre_established: bool = False
    """No AARQ and no RLRQ: ``conformance`` holds as agreed, ``pre_established_pdu_size`` as the meter's limit."""
    pre_established_pdu_size: int = 0xFFFF
    broadcast: bool = False
    """Requests go to many meters: under the global broadcast key, where the context has one (else the unicast key)."""
    use_rlrq: bool = True
    """False: release by closing the link alone."""
    push_policy: SecurityPolicy | int = 0
    """The least protection of a push; one that has less is dropped and logged. 0 takes all and tells what each had."""
    high_priority: bool = True
    confirmed: bool = True
    referencing: Referencing = Referencing.LOGICAL_NAME
    short_names: ShortNames | None = None
    """The table that requests are named by where ``referencing`` is by short names."""
    hls_function: HlsFunction | None = None
    challenge_length: int = 16
    max_octets: int = 64 << 20
    """The most octets that the blocks of one response may add up to."""
    block_transfer_window: int | None = None
    """General block transfer: how many blocks of the meter to take in one go, 1 to 63; 0 does not propose it.

    With a number, every request goes in general blocks where they are agreed on, and its answer follows. None proposes
    them with 16 blocks for what has no blocks of its own (ACCESS, services without theirs); GET, SET and ACTION use
    their own then, which more meters know. Over UDP None does not propose them: the blocks carry no invoke id, so that
    one which is late by a whole exchange cannot be told from a new one. Protection does tell, by failing.
    """
    tolerances: frozenset[Tolerance] = DEFAULT
    random_octets: Callable[[int], bytes] = secrets.token_bytes

    def __post_init__(self) -> None:
        _check_pdu_size(self.max_pdu_size)
        _check_pdu_size(self.pre_established_pdu_size)
        _check_window(self.block_transfer_window, self.conformance)
        if self.mechanism == AuthenticationMechanism.HLS_GMAC and self.security is None:
            raise ValueError("HLS with GMAC needs a SecurityContext (system title, encryption and authentication key)")
        _check_ecdsa(self.mechanism, self.security)
        if self.mechanism in _WITH_PASSWORD and self.password is None:
            raise ValueError(f"{self.mechanism.name} needs a password")
        if self.mechanism == AuthenticationMechanism.HLS and self.hls_function is None:
            raise ValueError("HLS of mechanism 2 is the maker's own: give its function as hls_function")
        if not 8 <= self.challenge_length <= 64:
            raise ValueError(f"a challenge has 8 to 64 octets, not {self.challenge_length}")
        if self.referencing is Referencing.SHORT_NAME and self.short_names is None:
            raise ValueError("referencing by short names needs a table of them (short_names)")
        context = self.application_context
        if context is not None and context.is_short_name is not (self.referencing is Referencing.SHORT_NAME):
            raise ValueError(f"application context {context.name} does not fit referencing {self.referencing.value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One association that a meter offers to one client SAP."""

    client_sap: int
    server_sap: int = 1
    mechanism: AuthenticationMechanism = AuthenticationMechanism.NONE
    secret: bytes | None = field(default=None, repr=False)
    security: SecurityContext | None = None
    """The meter's own system title, keys and counters; its policy is the least protection of a request."""
    conformance: Conformance = DEFAULT_CONFORMANCE
    max_pdu_size: int = 0xFFFF
    association_object: ObisCode = LOGICAL_NAME_ASSOCIATION
    pre_established: bool = False
    application_contexts: frozenset[ApplicationContext] | None = None
    """None: with ``security`` the ciphered context (and the plain one if the policy is none), else the plain one."""
    short_names: NamedObjects | None = None
    """Makes it an association with short names: the table that says what they mean."""
    hls_function: HlsFunction | None = None
    challenge_length: int = 16
    max_octets: int = 16 << 20
    """The most octets that the blocks of one request may add up to."""
    block_transfer_window: int = DEFAULT_WINDOW
    """General block transfer: how many blocks of the client to take in one go, 1 to 63; 0 does not offer it."""
    received: MutableMapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Last counter of each client and key; shared by all associations of a meter, so that no replay passes later."""
    tolerances: frozenset[Tolerance] = DEFAULT
    random_octets: Callable[[int], bytes] = secrets.token_bytes

    def __post_init__(self) -> None:
        _check_pdu_size(self.max_pdu_size)
        _check_window(self.block_transfer_window, None)
        if self.mechanism == AuthenticationMechanism.HLS_GMAC and self.security is None:
            raise ValueError("HLS with GMAC needs a SecurityContext")
        _check_ecdsa(self.mechanism, self.security)
        if self.mechanism in _WITH_PASSWORD and self.secret is None:
            raise ValueError(f"{self.mechanism.name} needs a secret")
        if self.mechanism == AuthenticationMechanism.HLS and self.hls_function is None:
            raise ValueError("HLS of mechanism 2 is the maker's own: give its function as hls_function")


_WITH_PASSWORD = frozenset(
    {
        AuthenticationMechanism.LLS,
        AuthenticationMechanism.HLS,
        AuthenticationMechanism.HLS_MD5,
        AuthenticationMechanism.HLS_SHA1,
        AuthenticationMechanism.HLS_SHA256,
    }
)


def _check_ecdsa(mechanism: AuthenticationMechanism, security: SecurityContext | None) -> None:
    if mechanism != AuthenticationMechanism.HLS_ECDSA:
        return
    if security is None or security.signing_key is None or security.system_title is None:
        raise ValueError("HLS with ECDSA needs a SecurityContext of suite 1 or 2 with a system_title and a signing_key")
    if security.peer_signing_key is None and security.trust is None:
        raise ValueError("HLS with ECDSA needs the peer's public key: peer_signing_key, or trust for its certificate")


def _check_pdu_size(size: int) -> None:
    if not 0 <= size <= 0xFFFF or 0 < size < MINIMUM_PDU_SIZE:
        raise ValueError(f"a maximum PDU size is 0 (no limit) or {MINIMUM_PDU_SIZE} to 65535, not {size}")


def _check_window(window: int | None, conformance: Conformance | None) -> None:
    if window is None:
        return
    if not 0 <= window <= 63:
        raise ValueError(f"a block transfer window has 1 to 63 blocks, or 0 for none at all, not {window}")
    if not window and conformance is not None and conformance & Conformance.GENERAL_BLOCK_TRANSFER:
        raise ValueError("general block transfer is proposed, but block_transfer_window is 0")
