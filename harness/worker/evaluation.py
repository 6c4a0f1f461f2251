"""What a trained model reaches on every author's held-out text, also of authors it has never read."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.contracts.backends import Model, Tokens
from harness.contracts.measures import measured
from harness.worker.events import Evaluated, Progress
from harness.worker.job import HeldOutPart
from harness.worker.minibatches import evaluation_minibatches
from harness.worker.training import Report, evaluate, named
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

    figures = named(evaluate(model, tokens, num_rows, trial.num_steps, trial.partition, alive))
    num_predicted = evaluation_minibatches(tokens, num_rows, trial.num_steps, trial.partition).num_predicted
    return evaluated(part, num_predicted, figures)


def evaluated(part: HeldOutPart, num_tokens: int, figures: Mapping[str, float]) -> Evaluated:
    """Return what is reported of a part, of which so many tokens were predicted."""
    return Evaluated(
        author=part.author,
        part=part.part,
        num_tokens=num_tokens,
        num_chars=num_tokens * part.chars_per_token,
        measures=measured("held_out", figures, part.chars_per_token),
    )
