"""A two-layer RNN from scratch, beside the layer each framework brings."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence, recipes, wording
from harness.analysis.frames import Run, records
from harness.analysis.statistics import UNKNOWN, sign_beyond
from harness.analysis.wording import enumerate_names
from harness.contracts.descriptors import REFERENCE_BACKEND, SCRATCH
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l.shared import options

PRIMARY: Sequence[PrimaryTest] = ()
"""None: curves are held against a tolerance, speeds have intervals."""
_SHOWN = (
    "backend", "cell", "num_layers", "seed", "other", "trial_id_first", "trial_id_second", "valid_perplexity_first",
    "valid_perplexity_second",
)  # fmt: skip
MAX_TOLD = 6
"""Speeds told in one sentence; the evidence has all."""
BESIDE_REFERENCE = f"scratch beside {REFERENCE_BACKEND}'s"
"""What a backend without a layer of its own is held against."""
SAME = 0.01
"""Nats a token by which loss curves may differ and still count as one: float32 sums round in another order."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:
    """Return every implementation of the RNN on every backend that can run here, one and two layers."""
    layered = [name for name in available.backends if len(available.implementations.get(("rnn", name), ())) > 1]
    bare = [name for name in available.backends if name not in layered]
    every = {"implementation": "all", "layers": (1, 2), "epochs": budget.small_epochs}
    # Where there is no layer to hold its speed against, scratch is only held against the reference's losses.
    return [
        Need(options=options(budget, "rnn", *names, **every, train_tokens=budget.small_tokens), timed=timed)
        for names, timed in ((layered, True), (bare, False))
        if names
    ]


def answer(run: Run) -> Answer:
    """Hold each other implementation's loss curve and speed against scratch's."""
    trials = evidence.cells(evidence.finished(run))
    others = [name for name in trials["implementation"].unique() if name != SCRATCH]
    parts = [evidence.pairs(trials, "implementation", SCRATCH, name).assign(other=name) for name in others]
    parts += _beside_the_reference(trials)
    matched = pd.concat(parts) if parts else pd.DataFrame()
    if matched.empty:
        return unanswered(
            "missing: finished trials from scratch and with a framework's own layer, the same otherwise "
            "(--implementation all)."
        )
    gaps = _gaps(run, matched)
    speeds = evidence.Speeds(run)
    by_pair = {key: part["gap"] for key, part in gaps.groupby(["trial_id_first", "trial_id_second"], sort=False)}
    table = pd.DataFrame([_compare(speeds, by_pair, row) for row in records(matched[list(_SHOWN)])])
    used = trials[trials["trial_id"].isin({*table["scratch_id"], *table["other_id"]})]
    drawn = _draw(gaps, table)
    return Answer(
        answer=f"{_paragraph(table)} {recipes.word_recipe(run, used)}",
        verdict=_verdict(table),
        evidence=table.drop(columns=["scratch_id", "other_id"]),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(run, table)),
    )


def _beside_the_reference(trials: pd.DataFrame) -> list[pd.DataFrame]:
    """Return pairs of scratch on backends that have nothing else with the reference backend's scratch."""
    if trials.empty:
        return []
    only = trials.groupby("backend", sort=False)["implementation"].agg(set)
    scratch = trials[trials["implementation"] == SCRATCH]
    return [
        evidence.pairs(scratch, "backend", REFERENCE_BACKEND, name).assign(backend=name, other=BESIDE_REFERENCE)
        for name in only[only == {SCRATCH}].index
        if name != REFERENCE_BACKEND
    ]


def _compare(
    speeds: evidence.Speeds, by_pair: Mapping[tuple[str, str], pd.Series], row: Mapping[str, Any]
) -> dict[str, object]:
    pair = (str(row["trial_id_first"]), str(row["trial_id_second"]))
    # Two backends' speeds are another question than a layer's against scratch.
    ratio = speeds.ratio(pair[1], pair[0]) if row["other"] != BESIDE_REFERENCE else UNKNOWN
    gaps = by_pair.get(pair, pd.Series(dtype=np.float64))
    return {
        "backend": row["backend"],
        "cell": row["cell"],
        "layers": int(row["num_layers"]),
        "seed": int(row["seed"]),
        "against_scratch": row["other"],
        "epochs": len(gaps),
        "largest_loss_difference": float(gaps.max()) if len(gaps) else math.nan,
        "scratch_perplexity": row["valid_perplexity_first"],
        "other_perplexity": row["valid_perplexity_second"],
        **evidence.interval_columns("speed_ratio", ratio),
        "scratch_id": row["trial_id_first"],
        "other_id": row["trial_id_second"],
    }


