"""Options that all commands share, and the client that they describe."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import Group, Parameter

from cosemic.cli.failing import CommandError, ConnectionTrouble
from cosemic.cli.key_stores import held_keys
from cosemic.cli.keys import NAMES, asymmetric_options, check_complete
from cosemic.cli.meters import find_meter
from cosemic.cli.output import clear_line
from cosemic.cli.parsing import key_octets, password_octets
from cosemic.cli.titles import own_title
from cosemic.enums import AuthenticationMechanism, ExceptionServiceError
from cosemic.errors import ExceptionResponseError, FrameError, LinkError

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient
    from cosemic.cli.progress import Watch
    from cosemic.security.context import SecurityContext

CONNECTION = Group("Connection", sort_key=5)
OUTPUT = Group("Output", sort_key=9)

Auth = Literal["none", "lls", "hls", "md5", "sha1", "gmac", "sha256", "ecdsa"]
Referencing = Literal["ln", "sn"]
Policy = Literal[
    "none",
    "authenticated",
    "encrypted",
    "authenticated-encrypted",
    "signed",
    "authenticated-signed",
    "encrypted-signed",
    "authenticated-encrypted-signed",
]
Reading = Literal["standard", "field"]
General = Literal["general", "identified-key", "wrapped-key", "one-pass", "static-unified"]
Recovery = Literal["never", "from-answer", "from-public-client"]

_MECHANISMS: dict[str, AuthenticationMechanism] = {
    "none": AuthenticationMechanism.NONE,
    "lls": AuthenticationMechanism.LLS,
    "hls": AuthenticationMechanism.HLS,
    "md5": AuthenticationMechanism.HLS_MD5,
    "sha1": AuthenticationMechanism.HLS_SHA1,
    "gmac": AuthenticationMechanism.HLS_GMAC,
    "sha256": AuthenticationMechanism.HLS_SHA256,
    "ecdsa": AuthenticationMechanism.HLS_ECDSA,
}
_WITHOUT_PASSWORD = (
    AuthenticationMechanism.NONE,
    AuthenticationMechanism.HLS_GMAC,
    AuthenticationMechanism.HLS_ECDSA,
)
_OWN_KEYS = frozenset(("ek", "ak", "kek", "signing_key", "agreement_key"))
_LOG = "cosemic command"
_CHOICES: dict[str, tuple[str, ...]] = {
    "auth": get_args(Auth),
    "policy": get_args(Policy),
    "general": get_args(General),
    "reading": get_args(Reading),
    "referencing": get_args(Referencing),
    "counter_recovery": get_args(Recovery),
}
"""What a setting of a named meter may be; on the command line and in variables cyclopts sees to it."""


@Parameter(name="*", group=CONNECTION)
@dataclass(kw_only=True)
class ConnectionOptions:
    """How to reach and log in to a meter. Command line before environment before the file of named meters."""

    client: Annotated[int | None, Parameter(env_var="COSEMIC_CLIENT")] = None
    "Client SAP: who you are. 16 is the public client, 1 management on many meters. [default: 16]"
    server: Annotated[int | None, Parameter(env_var="COSEMIC_SERVER")] = None
    "Logical device of the meter. [default: 1]"
    physical: Annotated[int | None, Parameter(env_var="COSEMIC_PHYSICAL")] = None
    "Physical HDLC address, often made from the serial number."
    address_size: Annotated[int | None, Parameter(env_var="COSEMIC_ADDRESS_SIZE")] = None
    "Octets of the HDLC address: 1, 2 or 4. [default: as few as hold the numbers]"
    auth: Annotated[Auth | None, Parameter(env_var="COSEMIC_AUTH")] = None
    "How to log in. [default: none]"
    password: Annotated[str | None, Parameter(env_var="COSEMIC_PASSWORD")] = None
    "LLS password or HLS secret: TEXT, hex:…, env:NAME or file:PATH."
    suite: Annotated[int | None, Parameter(env_var="COSEMIC_SUITE")] = None
    "Security suite: 0, 1 or 2. [default: 0]"
    policy: Annotated[Policy | None, Parameter(env_var="COSEMIC_POLICY")] = None
    "How messages are protected. [default: authenticated-encrypted when keys are given, else none]"
    system_title: Annotated[str | None, Parameter(env_var="COSEMIC_SYSTEM_TITLE")] = None
    "Your own system title, 16 hex digits, different for each user of a key. [default: one made once and kept]"
    ek: Annotated[str | None, Parameter(env_var="COSEMIC_EK")] = None
    "Global unicast encryption key: HEX, env:NAME or file:PATH."
    ak: Annotated[str | None, Parameter(env_var="COSEMIC_AK")] = None
    "Authentication key: HEX, env:NAME or file:PATH."
    signing_key: Annotated[str | None, Parameter(env_var="COSEMIC_SIGNING_KEY")] = None
    "Your private signing key, for ecdsa and signed policies: file:PATH of a PEM file, env:NAME or HEX."
    peer_signing_key: Annotated[str | None, Parameter(env_var="COSEMIC_PEER_SIGNING_KEY")] = None
    "The meter's public signing key: file:PATH of a PEM file, env:NAME or HEX."
    agreement_key: Annotated[str | None, Parameter(env_var="COSEMIC_AGREEMENT_KEY")] = None
    "Your private key agreement key, for --general one-pass and static-unified."
    peer_agreement_key: Annotated[str | None, Parameter(env_var="COSEMIC_PEER_AGREEMENT_KEY")] = None
    "The meter's public key agreement key."
    kek: Annotated[str | None, Parameter(env_var="COSEMIC_KEK")] = None
    "Master key, for --general wrapped-key: HEX, env:NAME or file:PATH."
    key_store: Annotated[str | None, Parameter(env_var="COSEMIC_KEY_STORE")] = None
    "Where keys that no option gives come from: file:FOLDER, env:PREFIX, or pkcs11:token=LABEL?module-path=FILE."
    certificates: Annotated[str | None, Parameter(env_var="COSEMIC_CERTIFICATES")] = None
    "Folder of certificates, with the authorities that you trust in its folder anchors."
    peer_system_title: Annotated[str | None, Parameter(env_var="COSEMIC_PEER_SYSTEM_TITLE")] = None
    "The meter's system title, where it is needed before the meter tells it: to find its certificates."
    general: Annotated[General | None, Parameter(env_var="COSEMIC_GENERAL")] = None
    "General protection: general-glo-ciphering (general), or general-ciphering with this key."
    referencing: Annotated[Referencing | None, Parameter(env_var="COSEMIC_REFERENCING")] = None
    "How objects are named: ln by class and OBIS code, sn by short names. [default: ln]"
    reading: Annotated[Reading | None, Parameter(env_var="COSEMIC_READING")] = None
    "What tags and signatures of general protection cover: as the standard, or as Gurux and pydlms-client (field)."
    block_transfer_window: Annotated[int | None, Parameter(env_var="COSEMIC_BLOCK_TRANSFER_WINDOW")] = None
    "Ask for answers in general blocks, so many in one go (1 to 63); 0 does without them."
    network_id: Annotated[int | None, Parameter(env_var="COSEMIC_NETWORK_ID")] = None
    "Network behind a gateway, with --device-address. [default: 0]"
    device_address: Annotated[str | None, Parameter(env_var="COSEMIC_DEVICE_ADDRESS")] = None
    "Physical address of a device behind a gateway: TEXT or hex:…"
    broadcast: Annotated[bool | None, Parameter(negative="", env_var="COSEMIC_BROADCAST")] = None
    "For set and call over HDLC or UDP: send to all stations, without an association; nobody answers."
    timeout: Annotated[float | None, Parameter(env_var="COSEMIC_TIMEOUT")] = None
    "Seconds to wait for an answer. [default: 30]"
    allow_counter_from_meter: Annotated[
        bool | None, Parameter(negative="", env_var="COSEMIC_ALLOW_COUNTER_FROM_METER")
    ] = None
    "Take over the invocation counter that the meter names when it refuses ours."
    counter_recovery: Annotated[Recovery | None, Parameter(env_var="COSEMIC_COUNTER_RECOVERY")] = None
    "What may move our invocation counter on: an answer, or what the public client sees. [default: never]"


@Parameter(name="*", group=OUTPUT)
@dataclass(kw_only=True)
class OutputOptions:
    """How results and failures are shown."""

    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "One JSON object a line, with stable keys."
    verbose: Annotated[int, Parameter(alias="-v", count=True, show_default=False)] = 0
    "Show frames and APDUs on stderr, without secrets; -vv shows every field."
    debug: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Show the traceback of a failure."


@contextmanager
def without_empty_variables() -> Iterator[None]:
    """An empty COSEMIC_ variable counts as unset: scripts and unit files clear variables that way."""
    empty = [name for name, value in os.environ.items() if name.startswith("COSEMIC_") and not value.strip()]
    values = {name: os.environ.pop(name) for name in empty}
    try:
        yield
    finally:
        os.environ |= values


@contextmanager
def connected(
    url: str,
    options: ConnectionOptions | None,
    output: OutputOptions,
    *,
    answers: bool = True,
    security: SecurityContext | None = None,
    watch: Watch | None = None,
) -> Iterator[DlmsClient]:
    """The client for a URL or a named meter, connected; an error on the way comes as ConnectionTrouble.

    Without ``answers`` requests go out unconfirmed. ``security`` stands in for what the settings make.
    What takes longer shows how far it is: by ``watch``, or else by the messages that have come.
    """
    from cosemic.cli.progress import Watch

    url, settings = resolve(url, options)
    associated = False
    try:
        client = make_client(url, settings, output, answers=answers, security=security)
        with (Watch(output, "reading") if watch is None else watch).on(client), client:
            associated = True
            yield client
    except (LinkError, FrameError) as error:
        raise ConnectionTrouble(error, url, associated=associated) from error
    except ExceptionResponseError as error:
        if associated or settings.device_address is None or error.service_error != ExceptionServiceError.OTHER_REASON:
            raise
        raise ConnectionTrouble(error, url, associated=False) from error


def make_client(
    url: str,
    options: ConnectionOptions | None,
    output: OutputOptions,
    *,
    answers: bool = True,
    security: SecurityContext | None = None,
) -> DlmsClient:
    """The client for a URL or a named meter; CommandError says which option is wrong or missing."""
    from cosemic.blocking import DlmsClient

    url, settings = resolve(url, options)
    if settings.broadcast and answers:
        raise CommandError("--broadcast is for 'set' and 'call' only: nobody answers what goes to all stations")
    check_numbers(url, settings)
    if security is None:
        security = make_security(settings)
    mechanism = _MECHANISMS[settings.auth or "none"]
    password = None if settings.password is None else password_octets(settings.password)
    if mechanism is AuthenticationMechanism.HLS:
        raise CommandError("--auth hls is the maker's own algorithm: use the Python API and give it as hls_function")
    if mechanism not in _WITHOUT_PASSWORD and password is None:
        raise CommandError(f"--auth {settings.auth} needs --password")
    if mechanism is AuthenticationMechanism.NONE and password is not None:
        raise CommandError("--password is of no use without --auth: give --auth lls, md5, sha1 or sha256")
    client = DlmsClient(
        url,
        client_sap=16 if settings.client is None else settings.client,
        server_sap=1 if settings.server is None else settings.server,
        physical_address=settings.physical,
        address_size=settings.address_size,
        authentication=mechanism,
        password=password,
        security=security,
        referencing=settings.referencing or "ln",
        block_transfer_window=settings.block_transfer_window,
        gateway=_gateway(settings),
        broadcast=bool(settings.broadcast),
        confirmed=answers,
        timeout=30.0 if settings.timeout is None else settings.timeout,
        connect_timeout=10.0 if settings.timeout is None else settings.timeout,
    )
    if output.verbose:
        from cosemic.cli.tracing import make_trace

        client.trace = make_trace(output.verbose)
        show_log(output.verbose)
    return client


def resolve(url: str, options: ConnectionOptions | None) -> tuple[str, ConnectionOptions]:
    """The URL and the settings, a named meter looked up and completed by what the user gave."""
    given = options or ConnectionOptions()
    if "://" in url:
        return url, given
    named = find_meter(url)
    merged = ConnectionOptions(**{field.name: getattr(given, field.name) for field in fields(given)})
    for field in fields(merged):
        if getattr(merged, field.name) is None and field.name in named:
            setattr(merged, field.name, named[field.name])
    for name, choices in _CHOICES.items():
        value = getattr(merged, name)
        if value is not None and value not in choices:
            raise CommandError(f"{name} {value!r} of meter {url!r} is unknown; there are {', '.join(choices)}")
    return str(named["url"]), merged


def make_security(settings: ConnectionOptions) -> SecurityContext | None:
    """The security context, or None when neither keys nor a policy were given."""
    held = held_keys(settings)
    check_complete(settings, held)
    keys = (settings.ek, settings.ak, settings.system_title, *(getattr(settings, name) for name in NAMES))
    # Certificates alone make no security: they are for whoever has keys of his own.
    if all(key is None for key in keys) and not held.keys() & _OWN_KEYS:
        if settings.key_store is not None:
            raise CommandError(f"--key-store: {settings.key_store} holds no key that this client could use")
        return None
    from cosemic.security.context import SecurityContext

    suite, options = asymmetric_options(settings, held)
    try:
        security = SecurityContext(
            suite=suite,
            system_title=own_title() if settings.system_title is None else _title(settings.system_title),
            peer_system_title=(
                None
                if settings.peer_system_title is None
                else key_octets(settings.peer_system_title, "--peer-system-title")
            ),
            encryption_key=held.get("ek") if settings.ek is None else key_octets(settings.ek, "--ek"),
            authentication_key=held.get("ak") if settings.ak is None else key_octets(settings.ak, "--ak"),
            policy=settings.policy or "authenticated-encrypted",
            allow_counter_from_meter=bool(settings.allow_counter_from_meter),
            counter_recovery=settings.counter_recovery or "never",
            **options,
        )
    except ValueError as error:
        text = str(error)
        for name, option in (
            ("peer_system_title", "--peer-system-title"),
            ("system_title", "--system-title"),
            ("encryption_key", "--ek"),
            ("authentication_key", "--ak"),
            *((name, "--" + name.replace("_", "-")) for name in NAMES),
        ):
            text = re.sub(rf"(?<![-\w]){name}\b", option, text)
        raise CommandError(text) from None
    if settings.policy is None and settings.ek is not None and settings.ak is None and "ak" not in held:
        raise CommandError("--ek needs --ak too, or another --policy than authenticated-encrypted")
    return security


def mechanism_of(settings: ConnectionOptions) -> AuthenticationMechanism | None:
    """What ``--auth`` names; None where it was not given."""
    return None if settings.auth is None else _MECHANISMS[settings.auth]


def check_numbers(url: str, settings: ConnectionOptions) -> None:
    """CommandError for a number that cannot be; the library would say the same, in its own words."""
    framing = _framing(url)
    hdlc = framing == "hdlc"
    limits = {
        "client": (1, 0x7F) if hdlc else (0, 0xFFFF),
        "server": (0, 0x3FFF if hdlc else 0xFFFF),
        "physical": (0, 0x3FFF),
        "suite": (0, 2),
        "network_id": (0, 0xFF),
        "block_transfer_window": (0, 63),
    }
    for name, (low, high) in limits.items():
        number = getattr(settings, name)
        if number is not None and not low <= number <= high:
            on = " on HDLC" if hdlc and name in ("client", "server", "physical") else ""
            raise CommandError(f"--{name.replace('_', '-')} is a number from {low} to {high}{on}, not {number}")
    _check_way(framing, url, settings)
    if settings.physical is not None and framing == "mbus":
        raise CommandError("on M-Bus the address of the meter stands in the URL (?address=5), not in --physical")
    if settings.physical is not None and not hdlc:
        raise CommandError("--physical is for HDLC only (hdlc://, serial://, …): the wrapper has no physical addresses")
    if settings.referencing == "sn" and url.lower().startswith("udp:"):
        raise CommandError("--referencing sn needs a connection: over UDP late answers could not be told apart")
    if settings.address_size is not None:
        _check_address_size(hdlc, settings)
    if settings.timeout is not None and not 0 < settings.timeout < 1e9:
        raise CommandError(f"--timeout is a number of seconds above 0, not {settings.timeout:g}")


def _check_way(framing: str, url: str, settings: ConnectionOptions) -> None:
    if settings.broadcast and framing != "hdlc" and not url.lower().startswith("udp:"):
        raise CommandError("--broadcast goes over HDLC and UDP (hdlc://, serial://, udp://), not over this URL")
    if settings.broadcast and settings.auth not in (None, "none"):
        raise CommandError("--broadcast has no login: leave out --auth")
    if settings.network_id is not None and settings.device_address is None:
        raise CommandError("--network-id needs --device-address: which device behind the gateway")


def _gateway(settings: ConnectionOptions) -> tuple[int, bytes] | None:
    if settings.device_address is None:
        return None
    address = password_octets(settings.device_address, "--device-address")
    if not 1 <= len(address) <= 0xFF:
        raise CommandError(f"--device-address has 1 to 255 octets, not {len(address)}")
    return settings.network_id or 0, address


def _framing(url: str) -> str:
    from cosemic.transports.targets import parse_url

    return parse_url(url).framing.value


def _check_address_size(hdlc: bool, settings: ConnectionOptions) -> None:
    size = settings.address_size
    if not hdlc:
        raise CommandError(
            "--address-size is for HDLC only (hdlc://, serial://, …): other framings have no such addresses"
        )
    if size not in (1, 2, 4):
        raise CommandError(f"--address-size is 1, 2 or 4, not {size}")
    if (size == 1) != (settings.physical is None):
        raise CommandError("an HDLC address of 1 octet has no --physical, one of 2 or 4 octets needs it")


def _title(text: str) -> bytes:
    return key_octets(text, "--system-title")


def show_log(verbose: int) -> None:
    """Send the library's log to stderr: warnings, with -vv everything worth knowing."""
    hide_log()
    handler = logging.StreamHandler()
    handler.name = _LOG
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("cosemic")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if verbose < 2 else logging.INFO)


def hide_log() -> None:
    """Undo ``show_log``: a program that runs several commands has its log back after each."""
    logger = logging.getLogger("cosemic")
    for handler in [handler for handler in logger.handlers if handler.name == _LOG]:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def warn(text: str) -> None:
    """A remark on stderr."""
    clear_line()
    print(f"cosemic: {text}", file=sys.stderr)
