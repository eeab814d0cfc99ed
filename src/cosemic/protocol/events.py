"""What sessions and associations tell their owner. Client and server events; ``Failed`` is of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cosemic.enums import ApplicationContext, AuthenticationMechanism, Conformance
from cosemic.errors import DlmsError
from cosemic.protocol.requests import Request, Result

if TYPE_CHECKING:
    from cosemic.apdu.base import Apdu
    from cosemic.protocol.settings import ServerSettings
    from cosemic.security.context import SecurityPolicy


@dataclass(frozen=True, slots=True)
class AssociationParameters:
    """What both sides agreed on. ``max_pdu_size`` is the largest APDU that the peer takes; 0 means no limit."""

    application_context: ApplicationContext | int
    mechanism: AuthenticationMechanism | int
    conformance: Conformance
    max_pdu_size: int
    peer_system_title: bytes | None = None
    dlms_version: int = 6
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Associated:
    """Client: the association is open, both sides authenticated as the mechanism asks."""

    parameters: AssociationParameters


@dataclass(frozen=True, slots=True)
class Completed:
    """Client: the request is done; ``result`` holds one entry for each of its items."""

    result: Result


@dataclass(frozen=True, slots=True)
class Released:
    """Client: the association is closed and the link is down; ``connect`` may open it again."""


@dataclass(frozen=True, slots=True)
class Notified:
    """Client: the meter pushed an APDU (DataNotification, EventNotification, InformationReport).

    ``protection`` tells what proved its origin; a plain push is ``SecurityPolicy.NONE``.
    """

    apdu: Apdu
    protection: SecurityPolicy


@dataclass(frozen=True, slots=True)
class Failed:
    """Something of the peer, the line or the time went wrong.

    ``fatal`` False: the request failed, the association goes on (or ``connect`` may be called again when there was
    none yet). ``fatal`` True: the session is closed, every further call raises ``LocalProtocolError``.
    """

    error: DlmsError
    fatal: bool


@dataclass(frozen=True, slots=True)
class AssociationOpened:
    """Server: a client is associated, and has proved who it is where the mechanism asks for it."""

    settings: ServerSettings
    parameters: AssociationParameters


@dataclass(frozen=True, slots=True)
class Requested:
    """Server: a client asks for something, after decryption and with its blocks put together.

    A confirmed request is answered with ``respond(result)`` before the next one comes; an unconfirmed one is not.
    ``protection`` is the protection that the request carried; in blocks, what all of them carried.
    """

    request: Request
    protection: SecurityPolicy
    confirmed: bool = True
    high_priority: bool = False
    settings: ServerSettings | None = None
    """The association that the request came in."""


@dataclass(frozen=True, slots=True)
class NotificationConfirmed:
    """Server: a client has a confirmed DataNotification; without this it is due again."""

    long_invoke_id: int
    settings: ServerSettings | None = None


@dataclass(frozen=True, slots=True)
class AssociationClosed:
    """Server: the association is over; ``reason`` in words."""

    settings: ServerSettings
    reason: str


ClientEvent: TypeAlias = Associated | Completed | Released | Notified | Failed
ServerEvent: TypeAlias = AssociationOpened | Requested | NotificationConfirmed | AssociationClosed | Failed
