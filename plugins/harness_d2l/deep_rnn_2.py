"""GRU in place of the LSTM: accuracy and speed, paired over seeds and depths."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence, judging, nuisances, recipes, wording
from harness.analysis.frames import Run, records
from harness.analysis.judging import ACCURACY, PERPLEXITY, Compared, Judged
from harness.analysis.statistics import UNKNOWN, Interval, sign_beyond
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.contracts.network import Architecture, canonical_shapes
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l import costs
from harness_d2l.shared import tuned
from harness_gru import cell as gru
from harness_lstm import cell as lstm

PRIMARY = (
    PrimaryTest(
        name="perplexity",
        compares="GRU minus LSTM at equal hidden units: validation loss, one pair a seed, the mean over depths",
    ),
    PrimaryTest(
        name="accuracy",
        compares="GRU minus LSTM at equal hidden units: validation accuracy, one pair a seed, the mean over depths",
    ),
)
EQUAL_HIDDENS, EQUAL_PARAMS = "equal hidden units", "equal parameters"
SAME_SIZE = 0.05
"""How far apart two models' parameters may be, as a share, and still count as equal."""
VOCABULARY = 28
"""Of the shared text, letters and a space with <unk>: it decides which sizes have equal parameters."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return both cells at one and two layers, tuned, under every seed, and the GRU again as large as the LSTM."""
    equal = tuned(budget, "lstm", "gru", "numpy", layers=(1, 2), seeds=budget.seeds)
    larger = [
        tuned(
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
    trials = nuisances.best_of_values(evidence.cells(evidence.finished(run)))
    matched = evidence.on_one_text(evidence.pairs(trials, "cell", "gru", "lstm"))
    if matched.empty:
        return unanswered(
            "missing: finished trials of gru and lstm that share seed, depth, backend and settings, and where they are "
            "tuned the space and the number of points (--plugins lstm,gru)."
        )
    equal = evidence.on_one_text(_equal_params(trials))
    primary = judging.judge_primary(PRIMARY, _compared(matched, "valid", EQUAL_HIDDENS, "all"))
    secondary = judging.judge_secondary(_secondary(matched, equal))
    spent = _costs(run, matched, equal)
    drawn = _draw(primary, secondary)
    return Answer(
        answer=" ".join(_sentences(run, trials, matched, [*primary, *secondary], spent)),
        verdict=f"{_verdict(primary)}; {_faster(spent, EQUAL_HIDDENS)}",
        evidence=pd.concat([judging.frame([*primary, *secondary]), spent], ignore_index=True),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(matched, equal, spent)),
    )


def _equal_params(trials: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of gru and lstm with other hidden units and as many parameters."""
    both = evidence.pairs(trials, "cell", "gru", "lstm", free=["num_hiddens"])
    both = both[both["num_hiddens_first"] != both["num_hiddens_second"]] if len(both) else both
    if both.empty:
        return both
    apart = (both["num_params_first"] / both["num_params_second"]).astype(float) - 1
    return both[apart.abs() <= SAME_SIZE]


def _compared(matched: pd.DataFrame, part: str, at: str, layers: str) -> list[Compared]:
    """Return both tests' figures on a held-out part; of several depths, their mean."""
    tests = (("perplexity", PERPLEXITY, "loss"), ("accuracy", ACCURACY, "accuracy"))
    compared = []
    for test, scale, figure in tests:
        first, second = (f"{part}_{figure}_{side}" for side in ("first", "second"))
        gru, lstm = (_mean(matched[side], figure) for side in (first, second))
        of: dict[str, Any] = {"at": at, "layers": layers, "part": part, "gru": gru, "lstm": lstm}
        compared.append(judging.by_seed(matched, test, scale, first, second, **of))
    return compared


def _mean(figures: pd.Series, figure: str) -> float:
    """Return a mean as a reader knows it: of losses, their perplexity."""
    mean = float(figures.astype(float).mean())
    return float(np.exp(mean)) if figure == "loss" else mean


def _secondary(matched: pd.DataFrame, equal: pd.DataFrame) -> list[Compared]:
    """Return what was not asked first: the test text, each depth where there are several, and equal parameters."""
    groups = [("test", EQUAL_HIDDENS, "all", matched)]
    if matched["num_layers"].nunique() > 1:
        groups += [("valid", EQUAL_HIDDENS, str(depth), part) for depth, part in matched.groupby("num_layers")]
    groups += [("valid", EQUAL_PARAMS, "all", equal), ("test", EQUAL_PARAMS, "all", equal)] if len(equal) else []
    return [
        compared
        for part, at, layers, pairs in groups
        if np.isfinite(pairs[f"{part}_loss_first"].astype(float)).any()
        for compared in _compared(pairs, part, at, layers)
    ]


def _costs(run: Run, matched: pd.DataFrame, equal: pd.DataFrame) -> pd.DataFrame:
    """Return what the GRU costs over what the LSTM does, rows as of the tests."""
    speeds, times = evidence.Speeds(run), costs.time_ratios(run, pd.concat([matched, equal]))
    rows = costs.rows(speeds, times, matched, at=EQUAL_HIDDENS, layers="all")
    rows += costs.rows(speeds, times, equal, at=EQUAL_PARAMS, layers="all") if len(equal) else []
    return pd.DataFrame(rows)


def _ratio(spent: pd.DataFrame, test: str, at: str) -> Interval:
    for row in records(spent[(spent["test"] == test) & (spent["at"] == at)]):
        return evidence.read_interval(row, "difference")
    return UNKNOWN


def _verdict(judged: Sequence[Judged]) -> str:
    return "; ".join(judging.word_verdict(each, "GRU", "LSTM", each.compared.test) for each in judged)


def _faster(spent: pd.DataFrame, at: str) -> str:
    sign = sign_beyond(_ratio(spent, "tokens a second", at), 1.0)
    return {1: "GRU trains faster", -1: "LSTM trains faster", 0: f"speed {UNDECIDED}"}[sign]


def _sentences(
    run: Run, trials: pd.DataFrame, matched: pd.DataFrame, judged: Sequence[Judged], spent: pd.DataFrame
) -> list[str]:
    depths = matched["num_layers"].nunique()
    primary = [each for each in judged if each.role == "primary"]
    each = f", each the mean over {depths} depths" if depths > 1 else " at one depth"
    used = trials[trials["trial_id"].isin({*matched["trial_id_first"], *matched["trial_id_second"]})]
    sentences = [
        f"At equal hidden units: {_verdict(primary)}. {recipes.word_recipe(run, used)}",
        f"GRU minus LSTM is {wording.enumerate_names([_word(each) for each in primary])} (n = "
        f"{wording.plural(primary[0].verdict.num_pairs, 'seed')}{each}; {_trained(matched)}; two primary tests, "
        f"corrected together; equivalent is within {PERPLEXITY.words} and {ACCURACY.words}).",
    ]
    sentences += _reaches(primary)
    tested = judging.find(judged, "perplexity", at=EQUAL_HIDDENS, part="test")
    if tested is not None:
        sentences.append(f"On test text (secondary): {_verdict([tested])}, {judging.word_difference(tested)}.")
    pairs = list(zip(matched["trial_id_first"], matched["trial_id_second"], strict=True))
    if over_texts := evidence.word_over_texts(run, pairs, "test"):
        sentences.append(f"Over other texts: these seeds' difference of losses is {over_texts}.")
    sentences.append(f"{_word_costs(spent, EQUAL_HIDDENS)}.")
    equal = [each for each in judged if (each.compared.of["at"], each.compared.of["part"]) == (EQUAL_PARAMS, "valid")]
    if equal:
        sentences.append(
            f"At equal parameters (secondary): {_verdict(equal)}; "
            f"{wording.enumerate_names([judging.word_difference(each) for each in equal])}. "
            f"{_word_costs(spent, EQUAL_PARAMS)}."
        )
    return sentences


def _word(judged: Judged) -> str:
    return f"{judging.word_difference(judged)}, {judging.word_chance(judged, 'GRU')}"


def _reaches(judged: Sequence[Judged]) -> list[str]:
    """Say what the runs could have shown of what is not equivalent; one seed says so once."""
    worded = list(dict.fromkeys(judging.word_reach(each) for each in judged if each.kind != "equivalent"))
    return [f"{worded[0][0].upper()}{'; '.join(worded)[1:]}."] if worded else []


def _trained(matched: pd.DataFrame) -> str:
    """Say how long these models were trained, as that is what the comparison holds for."""
    epochs, tokens = (sorted(matched[name].unique()) for name in ("num_epochs", "train_tokens"))
    several = "" if len(epochs) == len(tokens) == 1 else "up to "
    return f"after {several}{wording.plural(int(epochs[-1]), 'epoch')} of {wording.count(tokens[-1])} tokens"


def _word_costs(spent: pd.DataFrame, at: str) -> str:
    """Word parameters, speed and the time to one perplexity, GRU's over LSTM's."""
    params, speed, time = (_ratio(spent, test, at) for test in costs.MEASURED)
    parts = [f"GRU has {params.estimate:.0%} of LSTM's parameters"]
    if math.isfinite(speed.estimate):
        faster = {1: "faster", -1: "slower", 0: "not to be told apart"}[sign_beyond(speed, 1.0)]
        parts.append(f"trains {evidence.word_bounds(speed, 2)} times as many tokens a second ({faster})")
    if math.isfinite(time.estimate):
        alone = "" if math.isfinite(speed.estimate) else ", by speeds measured while training"
        parts.append(f"takes {evidence.word_bounds(time, 2)} times as long to the perplexity both reach{alone}")
    return wording.enumerate_names(parts)


def _missing(matched: pd.DataFrame, equal: pd.DataFrame, spent: pd.DataFrame) -> list[str]:
    missing = []
    if matched["seed"].nunique() < 2:
        missing.append("missing: more than one seed (--seeds 3): one gives no interval over seeds.")
    if matched["num_layers"].nunique() < 2:
        missing.append("missing: a second depth (--layers 1,2).")
    if equal.empty:
        missing.append("missing: a GRU with as many parameters as the LSTM ('harness exercises deep-rnn-2' plans it).")
    if not math.isfinite(_ratio(spent, "tokens a second", EQUAL_HIDDENS).estimate):
        missing.append("missing: both cells timed in the same rounds (--timing quick).")
    return missing


def _draw(primary: Sequence[Judged], secondary: Sequence[Judged]) -> charts.Drawn:
    """Draw each depth's difference, or that of the one depth there is."""
    own = [each for each in secondary if each.compared.of["layers"] != "all" and each.compared.test == "perplexity"]
    shown = own or [each for each in primary if each.compared.test == "perplexity"]
    points: list[tuple[Any, ...]] = []
    for each in shown:
        difference = each.difference
        points.append(("GRU − LSTM", each.compared.of["layers"], difference.estimate, difference.low, difference.high))
    n = sum(each.verdict.num_pairs for each in shown)
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-2",
        title="GRU against LSTM",
        x=charts.Axis(title="layers", nominal=True),
        y=charts.Axis(title="Difference of validation perplexity, %", zero=True),
        caption="GRU's validation perplexity over LSTM's, in per cent, by depth; below the dotted line GRU is better. "
        f"Bars are 95 % t intervals over seeds, where there are several (n = {n} pairs).",
        level=0.0,
    )
