"""What the outcome of a login means, in plain words: the cause where it can be told, and that it cannot where not."""

from __future__ import annotations

from cosemic.doctor.findings import Code, Finding, good, problem, remark
from cosemic.doctor.heard import Sound, listen_to
from cosemic.doctor.keys import Fit, KeyCheck, check_keys, messages_of
from cosemic.doctor.knowledge import Attempt, Outcome
from cosemic.doctor.login import NEEDS_PASSWORD, PROBE, Evidence, told_mechanism
from cosemic.doctor.survey import Survey, mechanism_name
from cosemic.enums import (
    AcseServiceUserDiagnostic,
    ApduTag,
    AssociationResult,
    AuthenticationMechanism,
    ExceptionServiceError,
)
from cosemic.errors import (
    AssociationRefused,
    AuthenticationError,
    ConfirmedServiceErrorReceived,
    ExceptionResponseError,
    KeyMissing,
    LinkError,
    LocalProtocolError,
    MissingExtra,
    ReplayError,
    SecurityError,
)
from cosemic.link.control import FrameKind

_Diagnostic = AcseServiceUserDiagnostic
_MECHANISM_WRONG = frozenset(
    (
        _Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
        _Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED,
        _Diagnostic.AUTHENTICATION_REQUIRED,
    )
)


def is_ambiguous(outcome: Outcome) -> bool:
    """Whether an attempt without a secret would tell more: a refusal without a reason, or silence."""
    error = outcome.error
    if isinstance(error, AssociationRefused):
        return error.diagnostic in (None, _Diagnostic.NO_REASON_GIVEN, _Diagnostic.NULL)
    if isinstance(error, ExceptionResponseError):
        return error.service_error not in (
            ExceptionServiceError.DECIPHERING_ERROR,
            ExceptionServiceError.INVOCATION_COUNTER_ERROR,
        )
    return isinstance(error, LinkError) and not _has(outcome, FrameKind.DISCONNECTED_MODE)


def judge(attempt: Attempt, outcome: Outcome, evidence: Evidence) -> list[Finding]:
    """What the outcome of a login means: at least one finding, the cause first."""
    error = outcome.error
    if outcome.associated:
        return [_logged_in(attempt)]
    if isinstance(error, AssociationRefused):
        return _refused(attempt, outcome, error, evidence)
    if isinstance(error, ExceptionResponseError):
        return _exception(attempt, outcome, error, evidence)
    if isinstance(error, ConfirmedServiceErrorReceived):
        return [
            problem(
                PROBE, Code.LOGIN_REFUSED, f"{error}", "the meter does not take what this client proposes; -v shows"
            )
        ]
    if isinstance(error, LinkError):
        return _silent(attempt, outcome, evidence)
    if isinstance(error, SecurityError):
        return _our_check_failed(attempt, outcome, error, evidence)
    if isinstance(error, (LocalProtocolError, MissingExtra)):
        return [problem(PROBE, Code.INTERNAL, f"this login cannot be tried: {error}", "see the documentation")]
    return [
        problem(
            PROBE, Code.LOGIN_REFUSED, f"the meter answers, but not by the protocol: {error}",
            "run it again with -vv and report what it shows",
        )
    ]  # fmt: skip


def _logged_in(attempt: Attempt) -> Finding:
    name = mechanism_name(attempt.mechanism)
    return good(
        PROBE, Code.LOGGED_IN, f"logged in as client {attempt.client} by {name}",
        client=attempt.client, mechanism=name,
    )  # fmt: skip


