"""certificates: those of a meter, those kept here, and requests for new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions

Purpose = Literal["signing", "agreement", "tls"]
Setup = Annotated[str | None, Parameter(name="--setup")]
System = Annotated[str | None, Parameter(name="--title")]

app = App(
    name="certificates",
    help=(
        "Certificates of a meter and of your own: list, export, import, remove, request.\n\n"
        "They belong to a security setup of version 1 (suites 1 and 2), the one of the\n"
        "association unless --setup names another."
    ),
    help_format="plaintext",
    sort_key=50,
)


@app.command(name="list", sort_key=1)
def list_(
    url: str | None = None, *, setup: Setup = None, connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """List the certificates that the meter holds; without URL those of --certificates.

    For example:
      cosemic certificates list cellar
      cosemic certificates list --certificates ~/certificates

    Parameters
    ----------
    url
        Where the meter is, or its name.
    setup
        Security setup: an OBIS code.
    """
    from cosemic.cli.certificates import list_certificates

    return list_certificates(url, setup, connection=connection, output=output or OutputOptions())


@app.command(sort_key=2)
def export(
    url: str, purpose: Purpose | None = None, *, title: System = None, serial: str | None = None,
    out: Path | None = None, setup: Setup = None, connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Read a certificate from the meter, as PEM.

    Which one is said by PURPOSE, for the meter's own or that of --title, or by
    --serial as 'cosemic certificates list' shows it. Whether to trust it is not
    checked, unless --certificates names the authorities that you trust.

    For example:
      cosemic certificates export cellar signing --out cellar-signing.pem
      cosemic certificates export cellar --serial 1F2E3D

    Parameters
    ----------
    url
        Where the meter is, or its name.
    purpose
        What its key is for.
    title
        System title of another than the meter.
    serial
        Serial number, in hexadecimal.
    out
        Write to this file instead of the screen.
    setup
        Security setup: an OBIS code.
    """
    from cosemic.cli.certificates import export_certificate

    return export_certificate(
        url, purpose, title=title, serial=serial, out=out, setup=setup, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip


@app.command(name="import", sort_key=3)
def import_(
    url: str, file: Path, *, setup: Setup = None, connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Give the meter a certificate, PEM or DER.

    The meter checks it against the authorities that it trusts. One for a key pair
    that the meter generated puts this pair to use: from then on it signs, or agrees,
    with the new key.

    For example:
      cosemic certificates import cellar head-end-signing.pem
      cosemic certificates import suite1 new-signing.pem

    Parameters
    ----------
    url
        Where the meter is, or its name.
    file
        The certificate.
    setup
        Security setup: an OBIS code.
    """
    from cosemic.cli.certificates import import_certificate

    return import_certificate(url, file, setup=setup, connection=connection, output=output or OutputOptions())


@app.command(sort_key=4)
def remove(
    url: str, purpose: Purpose | None = None, *, title: System = None, serial: str | None = None,
    setup: Setup = None, yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None, output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Have the meter remove a certificate, named as for 'cosemic certificates export'.

    For example:
      cosemic certificates remove cellar --serial 1F2E3D --yes

    Parameters
    ----------
    url
        Where the meter is, or its name.
    purpose
        What its key is for.
    title
        System title of another than the meter.
    serial
        Serial number, in hexadecimal.
    setup
        Security setup: an OBIS code.
    yes
        Do not ask.
    """
    from cosemic.cli.certificates import remove_certificate

    return remove_certificate(
        url, purpose, title=title, serial=serial, setup=setup, yes=yes, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip


@app.command(sort_key=5)
def request(
    url: str, purpose: Purpose, *, new_key: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    out: Path | None = None, setup: Setup = None, connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:  # fmt: skip
    """Read the meter's request for a certificate (PKCS #10), as PEM, for an authority to sign.

    With --new-key the meter makes a new key pair first; the old one stays in use
    until a certificate for the new one is imported.

    For example:
      cosemic certificates request cellar signing --new-key --out cellar.csr
      cosemic certificates import cellar cellar-signing.pem      what the authority gave

    Parameters
    ----------
    url
        Where the meter is, or its name.
    purpose
        What the key is for.
    new_key
        Have the meter make a new key pair.
    out
        Write to this file instead of the screen.
    setup
        Security setup: an OBIS code.
    """
    from cosemic.cli.certificates import request_certificate

    return request_certificate(
        url, purpose, new_key=new_key, out=out, setup=setup, connection=connection, output=output or OutputOptions()
    )


@app.command(sort_key=6)
def issue(
    csr: Path, purpose: Purpose, *, authority: Path, authority_key: str, days: int = 365, out: Path | None = None,
) -> int:  # fmt: skip
    """Sign a request with an authority of your own: for test set-ups and simulated meters.

    For example:
      cosemic certificates issue meter.csr signing --out meter.pem
              --authority demo-keys/certificates/anchors/suite1-authority.pem
              --authority-key file:demo-keys/suite1-authority-key.pem

    Parameters
    ----------
    csr
        The request, PEM or DER.
    purpose
        What the key is for.
    authority
        Certificate of the authority.
    authority_key
        Its private key: file:PATH of a PEM file, or env:NAME.
    days
        How long it is valid.
    out
        Write to this file instead of the screen.
    """
    from cosemic.cli.certificates import issue_certificate

    return issue_certificate(csr, purpose, authority=authority, authority_key=authority_key, days=days, out=out)
