"""The negative matrix: one association per mechanism, suite, policy and envelope, and what is done to its messages.

Everything that an attacker without the keys can do to one message is done to a request on its way to the meter and to
an answer on its way to the client: a bit flipped in every part, a wrong key, a repetition, the protection taken off.
After each refusal the state must be as before, and the message itself must go through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.general import AgreedKey, WrappedKey, raw_header
from cosemic.apdu.protected import unwrap_ciphered
from cosemic.apdu.services import (
    AccessResponse,
    ActionResponseNormal,
    ExceptionResponse,
    GetResponseNormal,
    SetResponseNormal,
)
from cosemic.apdu.short_name import ReadResponse, WriteResponse
from cosemic.codec import axdr
from cosemic.cosem.short_names import CURRENT_ASSOCIATION, NamedObject, ShortNameTable
from cosemic.enums import AuthenticationMechanism, ExceptionServiceError, Referencing
from cosemic.errors import AuthenticationError, DecodeError, DlmsError, RemoteProtocolError, ReplayError, SecurityError
from cosemic.protocol.ciphering import CIPHERED, seal, service_envelope, unseal
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, Failed, Requested
from cosemic.protocol.requests import Access, AccessResults, ActionResults, GetResults, Request, Result, SetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.short_naming import SHORT_NAME_CONFORMANCE
from cosemic.protocol.states import State
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.general import GeneralProtection
from cosemic.security.suites import GeneralKey, SigningOrder
from tests.pair.keys import context, keys_of, settings
from tests.pair.support import ECHO, ENERGY, Application, action, get, set_

_GET = get((3, ENERGY, 2))
_SET = set_((3, ENERGY, 2, axdr.double_long_unsigned(5)))
_ACTION = action((9, ECHO, 1, axdr.octet_string(b"parameter")))
SERVICES: dict[str, Request] = {
    "GET": _GET,
    "SET": _SET,
    "ACTION": action((1, ECHO, 1, axdr.octet_string(b"parameter"))),
    "ACCESS": Access.of((_GET, _SET, _ACTION)),
    "READ": _GET,
    "WRITE": _SET,
    "READ, PARAMETERIZED": _ACTION,
    "UNCONFIRMED WRITE": _SET,
}
"""The last four by short names. ACCESS has no envelope of its own: general-glo or general-ded, whatever was agreed."""
SHORT_NAMES = frozenset(("READ", "WRITE", "READ, PARAMETERIZED", "UNCONFIRMED WRITE"))
UNCONFIRMED = "UNCONFIRMED WRITE"
_TABLE = ShortNameTable(
    [
        NamedObject(0xFA00, 12, 2, CURRENT_ASSOCIATION),
        NamedObject(0x0100, 3, 0, ENERGY),
        NamedObject(0x0400, 9, 0, ECHO),
    ]
)


_APPLICATION = Application()
"""Copied for each association: its load profile is worth encoding once."""


@dataclass(frozen=True)
class Case:
    """One association of the matrix."""

    mechanism: AuthenticationMechanism
    suite: int
    policy: str
    envelope: str
    order: SigningOrder = SigningOrder.SIGN_FIRST

    def __str__(self) -> str:
        order = f"-{self.order.value}" if "signed" in self.policy else ""
        return f"{self.mechanism.name}-{self.suite}-{self.policy}-{self.envelope}{order}"

    @property
    def has_tag(self) -> bool:
        """Whether every octet is protected: by a tag or by a signature around it."""
        return "authenticated" in self.policy or "signed" in self.policy

    def contexts(self, **more: Any) -> tuple[SecurityContext, SecurityContext]:
        """Of the client and the meter."""
        general: bool | GeneralKey = False
        if self.envelope == "general":
            general = True
        elif self.envelope not in ("glo", "ded"):
            general = GeneralKey(self.envelope)
        options = {"signing_order": self.order, **more}
        client = context(
            self.suite, "client", self.policy, general=general, dedicated_key=self.envelope == "ded", **options
        )
        return client, context(self.suite, "meter", self.policy, **options)


class Talk:
    """An association that is open on both sides, APDU by APDU."""

    def __init__(self, case: Case, service: str = "GET") -> None:
        self.case = case
        client_context, meter_context = case.contexts()
        client, meter = settings(case.mechanism, client_context, meter_context)
        if service in SHORT_NAMES:
            confirmed = service != UNCONFIRMED
            client = replace(
                client, referencing=Referencing.SHORT_NAME, short_names=_TABLE, conformance=None, confirmed=confirmed
            )
            meter = replace(meter, short_names=_TABLE, conformance=SHORT_NAME_CONFORMANCE)
        self.client, self.meter = ClientAssociation(client), ServerAssociation(meter, trace=self._see)
        self.application = copy(_APPLICATION)
        self.application.attributes = dict(_APPLICATION.attributes)
        self.result: Result | None = None
        self.plain = b""
        """What the meter sent last, before it was sealed."""
        self.client.associate()
        while outgoing := self.client.apdus_to_send():
            for apdu in outgoing:
                self.meter.receive_apdu(apdu)
            for apdu in self.meter.apdus_to_send():
                self.client.receive_apdu(apdu)
        assert any(isinstance(event, Associated) for event in self.client.events()), case
        self.meter.events()

    def _see(self, _layer: str, direction: str, apdu: bytes) -> None:
        if direction == "out":
            self.plain = apdu

    @property
    def client_security(self) -> AssociationSecurity:
        assert self.client._security is not None
        return self.client._security

    @property
    def meter_security(self) -> AssociationSecurity:
        assert self.meter._security is not None
        return self.meter._security

    def ask(self, service: str) -> bytes:
        """The request as it leaves the client."""
        self.client.request(SERVICES[service])
        (apdu,) = self.client.apdus_to_send()
        return apdu

    def serve(self) -> bytes:
        """The answer as it leaves the meter, to a request that it took."""
        (event,) = [event for event in self.meter.events() if isinstance(event, Requested)]
        self.result = self.application.answer(event.request)
        self.meter.respond(self.result)
        (apdu,) = self.meter.apdus_to_send()
        return apdu

    def finish(self, answer: bytes) -> None:
        """The answer reaches the client, which is content."""
        self.client.receive_apdu(answer)
        (event,) = self.client.events()
        assert isinstance(event, Completed), (self.case, event)
        result = event.result
        assert isinstance(result, GetResults | SetResults | ActionResults | AccessResults)


def state_of(security: AssociationSecurity) -> object:
    """Everything that an incoming message could change."""
    general = security._general
    return (
        [(stream.last, stream._unproved, stream.before_current) for stream in security._incoming],
        counters_of(security),
        security.peer_system_title,
        general._asked if general is not None else None,
        _unproved(general),
    )


def _unproved(general: GeneralProtection | None) -> object:
    if general is None:
        return {}, 0
    bars = {name: stream._unproved for name, stream in general._incoming.items() if stream._unproved >= 0}
    return bars, len(general._unproved)


def counters_of(security: AssociationSecurity) -> object:
    """What a context keeps for all its associations."""
    return kept(security.context)


def kept(context: SecurityContext) -> object:
    """The same, of the context."""
    replays = context.replays
    return dict(context.last_received), dict(replays.last), len(replays)


# What can be done to a message without a key


def parts(apdu: bytes) -> Iterator[tuple[str, int]]:
    """(part, offset) of the places where a bit is flipped: both ends of every field, and all of tags."""
    tag = apdu[0]
    yield "header", 0
    if tag == 0xDF:
        header, _ = raw_header(apdu)
        signed = decode_apdu(apdu)
        yield from (("header", at) for at in range(1, 1 + len(header)))
        at = len(apdu) - len(signed.signature)
        start = at - 1 - len(signed.content)
        yield from (("header", place) for place in (start - 1, at - 1))  # the lengths of content and signature
        yield from (("ciphertext", place) for place in _ends(start, at - 1))
        yield from (("signature", place) for place in _ends(at, len(apdu)))
        return
    if tag == 0xDD:
        header, _rest = raw_header(apdu)
        ciphered = decode_apdu(apdu)
        yield from (("header", at) for at in range(1, 1 + len(header)))
        key = ciphered.key_info
        data = key.key_ciphered_data if isinstance(key, WrappedKey | AgreedKey) else b""
        content = ciphered.content
        start = len(apdu) - len(content)
        yield from (("key info", at) for at in range(1 + len(header), start - len(data)))
        if data:
            end = apdu.index(data) + len(data)
            yield from (("key info", at) for at in _ends(end - len(data), end))
    else:
        _, _title, content = unwrap_ciphered(apdu)
        start = len(apdu) - len(content)
        yield from (("header", at) for at in range(1, start))
    yield from (("header", at) for at in range(start, start + 5))
    if content[0] & 0x10:
        yield from (("ciphertext", at) for at in _ends(start + 5, len(apdu) - 12))
        yield from (("tag", at) for at in range(len(apdu) - 12, len(apdu)))
    else:
        yield from (("ciphertext", at) for at in _ends(start + 5, len(apdu)))


def _ends(start: int, end: int) -> list[int]:
    return sorted({start, (start + end) // 2, end - 1}) if end > start else []


def flipped(apdu: bytes, at: int, bit: int) -> bytes:
    """The APDU with one bit turned."""
    return apdu[:at] + bytes([apdu[at] ^ 1 << bit]) + apdu[at + 1 :]


RIGHT: dict[str, tuple[type[DlmsError], ...]] = {
    "tag": (AuthenticationError,),
    "ciphertext": (AuthenticationError,),
    "signature": (AuthenticationError,),
    "key info": (SecurityError, DecodeError),
    "header": (SecurityError, RemoteProtocolError),
}
"""Which errors are right for a flipped bit."""


_decoded = lru_cache(maxsize=64)(decode_apdu)
"""The meter's exceptions are few."""