# -- the AARE rejects --------------------------------------------------------------------------------------------------
def _refused(attempt: Attempt, outcome: Outcome, error: AssociationRefused, evidence: Evidence) -> list[Finding]:
    diagnostic = error.diagnostic
    said = _told(error)
    if diagnostic == _Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED:
        other = "without ciphering (leave out --ek and --ak)" if attempt.is_ciphered else "with ciphering (--ek, --ak)"
        return [
            problem(
                PROBE, Code.WRONG_CONTEXT,
                f"client {attempt.client} exists, but wants the other kind of association: {other}, or by short names",
                f"try it {other}; or read it with --referencing sn",
                client=attempt.client, ciphered=not attempt.is_ciphered,
            )
        ]  # fmt: skip
    if diagnostic == _Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED:
        return [_wrong_title(attempt, f"{said}: the meter does not know our system title", evidence)]
    if diagnostic in _MECHANISM_WRONG:
        return [_wrong_mechanism(attempt, said, evidence)]
    if diagnostic == _Diagnostic.AUTHENTICATION_FAILURE:
        if attempt.mechanism in NEEDS_PASSWORD:
            return [_wrong_password(attempt, said), *_locked(error)]
        return [*_keys_at_fault(attempt, outcome, evidence, said), *_locked(error)]
    return [*_without_reason(attempt, outcome, evidence, said), *_locked(error)]


def _told(error: AssociationRefused) -> str:
    diagnostic = error.diagnostic
    name = getattr(diagnostic, "name", None)
    reason = name.lower().replace("_", "-") if isinstance(name, str) and diagnostic else "without a reason"
    return f"the meter refuses client and login ({reason})"


def _locked(error: AssociationRefused) -> list[Finding]:
    if error.result != AssociationResult.REJECTED_TRANSIENT:
        return []
    return [
        remark(
            PROBE, Code.LOGIN_REFUSED, "it refuses for the time being only (rejected-transient): it may be locked "
            "after wrong passwords, or busy", "wait, then try once more",
        )
    ]  # fmt: skip


def _wrong_password(attempt: Attempt, said: str) -> Finding:
    which = "password" if attempt.mechanism is AuthenticationMechanism.LLS else "secret"
    return problem(
        PROBE, Code.WRONG_PASSWORD, f"{said}: the {which} is wrong for client {attempt.client}",
        "check --password and --client; no further try was made, as meters lock after some wrong ones",
        client=attempt.client,
    )  # fmt: skip


def _wrong_mechanism(attempt: Attempt, said: str, evidence: Evidence) -> Finding:
    right = told_mechanism(attempt.client, evidence.survey)
    text = f"{said}: client {attempt.client} does not log in by {mechanism_name(attempt.mechanism)}"
    remedy = "try another --auth for this --client"
    if isinstance(right, AuthenticationMechanism) and right != attempt.mechanism:
        text += f"; the meter says {mechanism_name(right)}"
        remedy = f"use {mechanism_name(right)} (--auth)"
    return problem(
        PROBE, Code.WRONG_MECHANISM, text, remedy, client=attempt.client, mechanism=mechanism_name(attempt.mechanism)
    )


def _wrong_title(attempt: Attempt, text: str, evidence: Evidence) -> Finding:
    ours = attempt.security.system_title if attempt.security is not None else None
    shown = ours.hex().upper() if ours else "none"
    known = next((s.client_title for s in evidence.survey.setups.values() if s.client_title not in (None, ours)), None)
    remedy = "give the client's system title that is set in the meter with --system-title"
    if known is not None:
        remedy = f"the meter expects {known.hex().upper()}: give it with --system-title"
    return problem(PROBE, Code.WRONG_SYSTEM_TITLE, f"{text} ({shown})", remedy, system_title=shown)


def _without_reason(attempt: Attempt, outcome: Outcome, evidence: Evidence, said: str) -> list[Finding]:
    """A refusal that says nothing: what the meter says to the same client without a secret tells more."""
    if _is_unknown(attempt.client, evidence.survey):
        return [_wrong_client(attempt, f"{said}, and client {attempt.client} is not among its associations", evidence)]
    plain = evidence.without_secret
    if plain is None:
        return [
            problem(
                PROBE, Code.UNDECIDED, f"{said}: the client, the secret or the proposal is wrong; not said which",
                "check --client, --auth and the secret",
            )
        ]  # fmt: skip
    if plain.associated:
        return [
            problem(
                PROBE, Code.WRONG_MECHANISM, f"{said}; without a login it lets client {attempt.client} in",
                "leave out --auth and the secret, or use another --client",
            )
        ]  # fmt: skip
    if _wants_login(plain):
        if attempt.mechanism in NEEDS_PASSWORD:
            return [
                _wrong_password(attempt, f"{said}; client {attempt.client} exists and has to log in, so most likely")
            ]
        return _keys_at_fault(attempt, outcome, evidence, f"{said}; client {attempt.client} exists and has to log in")
    return [
        _wrong_client(
            attempt, f"{said}, and answers client {attempt.client} the same way without a secret: it does not know it",
            evidence,
        )
    ]  # fmt: skip


