"""GRU in place of the LSTM: accuracy and speed, paired over seeds and depths."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence, wording
from harness.analysis.evidence import interval_columns, read_interval
from harness.analysis.frames import Run, records
from harness.analysis.statistics import UNKNOWN, Interval, holm, mean_interval, sign_beyond
from harness.contracts.exercises import Available, Budget, Need
from harness.contracts.network import Architecture, canonical_shapes
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l.shared import options
from harness_gru import cell as gru
from harness_lstm import cell as lstm

SAME_SIZE = 0.05
"""How far apart two models' parameters may be, as a share, and still count as equal."""
VOCABULARY = 28
"""Of the shared text, letters and a space with <unk>: it decides which sizes have equal parameters."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return both cells at one and two layers under every seed, and the GRU again as large as the LSTM."""
    equal = options(budget, "lstm", "gru", "numpy", layers=(1, 2), seeds=budget.seeds)
    larger = [
        options(
            budget, "gru", "numpy", layers=depth, seeds=budget.seeds, hiddens=_equal_hiddens(budget.num_hiddens, depth)
        )
        for depth in (1, 2)
    ]
    return [Need(options=chosen, timed=True) for chosen in (equal, *larger)]


def _equal_hiddens(num_hiddens: int, num_layers: int) -> int:
    """Return the GRU's hidden units that give it the LSTM's number of parameters, as nearly as can be."""
    wanted = _num_params(lstm, num_hiddens, num_layers)
    return min(range(num_hiddens, 2 * num_hiddens), key=lambda size: abs(_num_params(gru, size, num_layers) - wanted))


def _num_params(equations: Any, num_hiddens: int, num_layers: int) -> int:
    architecture = Architecture(vocab_size=VOCABULARY, num_layers=num_layers, num_hiddens=num_hiddens)
    return sum(math.prod(shape) for shape in canonical_shapes(equations, architecture).values())


def answer(run: Run) -> Answer:
    """Compare GRU with LSTM at equal hidden units, then at equal parameters."""
    trials = evidence.cells(evidence.finished(run))
    matched = evidence.on_one_text(evidence.pairs(trials, "cell", "gru", "lstm"))
    if matched.empty:
        return unanswered(
            "missing: finished trials of gru and lstm that share seed, depth, backend and settings "
            "(--plugins lstm,gru)."
        )
    equal = evidence.on_one_text(_equal_params(trials))
    times = _time_ratios(run, pd.concat([matched, equal]))
    groups = [("equal hidden units", "all", matched)]
    groups += [("equal hidden units", str(depth), part) for depth, part in matched.groupby("num_layers")]
    groups += [("equal parameters", "all", equal)] if len(equal) else []
    speeds = evidence.Speeds(run)
    table = pd.DataFrame([_compare(speeds, times, *group) for group in groups])
    table[["p_holm", "accuracy_p_holm"]] = np.reshape(
        holm(np.concatenate([table["p"], table["accuracy_p"]])), (2, -1)
    ).T
    whole = records(table)[0]
    drawn = _draw(table[table["at"] == "equal hidden units"])
    return Answer(
        answer=" ".join(_sentences(matched, table)),
        verdict=_verdict(whole),
        evidence=table,
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(matched, equal, read_interval(whole, "speed_ratio"))),
    )


