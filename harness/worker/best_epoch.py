"""The weights of the epoch that is best on validation, held while training goes on past it."""

import math
from dataclasses import dataclass, field

from harness.contracts.backends import Model
from harness.contracts.weights import Weights


@dataclass
class BestEpoch:
    """The best epoch so far."""

    epoch: int = 0
    valid_loss: float = math.inf
    """NaN where earlier epochs are not known: then no later one can be told to be the best."""
    weights: Weights = field(default_factory=dict)

    def consider(self, model: Model, epoch: int, valid_loss: float) -> None:
        """Take the model's weights where the epoch it has just done is better than all before.

        Of equals the first stays. Validation alone decides: a test part has no say in which weights it judges.
        """
        if valid_loss < self.valid_loss:
            self.epoch, self.valid_loss, self.weights = epoch, valid_loss, model.weights()
