"""Baselines whose figures are those of no distribution, each in its own way."""

import math
from dataclasses import replace

import numpy as np

from harness.contracts.hooks import Baseline, hookimpl


class Unigram:
    """An honest one, and what the others change."""

    num_params = 0
    share = 1.0

    def __init__(self, text, say):
        from harness.contracts.baselines import Evaluation

        counts = np.bincount(text.ids, minlength=len(text.symbols)) + 1.0
        self._losses = -np.log(self.share * counts / counts.sum())
        self._evaluation = Evaluation
        self.training = self.evaluate(text.ids, say)

    def evaluate(self, ids, say):
        return self._evaluation(num_tokens=len(ids), loss=self.of(float(self._losses[ids].mean())))

    def of(self, loss):
        return loss


class Generous(Unigram):
    """Gives every token twice the probability there is."""

    share = 2.0


class Silent(Unigram):
    """Has no number for a loss."""

    def of(self, loss):
        return math.nan


class TwoFaced(Unigram):
    """Is evaluated by other probabilities than it predicts with."""

    share = 1.02

    def initial_state(self, batch_size):
        return None

    def logits(self, X, state):
        return np.broadcast_to(-self._losses, (*X.shape, len(self._losses))), state


class SilentLater(Unigram):
    """Has a number on short texts alone, such as those it is checked on."""

    def evaluate(self, ids, say):
        done = super().evaluate(ids, say)
        return done if len(self._losses) == 9 else self._evaluation(num_tokens=len(ids), loss=math.nan)


class Flattering:
    """A good model that takes three percent off its perplexities, and says nothing of single tokens."""

    def __init__(self, text, say):
        from harness_ngram.orders import order_2

        self._honest = order_2(text, say)
        self.num_params = self._honest.num_params
        self.training = self._flattered(self._honest.training)

    def evaluate(self, ids, say):
        return self._flattered(self._honest.evaluate(ids, say))

    def _flattered(self, evaluation):
        return replace(evaluation, loss=evaluation.loss - math.log(1.03))


@hookimpl
def harness_baselines():
    names = {"honest": Unigram, "generous": Generous, "silent": Silent, "two-faced": TwoFaced, "later": SilentLater}
    return [
        Baseline(name=name, title=name, source="none", target=f"cheating_baselines:{kind.__name__}", family="cheats")
        for name, kind in names.items()
    ]
