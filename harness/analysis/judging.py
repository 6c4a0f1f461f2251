"""Judges an exercise's tests: the primary ones it stated beforehand as one family, the secondary ones as another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.analysis.statistics import Floats, Interval, holm
from harness.analysis.verdicts import EQUIVALENCE, MOST_SEEDS, POWER, Kind, Verdict, judge
from harness.analysis.wording import count, plural
from harness.contracts.exercises import PrimaryTest

Role = Literal["primary", "secondary"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a figure is judged and shown."""

    unit: str
    margin: float
    """Differences within it, either way, count as none: fixed beforehand, in the figure's own unit."""
    digits: int
    """Behind the point."""
    better: Literal["lower", "higher"] = "lower"

    def shown(self, difference: float) -> float:
        """Return a difference in the unit it is shown in."""
        return difference

    @property
    def words(self) -> str:
        """Word the margin as it is shown: '±1 % of perplexity'."""
        return f"±{self.shown(self.margin):.2g} {self.unit}"


class _Perplexity(Scale):
    def shown(self, difference: float) -> float:
        """Return by how many per cent the first perplexity is above the second, from a difference of losses."""
        return 100 * math.expm1(difference)


class _Share(Scale):
    def shown(self, difference: float) -> float:
        """Return a difference of shares in percentage points."""
        return 100 * difference


PERPLEXITY = _Perplexity(unit="% of perplexity", margin=EQUIVALENCE, digits=2)
"""Of losses in nats a token."""
BITS = Scale(unit="bits per character", margin=EQUIVALENCE / math.log(2), digits=3)
"""The margin is that of perplexity, where a token is a character."""
ACCURACY = _Share(unit="percentage points", margin=0.005, digits=2, better="higher")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Figures of two sides, one pair a seed, that a test is to be made of."""

    test: str
    scale: Scale
    first: Floats
    second: Floats
    of: Mapping[str, Any]
    """What tells this row of evidence from others of its test."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a test said."""

    compared: Compared
    role: Role
    verdict: Verdict
    """Of the figures as losses: a figure of which more is better has its sign turned."""
    p_value: float
    """Before the correction; the verdict's is the one after."""

    @property
    def kind(self) -> Kind:
        """Return the verdict's word."""
        return self.verdict.kind

    @property
    def ahead(self) -> int:
        """Return 1 where the first side is better, -1 where the second is, 0 where they are not shown to differ."""
        if self.kind != "different":
            return 0
        return 1 if self.verdict.difference.estimate < 0 else -1

    @property
    def difference(self) -> Interval:
        """Return first minus second, in the unit it is shown in."""
        plain = self.verdict.difference
        scale = self.compared.scale
        ends = (plain.low, plain.high) if scale.better == "lower" else (-plain.high, -plain.low)
        sign = 1 if scale.better == "lower" else -1
        return Interval(*(scale.shown(value) for value in (sign * plain.estimate, *ends)))

    def row(self) -> dict[str, Any]:
        """Return the row of evidence: which test, what it found, and what it could have found."""
        shown = self.compared.scale.shown
        chance = self.verdict.first_is_better
        return {
            "role": self.role,
            "test": self.compared.test,
            **self.compared.of,
            "verdict": self.kind,
            "unit": self.compared.scale.unit,
            "difference": self.difference.estimate,
            "difference_low": self.difference.low,
            "difference_high": self.difference.high,
            "p": self.p_value,
            "p_corrected": self.verdict.p_value,
            "chance_first_is_better": chance.estimate,
            "chance_low": chance.low,
            "chance_high": chance.high,
            "smallest_detectable": shown(self.verdict.detectable),
            "seeds_needed": self.verdict.pairs_needed if self.verdict.pairs_needed is not None else math.nan,
            "n": self.verdict.num_pairs,
        }


def by_seed(matched: pd.DataFrame, test: str, scale: Scale, first: str, second: str, **of: Any) -> Compared:
    """Return two columns of pairs as a test's figures: what pairs of one seed have is averaged first.

    Depths, backends and settings of one seed are no further draws of chance.
    """
    means = matched.groupby("seed", sort=True)[[first, second]].mean().astype(float)
    return Compared(test=test, scale=scale, first=means[first].to_numpy(), second=means[second].to_numpy(), of=of)


