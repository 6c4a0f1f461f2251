"""A language model on NumPy arrays: flat parameters, a network that gives losses and gradients, an optimizer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Handle, Ids, State
from harness.contracts.cells import Shapes
from harness.contracts.measures import RANKS
from harness.contracts.network import Architecture
from harness.contracts.optimization import STEP, moment_name
from harness.contracts.training import Training
from harness.contracts.weights import Weights
from harness_numpy import optimizers

Array = NDArray[np.floating[Any]]
Arrays = dict[str, Array]

Figures = tuple[float, ...]
"""Mean loss in nats per token, and the accuracies."""

_DROPOUT_STREAM = 3


class Outcome(NamedTuple):
    """What an objective makes of a minibatch's logits."""

    figures: Figures
    row_losses: Sequence[float]
    """Each row's mean loss."""
    d_logits: Array | None
    """The mean loss's gradient, where it was asked for."""


class Network(Protocol):
    """What differs between implementations: how logits and gradients come about."""

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        ...

    def logits(self, params: Arrays, X: Ids, state: State) -> tuple[Array, State]:
        """Run forward without dropout."""
        ...

    def gradients(
        self, params: Arrays, X: Ids, Y: Ids, state: State, into: Arrays, *, training: bool
    ) -> tuple[Figures, State]:
        """Write the mean loss's gradients into ``into``; return the minibatch's figures and the state."""
        ...

    def evaluate(self, params: Arrays, X: Ids, Y: Ids, state: State) -> tuple[Outcome, State]:
        """Return what becomes of a minibatch without dropout, and the state."""
        ...

    def seed_dropout(self, generator: np.random.Generator) -> None:
        """Draw dropout masks from this generator from now on."""
        ...


class Objective(Protocol):
    """Turns logits into figures, and into the loss's gradient; `objective` is NumPy's."""

    def __call__(self, logits: Array, Y: Ids, *, with_gradient: bool) -> Outcome:
        """Return both; the logits may be overwritten."""
        ...


CreateOptimizer = Callable[[Training, Array], optimizers.Optimizer]


