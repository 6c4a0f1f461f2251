"""What probes ask, a model and its text, and what they answer: rows of observations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Ids, Tokens
from harness.contracts.exercises import Row
from harness.contracts.weights import Weights
from harness.worker.trial import Trial

Floats = NDArray[np.float64]

WARM_UP = 16
"""Tokens a model has read before what it does is looked at."""
MAX_FLOATS = 1 << 25
"""Of one array of predictions: 256 MB."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and its text."""

    trial: Trial
    model: Any
    """A `Predictor`; where it was trained, a `Model` of the numpy backend in float64."""
    train: Tokens
    valid: Tokens
    symbols: Sequence[str]
    stages: Mapping[str, Weights]
    """The model's weights at 'init' and 'trained'; none of a baseline."""
    held_out: Mapping[tuple[str, str], Tokens] = field(default_factory=dict)
    """Every author's 'valid' and 'test' part, whoever trained the model."""


def windows(subject: Subject, length: int, most: int) -> Ids:
    """Return stretches of the held-out text, evenly apart. Shapes: (length, count).

    Raises: ValueError where the text is shorter than one.
    """
    valid = subject.valid
    if len(valid) < length:
        raise ValueError(f"the held-out text has {len(valid)} tokens, and this probe needs {length}")
    count = max(1, min(most, len(valid) - length + 1, MAX_FLOATS // (length * len(subject.symbols))))
    starts = np.linspace(0, len(valid) - length, count).astype(np.int64)
    ids: Ids = np.asarray(valid)[np.arange(length)[:, None] + starts[None, :]].astype(np.int64)
    return ids


def log_softmax(logits: NDArray[np.floating]) -> Floats:
    """Return the logarithms of the probabilities that logits stand for, over the last axis."""
    scaled = np.asarray(logits, np.float64)
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    normal: Floats = scaled - np.log(np.sum(np.exp(scaled), axis=-1, keepdims=True))
    return normal


def row(quantity: str, at: float, values: Any) -> Row:
    """Return the row of observations: quantity, where it was measured, mean, standard deviation (ddof=1), number."""
    observed = np.asarray(values, dtype=np.float64)
    deviation = float(observed.std(ddof=1)) if observed.size > 1 else float("nan")
    return quantity, float(at), float(observed.mean()), deviation, int(observed.size)
