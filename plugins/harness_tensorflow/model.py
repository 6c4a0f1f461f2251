"""A language model in TensorFlow: variables with canonical names, one compiled function a training step.

On a GPU the calls return before the device is done; on a CPU TensorFlow computes at once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from harness.contracts.backends import Handle, Ids, State
from harness.contracts.measures import RANKS
from harness.contracts.network import Architecture
from harness.contracts.optimization import OPTIMIZERS, STEP, moment_name, step_sizes
from harness.contracts.training import Training
from harness.contracts.weights import Weights
from harness_tensorflow import optimizers
from harness_tensorflow.ops import Tensor

# The network is Python that builds a graph: there is no control flow on tensors for AutoGraph to rewrite.
_compiled = partial(tf.function, autograph=False)


class Network(Protocol):
    """What differs between implementations: a forward pass over variables with canonical names."""

    @property
    def parameters(self) -> Mapping[str, tf.Variable]:
        """The canonical parameters."""
        ...

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        ...

    def logits(self, X: Tensor, state: State, seed: Tensor | None) -> tuple[Tensor, State]:
        """Run forward; ``seed`` is dropout's, None leaves it out."""
        ...


class TensorflowModel:
    """`harness.contracts.backends.Model` over a `Network`."""

    def __init__(self, network: Network, architecture: Architecture, training: Training) -> None:
        self._network = network
        self._architecture = architecture
        self._training = training
        self._parameters = dict(network.parameters)
        self._moments = {
            name: {moment: tf.Variable(tf.zeros_like(variable)) for moment in OPTIMIZERS[training.optimizer].moments}
            for name, variable in self._parameters.items()
        }
        self._step = 0
        self.begin_epoch(0)

    def load(self, weights: Weights) -> None:
        """Copy the weights in."""
        for name, variable in self._parameters.items():
            variable.assign(weights[name].astype(self._architecture.dtype))

    def weights(self) -> Weights:
        """Copy the weights out."""
        return {name: _to_numpy(variable) for name, variable in self._parameters.items()}

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Restore step and moments; without any, start anew."""
        self._step = int(arrays[STEP][0]) if STEP in arrays else 0
        for name, moments in self._moments.items():
            for moment, variable in moments.items():
                array = arrays.get(moment_name(moment, name), np.zeros(variable.shape))
                variable.assign(array.astype(self._architecture.dtype))

    def optimizer_state(self) -> Weights:
        """Copy step and moments out."""
        state = {
            moment_name(moment, name): _to_numpy(variable)
            for name, moments in self._moments.items()
            for moment, variable in moments.items()
        }
        return state | {STEP: np.array([self._step], np.float64)}

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout and set the learning rate."""
        self._learning_rate = self._training.learning_rate_in(epoch)
        self._epoch_seed = self._training.seed * 1_000_003 + epoch
        self._step_of_epoch = 0

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return self._network.initial_state(batch_size)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Backpropagate, clip, update in one compiled function."""
        self._step += 1
        self._step_of_epoch += 1
        sizes = step_sizes(self._training.optimizer, self._learning_rate, self._step)
        seed = np.array([self._epoch_seed, self._step_of_epoch])
        figures, state = self._train(X, Y, state, np.array(sizes, self._architecture.dtype), seed)
        return figures, state

    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Run forward only."""
        figures, state = self._evaluate(X, Y, state)
        return figures, state

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Wait for the device: copying to the host does."""
        return np.array([handle.numpy() for handle in handles], np.float64)

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return loss and gradients."""
        loss, gradients = self._differentiate(X, Y, state)
        return float(loss), {name: _to_numpy(gradient) for name, gradient in gradients.items()}

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating[Any]], State]:
        """Run forward."""
        logits, state = self._forward(X, state)
        return _to_numpy(logits), state

    @_compiled
    def _train(self, X: Tensor, Y: Tensor, state: State, sizes: Tensor, seed: Tensor) -> tuple[Tensor, State]:
        loss, logits, state, gradients = self._backward(X, Y, state, seed)
        norm = tf.linalg.global_norm(gradients)
        clip = self._training.grad_clip
        if clip:
            gradients = [gradient * tf.minimum(clip / norm, 1) for gradient in gradients]
        for (name, variable), gradient in zip(self._parameters.items(), gradients, strict=True):
            optimizers.update(self._training, variable, gradient, self._moments[name], *tf.unstack(sizes))
        return _figures(loss, logits, Y, norm), state

    @_compiled
    def _evaluate(self, X: Tensor, Y: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self._network.logits(X, state, None)
        loss = _cross_entropy(logits, Y)
        figures = _figures(loss, logits, Y, tf.zeros_like(loss))
        return tf.concat([figures, tf.reduce_mean(_losses(logits, Y), axis=0)], axis=0), state

    @_compiled
    def _differentiate(self, X: Tensor, Y: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        loss, _, _, gradients = self._backward(X, Y, state, None)
        return loss, dict(zip(self._parameters, gradients, strict=True))

    @_compiled
    def _forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        return self._network.logits(X, state, None)

    def _backward(
        self, X: Tensor, Y: Tensor, state: State, seed: Tensor | None
    ) -> tuple[Tensor, Tensor, State, list[Tensor]]:
        with tf.GradientTape() as tape:
            logits, state = self._network.logits(X, state, seed)
            loss = _cross_entropy(logits, Y)
        gradients = tape.gradient(loss, list(self._parameters.values()))
        return loss, logits, state, [tf.convert_to_tensor(gradient) for gradient in gradients]


def _cross_entropy(logits: Tensor, Y: Tensor) -> Tensor:
    return tf.reduce_mean(_losses(logits, Y))


def _losses(logits: Tensor, Y: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=Y, logits=logits)


def _figures(loss: Tensor, logits: Tensor, Y: Tensor, norm: Tensor) -> Tensor:
    target = tf.gather(logits, Y[..., None], batch_dims=2)
    # What is not a number is not below the target, and is no target that could be hit.
    rank = logits.shape[-1] - tf.math.count_nonzero(logits < target, axis=-1)
    known = tf.math.is_finite(target[..., 0])
    return tf.stack([loss, *(tf.reduce_mean(tf.cast((rank <= k) & known, loss.dtype)) for k in RANKS), norm])


def _to_numpy(tensor: Tensor) -> NDArray[np.floating[Any]]:
    array: NDArray[np.floating[Any]] = np.array(tensor.numpy())
    return array