def _wants_login(outcome: Outcome) -> bool:
    error = outcome.error
    if not isinstance(error, AssociationRefused):
        return False
    return error.diagnostic in _MECHANISM_WRONG or error.diagnostic in (
        _Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        _Diagnostic.AUTHENTICATION_FAILURE,
    )


def _is_unknown(client: int, survey: Survey) -> bool:
    """Whether the meter told of its associations, more than the one that asked, and the client is not among them."""
    clients = {partner.client for partner in survey.partners.values()}
    return len(clients) > 1 and client not in clients


def _wrong_client(attempt: Attempt, text: str, evidence: Evidence) -> Finding:
    clients = sorted({(p.client, mechanism_name(p.mechanism)) for p in evidence.survey.partners.values()})
    remedy = "check --client and --server"
    if len(clients) > 1:
        remedy = "use one of " + ", ".join(f"--client {client} ({name})" for client, name in clients)
    return problem(PROBE, Code.WRONG_CLIENT, text, remedy, client=attempt.client, server=attempt.server)


# -- exception-response ------------------------------------------------------------------------------------------------
def _exception(attempt: Attempt, outcome: Outcome, error: ExceptionResponseError, evidence: Evidence) -> list[Finding]:
    if error.service_error == ExceptionServiceError.INVOCATION_COUNTER_ERROR:
        return [_counter_too_low(error.invocation_counter, evidence, "the meter refuses our invocation counter")]
    if error.service_error == ExceptionServiceError.DECIPHERING_ERROR:
        return _keys_at_fault(attempt, outcome, evidence, "the meter could not decipher our message")
    names = ", ".join(
        str(getattr(c, "name", c)).lower().replace("_", "-") for c in (error.state_error, error.service_error)
    )
    return _without_reason(attempt, outcome, evidence, f"the meter refuses with an exception-response ({names})")


def _counter_too_low(meters: int | None, evidence: Evidence, text: str) -> Finding:
    ours = evidence.own_counter
    if ours is not None:
        text += f": ours is {ours}"
    if meters is not None:
        text += f"{', ' if ours is not None else ': '}it has seen {meters}"
    return problem(
        PROBE, Code.COUNTER_TOO_LOW,
        f"{text}. Somebody else used this key and system title, or our counters were lost",
        "go on above the meter's counter with --allow-counter-from-meter, or use a --system-title of your own",
        own_counter=ours, meter_counter=meters,
    )  # fmt: skip


def _keys_at_fault(attempt: Attempt, outcome: Outcome, evidence: Evidence, said: str) -> list[Finding]:
    """The keys, the title, the suite or the counter: told apart by what the meter sends ciphered, and what it shows."""
    security = attempt.security
    if security is None or not security.has_keys:
        return [problem(PROBE, Code.UNDECIDED, said, "give --ek and --ak")]
    check = _check(attempt, outcome, evidence)
    by_key = _by_keys(attempt, check, said)
    if by_key is not None:
        return [by_key]
    if check.fit is Fit.BOTH:
        behind = _behind(evidence)
        if behind is not None:
            return [_counter_too_low(behind, evidence, said)]
        text = f"{said}, although its own messages fit both keys: so it does not take our system title"
        return [_wrong_title(attempt, text, evidence)]
    by_setup = _by_setup(attempt, evidence, said)
    if by_setup is not None:
        return [by_setup]
    behind = _behind(evidence)
    further = []
    if behind is not None:
        further.append(
            remark(
                PROBE, Code.COUNTER, f"besides, our invocation counter ({evidence.own_counter}) is not above the one "
                f"that the meter shows ({behind}); some meters call that a deciphering error too",
                "once the keys are right: --allow-counter-from-meter",
            )
        )  # fmt: skip
    return [
        problem(
            PROBE, Code.WRONG_KEY,
            f"{said}: the encryption key or the authentication key is wrong; or it wants another system title. Which "
            "one cannot be told: it sent nothing ciphered that the keys could be tried on",
            "check --ek and --ak (are they swapped?), then --system-title and --suite",
        ),
        *further,
    ]  # fmt: skip


