"""Generate text from a model, token by token, as D2L's `predict` does.

Source: D2L `sec_rnn-scratch`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Predictor
from harness.worker.checkpoints import Checkpoint
from harness.worker.connection import Connection
from harness.worker.events import Sampled
from harness.worker.job import SampleJob, SampleRequest
from harness.worker.models import build, open_backend


def continue_prefix(job: SampleJob, connection: Connection) -> None:
    """Load a checkpoint and report the text its model makes of the prefix."""
    checkpoint = Checkpoint.read_own(Path(job.checkpoint_path), job.trial.trial_id, job.checkpoint_digests)
    model = build(
        job.network, open_backend(job.network.backend_target, job.place), job.trial.architecture, job.trial.training
    )
    model.load(checkpoint.weights)
    connection.send(Sampled(text=generate(model, checkpoint.vocabulary, job.trial.tokens, job.sample)))


def generate(model: Predictor, vocabulary: Sequence[str], tokens: str, request: SampleRequest) -> str:
    """Warm the state up on the prefix, then draw ``num_tokens`` tokens; return prefix and continuation.

    Raises: ValueError for an empty prefix.
    """
    ids = {symbol: number for number, symbol in enumerate(vocabulary)}
    pieces = list(request.prefix) if tokens == "char" else request.prefix.split()
    if not pieces:
        raise ValueError("the prefix is empty: give at least one token")
    generator = np.random.default_rng(request.seed)
    unknown = ids.get("<unk>", 0)
    prefix = np.array([[ids.get(piece, unknown)] for piece in pieces], dtype=np.int64)  # (num_steps, 1)
    logits, state = model.logits(prefix, model.initial_state(1))
    for _ in range(request.num_tokens):
        token = _draw(logits[-1, 0], request.temperature, generator)
        pieces.append(vocabulary[token])
        logits, state = model.logits(np.array([[token]], dtype=np.int64), state)
    return ("" if tokens == "char" else " ").join(pieces)


def _draw(logits: NDArray[np.floating], temperature: float, generator: np.random.Generator) -> int:
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = np.asarray(logits, np.float64) / temperature
    probabilities = np.exp(scaled - scaled.max())
    return int(generator.choice(len(probabilities), p=probabilities / probabilities.sum()))
