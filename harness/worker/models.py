"""From a job to the model it names: the code is imported, the model built, its weights made or read."""

import json
from pathlib import Path

import numpy as np

from harness.contracts.backends import Backend, Model, Tokens
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness.contracts.weights import Weights, initial_weights
from harness.worker.job import Network, Place
from harness.worker.targets import resolve
from harness.worker.trial import Trial


def open_backend(target: str, place: Place) -> Backend:
    """Open a backend where the worker is to compute."""
    backend: Backend = resolve(target)(place.device, place.num_threads)
    return backend


def build(network: Network, backend: Backend, architecture: Architecture, training: Training) -> Model:
    """Build the model of this architecture, by its implementation or from scratch."""
    equations: Equations = resolve(network.equations)
    if network.implementation_target is None:
        return backend.scratch(equations, architecture, training)
    model: Model = resolve(network.implementation_target)(backend, equations, architecture, training)
    return model


def trial_weights(trial: Trial, network: Network) -> Weights:
    """Return the weights a trial begins with."""
    shapes = canonical_shapes(resolve(network.equations), trial.architecture)
    return initial_weights(shapes, trial.num_hiddens, trial.seed, trial.init)


def mapped(path: str) -> Tokens:
    """Open an array of token ids without reading it."""
    tokens: Tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    return tokens


def read_symbols(path: str) -> list[str]:
    """Read a vocabulary's symbols, by id."""
    symbols: list[str] = json.loads(Path(path).read_text(encoding="utf-8"))["symbols"]
    return symbols
