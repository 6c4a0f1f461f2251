"""A baseline's job: it is fitted once to a text, then evaluated."""

import math
import time
from dataclasses import replace

import numpy as np

from harness.contracts.backends import Predictor, Tokens
from harness.contracts.baselines import Evaluation, Fitted, Say, TrainingText
from harness.contracts.measures import measured
from harness.worker import process
from harness.worker.connection import Connection
from harness.worker.evaluation import BEST_EPOCH, evaluated, is_own_test, read_part
from harness.worker.events import EpochEnded, Finished, Progress, Started
from harness.worker.job import BaselineJob
from harness.worker.models import mapped, read_symbols
from harness.worker.sampling import generate
from harness.worker.targets import resolve
from harness.worker.text_blocks import BlockLosses


def fit_and_evaluate(job: BaselineJob, connection: Connection) -> None:
    """Do a baseline's job: it reports one epoch, whose training seconds are those of fitting."""
    trial = job.trial
    symbols = read_symbols(job.text.vocabulary_path)
    train, valid = mapped(job.text.train_path), mapped(job.text.valid_path)

    def say(fraction: float) -> None:
        connection.send(Progress(epoch=1, fraction=fraction, loss=math.nan, tokens_per_s=math.nan))

    since = time.perf_counter()
    say(0.0)
    fitted: Fitted = resolve(job.target)(TrainingText(ids=train, symbols=symbols, tokens=trial.tokens), say)
    train_seconds = time.perf_counter() - since
    connection.send(
        Started(
            versions=process.interpreter_versions(),
            device="cpu",
            num_threads=job.place.num_threads,
            num_params=fitted.num_params,
            environment=process.telling_environment(),
        )
    )
    connection.send(_epoch(job, fitted, valid, train_seconds, say))
    for part in job.text.held_out:
        tokens = read_part(part)
        reached = _require_numbers(fitted.evaluate(tokens, say), f"the {part.part} part of {part.author}")
        event = evaluated(part, reached.num_tokens, reached.figures, _blocks(reached, len(tokens)))
        connection.send(event)
        if is_own_test(part, trial):
            connection.send(replace(event, part=BEST_EPOCH))
    connection.send(
        Finished(
            first_step_seconds=0.0,
            peak_rss_bytes=process.peak_rss_bytes(),
            peak_device_bytes=None,
            sample=generate(fitted, symbols, trial.tokens, job.sample) if isinstance(fitted, Predictor) else "",
        )
    )


def _require_numbers(evaluation: Evaluation, text: str) -> Evaluation:
    """Return it. Raises: ValueError for a loss that is no number: such a baseline has reached nothing."""
    if math.isnan(evaluation.loss):
        raise ValueError(f"the baseline's loss on {text} is no number: give every token a probability above zero")
    return evaluation


def _blocks(reached: Evaluation, num_tokens: int) -> tuple[tuple[int, float], ...]:
    """Return the losses of a text of so many tokens by its blocks; none where they are not known of single tokens."""
    if reached.token_losses is None:
        return ()
    blocks = BlockLosses(num_tokens)
    blocks.add(np.arange(num_tokens - len(reached.token_losses), num_tokens), 1, reached.token_losses)
    return blocks.blocks()


def _epoch(job: BaselineJob, fitted: Fitted, valid: Tokens, train_seconds: float, say: Say) -> EpochEnded:
    """Evaluate on the validation part and return the one epoch's record."""
    since = time.perf_counter()
    _require_numbers(fitted.training, "the training text")
    held_out = _require_numbers(fitted.evaluate(valid, say), "the validation text")
    return EpochEnded(
        epoch=1,
        measures={
            **measured("train", fitted.training.figures),
            **measured("valid", held_out.figures, job.text.valid_chars_per_token),
            "train_tokens": fitted.training.num_tokens,
            "train_seconds": train_seconds,
            "valid_seconds": time.perf_counter() - since,
        },
        # Fitting is no sequence of steps: its tokens per second mean nothing beside a network's.
        blocks=(),
    )
