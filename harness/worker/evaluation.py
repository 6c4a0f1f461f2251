"""What a trained model reaches on every author's held-out text, also of authors it has never read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.contracts.backends import Model, Tokens
from harness.contracts.measures import measured
from harness.worker.events import Evaluated, EvaluatedPart, Progress
from harness.worker.figures import evaluate
from harness.worker.job import HeldOutPart
from harness.worker.minibatches import evaluation_minibatches
from harness.worker.training import Report
from harness.worker.trial import Trial, trains

BEST_EPOCH: EvaluatedPart = "best_epoch_test"


def evaluate_held_out(
    model: Model, trial: Trial, parts: Sequence[HeldOutPart], report: Report, *, last_is_best: bool
) -> None:
    """Report the model's figures on each part; where its last epoch was its best, those of that epoch too."""
    for part in parts:
        event = _evaluate(model, trial, part, report)
        report(event)
        if last_is_best and is_own_test(part, trial):
            report(replace(event, part=BEST_EPOCH))


def evaluate_best_epoch(model: Model, trial: Trial, parts: Sequence[HeldOutPart], report: Report) -> None:
    """Report what a model with its best epoch's weights reaches on the test parts of the trial's own authors."""
    for part in parts:
        if is_own_test(part, trial):
            report(replace(_evaluate(model, trial, part, report), part=BEST_EPOCH))


def is_own_test(part: HeldOutPart, trial: Trial) -> bool:
    """Say whether a part tests on an author who trains the trial."""
    return part.part == "test" and trains(part.author, trial.authors)


def read_part(part: HeldOutPart) -> Tokens:
    """Return a part's tokens, mapped."""
    tokens: Tokens = np.load(part.path, mmap_mode="r", allow_pickle=False)
    return tokens[part.start : part.stop]


def _evaluate(model: Model, trial: Trial, part: HeldOutPart, report: Report) -> Evaluated:
    tokens, num_rows = read_part(part), trial.batch_size
    if trial.partition != "windows":
        # A short part has fewer rows, so that a whole window of it is read.
        num_rows = max(1, min(num_rows, (len(tokens) - 1) // trial.num_steps))

    def alive() -> None:
        report(Progress(epoch=trial.num_epochs, fraction=1.0, loss=math.nan, tokens_per_s=math.nan))

    figures = evaluate(model, tokens, num_rows, trial.num_steps, trial.partition, alive)
    num_predicted = evaluation_minibatches(tokens, num_rows, trial.num_steps, trial.partition).num_predicted
    return evaluated(part, num_predicted, figures.means, figures.blocks)


def evaluated(
    part: HeldOutPart, num_tokens: int, figures: Mapping[str, float], blocks: Sequence[tuple[int, float]] = ()
) -> Evaluated:
    """Return what is reported of a part, of which so many tokens were predicted."""
    return Evaluated(
        author=part.author,
        part=part.part,
        num_tokens=num_tokens,
        num_chars=num_tokens * part.chars_per_token,
        measures=measured("held_out", figures, part.chars_per_token),
        blocks=tuple(blocks),
    )
