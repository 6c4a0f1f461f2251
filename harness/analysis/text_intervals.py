"""How far a loss depends on the text it was measured on: intervals over blocks of held-out text.

Another text of the same kind would give another loss. The blocks of one text stand for it: neighbouring ones are alike,
so they are drawn in runs (the circular block bootstrap), and two models are compared block by block, since a passage
that is hard is hard for both. The bootstrap's variance of a mean has a closed form, and nothing is drawn. Runs of
n^(1/3) blocks miss a part of the likeness of neighbours; the rest is made up for as if it faded from block to block by
one factor. In simulation, intervals of 30 to 200 blocks cover 95 to 96 % where neighbours correlate by up to 0.3, and
92 to 95 % at 0.6 (tests/analysis/test_text_intervals.py).

Source: Politis and Romano, A circular block-resampling procedure for stationary data, 1992; Künsch 1989; Hall, Horowitz
and Jing 1995 for the length of runs.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from harness.analysis.statistics import UNKNOWN, Floats, Interval, t_margin
from harness.worker.trial import trains

FEWEST_BLOCKS = 20
"""Of fewer the likeness of neighbours cannot be seen."""
_MOST_LIKENESS = 0.8

Blocks = npt.NDArray[np.float64]
"""Tokens and their mean loss, by block of a text: (blocks, 2)."""


def text_interval(losses: npt.ArrayLike, tokens: npt.ArrayLike) -> Interval:
    """Return the mean loss over a text's tokens with its interval over texts, from blocks in the text's order.

    Shapes: both (blocks,). No interval below `FEWEST_BLOCKS`.
    """
    values, weights = np.asarray(losses, np.float64), np.asarray(tokens, np.float64)
    values, weights = values[weights > 0], weights[weights > 0]
    if not values.size:
        return UNKNOWN
    mean = float(weights @ values / weights.sum())
    if values.size < FEWEST_BLOCKS:
        return Interval(mean, math.nan, math.nan)
    # A mean over tokens is a ratio of sums; to first order it varies as the mean of these does.
    error, freedom = _error_of_mean((values - mean) * weights / weights.mean())
    margin = t_margin(error, freedom)
    return Interval(mean, mean - margin, mean + margin)


def _error_of_mean(values: Floats) -> tuple[float, float]:
    """Return the standard error of a mean of neighbours that are alike, and its degrees of freedom."""
    n, length = values.size, max(1, round(values.size ** (1 / 3)))
    deviations = values - values.mean()
    sums = np.convolve(np.concatenate([deviations, deviations[: length - 1]]), np.ones(length), "valid")
    variance = float((sums**2).mean()) / length / n * n / (n - length) * _missed(deviations, length)
    return math.sqrt(variance), n / length - 1


def _missed(deviations: Floats, length: int) -> float:
    """Return by which factor runs of this length understate the variance where likeness fades like its first lag."""
    squares = float(deviations @ deviations)
    if not squares:
        return 1.0
    n = deviations.size
    first = float(deviations[1:] @ deviations[:-1]) / squares
    first = min(max(first + (1 + 3 * first) / n, 0.0), _MOST_LIKENESS)  # the estimate lies too low by about so much
    lags = np.arange(1, length)
    return (1 + first) / (1 - first) / (1 + 2 * float(np.sum((1 - lags / length) * first**lags)))


TextLosses = Mapping[tuple[str, str], Mapping[str, Blocks]]
"""By trial_id and part, the blocks of each author's text."""


def text_losses(rows: Iterable[tuple[str, str, str, Blocks]]) -> TextLosses:
    """Return losses by block, given as trial_id, author, part and blocks, by trial and part."""
    known: dict[tuple[str, str], dict[str, Blocks]] = defaultdict(dict)
    for trial_id, author, part, blocks in rows:
        known[trial_id, part][author] = blocks
    return dict(known)


def difference_over_texts(
    known: TextLosses, pairs: Iterable[tuple[str, str]], part: str, authors: str = "all"
) -> Interval:
    """Return the mean over pairs of trials of the first's loss minus the second's, with its interval over texts.

    Nats a token, block by block, on the parts of these authors; a pair counts where both read them in the same blocks.
    What differs between pairs, such as their seeds, is averaged first: this interval is over texts alone.
    """
    differences = [
        difference for pair in pairs if (difference := _differences(known, *pair, part, authors)) is not None
    ]
    if not differences or len({each.shape for each in differences}) > 1:
        return UNKNOWN
    tokens, losses = np.mean(differences, axis=0).T
    return text_interval(losses, tokens)


def _differences(known: TextLosses, first: str, second: str, part: str, authors: str) -> Blocks | None:
    """Return tokens and the difference of losses, by block of the texts that both have read."""
    texts = [known.get((trial_id, part), {}) for trial_id in (first, second)]
    shared = [author for author in texts[0] if author in texts[1] and trains(author, authors)]
    if not shared or any(len(texts[0][author]) != len(texts[1][author]) for author in shared):
        return None
    a, b = (np.concatenate([each[author] for author in shared]) for each in texts)
    tokens = np.minimum(a[:, 0], b[:, 0])  # of a baseline all tokens are predicted, of a model those of whole windows
    return np.column_stack([tokens, a[:, 1] - b[:, 1]])
