"""What a trained model reaches on every author's held-out text, also of authors it has never read."""

import math
from collections.abc import Sequence

import numpy as np

from harness.contracts.backends import ACCURACY, LOSS, TOP5_ACCURACY, Model, Tokens
from harness.worker.events import Evaluated, Progress
from harness.worker.job import HeldOutPart
from harness.worker.minibatches import evaluation_minibatches
from harness.worker.training import Report, evaluate
from harness.worker.trial import Trial


def evaluate_held_out(model: Model, trial: Trial, parts: Sequence[HeldOutPart], report: Report) -> None:
    """Report the model's figures on each part."""
    for part in parts:
        report(_evaluate(model, trial, part, read_part(part), report))


def read_part(part: HeldOutPart) -> Tokens:
    """Return a part's tokens, mapped."""
    tokens: Tokens = np.load(part.path, mmap_mode="r", allow_pickle=False)
    return tokens[part.start : part.stop]


def _evaluate(model: Model, trial: Trial, part: HeldOutPart, tokens: Tokens, report: Report) -> Evaluated:
    num_rows = trial.batch_size
    if trial.partition != "windows":
        # A short part has fewer rows, so that a whole window of it is read.
        num_rows = max(1, min(num_rows, (len(tokens) - 1) // trial.num_steps))

    def alive() -> None:
        report(Progress(epoch=trial.num_epochs, fraction=1.0, loss=math.nan, tokens_per_s=math.nan))

    figures = evaluate(model, tokens, num_rows, trial.num_steps, trial.partition, alive)
    num_predicted = evaluation_minibatches(tokens, num_rows, trial.num_steps, trial.partition).num_predicted
    return evaluated(part, num_predicted, *(float(figures[name]) for name in (LOSS, ACCURACY, TOP5_ACCURACY)))


def evaluated(part: HeldOutPart, num_tokens: int, loss: float, accuracy: float, top5_accuracy: float) -> Evaluated:
    """Return what is reported of a part, of which so many tokens were predicted; the loss is in nats per token."""
    return Evaluated(
        author=part.author,
        part=part.part,
        num_tokens=num_tokens,
        num_chars=num_tokens * part.chars_per_token,
        loss=loss,
        accuracy=accuracy,
        top5_accuracy=top5_accuracy,
        bits_per_char=loss / math.log(2) / part.chars_per_token,
    )
