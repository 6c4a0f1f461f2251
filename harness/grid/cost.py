"""Predicts what trials cost before they run, from their arithmetic and this machine's speed at it."""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.contracts.network import Architecture, canonical_shapes
from harness.plugins.registry import Registry
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.targets import resolve
from harness.worker.trial import Trial

START_SECONDS = 2.0
"""About what it takes a worker to import its framework and build the model."""
_ELEMENTWISE_SHARE = 1.5
"""Everything beside the products (gates, losses, updates) takes about half as long as they do."""

_BASELINE_TOKENS_PER_S = 200_000.0
"""About what counting or compressing does."""

_LARGEST = 1024
"""A product beyond this size is about as fast, and would only take memory to measure."""


@dataclass(frozen=True)
class Prediction:
    """Predicted seconds, trial by trial and for all of them on some slots."""

    trial_seconds: tuple[float, ...]

    def wall_seconds(self, num_slots: int) -> float:
        """Return the length of the run when the longest trials go first."""
        loads = [0.0] * max(1, num_slots)  # a heap: the least is first
        for seconds in sorted(self.trial_seconds, reverse=True):
            heapq.heapreplace(loads, loads[0] + seconds)
        return max(loads)


def predict(trials: Sequence[Trial], registry: Registry, corpora: Sequence[TokenisedCorpus]) -> Prediction:
    """Predict each trial's seconds on one CPU thread."""
    valid_tokens = {corpus.digest: corpus.valid_tokens for corpus in corpora}
    held_out_tokens = {corpus.digest: sum(part.num_tokens for part in corpus.held_out) for corpus in corpora}
    speed = _Speed()

    def seconds(trial: Trial) -> float:
        valid, held_out = (tokens.get(trial.corpus_digest, 0) / 3 for tokens in (valid_tokens, held_out_tokens))
        if trial.is_baseline:
            return START_SECONDS + (trial.train_tokens + valid + held_out) / _BASELINE_TOKENS_PER_S
        tokens = trial.num_epochs * (trial.train_tokens + valid) + held_out
        # Windows of stride 1 show each token as often as a window has steps.
        tokens *= trial.num_steps if trial.partition == "windows" else 1
        flops = flops_per_token(trial, registry) * _ELEMENTWISE_SHARE
        return START_SECONDS + tokens * flops / speed.of(trial.batch_size, trial.num_hiddens)

    return Prediction(tuple(seconds(trial) for trial in trials))


def flops_per_token(trial: Trial, registry: Registry) -> float:
    """Return 2 × weights used × 3, for forward and backward; the one-hot input product counts nothing."""
    architecture = Architecture(vocab_size=trial.vocab_size, num_layers=trial.num_layers, num_hiddens=trial.num_hiddens)
    try:
        shapes = canonical_shapes(resolve(registry.cells[trial.cell].equations), architecture)
    except (Exception, SystemExit):
        # A cell that can't be loaded will say so in its trial; here it costs as much as an LSTM.
        return 6.0 * (8 * trial.num_layers - 4) * trial.num_hiddens**2
    first_product = "layers.0.W_x"
    return 6.0 * sum(shape[0] * shape[1] for name, shape in shapes.items() if len(shape) == 2 and name != first_product)


class _Speed:
    """The machine's product rate at the recurrent shape, measured once for each size, in FLOP/s."""

    def __init__(self) -> None:
        self._rates: dict[tuple[int, int], float] = {}

    def of(self, batch_size: int, num_hiddens: int) -> float:
        size = (min(batch_size, _LARGEST), min(num_hiddens, _LARGEST))
        if size not in self._rates:
            self._rates[size] = _product_rate(*size)
        return self._rates[size]


def _product_rate(batch_size: int, num_hiddens: int) -> float:
    H = np.ones((batch_size, num_hiddens), np.float32)  # noqa: N806 (the equations' symbols)
    W = np.ones((num_hiddens, 4 * num_hiddens), np.float32)  # noqa: N806
    flops = 2.0 * H.size * W.shape[1]
    rates: list[float] = []
    begun = time.perf_counter()
    # Long enough for a median that one interruption on a busy machine does not make.
    while (taken := time.perf_counter() - begun) < 0.02 or (len(rates) < 100 and taken < 0.2) or not rates:
        since = time.perf_counter()
        H @ W
        rates.append(flops / (time.perf_counter() - since))
    return sorted(rates)[len(rates) // 2]
