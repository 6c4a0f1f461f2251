"""How far back a model looks, what its gradients do over a long sequence, and what a longer one costs."""

import time
from collections.abc import Iterator

import numpy as np

from harness.contracts.backends import Ids, Predictor
from harness.contracts.exercises import Row
from harness.worker.minibatches import training_minibatches
from harness.worker.probes.subject import WARM_UP, Floats, Subject, log_softmax, row, windows
from harness.worker.trial import Trial

DISTANCES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48)
"""Tokens between a change and the prediction it may change."""
STEPS_BACK = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
LENGTHS = (8, 16, 32, 64, 128, 256)
_CONTEXTS = 128
_GRADIENT_CONTEXTS = 32
_MINIBATCHES = 8


# --- how far back a prediction depends on the text --------------------------------------------------------


def influence(subject: Subject) -> Iterator[Row]:
    """Change the token k steps back and yield the divergence of the prediction, KL(before ‖ after) in nats.

    The contexts stand in the same order in the same places of a minibatch each time, so that a prediction that does
    not depend on the token is the same to the last bit, and its divergence zero.
    """
    length = DISTANCES[-1] + 1
    contexts = windows(subject, length, _CONTEXTS)  # (length, count)
    before = _last_log_probabilities(subject.model, contexts)
    generator = np.random.default_rng(0)
    for distance in DISTANCES:
        changed = contexts.copy()
        position = length - 1 - distance
        changed[position] = _others(changed[position], subject, generator)
        after = _last_log_probabilities(subject.model, changed)
        yield row("kl", distance, _divergences(before, after))


def _divergences(before: Floats, after: Floats) -> Floats:
    """Return KL(before ‖ after) of each row in nats, from log probabilities.

    Since both sum to one it is Σ p (e^−d − 1 + d) with d = log p − log p′, whose terms are never negative; where d is
    small its series keeps the digits that the difference would lose, so that 10⁻²⁵ is told from nothing.
    """
    d = before - after
    terms = np.where(np.abs(d) < 1e-4, d * d / 2 - d**3 / 6 + d**4 / 24, np.expm1(-d) + d)
    divergences: Floats = np.sum(np.exp(before) * terms, axis=1)
    return divergences


def _others(ids: Ids, subject: Subject, generator: np.random.Generator) -> Ids:
    """Return another token for each: as frequent as in the text, but never the same."""
    others = generator.choice(subject.valid, size=len(ids)).astype(np.int64)
    vocab_size = len(subject.symbols)
    return np.where(others == ids, (ids + 1 + generator.integers(0, max(1, vocab_size - 1))) % vocab_size, others)


def _last_log_probabilities(model: Predictor, contexts: Ids) -> Floats:
    """Return log probabilities after each context. Shapes: contexts (length, count); (count, vocab_size)."""
    logits, _ = model.logits(contexts, model.initial_state(contexts.shape[1]))
    return log_softmax(logits[-1])


# --- what a gradient does over a long sequence ------------------------------------------------------------


def gradients(subject: Subject) -> Iterator[Row]:
    """Yield the mean logarithm of ‖∂loss_t / ∂state_{t−k}‖ before and after training.

    The state is all that a step hands on: h of every layer, and c where there is one. Each context is one text and one
    loss, so that only k differs.
    """
    length = WARM_UP + STEPS_BACK[-1]
    sequences = windows(subject, length + 1, _GRADIENT_CONTEXTS)
    inputs, targets = sequences[:-1], sequences[-1]
    for stage, weights in subject.stages.items():
        subject.model.load(weights)
        for steps in STEPS_BACK:
            _, state = subject.model.logits(inputs[: length - steps], subject.model.initial_state(inputs.shape[1]))
            parts = subject.model.last_loss_gradients(inputs[length - steps :], targets, state)
            norms = np.sqrt(sum(np.sum(part * part, axis=1) for part in parts))
            yield row(f"log_norm_{stage}", steps, np.log(np.maximum(norms, np.finfo(np.float64).tiny)))


def clipping(subject: Subject) -> Iterator[Row]:
    """Yield the gradient's norm over minibatches of the training text, and the share that the trial's clip cuts."""
    trial: Trial = subject.trial
    minibatches = training_minibatches(
        subject.train, trial.batch_size, trial.num_steps, trial.partition, trial.seed, epoch=1
    )
    for stage, weights in subject.stages.items():
        subject.model.load(weights)
        norms = []
        for (X, Y), _ in zip(minibatches, range(_MINIBATCHES), strict=False):
            _, parts = subject.model.gradients(X, Y, subject.model.initial_state(trial.batch_size))
            norms.append(np.sqrt(sum(np.sum(np.square(part)) for part in parts.values())))
        yield row(f"grad_norm_{stage}", 0, norms)
        yield row(f"clipped_{stage}", 0, [float(trial.grad_clip > 0 and norm > trial.grad_clip) for norm in norms])


def length(subject: Subject) -> Iterator[Row]:
    """Yield the seconds of one forward and backward pass by the length of the sequence."""
    num_rows = min(subject.trial.batch_size, len(subject.train) // (LENGTHS[-1] + 1))
    for steps in LENGTHS:
        whole = np.asarray(subject.train[: num_rows * (steps + 1)]).reshape(num_rows, -1).T.astype(np.int64)
        seconds = []
        for _ in range(4):
            since = time.perf_counter()
            subject.model.gradients(whole[:-1], whole[1:], subject.model.initial_state(num_rows))
            seconds.append(time.perf_counter() - since)
        yield row("seconds", steps, seconds[1:])  # the first one finds the memory
