"""What happens to the gradient over a long sequence, by cell and depth, and what clipping does about it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence, probed, recipes, wording
from harness.analysis.frames import Run, records
from harness.analysis.statistics import Interval
from harness.analysis.wording import count, enumerate_names, plural
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l.gradient_rates import STAGES, TEST, fit, with_shapes
from harness_d2l.shared import options

PRIMARY = (
    PrimaryTest(
        name=TEST,
        compares="the factor by which a further step back multiplies the gradient's norm, against one",
        subjects="each model, at first and after training",
    ),
)
_CLIPPED = {"clipped_init": "log_norm_init", "clipped_trained": "log_norm_trained"}


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return each cell and depth under every seed, its gradients probed, and the vanilla RNN again without clipping."""
    every = options(budget, "rnn", "gru", "lstm", "numpy", layers=(1, 2), seeds=budget.seeds)
    # SGD at twice the book's learning rate: where clipping decides whether two layers learn at all.
    clips = {"optimizer": "sgd", "lr": 2.0, "clip": (0.0, 1.0), "epochs": 2}
    unclipped = options(budget, "rnn", "numpy", layers=(1, 2), seeds=budget.seeds, **clips)
    return [Need(options=every, probes=("gradients", "clipping")), Need(options=unclipped)]


def answer(run: Run) -> Answer:
    """Fit the rate at which each model's gradient grows or falls a step."""
    curves = probed.curves(run, list(STAGES))
    if curves.empty:
        return unanswered("missing: models whose gradients were probed ('harness exercises rnn-3').")
    groups = probed.by_seed(run, list(STAGES)).groupby(["kind", "quantity"], sort=False)
    clipped = _clipped(run)
    table = with_shapes(pd.DataFrame([fit(part, clipped) for _, part in groups]))
    drawn = _draw(curves)
    return Answer(
        answer=_paragraph(run, table),
        verdict=_verdict(table),
        evidence=table,
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(run, table)),
    )


def _clipped(run: Run) -> pd.Series:
    """Return the share of minibatches whose gradient the clip cuts, by kind and the stage's quantity, over seeds."""
    shares = probed.by_seed(run, list(_CLIPPED))
    return shares["value"].groupby([shares["kind"], shares["quantity"].map(_CLIPPED)]).mean()


def _rate(row: Mapping[str, Any]) -> Interval:
    """Return the factor a step over a long distance: of the far half where the curve is bent, else of the whole."""
    return evidence.read_interval(row, "long_a_step", "long")


def _verdict(table: pd.DataFrame) -> str:
    signs = [
        evidence.sign_corrected(_rate(row), float(row["p_corrected"]), 1.0)
        for row in records(table)
        if math.isfinite(_rate(row).estimate)
    ]
    if not signs or not any(signs):
        return UNDECIDED
    if all(sign < 0 for sign in signs):
        return "it vanishes in every model"
    if all(sign > 0 for sign in signs):
        return "it explodes in every model"
    parts = {
        "vanishes": signs.count(-1),
        "explodes": signs.count(1),
        "does neither beyond chance": signs.count(0),
    }
    phrases = [f"{word} in {number}" for word, number in parts.items() if number]
    return f"it {enumerate_names(phrases)} of {len(signs)} measurements"


def _paragraph(run: Run, table: pd.DataFrame) -> str:
    known = table[np.isfinite(table["long_a_step"])]
    verdict = _verdict(table) if len(known) else "how it changes is not known"
    sentences = [
        f"{verdict[:1].upper()}{verdict[1:]}, going by the norm of one loss's gradient by the state k steps before it "
        f"(held-out text, n = {int(table['n'].min())} contexts a point, {plural(int(table['seeds'].max()), 'seed')}; t "
        "tests after Holm's correction).",
        recipes.word_recipe_of_probed(run, list(STAGES)),
    ]
    if len(known) < len(table):
        sentences.append(
            f"For {count(len(table) - len(known))} of {count(len(table))} curves the rate is not known: too few "
            "distances."
        )
    trained = known[known["when"] == "after training"]
    stage = trained if len(trained) else known
    return " ".join(
        [*sentences, *_rates(stage), *_shapes(known, stage), *_clipped_minibatches(table), *_without_clipping(run)]
    )


def _rates(stage: pd.DataFrame) -> list[str]:
    """Word the slowest and the fastest rate of one stage; the table has all."""
    if stage.empty:
        return []
    ordered = records(stage.sort_values("long_a_step", ascending=False))
    phrases = [_word_rate(row) for row in (ordered if len(ordered) < 3 else (ordered[0], ordered[-1]))]
    between = "" if len(ordered) < 3 else ", the others between"
    over = "over seeds" if stage["seeds"].min() > 1 else "of the fit, not over seeds"
    return [
        f"{str(ordered[0]['when']).capitalize()} each further step back multiplies it by {enumerate_names(phrases)}"
        f"{between} (95 % intervals {over})."
    ]


