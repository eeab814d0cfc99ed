"""The plan of an examination, without I/O: which probes, in which order, and what each of them shows.

A generator that yields steps and findings. A step is answered with what came of it; a finding with nothing. The order
goes from the harmless to the costly: listen; look for the framing and the address; ask the public client; and only then
log in, no more often than ``Limits.tries`` allows.
"""

from __future__ import annotations

from collections.abc import Generator
from copy import copy
from dataclasses import replace

from cosemic.doctor.diagnosis import is_ambiguous, judge
from cosemic.doctor.findings import Code, Finding, good, problem, remark
from cosemic.doctor.knowledge import (
    Associate,
    Attempt,
    Known,
    Limits,
    Outcome,
    OutOfTimeError,
    Plan,
    Reply,
    Step,
)
from cosemic.doctor.line import Line
from cosemic.doctor.login import PROBE, Choice, Evidence, choices, missing_secret
from cosemic.doctor.search import PUBLIC_CLIENT, Way, find_way
from cosemic.doctor.survey import Survey, mechanism_name
from cosemic.enums import AcseServiceUserDiagnostic
from cosemic.errors import AssociationRefused, DlmsError, LinkError
from cosemic.security.counters import FIRST_COUNTER
from cosemic.security.suites import LAST_COUNTER
from cosemic.transports.targets import Target

_PATIENT = 10  # times the patience that a whole survey may take


def examine(target: Target, known: Known, limits: Limits) -> Plan:
    """Examine what stands behind ``target``; the driver keeps ``limits.budget`` and throws ``OutOfTimeError``."""
    yield from _Examination(target, known, limits).run()


