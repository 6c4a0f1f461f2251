"""The contract of a baseline inside a worker: fitted once to a text, then only asked.

A baseline takes no optimizer steps, so it has no gradients to compare: the parity certificate does not apply to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Tokens
from harness.contracts.measures import STEP

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
    token_losses: NDArray[np.float64] | None = None
    """Of each token predicted, in the text's order; none where what is said is of the whole text alone."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Other figures by the names of `harness.contracts.measures.STEP`, such as its accuracies; one that is not defined
    is left out."""

    def __post_init__(self) -> None:
        known = {figure.name for figure in STEP}
        if unknown := [name for name in self.others if name not in known]:
            raise ValueError(f"no figure of a text: {', '.join(unknown)}")

    @property
    def figures(self) -> dict[str, float]:
        """Return the loss and the others by name."""
        return {"loss": self.loss, **self.others}


class Fitted(Protocol):
    """A baseline that knows its training text; one that is also a `Predictor` generates text too."""

    num_params: int
    """What it keeps of the training text: counts, for an n-gram."""
    training: Evaluation
    """On the training text itself."""

    def evaluate(self, ids: Tokens, say: Say) -> Evaluation:
        """Predict each token of another text from those before it, the first or not."""
        ...
