"""The one exception tree of cosemic.

========================================  ==========================================================
exception                                 what to do about it
========================================  ==========================================================
``DlmsError``                             catch this to catch everything below
├ ``LocalProtocolError``                  your call came at the wrong moment or asks for too much: mend the call
├ ``RemoteProtocolError``                 the peer broke the protocol: reconnect; report it with a trace (``-v``)
│ ├ ``FrameError``                        a damaged or impossible frame: check the line, the speed, the address
│ ├ ``DecodeError``                       octets that are no valid APDU or value: see ``cosemic explain``
│ └ ``SequenceError``                     block or frame numbers, or an invoke id, out of order: reconnect
├ ``SecurityError``                       a tag or policy check failed: nothing of the message was used
│ ├ ``AuthenticationError``               one side did not prove its secret: check password, keys, system title
│ ├ ``ReplayError``                       an invocation counter came twice or went back: see the text
│ ├ ``CertificateError``                  a certificate cannot be trusted for this use: the text says what to get
│ └ ``KeyMissing``                        a key that is needed was not given: give it
├ ``ServiceError``                        the meter answered with an error: one class per result code
│ ├ ``DataAccessError`` and its classes   a GET or SET was refused
│ ├ ``ActionError`` and its classes       an ACTION was refused
│ ├ ``ExceptionResponseError``            the meter could not process the APDU at all
│ └ ``ConfirmedServiceErrorReceived``     the meter rejected the service (initiate, read, write)
├ ``AssociationRefused``                  the meter said no to the association: see result and diagnostic
├ ``LinkError`` (an ``OSError`` too)      the way to the meter is broken
│ ├ ``LinkTimeout``                       no answer in time: check address, cabling, time-outs; retry
│ └ ``LinkLost``                          the connection is gone: reconnect
└ ``MissingExtra`` (``ImportError`` too)  install the extra that the message names
========================================  ==========================================================

No message carries a key, a password or any other secret.
"""

from __future__ import annotations

from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ActionResult,
    AssociationResult,
    DataAccessResult,
    ExceptionServiceError,
    ExceptionStateError,
    known,
)


class DlmsError(Exception):
    """Base of every error that cosemic raises."""


class LocalProtocolError(DlmsError):
    """The caller asked for something that the state, or the negotiated parameters, do not allow."""


class RemoteProtocolError(DlmsError):
    """The peer broke the protocol."""


class FrameError(RemoteProtocolError):
    """A frame that is damaged or that cannot exist."""