def refused_by_meter(talk: Talk, apdu: bytes, what: object) -> ExceptionResponse:
    """The meter answers with an exception, tells its application nothing, and is as before."""
    before = state_of(talk.meter_security)
    received = dict(talk.meter.settings.received)  # type: ignore[union-attr]
    talk.meter.receive_apdu(apdu)
    answers = talk.meter.apdus_to_send()
    assert len(answers) == 1, (talk.case, what)
    response = _decoded(answers[0])
    assert isinstance(response, ExceptionResponse), (talk.case, what, response)
    assert talk.meter.events() == [], (talk.case, what)
    assert state_of(talk.meter_security) == before, (talk.case, what)
    assert dict(talk.meter.settings.received) == received, (talk.case, what)  # type: ignore[union-attr]
    return response


def refused(security: AssociationSecurity, apdu: bytes, errors: tuple[type[DlmsError], ...], what: object) -> DlmsError:
    """Nothing is opened, the error is one of these, and the state is as before."""
    before = state_of(security)
    try:
        opened = unseal(security, apdu)
    except errors as error:
        assert state_of(security) == before, what
        return error
    raise AssertionError((what, opened))


_BOTH_BITS = frozenset(("GET", "SET", "ACTION"))


def attack(case: Case, service: str, counts: Counter[str], *, thorough: bool) -> None:
    """Do everything to one request and one answer, and see it refused."""
    talk = Talk(case, service)
    request = talk.ask(service)
    bits = (0, 7) if thorough and service in _BOTH_BITS else (0,)
    for part, at in parts(request) if thorough else list(parts(request))[-1:]:
        if not case.has_tag and part in ("ciphertext", "header"):
            continue  # without a tag nothing proves an octet: that policy's own weakness
        for bit in bits:
            what = (case, service, "request", part, at, bit)
            changed = flipped(request, at, bit)
            if not _is_envelope(changed):
                continue  # another APDU altogether; plain ones come below
            refused(talk.meter_security, changed, RIGHT[part], what)
            refused_by_meter(talk, changed, what)
            counts[part] += 2
    _other_keys(talk, service, request, counts)
    _downgrade(talk, service, counts)
    talk.meter.receive_apdu(request)
    if service == UNCONFIRMED:
        (event,) = talk.meter.events()
        assert isinstance(event, Requested)
        assert event.request == SERVICES[service]
        assert talk.meter.apdus_to_send() == []
        refused_by_meter(talk, request, (case, service, "request again"))
        counts["replay"] += 1
        return
    answer = talk.serve()
    for _ in range(2):
        response = refused_by_meter(talk, request, (case, service, "request again"))
        assert response.service_error == ExceptionServiceError.INVOCATION_COUNTER_ERROR
        counts["replay"] += 1
    for part, at in parts(answer) if thorough else list(parts(answer))[-1:]:
        if not case.has_tag and part in ("ciphertext", "header"):
            continue
        for bit in bits:
            changed = flipped(answer, at, bit)
            if _is_envelope(changed):
                what = (case, service, "answer", part, at, bit)
                refused(talk.client_security, changed, RIGHT[part], what)
                counts[part] += 1
    talk.finish(answer)
    if case.has_tag:
        refused(talk.client_security, answer, (ReplayError,), (case, service, "answer again"))
        counts["replay"] += 1
    _weaker_answers(talk, service, counts)


