"""Finds what differs between two runs beyond noise: paired over seeds, blocks of speed by their medians."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import Run
from harness.analysis.one_text import is_baseline
from harness.analysis.statistics import UNKNOWN, Interval, PairedDifference, holm, paired_difference
from harness.contracts.figures import Measure
from harness.report.two_runs import machines
from harness.report.two_runs.pairs import Pair, match
from harness.report.two_runs.rows import (
    ALL,
    CERTIFIED,
    FINISHED,
    PAIRED,
    SIGNIFICANT,
    SPEED,
    TRAIN_SECONDS,
    Differences,
    Obstacle,
    Row,
    Verdict,
)
from harness.report.two_runs.speeds import Timed, compare_speeds

_SUBJECT = ["cell", "backend", "implementation"]


def find_differences(before: Run, after: Run, names: tuple[str, str]) -> Differences:
    """Compare the second run with the first."""
    matched = match(before, after)
    machine = machines.other_machine(before.manifest, after.manifest)
    timed = (Timed(before), Timed(after))
    rows: list[Row] = []
    for pair in matched.pairs:
        rows += _compare(pair, timed, machine)
    return Differences(
        names=names,
        rows=judged(rows),
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
    if edited := _edited(before, after):
        remarks.append(f"The code of {wording.enumerate_names(edited)} is not the same in A and B (their revisions).")
    if _one_after_the_other(before, after):
        remarks.append(
            "The timing sessions of A and B do not alternate: what changed on the machine in between counts as a "
            "change of the models. Give the two runs' commands in turn, with --timing-sessions 1, 2, 3."
        )
    return remarks


def _edited(before: Run, after: Run) -> list[str]:
    """Name what both runs trained and by other code, as far as their revisions are known."""
    known = [run.trials[run.trials["revision"] != ""] for run in (before, after)]
    first, second = (trials.groupby(_SUBJECT, sort=False)["revision"].agg(set).to_dict() for trials in known)
    return ["/".join(subject) for subject in first if subject in second and first[subject] != second[subject]]


def _one_after_the_other(before: Run, after: Run) -> bool:
    """Say whether all sessions of one run, of several, came before those of the other."""
    begun: list[list[str]] = [run.sessions["started_at"].tolist() for run in (before, after)]
    if min(map(len, begun)) < 2:
        return False
    return max(begun[0]) < min(begun[1]) or max(begun[1]) < min(begun[0])


def _compare(pair: Pair, timed: tuple[Timed, Timed], machine: str) -> list[Row]:
    if pair.refusal:
        return [Row(model=pair.name, measure=ALL, note=pair.refusal)]
    before, after = (_by_seed(frame) for frame in (pair.before, pair.after))
    seeds = before.index.intersection(after.index)
    rows = [*_vanished(pair.name, before.loc[seeds], after.loc[seeds])]
    rows += _standing(pair.name, before.loc[seeds], after.loc[seeds])
    lost: Obstacle = "unjudged" if (before["status"] == "ok").any() else "nothing lost"
    done = seeds[(before.loc[seeds, "status"] == "ok") & (after.loc[seeds, "status"] == "ok")]
    if not len(done):
        return rows or [Row(model=pair.name, measure=ALL, note=_why_none(before, after, len(seeds)), obstacle=lost)]
    before, after = before.loc[done], after.loc[done]
    measures = [measure for measure in PAIRED if _known(measure, before, after)]
    rows += [_paired(pair.name, measure, before, after, machine) for measure in measures]
    return [*rows, compare_speeds(pair.name, before, after, timed, machine)]


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


def _vanished(model: str, before: pd.DataFrame, after: pd.DataFrame) -> list[Row]:
    """Return a row where seeds that finished in A were skipped in B, or have not run there."""
    skipped = (before["status"] == "ok") & (after["status"] == "skipped")
    if not skipped.any():
        return []
    finished = [int((frame["status"] == "ok").sum()) for frame in (before, after)]
    note = f"skipped in B: {str(after.loc[skipped, 'reason'].iloc[0]).removesuffix('.')}"
    row = Row(model=model, measure=FINISHED, before=finished[0], after=finished[1], n=len(before))
    return [replace(row, note=note, obstacle="missing")]


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
    if measure == TRAIN_SECONDS:
        return replace(row, note="shown, not judged: nothing shows whether the machine was steady while it trained")
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
    return replace(row, p_value=p_value, note=note)


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


# --- verdicts ---------------------------------------------------------------------------------------------


def judged(rows: Sequence[Row]) -> list[Row]:
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
