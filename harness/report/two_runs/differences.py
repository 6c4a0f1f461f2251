"""Finds what differs between two runs beyond noise: paired over seeds, blocks of speed by their medians."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import Run
from harness.analysis.measurements import steady_blocks, timed_blocks
from harness.analysis.one_text import is_baseline
from harness.analysis.statistics import (
    FEWEST_FOR_MEDIANS,
    UNKNOWN,
    Interval,
    PairedDifference,
    holm,
    median_ratio,
    paired_difference,
)
from harness.contracts.figures import Measure
from harness.contracts.measures import MEASURES, shown_in
from harness.report.two_runs import machines
from harness.report.two_runs.pairs import Pair, match
from harness.running.timing.session import DRIFT

Verdict = Literal["better", "worse", "same within noise", "not comparable"]
VERDICTS: tuple[Verdict, ...] = ("worse", "better", "same within noise", "not comparable")
"""In the order a reader wants them."""

SIGNIFICANT = 0.05
ALONE_NOISE = DRIFT
"""What a timing session calls steady; one session says nothing of how the next one differs by less."""
TRAINING_NOISE = 0.10
"""Of speeds taken while training, when trials share the machine."""


PERPLEXITY, SPEED, TRAIN_SECONDS = (MEASURES[name] for name in ("valid_perplexity", "tokens_per_s", "train_seconds"))
PAIRED = tuple(measure for measure in shown_in("compare") if measure != SPEED)
FINISHED = Measure(
    name="finished", description="Finished trials", heading="finished trials", format="count", better="higher"
)
CERTIFIED = Measure(
    name="parity_certified", description="Certified trials", heading="certified trials", format="count", better="higher"
)
ALL = Measure(name="all", description="Stands where nothing of a pair may be compared", heading="all", format="count")
GUARDED = (PERPLEXITY, SPEED)
"""What --fail-on limits; trials that no longer finish or carry no certificate fail whatever its share."""


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
    """Paired seeds; of a speed, the blocks of the run that has fewer."""
    p_value: float = np.nan
    p_adjusted: float = np.nan
    """By Holm, over the models, measure by measure."""
    verdict: Verdict = "not comparable"
    note: str = ""
    noise: tuple[float, float] = (0.0, 0.0)
    """Changes within these bounds are none, whatever their interval."""

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

    def regressions(self, share: float) -> list[Row]:
        """Return what is worse beyond noise and by more than this share in perplexity or speed, or no longer works."""
        return [
            row
            for row in self.of("worse")
            if row.measure in (FINISHED, CERTIFIED) or (row.measure in GUARDED and row.loss > share)
        ]


def find_differences(before: Run, after: Run, names: tuple[str, str]) -> Differences:
    """Compare the second run with the first."""
    matched = match(before, after)
    machine = machines.other_machine(before.manifest, after.manifest)
    blocks = (_Blocks(before.timings), _Blocks(after.timings))
    rows: list[Row] = []
    for pair in matched.pairs:
        rows += _compare(pair, blocks, machine)
    return Differences(
        names=names,
        rows=_judged(rows),
        only_before=matched.only_before,
        only_after=matched.only_after,
        remarks=_remarks(before, after, machine),
    )


def _remarks(before: Run, after: Run, machine: str) -> list[str]:
    remarks = []
    if machine:
        remarks.append(
            f"The machines are not known to be the same ({machine}): losses are compared; speed, training time and "
            "memory are not."
        )
    for name, run in zip("AB", (before, after), strict=True):
        if run.manifest.problem:
            remarks.append(f"{name}: {run.manifest.problem}")
        if run.pending.any():
            remarks.append(f"{name} has not run to its end: {wording.plural(int(run.pending.sum()), 'trial')} to do.")
    return remarks


def _compare(pair: Pair, blocks: "tuple[_Blocks, _Blocks]", machine: str) -> list[Row]:
    if pair.refusal:
        return [Row(model=pair.name, measure=ALL, note=pair.refusal)]
    before, after = (_by_seed(frame) for frame in (pair.before, pair.after))
    seeds = before.index.intersection(after.index)
    rows = _standing(pair.name, before.loc[seeds], after.loc[seeds])
    done = seeds[(before.loc[seeds, "status"] == "ok") & (after.loc[seeds, "status"] == "ok")]
    if not len(done):
        return rows or [Row(model=pair.name, measure=ALL, note=_why_none(before, after, len(seeds)))]
    before, after = before.loc[done], after.loc[done]
    measures = [measure for measure in PAIRED if _known(measure, before, after)]
    rows += [_paired(pair.name, measure, before, after, machine) for measure in measures]
    return [*rows, _speed(pair.name, before, after, blocks, machine)]


def _by_seed(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.drop_duplicates("seed").set_index("seed")


def _why_none(before: pd.DataFrame, after: pd.DataFrame, num_shared: int) -> str:
    if not num_shared:
        return "no seed is in both runs"
    held = [", ".join(sorted(frame["status"].unique())) for frame in (before, after)]
    return f"no seed has finished in both runs ({held[0]} in A, {held[1]} in B)"


def _known(measure: Measure, before: pd.DataFrame, after: pd.DataFrame) -> bool:
    return bool(before[measure.name].notna().any() or after[measure.name].notna().any())


# --- what works and what does not -------------------------------------------------------------------------


def _standing(model: str, before: pd.DataFrame, after: pd.DataFrame) -> list[Row]:
    """Return a row where the seeds that finish, or that carry a certificate, are not as many in both runs."""
    tried = (before["status"] != "skipped") & (after["status"] != "skipped")
    before, after = before[tried], after[tried]
    finished = [frame["status"] == "ok" for frame in (before, after)]
    failures = after.loc[~finished[1], "reason"] if finished[0].sum() > finished[1].sum() else pd.Series(dtype=object)
    reason = str(failures.iloc[0]).splitlines()[0] if len(failures) and failures.iloc[0] else ""
    rows = [_counted(model, FINISHED, finished[0], finished[1], reason)]
    both = finished[0] & finished[1] & before["parity_certified"].notna() & after["parity_certified"].notna()
    held = [frame.loc[both, "parity_certified"].astype(bool) for frame in (before, after)]
    rows.append(_counted(model, CERTIFIED, held[0], held[1], ""))
    return [row for row in rows if row.before != row.after]


def _counted(model: str, measure: Measure, before: pd.Series, after: pd.Series, note: str) -> Row:
    counts = int(before.sum()), int(after.sum())
    verdict: Verdict = "worse" if counts[1] < counts[0] else "better"
    return Row(
        model=model, measure=measure, before=counts[0], after=counts[1], n=len(before), verdict=verdict, note=note
    )


# --- figures paired over seeds ----------------------------------------------------------------------------


def _paired(model: str, measure: Measure, before: pd.DataFrame, after: pd.DataFrame, machine: str) -> Row:
    values = [frame[measure.name].astype(np.float64) for frame in (before, after)]
    finite = np.isfinite(values[0]) & np.isfinite(values[1])
    means = [float(each[finite].mean()) if finite.any() else np.nan for each in values]
    row = Row(model=model, measure=measure, before=means[0], after=means[1], n=int(finite.sum()))
    if not row.n:
        return replace(row, note="no seed has a finite value in both runs")
    if measure.of_machine:
        shared = machines.TOGETHER if measure == TRAIN_SECONDS else machines.ALONE
        place = machine or machines.other_place(before, after, shared)
        if place:
            return replace(row, note=place)
    difference, change = _change(values[0][finite], values[1][finite])
    row = replace(row, change=change)
    p_value, note = difference.p_value, ""
    if is_baseline(before).all() and not measure.of_machine:
        # A baseline is fitted and has no seed: what its losses differ by at all is the change; its time is chance's.
        p_value, note = float(means[0] == means[1]), "fitted, not trained: no chance in it"
        row = replace(row, change=Interval(*(3 * [row.change.estimate])))
    elif row.n == 1:
        if means[0] != means[1]:
            return replace(row, note="one seed: no interval, so it cannot be told from chance")
        p_value, note = 1.0, "one seed, the same figure"
    elif np.isnan(p_value):
        p_value = float(difference.interval.estimate == 0)
    noise = TRAINING_NOISE if measure == TRAIN_SECONDS else 0.0
    return replace(row, p_value=p_value, note=note, noise=(-noise, noise))


def _change(before: pd.Series, after: pd.Series) -> tuple[PairedDifference, Interval]:
    """Compare by ratios, whose interval never promises less than nothing; by differences where a value has no ratio."""
    if (before > 0).all() and (after > 0).all():
        difference = paired_difference(np.log(after), np.log(before))
        ends = (difference.interval.estimate, difference.interval.low, difference.interval.high)
        return difference, Interval(*(float(np.expm1(end)) for end in ends))
    difference, base = paired_difference(after, before), float(before.mean())
    if not base:
        return difference, UNKNOWN
    low, high = sorted((difference.interval.low / base, difference.interval.high / base))
    return difference, Interval(difference.interval.estimate / base, low, high)


# --- speed ------------------------------------------------------------------------------------------------


class _Blocks:
    """A run's timed blocks, in tokens per second, by phase and trial."""

    def __init__(self, timings: pd.DataFrame) -> None:
        self._alone = _rates(timed_blocks(timings))
        self._training = _rates(steady_blocks(timings))

    def of(self, trials: pd.DataFrame) -> tuple[bool, np.ndarray]:
        """Return whether the trials were timed alone, and their blocks."""
        timed = [name for name in trials["timed_by"].unique() if name in self._alone]
        if timed:
            return True, np.concatenate([self._alone[name] for name in timed])
        own = [self._training[name] for name in trials["trial_id"] if name in self._training]
        return False, np.concatenate(own) if own else np.empty(0)


