"""What a trained model reaches on every author's held-out text, also of authors it has never read."""

import math
from collections.abc import Sequence

import numpy as np

from harness.worker.backends import ACCURACY, LOSS, TOP5_ACCURACY, Model
from harness.worker.events import Evaluated, Progress
from harness.worker.job import HeldOutPart
from harness.worker.minibatches import Sequential, Tokens
from harness.worker.training import Report, evaluate
from harness.worker.trial import Trial


def evaluate_held_out(model: Model, trial: Trial, parts: Sequence[HeldOutPart], report: Report) -> None:
    """Report the model's figures on each part."""
    for part in parts:
        tokens: Tokens = np.load(part.path, mmap_mode="r", allow_pickle=False)
        report(_evaluated(model, trial, part, tokens[part.start : part.stop], report))


def _evaluated(model: Model, trial: Trial, part: HeldOutPart, tokens: Tokens, report: Report) -> Evaluated:
    # A short part has fewer rows, so that a whole window of it is read.
    num_rows = max(1, min(trial.batch_size, (len(tokens) - 1) // trial.num_steps))

    def alive() -> None:
        report(Progress(epoch=trial.num_epochs, fraction=1.0, loss=math.nan, tokens_per_s=math.nan))

    figures = evaluate(model, tokens, num_rows, trial.num_steps, alive)
    num_tokens = len(Sequential(tokens, num_rows, trial.num_steps)) * num_rows * trial.num_steps
    return Evaluated(
        author=part.author,
        part=part.part,
        num_tokens=num_tokens,
        num_chars=num_tokens * part.chars_per_token,
        loss=float(figures[LOSS]),
        accuracy=float(figures[ACCURACY]),
        top5_accuracy=float(figures[TOP5_ACCURACY]),
        bits_per_char=float(figures[LOSS]) / math.log(2) / part.chars_per_token,
    )
