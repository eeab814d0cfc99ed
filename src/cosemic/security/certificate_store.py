"""The certificates that one side holds: its own, those of its peers, and of the authorities it trusts.

It is what a security setup (class 64 version 1) lists in attribute 6 and changes with its methods 6 to 8, and where a
client finds the public key of a meter. What is imported is checked first; whom to trust, the user says as ``anchors``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from cosemic.codec import axdr
from cosemic.enums import CertificateEntity, CertificateType, DataType
from cosemic.errors import CertificateError
from cosemic.security.suites import title_octets

if TYPE_CHECKING:
    from cosemic.codec.axdr import Typed
    from cosemic.security.certificates import Certificate

_SUFFIXES: Final = (".pem", ".crt", ".cer", ".der")
_MOST_FILES: Final = 10_000


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One element of attribute 6, certificate_info. Names are DER; the serial number is the content of its INTEGER."""

    entity: CertificateEntity
    type: CertificateType
    serial_number: bytes
    issuer: bytes
    subject: bytes
    subject_alt_name: bytes

    def typed(self) -> Typed:
        """The structure as it goes over the wire."""
        return axdr.structure(
            axdr.enum(self.entity),
            axdr.enum(self.type),
            axdr.octet_string(self.serial_number),
            axdr.octet_string(self.issuer),
            axdr.octet_string(self.subject),
            axdr.octet_string(self.subject_alt_name),
        )


@dataclass(frozen=True, slots=True)
class ByEntity:
    """Which certificate, by whose it is and what for (certificate_identification_by_entity)."""

    entity: CertificateEntity
    type: CertificateType
    system_title: bytes

    def typed(self) -> Typed:
        """The parameter of export_certificate and remove_certificate."""
        inner = axdr.structure(axdr.enum(self.entity), axdr.enum(self.type), axdr.octet_string(self.system_title))
        return axdr.structure(axdr.enum(0), inner)


@dataclass(frozen=True, slots=True)
class BySerial:
    """Which certificate, by serial number and issuer (certificate_identification_by_serial)."""

    serial_number: bytes
    issuer: bytes

    def typed(self) -> Typed:
        """The parameter of export_certificate and remove_certificate."""
        inner = axdr.structure(axdr.octet_string(self.serial_number), axdr.octet_string(self.issuer))
        return axdr.structure(axdr.enum(1), inner)


Identification: TypeAlias = ByEntity | BySerial


def identification(parameter: Typed) -> Identification:
    """What export_certificate and remove_certificate were asked for; CertificateError for any other shape."""
    if parameter.type is DataType.STRUCTURE and len(parameter.elements) == 2:
        kind, inner = parameter.elements
        if kind.type is DataType.ENUM and inner.type is DataType.STRUCTURE:
            types = tuple(element.type for element in inner.elements)
            values = tuple(element.value for element in inner.elements)
            if kind.value == 0 and types == (DataType.ENUM, DataType.ENUM, DataType.OCTET_STRING):
                entity, purpose, title = values
                assert isinstance(entity, int) and isinstance(purpose, int) and isinstance(title, bytes)  # noqa: PT018
                if entity <= 3 and purpose <= 3:
                    return ByEntity(CertificateEntity(entity), CertificateType(purpose), title)
            if kind.value == 1 and types == (DataType.OCTET_STRING, DataType.OCTET_STRING):
                serial, issuer = values
                assert isinstance(serial, bytes) and isinstance(issuer, bytes)  # noqa: PT018
                return BySerial(serial, issuer)
    raise CertificateError("no certificate identification: by entity, type and system title, or by serial and issuer")


