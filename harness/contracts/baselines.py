"""The contract of a baseline inside a worker: fitted once to a text, then only asked.

A baseline takes no optimizer steps, so it has no gradients to compare: the parity certificate does not apply to it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.contracts.backends import Tokens

Say = Callable[[float], None]
"""Called now and then while a baseline works, with the share that is done: a worker that is silent is ended."""


@dataclass(frozen=True, kw_only=True)
class TrainingText:
    """What a baseline is fitted to."""

    ids: Tokens
    symbols: Sequence[str]
    """By id; one of them is '<unk>', which the training text itself may not have."""
    tokens: str
    """'char' or 'word'."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a text was predicted."""

    num_tokens: int
    """Tokens predicted: one fewer than the text has where nothing is said of its first."""
    loss: float
    """Mean cross-entropy, nats per token."""
    accuracy: float = math.nan
    """Share of tokens that were the most probable one, a tie counting against the model; NaN where not defined."""
    top5_accuracy: float = math.nan


class Fitted(Protocol):
    """A baseline that knows its training text; one that is also a `Predictor` generates text too."""

    num_params: int
    """What it keeps of the training text: counts, for an n-gram."""
    training: Evaluation
    """On the training text itself."""

    def evaluate(self, ids: Tokens, say: Say) -> Evaluation:
        """Predict each token of another text from those before it, the first or not."""
        ...