def _check(attempt: Attempt, outcome: Outcome, evidence: Evidence) -> KeyCheck:
    assert attempt.security is not None
    titles = [setup.server_title for setup in evidence.survey.setups.values() if setup.server_title]
    if attempt.security.peer_system_title is not None:
        titles.append(attempt.security.peer_system_title)
    return check_keys([*messages_of(outcome.received), *evidence.heard], attempt.security, titles)


def _by_keys(attempt: Attempt, check: KeyCheck, said: str) -> Finding | None:
    """What the meter's own ciphered messages say about the keys."""
    if check.fit is Fit.BOTH and check.title != check.named and check.named is not None:
        named, fits = check.named.hex().upper(), (check.title or b"").hex().upper()
        return problem(
            PROBE, Code.WRONG_SYSTEM_TITLE,
            f"{said}: the meter says its system title is {named}, but ciphers with {fits}; the keys are right",
            "tell the maker; the client cannot work with two titles", named=named, used=fits,
        )  # fmt: skip
    if check.fit is Fit.ENCRYPTION_ONLY:
        return problem(
            PROBE, Code.WRONG_AUTHENTICATION_KEY,
            f"{said}: the authentication key is wrong. Its messages are deciphered to whole APDUs, so the encryption "
            "key and its system title are right, but their tags do not fit",
            "check --ak",
        )  # fmt: skip
    if check.fit is Fit.NEITHER:
        return problem(
            PROBE, Code.WRONG_ENCRYPTION_KEY,
            f"{said}: the encryption key is wrong. Its messages are not deciphered to anything with it"
            + ("" if check.named else " and the system titles that are known"),
            "check --ek (are --ek and --ak swapped?); the authentication key could not be judged",
        )  # fmt: skip
    if check.fit is Fit.OTHER_SUITE:
        return _wrong_suite(attempt, check.suite, said)
    return None


def _by_setup(attempt: Attempt, evidence: Evidence, said: str) -> Finding | None:
    """What the security setup of the meter says about suite and system title."""
    assert attempt.security is not None
    setups = evidence.survey.setups.values()
    suites = {setup.suite for setup in setups if setup.suite is not None}
    if suites and attempt.security.suite not in suites:
        return _wrong_suite(attempt, min(suites), said)
    titles = {setup.client_title for setup in setups if setup.client_title}
    if titles and attempt.security.system_title not in titles:
        return _wrong_title(attempt, f"{said}: the security setup names another client than our system title", evidence)
    return None


def _wrong_suite(attempt: Attempt, suite: int | None, said: str) -> Finding:
    assert attempt.security is not None
    return problem(
        PROBE, Code.WRONG_SUITE, f"{said}: it uses security suite {suite}, we use {attempt.security.suite}",
        f"give --suite {suite}", suite=suite,
    )  # fmt: skip


def _behind(evidence: Evidence) -> int | None:
    """A counter of the meter that ours is not above; None where ours is above all of them, or nothing is known."""
    counters = list(evidence.survey.counters.values())
    ours = evidence.own_counter
    if ours is None or not counters:
        return None
    # Which of several belongs to our key is not known: below the lowest it is too low for each of them.
    return min(counters) if ours <= min(counters) else None


