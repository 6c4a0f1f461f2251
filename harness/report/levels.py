"""The levels that figures of perplexity are read against: baselines, and the entropy rate of the text's source."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import records
from harness.analysis.one_text import Comparison
from harness.contracts.visible import visible
from harness.report.drawing import QUIET, RULE

MAX_BASELINES = 4
MAX_UNIGRAMS = 3
_APART = 0.07
"""Share of a drawing's height below which two names would be printed over one another."""
_NEAR = 1.5
"""Factor of perplexity beyond the curves at which a level would flatten them."""
SAME_LEVELS = "Dotted lines are those of the first figure that lie near."


@dataclass(frozen=True)
class Level:
    """A horizontal line and its name."""

    perplexity: float
    name: str
    is_floor: bool = False
    """Whether its name stands below the line, where nothing else can be, and at the left."""

    @property
    def room(self) -> float:
        """Return the perplexity down to which the drawing must reach."""
        return 0.88 * self.perplexity if self.is_floor else self.perplexity


def ceiling(comparison: Comparison) -> float:
    """Return twice what guessing blindly would give: a trial that goes beyond must not flatten the others' curves."""
    largest = comparison.trials["vocab_size"].max()
    return math.inf if pd.isna(largest) else 2.0 * float(largest)


def say_cut(comparison: Comparison, values: pd.DataFrame) -> list[str]:
    """Say that what is drawn goes beyond the ceiling, where it does."""
    if not (values.astype(float) > ceiling(comparison)).any(axis=None):
        return []
    return [f"Above {wording.count(ceiling(comparison))}, twice the vocabulary, curves are cut off."]


def levels(comparison: Comparison) -> list[Level]:
    """Return the entropy rate, the unigram baselines, and the best of the other baselines that stand apart."""
    heights = [*comparison.trained["valid_perplexity"], *comparison.baselines["valid_perplexity"]]
    span = np.ptp(np.log([height for height in heights if np.isfinite(height)] or [1.0]))
    drawn: list[Level] = []
    for value in comparison.unigram_perplexities:
        if len(drawn) < MAX_UNIGRAMS and _stands_apart(value, drawn, span):
            drawn.append(Level(value, "unigram"))
    room = MAX_BASELINES
    for row in records(comparison.baselines):
        own = float(row["valid_perplexity"])
        if room and _stands_apart(own, drawn, span):
            drawn.append(Level(own, row["label"]))
            room -= 1
    if np.isfinite(comparison.entropy_rate):
        drawn.append(Level(float(2**comparison.entropy_rate), "entropy rate", is_floor=True))
    return drawn


def _stands_apart(perplexity: float, levels: Sequence[Level], span: float) -> bool:
    return all(abs(np.log(perplexity / level.perplexity)) > _APART * span for level in levels)


def near(among: Sequence[Level], values: npt.ArrayLike) -> list[Level]:
    """Return the levels that do not flatten what is drawn."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return []
    return [level for level in among if known.min() / _NEAR <= level.perplexity <= known.max() * _NEAR]


def level_marks(among: Sequence[Level], y: alt.Y) -> list[alt.Chart]:
    """Draw a dotted line and its name for each level; ``y`` is the channel of the field 'valid'."""
    if not among:
        return []
    named = [
        {
            "valid": level.perplexity,
            "text": visible(f"{level.name} {wording.perplexity(level.perplexity)}"),
            "floor": level.is_floor,
        }
        for level in among
    ]
    base = alt.Chart(alt.Data(values=named)).encode(y=y)
    rule = base.mark_rule(color=RULE, strokeDash=[1, 3], strokeCap="round", strokeWidth=1.5, clip=True)
    look = {"color": QUIET, "fontSize": 11, "clip": True}
    left, right = base.transform_filter("datum.floor"), base.transform_filter("!datum.floor")
    return [
        rule,
        left.mark_text(align="left", dx=3, baseline="top", dy=3, **look).encode(x=alt.value(0), text="text:N"),
        right.mark_text(align="right", baseline="bottom", dy=-3, **look).encode(x=alt.value("width"), text="text:N"),
    ]


def describe_levels(comparison: Comparison) -> list[str]:
    """Say what the dotted lines are."""
    sentences = []
    if comparison.unigram_perplexities:
        sentences.append("The dotted line is the unigram baseline, which a model without memory reaches.")
    drawn = {level.name for level in levels(comparison)}
    baselines = comparison.baselines
    if len(baselines):
        also = "Dotted too" if sentences else "Dotted"
        some = "" if set(baselines["label"]) <= drawn else ", the best first and as many as stand apart"
        sentences.append(f"{also}: baselines that are fitted and not trained{some}.")
    if np.isfinite(comparison.entropy_rate):
        sentences.append(
            "The entropy rate is 2 to the bits per character of the text's own source: no model can expect less."
        )
    return sentences
