"""Keys of suites 1 and 2 from the command line: private and public keys in PEM or hexadecimal, the master key."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cosemic.cli.failing import CommandError
from cosemic.cli.parsing import key_octets, read_secret

if TYPE_CHECKING:
    from cosemic.cli.options import ConnectionOptions
    from cosemic.security.ec import PrivateKey, SoftwareKey

_NEEDED_FOR: dict[str, tuple[str, ...]] = {
    "wrapped-key": ("kek",),
    "one-pass": ("signing_key", "peer_signing_key", "agreement_key", "peer_agreement_key"),
    "static-unified": ("agreement_key", "peer_agreement_key"),
}
NAMES = ("signing_key", "peer_signing_key", "agreement_key", "peer_agreement_key", "kek")
_SUITE_OF = {32: 1, 48: 2}


def asymmetric_options(settings: ConnectionOptions, held: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The security suite, and what SecurityContext takes of these keys; CommandError says what is wrong with one.

    ``held`` is what a key store and the certificates give beside the options.
    """
    private: dict[str, PrivateKey] = {
        name: private_key(text, _option(name)) if (text := getattr(settings, name)) is not None else held[name]
        for name in ("signing_key", "agreement_key")
        if getattr(settings, name) is not None or name in held
    }
    suites = {key.suite for key in private.values()} | ({settings.suite} if settings.suite is not None else set())
    if len(suites) > 1:
        raise CommandError(f"the keys are of different suites: {', '.join(map(str, sorted(suites)))}; see --suite")
    suite = suites.pop() if suites else 0
    options: dict[str, Any] = dict(private)
    for name in ("peer_signing_key", "peer_agreement_key"):
        text = getattr(settings, name)
        if text is not None:
            options[name] = _public_key(text, _option(name))
        elif name in held:
            options[name] = held[name]
    if settings.kek is not None:
        options["kek"] = key_octets(settings.kek, "--kek")
    elif "kek" in held:
        options["kek"] = held["kek"]
    if "trust" in held:
        options["trust"] = held["trust"]
    if settings.reading not in (None, "standard"):
        options |= _field_reading()
    if settings.general is not None:
        from cosemic.security.suites import GeneralKey

        options["general"] = True if settings.general == "general" else GeneralKey(settings.general)
    return suite, options


def check_complete(settings: ConnectionOptions, held: Mapping[str, Any]) -> None:
    """CommandError where keys are missing for what was asked for, rather than a message with less protection."""
    there = {field.name for field in fields(settings) if getattr(settings, field.name) is not None} | held.keys()
    if "trust" in held:
        there.add("peer_signing_key")  # it comes in a certificate, or the meter is refused
    if settings.auth == "gmac":
        _need(there, "--auth gmac", "ek", "ak")
    if settings.auth == "ecdsa":
        _need(there, "--auth ecdsa", "signing_key", "peer_signing_key")
    if settings.general is not None:
        _need(there, f"--general {settings.general}", "ek", *_NEEDED_FOR.get(settings.general, ()))
    if settings.ak is not None:
        _need(there, "--ak", "ek")
    policy = settings.policy
    if policy not in (None, "none"):
        names = [*(["ak"] if "authenticated" in policy else []), *(NAMES[:2] if "signed" in policy else [])]
        _need(there, f"--policy {policy}", "ek", *names)


def _need(there: AbstractSet[str], what: str, *names: str) -> None:
    missing = [_option(name) for name in names if name not in there]
    if missing:
        pem = ": PEM files, as file:PATH" if all(name.endswith("-key") for name in missing) else ""
        raise CommandError(f"{what} needs {', '.join(missing)} too{pem}")


def _field_reading() -> dict[str, Any]:
    from cosemic.security.suites import GeneralAad, SigningInput, SigningOrder

    return {
        "general_aad": GeneralAad.WITHOUT_HEADER,
        "signing_input": SigningInput.CONTENT,
        "signing_order": SigningOrder.CIPHER_FIRST,
    }


def private_key(text: str, option: str) -> SoftwareKey:
    """A private key as an option gives it: PEM or hexadecimal; CommandError without a word of it."""
    from cosemic.security.ec import SoftwareKey

    value = read_secret(text, option)
    try:
        if "-----BEGIN" in value:
            if "ENCRYPTED" in value:
                raise CommandError(f"{option}: the key has a password; the command takes PEM files without one")
            return SoftwareKey.load(value)
        octets = key_octets(value, option)
        if len(octets) not in _SUITE_OF:
            raise CommandError(f"{option} is PEM, or 32 (P-256) or 48 octets (P-384) in hexadecimal, not {len(octets)}")
        return SoftwareKey(_SUITE_OF[len(octets)], octets)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None


def _public_key(text: str, option: str) -> str | bytes:
    value = read_secret(text, option)
    if "-----BEGIN" not in value:
        return key_octets(value, option)
    if "PRIVATE KEY-----" in value:
        raise CommandError(f"{option} names a private key; the public key of the meter is needed")
    from cosemic.security.public_keys import load_public

    try:
        return load_public(value)[1]
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
