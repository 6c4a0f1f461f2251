"""How far apart authors write: the distance between the distributions of their n-grams."""

import math
from collections.abc import Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.frames import Run
from harness.contracts.exercises import ReadText, Row

PROBE = "author_distance"
ORDER = 3
"""Trigrams: long enough to tell words from words, short enough to be counted."""
EXACT_AUTHORS = 6
"""Up to so many authors every relabelling is looked at; beyond, a thousand."""


def distances(texts: Sequence[ReadText]) -> dict[str, list[Row]]:
    """Return each author's distance to every other, as rows of a probe by a trial of that author.

    The distance is the Jensen-Shannon divergence of the trigrams of equally long training texts, in bits: 0 for the
    same, 1 where no trigram is shared. An author's distance from itself is that of the text's two halves: what two
    texts of one hand differ by.
    """
    alone: dict[tuple[str, str, str], dict[str, ReadText]] = {}
    for text in texts:
        if text.authors != "all" and "+" not in text.authors:
            alone.setdefault((text.corpus, text.text, text.tokens), {})[text.authors] = text
    return {trial_id: rows for by_author in alone.values() for trial_id, rows in _within(by_author).items()}


def _within(by_author: Mapping[str, ReadText]) -> dict[str, list[Row]]:
    """Return the distances among the authors of one corpus; none of a single author."""
    if len(by_author) < 2:
        return {}
    half = min(len(text.ids) for text in by_author.values()) // 2
    rows: dict[str, list[Row]] = {}
    for author, other in product(by_author, by_author):
        divergence = jensen_shannon(by_author[author].ids[:half], by_author[other].ids[-half:])
        row = (other, float(ORDER), divergence, float("nan"), half)
        rows.setdefault(by_author[author].trial_id, []).append(row)
    return rows


def distance(run: Run, author: str, other: str) -> float:
    """Return the distance between two authors' trigrams, where it was measured."""
    mine = set(run.trials.loc[run.trials["authors"] == author, "trial_id"])
    distances = run.probes[(run.probes["probe"] == PROBE) & (run.probes["quantity"] == other)]
    own = distances[distances["trial_id"].isin(mine)]
    return float(own["value"].mean()) if len(own) else math.nan


def jensen_shannon(first: NDArray[np.unsignedinteger], second: NDArray[np.unsignedinteger]) -> float:
    """Return the Jensen-Shannon divergence of two texts' trigrams, in bits (Lin 1991)."""
    grams = [_grams(np.asarray(text)) for text in (first, second)]
    _, places = np.unique(np.concatenate(grams), return_inverse=True)
    sides = np.split(places.reshape(-1), [len(grams[0])])
    p, q = (np.bincount(side, minlength=int(places.max()) + 1) / len(side) for side in sides)
    middle = (p + q) / 2
    return float(sum(0.5 * np.sum(part[part > 0] * np.log2(part[part > 0] / middle[part > 0])) for part in (p, q)))


def _grams(ids: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    wide = ids.astype(np.int64)
    count = len(wide) - ORDER + 1
    base = 1 << 20  # more than any vocabulary here has tokens
    grams: NDArray[np.int64] = sum(wide[place : place + count] * base**place for place in range(ORDER))
    return grams


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
