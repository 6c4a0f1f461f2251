"""Checks of a baseline, before it is fitted to a text: its probabilities sum to one, and its losses are theirs.

A model may be wrong about a text as it likes, but not sure of more than one outcome at once. Of a text drawn from a
known source no distribution over texts, normalised after every context, can expect a probability above the source's
own: by Markov's inequality one that falls short of the source's −log p by d nats is one of exp(−d) of all texts. That
asks nothing of a baseline but losses, and so holds for compressors too.
"""

import math

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Predictor
from harness.contracts.baselines import Evaluation, Fitted, TrainingText
from harness.worker.connection import Connection
from harness.worker.events import Checked
from harness.worker.job import CheckBaselineJob
from harness.worker.targets import resolve
from harness.worker.watched_cell import cause

_SYMBOLS = ("<unk>", *"abcdefgh")
_NUM_LETTERS = len(_SYMBOLS) - 1
_TRAINED, _EVALUATED, _PREDICTED = 20_000, 6_000, 400
"""Tokens of the drawn texts."""
_SLACK = 30.0
"""Nats of a whole text: so much below, chance has odds of exp(30) against it."""
_TOLERANCE = 1e-6

Ids = NDArray[np.uint8]


def check_baseline(job: CheckBaselineJob, connection: Connection) -> None:
    """Check the baseline a job names, and say what is wrong with it."""
    connection.send(Checked(problem=problem_of(job.target)))


def problem_of(target: str) -> str:
    """Return what is wrong with a baseline, in one sentence; empty where nothing is."""
    trained, evaluated, source = _drawn(_TRAINED, 0), _drawn(_EVALUATED, 1), _source()
    try:
        text = TrainingText(ids=trained, symbols=_SYMBOLS, tokens="char")
        fitted: Fitted = resolve(target)(text, _hear)
        evaluation = fitted.evaluate(evaluated, _hear)
        problem = _of_figures(fitted.training, "the training text") or _of_figures(evaluation, "a held-out text")
        if not problem and isinstance(fitted, Predictor):
            problem = _of_predictions(fitted, evaluated[:_PREDICTED])
    except Exception as error:
        return f"it cannot be fitted to a text of {_TRAINED:,} letters and evaluated: {cause(error)}"
    return problem or _of_probability(evaluation, _loss_of_source(source, evaluated))


def _hear(_: float) -> None:
    """Hear how far it is."""


def _of_figures(evaluation: Evaluation, text: str) -> str:
    wrong = [name for name, value in evaluation.figures.items() if math.isnan(value)]
    wrong += [name for name, value in evaluation.others.items() if not 0 <= value <= 1 and name.endswith("accuracy")]
    return f"evaluate gives a {wrong[0]} of {evaluation.figures[wrong[0]]} on {text}" if wrong else ""


def _of_probability(evaluation: Evaluation, source_loss: float) -> str:
    """Hold the loss of a text against its source's own, nats of the whole text."""
    needed = evaluation.loss * evaluation.num_tokens
    if needed >= source_loss - _SLACK:
        return ""
    return (
        f"its probabilities sum to more than one: a text drawn from a known source takes it {evaluation.loss:.3f} nats "
        f"a token, where no distribution can expect less than {source_loss / evaluation.num_tokens:.3f}; the "
        "probabilities of all symbols after a context must sum to one"
    )


def _of_predictions(fitted: Fitted, ids: Ids) -> str:
    """Hold what it is evaluated by against what it predicts: log probabilities, or logits of them."""
    assert isinstance(fitted, Predictor)
    logits, _ = fitted.logits(ids[:-1, None].astype(np.int64), fitted.initial_state(1))
    predicted = np.asarray(logits, np.float64)[:, 0]
    if predicted.shape != (len(ids) - 1, len(_SYMBOLS)) or np.isnan(predicted).any():
        return f"logits gives {predicted.shape} for a text of {len(ids) - 1} tokens, or values that are no numbers"
    sums = np.exp(predicted - predicted.max(axis=1, keepdims=True)).sum(axis=1)
    own = predicted[np.arange(len(predicted)), ids[1:]] - predicted.max(axis=1)
    loss, reached = float(np.mean(np.log(sums) - own)), _loss_after_the_first(fitted, ids)
    if abs(loss - reached) <= _TOLERANCE * max(1.0, loss):
        return ""
    return (
        f"evaluate gives a loss of {reached:.4f} where its own predictions, summing to one, make {loss:.4f}: "
        f"the probabilities it is evaluated by sum to {math.exp(loss - reached):.3g} on average"
    )


def _loss_after_the_first(fitted: Fitted, ids: Ids) -> float:
    """Return the mean loss of all tokens but the first, of which a baseline may say something or not."""
    whole = fitted.evaluate(ids, _hear)
    total = whole.loss * whole.num_tokens
    if whole.num_tokens == len(ids):
        total -= fitted.evaluate(ids[:1], _hear).loss
    return total / (len(ids) - 1)


# --- texts of a known source ------------------------------------------------------------------------------------------


def _source() -> NDArray[np.float64]:
    """Return each letter's chances after each letter: uneven ones, so that there is something to learn."""
    return np.random.default_rng(7).dirichlet(np.full(_NUM_LETTERS, 0.4), _NUM_LETTERS) * 0.95 + 0.05 / _NUM_LETTERS


def _drawn(count: int, seed: int) -> Ids:
    """Draw a text of letters, each after the one before it; '<unk>' is never among them."""
    generator, chances = np.random.default_rng(seed), _source().cumsum(axis=1)
    letters, drawn = np.zeros(count, np.uint8), generator.random(count)
    for place in range(1, count):
        letters[place] = min(int(np.searchsorted(chances[letters[place - 1]], drawn[place])), _NUM_LETTERS - 1)
    return letters + 1


def _loss_of_source(source: NDArray[np.float64], ids: Ids) -> float:
    """Return the source's own −log p of a text, its first letter left out."""
    return float(-np.log(source[ids[:-1] - 1, ids[1:] - 1]).sum())
