"""The negative matrix; see ``matrix``. The number of attempts stands in docs/security.md."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cosemic.enums import AuthenticationMechanism
from cosemic.errors import AssociationRefused, SecurityError
from cosemic.protocol.ciphering import Envelope, seal
from cosemic.protocol.events import Failed
from cosemic.protocol.states import State
from cosemic.security import agreement, ec
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.suites import GeneralKey, SigningOrder
from tests.pair.keys import ECDSA, context, settings
from tests.pair.support import Pair
from tests.protocol.block_matrix import attack_blocks
from tests.protocol.certificate_matrix import attack_imports, attack_logins
from tests.protocol.matrix import SERVICES, Case, Talk, attack

NONE, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.HLS_GMAC
POLICIES = ("authenticated", "encrypted", "authenticated-encrypted")
KEYS = tuple(key.value for key in GeneralKey)
ENVELOPES = {
    0: ("glo", "ded", "general", *KEYS[:2]),
    1: ("glo", "ded", "general", *KEYS),
    2: ("glo", "ded", "general", *KEYS),
}


def cases(mechanism: AuthenticationMechanism) -> list[Case]:
    found = [
        Case(mechanism, suite, policy, envelope)
        for suite in ((1, 2) if mechanism is ECDSA else (0, 1, 2))
        for policy in POLICIES
        for envelope in ENVELOPES[suite]
    ]
    found += [
        Case(mechanism, suite, policy, envelope, order)
        for suite in (1, 2)
        for policy in ("signed", "authenticated-encrypted-signed")
        for envelope in ("glo", "general", *KEYS)
        for order in SigningOrder
        if policy != "signed" or (envelope, order) == ("glo", SigningOrder.SIGN_FIRST)
    ]
    return found


COUNTS: dict[str, Counter[str]] = {}


@pytest.fixture(autouse=True, scope="module")
def each_signature_and_secret_is_computed_once() -> Iterator[None]:
    """A refused message goes to the meter and to its security alone; the elliptic curves are most of the time.

    Both functions depend on nothing but their arguments, and every altered input is still a computation of its own.
    """

    real = ec.verify

    @lru_cache(maxsize=1 << 16)
    def outcome(*arguments: Any) -> Exception | None:
        try:
            real(*arguments)
        except SecurityError as error:
            return error
        return None

    def verify(*arguments: Any) -> None:
        error = outcome(*arguments)
        if error is not None:
            raise type(error)(*error.args)

    logger = logging.getLogger("cosemic")
    level = logger.level
    with pytest.MonkeyPatch.context() as patch:
        assert agreement.verify is real
        patch.setattr(agreement, "verify", verify)
        patch.setattr(ec, "verify", verify)  # the others import it where they use it
        patch.setattr(ec.SoftwareKey, "agree", lru_cache(maxsize=1 << 12)(ec.SoftwareKey.agree))
        logger.setLevel(logging.CRITICAL)  # a warning for each refusal
        yield
    logger.setLevel(level)


EVERY_OCTET = {GMAC: ("GET", "SET", "ACTION", "ACCESS", "READ"), ECDSA: ("GET", "SET", "ACTION")}


@pytest.mark.parametrize("mechanism", list(AuthenticationMechanism), ids=lambda mechanism: mechanism.name)
def test_everything_is_refused(mechanism: AuthenticationMechanism) -> None:
    """Every octet where EVERY_OCTET says so, one flipped bit for the other services and mechanisms."""
    counts = COUNTS.setdefault(mechanism.name, Counter())
    for case in cases(mechanism):
        for service in SERVICES:
            every_octet = service in EVERY_OCTET.get(mechanism, ())
            attack(case, service, counts, thorough=every_octet)
        counts["associations"] += len(SERVICES)
    print(mechanism.name, dict(counts))


BLOCKS = "general blocks"
IN_BLOCKS = ("GET", "SET", "ACTION", "ACCESS")
"""By short names there are no general blocks: they are not offered."""


def test_everything_in_general_blocks_is_refused() -> None:
    """Every envelope of every suite; all services under the keys of suite 0, by turns under the others."""
    counts = COUNTS.setdefault(BLOCKS, Counter())
    for number, case in enumerate(cases(GMAC)):
        services = IN_BLOCKS if case.suite == 0 and case.envelope in ("glo", "ded", "general") else ()
        for service in services or IN_BLOCKS[number % 4 :][:1]:
            attack_blocks(case, service, counts, (0,) if case.suite == 0 else ())  # their header is in no envelope
    print(BLOCKS, dict(counts))


CERTIFICATES = "certificates"


@pytest.mark.parametrize("suite", [1, 2])
def test_every_altered_certificate_is_refused(suite: int) -> None:
    """A bit in every octet of signature, public key, subject and validity; shown by either side, and imported."""
    counts = COUNTS.setdefault(f"{CERTIFICATES} {suite}", Counter())
    attack_logins(suite, counts)
    attack_imports(suite, counts)
    print(CERTIFICATES, suite, dict(counts))


@pytest.mark.parametrize("demanded", list(AuthenticationMechanism), ids=lambda mechanism: mechanism.name)
def test_another_mechanism_is_refused(demanded: AuthenticationMechanism) -> None:
    """Weaker or stronger: the client's SAP has one mechanism, whatever its AARQ names; the client learns no more."""
    for suite in (1, 2):
        for offered in AuthenticationMechanism:
            if offered is demanded:
                continue
            client, _ = settings(offered, context(suite, "client"), context(suite, "meter"))
            _, meter = settings(demanded, context(suite, "client"), context(suite, "meter"))
            pair = Pair(client, meter)
            outcome = pair.connect()
            assert isinstance(outcome, Failed), (demanded, offered)
            assert isinstance(outcome.error, AssociationRefused)
            assert pair.application.requests == []
            assert pair.server_events == []


