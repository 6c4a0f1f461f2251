"""Verdicts on speeds in simulation, where the truth is known: false alarms, and what is found."""

import math

import numpy as np
import pytest

from harness.analysis.sessions import SessionSpeed
from harness.report.two_runs.differences import judged
from harness.report.two_runs.rows import SPEED, Row
from harness.report.two_runs.speeds import Side, compare_sides

pytestmark = pytest.mark.slow

MODELS, REPEATS = 4, 500
WITHIN = 0.005
"""Standard error of a session's median."""
MOST_FALSE = 0.05 + 2 * math.sqrt(0.05 * 0.95 / REPEATS)
"""5 %, and what so many repeats leave to chance."""


def side(chance: np.random.Generator, num_sessions: int, deviation: float, factor: float) -> Side:
    middles = math.log(factor) + chance.normal(0, math.hypot(deviation, WITHIN), num_sessions)
    return Side(
        steady=[SessionSpeed(float(middle), WITHIN, 20) for middle in middles],
        sentinel=1e11,
        disturbances=[],
        shown=math.exp(middles.mean()),
    )


def share_worse(num_sessions: int, deviation: float, slowdown: float = 0.0) -> float:
    """Return how often a model is called worse or better: any where none is slower, else the one that is."""
    chance = np.random.default_rng(int(1000 * deviation) + num_sessions)
    alarms = 0
    for _ in range(REPEATS):
        rows = []
        for number in range(MODELS):
            factor = 1 - slowdown if number == 0 else 1.0
            sides = (side(chance, num_sessions, deviation, 1.0), side(chance, num_sessions, deviation, factor))
            row = Row(model=str(number), measure=SPEED, before=sides[0].shown * 2e4, after=sides[1].shown * 2e4)
            rows.append(compare_sides(row, sides))
        changed = [row.verdict in ("worse", "better") for row in judged(rows)]
        alarms += changed[0] if slowdown else any(changed)
    return alarms / REPEATS


@pytest.mark.parametrize("num_sessions", [1, 2, 3, 5])
@pytest.mark.parametrize("deviation", [0.02, 0.03, 0.05])
def test_runs_of_the_same_code_are_called_different_in_no_more_than_five_percent(num_sessions, deviation):
    assert share_worse(num_sessions, deviation) <= MOST_FALSE


def test_a_slowdown_of_ten_percent_is_found_over_three_sessions_that_deviate_by_two():
    assert share_worse(3, 0.02, slowdown=0.1) >= 0.8


@pytest.mark.parametrize(
    ("num_sessions", "deviation", "slowdown", "documented"),
    [
        *((1, 0.02, 0.1, 0.01), (3, 0.02, 0.1, 0.89), (3, 0.03, 0.1, 0.56), (3, 0.05, 0.1, 0.21)),
        *((5, 0.03, 0.1, 0.92), (5, 0.05, 0.1, 0.52), (8, 0.05, 0.1, 0.80)),
        *((1, 0.02, 0.2, 0.94), (3, 0.02, 0.2, 1.00), (3, 0.03, 0.2, 0.99), (3, 0.05, 0.2, 0.78), (5, 0.05, 0.2, 1.00)),
    ],
)
def test_what_is_found_is_what_the_docs_say(num_sessions, deviation, slowdown, documented):
    assert share_worse(num_sessions, deviation, slowdown) == pytest.approx(documented, abs=0.07)
