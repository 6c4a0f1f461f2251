"""Several authors in one model: who gains, who loses, and what their distance has to do with it."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence
from harness.analysis.frames import Run, records
from harness.analysis.statistics import CONFIDENCE, holm, mean_interval
from harness.analysis.wording import enumerate_names, enumerate_numbers
from harness.contracts.exercises import Available, Budget, Need, TextProbe
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l import authors
from harness_d2l.shared import options

_SHARED = ("seed", *evidence.settings_without("authors", "corpus_digest", "vocab_size", "mix", "train_tokens"))
"""What a model has in common with the one of the evaluated author that it is held against."""
SAME_BUDGET = 0.02
"""How far apart two training budgets may be, as a share, and still count as equal."""
MAX_TOLD = 6
"""Authors told in words; the evidence has all."""
MIN_AUTHORS = 4
"""Below it there are too few ways to relabel authors for a permutation test to tell anything."""
EXACT_AUTHORS = 6
"""Up to so many authors every relabelling is looked at; beyond, a thousand."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return a model of each author alone and one of all together, on as many tokens each."""
    chosen = options(budget, "lstm", "numpy", seeds=budget.seeds, authors=("each", "all"), mix="equal")
    return [Need(options=chosen, text_probe=TextProbe(name=authors.PROBE, measure=authors.distances))]


def answer(run: Run) -> Answer:
    """Hold every author's held-out text against the model of that author alone."""
    transfer = _transfer(run)
    matched = _against_own(transfer)
    if matched.empty or matched["evaluated_on"].nunique() < 2:
        return unanswered(
            "missing: models of each of several authors alone and of all together, evaluated on each author "
            "(--authors each,all)."
        )
    table = pd.DataFrame(
        [_gain(key, part) for key, part in matched.groupby(["trained_on", "evaluated_on"], sort=False)]
    )
    table["distance_bits"] = [
        _distance(run, *pair) for pair in zip(table["trained_on"], table["evaluated_on"], strict=True)
    ]
    table["p_holm"] = np.nan
    table.loc[table["kind"] == "combined", "p_holm"] = holm(table.loc[table["kind"] == "combined", "p"])
    combined = table[table["kind"] == "combined"]
    drawn = _draw(table)
    return Answer(
        answer=" ".join(_sentences(transfer, table, combined)),
        verdict=_verdict(combined),
        evidence=table,
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(transfer, table, combined)),
    )


def _transfer(run: Run) -> pd.DataFrame:
    """Return the finished models' figures on each author's held-out text."""
    usable = evidence.cells(evidence.finished(run))["trial_id"]
    known = run.transfer[run.transfer["trial_id"].isin(set(usable))]
    return known[np.isfinite(known["bits_per_char"].astype(float))]


def _kind(trained_on: str, evaluated_on: str) -> str:
    if trained_on == evaluated_on:
        return "own"
    together = trained_on.split("+")
    return "combined" if trained_on == "all" or (len(together) > 1 and evaluated_on in together) else "foreign"


def _against_own(transfer: pd.DataFrame) -> pd.DataFrame:
    """Return each figure beside that of the evaluated author's own model, of one seed and one budget."""
    kinds = [_kind(*pair) for pair in zip(transfer["trained_on"], transfer["evaluated_on"], strict=True)]
    known = transfer.assign(kind=kinds)
    keys = [*_SHARED, "evaluated_on"]
    own = known.loc[known["kind"] == "own", [*keys, "bits_per_char", "train_tokens"]]
    both = known.merge(own, on=keys, suffixes=("", "_own"))
    apart = (both["train_tokens"] / both["train_tokens_own"]).astype(float) - 1
    return _evenly_mixed(both[apart.abs() <= SAME_BUDGET])


def _evenly_mixed(both: pd.DataFrame) -> pd.DataFrame:
    """Return the figures without combined models of other mixtures, where one has as much of each author."""
    if not ((both["kind"] == "combined") & (both["mix"] == "equal")).any():
        return both
    return both[(both["kind"] != "combined") | (both["mix"] == "equal")]


