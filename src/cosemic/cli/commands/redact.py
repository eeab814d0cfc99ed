"""redact: a capture to be shown to others."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

Kept = Literal["titles", "texts", "addresses", "unknown"]
Format = Literal["pcap", "pcapng", "recording", "hex", "octets"]


def _whole(type_: object, value: str, *, delimiter: str | None = None) -> list[str]:
    """A variable holds one key, which may be written with blanks, or stand in a file whose path has some."""
    return [value]


def redact(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    format: Format | None = None,  # noqa: A002 - the name of the option
    ek: Annotated[
        list[str] | None, Parameter(name="--ek", negative="", env_var="COSEMIC_EK", env_var_split=_whole)
    ] = None,
    ak: Annotated[
        list[str] | None, Parameter(name="--ak", negative="", env_var="COSEMIC_AK", env_var_split=_whole)
    ] = None,
    broadcast_key: str | None = None,
    dedicated_key: str | None = None,
    system_title: Annotated[list[str] | None, Parameter(name="--system-title", negative="")] = None,
    keep: Annotated[list[Kept] | None, Parameter(name="--keep", negative="")] = None,
    keep_unknown: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Make a capture that can be posted: identifiers and secrets are masked.

    Masked are serial numbers, names, titles, keys, passwords, texts and
    addresses; frames stay valid.

    FILE is a recording, pcap, pcapng, hex text of most styles, or plain octets;
    - is the standard input. The result has the same format. The same number gets
    the same mask in one file, and another one in the next run.
    Ciphered messages that a key opens are masked inside and sealed again under
    throw-away keys, which are printed and stand in the result. Without the key
    they stay as they are, but their system title is masked, so that nobody can
    open them any more.
    What is not understood becomes zeros. Times and readings stay.

    For example:
      cosemic redact meter.rec -o meter.redacted.rec
      cosemic redact push.pcap -o shown.pcap --ek file:meter.ek --ak file:meter.ak
      cosemic redact capture.txt | cosemic explain -

    Parameters
    ----------
    file
        The capture, or -.
    output
        File for the result; the capture itself is never replaced.
    format
        Another format for the result.
    ek
        Encryption key: HEX, env:NAME or file:PATH; may be repeated.
    ak
        Authentication key, one for all or one for each --ek.
    broadcast_key
        Key of broadcast APDUs.
    dedicated_key
        Key of ded-ciphered APDUs, where the capture does not carry it.
    system_title
        System title of a sender, 16 hex digits; may be repeated.
    keep
        What may stay: titles, texts (names of types and versions), addresses
        (IP, host, device, HDLC), unknown; may be repeated.
    keep_unknown
        The same as --keep unknown: noise and damaged frames stay as they are.
    """
    from cosemic.cli.redacting import redact_file

    return redact_file(
        file, output, format=format, eks=ek or [], aks=ak or [], broadcast_key=broadcast_key,
        dedicated_key=dedicated_key, system_titles=system_title or [],
        keep=[*(keep or []), *(["unknown"] if keep_unknown else [])],
    )  # fmt: skip
