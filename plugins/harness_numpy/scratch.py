"""Every cell's own equations on NumPy arrays, differentiated by `autograd`."""

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from harness.contracts import network
from harness.contracts.backends import Ids, State
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness_numpy.model import Array, Arrays, Figures, Outcome, accuracies, objective
from harness_numpy.ops import AutogradOps


class ScratchNetwork:
    """`harness_numpy.model.Network` for any cell."""

    def __init__(self, equations: Equations, architecture: Architecture) -> None:
        self._xp = AutogradOps(architecture.dtype)
        self._equations = equations
        self._architecture = architecture

    def seed_dropout(self, generator: np.random.Generator) -> None:
        """Use this generator."""
        self._xp.generator = generator

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return network.initial_states(self._xp, self._equations, self._architecture, batch_size)

    def logits(self, params: Arrays, X: Ids, state: State) -> tuple[Array, State]:
        """Run forward."""
        return self._logits(params, X, state, training=False)

    def gradients(
        self, params: Arrays, X: Ids, Y: Ids, state: State, into: Arrays, *, training: bool
    ) -> tuple[Figures, State]:
        """Differentiate the mean loss."""
        seen: dict[str, Any] = {}

        def loss(params: Arrays) -> Any:
            logits, last = self._logits(params, X, state, training=training)
            seen["logits"], seen["state"] = _values((logits, last))
            return _mean_cross_entropy(logits, Y)

        value, gradients = autograd.value_and_grad(loss)(params)
        for name, array in gradients.items():
            into[name][...] = array
        return (float(value), *accuracies(seen["logits"], Y)), seen["state"]

    def evaluate(self, params: Arrays, X: Ids, Y: Ids, state: State) -> tuple[Outcome, State]:
        """Run forward only."""
        logits, state = self.logits(params, X, state)
        return objective(logits, Y, with_gradient=False), state

    def last_loss_gradients(self, params: Arrays, X: Ids, targets: Ids, state: State) -> list[Array]:
        """Differentiate the loss of the last step, summed over the rows, by each part of the first state.

        Shapes: X (num_steps, batch_size), targets (batch_size,); each result (batch_size, num_hiddens).
        """
        sizes = [len(layer) for layer in state]

        def loss(parts: list[Any]) -> Any:
            flat = iter(parts)
            logits, _ = self._logits(
                params, X, tuple(tuple(next(flat) for _ in range(n)) for n in sizes), training=False
            )
            return _mean_cross_entropy(logits[-1], targets) * len(targets)

        gradients: list[Array] = autograd.grad(loss)([part for layer in state for part in layer])
        return gradients

    def _logits(self, params: Arrays, X: Ids, state: State, *, training: bool) -> tuple[Any, State]:
        return network.logits(self._xp, self._equations, self._architecture, params, X, state, training=training)


def _mean_cross_entropy(logits: Any, Y: Ids) -> Any:
    rows = logits.reshape(-1, logits.shape[-1])
    targets = Y.reshape(-1)
    if rows.dtype == np.float64:
        return _float64_cross_entropy(rows, targets)
    shifted = rows - anp.max(rows, axis=1, keepdims=True)
    log_sums = anp.log(anp.sum(anp.exp(shifted), axis=1))
    return anp.mean(log_sums - shifted[np.arange(len(targets)), targets])


@primitive  # type: ignore[untyped-decorator]
def _float64_cross_entropy(rows: Any, targets: Ids) -> Any:
    """Return the same loss, its gradient worked out in one array of the logits' size where autograd takes eight.

    References are made in float64, and of 50,000 symbols each such array has half a gigabyte. The figures are
    autograd's to the last bit; in float32 it rounds between its steps, and they are left to it.
    """
    shifted = rows - np.max(rows, axis=1, keepdims=True)
    target_logits = shifted[np.arange(len(targets)), targets]
    log_sums = np.log(np.sum(np.exp(shifted, out=shifted), axis=1))
    return np.mean(log_sums - target_logits)


def _float64_gradient(_: Any, rows: Any, targets: Ids) -> Any:
    def vjp(g: Any) -> Any:
        largest = np.max(rows, axis=1, keepdims=True)
        gradient = rows - largest
        np.exp(gradient, out=gradient)
        share = np.full(len(rows), g) / len(rows)
        gradient *= (share / np.sum(gradient, axis=1))[:, None]
        gradient[np.arange(len(targets)), targets] -= share
        # The largest logit was taken from all: what is left of the gradients' sum is its own.
        is_largest = rows == largest
        left = -np.sum(gradient, axis=1, keepdims=True) / np.sum(is_largest, axis=1, keepdims=True)
        return np.add(gradient, left, out=gradient, where=is_largest)

    return vjp


defvjp(_float64_cross_entropy, _float64_gradient, argnums=(0,))


def _values(traced: Any) -> Any:
    """Strip the tape from arrays in nested tuples: the state is carried on detached."""
    if isinstance(traced, tuple):
        return tuple(_values(part) for part in traced)
    return traced._value if isinstance(traced, autograd.tracer.Box) else traced
