"""What happens to the gradient over a long sequence, by cell and depth, and what clipping does about it."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from harness.exercises import charts, probed
from harness.exercises.exercise import UNDECIDED, Budget, Need, selection, texts, unanswered
from harness.registry import Registry
from harness.report.answers import Answer
from harness.report.frames import Run, records
from harness.report.wording import count, enumerate_names
from harness.statistics import CONFIDENCE, Interval, sign_beyond

exercise_id = "rnn-3"
question = "What happens to the gradient when it is backpropagated through a long sequence?"

_STAGES = {"log_norm_init": "before training", "log_norm_trained": "after training"}
MIN_POINTS = 4
"""Distances a rate is fitted to at least."""


def needs(budget: Budget, registry: Registry) -> Sequence[Need]:  # noqa: ARG001
    """Return one model of each cell and depth, its gradients probed, and the vanilla RNN again without clipping."""
    one_seed = budget.seeds[:1]
    probes = ("gradients", "clipping")
    every = selection(budget, "rnn", "gru", "lstm", "numpy", layers=(1, 2), seeds=one_seed)
    unclipped = selection(budget, "rnn", "numpy", layers=(1, 2), seeds=one_seed, grad_clips=(0.0,))
    return [
        Need(selection=every, texts=texts(budget), probes=probes),
        Need(selection=unclipped, texts=texts(budget), probes=probes),
    ]


def answer(run: Run) -> Answer:
    """Fit the rate at which each model's gradient grows or falls a step."""
    curves = probed.curves(run, list(_STAGES))
    if curves.empty:
        return unanswered("missing: models whose gradients were probed ('harness exercises rnn-3').")
    groups = curves.groupby(["trial_id", "quantity"], sort=False)
    table = pd.DataFrame([_fit(run, part) for _, part in groups])
    drawn = _draw(curves)
    return Answer(
        answer=_paragraph(run, table),
        verdict=_verdict(table),
        evidence=table.drop(columns=["trial_id"]),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(table)),
    )


def _fit(run: Run, curve: pd.DataFrame) -> dict[str, object]:
    """Fit a line through the mean logarithm of the norm by distance: its slope is the logarithm of the rate."""
    curve = curve.sort_values("at")
    first = curve.iloc[0]
    # What underflows has lost its slope.
    kept = curve[curve["value"] > math.log(np.finfo(np.float64).tiny) + 1]
    rate = Interval(math.nan, math.nan, math.nan)
    if len(kept) >= MIN_POINTS:
        line = stats.linregress(kept["at"], kept["value"])
        margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(kept) - 2) * line.stderr)
        rate = Interval(*(float(np.exp(line.slope + shift)) for shift in (0.0, -margin, margin)))
    halving = math.log(0.5) / math.log(rate.estimate) if 0 < rate.estimate < 1 else math.nan
    stage = _STAGES[first["quantity"]]
    return {
        "model": first["model"],
        "layers": int(first["num_layers"]),
        "clip": float(first["grad_clip"]),
        "when": stage,
        "factor_a_step": rate.estimate,
        "factor_low": rate.low,
        "factor_high": rate.high,
        "halves_in_steps": halving,
        "furthest_over_nearest": float(np.exp(curve["value"].iloc[-1] - curve["value"].iloc[0])),
        "steps": float(curve["at"].iloc[-1]),
        "clipped_share": _clipped(run, first["trial_id"], "init" if stage == "before training" else "trained"),
        "n": int(first["n"]),
        "trial_id": first["trial_id"],
    }


def _clipped(run: Run, trial_id: str, stage: str) -> float:
    rows = run.probes[(run.probes["trial_id"] == trial_id) & (run.probes["quantity"] == f"clipped_{stage}")]
    return float(rows["value"].iloc[0]) if len(rows) else math.nan


def _sign(row: dict[str, object]) -> int:
    return sign_beyond(Interval(*(float(row[name]) for name in ("factor_a_step", "factor_low", "factor_high"))), 1.0)  # type: ignore[arg-type]


def _verdict(table: pd.DataFrame) -> str:
    known = table[np.isfinite(table["factor_a_step"].astype(float))]
    signs = [_sign(row) for row in records(known)]
    if not signs or not any(signs):
        return UNDECIDED
    if all(sign < 0 for sign in signs):
        return "it vanishes in every model"
    if all(sign > 0 for sign in signs):
        return "it explodes in every model"
    parts = {
        "vanishes": signs.count(-1),
        "explodes": signs.count(1),
        "does neither beyond the fit's error": signs.count(0),
    }
    told = [f"{word} in {number}" for word, number in parts.items() if number]
    return f"it {enumerate_names(told)} of {len(signs)} measurements"


