"""certificates: those of a meter through its security setup, and those kept here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cosemic.cli.critical import confirm
from cosemic.cli.failing import CommandError
from cosemic.cli.key_stores import open_certificates, read_certificate
from cosemic.cli.keys import private_key
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, resolve, warn
from cosemic.cli.output import dumps, say, table
from cosemic.cli.parsing import key_octets, parse_obis
from cosemic.cosem.access import Obis
from cosemic.enums import CertificateEntity, CertificateType
from cosemic.errors import CertificateError, DlmsError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.security.certificate_store import BySerial, CertificateInfo, Identification
from cosemic.security.certificates import Certificate

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient
    from cosemic.security.certificate_store import CertificateStore

PURPOSES = {
    "signing": CertificateType.DIGITAL_SIGNATURE,
    "agreement": CertificateType.KEY_AGREEMENT,
    "tls": CertificateType.TLS,
}
_WORDS = {purpose: word for word, purpose in PURPOSES.items()} | {CertificateType.OTHER: "other"}
_ENTITIES = {
    CertificateEntity.SERVER: "meter",
    CertificateEntity.CLIENT: "client",
    CertificateEntity.CERTIFICATION_AUTHORITY: "authority",
    CertificateEntity.OTHER: "other",
}
_ASSOCIATION = (15, "0-0:40.0.0*255")


def setup_of(client: DlmsClient, setup: str | None) -> Obis:
    """The security setup that the user names, else that of the association, else the first one."""
    if setup is not None:
        return parse_obis(setup)
    try:
        value = client.get(*_ASSOCIATION, 9)
    except (ServiceError, LocalProtocolError):
        value = None
    if isinstance(value, bytes) and len(value) == 6 and any(value):
        return ObisCode.from_bytes(value)
    return ObisCode(0, 0, 43, 0, 0, 255)


def list_certificates(
    url: str | None, setup: str | None, *, connection: ConnectionOptions | None, output: OutputOptions
) -> int:
    """Print what the meter lists, or what is kept here."""
    if url is None:
        settings = connection or ConnectionOptions()
        if settings.certificates is None:
            raise CommandError("name a meter, or a folder with --certificates")
        return _list_local(open_certificates(settings.certificates), output)
    with connected(url, connection, output) as client:
        infos = _listed(client, setup_of(client, setup))
    rows = [_row(info) for info in infos]
    if output.json:
        for row in rows:
            say(dumps(row))
        return 0
    _print(rows, ("serial", "of", "purpose", "subject", "issuer"))
    return 0


def _list_local(store: CertificateStore, output: OutputOptions) -> int:
    rows: list[dict[str, str | None]] = []
    for certificate in store:
        trusted = certificate in store.anchors
        rows.append(
            {
                "serial": f"{certificate.serial_number:X}",
                "of": "authority" if certificate.is_authority else "meter or client",
                "purpose": None if certificate.is_authority else _WORDS[certificate.type],
                "subject": _plain(certificate.subject_text),
                "issuer": _plain(certificate.issuer_text),
                "until": f"{certificate.not_after:%Y-%m-%d}",
                "trusted": "as an anchor" if trusted else "by an anchor",
            }
        )
    if output.json:
        for row in rows:
            say(dumps(row))
        return 0
    _print(rows, ("serial", "of", "purpose", "subject", "issuer", "until", "trusted"))
    return 0


def _row(info: CertificateInfo) -> dict[str, str | None]:
    is_authority = info.entity is CertificateEntity.CERTIFICATION_AUTHORITY
    return {
        "serial": info.serial_number.hex().upper(),
        "of": _ENTITIES[info.entity],
        "purpose": None if is_authority else _WORDS[info.type],
        "subject": _name(info.subject),
        "issuer": _name(info.issuer),
    }


def _print(rows: list[dict[str, str | None]], headings: tuple[str, ...]) -> None:
    say(table(list(headings), [[row[heading] or "-" for heading in headings] for row in rows]))
    say(f"\n{len(rows)} certificates")


def export_certificate(
    url: str, purpose: str | None, *, title: str | None, serial: str | None, out: Path | None, setup: str | None,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Print or write the certificate; 1 when it is not one that the local certificates vouch for."""
    _check_naming(purpose, title, serial)
    url, settings = resolve(url, connection)
    store = None if settings.certificates is None else open_certificates(settings.certificates)
    with connected(url, settings, output) as client:
        at = setup_of(client, setup)
        certificate = client.export_certificate(_which(client, at, purpose, title, serial), setup=at)
    _write(certificate.pem(), out, str(certificate), json=output.json)
    if store is None:
        return 0
    try:
        if certificate.is_authority:
            store.import_certificate(certificate, at=datetime.now(UTC))
        else:
            store.verify(certificate, at=datetime.now(UTC), purpose=certificate.type)
    except CertificateError as error:
        warn(f"not to be trusted: {error}")
        return 1
    return 0


