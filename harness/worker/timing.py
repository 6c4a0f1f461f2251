"""The timing phase inside a worker: blocks of work done on demand, each ended by reading its result.

The parent keeps many such workers warm and asks them in turn, so that what disturbs the machine disturbs
all alike (Mytkowicz et al. 2009, "Producing Wrong Data Without Doing Anything Obviously Wrong!").
"""

import math
import sys
import time
from collections.abc import Iterable, Iterator

import numpy as np

from harness.contracts.backends import Backend, Ids, Model, Tokens
from harness.worker.connection import Connection
from harness.worker.events import Block, Ready
from harness.worker.job import TimeJob, WatchJob
from harness.worker.minibatches import training_minibatches
from harness.worker.models import build, mapped, open_backend, trial_weights
from harness.worker.training import Report
from harness.worker.trial import Trial

WARM_UP_SECONDS = 0.5
"""At least so long a worker trains before its first block: for caches, compilers and autotuners."""
PRODUCT_SIZE = 1536
"""Rows and columns of the sentinel's matrices: large enough for the device's best rate, done in a tenth of a second."""
_PRODUCT_FLOPS = 2.0 * PRODUCT_SIZE**3
STREAM_BYTES = 1 << 27
"""Each of the two arrays whose copy measures memory bandwidth: beyond a core's share of any cache."""


def time_trial(job: TimeJob, connection: Connection) -> None:
    """Build the trial's model, then train blocks of its steps for each line that comes in."""
    backend = open_backend(job.network.backend_target, job.place)
    model = build(job.network, backend, job.trial.architecture, job.trial.training)
    model.load(trial_weights(job.trial, job.network))
    time_training(backend, model, job.trial, mapped(job.train_path), job.block_seconds, sys.stdin, connection.send)


def watch_device(job: WatchJob, connection: Connection) -> None:
    """Measure memory bandwidth once, then one large product for each line that comes in: the sentinel.

    Its amounts are floating-point operations; a drop in their rate shows a disturbance the trials felt too.
    """
    backend = open_backend(job.backend_target, job.place)
    connection.send(Ready(flops_per_s=flops_per_s(backend), bytes_per_s=_bytes_per_s()))
    for _ in sys.stdin:
        connection.send(Block(amount=_PRODUCT_FLOPS, seconds=backend.product_seconds(PRODUCT_SIZE)))


def time_training(
    backend: Backend,
    model: Model,
    trial: Trial,
    train_tokens: Tokens,
    block_seconds: float,
    asked: Iterable[str],
    report: Report,
) -> None:
    """Warm the model up, then train one block of steps whenever asked, and report it: its amounts are tokens."""
    steps = _Steps(model, trial, train_tokens)
    since = time.perf_counter()
    first_step = steps.take(1)
    step_seconds = steps.take(2).seconds / 2
    while time.perf_counter() - since < WARM_UP_SECONDS + first_step.seconds:
        count = max(1, math.ceil(0.5 * block_seconds / step_seconds))
        step_seconds = steps.take(count).seconds / count
    count = max(1, math.ceil(block_seconds / step_seconds))
    report(Ready(flops_per_s=flops_per_s(backend), bytes_per_s=0.0))
    for _ in asked:
        report(steps.take(count))


class _Steps:
    """Training steps without end: the first epoch's minibatches again and again."""

    def __init__(self, model: Model, trial: Trial, train_tokens: Tokens) -> None:
        self._model = model
        self._trial = trial
        self._tokens = train_tokens
        self._state = model.initial_state(trial.batch_size)
        model.begin_epoch(1)
        self._minibatches = self._forever()

    def take(self, count: int) -> Block:
        """Train so many steps, read their losses, and only then the clock."""
        since = time.perf_counter()
        handles, tokens = [], 0
        for _ in range(count):
            X, Y = next(self._minibatches)
            handle, self._state = self._model.train_step(X, Y, self._state)
            handles.append(handle)
            tokens += X.size  # an epoch's last minibatch may be narrower
        self._model.read(handles)
        return Block(amount=float(tokens), seconds=time.perf_counter() - since)

    def _forever(self) -> Iterator[tuple[Ids, Ids]]:
        trial = self._trial
        while True:
            minibatches = training_minibatches(
                self._tokens, trial.batch_size, trial.num_steps, trial.partition, trial.seed, epoch=1
            )
            for X, Y in minibatches:
                if not minibatches.carries_state:
                    self._state = self._model.initial_state(X.shape[1])
                yield X, Y


def flops_per_s(backend: Backend) -> float:
    """Return the backend's best rate of four large products; the first of them warms up."""
    return _PRODUCT_FLOPS / min(backend.product_seconds(PRODUCT_SIZE) for _ in range(4))


def _bytes_per_s() -> float:
    """Return the host's copy bandwidth with one thread, reads and writes counted: the best of five."""
    source = np.ones(STREAM_BYTES // 4, np.float32)
    target = np.empty_like(source)
    best = math.inf
    for _ in range(5):
        since = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - since)
    return 2.0 * STREAM_BYTES / best