def judge_primary(stated: Sequence[PrimaryTest], compared: Sequence[Compared]) -> list[Judged]:
    """Judge the tests that were stated, corrected as one family. Raises: ValueError for one that was not."""
    names = {test.name for test in stated}
    for each in compared:
        if each.test not in names:
            raise ValueError(f"the test {each.test!r} was not stated as primary: PRIMARY has {sorted(names)}")
    return _judge_family(compared, "primary")


def judge_secondary(compared: Sequence[Compared]) -> list[Judged]:
    """Judge what was not stated beforehand, corrected as a family of its own."""
    return _judge_family(compared, "secondary")


def _judge_family(compared: Sequence[Compared], role: Role) -> list[Judged]:
    """Judge with Holm's correction over all of these."""
    alone = [_judge(each) for each in compared]
    corrected = holm([verdict.p_value for verdict in alone])
    return [
        Judged(compared=each, role=role, verdict=_judge(each, float(p), len(compared)), p_value=verdict.p_value)
        for each, verdict, p in zip(compared, alone, corrected, strict=True)
    ]


def _judge(compared: Compared, p_value: float | None = None, num_tests: int = 1) -> Verdict:
    sign = 1.0 if compared.scale.better == "lower" else -1.0
    first, second = (sign * np.asarray(side, np.float64) for side in (compared.first, compared.second))
    return judge(first, second, p_value, compared.scale.margin, num_tests)


def frame(judged: Sequence[Judged]) -> pd.DataFrame:
    """Return the rows of evidence."""
    return pd.DataFrame([each.row() for each in judged])


def find(judged: Sequence[Judged], test: str, **of: Any) -> Judged | None:
    """Return the first outcome of a test of these subjects; None where it was not made."""
    for each in judged:
        if each.compared.test == test and of.items() <= each.compared.of.items():
            return each
    return None


def word_reach(judged: Judged) -> str:
    """Word what so many runs could have shown, and how many would show the difference observed."""
    verdict = judged.verdict
    if verdict.num_pairs < 2:
        return "one seed, which gives no interval" if verdict.num_pairs else "no pair"
    if not math.isfinite(verdict.detectable):
        return f"{plural(verdict.num_pairs, 'seed')} without any spread, which no test can be made of"
    reach = (
        f"{plural(verdict.num_pairs, 'seed')} like these find a difference of {_size(judged):.2g} "
        f"{judged.compared.scale.unit} in {100 * POWER:.0f} % of such runs"
    )
    if verdict.kind == "different":
        return reach
    needed = f"about {count(verdict.pairs_needed)}" if verdict.pairs_needed else f"more than {count(MOST_SEEDS)}"
    return f"{reach}; one as large as observed would take {needed} seeds"


def _size(judged: Judged) -> float:
    return judged.compared.scale.shown(judged.verdict.detectable)


def word_verdict(judged: Judged, first: str, second: str, figure: str) -> str:
    """Word an outcome in a few words: who is ahead, that both are equivalent, or that the runs do not tell."""
    if not judged.ahead:
        return f"{figure}: {judged.kind}"
    better = f"{first if judged.ahead > 0 else second} has the {judged.compared.scale.better} {figure}"
    return f"{better}, by less than counts" if judged.verdict.is_negligible else better


def word_difference(judged: Judged) -> str:
    """Word first minus second with its interval: '-2.31 % of perplexity (-3.02 to -1.58)'."""
    difference, scale = judged.difference, judged.compared.scale
    if not math.isfinite(difference.estimate):
        return "not known"
    estimate, low, high = (f"{round(value, scale.digits) + 0.0:.{scale.digits}f}" for value in _ends(difference))
    bounds = f" ({low} to {high})" if math.isfinite(difference.low) else " (no interval)"
    return f"{estimate} {scale.unit}{bounds}"


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def word_chance(judged: Judged, first: str) -> str:
    """Word how often the first side is better under one seed: 'P(GRU better) = 0.80 (0.38 to 0.96)'."""
    chance = judged.verdict.first_is_better
    return f"P({first} better) = {chance.estimate:.2f} ({chance.low:.2f} to {chance.high:.2f})"
