"""What a comparison of two runs holds: rows of measures with their verdicts, and what could not be compared."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.analysis.statistics import UNKNOWN, Interval
from harness.contracts.figures import Measure
from harness.contracts.measures import MEASURES, shown_in
from harness.running.timing.session import DRIFT

Obstacle = Literal["missing", "disturbed", "unjudged", "nothing lost"]
"""Why a row is not comparable: B lacks it, no session was steady, another reason, or A has no figure either."""
Verdict = Literal["better", "worse", "same within noise", "not comparable"]
VERDICTS: tuple[Verdict, ...] = ("worse", "better", "same within noise", "not comparable")
"""In the order a reader wants them."""

SIGNIFICANT = 0.05
ALONE_NOISE = DRIFT
"""What a timing session calls steady: less is no change of a speed."""

PERPLEXITY, SPEED, TRAIN_SECONDS = (MEASURES[name] for name in ("valid_perplexity", "tokens_per_s", "train_seconds"))
PAIRED = tuple(measure for measure in shown_in("compare") if measure != SPEED)
FINISHED = Measure(
    name="finished", description="Finished trials", heading="finished trials", format="count", better="higher"
)
CERTIFIED = Measure(
    name="parity_certified", description="Certified trials", heading="certified trials", format="count", better="higher"
)
ALL = Measure(name="all", description="Stands where nothing of a pair may be compared", heading="all", format="count")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure of one model in both runs."""

    model: str
    measure: Measure
    before: float = np.nan
    after: float = np.nan
    change: Interval = UNKNOWN
    """Relative to A: 0.05 is 5 % more in B."""
    n: int = 0
    """Paired seeds; of a speed, the steady sessions of the run that has fewer."""
    p_value: float = np.nan
    p_adjusted: float = np.nan
    """By Holm, over the models, measure by measure."""
    verdict: Verdict = "not comparable"
    note: str = ""
    noise: tuple[float, float] = (0.0, 0.0)
    """Changes within these bounds are none, whatever their interval."""
    deviation: float = np.nan
    """Between sessions, of a speed's logarithm; NaN where too few sessions measured it."""
    obstacle: Obstacle = "unjudged"
    """Counts where it is not comparable."""

    @property
    def loss(self) -> float:
        """The change for the worse: positive where B is worse."""
        return -self.change.estimate if self.measure.better == "higher" else self.change.estimate


@dataclass(frozen=True, kw_only=True)
class Differences:
    """All that was compared, and what was not."""

    names: tuple[str, str]
    rows: list[Row]
    only_before: list[str]
    only_after: list[str]
    remarks: list[str] = field(default_factory=list)

    def of(self, verdict: Verdict) -> list[Row]:
        """Return the rows with this verdict."""
        return [row for row in self.rows if row.verdict == verdict]

    @property
    def num_judged(self) -> int:
        """The rows that have a verdict of more than that they cannot be compared."""
        return len(self.rows) - len(self.of("not comparable"))