def _gain(key: tuple[str, str], part: pd.DataFrame) -> dict[str, Any]:
    difference = evidence.differences_by_seed(part, "bits_per_char_own", "bits_per_char")
    bits = mean_interval(part.groupby("seed", sort=False)["bits_per_char"].mean().astype(float))
    return {
        "trained_on": key[0],
        "evaluated_on": key[1],
        "kind": part["kind"].iloc[0],
        **evidence.interval_columns("bits_per_char", bits, "bits"),
        **evidence.interval_columns("gain", difference.interval),
        "p": difference.p_value,
        "n": difference.num_pairs,
    }


def _distance(run: Run, author: str, other: str) -> float:
    """Return the distance between two authors' trigrams, where it was measured."""
    mine = set(run.trials.loc[run.trials["authors"] == author, "trial_id"])
    distances = run.probes[(run.probes["probe"] == authors.PROBE) & (run.probes["quantity"] == other)]
    own = distances[distances["trial_id"].isin(mine)]
    return float(own["value"].mean()) if len(own) else math.nan


def _by_sign(combined: pd.DataFrame) -> dict[int, list[str]]:
    """Return the authors by whether combining helps them, 1, harms them, −1, or is not decided."""
    names: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for row in records(combined):
        names[evidence.sign_corrected(evidence.read_interval(row, "gain"), row["p_holm"])].append(row["evaluated_on"])
    return names


def _verdict(combined: pd.DataFrame) -> str:
    if combined.empty:
        return UNDECIDED
    signs = _by_sign(combined)
    if not signs[1] and not signs[-1]:
        return UNDECIDED
    if len(signs[1]) == len(combined):
        return "combining helps every author"
    if len(signs[-1]) == len(combined):
        return "combining harms every author"
    words = {1: "helps", -1: "harms", 0: "is not decided for"}
    return (
        f"combining {enumerate_names([f'{words[s]} {enumerate_names(names)}' for s, names in signs.items() if names])}"
    )


def _sentences(transfer: pd.DataFrame, table: pd.DataFrame, combined: pd.DataFrame) -> list[str]:
    verdict = _verdict(combined)
    seeds = evidence.count_seeds(transfer)
    if combined.empty:
        sentences = [f"Whether to combine authors is {UNDECIDED}: no model of several has as many tokens ({seeds})."]
    else:
        ns = sorted(set(combined["n"]))
        seeds = (
            "one seed, which gives no interval"
            if ns == [1]
            else f"n = {enumerate_numbers(ns)} seeds and one held-out text an author; 95 % intervals, paired over "
            "seeds, the verdict after Holm's correction over authors"
        )
        gains = [
            f"{evidence.word_bounds(evidence.read_interval(row, 'gain'))} for {row['evaluated_on']}"
            for row in records(combined)
        ]
        decided = "whether to combine is not decided" if verdict == UNDECIDED else verdict
        share = (combined["gain"].abs() / combined["bits_per_char"]).max()
        worded = f"at most {share:.1%}" if share >= 0.001 else "less than 0.1%"
        sentences = [
            f"With equally many training tokens, {decided}.",
            "The own model's bits per character minus the combined one's, on the author's held-out text, are "
            f"{enumerate_names(gains, MAX_TOLD)}: {worded} of what a character needs ({seeds}).",
        ]
    foreign = table[table["kind"] == "foreign"]
    if len(foreign):
        cost = -foreign["gain"]
        sentences.append(
            f"Another author's model in place of the own one costs {cost.min():.3f} to {cost.max():.3f} bits per "
            "character."
        )
    sentences += _distances(foreign, table)
    if _by_sign(combined)[-1]:
        sentences.append(
            "What goes wrong: with the budget fixed, a combined model reads less of the author it is asked for. Adding "
            "others to all of one's own text is another question, which deep-rnn-3 comes nearer to."
        )
    return sentences


