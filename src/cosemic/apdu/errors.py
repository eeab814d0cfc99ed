"""The two answers that say that a service was not processed (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from cosemic.apdu.fields import Apdu, Reader
from cosemic.enums import (
    SERVICE_ERRORS,
    ConfirmedService,
    ExceptionServiceError,
    ExceptionStateError,
    ServiceErrorType,
    known,
)
from cosemic.tolerances import Tolerance, note


@dataclass(frozen=True, slots=True)
class ExceptionResponse(Apdu):
    """Exception-Response; with service-error 6 the meter says which invocation counter has to be exceeded.

    Some meters leave it out (``Tolerance.COUNTER_ERROR_WITHOUT_COUNTER``): ``invocation_counter`` is None then.
    """

    TAG: ClassVar[int] = 0xD8
    state_error: ExceptionStateError | int
    service_error: ExceptionServiceError | int
    invocation_counter: int | None = None

    def _encode(self) -> bytes:
        head = bytes((0xD8, self.state_error, self.service_error))
        if self.service_error != ExceptionServiceError.INVOCATION_COUNTER_ERROR or self.invocation_counter is None:
            return head
        return head + self.invocation_counter.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError(Apdu):
    """Confirmed-Service-Error: the service, the kind of error and the error itself."""

    TAG: ClassVar[int] = 0x0E
    service: ConfirmedService | int
    error_type: ServiceErrorType | int
    error: int

    def _encode(self) -> bytes:
        return bytes((0x0E, self.service, self.error_type, self.error))

    @property
    def text(self) -> str:
        """All three in words, ``initiate-error: initiate: incompatible-conformance``."""
        names = SERVICE_ERRORS.get(self.error_type, ())
        error = names[self.error] if self.error < len(names) else f"unknown error {self.error}"
        return f"{_name(self.service, 'service')}: {_name(self.error_type, 'error type')}: {error}"


def decode_exception_response(reader: Reader) -> ExceptionResponse:
    """Exception-Response; the reader stands after the tag."""
    state_error = known(ExceptionStateError, reader.octet("state-error"))
    service_error = known(ExceptionServiceError, reader.octet("service-error"))
    counter = None
    if service_error == ExceptionServiceError.INVOCATION_COUNTER_ERROR:
        if not reader.left and Tolerance.COUNTER_ERROR_WITHOUT_COUNTER in reader.tolerances:
            note(Tolerance.COUNTER_ERROR_WITHOUT_COUNTER, "it ends after the service-error")
        else:
            counter = reader.unsigned32("invocation counter")
    return ExceptionResponse(state_error, service_error, counter)


def decode_confirmed_service_error(reader: Reader) -> ConfirmedServiceError:
    """Confirmed-Service-Error; the reader stands after the tag."""
    service = known(ConfirmedService, reader.octet("service of the confirmed-service-error"))
    error_type = known(ServiceErrorType, reader.octet("type of the service error"))
    return ConfirmedServiceError(service, error_type, reader.octet("service error"))


def _name(code: int, what: str) -> str:
    return code.name.lower().replace("_", "-") if isinstance(code, IntEnum) else f"unknown {what} {code}"
