"""What a client does with a meter's security setup (class 64): keys, policy, certificates. Generators without I/O.

A change of global keys leaves no moment in which a lost message locks anybody out. ``transfer_keys`` accepts the new
keys before it sends them; when the meter says that it took them, it sends with them and reads an attribute, and only
the answer under the new keys ends the old ones. Where the meter refuses, the old ones go on. Where no answer comes at
all, nobody knows whether the meter took them: the context goes on sending with the old keys, which a meter that waits
for a message under the new ones still accepts, and understands both. ``SecurityContext.switch_keys`` is for the others.

A context is changed by this, so one that several meters share is no good here. What the keys are, the caller keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cosemic.codec import axdr
from cosemic.cosem.access import MeterCache, Obis, Procedure, call_method, get
from cosemic.cosem.procedures import read_objects
from cosemic.cosem.rights import demands_of
from cosemic.enums import AccessRight, CertificateEntity, CertificateType, InterfaceClass
from cosemic.errors import (
    ConfirmedServiceErrorReceived,
    DataAccessError,
    DecodeError,
    ExceptionResponseError,
    KeyMissing,
    LocalProtocolError,
    SecurityError,
    ServiceError,
)
from cosemic.obis import ObisCode
from cosemic.security.suites import KeyId, SecurityPolicy, key_octets

if TYPE_CHECKING:
    from cosemic.security.certificate_store import CertificateInfo, Identification
    from cosemic.security.certificates import Certificate
    from cosemic.security.context import SecurityContext
    from cosemic.security.ec import PrivateKey
    from cosemic.security.issuing import CertificateRequest

SETUP = ObisCode(0, 0, 43, 0, 0, 255)
"""The security setup of most meters."""

_CLASS = InterfaceClass.SECURITY_SETUP
_NAMES = {
    KeyId.GLOBAL_UNICAST_ENCRYPTION: "encryption_key",
    KeyId.GLOBAL_BROADCAST_ENCRYPTION: "broadcast_key",
    KeyId.AUTHENTICATION: "authentication_key",
}


def activate_policy(
    security: SecurityContext,
    request: SecurityPolicy | str,
    response: SecurityPolicy | str | None = None,
    *,
    setup: Obis = SETUP,
    version: int | None = None,
    cache: MeterCache | None = None,
) -> Procedure[None]:
    """Make the meter's policy stricter (method 1); the context keeps to it from the next message on.

    ``request`` is demanded of requests, ``response`` (the same unless given) of responses; a setup of version 0 knows
    one policy for both. Without ``version`` the object list tells it. SecurityError, before anything is sent, for a
    policy that takes away what the meter demands now; ActionError when the meter refuses.
    """
    asked = SecurityPolicy.parse(request)
    answered = asked if response is None else SecurityPolicy.parse(response)
    if version is None:
        version = yield from _version(setup, cache)
    now = yield from get(_CLASS, setup, 2, cache=cache)
    if not isinstance(now, int):
        raise DecodeError(f"a security policy is a number, not {now!r}")
    if version == 0:
        if asked != answered:
            raise LocalProtocolError("a security setup of version 0 has one policy for requests and responses")
        if asked & SecurityPolicy.SIGNED:
            raise LocalProtocolError("a security setup of version 0 knows no signatures")
        value = int(asked) >> 4
    else:
        value = demands_of(asked, answered)
    if value & AccessRight.SIGNED_REQUEST and security.signing_key is None:
        raise KeyMissing(
            "a policy of signed requests needs a signing_key: this client could ask for nothing afterwards"
        )
    if now & ~value:
        raise SecurityError(
            f"the policy {value:#04x} would take away from {now:#04x}, which the meter demands now: it can only be "
            "made stricter"
        )
    yield from call_method(_CLASS, setup, 1, axdr.enum(value), cache=cache)
    security.strengthen(minimum=answered, policy=asked)


def transfer_keys(
    security: SecurityContext,
    keys: Mapping[KeyId, bytes | str],
    master_key: bytes | str | None = None,
    *,
    setup: Obis = SETUP,
    confirm: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[None]:
    """Give the meter new keys, wrapped with the master key (method 2), and go on with them.

    ``master_key`` is that of the context (``kek``) unless given; a new one is in the context once the meter took it.
    ``confirm`` False leaves it to the next request to prove the new keys. ActionError when the meter refuses them;
    SecurityError when it took them and does not understand messages under them: the old ones are in use then.
    """
    from cosemic.security.key_wrap import wrap_key

    if not keys:
        raise ValueError("no keys were given")
    checked = {KeyId(key_id): key_octets(security.suite, key, KeyId(key_id).name) for key_id, key in keys.items()}
    master = security.kek if master_key is None else key_octets(security.suite, master_key, "master_key")
    wrapped = {key_id: wrap_key(master, key) for key_id, key in checked.items()}
    new = _global_keys(checked)
    security.offer_keys(**new)
    try:
        yield from call_method(_CLASS, setup, 2, _key_data(wrapped), cache=cache)
    except ServiceError:
        security.keep_keys()
        raise
    if KeyId.MASTER in checked:
        security.switch_kek(checked[KeyId.MASTER])
    yield from _take_up(security, new, setup, confirm)


def agree_keys(
    security: SecurityContext,
    key_ids: Iterable[KeyId],
    server_title: bytes,
    *,
    signing_key: PrivateKey | None = None,
    peer_signing_key: bytes | None = None,
    setup: Obis = SETUP,
    confirm: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[dict[KeyId, bytes]]:
    """Agree on new keys with the meter (method 3, suites 1 and 2), go on with them, and give them back.

    ``signing_key`` proves us, ``peer_signing_key`` (the public key of its certificate) the meter with ``server_title``;
    they are those of the context unless given. AuthenticationError when the meter's part is not signed by that key;
    nothing has changed then. An agreed master key is in the context afterwards.
    """
    from cosemic.security.agreement import key_offer

    own, peer = signing_key or security.signing_key, peer_signing_key or security.peer_signing_key
    if security.system_title is None or own is None or peer is None:
        raise KeyMissing("key agreement needs our system_title and signing_key, and the meter's peer_signing_key")
    offers = {key_id: key_offer(security.suite, key_id, own) for key_id in map(KeyId, key_ids)}
    if not offers:
        raise ValueError("no keys were named")
    parameters = _key_data({key_id: offer.key_data for key_id, offer in offers.items()})
    answers = _key_answers((yield from call_method(_CLASS, setup, 3, parameters, cache=cache)))
    if answers.keys() != offers.keys():
        raise SecurityError("the meter's part of the key agreement is for other keys than ours")
    keys = {
        key_id: offer.agree(answers[key_id], peer, security.system_title, server_title)
        for key_id, offer in offers.items()
    }
    if KeyId.MASTER in keys:
        security.switch_kek(keys[KeyId.MASTER])
    yield from _take_up(security, _global_keys(keys), setup, confirm)
    return keys


def generate_key_pair(
    purpose: CertificateType, *, setup: Obis = SETUP, cache: MeterCache | None = None
) -> Procedure[None]:
    """Have the meter make a new key pair (method 4); a certificate for it has to follow."""
    yield from call_method(_CLASS, setup, 4, axdr.enum(CertificateType(purpose)), cache=cache)


def generate_certificate_request(
    purpose: CertificateType, *, setup: Obis = SETUP, cache: MeterCache | None = None
) -> Procedure[CertificateRequest]:
    """The meter's request for a certificate of that key pair (method 5), checked to be signed by it."""
    from cosemic.security.issuing import CertificateRequest

    parameter = axdr.enum(CertificateType(purpose))
    answer = yield from call_method(_CLASS, setup, 5, parameter, cache=cache)
    return CertificateRequest.parse(_octets(answer, "a certificate request"))