class DecodeError(RemoteProtocolError):
    """Octets that are not a valid value or APDU.

    ``octets`` holds the input (or the part of it that was looked at) and ``offset`` the place, where they are known.
    """

    def __init__(self, message: str, *, octets: bytes | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.octets = octets
        self.offset = offset


class SequenceError(RemoteProtocolError):
    """Frame numbers, block numbers or invoke ids that do not follow each other."""


class SecurityError(DlmsError):
    """A cryptographic check or a security policy failed; nothing of the message was used."""


class AuthenticationError(SecurityError):
    """One side did not prove that it knows the secret."""


class ReplayError(SecurityError):
    """An incoming invocation counter was used before, or went back."""

    def __init__(self, message: str, *, received: int | None = None, expected_above: int | None = None) -> None:
        super().__init__(message)
        self.received = received
        self.expected_above = expected_above


class CertificateError(SecurityError):
    """A certificate, or a request for one, that is damaged, outside the profile, or not to be trusted for this use."""


class KeyMissing(SecurityError):
    """A key, or another secret, that is needed was not given."""


class ServiceError(DlmsError):
    """The meter answered a service with an error. ``target`` tells which attribute or method, where known."""

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(f"{target}: {message}" if target else message)
        self.target = target


class DataAccessError(ServiceError):
    """A GET or SET was refused with a data-access-result (IEC 62056-5-3, 7.3)."""

    def __init__(self, result: DataAccessResult | int, *, target: str | None = None, hint: str | None = None) -> None:
        self.result = result
        text = f"{_name(result)} ({int(result)})"
        super().__init__(f"{text}; {hint}" if hint else text, target=target)


class ActionError(ServiceError):
    """An ACTION was refused with an action-result (IEC 62056-5-3, 7.3)."""

    def __init__(self, result: ActionResult | int, *, target: str | None = None, hint: str | None = None) -> None:
        self.result = result
        text = f"{_name(result)} ({int(result)})"
        super().__init__(f"{text}; {hint}" if hint else text, target=target)


class ExceptionResponseError(ServiceError):
    """The meter answered with an exception-response: it did not process the APDU at all."""

    def __init__(
        self,
        state_error: ExceptionStateError | int,
        service_error: ExceptionServiceError | int,
        invocation_counter: int | None = None,
        *,
        target: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.state_error = state_error
        self.service_error = service_error
        self.invocation_counter = invocation_counter
        text = f"the meter answers exception-response {_name(state_error)}, {_name(service_error)}"
        if invocation_counter is not None:
            text += f" (its invocation counter is {invocation_counter})"
        super().__init__(f"{text}; {hint}" if hint else text, target=target)


class ConfirmedServiceErrorReceived(ServiceError):
    """The meter answered with a confirmed-service-error."""

    def __init__(self, service: int, error_type: int, error: int, text: str, *, target: str | None = None) -> None:
        self.service = service
        self.error_type = error_type
        self.error = error
        super().__init__(f"confirmed-service-error: {text}", target=target)


class AssociationRefused(DlmsError):
    """The meter refused the association. ``result`` and ``diagnostic`` are those of the AARE."""

    def __init__(
        self,
        result: AssociationResult | int,
        diagnostic: AcseServiceUserDiagnostic | AcseServiceProviderDiagnostic | int | None = None,
        hint: str | None = None,
    ) -> None:
        self.result = result
        self.diagnostic = diagnostic
        text = f"association refused: {_name(result)}"
        if diagnostic is not None:
            text += f", {_name(diagnostic)} ({int(diagnostic)})"
        super().__init__(f"{text}; {hint}" if hint else text)


class LinkError(DlmsError, OSError):
    """The way to the meter is broken."""


class LinkTimeout(LinkError, TimeoutError):
    """No answer within the time allowed; the text says what was tried."""


class LinkLost(LinkError, ConnectionError):
    """The connection was closed or broken by the other side."""


class MissingExtra(DlmsError, ImportError):
    """A feature needs packages that are not installed."""

    def __init__(self, extra: str, feature: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'cosemic[{extra}]'")


def _name(code: object) -> str:
    name = getattr(code, "name", None)
    return name.lower().replace("_", "-") if isinstance(name, str) else f"unknown code {code}"


def _class_name(code: DataAccessResult | ActionResult) -> str:
    return "".join(part.capitalize() for part in code.name.split("_"))


DATA_ACCESS_ERRORS: dict[int, type[DataAccessError]] = {
    int(code): type(
        _class_name(code),
        (DataAccessError,),
        {"__doc__": f"Data-access-result {_name(code)} ({int(code)}).", "__module__": __name__},
    )
    for code in DataAccessResult
    if code
}
"""One class per data-access-result: ``ReadWriteDenied``, ``ObjectUndefined``, …"""

ACTION_ERRORS: dict[int, type[ActionError]] = {
    int(code): type(
        f"Action{_class_name(code)}",
        (ActionError,),
        {"__doc__": f"Action-result {_name(code)} ({int(code)}).", "__module__": __name__},
    )
    for code in ActionResult
    if code
}
"""One class per action-result: ``ActionReadWriteDenied``, ``ActionObjectUndefined``, …"""


def data_access_error(result: int, *, target: str | None = None, hint: str | None = None) -> DataAccessError:
    """Make the error of a data-access-result; a code that the standard does not know gives a plain DataAccessError."""
    code = known(DataAccessResult, int(result))
    return DATA_ACCESS_ERRORS.get(int(code), DataAccessError)(code, target=target, hint=hint)


def action_error(result: int, *, target: str | None = None, hint: str | None = None) -> ActionError:
    """Make the error of an action-result; a code that the standard does not know gives a plain ActionError."""
    code = known(ActionResult, int(result))
    return ACTION_ERRORS.get(int(code), ActionError)(code, target=target, hint=hint)


def __getattr__(name: str) -> type[ServiceError]:
    for classes in (DATA_ACCESS_ERRORS, ACTION_ERRORS):
        for cls in classes.values():
            if cls.__name__ == name:
                return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