def _distances(foreign: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Say how far apart the authors' trigrams are, and whether that goes with what a foreign model costs."""
    known = foreign.dropna(subset=["distance_bits", "gain"])
    if known.empty:
        return []
    same = table[(table["kind"] == "own")]["distance_bits"].dropna()
    sentence = (
        f"The authors' trigrams are {known['distance_bits'].min():.3f} to {known['distance_bits'].max():.3f} bits "
    )
    sentence += "apart (Jensen-Shannon"
    sentence += f"; {same.mean():.3f} between halves of one author's text)" if len(same) else ")"
    names = sorted({*known["trained_on"], *known["evaluated_on"]})
    if len(names) < MIN_AUTHORS or known["distance_bits"].nunique() < 3:
        return [f"{sentence}, too few authors to test whether distance goes with the cost."]
    rank, p_value = mantel(known.assign(cost=-known["gain"]), "distance_bits", "cost")
    word = "goes with" if p_value < 1 - CONFIDENCE else "is not shown to go with"
    direction = "higher" if rank > 0 else "lower"
    return [f"{sentence}; a larger distance {word} a {direction} cost (Spearman's ρ = {rank:.2f}, Mantel's permutation "
            f"test p = {p_value:.2g}, n = {len(names)} authors)."]  # fmt: skip


def mantel(pairs: pd.DataFrame, first: str, second: str) -> tuple[float, float]:
    """Return Spearman's ρ of two columns over ordered pairs of authors, and its p value under relabelled authors.

    Pairs share authors, so they are no independent observations: permuting the authors respects that.
    Source: Mantel, The detection of disease clustering and a generalized regression approach, Cancer Res. 27, 1967.
    """
    names = sorted({*pairs["trained_on"], *pairs["evaluated_on"]})
    places = {name: place for place, name in enumerate(names)}
    rows, columns = (pairs[side].map(places).to_numpy() for side in ("trained_on", "evaluated_on"))
    matrix = np.full((len(names), len(names)), np.nan)
    matrix[rows, columns] = pairs[first].rank()
    other = pairs[second].rank().to_numpy()

    def correlation(order: Sequence[int]) -> float:
        own = matrix[np.ix_(order, order)][rows, columns]
        known = np.isfinite(own)
        return float(np.corrcoef(own[known], other[known])[0, 1])

    if len(names) <= EXACT_AUTHORS:
        orders = list(permutations(range(len(names))))
    else:
        generator = np.random.default_rng(0)
        orders = [tuple(range(len(names))), *(tuple(generator.permutation(len(names))) for _ in range(999))]
    observed = correlation(orders[0])
    as_far = [abs(correlation(order)) >= abs(observed) - 1e-12 for order in orders]
    return observed, float(np.mean(as_far))


def _missing(transfer: pd.DataFrame, table: pd.DataFrame, combined: pd.DataFrame) -> list[str]:
    missing = []
    if combined.empty:
        missing.append("missing: a model of all authors together with as many tokens (--authors each,all --mix equal).")
    if transfer["seed"].nunique() < 2 or (combined["n"] < 2).any():
        missing.append("missing: more than one finished seed of each model (--seeds 3): one gives no interval.")
    if table["distance_bits"].isna().all():
        missing.append("missing: the distances between the authors' n-grams ('harness exercises deep-rnn-4').")
    return missing


def _draw(table: pd.DataFrame) -> charts.Drawn:
    points = [
        (
            f"trained on {row['trained_on']}",
            row["evaluated_on"],
            row["bits_per_char"],
            row["bits_low"],
            row["bits_high"],
        )
        for row in records(table)
    ]
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-4",
        title="Own author, other authors, all together",
        x=charts.Axis(title="evaluated on", nominal=True),
        y=charts.Axis(title="Bits per character of held-out text"),
        caption=f"Each author's held-out text under every model (n = {int(table['n'].max())} seeds); bars are 95 % t "
        "intervals over seeds, where there are several.",
        lines=False,
    )
