"""A client link against a server link over a line that loses, repeats, damages, delays and reorders frames."""

from __future__ import annotations

import random

import pytest

from cosemic.errors import LinkTimeout
from cosemic.link.hdlc import HdlcParameters
from tests.link.line import Faults, Run, answer_to, request, run

KINDS = {
    "none": Faults(),
    "drop": Faults(drop=0.1),
    "repeat": Faults(repeat=0.2),
    "corrupt": Faults(corrupt=0.1),
    "truncate": Faults(truncate=0.1),
    "lost octet": Faults(lose_octet=0.1),
    "noise": Faults(noise=0.3),
    "stall": Faults(stall=0.1),
    "overtake": Faults(overtake=0.1),
    "slow answer": Faults(slow_answer=0.3),
    "all": Faults(0.03, 0.03, 0.03, 0.03, 0.03, 0.05, 0.03, 0.03, 0.1),
}
HARMLESS = ("none", "repeat", "noise", "slow answer")
SEEDS = 25


def attempt(kind: str, seed: int) -> tuple[Run, list[bytes]]:
    dice = random.Random(seed)

    def parameters() -> HdlcParameters:
        sizes = (30, 128, 500)
        # numbers modulo 8 cannot tell an old frame from a new one when a line reorders within large windows
        windows = (1, 2, 3) if KINDS[kind].overtake else (1, 2, 3, 7)
        return HdlcParameters(dice.choice(sizes), dice.choice(sizes), dice.choice(windows), dice.choice(windows))

    requests = [
        request(number, dice.choice((1, 40, 300, 1500)), dice.choice((0, 10, 300, 1500))) for number in range(10)
    ]
    limit = 2000.0  # seconds on the clock of the test; each wait is bounded, so the end is
    outcome = run(seed, KINDS[kind], requests, limit, client_parameters=parameters(), server_parameters=parameters())
    return outcome, requests


@pytest.mark.parametrize("kind", KINDS)
def test_every_run_ends_right_or_with_a_clear_error(kind):
    done = 0
    for seed in range(SEEDS):
        outcome, requests = attempt(kind, seed)
        expected = [answer_to(each) for each in requests]
        assert outcome.answers == expected[: len(outcome.answers)], f"seed {seed}: wrong answer"
        assert outcome.requests == requests[: len(outcome.requests)], f"seed {seed}: wrong or repeated request"
        if outcome.error is None:
            assert outcome.finished
            assert outcome.answers == expected, f"seed {seed}: ended early"
            assert outcome.seen == requests
            done += 1
        else:
            assert isinstance(outcome.error, LinkTimeout), f"seed {seed}: {outcome.error!r}"
            assert "1/17" in str(outcome.error)
    # recovery must really recover, not only fail cleanly
    assert done == SEEDS if kind in HARMLESS else done >= SEEDS // 4, f"only {done} of {SEEDS} got through"


@pytest.mark.parametrize("kind", ["none", "repeat"])
def test_repeated_frames_do_not_multiply(kind):
    plain, _ = attempt("none", 3)
    outcome, _ = attempt(kind, 3)
    assert outcome.frames < 2 * plain.frames
    assert outcome.ended_at < 5