def _equal_params(trials: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of gru and lstm with other hidden units and as many parameters."""
    both = evidence.pairs(trials, "cell", "gru", "lstm", free=["num_hiddens"])
    both = both[both["num_hiddens_first"] != both["num_hiddens_second"]] if len(both) else both
    if both.empty:
        return both
    apart = (both["num_params_first"] / both["num_params_second"]).astype(float) - 1
    return both[apart.abs() <= SAME_SIZE]


def _compare(
    speeds: evidence.Speeds, times: Mapping[tuple[str, str], float], at: str, layers: str, matched: pd.DataFrame
) -> dict[str, object]:
    perplexity = evidence.differences_by_seed(matched, "valid_perplexity_first", "valid_perplexity_second")
    accuracy = evidence.differences_by_seed(matched, "valid_accuracy_first", "valid_accuracy_second")
    speed = _speed(speeds, matched)
    pairs = list(zip(matched["trial_id_first"], matched["trial_id_second"], strict=True))
    logs = matched.assign(time=[times.get(pair, math.nan) for pair in pairs]).groupby("seed", sort=False)["time"].mean()
    log = mean_interval(logs.dropna())
    time = Interval(*(float(np.exp(value)) for value in (log.estimate, log.low, log.high)))
    return {
        "at": at,
        "layers": layers,
        "n": perplexity.num_pairs,
        "pairs": len(matched),
        "gru_perplexity": matched["valid_perplexity_first"].mean(),
        "lstm_perplexity": matched["valid_perplexity_second"].mean(),
        **interval_columns("perplexity_difference", perplexity.interval),
        "p": perplexity.p_value,
        "wilcoxon_p": perplexity.wilcoxon_p_value,
        "effect_size": perplexity.effect_size,
        **interval_columns("accuracy_difference", accuracy.interval),
        "accuracy_p": accuracy.p_value,
        **interval_columns("speed_ratio", speed),
        "params_ratio": (matched["num_params_first"] / matched["num_params_second"]).astype(float).mean(),
        **interval_columns("time_ratio", time),
    }


def _speed(speeds: evidence.Speeds, matched: pd.DataFrame) -> Interval:
    """Return gru's tokens per second over lstm's: one pair's rounds, or over the pairs' medians where there are more.

    Seeds share one measurement, so a pair is a kind of trial.
    """
    ratios = {}
    for names in zip(matched["trial_id_first"], matched["trial_id_second"], strict=True):
        kind = tuple(speeds.measurement(name) for name in names)
        if all(kind) and kind not in ratios:
            ratios[kind] = speeds.ratio(*names)
    known = [ratio for ratio in ratios.values() if math.isfinite(ratio.estimate)]
    if len(known) < 2:
        return known[0] if known else UNKNOWN
    # The kinds' own intervals are narrow; what the ratio is over depths lies between the least and the largest of them.
    estimate = float(np.exp(np.mean([math.log(ratio.estimate) for ratio in known])))
    return Interval(estimate, min(ratio.low for ratio in known), max(ratio.high for ratio in known))


def _time_ratios(run: Run, matched: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return by pair the logarithm of gru's seconds over lstm's until the perplexity that both have reached.

    Seconds are tokens by the trial's tokens per second, measured alone where it was: training may share the machine.
    """
    ids = {*matched["trial_id_first"], *matched["trial_id_second"]}
    epochs = run.epochs[run.epochs["trial_id"].isin(ids)]
    # A list of each trial's rows, not a frame: of thousands of trials frames take seconds.
    tokens = epochs["train_tokens"].astype(float).groupby(epochs["trial_id"], sort=False).cumsum().to_numpy()
    losses = epochs["valid_loss"].to_numpy()
    curves = {
        trial_id: (tokens[rows].tolist(), losses[rows].tolist())
        for trial_id, rows in epochs.groupby("trial_id", sort=False).indices.items()
    }
    rates = run.trials.set_index("trial_id")["tokens_per_s"].to_dict()
    ratios = {}
    for pair in zip(matched["trial_id_first"], matched["trial_id_second"], strict=True):
        if any(name not in curves for name in pair):
            continue
        goal = max(min(curves[name][1]) for name in pair)
        seconds = [_seconds_to(*curves[name], goal, rates.get(name, math.nan)) for name in pair]
        if all(math.isfinite(value) and value > 0 for value in seconds):
            ratios[pair] = math.log(seconds[0] / seconds[1])
    return ratios


def _seconds_to(tokens: Sequence[float], losses: Sequence[float], goal: float, rate: float) -> float:
    """Return the training seconds to a loss, between epochs in proportion; NaN where it was not reached."""
    if not rate > 0 or not math.isfinite(goal):
        return math.nan
    if losses[0] <= goal:
        return tokens[0] / rate
    for (t0, v0), (t1, v1) in pairwise(zip(tokens, losses, strict=True)):
        if v1 <= goal < v0:
            return (t0 + (t1 - t0) * (v0 - goal) / (v0 - v1)) / rate
    return math.nan


def _sign(row: Mapping[str, Any]) -> int:
    """Return -1 where GRU's perplexity is lower, 1 where LSTM's is, 0 where it is not decided."""
    return evidence.sign_corrected(read_interval(row, "perplexity_difference"), float(row["p_holm"]))


def _verdict(row: Mapping[str, Any]) -> str:
    better = {-1: "GRU has the lower perplexity", 1: "LSTM has the lower perplexity", 0: f"perplexity {UNDECIDED}"}
    faster = {1: "GRU trains faster", -1: "LSTM trains faster", 0: f"speed {UNDECIDED}"}
    return f"{better[_sign(row)]}; {faster[sign_beyond(read_interval(row, 'speed_ratio'), 1.0)]}"


def _sentences(matched: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    whole = records(table)[0]
    depths = matched["num_layers"].nunique()
    each = f", each the mean over {depths} depths" if depths > 1 else " at one depth"
    corrected = "; the verdict after Holm's correction over this table" if math.isfinite(whole["p_holm"]) else ""
    sentences = [
        f"At equal hidden units: {_verdict(whole)}. GRU's validation perplexity minus LSTM's is "
        f"{evidence.word_interval(read_interval(whole, 'perplexity_difference'))}, its accuracy's difference "
        f"{evidence.word_bounds(read_interval(whole, 'accuracy_difference'), 4)} (n = "
        f"{wording.plural(int(whole['n']), 'seed')}{each}; {_trained(matched)}{corrected})."
    ]
    if whole["n"] < 2:
        sentences.append(f"That is {evidence.count_seeds(matched)}.")
    sentences.append(f"{_costs(whole)}.")
    equal = records(table[table["at"] == "equal parameters"])
    for row in equal:
        outcome = {-1: "GRU is ahead", 1: "LSTM is ahead", 0: "neither is ahead beyond chance"}[_sign(row)]
        sentences.append(
            f"At equal parameters {outcome}: {evidence.word_bounds(read_interval(row, 'perplexity_difference'))} in "
            f"perplexity, {evidence.word_bounds(read_interval(row, 'accuracy_difference'), 4)} in accuracy. "
            f"{_costs(row)}."
        )
    return sentences


def _trained(matched: pd.DataFrame) -> str:
    """Say how long these models were trained, as that is what the comparison holds for."""
    epochs, tokens = (sorted(matched[name].unique()) for name in ("num_epochs", "train_tokens"))
    several = "" if len(epochs) == len(tokens) == 1 else "up to "
    return f"after {several}{wording.plural(int(epochs[-1]), 'epoch')} of {wording.count(tokens[-1])} tokens"


def _costs(row: Mapping[str, Any]) -> str:
    """Word parameters, speed and the time to one perplexity, GRU's over LSTM's."""
    parts = [f"GRU has {float(row['params_ratio']):.0%} of LSTM's parameters"]
    speed, time = read_interval(row, "speed_ratio"), read_interval(row, "time_ratio")
    if math.isfinite(speed.estimate):
        faster = {1: "faster", -1: "slower", 0: "not to be told apart"}[sign_beyond(speed, 1.0)]
        parts.append(f"trains {evidence.word_bounds(speed, 2)} times as many tokens a second ({faster})")
    if math.isfinite(time.estimate):
        alone = "" if math.isfinite(speed.estimate) else ", by speeds measured while training"
        parts.append(f"takes {evidence.word_bounds(time, 2)} times as long to the perplexity both reach{alone}")
    return wording.enumerate_names(parts)


def _missing(matched: pd.DataFrame, equal: pd.DataFrame, speed: Interval) -> list[str]:
    missing = []
    if matched["seed"].nunique() < 2:
        missing.append("missing: more than one seed (--seeds 3): one gives no interval over seeds.")
    if matched["num_layers"].nunique() < 2:
        missing.append("missing: a second depth (--layers 1,2).")
    if equal.empty:
        missing.append("missing: a GRU with as many parameters as the LSTM ('harness exercises deep-rnn-2' plans it).")
    if not math.isfinite(speed.estimate):
        missing.append("missing: both cells timed in the same rounds (--timing quick).")
    return missing


def _draw(table: pd.DataFrame) -> charts.Drawn:
    part = table[table["layers"] != "all"]
    points = charts.point_frame(
        [
            (
                "GRU − LSTM",
                row["layers"],
                row["perplexity_difference"],
                row["perplexity_difference_low"],
                row["perplexity_difference_high"],
            )
            for row in records(part)
        ]
    )
    n = int(part["n"].sum())
    return charts.draw(
        points,
        name="exercise-deep-rnn-2",
        title="GRU against LSTM",
        x=charts.Axis(title="layers", nominal=True),
        y=charts.Axis(title="Difference of validation perplexity", zero=True),
        caption="GRU's validation perplexity minus LSTM's, by depth; below the dotted line GRU is better. Bars are "
        f"95 % t intervals over seeds, where there are several (n = {n} pairs).",
        level=0.0,
    )
