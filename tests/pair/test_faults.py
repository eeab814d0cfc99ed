"""Over a line with faults every run ends in the right values or one clear error, and nothing happens twice."""

from __future__ import annotations

import os

import pytest

from tests.pair.faults import LINES, run

SEEDS = int(os.environ.get("COSEMIC_SOAK", "300"))
CHUNK = 50


@pytest.mark.timeout(0 if SEEDS > 1000 else 120)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_run_ends_well(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SEEDS)):
        outcome = run(seed)
        assert outcome.error is None or str(outcome.error)


@pytest.mark.parametrize("line", LINES)
def test_without_faults_nothing_fails(line: str) -> None:
    outcomes = [run(seed, line) for seed in range(40)]
    assert any(outcome.faults == 0 for outcome in outcomes)
    assert all(outcome.error is None for outcome in outcomes if outcome.faults == 0)


@pytest.mark.parametrize("line", ["hdlc", "datagram"])
def test_most_faults_are_recovered(line: str) -> None:
    outcomes = [run(seed, line) for seed in range(40)]
    recovered = [outcome for outcome in outcomes if outcome.faults and outcome.error is None]
    assert len(recovered) >= 8, [str(outcome.error) for outcome in outcomes if outcome.error]


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = run(7), run(7)
    assert (first.completed, first.faults, first.time) == (second.completed, second.faults, second.time)