def _paragraph(run: Run, table: pd.DataFrame) -> str:
    said = [
        "The gradient of one loss by the state k steps before is a product of k Jacobians, so its norm changes about "
        f"geometrically with k. Measured on held-out text (n = {int(table['n'].min())} contexts a point), it is "
        "multiplied each step back by:"
    ]
    parts = []
    for row in records(table):
        if not math.isfinite(row["factor_a_step"]):
            parts.append(f"{row['model']} {row['when']}: not known, too few distances with a gradient left")
            continue
        word = {-1: "vanishes", 1: "explodes", 0: "neither vanishes nor explodes beyond the fit's error"}[_sign(row)]
        parts.append(
            f"{row['model']} {row['when']} {row['factor_a_step']:.3f} "
            f"(95 % of the fit {row['factor_low']:.3f} to {row['factor_high']:.3f}), so it {word}"
        )
    said.append("; ".join(parts) + ".")
    trained = table[(table["when"] == "after training") & np.isfinite(table["factor_a_step"].astype(float))]
    if len(trained) > 1:
        slow, fast = (
            trained.loc[pick] for pick in (trained["factor_a_step"].idxmax(), trained["factor_a_step"].idxmin())
        )
        said.append(
            f"After training it lasts longest in {slow['model']} and falls fastest in {fast['model']}: over "
            f"{slow['steps']:g} steps to {slow['furthest_over_nearest']:.1g} and "
            f"{fast['furthest_over_nearest']:.1g} of what it is one step back."
        )
    said += _clipping(run, table)
    return " ".join(said)


def _clipping(run: Run, table: pd.DataFrame) -> list[str]:
    """Say what clipping did: how often, and what became of the models that went without."""
    known = table[(table["clip"] > 0) & table["clipped_share"].notna()]
    said = []
    for when, part in known.groupby("when", sort=False):
        shares = part["clipped_share"]
        said.append(
            f"Clipping cuts {shares.min():.0%} to {shares.max():.0%} of the minibatches' gradients {when}, by model; "
            "it bounds what explodes and cannot bring back what vanishes."
        )
    trials = run.trials[run.trials["trial_id"].isin(table["trial_id"])]
    norms = run.epochs[run.epochs["trial_id"].isin(trials["trial_id"]) & np.isfinite(run.epochs["grad_norm"])]
    if len(norms):
        said.append(
            f"The mean norm before clipping was between {norms['grad_norm'].min():.2g} and "
            f"{norms['grad_norm'].max():.2g} in their epochs."
        )
    without = run.trials[run.trials["grad_clip"] == 0]
    without = without[without["num_layers"] > 0]
    if len(without):
        lost = int((without["status"] == "diverged").sum())
        said.append(f"Of {count(len(without))} trials without clipping {count(lost)} diverged.")
    return said


def _missing(table: pd.DataFrame) -> list[str]:
    missing = []
    if table["layers"].nunique() < 2:
        missing.append("missing: a second depth (--layers 1,2).")
    if not (table["clip"] == 0).any():
        missing.append("missing: a model trained without clipping (--clip 0,1).")
    return missing


def _draw(curves: pd.DataFrame) -> charts.Drawn:
    clipped = curves[(curves["grad_clip"] > 0) & (curves["quantity"] == "log_norm_trained")]
    chosen = clipped if len(clipped) else curves
    points = chosen.assign(
        series=chosen["model"] if len(clipped) else chosen["model"] + ", " + chosen["quantity"].map(_STAGES),
        x=chosen["at"],
        **{name: np.exp(chosen[column]) for name, column in (("y", "value"), ("low", "low"), ("high", "high"))},
    )
    return charts.draw(
        points[["series", "x", "y", "low", "high"]].sort_values(["series", "x"], kind="stable"),
        name="exercise-rnn-3",
        title="The gradient over distance",
        x=charts.Axis(title="steps back"),
        y=charts.Axis(title="Norm of the gradient by the state", log=True),
        caption="Geometric mean over contexts of the norm of ∂loss_t/∂state_(t−k), after training where it was trained "
        f"(n = {int(chosen['n'].min())} contexts a point); bars are 95 % t intervals over contexts.",
    )
