"""Whom TLS trusts and who we are to the other side: files, the context made from them, and its errors in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cosemic.errors import LinkError

if TYPE_CHECKING:
    import ssl

KeyPassword: TypeAlias = str | bytes | Callable[[], str | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How a ``tls://`` connection is made; each field may stand in the URL instead, but for the password.

    ``ca_file`` holds the certificates that are trusted (PEM; the system's without it), ``certificate_file`` and
    ``key_file`` our own certificate, where the meter asks for one. ``server_name`` is the name that the meter's
    certificate must have, if it is not the host of the URL; ``check_name`` False accepts any name that a trusted
    certificate has. A ``context`` of your own replaces all of them but the name.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: KeyPassword | None = field(default=None, repr=False)
    server_name: str | None = None
    check_name: bool = True
    context: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("a key file needs the file of its certificate too")
        files = (self.ca_file, self.certificate_file, self.key_file, self.key_password)
        if self.context is not None and any(item is not None for item in files):
            raise ValueError("give either a context of your own or files for one, not both")

    def merged(self, other: TlsSettings) -> TlsSettings:
        """These settings (of a URL) with those of ``other`` (an argument), which win where both say something."""
        if other.context is not None:
            return TlsSettings(
                server_name=other.server_name or self.server_name,
                check_name=self.check_name and other.check_name,
                context=other.context,
            )
        own = other.certificate_file is not None
        return TlsSettings(
            ca_file=other.ca_file or self.ca_file,
            certificate_file=other.certificate_file or self.certificate_file,
            key_file=other.key_file if own else self.key_file,
            key_password=other.key_password,
            server_name=other.server_name or self.server_name,
            check_name=self.check_name and other.check_name,
        )


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context for connecting: TLS 1.2 or later, certificates verified. LinkError for files that do not serve."""
    import ssl

    if settings.context is not None:
        return settings.context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = settings.check_name
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        _trust(context, settings.ca_file)
    if settings.certificate_file is not None:
        _present(context, settings.certificate_file, settings.key_file, settings.key_password)
    return context


def server_context(
    certificate_file: str,
    key_file: str | None = None,
    *,
    key_password: KeyPassword | None = None,
    client_ca_file: str | None = None,
) -> ssl.SSLContext:
    """The context for a server (a simulated meter). With ``client_ca_file`` clients must have a certificate of it."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _present(context, certificate_file, key_file, key_password)
    if client_ca_file is not None:
        _trust(context, client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def explained(error: OSError, settings: TlsSettings, name: str) -> str:
    """What an error of the handshake, or an alert after it, means and what to do about it."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(error, settings, name)
    reason = getattr(error, "reason", None) or ""
    if any(part in reason for part in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER")):
        return "the port does not speak TLS; try tcp:// or hdlc://"
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason or "NO_PROTOCOLS" in reason:
        return "the other side has no TLS version from 1.2 on"
    if "NO_SHARED_CIPHER" in reason:
        return "there is no cipher suite that both sides have"
    if "ALERT" in reason or isinstance(error, ssl.SSLEOFError | ConnectionError):
        return _rejected(reason, settings)
    return f"TLS failed: {reason or error.strerror or error}"


def _rejected(reason: str, settings: TlsSettings) -> str:
    said = reason.removeprefix("TLSV1_").removeprefix("TLSV13_").removeprefix("SSLV3_")
    said = f" ({said.lower().replace('_', ' ')})" if said else ""
    if settings.context is not None:
        return f"the other side ended TLS{said}"
    if settings.certificate_file is None:
        return (
            f"the other side ended TLS{said}; it may want a client certificate: give certificate= and key= in the URL, "
            "or tls=TlsSettings(certificate_file=…, key_file=…)"
        )
    return (
        f"the other side ended TLS{said}: it does not accept our certificate {settings.certificate_file}; is it of the "
        "authority that the meter trusts, and still valid?"
    )


def _unverified(error: ssl.SSLCertVerificationError, settings: TlsSettings, name: str) -> str:
    code, text = error.verify_code, error.verify_message
    if code in _NAMES_DIFFER:
        return (
            f"the certificate is not for {name}; if the meter is the right one, give the name of its certificate as "
            "server_name=, or check_name=no to accept any name that the authority has certified"
        )
    if code in _NOT_IN_TIME:
        return f"the meter's certificate, or the authority's, is out of date ({text}); is our own clock right?"
    if code in _UNKNOWN_AUTHORITY:
        trusted = f"{settings.ca_file} does not certify it" if settings.ca_file else "give its authority as ca=FILE"
        return f"the meter's certificate is not trusted ({text}): {trusted}"
    return f"the meter's certificate is not accepted: {text}"


_NAMES_DIFFER = (62, 64)
_NOT_IN_TIME = (9, 10)
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
"""X509_V_ERR_… of OpenSSL: names, dates, issuers."""


def _trust(context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        raise LinkError(f"TLS: no certificates can be read from {file}: {_why(error)}") from error


def _present(context: ssl.SSLContext, certificate: str, key: str | None, password: KeyPassword | None) -> None:
    def ask() -> str | bytes:  # without this OpenSSL would ask on the terminal
        raise LinkError(f"TLS: the key in {key or certificate} is encrypted: give key_password")

    try:
        context.load_cert_chain(certificate, key, ask if password is None else password)
    except LinkError:
        raise
    except OSError as error:
        reason = getattr(error, "reason", None) or ""
        if "KEY_VALUES_MISMATCH" in reason:
            raise LinkError(f"TLS: the key in {key or certificate} is not that of {certificate}") from None
        # OpenSSL 3 says no more than "PEM lib" for a password that does not fit
        vague = password is not None and hasattr(error, "reason") and reason in ("", "PEM_LIB")
        if vague or "BAD_DECRYPT" in reason or "BAD_PASSWORD" in reason:
            file = key or certificate
            raise LinkError(f"TLS: the password of the key in {file} is wrong, or the file is damaged") from None
        if key is None:
            text = f"{certificate} holds no private key that can be used ({_why(error)}): give its file as key="
            raise LinkError(f"TLS: {text}") from error
        raise LinkError(f"TLS: {certificate} or {key} cannot be used: {_why(error)}") from error


def _why(error: OSError) -> str:
    reason: str | None = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else error.strerror or "there is no PEM in it"
