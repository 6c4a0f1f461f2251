"""How hard an author's own words are: those that stand in their held-out text and in no other author's, as names do."""

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Ids
from harness.contracts.exercises import Row
from harness.worker.probes.subject import MAX_FLOATS, WARM_UP, Floats, Subject, log_softmax, row

OWN, SHARED = "own words of {}", "shared words of {}"
"""The quantities, by author: bits a letter, given all before it."""
FEWEST = 3
"""As often an own word must stand in its author's held-out text: chance leaves few such words out of all others'."""
_ROWS = 16
_READ_TOKENS = 40_000


def own_words(subject: Subject) -> Iterator[Row]:
    """Yield, for each author, the bits of a letter in words that only this author uses, and in all other words.

    The words are those of all held-out parts, so that every model of one text is asked for the same. Texts read by
    characters alone; nothing of one author.
    """
    texts = {author: part for (author, kind), part in subject.held_out.items() if kind == "valid"}
    if subject.trial.tokens != "char" or len(texts) < 2:
        return
    letters = np.array([len(symbol) == 1 and symbol.isalpha() for symbol in subject.symbols])
    counts: dict[str, Counter[bytes]] = {author: Counter() for author in texts}
    for (author, _), part in subject.held_out.items():
        counts[author].update(word for _, _, word in _words(np.asarray(part), letters))
    for author, part in texts.items():
        others = set(itertools.chain.from_iterable(counts[other] for other in texts if other != author))
        own = {word for word, number in counts[author].items() if number >= FEWEST and word not in others}
        yield from _of_author(subject, author, np.asarray(part), own, letters)


def _of_author(subject: Subject, author: str, part: Ids, own: set[bytes], letters: NDArray[np.bool_]) -> Iterator[Row]:
    part = part[: min(_READ_TOKENS, MAX_FLOATS // len(subject.symbols))]
    is_own = np.zeros(len(part), dtype=bool)
    for start, stop, word in _words(part, letters):
        is_own[start:stop] = word in own
    losses, places = _bits(subject, part)
    asked = letters[part[places]]
    for name, chosen in ((OWN, asked & is_own[places]), (SHARED, asked & ~is_own[places])):
        if chosen.any():
            yield row(name.format(author), 0, losses[chosen])


def _words(ids: Ids, letters: NDArray[np.bool_]) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each run of letters begins and ends, and its letters."""
    inside = np.concatenate([[False], letters[ids], [False]]).astype(np.int8)
    starts, stops = (np.flatnonzero(np.diff(inside) == step) for step in (1, -1))
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        yield start, stop, ids[start:stop].tobytes()


def _bits(subject: Subject, part: Ids) -> tuple[Floats, NDArray[np.int64]]:
    """Return the bits of tokens of a part, read in rows from the zero state, and where in it they stand."""
    length = len(part) // min(_ROWS, max(1, len(part) // (4 * WARM_UP)))
    starts = np.arange(0, len(part) - length + 1, length)
    places = np.arange(length)[:, None] + starts[None, :]
    sequences = part[places].astype(np.int64)
    logits, _ = subject.model.logits(sequences[:-1], subject.model.initial_state(sequences.shape[1]))
    probabilities = log_softmax(logits)
    losses = -np.take_along_axis(probabilities, sequences[1:, :, None], axis=-1)[:, :, 0] / np.log(2)
    return losses[WARM_UP:].reshape(-1), places[1 + WARM_UP :].reshape(-1)
