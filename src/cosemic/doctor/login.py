"""Which login to try with what the user gave, and what is known beside it when its outcome is judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from cosemic.doctor.knowledge import Known, Outcome
from cosemic.doctor.survey import Survey, mechanism_name
from cosemic.enums import AuthenticationMechanism

PROBE = "login"
NEEDS_PASSWORD = frozenset(
    (
        AuthenticationMechanism.LLS,
        AuthenticationMechanism.HLS_MD5,
        AuthenticationMechanism.HLS_SHA1,
        AuthenticationMechanism.HLS_SHA256,
    )
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A login worth trying: as whom, by which mechanism, with which of the user's secrets."""

    client: int
    mechanism: AuthenticationMechanism
    secret: str
    guessed: str = ""


@dataclass(slots=True)
class Evidence:
    """What is known beside the login itself when its outcome is judged."""

    survey: Survey
    heard: list[bytes] = field(default_factory=list)
    """APDUs that the meter sent at other times: pushes."""
    own_counter: int | None = None
    """The invocation counter that the login was sent with."""
    without_secret: Outcome | None = None
    """How the meter answers the same client without a login."""
    others_answered: bool = False
    """Whether the meter answered another client, so that the way to it is known to work."""


def choices(known: Known, survey: Survey) -> list[Choice]:
    """The logins to try, one for each secret; nothing without a secret."""
    mechanisms: list[AuthenticationMechanism] = []
    if known.mechanism is not None:
        mechanisms = [known.mechanism]
    else:
        told = told_mechanism(known.client, survey)
        if isinstance(told, AuthenticationMechanism) and told and _has_secret(told, known):
            mechanisms = [told]
        else:
            mechanisms = [AuthenticationMechanism.HLS_GMAC, AuthenticationMechanism.LLS]
    mechanisms = [mechanism for mechanism in mechanisms if _has_secret(mechanism, known)]
    found = []
    for mechanism in mechanisms:
        secret = "password" if mechanism in NEEDS_PASSWORD else "keys"
        client, why = _client_for(mechanism, known, survey)
        given = "keys" if secret == "keys" else "a password"
        guessed = f"{mechanism_name(mechanism)}, as you gave {given}" if known.mechanism is None else ""
        found.append(Choice(client, mechanism, secret, "; ".join(part for part in (guessed, why) if part)))
    return found


def missing_secret(known: Known) -> tuple[str, str] | None:
    """What the mechanism that was asked for cannot be tried without, and the remedy; None where nothing is missing."""
    mechanism = known.mechanism
    if not mechanism or _has_secret(mechanism, known):
        return None
    name = mechanism_name(mechanism)
    if mechanism is AuthenticationMechanism.HLS:
        return (
            f"{name} is an algorithm of the maker's own, which the doctor does not know",
            "leave out --auth to have the rest examined; the Python client takes the algorithm as hls_function",
        )
    if mechanism in NEEDS_PASSWORD:
        return f"{name} needs a password, and none was given", "give --password (env:NAME or file:PATH)"
    if mechanism is AuthenticationMechanism.HLS_ECDSA:
        return (
            f"{name} needs our private signing key and the meter's public one, and not both were given",
            "give --signing-key and --peer-signing-key, or --key-store and --certificates",
        )
    return f"{name} needs keys, and none were given", "give --ek and --ak, or --key-store"


def _has_secret(mechanism: AuthenticationMechanism, known: Known) -> bool:
    if mechanism in NEEDS_PASSWORD:
        return known.password is not None
    if mechanism is AuthenticationMechanism.HLS_ECDSA:
        # It lives by signing keys, with or without symmetric ones.
        security = known.security
        return (
            security is not None
            and security.signing_key is not None
            and (security.peer_signing_key is not None or security.trust is not None)
        )
    if mechanism is AuthenticationMechanism.HLS:
        return False
    return known.has_keys


def told_mechanism(client: int | None, survey: Survey) -> AuthenticationMechanism | int | None:
    return next((p.mechanism for p in survey.partners.values() if client is not None and p.client == client), None)


def _client_for(mechanism: AuthenticationMechanism, known: Known, survey: Survey) -> tuple[int, str]:
    if known.client is not None:
        return known.client, ""
    for partner in survey.partners.values():
        if partner.mechanism == mechanism:
            return partner.client, f"client {partner.client}, as the meter says who logs in this way"
    return 1, "client 1, the management client of most meters, as you named none"