def import_certificate(
    certificate: Certificate | bytes | str, *, setup: Obis = SETUP, cache: MeterCache | None = None
) -> Procedure[None]:
    """Give the meter a certificate, DER or PEM (method 6); CertificateError for one outside the profile."""
    from cosemic.security.certificates import Certificate

    parsed = Certificate.parse(certificate) if isinstance(certificate, (bytes, str)) else certificate
    yield from call_method(_CLASS, setup, 6, axdr.octet_string(parsed.der), cache=cache)


def export_certificate(
    which: Identification, *, setup: Obis = SETUP, cache: MeterCache | None = None
) -> Procedure[Certificate]:
    """A certificate that the meter holds (method 7). Only parsed: whether to trust it, a ``CertificateStore`` says."""
    from cosemic.security.certificates import Certificate

    answer = yield from call_method(_CLASS, setup, 7, which.typed(), cache=cache)
    return Certificate.parse(_octets(answer, "a certificate"))


def remove_certificate(
    which: Identification, *, setup: Obis = SETUP, cache: MeterCache | None = None
) -> Procedure[None]:
    """Have the meter remove a certificate (method 8)."""
    yield from call_method(_CLASS, setup, 8, which.typed(), cache=cache)


def list_certificates(*, setup: Obis = SETUP, cache: MeterCache | None = None) -> Procedure[list[CertificateInfo]]:
    """Which certificates the meter holds (attribute 6)."""
    from cosemic.security.certificate_store import CertificateInfo

    value = yield from get(_CLASS, setup, 6, cache=cache)
    infos = []
    for element in value if isinstance(value, list) else [value]:
        match element:
            case (int(entity), int(purpose), bytes(serial), bytes(issuer), bytes(subject), bytes(names)) if (
                0 <= entity <= CertificateEntity.OTHER and 0 <= purpose <= CertificateType.OTHER
            ):
                whose, what = CertificateEntity(entity), CertificateType(purpose)
                infos.append(CertificateInfo(whose, what, serial, issuer, subject, names))
            case _:
                raise DecodeError(f"a certificate is listed as a structure of six elements, not as {element!r:.200}")
    return infos


