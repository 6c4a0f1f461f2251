"""Ours: a model of the numpy backend as a trial's worker builds it, `native` or `fused`; or the sentinel's product."""

import numpy as np
from answering import answer, answer_steps, data_of, task

from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness.worker.targets import resolve

PRODUCT_SIZE = 2048


def main():
    asked = task()
    backend = resolve("harness_numpy.backend:NumpyBackend")("cpu", asked.num_threads)
    if asked.implementation == "product":
        answer_products(asked, backend)
        return
    minibatches, weights = data_of(asked)
    architecture = Architecture(vocab_size=asked.vocab_size, num_layers=asked.num_layers, num_hiddens=asked.num_hiddens)
    training = Training(optimizer=asked.optimizer, learning_rate=asked.learning_rate, grad_clip=asked.grad_clip)
    equations = resolve(f"harness_{asked.cell}.cell")
    module = {"native": "harness_native.model", "fused": "harness_numpy.fused"}[asked.implementation]
    model = resolve(f"{module}:build_{asked.cell}")(backend, equations, architecture, training)
    model.load(weights)
    state = model.initial_state(asked.batch_size)

    def step(X, Y):
        nonlocal state
        handle, state = model.train_step(X, Y, state)
        return handle

    about = ", ".join(f"{name} {value}" for name, value in backend.versions().items())
    answer_steps(asked, minibatches, step, lambda handle: model.read([handle])[0, 0], about)


def answer_products(asked, backend):
    """Answer with products of known size instead; the amounts are floating-point operations."""

    def train(count):
        for _ in range(count):
            backend.product_seconds(PRODUCT_SIZE)
        return 2.0 * PRODUCT_SIZE**3 * count, 0.0

    answer(asked, train, f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
