"""explain: octets taken apart."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import OutputOptions


def explain(
    input: Annotated[str, Parameter(allow_leading_hyphen=True)],  # noqa: A002 - the name of the argument in the help
    *more: str,
    ek: Annotated[str | None, Parameter(env_var="COSEMIC_EK")] = None,
    ak: Annotated[str | None, Parameter(env_var="COSEMIC_AK")] = None,
    system_title: Annotated[
        list[str] | None, Parameter(name="--system-title", negative="", env_var="COSEMIC_SYSTEM_TITLE")
    ] = None,
    dedicated_key: str | None = None,
    broadcast_key: str | None = None,
    kek: str | None = None,
    private_key: Annotated[list[str] | None, Parameter(name="--private-key", negative="")] = None,
    public_key: Annotated[list[str] | None, Parameter(name="--public-key", negative="")] = None,
    redact: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: OutputOptions | None = None,
) -> int:
    """Take octets apart, layer by layer: HDLC, wrapper, M-Bus, sign-on, ciphering,
    signatures, blocks, APDU, values.

    INPUT is hex, a file, or - for standard input. A file may be a recording, pcap
    or pcapng, hold the octets themselves, or text with octets: one frame or APDU
    a line, '>' or '<' before it, comments after '#'; dumps and logs of most
    tools. System titles and dedicated keys that an earlier line carries are used
    for the later ones.
    The exit code is 1 when the octets are faulty; the message names the place.

    For example:
      cosemic explain 7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E
      cosemic explain capture.txt --ek file:meter.ek --ak file:meter.ak
      cosemic explain head-end.pcap --redact
      cosemic explain DB08... --ek env:EK --system-title 4D4D4D0000000001
      xxd -p capture.bin | cosemic explain - --redact

    Parameters
    ----------
    input
        Hex, a file, or -.
    more
        Further hex: blanks between octets are fine.
    ek
        Encryption key: HEX, env:NAME or file:PATH.
    ak
        Authentication key: HEX, env:NAME or file:PATH.
    system_title
        System title of the sender, 16 hex digits; may be repeated.
    dedicated_key
        Key of ded-ciphered APDUs.
    broadcast_key
        Key of broadcast APDUs.
    kek
        Master key, for keys that are wrapped with it.
    private_key
        Private key agreement key of either side, HEX or file:PEM; may be repeated.
    public_key
        Public key of a signer or of the other side of a key agreement, HEX or
        file:PEM (a certificate too, which is not checked itself); may be repeated.
    redact
        Hide passwords, keys, system titles, serial numbers, checksums over them, and
        whatever was not understood, for posting.
    """
    from cosemic.cli.explaining import explain_input

    return explain_input(
        (input, *more), ek=ek, ak=ak, system_titles=system_title or [], dedicated_key=dedicated_key,
        broadcast_key=broadcast_key, kek=kek, private_keys=private_key or [], public_keys=public_key or [],
        redact=redact, output=output or OutputOptions(),
    )  # fmt: skip
