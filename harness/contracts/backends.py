"""The contract of a backend inside a worker: it builds models, and a model trains on minibatches."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.contracts.cells import Equations
from harness.contracts.measures import STEP
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness.contracts.weights import Weights

State = Any
"""The backend's own carried state, opaque to the training loop."""
Handle = Any
"""One step's figures, possibly still being computed; only `Model.read` waits for them."""
Ids = NDArray[np.int64]
Tokens = NDArray[np.unsignedinteger]
"""The ids of a whole text, one dimension, mapped from its file."""

COLUMNS = tuple(figure.name for figure in STEP)
"""Of what `Model.read` returns: the loss, the accuracies by `harness.contracts.measures.RANKS`, the gradient norm."""
LOSS, GRAD_NORM = COLUMNS.index("loss"), COLUMNS.index("grad_norm")


@runtime_checkable
class Predictor(Protocol):
    """The part of a `Model` that predicts; a baseline may have it too."""

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first token."""
        ...

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating], State]:
        """Return the predictions' logits, (num_steps, batch_size, vocab_size), and the state."""
        ...


class Model(Protocol):
    """One model on one device, with its optimizer."""

    def load(self, weights: Weights) -> None:
        """Set every parameter from the canonical layout."""
        ...

    def weights(self) -> Weights:
        """Return every parameter in the canonical layout."""
        ...

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Set what `optimizer_state` returned."""
        ...

    def optimizer_state(self) -> Weights:
        """Return the optimizer's step count and moments under the names of `harness.contracts.optimization`."""
        ...

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout from the training's seed and the epoch, and set the epoch's learning rate.

        So a resumed trial draws the same masks and learns at the same rate. Source of the rate:
        `Training.learning_rate_in`.
        """
        ...

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        ...

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Take one optimizer step; return its figures unread, and the state detached.

        Shapes: X, Y (num_steps, batch_size).
        """
        ...

    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Return one minibatch's figures without learning (gradient norm 0) with its rows' losses, and the state."""
        ...

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Wait for the device and return the figures.

        Shapes: (len(handles), len(COLUMNS)): mean loss in nats per token, accuracies (shares of tokens among the
        first k; a tie counts against the model, and what is not a number is among none), gradient norm before clipping.
        Behind them, where the handles are of minibatches evaluated, which then are of one shape, each row's mean loss:
        (len(handles), len(COLUMNS) + batch_size).
        """
        ...

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return the mean loss and its gradients in the canonical layout, unclipped, dropout off."""
        ...

    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating], State]:
        """Return the predictions' logits and the state, dropout off.

        Shapes: (num_steps, batch_size, vocab_size).
        """
        ...


class Backend(Protocol):
    """A framework, opened on one device; built as ``target(device, num_threads)``."""

    device_name: str

    def versions(self) -> dict[str, str]:
        """Return the framework's version, and its BLAS where known."""
        ...

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations under the backend's own autodiff."""
        ...

    def product_seconds(self, size: int) -> float:
        """Return the seconds of one float32 product of square matrices on the device, from start to its end there."""
        ...

    def peak_device_bytes(self) -> int | None:
        """Return the device's memory high-water mark; None where the device is the CPU."""
        ...
