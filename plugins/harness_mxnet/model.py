"""A language model in MXNet: one flat parameter vector, a traced graph for each shape, and a bounded queue."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Protocol

import mxnet as mx
import numpy as np
from mxnet import autograd, nd
from mxnet.context import Context
from numpy.typing import NDArray

from harness.contracts.backends import Handle, Ids, State
from harness.contracts.cells import Shapes
from harness.contracts.measures import RANKS
from harness.contracts.network import Architecture
from harness.contracts.optimization import STEP, moment_name
from harness.contracts.training import Training
from harness.contracts.weights import Weights
from harness_mxnet.graph import Graph
from harness_mxnet.optimizers import KINDS

Array = Any

_QUEUED_STEPS = 4
"""Minibatches waiting in the engine at most: without a limit, a second's dispatch could take it minutes to compute."""


class Network(Protocol):
    """What differs between implementations: a forward pass, and how its parameters lie."""

    @property
    def shapes(self) -> Shapes:
        """The canonical parameters."""
        ...

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """Their names in canonical order, as `logits` gets them: one alone in its shape, several as one flat vector."""
        ...

    @property
    def constants(self) -> Sequence[Array]:
        """Arrays that `logits` made while it was recorded."""
        ...

    def initial_state(self, batch_size: int) -> list[Array]:
        """Return the zero state."""
        ...

    def logits(
        self, parameters: Sequence[Array], X: Array, state: Sequence[Array], *, training: bool
    ) -> tuple[Array, list[Array]]:
        """Run forward."""
        ...


class MXNetModel:
    """`harness.contracts.backends.Model` over a `Network`."""

    def __init__(self, network: Network, architecture: Architecture, training: Training, device: Context) -> None:
        self._network = network
        self._architecture = architecture
        self._training = training
        self._device = device
        # One vector holds all parameters, one all gradients: norm, clipping and update are single passes.
        num_params = sum(map(prod, network.shapes.values()))
        self._flat, self._flat_gradients = (nd.zeros(num_params, device, architecture.dtype) for _ in range(2))
        self._parameters, gradients = map(self._grouped, (self._flat, self._flat_gradients))
        autograd.mark_variables(self._parameters, gradients)
        self._optimizer = KINDS[training.optimizer](training, self._flat)
        self._graphs: dict[Any, Graph] = {}
        self._queue: deque[Array] = deque()

    def load(self, weights: Weights) -> None:
        """Copy the weights in."""
        for name, view in self._views(self._flat).items():
            view[:] = weights[name]

    def weights(self) -> Weights:
        """Copy the weights out."""
        return self._copied(self._flat)

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Restore step and moments; without any, start anew."""
        self._optimizer.step = int(arrays[STEP][0]) if STEP in arrays else 0
        for moment, flat in self._optimizer.moments.items():
            for name, view in self._views(flat).items():
                view[:] = arrays.get(moment_name(moment, name), 0)

    def optimizer_state(self) -> Weights:
        """Copy step and moments out."""
        arrays: Weights = {STEP: np.array([self._optimizer.step], np.float64)}
        for moment, flat in self._optimizer.moments.items():
            arrays |= {moment_name(moment, name): array for name, array in self._copied(flat).items()}
        return arrays

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout and set the learning rate."""
        self._optimizer.learning_rate = self._training.learning_rate_in(epoch)
        mx.random.seed((self._training.seed * 1_000_003 + epoch) % 2**31)

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return self._network.initial_state(batch_size)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Backpropagate, clip, update; nothing here waits for the result."""
        with autograd.record():
            loss, shares, _, _, *state = self._outputs(X, Y, state, training=True)
        loss.backward()
        norm = self._optimizer.update(self._flat, self._flat_gradients)
        return self._queued(loss, shares, norm), [part.detach() for part in state]

    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Run forward only."""
        loss, shares, row_losses, _, *state = self._outputs(X, Y, state, training=False)
        return self._queued(loss, shares, nd.zeros_like(loss), row_losses), state

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Wait for the engine: copying to NumPy does."""
        self._queue.clear()
        return np.array([handle.asnumpy() for handle in handles], np.float64)

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return loss and gradients."""
        with autograd.record():
            loss, *_ = self._outputs(X, Y, state, training=False)
        loss.backward()
        return float(loss.asscalar()), self._copied(self._flat_gradients)

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating[Any]], State]:
        """Run forward."""
        _, _, _, logits, *state = self._outputs(X, X, state, training=False)
        return logits.asnumpy(), state

    def _outputs(self, X: Ids, Y: Ids, state: State, *, training: bool) -> list[Array]:
        """Return loss (1,), accuracies (len(RANKS),), the rows' losses, logits, and the parts of the state."""
        inputs = [self._ids(X), self._ids(Y), *state]
        key = (X.shape, training)
        if key not in self._graphs:
            forward = partial(self._forward, training=training)
            self._graphs[key] = Graph(forward, inputs, self._parameters, self._network.constants)
        return self._graphs[key](inputs)

    def _forward(self, inputs: Sequence[Array], *, training: bool) -> list[Array]:
        X, Y, *state = inputs
        logits, last = self._network.logits(self._parameters, X, state, training=training)
        rows = logits.reshape((-1, self._architecture.vocab_size))  # (num_steps * batch_size, vocab_size)
        targets = Y.reshape((-1,))
        log_probabilities = nd.pick(nd.log_softmax(rows), targets)
        loss, row_losses = -log_probabilities.mean(), -log_probabilities.reshape(X.shape).mean(axis=0)
        return [loss, *map(nd.BlockGrad, (_accuracies(rows, targets), row_losses, logits, *last))]

    def _queued(self, *figures: Array) -> Handle:
        """Return a step's figures, once no more than the latest few steps are still to be computed."""
        handle = nd.concat(*figures, dim=0)
        self._queue.append(handle)
        if len(self._queue) > _QUEUED_STEPS:
            self._queue.popleft().wait_to_read()
        return handle

    def _ids(self, ids: Ids) -> Array:
        return nd.array(ids, self._device, np.int32)

    def _grouped(self, flat: Array) -> list[Array]:
        """Cut a flat vector into what the network takes; the parts share its memory."""
        parts = []
        start = 0
        for names in self._network.groups:
            shapes = [self._network.shapes[name] for name in names]
            stop = start + sum(map(prod, shapes))
            parts.append(flat[start:stop] if len(names) > 1 else flat[start:stop].reshape(shapes[0]))
            start = stop
        return parts

    def _views(self, flat: Array) -> dict[str, Array]:
        """Cut a flat vector into the canonical parameters; they share its memory."""
        views = {}
        start = 0
        for name, shape in self._network.shapes.items():
            views[name] = flat[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        return views

    def _copied(self, flat: Array) -> Weights:
        return {name: view.asnumpy() for name, view in self._views(flat).items()}


def _accuracies(rows: Array, targets: Array) -> Array:
    """Return the shares of targets among the first k, for each k of `RANKS`; ties count against."""
    target = nd.pick(rows, targets, keepdims=True)
    # What is not a number is not below the target, and is no target that could be hit.
    rank = rows.shape[1] - nd.broadcast_lesser(rows, target).sum(axis=1)
    known = (target == target).reshape((-1,))
    return nd.concat(*(((rank <= k) * known).mean() for k in RANKS), dim=0)