def _word_rate(row: Mapping[str, Any]) -> str:
    rate, halving = _rate(row), float(row["halves_in_steps"])
    half = f", halving in {halving:.1f} steps" if math.isfinite(halving) else ""
    far = f" from {row['far_from']:g} steps on" if row["shape"] == "bent" else ""
    return f"{rate.estimate:.3f} ({rate.low:.3f} to {rate.high:.3f}) in {row['model']}{far}{half}"


def _shapes(known: pd.DataFrame, stage: pd.DataFrame) -> list[str]:
    """Say whether one rate holds at every distance: a curve that bends is not geometric."""
    tested = known[known["shape"] != "not known"]
    if tested.empty:
        return []
    bent = tested[tested["shape"] == "bent"]
    kind = "t test over seeds" if tested["seeds"].min() > 1 else "Welch's t test"
    test = f"{kind} of the near and the far half's slopes, Holm-corrected"
    if bent.empty:
        return [f"None of the {count(len(tested))} curves is shown to bend ({test}): each is given one factor a step."]
    here = stage[stage["shape"] == "bent"] if (stage["shape"] == "bent").any() else bent
    apart = np.log(here["far_factor_a_step"] / here["near_factor_a_step"]).abs()
    row = here.loc[apart.idxmax()]
    return [
        f"{count(len(bent))} of {count(len(tested))} curves bend, so no single rate describes them ({test}): most "
        f"{row['model']} {row['when']}, {row['near_factor_a_step']:.3f} a step near and {row['far_factor_a_step']:.3f} "
        f"from {row['far_from']:g} steps on."
    ]


def _clipped_minibatches(table: pd.DataFrame) -> list[str]:
    known = table[(table["clip"] > 0) & table["clipped_share"].notna()]
    if known.empty:
        return []
    shares = known["clipped_share"]
    if shares.max() == 0:
        return ["Clipping cut none of the minibatches probed on these models."]
    return [f"Clipping cuts {shares.min():.0%} to {shares.max():.0%} of the minibatches probed, by model and stage."]


def _without_clipping(run: Run) -> list[str]:
    """Say what became of trials that went without clipping beside the same with it."""
    ended = run.trials[run.trials["status"].isin(["ok", "diverged"]) & (run.trials["num_layers"] > 0)]
    free, cut = ended[ended["grad_clip"] == 0], ended[ended["grad_clip"] > 0]
    keys = [*evidence.settings_without("grad_clip"), "seed"]
    both = free.merge(cut, on=keys, suffixes=("_free", "_cut"))
    if both.empty:
        return []
    ruined = {end: _ruined(both, end) for end in ("free", "cut")}
    sentences = (
        f"Of {count(len(both))} {'pair' if len(both) == 1 else 'pairs'} of trials that differ in clipping alone, "
        f"{count(ruined['free'].sum())} without it and {count(ruined['cut'].sum())} with it ended worse than guessing "
        "blindly"
    )
    for row in records(both[ruined["free"] & ~ruined["cut"]].head(1)):
        sentences += (
            f" ({wording.plural(row['num_layers'], 'layer')} of {row['cell']}, {row['optimizer']} at "
            f"{row['learning_rate']:g}: perplexity {row['valid_perplexity_cut']:.3g} with clipping and "
            f"{row['valid_perplexity_free']:.3g} without)"
        )
    return [f"{sentences}."]


def _ruined(both: pd.DataFrame, end: str) -> pd.Series:
    """Return which trials diverged or predict worse than the same probability for every token."""
    worse = ~(both[f"valid_perplexity_{end}"].astype(float) <= both["vocab_size"].astype(float))
    return worse | (both[f"status_{end}"] == "diverged")


def _missing(run: Run, table: pd.DataFrame) -> list[str]:
    missing = []
    if table["layers"].nunique() < 2:
        missing.append("missing: a second depth, probed ('harness exercises rnn-3').")
    if not _without_clipping(run):
        missing.append("missing: the same trials with and without clipping ('harness exercises rnn-3').")
    return missing


def _draw(curves: pd.DataFrame) -> charts.Drawn:
    clipped = curves[(curves["grad_clip"] > 0) & (curves["quantity"] == "log_norm_trained")]
    chosen = clipped if len(clipped) else curves
    points = chosen.assign(
        series=chosen["model"] if len(clipped) else chosen["model"] + ", " + chosen["quantity"].map(STAGES),
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
        f"(n = {int(chosen['n'].min())} contexts a point, {probed.count_seeds(chosen)}); "
        f"{probed.interval_words(chosen, 'contexts')}.",
    )