def import_certificate(
    url: str, file: Path, *, setup: str | None, connection: ConnectionOptions | None, output: OutputOptions
) -> int:
    """Give the meter a certificate and say which."""
    certificate = _parse(file)
    with connected(url, connection, output) as client:
        try:
            client.import_certificate(certificate, setup=setup_of(client, setup))
        except ServiceError as error:
            warn(
                f"the meter does not take {certificate}: {_said(error)}; it has to be issued by an authority that the "
                "meter trusts, for a key and a purpose of its suite, and valid by the meter's clock"
            )
            return 1
        is_theirs = certificate.system_title == client.association.peer_system_title
    _done(output, f"{certificate}: imported", certificate)
    option = {"signing": "--peer-signing-key", "agreement": "--peer-agreement-key"}.get(_WORDS[certificate.type])
    if is_theirs and certificate.system_title is not None and option is not None:
        warn(f"the meter uses the key of this certificate from now on: {option} file:{file} goes with it")
    return 0


def remove_certificate(
    url: str, purpose: str | None, *, title: str | None, serial: str | None, setup: str | None, yes: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Have the meter remove a certificate, after a question."""
    _check_naming(purpose, title, serial)
    with connected(url, connection, output) as client:
        at = setup_of(client, setup)
        which = _which(client, at, purpose, title, serial)
        what = f"serial number {serial}" if serial is not None else f"for {purpose}"
        confirm(f"remove the certificate ({what}) from the meter", yes=yes)
        try:
            client.remove_certificate(which, setup=at)
        except ServiceError as error:
            warn(f"the meter does not remove it: {_said(error)}; an authority that it trusts cannot be removed")
            return 1
    _done(output, "removed", None)
    return 0


def request_certificate(
    url: str, purpose: str, *, new_key: bool, out: Path | None, setup: str | None,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Print or write the meter's request, whose signature was checked."""
    kind = PURPOSES[purpose]
    with connected(url, connection, output) as client:
        at = setup_of(client, setup)
        try:
            if new_key:
                client.generate_key_pair(kind, setup=at)
            request = client.generate_certificate_request(kind, setup=at)
        except ServiceError as error:
            remedy = "" if new_key else "; it may have no key pair for this yet: --new-key has it make one"
            warn(f"the meter makes no request: {_said(error)}{remedy}")
            return 1
    pem = _pem("CERTIFICATE REQUEST", request.der)
    _write(pem, out, f"request of {request.system_title.hex().upper()} for {purpose}", json=output.json)
    return 0


def issue_certificate(
    csr: Path, purpose: str, *, authority: Path, authority_key: str, days: int, out: Path | None
) -> int:
    """Sign a request with an authority of one's own."""
    from cosemic.security.issuing import CertificateRequest
    from cosemic.security.issuing import issue_certificate as issue

    if not 1 <= days <= 36500:
        raise CommandError(f"--days is a number from 1 to 36500, not {days}")
    issuer = _parse(authority)
    if not issuer.is_authority:
        raise CommandError(f"--authority: {issuer} belongs to no authority")
    key = private_key(authority_key, "--authority-key")
    if key.public != issuer.public:
        raise CommandError("--authority-key is not the key of --authority")
    request = CertificateRequest.parse(read_certificate(csr))
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    certificate = issue(
        issuer,
        key,
        purpose=PURPOSES[purpose],
        request=request,
        not_before=start,
        not_after=start + timedelta(days=days),
    )
    _write(certificate.pem(), out, str(certificate))
    return 0


class NoCertificatesError(DlmsError):
    """The meter shows no certificates."""


def _listed(client: DlmsClient, setup: Obis) -> list[CertificateInfo]:
    try:
        return client.list_certificates(setup=setup)
    except ServiceError as error:
        raise NoCertificatesError(
            f"{_said(error)}; certificates are there in a security setup of version 1 (suites 1 and 2), for a client "
            "that may read it"
        ) from None


def _which(
    client: DlmsClient, setup: Obis, purpose: str | None, title: str | None, serial: str | None
) -> Identification:
    """As an identification by serial number, which cannot mean two; from the meter's own list."""
    infos = _listed(client, setup)
    if serial is not None:
        wanted = _serial(serial)
        found = [info for info in infos if info.serial_number.lstrip(b"\0") == wanted]
        what = f"with the serial number {serial}"
    else:
        assert purpose is not None
        name = None if title is None else key_octets(title, "--title").hex().upper()
        found = [
            info
            for info in infos
            if info.type is PURPOSES[purpose]
            and (info.entity is CertificateEntity.SERVER if name is None else name in _name(info.subject).upper())
            and info.entity is not CertificateEntity.CERTIFICATION_AUTHORITY
        ]
        what = f"for {purpose} of {'its own' if name is None else name}"
    if len(found) != 1:
        count = f"{len(found)} certificates" if found else "no certificate"
        raise CommandError(
            f"the meter lists {count} {what}; 'cosemic certificates list' shows them with their --serial"
        )
    return BySerial(found[0].serial_number, found[0].issuer)


def _check_naming(purpose: str | None, title: str | None, serial: str | None) -> None:
    if (purpose is None) == (serial is None):
        raise CommandError("name the certificate by its purpose (signing, agreement, tls) or by --serial")
    if serial is not None:
        _serial(serial)
        if title is not None:
            raise CommandError("--title goes with a purpose, not with --serial")
    if title is not None and len(key_octets(title, "--title")) != 8:
        raise CommandError("--title is a system title: 16 hexadecimal digits")


def _serial(text: str) -> bytes:
    digits = text.replace(":", "")
    return key_octets(digits.zfill(len(digits) + len(digits) % 2), "--serial").lstrip(b"\0")


def _parse(file: Path) -> Certificate:
    try:
        return Certificate.parse(read_certificate(file))
    except CertificateError as error:
        raise CommandError(f"{file}: {error}") from None


def _write(pem: str, out: Path | None, what: str, *, json: bool = False) -> None:
    if out is None:
        say(dumps({"pem": pem}) if json else pem.rstrip("\n"))
        return
    try:
        out.expanduser().write_text(pem, encoding="ascii")
    except OSError as error:
        raise CommandError(f"--out: {out} cannot be written: {error.strerror or error}") from None
    say(dumps({"file": str(out)}) if json else f"{what}: written to {out}")


def _done(output: OutputOptions, text: str, certificate: Certificate | None) -> None:
    if output.json:
        serial = None if certificate is None else f"{certificate.serial_number:X}"
        say(dumps({"result": "success", "serial": serial}))
    else:
        say(text)


def _pem(label: str, der: bytes) -> str:
    import base64

    text = base64.b64encode(der).decode()
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    return os.linesep.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).replace("\r\n", "\n")


