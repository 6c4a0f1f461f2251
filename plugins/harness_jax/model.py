"""A language model in JAX: one compiled function a training step, parameters donated to it."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from harness.contracts.backends import Handle, Ids, State
from harness.contracts.cells import Params, Shapes
from harness.contracts.measures import RANKS
from harness.contracts.network import Architecture
from harness.contracts.optimization import OPTIMIZERS, STEP, moment_name, step_sizes
from harness.contracts.training import Training
from harness.contracts.weights import Weights
from harness_jax import optimizers
from harness_jax.optimizers import Arrays, Moments


class Network(Protocol):
    """What differs between implementations: a forward pass over parameters with canonical names.

    Networks that compute the same are equal and hash alike: then they share their compiled functions.
    """

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        ...

    def logits(self, params: Params, X: Array, state: State, key: Array | None) -> tuple[Array, State]:
        """Run forward; ``key`` seeds dropout, None leaves it out."""
        ...


class JaxModel:
    """`harness.contracts.backends.Model` over a `Network`."""

    def __init__(self, network: Network, shapes: Shapes, architecture: Architecture, training: Training) -> None:
        self._network = network
        self._architecture = architecture
        self._training = training
        self._params: Arrays = {name: self._owned(np.zeros(shape)) for name, shape in shapes.items()}
        self._moments = self._moments_from({})
        self._step = 0
        self.begin_epoch(0)

    def load(self, weights: Weights) -> None:
        """Copy the weights in."""
        self._params = {name: self._owned(weights[name]) for name in self._params}

    def weights(self) -> Weights:
        """Copy the weights out."""
        return {name: np.array(array) for name, array in self._params.items()}

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Restore step and moments; without any, start anew."""
        self._step = int(arrays[STEP][0]) if STEP in arrays else 0
        self._moments = self._moments_from(arrays)

    def optimizer_state(self) -> Weights:
        """Copy step and moments out."""
        state = {
            moment_name(moment, name): np.array(array)
            for moment, arrays in self._moments.items()
            for name, array in arrays.items()
        }
        return state | {STEP: np.array([self._step], np.float64)}

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout and set the learning rate."""
        self._learning_rate = self._training.learning_rate_in(epoch)
        self._key = jax.random.fold_in(jax.random.key(self._training.seed), epoch)
        self._step_of_epoch = 0

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return self._network.initial_state(batch_size)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Start backpropagation, clipping and update as one computation; nothing here waits for it."""
        self._step += 1
        self._step_of_epoch += 1
        training = self._training
        self._params, self._moments, figures, state = _train_step(
            self._network,
            training.optimizer,
            training.rmsprop_decay,
            self._params,
            self._moments,
            step_sizes(training.optimizer, self._learning_rate, self._step),
            training.grad_clip or math.inf,
            _ids(X),
            _ids(Y),
            state,
            self._key,
            self._step_of_epoch,
        )
        return figures, state

    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Run forward only."""
        figures, state = _evaluate_step(self._network, self._params, _ids(X), _ids(Y), state)
        return figures, state

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Wait for the device: copying to the host does."""
        return np.array(jax.device_get(list(handles)), np.float64)

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return loss and gradients."""
        loss, gradients = _gradients(self._network, self._params, _ids(X), _ids(Y), state)
        return float(loss), {name: np.array(gradient) for name, gradient in gradients.items()}

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating[Any]], State]:
        """Run forward."""
        logits, state = _logits(self._network, self._params, _ids(X), state)
        return np.array(logits), state

    def _owned(self, array: NDArray[np.floating[Any]]) -> Array:
        # A donated buffer is overwritten, so it must not be NumPy's own memory.
        return jax.device_put(np.asarray(array, self._architecture.dtype), may_alias=False)

    def _moments_from(self, arrays: Weights) -> Moments:
        return {
            moment: {
                name: self._owned(arrays.get(moment_name(moment, name), np.zeros(array.shape)))
                for name, array in self._params.items()
            }
            for moment in OPTIMIZERS[self._training.optimizer].moments
        }


def _ids(ids: Ids) -> NDArray[np.int32]:
    return ids.astype(np.int32)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _train_step(
    network: Network,
    optimizer: str,
    rmsprop_decay: float,
    params: Arrays,
    moments: Moments,
    sizes: tuple[float, float],
    grad_clip: float,
    X: Array,
    Y: Array,
    state: State,
    key: Array,
    step_of_epoch: int,
) -> tuple[Arrays, Moments, Array, State]:
    key = jax.random.fold_in(key, step_of_epoch)
    loss_of = partial(_loss, network)
    (loss, (logits, state)), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, X, Y, state, key)
    norm = jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in gradients.values()))
    scale = jnp.minimum(1, grad_clip / norm)
    gradients = {name: gradient * scale for name, gradient in gradients.items()}
    params, moments = optimizers.update(optimizer, params, gradients, moments, sizes, rmsprop_decay)
    return params, moments, _figures(loss, logits, Y, norm), state


@partial(jax.jit, static_argnums=0)
def _evaluate_step(network: Network, params: Arrays, X: Array, Y: Array, state: State) -> tuple[Array, State]:
    loss, (logits, state) = _loss(network, params, X, Y, state, None)
    figures = _figures(loss, logits, Y, jnp.zeros_like(loss))
    return jnp.concatenate([figures, -jnp.mean(_log_probabilities(logits, Y), axis=(0, 2))]), state


@partial(jax.jit, static_argnums=0)
def _gradients(network: Network, params: Arrays, X: Array, Y: Array, state: State) -> tuple[Array, Arrays]:
    (loss, _), gradients = jax.value_and_grad(partial(_loss, network), has_aux=True)(params, X, Y, state, None)
    return loss, gradients


@partial(jax.jit, static_argnums=0)
def _logits(network: Network, params: Arrays, X: Array, state: State) -> tuple[Array, State]:
    return network.logits(params, X, state, None)


def _loss(
    network: Network, params: Arrays, X: Array, Y: Array, state: State, key: Array | None
) -> tuple[Array, tuple[Array, State]]:
    """Return the mean cross-entropy, with logits and state."""
    logits, state = network.logits(params, X, state, key)
    return -jnp.mean(_log_probabilities(logits, Y)), (logits, state)


def _log_probabilities(logits: Array, Y: Array) -> Array:
    """Return those of the targets: (num_steps, batch_size, 1)."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), Y[..., None], axis=-1)


def _figures(loss: Array, logits: Array, Y: Array, norm: Array) -> Array:
    target = jnp.take_along_axis(logits, Y[..., None], axis=-1)
    # What is not a number is not below the target, and is no target that could be hit.
    rank = logits.shape[-1] - jnp.sum(logits < target, axis=-1)
    known = jnp.isfinite(target[..., 0])
    return jnp.stack([loss, *(jnp.mean((rank <= k) & known, dtype=loss.dtype) for k in RANKS), norm])
