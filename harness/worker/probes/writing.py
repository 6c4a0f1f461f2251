"""What a model writes: how much of it repeats itself, and how much is new."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Ids, Predictor
from harness.contracts.exercises import Row
from harness.worker.probes.subject import WARM_UP, Subject, log_softmax, row, windows

TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
GRAM = 8
"""Tokens of a passage that counts as repeated or as copied."""
_TEXTS = 8
_TEXT_TOKENS = 400


def generation(subject: Subject) -> Iterator[Row]:
    """Yield, by temperature, how much of generated text repeats itself and how much is not in the training text.

    Both are shares of its passages of `GRAM` tokens; at −1 stand those of the held-out text, as long and as many.
    """
    known = np.unique(_passages(np.asarray(subject.train)))
    held_out = windows(subject, _TEXT_TOKENS, _TEXTS).T
    prefixes = held_out[:, :WARM_UP].T
    texts = {-1.0: held_out} | {
        temperature: _generate(subject.model, prefixes, temperature) for temperature in TEMPERATURES
    }
    for temperature, written in texts.items():
        passages = [_passages(text) for text in written]
        yield row("repetition", temperature, [1 - len(np.unique(each)) / len(each) for each in passages])
        yield row("novelty", temperature, [float(np.mean(~np.isin(each, known))) for each in passages])


def _generate(model: Predictor, prefixes: Ids, temperature: float) -> Ids:
    """Continue each prefix. Shapes: prefixes (num_steps, count); (count, `_TEXT_TOKENS`)."""
    generator = np.random.default_rng(0)
    logits, state = model.logits(prefixes, model.initial_state(prefixes.shape[1]))
    written = []
    for _ in range(_TEXT_TOKENS):
        last = log_softmax(logits[-1])
        # Adding Gumbel noise and taking the largest draws from the softmax (Gumbel 1954).
        noise = generator.gumbel(size=last.shape) * temperature
        tokens = np.argmax(last + noise, axis=1).astype(np.int64)
        written.append(tokens)
        logits, state = model.logits(tokens[None], state)
    return np.stack(written, axis=1)


def _passages(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each run of `GRAM` tokens, the same for the same tokens and hardly ever for others."""
    factors = np.random.default_rng(0).integers(1, 2**63, GRAM, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    count = max(0, len(ids) - GRAM + 1)
    hashes = np.zeros(count, np.uint64)
    for position, factor in enumerate(factors):
        hashes += (ids[position : position + count].astype(np.uint64) + np.uint64(1)) * factor
        hashes ^= hashes >> np.uint64(29)
    return hashes