def _is_envelope(apdu: bytes) -> bool:
    return CIPHERED[apdu[0]]


def _other_keys(talk: Talk, service: str, request: bytes, counts: Counter[str]) -> None:
    """A meter with one other key: it opens nothing."""
    case = talk.case
    if case.envelope == "ded":
        return  # the key is made for this association
    length = 32 if case.suite == 2 else 16
    wrong: list[dict[str, Any]] = []
    ciphers = case.policy != "signed"
    # Encryption alone proves nothing: what a wrong key makes of it may look like an APDU by chance.
    if ciphers and case.has_tag and case.envelope in ("glo", "general", "identified-key"):
        wrong.append({"encryption_key": bytes(range(9, 9 + length))})
    if "authenticated" in case.policy:
        wrong.append({"authentication_key": bytes(range(9, 9 + length))})
    if ciphers and case.envelope == "wrapped-key":
        wrong.append({"kek": bytes(range(9, 9 + length))})
    if case.suite and ("signed" in case.policy or (ciphers and case.envelope == "one-pass")):
        wrong.append({"peer_signing_key": keys_of(case.suite, "stranger", "signing").public})
    if ciphers and case.has_tag and case.envelope in ("one-pass", "static-unified"):
        wrong.append({"agreement_key": keys_of(case.suite, "stranger", "agreement")})
    for options in wrong:
        meter = AssociationSecurity(context(case.suite, "meter", case.policy, **options), role="server")
        meter.peer_system_title = talk.meter_security.peer_system_title
        refused(meter, request, (AuthenticationError,), (case, service, "wrong key", *options))
        counts["wrong key"] += 1


