"""A public key infrastructure for the tests: a root, an authority below it, and keys of a client and a meter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cosemic.enums import CertificateType
from cosemic.security.certificates import Certificate
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import issue_certificate, new_authority
from tests.security.pair import CLIENT_TITLE, METER_TITLE

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
SIGNING, AGREEMENT, TLS = CertificateType.DIGITAL_SIGNATURE, CertificateType.KEY_AGREEMENT, CertificateType.TLS

__all__ = ["AGREEMENT", "CLIENT_TITLE", "END", "METER_TITLE", "NOW", "SIGNING", "START", "TLS", "Pki"]


@dataclass
class Pki:
    """Root, subordinate authority, and how to issue below it."""

    suite: int
    root_key: SoftwareKey
    root: Certificate
    authority_key: SoftwareKey
    authority: Certificate

    @classmethod
    def make(cls, suite: int = 1, name: str = "Test Root", end: datetime = END) -> Pki:
        root_key, authority_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
        root = new_authority(root_key, name, not_before=START, not_after=end)
        authority = new_authority(
            authority_key,
            f"{name} Sub",
            not_before=START,
            not_after=end,
            issuer=root,
            issuer_key=root_key,
            path_length=0,
        )
        return cls(suite, root_key, root, authority_key, authority)

    def issue(
        self,
        title: bytes = METER_TITLE,
        purpose: CertificateType = SIGNING,
        key: SoftwareKey | None = None,
        *,
        start: datetime = START,
        end: datetime = END,
        serial_number: int | None = None,
    ) -> Certificate:
        return issue_certificate(
            self.authority,
            self.authority_key,
            purpose=purpose,
            system_title=title,
            public=(key or SoftwareKey.generate(self.suite)).public,
            not_before=start,
            not_after=end,
            serial_number=serial_number,
        )
