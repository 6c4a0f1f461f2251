"""What every loop is given: the sizes, and a file of minibatches and first weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.cells import Shapes
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.weights import initial_weights
from harness.worker.minibatches import Sequential, Tokens
from harness.worker.targets import resolve


@dataclass(frozen=True)
class Shape:
    """Sizes of a model and its minibatches."""

    num_hiddens: int
    batch_size: int
    num_steps: int
    num_layers: int

    def __str__(self) -> str:
        return f"{self.num_hiddens},{self.batch_size},{self.num_steps},{self.num_layers}"

    @classmethod
    def read(cls, text: str) -> "Shape":
        """Read 'hiddens,batch,steps,layers'."""
        return cls(*(int(part) for part in text.split(",")))


def task_of(
    shape: Shape, cell: str, tokens: Tokens, vocab_size: int, data: Path, block_seconds: float
) -> dict[str, Any]:
    """Write minibatches and weights to ``data``, and return the task of a loop with one thread."""
    X, Y = zip(*Sequential(tokens, shape.batch_size, shape.num_steps), strict=True)
    architecture = Architecture(vocab_size=vocab_size, num_layers=shape.num_layers, num_hiddens=shape.num_hiddens)
    shapes = canonical_shapes(resolve(f"harness_{cell}.cell"), architecture)
    np.savez(data, X=np.stack(X), Y=np.stack(Y), **initial_weights(shapes, shape.num_hiddens, seed=0))
    return {
        **vars(shape),
        "cell": cell,
        "vocab_size": vocab_size,
        "flops_per_token": 6.0 * sum(rows * columns for rows, columns in _multiplied(shapes)),
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "grad_clip": 1.0,
        "num_threads": 1,
        "block_seconds": block_seconds,
        "data": str(data.absolute()),
    }


def _multiplied(shapes: Shapes) -> list[tuple[int, ...]]:
    """Return the shapes of the weights that are multiplied: the one-hot input product counts nothing."""
    return [shape for name, shape in shapes.items() if len(shape) == 2 and name != "layers.0.W_x"]