_WEAKER = {
    "authenticated": ["encrypted"],
    "encrypted": ["authenticated"],
    "authenticated-encrypted": ["authenticated", "encrypted"],
    "signed": ["authenticated-encrypted"],
    "authenticated-encrypted-signed": ["authenticated-encrypted", "signed", "authenticated-signed"],
}
"""By policy: with which others a message is protected less than demanded."""


def _downgrade(talk: Talk, service: str, counts: Counter[str]) -> None:
    """The request in plain, and with each kind of protection that is less than demanded."""
    case = talk.case
    plain = talk.client._plain
    response = refused_by_meter(talk, plain, (case, service, "plain"))
    assert response.service_error == ExceptionServiceError.OPERATION_NOT_POSSIBLE
    counts["downgrade"] += 1
    for policy in _WEAKER[case.policy]:
        options = {"counters": talk.client.settings.security.counters}  # type: ignore[union-attr]
        weak = AssociationSecurity(
            context(case.suite, "client", policy, signing_order=case.order, **options), role="client"
        )
        weak.peer_system_title = talk.client_security.peer_system_title  # type: ignore[assignment]
        sealed = seal(weak, plain, service_envelope(weak.context, False, True))
        before = state_of(talk.meter_security)
        talk.meter.receive_apdu(sealed)
        (answer,) = talk.meter.apdus_to_send()
        assert decode_apdu(answer).service_error == ExceptionServiceError.OPERATION_NOT_POSSIBLE, (case, policy)
        assert talk.meter.events() == []
        assert state_of(talk.meter_security) == before, (case, policy)
        counts["downgrade"] += 1


ANSWERS: dict[str, type[Apdu]] = {
    "GET": GetResponseNormal,
    "SET": SetResponseNormal,
    "ACTION": ActionResponseNormal,
    "ACCESS": AccessResponse,
    "READ": ReadResponse,
    "WRITE": WriteResponse,
    "READ, PARAMETERIZED": ReadResponse,
}
"""Which APDU is the right answer."""


def _weaker_answers(talk: Talk, service: str, counts: Counter[str]) -> None:
    """The right answer with each protection that is less than demanded, then in plain, which is the end."""
    case = talk.case
    talk.meter.receive_apdu(talk.ask(service))
    answer = talk.serve()
    plain = talk.plain
    assert type(decode_apdu(plain)) is ANSWERS[service]
    security = talk.client_security
    for policy in _WEAKER[case.policy]:
        options = {"counters": talk.meter.settings.security.counters}  # type: ignore[union-attr]
        weak = AssociationSecurity(
            context(case.suite, "meter", policy, signing_order=case.order, **options), role="server"
        )
        weak.peer_system_title = talk.meter_security.peer_system_title
        what = (case, service, "answer", policy)
        error = refused(
            security, seal(weak, plain, service_envelope(weak.context, False, True)), (SecurityError,), what
        )
        assert type(error) is SecurityError, (what, error)  # of the policy, not of a tag or a counter
        counts["downgrade"] += 1
    assert unseal(security, answer)[0] == plain  # so it is the answer itself that is refused in plain
    refused_in_plain(talk, [plain], service)
    counts["downgrade"] += 1
    talk.client.receive_apdu(answer)
    assert talk.client.events() == []


def refused_in_plain(talk: Talk, apdus: list[bytes], service: str) -> None:
    """The client tells of no result but of one error, which ends the association."""
    counters = counters_of(talk.client_security)
    for apdu in apdus:
        talk.client.receive_apdu(apdu)
    what = (str(talk.case), service, "answer in plain")
    (event,) = talk.client.events()
    assert isinstance(event, Failed), (what, event)
    assert event.fatal, what
    assert type(event.error) is SecurityError, (what, event.error)
    assert talk.client.state is State.CLOSED, what
    assert talk.client.apdus_to_send() == [], what
    assert kept(talk.client.settings.security) == counters, what  # type: ignore[arg-type]