# -- silence, and what we refuse ourselves -----------------------------------------------------------------------------
def _silent(attempt: Attempt, outcome: Outcome, evidence: Evidence) -> list[Finding]:
    heard = listen_to(outcome.received, outcome.sent)
    where = f"client {attempt.client} at server {attempt.server}"
    if _has(outcome, FrameKind.DISCONNECTED_MODE):
        return [_wrong_client(attempt, f"the meter answers {where} with DM: it does not take this client", evidence)]
    if not outcome.received and attempt.address is not None and evidence.others_answered:
        return [
            _wrong_client(attempt, f"no answer to SNRM of {where}, although it answers other clients", evidence)
        ]  # fmt: skip
    if heard.sound is Sound.ECHO:
        return [problem(PROBE, Code.ECHO, "only our own octets come back", "check the cabling")]
    plain = evidence.without_secret
    if plain is not None and (plain.associated or plain.error is None or not isinstance(plain.error, LinkError)):
        behind = _behind(evidence)
        if behind is not None:
            return [_counter_too_low(behind, evidence, "the meter keeps silent about our login")]
        if attempt.is_ciphered:
            return _keys_at_fault(
                attempt, outcome, evidence, "the meter keeps silent about our login, not about others"
            )
        return [
            problem(
                PROBE, Code.UNDECIDED, f"the meter answers {where} without a login, and keeps silent about this one: "
                "the secret or the mechanism is wrong; it does not say which", "check --auth and the secret",
            )
        ]  # fmt: skip
    if evidence.others_answered:
        return [_wrong_client(attempt, f"the meter keeps silent about {where}, but answers other clients", evidence)]
    return [
        problem(
            PROBE, Code.UNDECIDED, f"no answer to the login of {where}: {outcome.error}",
            "check --client and --server, or give more time with --timeout",
        )
    ]  # fmt: skip


def _our_check_failed(attempt: Attempt, outcome: Outcome, error: SecurityError, evidence: Evidence) -> list[Finding]:
    """The meter goes along, and then something that it sent does not fit; or a key or the counters do not serve."""
    last = outcome.apdus[-1] if outcome.apdus else b""
    if isinstance(error, ReplayError):
        return [
            problem(
                PROBE, Code.LOGIN_REFUSED, f"the keys are right, but the meter's own counter went back: {error}",
                "some meters start it anew with each association: the Python API can tolerate that",
            )
        ]  # fmt: skip
    if isinstance(error, AuthenticationError) and last[:1] == bytes((ApduTag.ACTION_RESPONSE,)):
        return [_proof_failed(attempt, is_theirs=len(last) > 3 and last[3] == 0)]
    if attempt.is_ciphered and not isinstance(error, KeyMissing):
        said = "what the meter sends does not fit our keys"
        found = _by_keys(attempt, _check(attempt, outcome, evidence), said)
        if found is not None:
            return [found]
    if isinstance(error, AuthenticationError):
        return [problem(PROBE, Code.WRONG_KEY, f"{error}", "check --ek, --ak, --system-title and the secret")]
    return [problem(PROBE, Code.INTERNAL, f"this login cannot be carried out: {error}", "mend what it names")]


def _proof_failed(attempt: Attempt, *, is_theirs: bool) -> Finding:
    """Pass 3 or pass 4 of HLS."""
    who = "the meter's proof is wrong" if is_theirs else "the meter refuses our proof"
    if attempt.mechanism is AuthenticationMechanism.HLS_GMAC:
        if attempt.is_ciphered and not is_theirs:
            return problem(
                PROBE, Code.WRONG_SYSTEM_TITLE,
                f"{who} (HLS pass 3), though it deciphered us before: keys are right for services, so it has another "
                "system title of us or another authentication key for the login", "check --system-title and --ak",
            )  # fmt: skip
        return problem(
            PROBE, Code.WRONG_KEY, f"{who}: the encryption key, the authentication key or a system title is wrong; a "
            "proof does not tell which", "check --ek, --ak and --system-title",
        )  # fmt: skip
    if attempt.mechanism is AuthenticationMechanism.HLS_ECDSA:
        whose = "the public key that we have of the meter" if is_theirs else "the public key that it has of us"
        return problem(
            PROBE, Code.WRONG_SIGNING_KEY,
            f"{who}: the signing key does not belong to {whose}, or a system title is wrong; a signature does not tell "
            "which", "check the signing keys and certificates of both sides, then --system-title",
        )  # fmt: skip
    return problem(
        PROBE, Code.WRONG_PASSWORD, f"{who}: the secret is wrong for client {attempt.client}",
        "check --password; no further try was made, as meters lock after some wrong ones", client=attempt.client,
    )  # fmt: skip


def _has(outcome: Outcome, kind: FrameKind) -> bool:
    return any(frame.kind is kind for frame in listen_to(outcome.received).frames)