@pytest.mark.parametrize("mechanism", list(AuthenticationMechanism), ids=lambda mechanism: mechanism.name)
def test_an_altered_answer_ends_the_association_without_a_value(
    mechanism: AuthenticationMechanism,
) -> None:
    """What the client's owner sees: one error, fatal, and never a result. The matrix itself tries answers in plain."""
    for number, case in enumerate(cases(mechanism)):
        by_turns = ("ACCESS", "READ", "SET", "READ, PARAMETERIZED", "ACTION", "WRITE")[number % 6]
        for service, change in product(("GET", by_turns), ("bit", "unsigned")):
            if not (case.has_tag if change == "bit" else "signed" in case.policy):
                continue
            if service != "GET" and mechanism not in (GMAC, ECDSA):
                continue
            talk = Talk(case, service)
            talk.meter.receive_apdu(talk.ask(service))
            answer = talk.serve()
            if change == "bit":
                answer = answer[:-1] + bytes([answer[-1] ^ 1])
            else:
                weak = AssociationSecurity(context(case.suite, "meter", case.policy), role="server")
                weak.peer_system_title = talk.meter_security.peer_system_title
                answer = seal(weak, talk.plain, Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, general=True))
            talk.client.receive_apdu(answer)
            (event,) = talk.client.events()
            assert isinstance(event, Failed), (case, change)
            assert event.fatal
            assert isinstance(event.error, SecurityError), (case, change, event.error)
            assert talk.client.state is State.CLOSED


WITHOUT_MECHANISM = {BLOCKS, f"{CERTIFICATES} 1", f"{CERTIFICATES} 2"}


def test_the_numbers_in_the_docs_are_those_of_the_matrix() -> None:
    if set(COUNTS) != {mechanism.name for mechanism in AuthenticationMechanism} | WITHOUT_MECHANISM:
        pytest.skip("only where the whole matrix ran before")
    page = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text()
    table = page.split("| done to a message | refused |", 1)[1].split("\n\n", 1)[0]
    printed = [int(number) for number in re.findall(r"\| (\d+) \|", table)]
    names = ("associations", "header", "ciphertext", "tag", "signature", "key info", "wrong key", "replay", "downgrade")
    names += ("blocks", "blocks waiting", "blocks unharmed", "certificates")
    tried = [sum(counts[name] for counts in COUNTS.values()) for name in names]
    assert printed == tried, tried
