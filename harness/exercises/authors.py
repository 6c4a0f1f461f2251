"""How far apart authors write: the distance between the distributions of their n-grams."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.texts.tokenised import TokenisedCorpus
from harness.worker.probes import Row
from harness.worker.trial import Trial

PROBE = "author_distance"
ORDER = 3
"""Trigrams: long enough to tell words from words, short enough to be counted."""


def distances(corpora: Sequence[TokenisedCorpus], trials: Sequence[Trial]) -> dict[str, list[Row]]:
    """Return each author's distance to every other by a trial of that author, as rows of a probe.

    The distance is the Jensen-Shannon divergence of the trigrams of equally long training texts, in bits: 0 for the
    same, 1 where no trigram is shared. An author's distance from itself is that of the text's two halves: what two
    texts of one hand differ by.
    """
    alone: dict[tuple[str, str, str], dict[str, TokenisedCorpus]] = {}
    for corpus in corpora:
        if corpus.authors != "all" and "+" not in corpus.authors:
            alone.setdefault((corpus.name, corpus.text, corpus.tokens), {})[corpus.authors] = corpus
    found: dict[str, list[Row]] = {}
    for by_author in alone.values():
        if len(by_author) < 2:
            continue
        texts = {author: np.load(corpus.train_path, mmap_mode="r") for author, corpus in by_author.items()}
        half = min(len(text) for text in texts.values()) // 2
        first = {trial.corpus_digest: trial.trial_id for trial in reversed(trials)}
        for one, other in product(texts, texts):
            trial_id = first.get(by_author[one].digest)
            if trial_id is not None:
                divergence = jensen_shannon(texts[one][:half], texts[other][-half:])
                found.setdefault(trial_id, []).append((other, float(ORDER), divergence, float("nan"), half))
    return found


def jensen_shannon(one: NDArray[np.unsignedinteger], other: NDArray[np.unsignedinteger]) -> float:
    """Return the Jensen-Shannon divergence of two texts' trigrams, in bits (Lin 1991)."""
    grams = [_grams(np.asarray(text)) for text in (one, other)]
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
