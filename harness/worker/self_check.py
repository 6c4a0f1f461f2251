"""`python -m harness.worker.self_check TARGET`: open a backend and hold one small model of it against plain NumPy."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Backend
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness.contracts.weights import Weights, initial_weights
from harness.worker.targets import resolve

_TOLERANCE = 1e-4


def largest_difference(backend: Backend) -> float:
    """Return the largest difference between a vanilla RNN's logits on the backend and by its formula."""
    equations = resolve("harness_rnn.cell")
    architecture = Architecture(vocab_size=7, num_layers=1, num_hiddens=16)
    weights = initial_weights(canonical_shapes(equations, architecture), 16, seed=0)
    model = backend.scratch(equations, architecture, Training())
    model.load(weights)
    X = np.random.default_rng(0).integers(0, 7, (5, 3))
    logits, _ = model.logits(X, model.initial_state(3))
    return float(np.max(np.abs(np.asarray(logits, np.float64) - _by_formula(weights, X))))


def _by_formula(weights: Weights, X: NDArray[np.int64]) -> NDArray[np.float64]:
    w: dict[str, Any] = {name: array.astype(np.float64) for name, array in weights.items()}
    H = np.zeros((X.shape[1], w["layers.0.W_h"].shape[1]))
    outputs = []
    for ids in X:
        x = w["layers.0.W_x"].T[ids] + w["layers.0.b_x"]
        H = np.tanh(x + H @ w["layers.0.W_h"].T + w["layers.0.b_h"])
        outputs.append(H @ w["output.W"].T + w["output.b"])
    return np.array(outputs)


def main(target: str) -> int:
    """Return 0 when the backend computes as it should; else print one line that says what is wrong."""
    try:
        difference = largest_difference(resolve(target)("cpu", 1))
    except Exception as error:
        print(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        return 1
    if not difference <= _TOLERANCE:
        print(f"its framework computes wrongly: a small RNN differs from its formula by {difference:.2g}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
