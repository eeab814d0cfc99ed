"""What a meter may push in an association (IEC 62056-5-3, 6.14 to 6.16)."""

from __future__ import annotations

from typing import Final

from cosemic.apdu.base import Apdu
from cosemic.apdu.notify import DataNotification, EventNotificationRequest, InformationReportRequest
from cosemic.enums import Conformance
from cosemic.errors import LocalProtocolError
from cosemic.protocol.events import AssociationParameters

_NOTIFICATIONS: Final[dict[type[Apdu], tuple[str, Conformance]]] = {
    DataNotification: ("data-notification", Conformance.DATA_NOTIFICATION),
    EventNotificationRequest: ("event-notification", Conformance.EVENT_NOTIFICATION),
    InformationReportRequest: ("information-report", Conformance.INFORMATION_REPORT),
}


def check(apdu: Apdu, parameters: AssociationParameters | None) -> None:
    """LocalProtocolError for what is no notification, or was not agreed on; without association nothing was."""
    name, bit = _NOTIFICATIONS.get(type(apdu), ("", Conformance.NONE))
    if not name:
        raise LocalProtocolError(f"notify: {type(apdu).__name__} is no notification")
    if parameters is not None and not parameters.conformance & bit:
        raise LocalProtocolError(f"notify: '{name}' was not agreed on when the association was opened")