def _rates(blocks: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): rates.to_numpy(np.float64) for name, rates in blocks.groupby("trial_id")["tokens_per_s"]}


def _speed(model: str, before: pd.DataFrame, after: pd.DataFrame, blocks: tuple[_Blocks, _Blocks], machine: str) -> Row:
    (alone, first), (also_alone, second) = blocks[0].of(before), blocks[1].of(after)
    medians = [float(np.median(rates)) if rates.size else np.nan for rates in (first, second)]
    row = Row(model=model, measure=SPEED, before=medians[0], after=medians[1], n=min(first.size, second.size))
    device = machines.device_ratio(before, after)
    refusal = machine or _incomparable(before, after, (alone, also_alone), row.n, device)
    if refusal:
        return replace(row, note=refusal)
    difference = median_ratio(first, second)
    change = Interval(
        *(bound - 1 for bound in (difference.interval.estimate, difference.interval.low, difference.interval.high))
    )
    margin = ALONE_NOISE if alone else TRAINING_NOISE
    notes = [] if alone else ["while training: neither was timed alone"]
    notes += sorted({note.split(":")[0] for frame in (before, after) for note in frame["timing_note"] if note})
    if abs(device - 1) > margin:
        notes.append(f"the device itself was {abs(device - 1):.0%} {'faster' if device > 1 else 'slower'} in B")
    noise = min(1 / (1 + margin), device) - 1, max(1 + margin, device) - 1
    return replace(row, change=change, p_value=difference.p_value, noise=noise, note="; ".join(notes))


