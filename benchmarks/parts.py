"""Measures where a training step of the compiled layers goes, and how far each part is from the processor's limit.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.parts --out reports/parts

Every kernel and every BLAS product of a step is timed by itself. Rounds of steps take turns with a product of two
2048 × 2048 matrices, the peak that shares refer to, and with the recurrent products alone: what a pass through time
takes beyond those are the gates.
"""

import argparse
import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks import tables
from benchmarks.peers.given import Shape
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness.contracts.weights import initial_weights
from harness.worker.minibatches import Sequential
from harness.worker.targets import resolve
from harness_native.kernels import Kernels, Workspace
from harness_numpy.backend import NumpyBackend

NUM_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
VOCAB_SIZE = 28
PEAK_SIZE = 2048


@dataclass
class Parts:
    """Seconds and floating-point operations of each part of the steps so far."""

    shape: Shape
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    operations: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, call: Callable[..., Any], told: Callable[..., tuple[str, float]]) -> Callable[..., Any]:
        """Return the function with a clock around it; ``told`` names the part and counts its operations."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            since = time.perf_counter()
            result = call(*arguments, **options)
            spent = time.perf_counter() - since
            name, operations = told(*arguments)
            self.seconds[name] += spent
            self.operations[name] += operations
            return result

        return wrapped

    def kernel(self, _: Kernels, name: str, *arguments: Any) -> tuple[str, float]:
        """Name a kernel's part."""
        kind = name.rpartition("_")[2]
        if kind not in ("forward", "backward"):
            return "loss, clipping and update", 0.0
        num_steps, batch_size, num_hiddens = arguments[:3]
        gates = NUM_GATES[name.partition("_")[0]]
        return f"{kind} through time", 2.0 * num_steps * batch_size * gates * num_hiddens**2

    def product(self, left: Any, right: Any) -> tuple[str, float]:
        """Name a BLAS product's part by its sizes: (rows, terms) times (terms, columns)."""
        if left.ndim == 1:
            return "loss, clipping and update", 0.0
        (rows, terms), columns = left.shape, right.shape[1]
        operations = 2.0 * rows * terms * columns
        num_tokens = self.shape.num_steps * self.shape.batch_size
        if VOCAB_SIZE in (rows, terms, columns):
            return "output weights' gradient (BLAS)", operations
        if terms == num_tokens:
            return "weights' gradients (BLAS)", operations
        # Forward the weights are transposed.
        return ("inputs backward (BLAS)" if right.flags.c_contiguous else "inputs forward (BLAS)"), operations


@contextlib.contextmanager
def recording(shape: Shape) -> Iterator[Parts]:
    """Time the parts of all steps within."""
    parts = Parts(shape)
    packing = parts.timed(Kernels.pack, lambda *_: ("packing the recurrent weights", 0.0))
    with (
        patch.object(Kernels, "call", parts.timed(Kernels.call, parts.kernel)),
        patch.object(Kernels, "pack", packing),
        patch.object(np, "dot", parts.timed(np.dot, parts.product)),
    ):
        yield parts