def _take_up(security: SecurityContext, new: dict[str, bytes], setup: Obis, confirm: bool) -> Procedure[None]:
    """Send with keys that the meter took; see whether it understands them, or else go back."""
    if not new:
        return
    security.switch_keys(**new)
    if not confirm:
        return
    try:
        yield from get(_CLASS, setup, 1)
    except DataAccessError:
        return  # a refusal, but under the new keys
    except (ExceptionResponseError, ConfirmedServiceErrorReceived) as error:
        security.keep_keys()
        raise SecurityError(
            "the meter took the new keys but does not understand a message under them; the old ones are in use again"
        ) from error


def _version(setup: Obis, cache: MeterCache | None) -> Procedure[int]:
    code = ObisCode.parse(setup)
    objects = {} if cache is None else cache.objects
    if not objects:
        objects = {(entry.class_id, entry.obis): entry for entry in (yield from read_objects(cache=cache))}
    entry = objects.get((_CLASS, code))
    if entry is None:
        raise LocalProtocolError(f"there is no security setup {code} in the object list; name another, or its version")
    return entry.version


def _global_keys(keys: Mapping[KeyId, bytes]) -> dict[str, bytes]:
    return {_NAMES[key_id]: key for key_id, key in keys.items() if key_id in _NAMES}


def _key_data(keys: Mapping[KeyId, bytes]) -> axdr.Typed:
    return axdr.array(
        *(axdr.structure(axdr.enum(key_id), axdr.octet_string(octets)) for key_id, octets in keys.items())
    )


def _key_answers(value: object) -> dict[KeyId, bytes]:
    answers: dict[KeyId, bytes] = {}
    for element in value if isinstance(value, list) else [value]:
        match element:
            case (int(number), bytes(octets)) if number in list(KeyId) and KeyId(number) not in answers:
                answers[KeyId(number)] = octets
            case _:
                raise DecodeError("the meter's part of a key agreement is no array of key ids with their data")
    return answers


def _octets(value: object, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise DecodeError(f"{what} is an octet-string, not {type(value).__name__}")
    return value