class _Examination:
    """One examination: what was found so far, and the probes that add to it."""

    def __init__(self, target: Target, known: Known, limits: Limits) -> None:
        self._known = known
        self._limits = limits
        self._line = Line(target, known, limits)
        self._survey = Survey()
        self._others_answered = False
        self._doing = "opening the way"

    def run(self) -> Plan:
        """All of it."""
        limits = self._limits
        yield remark(
            "start", Code.STARTED,
            f"examining {self._line.target} for {limits.budget:g} s at most; login tries: at most {limits.tries} for "
            "each secret", budget=limits.budget, tries=limits.tries,
        )  # fmt: skip
        try:
            yield from self._examine()
        except OutOfTimeError:
            yield problem(
                "budget", Code.BUDGET,
                f"the time is up ({self._limits.budget:g} s) while {self._doing}; what comes after it was not tried",
                "give more time with --budget, or tell more of what you know",
            )  # fmt: skip

    def _examine(self) -> Plan:
        self._doing = "looking for a meter"
        way = yield from find_way(self._line)
        if way is None:
            return
        self._doing = "asking the public client"
        yield from self._public(way)
        self._doing = "logging in"
        yield from self._login(way)

    # -- the public client ---------------------------------------------------------------------------------------------
    def _public(self, way: Way) -> Plan:
        """Associate without a secret and read what everybody may."""
        self._others_answered = True  # or there would be no way
        attempt = self._attempt(way, PUBLIC_CLIENT)
        outcome = yield from self._associate(attempt, "public client (16), no authentication", survey=self._survey)
        if outcome.associated:
            yield good("public", Code.PUBLIC_CLIENT, f"the public client is let in at {way}", **way.facts())
            yield from self._survey.findings("public")
            if outcome.error is not None:
                yield remark("public", Code.CUT_SHORT, f"reading all this was cut short: {outcome.error}")
            yield from self._compare_counters()
        elif isinstance(outcome.error, LinkError):
            yield remark("public", Code.NO_PUBLIC_CLIENT, f"no answer to the public client: {outcome.error}")
        else:
            yield _not_let_in(outcome)

    def _compare_counters(self) -> Plan:
        own, counters = self._own_counter(), self._survey.counters
        if own is None or not counters or own > max(counters.values()):
            return
        which = "all of them" if own <= min(counters.values()) else "one of them"
        yield remark(
            "public", Code.COUNTER, f"our own next invocation counter is {own}: not above {which}", own_counter=own
        )

    # -- the login -----------------------------------------------------------------------------------------------------
    def _login(self, way: Way) -> Plan:
        missing = missing_secret(self._known)
        if missing is not None and self._limits.tries:
            yield problem(PROBE, Code.NO_LOGIN, f"no login was tried: {missing[0]}", missing[1])
            return
        found = choices(self._known, self._survey)
        if self._limits.tries == 0 or not found:
            why = "as --tries is 0" if found else "as no password and no keys were given"
            yield remark(
                PROBE, Code.NO_LOGIN, f"no login was tried, {why}",
                "" if found else "give --auth with --password, or --ek and --ak, to have the login examined",
                command=way.command(PUBLIC_CLIENT),
            )  # fmt: skip
            return
        for choice in found:
            if choice.guessed:
                yield remark(PROBE, Code.CHOICE, f"logging in by {choice.guessed}", client=choice.client)
            if (yield from self._try(way, choice)):
                return

    def _try(self, way: Way, choice: Choice) -> Generator[Step | Finding, Reply | None, bool]:
        """One secret, at most ``tries`` times: again only where the counter was the cause, and may be set."""
        for number in range(1, self._limits.tries + 1):
            self._go_above(max(self._survey.counters.values(), default=0))
            attempt = self._attempt(way, choice.client, choice)
            evidence = Evidence(
                self._survey, self._line.pushes, self._own_counter(), None, others_answered=self._others_answered
            )
            survey = Survey()
            what = f"login {number} of at most {self._limits.tries} with the {choice.secret}: "
            what += f"client {choice.client}, {mechanism_name(choice.mechanism)}"
            outcome = yield from self._associate(attempt, what, survey=survey, with_list=False)
            if not outcome.associated and is_ambiguous(outcome) and choice.client != PUBLIC_CLIENT:
                evidence.without_secret = yield from self._associate(
                    self._attempt(way, choice.client), f"client {choice.client} without a secret, to compare"
                )
            findings = judge(attempt, outcome, evidence)
            for finding in findings:
                yield finding
            if outcome.associated:
                for finding in survey.findings(PROBE):
                    yield finding
                yield good(PROBE, Code.LOGGED_IN, "to read this meter: " + way.command(choice.client, choice.mechanism),
                           command=way.command(choice.client, choice.mechanism))  # fmt: skip
                return True
            meters = findings[0].facts.get("meter_counter")
            if not isinstance(meters, int) or not self._go_above(meters):
                return False
        return False

    def _go_above(self, counter: int) -> bool:
        """Move our counter above the meter's, where the user allows it; whether it moved."""
        security = self._known.security
        own = self._own_counter()
        if own is None or security is None or security.system_title is None or not security.allow_counter_from_meter:
            return False
        name = security.counter_id(security.system_title)
        if name is None or own > counter or counter >= LAST_COUNTER - _RESERVE:
            return False
        security.counters.advance(name, counter + 1)
        return True

    def _own_counter(self) -> int | None:
        """The invocation counter that our next message will have; None without keys."""
        security = self._known.security
        if security is None or security.system_title is None:
            return None
        name = security.counter_id(security.system_title)
        if name is None:
            return None
        try:
            following = security.counters.peek(name)
        except DlmsError:
            return None
        return FIRST_COUNTER if following is None else following

    # -- steps ---------------------------------------------------------------------------------------------------------
    def _attempt(self, way: Way, client: int, choice: Choice | None = None) -> Attempt:
        plain = Attempt(way.target, way.framing, client, way.server, way.address)
        if choice is None:
            return plain
        security = self._known.security
        if choice.secret == "password" and self._known.mechanism is None:
            security = None  # the keys were meant for the other login
        if security is not None:
            security = copy(security)
            security.allow_counter_from_meter = False  # the session would log in a second time by itself
        return replace(plain, mechanism=choice.mechanism, password=self._known.password, security=security)

    def _associate(
        self, attempt: Attempt, what: str, *, survey: Survey | None = None, with_list: bool = True
    ) -> Generator[Step | Finding, Reply | None, Outcome]:
        carry_out = None if survey is None else lambda: survey.carry_out(with_list=with_list)
        reply = yield Associate(what, attempt, self._limits.patience * _PATIENT, carry_out)
        assert isinstance(reply, Outcome)
        return reply


def _not_let_in(outcome: Outcome) -> Finding:
    """The meter answers the public client, and refuses it."""
    error = outcome.error
    remedy = ""
    if isinstance(error, AssociationRefused) and error.diagnostic == _CONTEXT:
        remedy = "it may name its objects by short names, or want ciphering of every client"
    return remark("public", Code.NO_PUBLIC_CLIENT, f"the public client is not let in: {error}", remedy)


_CONTEXT = AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
_RESERVE = 1 << 16
"""Counters that must be left over when a meter's word moves ours."""
