"""What --fail-on makes of a comparison: one exit code for each way in which B is not known to be as good as A."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.analysis import wording
from harness.contracts.figures import Measure
from harness.report.two_runs.rows import ALL, CERTIFIED, FINISHED, PERPLEXITY, SPEED, Differences, Row

WORSE, MISSING, DISTURBED, NOT_JUDGED = 3, 4, 5, 6
"""Exit codes; the help of harness compare says what each means, and why none is 1 or 2."""
GUARDED = {"perplexity": (PERPLEXITY,), "speed": (SPEED,), "both": (PERPLEXITY, SPEED)}
"""What --guard may name."""
_NAMED = 5


@dataclass(frozen=True)
class Outcome:
    """An exit code, and the sentence that says why."""

    exit_code: int
    reason: str


def outcome(differences: Differences, share: float | None, guard: str = "both") -> Outcome:
    """Return how the comparison ends: without a share it fails only where nothing could be judged."""
    if not differences.rows:
        return Outcome(NOT_JUDGED, "the two runs share no setting, so nothing was compared")
    if share is not None:
        measures = GUARDED[guard]
        regressions = [row for row in differences.of("worse") if _is_regression(row, measures, share)]
        if regressions:
            return Outcome(WORSE, f"worse by more than {share:.3%}: {_names(regressions)}")
        unjudged = [row for row in differences.rows if _is_lost(row, measures)]
        missing = [*differences.only_before, *(row.model for row in unjudged if row.obstacle == "missing")]
        if missing:
            return Outcome(MISSING, f"in A and not in B: {wording.enumerate_names(dict.fromkeys(missing), _NAMED)}")
        for code, obstacle in ((DISTURBED, "disturbed"), (NOT_JUDGED, "unjudged")):
            rows = [row for row in unjudged if row.obstacle == obstacle]
            if rows:
                return Outcome(code, f"not judged: {_names(rows)} ({rows[0].note}); --guard says what is guarded")
    if not differences.num_judged:
        return Outcome(NOT_JUDGED, "nothing of the two runs could be judged")
    return Outcome(0, "")


def _is_regression(row: Row, measures: Collection[Measure], share: float) -> bool:
    return row.measure in (FINISHED, CERTIFIED) or (row.measure in measures and row.loss > share)


def _is_lost(row: Row, measures: Collection[Measure]) -> bool:
    """Say whether a row that is guarded has no verdict though A has a figure."""
    if row.verdict != "not comparable" or row.obstacle == "nothing lost":
        return False
    if row.measure in (FINISHED, ALL):
        return True
    return row.measure in measures and row.before == row.before  # not NaN: A has a figure


def _names(rows: Sequence[Row]) -> str:
    return wording.enumerate_names([f"{row.measure.heading} of {row.model}" for row in rows], _NAMED)