def _name(der: bytes) -> str:
    """A distinguished name as ``CN=…, O=…``, hexadecimal where it is no such thing: a meter may send anything."""
    try:
        parts = [
            f"{_ATTRIBUTES.get(kind, kind.hex())}={text.decode('utf-8')}"
            for _, sets in _elements(_content(der, 0x30))
            for _, pair in _elements(sets)
            for (_, kind), (_, text) in [tuple(_elements(pair))]
        ]
    except ValueError:
        return der.hex().upper()
    return _plain(", ".join(parts))


_ATTRIBUTES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU", b"\x55\x04\x06": "C"}


def _content(der: bytes, tag: int) -> bytes:
    ((found, content),) = _elements(der)
    if found != tag:
        raise ValueError("another tag")
    return content


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element; ValueError for lengths that do not fit."""
    place = 0
    while place < len(der):
        head = der[place : place + 4]
        if len(head) < 2:
            raise ValueError("cut short")
        size, start = head[1], place + 2
        if size & 0x80:
            more = size & 0x7F
            if not 1 <= more <= 2 or len(head) < 2 + more:
                raise ValueError("no length of a name")
            size, start = int.from_bytes(head[2 : 2 + more]), start + more
        if start + size > len(der):
            raise ValueError("cut short")
        yield head[0], der[start : start + size]
        place = start + size


def _plain(text: str) -> str:
    return text[:200].encode("unicode_escape").decode()


def _said(error: ServiceError) -> str:
    return " ".join(str(error).split())