class CertificateStore:
    """Certificates by entity and type, or by serial number and issuer. At most ``limit`` of them.

    ``anchors`` are the authorities that are trusted (roots or below); they are listed and exported, never removed.
    ``server_system_title`` tells the meter's own certificates apart from those of clients, in a meter and in a client.
    """

    __slots__ = ("_anchors", "_held", "_limit", "_server_title")

    def __init__(
        self,
        anchors: Iterable[Certificate | bytes | str] = (),
        *,
        server_system_title: bytes | str | None = None,
        limit: int = 4096,
    ) -> None:
        self._anchors: dict[bytes, Certificate] = {}
        self._held: dict[bytes, Certificate] = {}
        self._limit = limit
        self._server_title = (
            None if server_system_title is None else title_octets(server_system_title, "server_system_title")
        )
        for given in anchors:
            anchor = _parsed(given)
            if not anchor.is_authority:
                raise CertificateError(f"{anchor} is no trust anchor: it belongs to no authority")
            self._anchors[anchor.der] = anchor

    def __repr__(self) -> str:
        return f"<CertificateStore: {len(self._anchors)} anchors, {len(self._held)} certificates>"

    def __len__(self) -> int:
        return len(self._anchors) + len(self._held)

    def __iter__(self) -> Iterator[Certificate]:
        yield from self._anchors.values()
        yield from self._held.values()

    @property
    def anchors(self) -> tuple[Certificate, ...]:
        """The authorities that are trusted."""
        return tuple(self._anchors.values())

    def import_certificate(self, octets: Certificate | bytes | str, *, at: datetime) -> Certificate:
        """Take a certificate in after its chain was checked at that time; CertificateError leaves the store as it was.

        The same one again changes nothing; another one with the same issuer and serial number is refused.
        """
        certificate = _parsed(octets)
        if certificate.der in self._anchors or certificate.der in self._held:
            return certificate
        self._verify(certificate, at=at)
        for other in self:
            if other.serial_number == certificate.serial_number and other.issuer == certificate.issuer:
                raise CertificateError(f"{certificate} has the serial number of another one from the same issuer")
        if len(self) >= self._limit:
            raise CertificateError(f"there is room for {self._limit} certificates; remove one that is not needed")
        self._held[certificate.der] = certificate
        return certificate

    def import_folder(self, folder: str | os.PathLike[str], *, at: datetime) -> list[Certificate]:
        """Take in every certificate file (.pem, .crt, .cer, .der) of a folder, authorities first.

        CertificateError names the file; those before it are in the store.
        """
        from cosemic.security.certificates import Certificate

        read = []
        for path in _files(Path(folder)):
            try:
                read.append((path, Certificate.parse(_read(path))))
            except CertificateError as error:
                raise CertificateError(f"{path}: {error}") from None
        imported = []
        # Authorities whose own issuer comes later in the folder get another turn, as long as any turn helps.
        pending = sorted(read, key=lambda item: not item[1].is_authority)
        while pending:
            failed: list[tuple[Path, Certificate]] = []
            problem: CertificateError | None = None
            for path, certificate in pending:
                try:
                    imported.append(self.import_certificate(certificate, at=at))
                except CertificateError as error:
                    failed.append((path, certificate))
                    problem = problem or CertificateError(f"{path}: {error}")
            if problem is not None and len(failed) == len(pending):
                raise problem
            pending = failed
        return imported

    def certificate_of(self, system_title: bytes | str, purpose: CertificateType, *, at: datetime) -> Certificate:
        """The newest certificate of that peer for that purpose, its chain checked at that time.

        CertificateError when there is none, or none that holds.
        """
        title = title_octets(system_title)
        found = [one for one in self if one.system_title == title and one.type is purpose]
        if not found:
            raise CertificateError(
                f"no certificate of {title.hex().upper()} for {purpose.name.lower().replace('_', ' ')}; import one"
            )
        problem: CertificateError | None = None
        for certificate in sorted(found, key=_newest_first):
            try:
                self._verify(certificate, at=at)
            except CertificateError as error:
                problem = problem or error
            else:
                return certificate
        assert problem is not None
        raise problem

    def verify(
        self, certificate: Certificate, *, at: datetime, purpose: CertificateType, system_title: bytes | None = None
    ) -> tuple[Certificate, ...]:
        """The chain of a certificate that came from outside (in a message, say) up to an anchor; CertificateError."""
        from cosemic.security.chains import verify_chain

        return verify_chain(
            certificate, self._anchors.values(), self._held.values(), at=at, purpose=purpose, system_title=system_title
        )

    def trust(self, time: Callable[[], datetime]) -> Callable[[bytes, bytes], bytes]:
        """A function that judges the certificates that peers send: ``(DER, system title) -> public signing key``.

        ``time`` tells when it is, aware. The function raises CertificateError for what this store would not vouch for.
        """

        def judge(octets: bytes, system_title: bytes) -> bytes:
            certificate = _parsed(octets)
            self.verify(certificate, at=time(), purpose=CertificateType.DIGITAL_SIGNATURE, system_title=system_title)
            return certificate.public

        return judge

    def infos(self) -> list[CertificateInfo]:
        """What attribute 6 lists."""
        return [
            CertificateInfo(
                self.entity_of(one), one.type, one.serial_octets, one.issuer, one.subject, one.subject_alt_name
            )
            for one in self
        ]

    def attribute(self) -> Typed:
        """Attribute 6 as it goes over the wire."""
        return axdr.array(*(info.typed() for info in self.infos()))

    def entity_of(self, certificate: Certificate) -> CertificateEntity:
        """Whose certificate it is; without ``server_system_title`` nobody is taken for the server."""
        if certificate.is_authority:
            return CertificateEntity.CERTIFICATION_AUTHORITY
        if self._server_title is not None and certificate.system_title == self._server_title:
            return CertificateEntity.SERVER
        return CertificateEntity.CLIENT

    def export(self, which: Identification) -> Certificate:
        """The certificate that was asked for, the newest of several; CertificateError when there is none."""
        found = self._find(which)
        if not found:
            raise CertificateError("there is no such certificate; attribute 6 of the security setup lists them")
        return min(found, key=_newest_first)

    def remove(self, which: Identification) -> list[Certificate]:
        """Remove what was asked for and give it back; CertificateError when there is none, or it is a trust anchor."""
        found = self._find(which)
        if not found:
            raise CertificateError("there is no such certificate; attribute 6 of the security setup lists them")
        if any(one.der in self._anchors for one in found):
            raise CertificateError("a trust anchor is not removed this way; whoever trusts it has to take it out")
        if isinstance(which, ByEntity) and which.entity is CertificateEntity.CERTIFICATION_AUTHORITY and len(found) > 1:
            raise CertificateError(f"{len(found)} authorities fit; name the one by serial number and issuer")
        for one in found:
            del self._held[one.der]
        return found

    def _verify(self, certificate: Certificate, *, at: datetime) -> None:
        from cosemic.security.chains import verify_chain

        verify_chain(certificate, self._anchors.values(), self._held.values(), at=at)

    def _find(self, which: Identification) -> list[Certificate]:
        if isinstance(which, BySerial):
            serial = which.serial_number.lstrip(b"\0")  # some leave the sign octet out
            return [one for one in self if one.serial_octets.lstrip(b"\0") == serial and which.issuer == one.issuer]
        if which.entity is CertificateEntity.CERTIFICATION_AUTHORITY:
            return [one for one in self if one.is_authority]  # they have neither a system title nor one of the types
        return [
            one
            for one in self
            if self.entity_of(one) is which.entity and one.type is which.type and one.system_title == which.system_title
        ]


def _parsed(given: Certificate | bytes | str) -> Certificate:
    if isinstance(given, (bytes, str)):
        from cosemic.security.certificates import Certificate

        return Certificate.parse(given)
    return given


def _newest_first(certificate: Certificate) -> float:
    return -certificate.not_before.timestamp()


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise CertificateError(f"the folder of certificates cannot be read: {error}") from error
    if len(files) > _MOST_FILES:
        raise CertificateError(f"{folder} holds {len(files)} certificates; at most {_MOST_FILES} are read")
    return files


def _read(path: Path) -> bytes:
    from cosemic.security.certificates import LARGEST_CERTIFICATE

    try:
        with path.open("rb") as file:
            return file.read(2 * LARGEST_CERTIFICATE + 1)
    except OSError as error:
        raise CertificateError(f"a certificate cannot be read: {error}") from error
