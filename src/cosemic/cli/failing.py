"""Errors as one line that says what to do."""

from __future__ import annotations

import errno

from cosemic.enums import AcseServiceUserDiagnostic, DataAccessResult, ExceptionServiceError
from cosemic.errors import (
    AssociationRefused,
    AuthenticationError,
    DecodeError,
    DlmsError,
    ExceptionResponseError,
    FrameError,
    KeyMissing,
    LinkError,
    LinkLost,
    LinkTimeout,
    MissingExtra,
    ReplayError,
    SecurityError,
    ServiceError,
)


class CommandError(Exception):
    """Something the user of the command can mend; the text says how."""


class ConnectionTrouble(Exception):
    """An error of the way to the meter: where that was, and whether the association was open already."""

    def __init__(self, error: LinkError | FrameError | ExceptionResponseError, url: str, *, associated: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.url = url
        self.associated = associated


_REFUSALS: dict[int, str] = {
    AcseServiceUserDiagnostic.NO_REASON_GIVEN: "the meter tells no reason: check --client, --server and --auth",
    AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE: "check --password (or --ek, --ak, --system-title) and --client",
    AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED: "this client needs to log in: give --auth and its secret",
    AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: "try another --auth for this --client",
    AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: "give --auth and its secret",
    AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: (
        "the meter wants another kind of association for this --client: with ciphering (--ek, --ak, --system-title) "
        "or without (--policy none), by logical or by short names (--referencing)"
    ),
    AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: "check --system-title",
}
_EXCEPTIONS: dict[int, str] = {
    ExceptionServiceError.INVOCATION_COUNTER_ERROR: (
        "run it again with --allow-counter-from-meter to go on from the meter's counter"
    ),
    ExceptionServiceError.DECIPHERING_ERROR: (
        "check --ek, --ak, --system-title and --suite, with --general its keys and --reading too"
    ),
}


def one_line(error: BaseException) -> str:
    """The error as one line for stderr, with what to do about it in the words of the command."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    said, separator, _ = text.partition("; ")
    if isinstance(error, AssociationRefused):
        ours = "" if error.diagnostic is None else _REFUSALS.get(int(error.diagnostic), "")
        if ours:
            return f"{said}; {ours}"
        return text if separator else f"{text}; check --client, --server and --auth"
    if isinstance(error, ExceptionResponseError):
        if int(error.service_error) in _EXCEPTIONS:
            return f"{said}; {service_remedy(error)}"
        return text if separator else f"{text}; {service_remedy(error)}"
    hint = _trouble_hint(error, text) if isinstance(error, ConnectionTrouble) else _hint(error, text)
    return f"{text}; {hint}" if hint else text


def _trouble_hint(trouble: ConnectionTrouble, text: str) -> str:
    error = trouble.error
    if isinstance(error, ExceptionResponseError):
        return "the gateway may not know the device: check --network-id and --device-address, then --client"
    if isinstance(error, FrameError) and not trouble.associated:
        return f"check the address: something else than a meter may answer there{_other_framing(trouble.url)}"
    if not isinstance(error, (LinkTimeout, LinkLost)):
        return _hint(error, text)
    if trouble.associated:
        silent = isinstance(error, LinkTimeout)
        more = ", or give more time with --timeout" if silent else ""
        return f"the meter answered before this: check that it is still on and connected, and run it again{more}"
    return f"{_hint(error, text)}{_other_framing(trouble.url) if _may_be_framing(error, text) else ''}"


def _hint(error: BaseException, text: str) -> str:
    if isinstance(error, ReplayError):
        return "run it again with -v to see the exchange"
    if isinstance(error, KeyMissing):
        return "give --ek, --ak and --system-title"
    if isinstance(error, SecurityError) and "counters in" in text:
        return "" if "COSEMIC_STATE" in text else "COSEMIC_STATE names another folder for the counters"
    if isinstance(error, AuthenticationError):
        return f"check {_proof(text)} and --system-title"
    if isinstance(error, MissingExtra):
        return ""
    if isinstance(error, LinkError) and ("certificate" in text or text.startswith("TLS: ")):
        return ""  # the text says what is to be done
    if isinstance(error, LinkError) and any(part in text for part in _WITH_REMEDY):
        return ""
    if isinstance(error, LinkError) and "/?!" in text:
        return "the settings of the URL are in docs/transports.md; 'cosemic doctor' tries others"
    if isinstance(error, LinkTimeout):
        return "check the address, --client, --server and --physical, or give more time with --timeout"
    if isinstance(error, LinkLost) and ("refused" in text or "Connect call failed" in text):
        return "check host and port, and that the meter listens there"
    if isinstance(error, LinkLost) and "serial port" in text:
        return "check that it is plugged in, and that no other program uses it"
    if isinstance(error, LinkLost):
        return "check that the meter accepts this --client and --server, and run it again with -v"
    if isinstance(error, (DecodeError, FrameError)):
        return "run it again with -vv and see where it breaks"
    if isinstance(error, OSError) and not isinstance(error, DlmsError):
        return "check the path" if error.errno in (errno.ENOENT, errno.EISDIR) else ""
    if isinstance(error, OSError) and any(f"{scheme}://" in text for scheme in ("serial", "optical", "mbus")):
        if "denied" in text:
            return "your user may not use this device: join its group (often dialout)"
        return "check the device in the URL, and that it is plugged in"
    if isinstance(error, OSError):
        return "check the URL and the network"
    if isinstance(error, ServiceError):
        return service_remedy(error)
    return ""


_WITH_REMEDY = ("cannot listen on ", " cannot be read: ", " is a folder; ")
"""Of the listener: its errors say themselves what is to be done."""


def _proof(text: str) -> str:
    """Which options what was to be proved rests on."""
    if "ECDSA" in text or "signing key" in text:
        return "--signing-key, --peer-signing-key"
    if "key agreed" in text or "ephemeral" in text:
        return "--agreement-key, --peer-agreement-key, --peer-signing-key, --ak, --reading"
    if "wrapped" in text:
        return "--kek, --ak, --reading"
    return "--password, --ek, --ak"


def service_remedy(error: DlmsError, verb: str = "do") -> str:
    """What to do when the meter refuses a single object, or a request for it altogether."""
    if isinstance(error, ExceptionResponseError):
        return _EXCEPTIONS.get(int(error.service_error), "run it again with -v to see the exchange")
    result = getattr(error, "result", None)
    if result == DataAccessResult.TYPE_UNMATCHED:
        return "'cosemic read --typed' shows the type that it has"
    if result == DataAccessResult.TEMPORARY_FAILURE:
        return "try again later"
    return f"'cosemic objects' lists what this client may {verb}"


def _may_be_framing(error: LinkError, text: str) -> bool:
    """A port that speaks the other framing says nothing, or hangs up."""
    return " 0 octets" in text if isinstance(error, LinkTimeout) else "closed by the other side" in text


def _other_framing(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    other = {"tcp": "hdlc", "hdlc": "tcp"}.get(scheme)
    return f"; or the port wants {other}:// in place of {scheme}://" if other else ""
