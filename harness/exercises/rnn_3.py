"""What happens to the gradient over a long sequence, by cell and depth, and what clipping does about it."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from harness.exercises import charts, probed
from harness.exercises.evidence import settings_without
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
    # SGD at twice the book's learning rate: where clipping decides whether two layers learn at all.
    clips = {"optimizers": ("sgd",), "learning_rates": (2.0,), "grad_clips": (0.0, 1.0), "epochs": 2}
    unclipped = selection(budget, "rnn", "numpy", layers=(1, 2), seeds=one_seed, **clips)
    return [Need(selection=every, texts=texts(budget), probes=probes), Need(selection=unclipped, texts=texts(budget))]


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
        missing=tuple(_missing(run, table)),
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
        f"geometrically with k. It was measured on held-out text (n = {int(table['n'].min())} contexts a point)."
    ]
    known = table[np.isfinite(table["factor_a_step"].astype(float))]
    if len(known) < len(table):
        said.append(
            f"For {count(len(table) - len(known))} of {count(len(table))} the rate is not known: too few distances."
        )
    for when, part in known.groupby("when", sort=False):
        parts = [
            f"{row['model']} {row['factor_a_step']:.3f} ({row['factor_low']:.3f} to {row['factor_high']:.3f})"
            for row in records(part.sort_values("factor_a_step", ascending=False))
        ]
        signs = [_sign(row) for row in records(part)]
        told = "below one, so it vanishes" if set(signs) == {-1} else "above one, so it explodes"
        told = told if abs(sum(signs)) == len(signs) else "not all on one side of one"
        said.append(
            f"{str(when).capitalize()} each step back multiplies it by {enumerate_names(parts, 9)}, with the 95 % "
            f"intervals of the fit: {told}."
        )
    trained = known[known["when"] == "after training"]
    if len(trained) > 1:
        slow, fast = (
            trained.loc[pick] for pick in (trained["factor_a_step"].idxmax(), trained["factor_a_step"].idxmin())
        )
        said.append(
            f"After training it lasts longest in {slow['model']} and falls fastest in {fast['model']}: over "
            f"{slow['steps']:g} steps to {slow['furthest_over_nearest']:.1g} and "
            f"{fast['furthest_over_nearest']:.1g} of what it is one step back."
        )
    return " ".join([*said, *_clipped_minibatches(table), *_without_clipping(run)])


def _clipped_minibatches(table: pd.DataFrame) -> list[str]:
    known = table[(table["clip"] > 0) & table["clipped_share"].notna()]
    if known.empty:
        return []
    shares = known["clipped_share"]
    if shares.max() == 0:
        return ["Clipping cut none of the minibatches probed on these models: their gradients stayed below it."]
    return [f"Clipping cuts {shares.min():.0%} to {shares.max():.0%} of the minibatches probed, by model and stage."]


def _without_clipping(run: Run) -> list[str]:
    """Say what became of trials that went without clipping beside the same with it."""
    ended = run.trials[run.trials["status"].isin(["ok", "diverged"]) & (run.trials["num_layers"] > 0)]
    free, cut = ended[ended["grad_clip"] == 0], ended[ended["grad_clip"] > 0]
    keys = [*settings_without("grad_clip"), "seed"]
    both = free.merge(cut, on=keys, suffixes=("_free", "_cut"))
    if both.empty:
        return []
    ruined = {end: _ruined(both, end) for end in ("free", "cut")}
    said = [
        f"Of {count(len(both))} pairs of trials that differ in clipping alone, {count(ruined['free'].sum())} without "
        f"it and {count(ruined['cut'].sum())} with it ended worse than guessing blindly."
    ]
    for row in records(both[ruined["free"] & ~ruined["cut"]].head(1)):
        said.append(
            f"So {row['cell']} with {row['num_layers']} layers under {row['optimizer']} at a learning rate of "
            f"{row['learning_rate']:g}: perplexity {row['valid_perplexity_cut']:.3g} with clipping and "
            f"{row['valid_perplexity_free']:.3g} without."
        )
    return [*said, "Clipping bounds what explodes; it cannot bring back what vanishes."]


def _ruined(both: pd.DataFrame, end: str) -> pd.Series:
    """Return which trials diverged or predict worse than the same probability for every token."""
    worse = ~(both[f"valid_perplexity_{end}"].astype(float) <= both["vocab_size"].astype(float))
    return worse | (both[f"status_{end}"] == "diverged")


def _missing(run: Run, table: pd.DataFrame) -> list[str]:
    missing = []
    if table["layers"].nunique() < 2:
        missing.append("missing: a second depth (--layers 1,2).")
    if not _without_clipping(run):
        missing.append("missing: the same trials with and without clipping (--clip 0,1).")
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