def measure(cell: str, shape: Shape, rounds: int, block_seconds: float) -> pd.DataFrame:
    """Return a row a part: medians over the rounds."""
    step = _model_step(cell, shape)
    peak = np.ones((PEAK_SIZE, PEAK_SIZE), np.float32)
    alone = _recurrent_products(cell, shape)
    step()
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(rounds):
        rate = 2.0 * PEAK_SIZE**3 / _seconds(lambda: peak @ peak)
        with recording(shape) as parts:
            count, since = 0, time.perf_counter()
            while time.perf_counter() - since < block_seconds:
                step()
                count += 1
            whole = (time.perf_counter() - since) / count
        for name, seconds in parts.seconds.items():
            found[name].append((seconds / count, parts.operations[name] / count, rate))
        rest = whole - sum(parts.seconds.values()) / count
        found["the rest: the output, biases, Python"].append((rest, 0.0, rate))
        found["whole step"].append((whole, sum(parts.operations.values()) / count, rate))
        for name, (call, operations) in alone.items():
            found[name].append((_seconds(call), operations, rate))
    rows = []
    whole = float(np.median([seconds for seconds, *_ in found["whole step"]]))
    for name, values in found.items():
        seconds, operations, rates = np.array(values).T
        rows.append(
            {
                "cell": cell,
                "shape": str(shape),
                "part": name,
                "milliseconds": 1e3 * float(np.median(seconds)),
                "share_of_step": float(np.median(seconds)) / whole,
                "gflop_per_s": float(np.median(operations / seconds)) / 1e9 if operations[0] else np.nan,
                "share_of_peak": float(np.median(operations / seconds / rates)) if operations[0] else np.nan,
            }
        )
    frame = pd.DataFrame(rows)
    last = frame["part"].isin(["whole step", *alone])
    return pd.concat([frame[~last].sort_values("milliseconds", ascending=False), frame[last]])


def _model_step(cell: str, shape: Shape) -> Callable[[], None]:
    """Return a training step of the compiled model on one minibatch."""
    architecture = Architecture(vocab_size=VOCAB_SIZE, num_layers=shape.num_layers, num_hiddens=shape.num_hiddens)
    training = Training(optimizer="sgd", learning_rate=0.1, grad_clip=1.0)
    equations = resolve(f"harness_{cell}.cell")
    model = resolve(f"harness_native.model:build_{cell}")(NumpyBackend("cpu", 1), equations, architecture, training)
    model.load(initial_weights(canonical_shapes(equations, architecture), shape.num_hiddens, seed=0))
    tokens = np.random.default_rng(0).integers(0, VOCAB_SIZE, shape.batch_size * (shape.num_steps + 1) + 1)
    ((X, Y),) = list(Sequential(tokens, shape.batch_size, shape.num_steps))[:1]
    state = model.initial_state(shape.batch_size)

    def step() -> None:
        handle, _ = model.train_step(X, Y, state)
        model.read([handle])

    return step


def _recurrent_products(cell: str, shape: Shape) -> dict[str, tuple[Callable[[], None], float]]:
    """Return all layers' recurrent products of a step, forward and backward, without the gates."""
    kernels = Kernels(np.dtype(np.float32))
    h, b = shape.num_hiddens, shape.batch_size
    width = NUM_GATES[cell] * h
    found = {}
    for name, terms, columns in (("forward", h, width), ("backward", width, h)):
        A, C = np.ones((b, terms), np.float32), np.ones((b, columns), np.float32)
        packed = kernels.pack(np.ones((terms, columns), np.float32), Workspace(np.dtype(np.float32)))

        def call(A: Any = A, C: Any = C, packed: Any = packed, terms: int = terms, columns: int = columns) -> None:
            for _ in range(shape.num_layers * shape.num_steps):
                kernels.call("product", b, terms, columns, A, packed, C)

        found[f"alone: the products {name} through time"] = (
            call,
            2.0 * shape.num_layers * shape.num_steps * b * h * width,
        )
    return found


def _seconds(call: Callable[[], object]) -> float:
    since = time.perf_counter()
    call()
    return time.perf_counter() - since


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=Shape.read, default=Shape(256, 32, 35, 2), metavar="HIDDENS,BATCH,STEPS,L")
    parser.add_argument("--cells", default=",".join(NUM_GATES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--block-seconds", type=float, default=0.25)
    parser.add_argument("--out", type=Path, default=Path("reports/parts"))
    asked = parser.parse_args(arguments)
    frame = pd.concat(
        [measure(cell, asked.shape, asked.rounds, asked.block_seconds) for cell in asked.cells.split(",")]
    )
    notes = [
        " ".join((__doc__ or "").split("\n\n")[-1].split()),
        "Medians over the rounds.",
    ]
    tables.write(frame, asked.out, "parts", "Where a training step of the compiled layers goes", notes)
    print(f"The table is {asked.out / 'parts.md'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
