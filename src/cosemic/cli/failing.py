"""Errors as one line that says what to do."""

from __future__ import annotations

import errno

from cosemic.enums import AcseServiceUserDiagnostic, ExceptionServiceError
from cosemic.errors import (
    AssociationRefused,
    AuthenticationError,
    DecodeError,
    DlmsError,
    ExceptionResponseError,
    FrameError,
    KeyMissing,
    LinkLost,
    LinkTimeout,
    MissingExtra,
    ReplayError,
)


class CommandError(Exception):
    """Something the user of the command can mend; the text says how."""


_REFUSALS: dict[int, str] = {
    AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE: "check --password (or --ek, --ak, --system-title) and --client",
    AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED: "this client needs to log in: give --auth and its secret",
    AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: "try another --auth for this --client",
    AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: "give --auth and its secret",
    AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: (
        "the meter wants the other kind of association for this --client: with ciphering (--ek, --ak, --system-title) "
        "or without (--policy none)"
    ),
    AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: "check --system-title",
}
_EXCEPTIONS: dict[int, str] = {
    ExceptionServiceError.INVOCATION_COUNTER_ERROR: (
        "run it again with --allow-counter-from-meter to go on from the meter's counter"
    ),
    ExceptionServiceError.DECIPHERING_ERROR: "check --ek, --ak, --system-title and --suite",
}


def one_line(error: BaseException) -> str:
    """The error as one line for stderr, with what to do about it in the words of the command."""
    text = " ".join(str(error).split()) or type(error).__name__
    said, separator, _ = text.partition("; ")
    if isinstance(error, AssociationRefused):
        ours = "" if error.diagnostic is None else _REFUSALS.get(int(error.diagnostic), "")
        if ours:
            return f"{said}; {ours}"
        return text if separator else f"{text}; check --client, --server and --auth"
    if isinstance(error, ExceptionResponseError):
        ours = _EXCEPTIONS.get(int(error.service_error), "")
        if ours:
            return f"{said}; {ours}"
        return text if separator else f"{text}; run it again with -v to see the exchange"
    hint = _hint(error, text)
    return f"{text}; {hint}" if hint else text


def _hint(error: BaseException, text: str) -> str:
    if isinstance(error, ReplayError):
        return "run it again with -v to see the exchange"
    if isinstance(error, KeyMissing):
        return "give --ek, --ak and --system-title"
    if isinstance(error, AuthenticationError):
        return "check --password, --ek, --ak and --system-title"
    if isinstance(error, MissingExtra):
        return ""
    if isinstance(error, LinkTimeout):
        return "check the address, --client, --server and --physical, or give more time with --timeout"
    if isinstance(error, LinkLost) and "refused" in text:
        return "check host and port, and that the meter listens there"
    if isinstance(error, LinkLost):
        return "check that the meter accepts this --client and --server, and run it again with -v"
    if isinstance(error, (DecodeError, FrameError)):
        return "run it again with -vv and see where it breaks"
    if isinstance(error, OSError) and not isinstance(error, DlmsError):
        return "check the path" if error.errno in (errno.ENOENT, errno.EISDIR) else ""
    if isinstance(error, OSError):
        return "check the URL and the network"
    return ""
