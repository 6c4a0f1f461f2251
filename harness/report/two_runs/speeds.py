"""Compares how fast one model trained in two runs: over the timing sessions of each in which the machine was steady."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from harness.analysis.frames import Run
from harness.analysis.measurements import correlation_of, timed_blocks
from harness.analysis.sessions import ALLOWANCE, SessionSpeed, session_speed, speed_ratio
from harness.analysis.statistics import FEWEST_FOR_MEDIANS, Interval
from harness.report.two_runs import machines
from harness.report.two_runs.rows import ALONE_NOISE, SPEED, Obstacle, Row

_FEW = "fewer than six timed blocks: no interval"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one run's timing sessions say of one model."""

    steady: list[SessionSpeed]
    sentinel: float
    """The middle rate of the sentinel over its steady sessions; NaN where it is not known."""
    disturbances: list[str]
    """Of the sessions that are left out."""
    shown: float
    """The rate to show: over the steady sessions, else over what there is."""

    @property
    def is_timed(self) -> bool:
        """Say whether any session timed it."""
        return bool(self.steady or self.disturbances)


class Timed:
    """A run's timing sessions, by the trial that stood for each kind."""

    def __init__(self, run: Run) -> None:
        blocks = timed_blocks(run.timings)
        self._correlation = correlation_of(blocks)
        self._rates = {
            (str(trial_id), int(session)): rates.to_numpy(np.float64)
            for (trial_id, session), rates in blocks.groupby(["trial_id", "session"])["tokens_per_s"]
        }
        numbered = run.sessions.set_index("session")
        self._disturbances: dict[int, str] = numbered["disturbance"].to_dict()
        self._sentinels: dict[int, float] = numbered["sentinel_flops_per_s"].to_dict()

    def of(self, trials: pd.DataFrame) -> Side:
        """Return what the sessions say of the trials' model."""
        names = set(trials["timed_by"])
        sessions = {session: rates for (name, session), rates in self._rates.items() if name in names}
        # A ledger of before sessions were kept has one, of which its trials say what they know.
        note, rate = str(trials["timing_note"].iloc[0]), float(trials["device_flops_per_s"].median())
        disturbances = {number: self._disturbances.get(number, note) for number in sessions}
        for number, rates in sessions.items():
            disturbances[number] = disturbances[number] or (_FEW if rates.size < FEWEST_FOR_MEDIANS else "")
        steady = [number for number, disturbance in disturbances.items() if not disturbance]
        speeds = [session_speed(sessions[number], self._correlation) for number in steady]
        middle = float(np.exp(np.mean([each.log_rate for each in speeds]))) if speeds else np.nan
        return Side(
            steady=speeds,
            sentinel=float(np.median([self._sentinels.get(number, rate) for number in steady])) if steady else np.nan,
            disturbances=[text for text in disturbances.values() if text],
            shown=middle if steady else float(trials["tokens_per_s"].median()),
        )


def compare_speeds(
    model: str, before: pd.DataFrame, after: pd.DataFrame, timed: tuple[Timed, Timed], machine: str
) -> Row:
    """Compare the speeds of one model in both runs, or say why they can't be."""
    sides = timed[0].of(before), timed[1].of(after)
    num_sessions = min(len(side.steady) for side in sides)
    row = Row(model=model, measure=SPEED, before=sides[0].shown, after=sides[1].shown, n=num_sessions)
    obstacle, refusal = _obstacle(before, after, sides, machine)
    if refusal:
        return replace(row, note=refusal, obstacle=obstacle)
    return compare_sides(row, sides)


def compare_sides(row: Row, sides: tuple[Side, Side]) -> Row:
    """Return the row with what the steady sessions of both runs say; the verdict comes with those of other models."""
    ratio = speed_ratio(sides[0].steady, sides[1].steady)
    change = Interval(*(bound - 1 for bound in (ratio.interval.estimate, ratio.interval.low, ratio.interval.high)))
    device = machines.ratio(sides[0].sentinel, sides[1].sentinel)
    noise = min(1 / (1 + ALONE_NOISE), device) - 1, max(1 + ALONE_NOISE, device) - 1
    return replace(
        row,
        change=change,
        p_value=ratio.p_value,
        deviation=ratio.deviation,
        noise=noise,
        note="; ".join(_notes(sides, device, is_measured=ratio.deviation == ratio.deviation)),
    )


def _notes(sides: tuple[Side, Side], device: float, *, is_measured: bool) -> list[str]:
    notes = []
    if not is_measured:
        counts = " and ".join(str(len(side.steady)) for side in sides)
        notes.append(f"steady sessions: {counts}, too few to show how they differ; {ALLOWANCE:.0%} is allowed for")
    for letter, side in zip("AB", sides, strict=True):
        left_out = Counter(text.split(":")[0] for text in side.disturbances)
        notes += [f"left out of {letter}: {number} session {word}" for word, number in left_out.items()]
    if abs(device - 1) > ALONE_NOISE:
        notes.append(f"the device itself was {abs(device - 1):.0%} {'faster' if device > 1 else 'slower'} in B")
    return notes


def _obstacle(
    before: pd.DataFrame, after: pd.DataFrame, sides: tuple[Side, Side], machine: str
) -> tuple[Obstacle, str]:
    """Return why two speeds can't be judged, and what kind of reason it is."""
    if not any(side.is_timed for side in sides):
        trained = "timed while training alone, where nothing shows whether the machine was steady: --timing quick"
        return "unjudged", trained if before["tokens_per_s"].notna().any() else "no speed is recorded in both runs"
    for letter, side, other in zip("AB", sides, "BA", strict=True):
        if not side.is_timed:
            return "missing" if letter == "B" else "unjudged", f"timed in {other} and not in {letter}"
    if machine:
        return "unjudged", machine
    for letter, side in zip("AB", sides, strict=True):
        if not side.steady:
            return "disturbed", f"no session of {letter} was steady: {side.disturbances[-1]}"
    device = machines.ratio(sides[0].sentinel, sides[1].sentinel)
    if not 1 / machines.SAME_RATE <= device <= machines.SAME_RATE:
        return "disturbed", f"the sentinel ran at {device:.2f} times the rate in B: not one machine in one state"
    return "unjudged", machines.other_place(before, after, machines.ALONE)