def _gaps(run: Run, matched: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's larger difference of training and validation loss, epoch by epoch.

    Columns: trial_id_first, trial_id_second, epoch, gap; epochs that one of the two lacks are left out.
    """
    names = ["trial_id_first", "trial_id_second"]
    losses = run.epochs[["trial_id", "epoch", "train_loss", "valid_loss"]]
    both = matched[names].merge(losses.rename(columns={"trial_id": names[0]}), on=names[0])
    both = both.merge(losses.rename(columns={"trial_id": names[1]}), on=[names[1], "epoch"], suffixes=("", "_other"))
    parts = [(both[name] - both[f"{name}_other"]).abs() for name in ("train_loss", "valid_loss")]
    gaps = both[[*names, "epoch"]].assign(gap=np.fmax(*parts))
    return gaps[np.isfinite(gaps["gap"])]


def _sign(row: Mapping[str, Any]) -> int:
    return sign_beyond(evidence.read_interval(row, "speed_ratio"), 1.0)


def _verdict(table: pd.DataFrame) -> str:
    largest = table["largest_loss_difference"].max()
    if not math.isfinite(largest):
        curves = f"curves {UNDECIDED}"
    else:
        curves = "the same loss curves" if largest <= SAME else "different loss curves"
    timed = [_sign(row) for row in records(table) if math.isfinite(row["speed_ratio"])]
    if not timed or not any(timed):
        return f"{curves}; speed {UNDECIDED}"
    if all(sign > 0 for sign in timed):
        return f"{curves}; scratch is slower everywhere"
    if all(sign < 0 for sign in timed):
        return f"{curves}; scratch is faster everywhere"
    return f"{curves}; which is faster depends on the backend and the depth"


def _paragraph(table: pd.DataFrame) -> str:
    worst = table.loc[table["largest_loss_difference"].fillna(-1).idxmax()]
    largest = worst["largest_loss_difference"]
    if not math.isfinite(largest):
        sentences = ["Whether both learn the same is not known: no epoch of two trials can be compared."]
    else:
        sentences = [
            (
                "From scratch and the framework's layer learn the same"
                if largest <= SAME
                else f"Not every layer learns the same as scratch, beyond the {SAME:g} nats that rounding explains"
            )
            + f": in {wording.plural(len(table), 'pair')} of trials that differ in the implementation or the backend "
            f"alone ({enumerate_names(table['backend'].unique())}) two loss curves of "
            f"{wording.plural(int(table['epochs'].max()), 'epoch')} differ by at most {largest:.2g} nats a token "
            f"({worst['backend']} {worst['against_scratch']}, {worst['cell']}, "
            f"{wording.plural(worst['layers'], 'layer')}; {_seeds(table)})."
        ]
    timed = table[np.isfinite(table["speed_ratio"].astype(float))]
    kinds = timed.drop_duplicates(["backend", "cell", "layers", "against_scratch"])
    words = {1: "faster than scratch", -1: "slower than scratch", 0: "not to be told from scratch in speed"}
    for sign, word in words.items():
        rows = [row for row in records(kinds) if _sign(row) == sign]
        # The largest differences first: of many kinds only some are told.
        rows.sort(key=lambda row: -abs(math.log(row["speed_ratio"])))
        if rows:
            ratios = enumerate_names([_word_speed(row) for row in rows], MAX_TOLD)
            sentences.append(f"{word.capitalize()}, tokens a second over scratch's: {ratios}.")
    if len(kinds):
        unsure = "" if np.isfinite(kinds["speed_ratio_low"].astype(float)).all() else "; too few rounds for some"
        sentences.append(f"In brackets is each ratio's own 95 % interval, over rounds that timed both{unsure}.")
    return " ".join(sentences)


def _seeds(table: pd.DataFrame) -> str:
    number = table["seed"].nunique()
    return "one seed, both from the same weights" if number == 1 else f"{number} seeds, pairs from the same weights"


def _word_speed(row: Mapping[str, Any]) -> str:
    ratio = evidence.read_interval(row, "speed_ratio")
    cell = "" if row["cell"] == "rnn" else f" {row['cell']}"
    depth = wording.plural(row["layers"], "layer")
    return f"{row['backend']} {row['against_scratch']}{cell}, {depth} {evidence.word_bounds(ratio, 2)}"


def _missing(run: Run, table: pd.DataFrame) -> list[str]:
    missing = []
    if not {1, 2} <= set(table["layers"]):
        missing.append("missing: both one and two layers (--layers 1,2).")
    if "rnn" not in set(table["cell"]):
        missing.append("missing: the vanilla RNN (--plugins rnn).")
    if not np.isfinite(table["speed_ratio"].astype(float)).any():
        missing.append("missing: blocks timed in the same rounds (--timing quick).")
    trials = run.trials[~run.trials["parity_certified"].fillna(True).astype(bool)]
    if len(trials):
        missing.append(f"Left out: {wording.plural(len(trials), 'trial')} without a parity certificate.")
    return missing


def _draw(gaps: pd.DataFrame, table: pd.DataFrame) -> charts.Drawn:
    points = []
    for row in records(table.drop_duplicates(["backend", "cell", "layers", "against_scratch"])):
        depth = wording.plural(row["layers"], "layer")
        name = f"{row['backend']} {row['against_scratch']}, {row['cell']}, {depth}"
        own = (gaps["trial_id_first"] == row["scratch_id"]) & (gaps["trial_id_second"] == row["other_id"])
        for epoch in records(gaps[own]):
            points.append((name, float(epoch["epoch"]), float(epoch["gap"]), math.nan, math.nan))
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-1",
        title="From scratch against the framework's layer",
        x=charts.Axis(title="epoch"),
        y=charts.Axis(title="Difference of the loss curves, nats a token", log=True),
        caption=f"Largest difference of training or validation loss in each epoch, by implementation (n = {len(table)} "
        f"pairs, one line each kind); the dotted line is {SAME:g}, beyond which curves count as different.",
        level=SAME,
    )