def _incomparable(
    before: pd.DataFrame, after: pd.DataFrame, alone: tuple[bool, bool], num_blocks: int, device: float
) -> str:
    if alone[0] != alone[1] and num_blocks:
        ways = ["alone" if each else "while training" for each in alone]
        return f"timed {ways[0]} in A and {ways[1]} in B"
    if not 1 / machines.SAME_RATE <= device <= machines.SAME_RATE:
        return f"the device's best product ran at {device:.2f} times the rate in B: not one machine in one state"
    place = machines.other_place(before, after, machines.ALONE if alone[0] else machines.TOGETHER)
    if place or num_blocks >= FEWEST_FOR_MEDIANS:
        return place
    return "no speed is recorded in both runs" if not num_blocks else "fewer than six timed blocks: no interval"


# --- verdicts ---------------------------------------------------------------------------------------------


def _judged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with Holm's adjustment, measure by measure over the models, and their verdicts."""
    adjusted: dict[int, float] = {}
    for measure in {row.measure.name for row in rows}:
        places = [place for place, row in enumerate(rows) if row.measure.name == measure]
        # Models that differ in what costs no time share one timing: one test, not several.
        tests = {place: _test(rows[place], place) for place in places}
        p_values = {key: rows[place].p_value for place, key in tests.items()}
        by_test = dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True))
        adjusted |= {place: by_test[key] for place, key in tests.items()}
    return [_judge(replace(row, p_adjusted=adjusted[place])) for place, row in enumerate(rows)]


def _test(row: Row, place: int) -> tuple[object, ...]:
    """Return what tells the row's test from the others of its measure."""
    return (row.before, row.after, row.p_value) if row.measure == SPEED else (place,)


def _judge(row: Row) -> Row:
    if np.isnan(row.p_adjusted):
        return row
    word = wording.FORMATS[row.measure.format]
    same_word = word(row.before) == word(row.after)
    beyond = row.change.low > row.noise[1] or row.change.high < row.noise[0]
    if same_word or not beyond or row.p_adjusted >= SIGNIFICANT:
        chance = beyond and not same_word
        note = "its own interval leaves out noise, but among so many models that is chance" if chance else ""
        return replace(row, verdict="same within noise", note="; ".join(part for part in (row.note, note) if part))
    return replace(row, verdict="worse" if row.loss > 0 else "better")