class NumpyModel:
    """`harness.contracts.backends.Model` over a `Network`."""

    def __init__(
        self,
        network: Network,
        shapes: Shapes,
        architecture: Architecture,
        training: Training,
        create_optimizer: CreateOptimizer = optimizers.create,
    ) -> None:
        self._network = network
        self._training = training
        # One vector holds all parameters, one all gradients: norm, clipping and update are single passes.
        self._flat, self._params = _flat_arrays(shapes, architecture.dtype)
        self._flat_gradients, self._gradients = _flat_arrays(shapes, architecture.dtype)
        self._optimizer = create_optimizer(training, self._flat)

    def load(self, weights: Weights) -> None:
        """Copy the weights in."""
        for name, array in self._params.items():
            array[...] = weights[name]

    def weights(self) -> Weights:
        """Copy the weights out."""
        return {name: array.copy() for name, array in self._params.items()}

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Restore step and moments; without any, start anew."""
        self._optimizer.step = int(arrays[STEP][0]) if STEP in arrays else 0
        for moment, name, view in self._moments():
            view[...] = arrays.get(moment_name(moment, name), 0)

    def optimizer_state(self) -> Weights:
        """Copy step and moments out."""
        state: Weights = {moment_name(moment, name): view.copy() for moment, name, view in self._moments()}
        return state | {STEP: np.array([self._optimizer.step], np.float64)}

    def _moments(self) -> Iterator[tuple[str, str, Array]]:
        shapes = {name: array.shape for name, array in self._params.items()}
        for moment, flat in self._optimizer.moments.items():
            for name, view in _views(flat, shapes).items():
                yield moment, name, view

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout and set the learning rate."""
        self._optimizer.learning_rate = self._training.learning_rate_in(epoch)
        self._network.seed_dropout(np.random.default_rng([self._training.seed, _DROPOUT_STREAM, epoch]))

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return self._network.initial_state(batch_size)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Backpropagate, clip, update."""
        figures, state = self._network.gradients(self._params, X, Y, state, self._gradients, training=True)
        g = self._flat_gradients
        norm = float(np.sqrt(np.dot(g, g)))
        clip = self._training.grad_clip
        self._optimizer.update(self._flat, g, clip / norm if clip and norm > clip else 1.0)
        return (*figures, norm), state

    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Run forward only."""
        outcome, state = self._network.evaluate(self._params, X, Y, state)
        return (*outcome.figures, 0.0, *outcome.row_losses), state

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """NumPy computes at once: there is nothing to wait for."""
        return np.array(handles, np.float64)

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return loss and gradients."""
        (loss, *_), _ = self._network.gradients(self._params, X, Y, state, self._gradients, training=False)
        return loss, {name: array.copy() for name, array in self._gradients.items()}

    def last_loss_gradients(self, X: Ids, targets: Ids, state: State) -> list[Array]:
        """Return the gradients of each row's last loss by the first state; the scratch network alone has them.

        Shapes: X (num_steps, batch_size), targets (batch_size,); each result (batch_size, num_hiddens).
        """
        gradients: list[Array] = self._network.last_loss_gradients(self._params, X, targets, state)  # type: ignore[attr-defined]
        return gradients

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating[Any]], State]:
        """Run forward."""
        return self._network.logits(self._params, X, state)


def objective(logits: Array, Y: Ids, *, with_gradient: bool) -> Outcome:
    """Return a minibatch's figures and, if asked, the loss's gradient by the logits, which may be overwritten.

    Shapes: logits (num_steps, batch_size, vocab_size), Y (num_steps, batch_size).
    """
    losses, d_logits = cross_entropies(logits, Y, with_gradient=with_gradient)
    loss = float(np.mean(losses, dtype=np.float64))
    return Outcome((loss, *accuracies(logits, Y)), losses.mean(axis=0, dtype=np.float64).tolist(), d_logits)


def cross_entropies(logits: Array, Y: Ids, *, with_gradient: bool) -> tuple[Array, Array | None]:
    """Return each token's loss and, if asked, the mean loss's gradient by the logits.

    Shapes: logits (num_steps, batch_size, vocab_size), Y and the losses (num_steps, batch_size).
    """
    rows = logits.reshape(-1, logits.shape[-1])
    targets = Y.reshape(-1)
    index = np.arange(len(targets))
    shifted = rows - rows.max(axis=1, keepdims=True)
    target_logits = shifted[index, targets]
    np.exp(shifted, out=shifted)
    sums = shifted.sum(axis=1, keepdims=True)
    losses = (np.log(sums[:, 0]) - target_logits).reshape(Y.shape)
    if not with_gradient:
        return losses, None
    shifted /= sums
    shifted[index, targets] -= 1
    shifted /= len(targets)
    return losses, shifted.reshape(logits.shape)


def accuracies(logits: Array, Y: Ids) -> tuple[float, ...]:
    """Return the shares of tokens whose target is among the first k, for each k of `RANKS`; ties count against."""
    target = np.take_along_axis(logits, Y[..., None], axis=-1)
    # What is not a number is not below the target, and is no target that could be hit.
    rank = logits.shape[-1] - np.count_nonzero(logits < target, axis=-1)
    known = np.isfinite(target[..., 0])
    return tuple(float(np.mean((rank <= k) & known)) for k in RANKS)


def _flat_arrays(shapes: Shapes, dtype: str) -> tuple[Array, Arrays]:
    flat: Array = np.zeros(sum(int(np.prod(shape)) for shape in shapes.values()), dtype)
    return flat, _views(flat, shapes)


def _views(flat: Array, shapes: Shapes) -> Arrays:
    views: Arrays = {}
    start = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        views[name] = flat[start : start + size].reshape(shape)
        start += size
    return views
