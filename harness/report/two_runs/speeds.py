"""Compares how fast one model trained in two runs: by the medians of its timed blocks."""

from dataclasses import replace

import numpy as np
import pandas as pd

from harness.analysis.measurements import steady_blocks, timed_blocks
from harness.analysis.statistics import FEWEST_FOR_MEDIANS, Interval, median_ratio
from harness.report.two_runs import machines
from harness.report.two_runs.rows import ALONE_NOISE, SPEED, TRAINING_NOISE, Row


class Blocks:
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


def compare_speeds(
    model: str, before: pd.DataFrame, after: pd.DataFrame, blocks: tuple[Blocks, Blocks], machine: str
) -> Row:
    """Compare the speeds of one model in both runs, or say why they can't be."""
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
