"""A two-layer RNN from scratch, beside the layer each framework brings."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.descriptors import SCRATCH
from harness.environments import interpreter_for
from harness.errors import EnvironmentMissing
from harness.exercises import charts, evidence
from harness.exercises.exercise import UNDECIDED, Budget, Need, selection, texts, unanswered
from harness.registry import Registry
from harness.report.answers import Answer
from harness.report.frames import Run, records
from harness.report.wording import enumerate_names
from harness.statistics import Interval, sign_beyond

Epochs = Mapping[str, pd.DataFrame]
"""A run's epochs by trial."""

exercise_id = "deep-rnn-1"
question = "Write a two-layer RNN from scratch: does it learn the same as the framework's own layers, and how fast?"

SAME = 0.01
"""Nats a token by which loss curves may differ and still count as one: float32 sums round in another order."""


def needs(budget: Budget, registry: Registry) -> Sequence[Need]:
    """Return every implementation of the RNN on every backend that can run here, one and two layers."""
    backends = [name for name in registry.backends if _can_run(registry, name)]
    chosen = selection(budget, "rnn", *backends, implementation="all", layers=(1, 2))
    return [Need(selection=chosen, texts=texts(budget, train_tokens=(budget.small_tokens,)), timed=True)]


def _can_run(registry: Registry, name: str) -> bool:
    try:
        interpreter_for(registry.backend(name))
    except EnvironmentMissing:
        return False
    return True


def answer(run: Run) -> Answer:
    """Hold each other implementation's loss curve and speed against scratch's."""
    trials = evidence.cells(evidence.finished(run))
    others = [name for name in trials["implementation"].unique() if name != SCRATCH]
    matched = [(name, evidence.pairs(trials, "implementation", SCRATCH, name)) for name in others]
    speeds, epochs = evidence.Speeds(run), evidence.epochs_by_trial(run)
    table = pd.DataFrame([_compare(speeds, epochs, name, row) for name, both in matched for row in records(both)])
    if table.empty:
        return unanswered(
            "missing: finished trials from scratch and with a framework's own layer, the same otherwise "
            "(--implementation all)."
        )
    drawn = _draw(epochs, table)
    return Answer(
        answer=_paragraph(table),
        verdict=_verdict(table),
        evidence=table.drop(columns=["scratch_id", "other_id"]),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(run, table)),
    )


def _compare(speeds: evidence.Speeds, epochs: Epochs, other: str, row: dict[str, object]) -> dict[str, object]:
    ratio = speeds.ratio(str(row["trial_id_second"]), str(row["trial_id_first"]))
    curves = _both_curves(epochs, str(row["trial_id_first"]), str(row["trial_id_second"]))
    gaps = (curves["first"] - curves["second"]).abs()
    return {
        "backend": row["backend"],
        "cell": row["cell"],
        "layers": int(row["num_layers"]),  # type: ignore[call-overload]
        "seed": int(row["seed"]),  # type: ignore[call-overload]
        "against_scratch": other,
        "epochs": int(curves["epoch"].nunique()),
        "largest_loss_difference": float(gaps.max()) if len(gaps) else math.nan,
        "scratch_perplexity": row["valid_perplexity_first"],
        "other_perplexity": row["valid_perplexity_second"],
        "speed_ratio": ratio.estimate,
        "speed_ratio_low": ratio.low,
        "speed_ratio_high": ratio.high,
        "scratch_id": row["trial_id_first"],
        "other_id": row["trial_id_second"],
    }


def _both_curves(epochs: Epochs, first: str, second: str) -> pd.DataFrame:
    """Return both trials' losses by epoch, of training and of validation, one row each."""
    names = ["epoch", "train_loss", "valid_loss"]
    parts = [epochs[name][names].melt("epoch") for name in (first, second)]
    both = parts[0].merge(parts[1], on=["epoch", "variable"], suffixes=("_first", "_second"))
    both = both.rename(columns={"value_first": "first", "value_second": "second"})
    return both[np.isfinite(both["first"].astype(float)) & np.isfinite(both["second"].astype(float))]


def _sign(row: dict[str, object]) -> int:
    return sign_beyond(Interval(*(float(row[f"speed_ratio{end}"]) for end in ("", "_low", "_high"))), 1.0)  # type: ignore[arg-type]


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
    pairs = len(table)
    said = [
        f"{pairs} {'pair' if pairs == 1 else 'pairs'} of trials differ in the implementation alone, on "
        f"{enumerate_names(table['backend'].unique())}."
    ]
    if math.isfinite(largest):
        close = largest <= SAME
        said.append(
            f"The largest difference between two loss curves, training or validation, is {largest:.2g} nats a token "
            f"({worst['cell']}, {worst['layers']} layers, {worst['backend']} {worst['against_scratch']}): "
            + (
                "from scratch and the framework's layer learn the same."
                if close
                else f"beyond the {SAME:g} that rounding explains, so these are not the same model any more."
            )
        )
    timed = table[np.isfinite(table["speed_ratio"].astype(float))]
    for row in records(timed.drop_duplicates(["backend", "cell", "layers", "against_scratch"])):
        ratio = Interval(row["speed_ratio"], row["speed_ratio_low"], row["speed_ratio_high"])
        word = {1: "faster", -1: "slower", 0: "not to be told apart in speed"}[_sign(row)]
        said.append(
            f"{row['backend']} {row['against_scratch']}, {row['cell']}, {row['layers']} "
            f"{'layer' if row['layers'] == 1 else 'layers'}: {evidence.word_interval(ratio, 2)} times scratch's tokens "
            f"a second, {word}."
        )
    if table["seed"].nunique() == 1:
        said.append("One seed each, which gives no interval over seeds; both start from the same weights.")
    return " ".join(said)


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
        missing.append(f"Left out: {len(trials)} trials without a parity certificate.")
    return missing


def _draw(epochs: Epochs, table: pd.DataFrame) -> charts.Drawn:
    points = []
    for row in records(table.drop_duplicates(["backend", "cell", "layers", "against_scratch"])):
        layers = "1 layer" if row["layers"] == 1 else f"{row['layers']} layers"
        name = f"{row['backend']} {row['against_scratch']}, {row['cell']}, {layers}"
        curves = _both_curves(epochs, row["scratch_id"], row["other_id"])
        for epoch, gap in (curves["first"] - curves["second"]).abs().groupby(curves["epoch"]).max().items():
            points.append((name, float(epoch), float(gap), math.nan, math.nan))
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
