"""Whether to trust a certificate: a chain of signatures up to an anchor that the user gave (RFC 5280, clause 6).

Checked, leaf first: purpose and system title; for each certificate of the chain its validity, that its issuer may issue
(basic constraints, key usage, path length), and the signature with the hash that fits the issuer's curve. A suite 1
authority does not vouch for a suite 2 key. Revocation lists are not looked at: the DLMS way is to remove a certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from cosemic.enums import CertificateType
from cosemic.errors import CertificateError
from cosemic.security.certificates import Certificate, shown, signature_hash

LONGEST_CHAIN: Final = 6
_MOST_TRIES: Final = 64  # signatures checked for one chain; authorities of one name could make it a maze


def verify_chain(
    certificate: Certificate,
    anchors: Iterable[Certificate],
    intermediates: Iterable[Certificate] = (),
    *,
    at: datetime,
    purpose: CertificateType | None = None,
    system_title: bytes | None = None,
) -> tuple[Certificate, ...]:
    """The chain from ``certificate`` to one of ``anchors`` (root or subordinate authorities), both included.

    ``at`` is the time of the check, aware. ``purpose`` None is for certificates of authorities. CertificateError says
    what is wrong, and with which certificate.
    """
    if purpose is not None:
        certificate.check_purpose(purpose)
    if system_title is not None:
        certificate.check_system_title(system_title)
    certificate.check_validity(at)
    trusted = [anchor for anchor in anchors if anchor.is_authority]
    if any(anchor.der == certificate.der for anchor in trusted):
        return (certificate,)
    search = _Search(trusted, [one for one in intermediates if one.is_authority], at)
    chain = search.up_from([certificate])
    if chain is not None:
        return tuple(chain)
    if search.problem is not None:
        raise search.problem
    top = search.top or certificate
    raise CertificateError(
        f"{certificate} leads to no trust anchor: nobody vouches for '{shown(top.parsed.issuer)}'; import the "
        "certificate of that authority, if you trust it"
    )


class _Search:
    """Goes up from issuer to issuer, depth first and bounded; keeps the first problem for the error."""

    def __init__(self, trusted: Sequence[Certificate], others: Sequence[Certificate], at: datetime) -> None:
        self._trusted = trusted
        self._others = others
        self._at = at
        self._tries = 0
        self.problem: CertificateError | None = None
        self.top: Certificate | None = None

    def up_from(self, chain: list[Certificate]) -> list[Certificate] | None:
        """The whole chain, or None; ``chain`` is what led here."""
        last = chain[-1]
        for is_anchor, candidates in ((True, self._trusted), (False, self._others)):
            for issuer in candidates:
                if issuer.subject != last.issuer or issuer in chain:
                    continue
                if not is_anchor and len(chain) >= LONGEST_CHAIN - 1:
                    self._note(CertificateError(f"{chain[0]} has a chain of more than {LONGEST_CHAIN} certificates"))
                    continue
                self._tries += 1
                if self._tries > _MOST_TRIES:
                    self._note(CertificateError(f"{chain[0]} has too many possible issuers; remove what is not needed"))
                    return None
                try:
                    _check_issued(last, issuer, authorities_below=len(chain) - 1, at=self._at)
                except CertificateError as error:
                    self._note(error)
                    continue
                if is_anchor:
                    return [*chain, issuer]
                found = self.up_from([*chain, issuer])
                if found is not None:
                    return found
        if self.top is None:
            self.top = last
        return None

    def _note(self, error: CertificateError) -> None:
        if self.problem is None:
            self.problem = error


def _check_issued(certificate: Certificate, issuer: Certificate, *, authorities_below: int, at: datetime) -> None:
    issuer.check_validity(at)
    if issuer.path_length is not None and authorities_below > issuer.path_length:
        raise CertificateError(
            f"{issuer} allows {issuer.path_length} authorities below it, there are {authorities_below}; "
            "the certificate has to be issued by another"
        )
    if issuer.suite < certificate.suite:
        raise CertificateError(
            f"{certificate} has a stronger key than {issuer}, its issuer; a suite 2 issuer is needed"
        )
    check_signature(certificate, issuer)


def check_signature(certificate: Certificate, issuer: Certificate) -> None:
    """CertificateError unless ``issuer`` signed ``certificate``, with the hash of its suite."""
    expected: type[hashes.HashAlgorithm] = type(signature_hash(issuer.suite))
    if not isinstance(certificate.parsed.signature_hash_algorithm, expected):
        raise CertificateError(
            f"{certificate} is signed with another hash than suite {issuer.suite} of its issuer uses"
        )
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, ValueError, TypeError):
        raise CertificateError(
            f"the signature on {certificate} is not that of {issuer}: altered, or signed by another of the same name"
        ) from None
