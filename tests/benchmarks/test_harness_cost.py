"""What the harness adds to a training loop: a torch trial against a bare PyTorch loop, in turn, in one process.

Run it on a quiet machine: pytest tests/benchmarks/test_harness_cost.py --benchmark-only -s
"""

import statistics
import time

import numpy as np
import pytest

from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness.contracts.weights import initial_weights
from harness.testing.trials import small_trial
from harness.worker.minibatches import training_minibatches
from harness.worker.targets import resolve
from harness.worker.training import Course, Parts, train

VOCAB_SIZE, NUM_HIDDENS, NUM_LAYERS, NUM_STEPS, BATCH_SIZE = 28, 256, 2, 35, 32
NUM_TOKENS = 32 * 35 * 20
ROUNDS = 15


def trial(cell):
    return small_trial(
        cell=cell,
        backend="torch",
        implementation="fused",
        train_tokens=NUM_TOKENS,
        vocab_size=VOCAB_SIZE,
        num_layers=NUM_LAYERS,
        num_hiddens=NUM_HIDDENS,
        num_steps=NUM_STEPS,
        batch_size=BATCH_SIZE,
    )


class BareLoop:
    """The loop of the book: a recurrent layer, a linear layer, SGD, clipping, the loss read at each minibatch."""

    def __init__(self, cell):
        import torch

        self.torch = torch
        layer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        self.layers = layer(VOCAB_SIZE, NUM_HIDDENS, NUM_LAYERS)
        self.output = torch.nn.Linear(NUM_HIDDENS, VOCAB_SIZE)
        self.parameters = [*self.layers.parameters(), *self.output.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.1)

    def epoch(self, minibatches):
        state, total = None, 0.0
        for X, Y in minibatches:
            inputs = self.torch.nn.functional.one_hot(self.torch.from_numpy(X), VOCAB_SIZE).float()
            outputs, state = self.layers(inputs, state)
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            logits = self.output(outputs.flatten(0, 1))
            loss = self.torch.nn.functional.cross_entropy(logits, self.torch.from_numpy(Y).flatten())
            self.optimizer.zero_grad()
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            total += loss.item()
        return total


def harness_model(cell):
    from harness_torch.backend import TorchBackend

    equations = resolve(f"harness_{cell}.cell")
    architecture = Architecture(vocab_size=VOCAB_SIZE, num_layers=NUM_LAYERS, num_hiddens=NUM_HIDDENS)
    training = Training(optimizer="sgd", learning_rate=0.1)
    model = resolve(f"harness_torch.fused:build_{cell}")(TorchBackend("cpu", 1), equations, architecture, training)
    model.load(initial_weights(canonical_shapes(equations, architecture), NUM_HIDDENS, 0))
    return model


@pytest.mark.benchmark(group="harness cost")
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_torch_trial_against_a_bare_loop(benchmark, cell):
    tokens = np.random.default_rng(0).integers(0, VOCAB_SIZE, NUM_TOKENS).astype(np.uint8)
    minibatches = list(training_minibatches(tokens, BATCH_SIZE, NUM_STEPS, "sequential", 0, 1))
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'rnn-harness[torch]'")
    model, bare = harness_model(cell), BareLoop(cell)
    torch.set_num_threads(1)
    bare_seconds, harness_seconds = [], []

    def run_bare():
        since = time.perf_counter()
        bare.epoch(minibatches)
        bare_seconds.append(time.perf_counter() - since)

    def run_harness():
        events = []
        parts = Parts(train=tokens, valid=tokens[: NUM_TOKENS // 10], valid_chars_per_token=1.0)
        train(model, trial(cell), parts, events.append, Course(report_seconds=1.0))
        harness_seconds.append(events[-1].measures["train_seconds"])

    run_bare()
    bare_seconds.clear()
    # The bare epoch is each round's set-up, so the two alternate and share the machine's moods.
    benchmark.pedantic(run_harness, setup=run_bare, rounds=ROUNDS, warmup_rounds=1)
    ratios = sorted(b / h for b, h in zip(bare_seconds[1:], harness_seconds[1:], strict=True))
    benchmark.extra_info["throughput of the trial / of the bare loop"] = {
        "median": statistics.median(ratios),
        # Order statistics 4 and 12 of 15 hold the median with 96 % confidence.
        "low": ratios[3],
        "high": ratios[11],
    }
    print(
        f"\n{cell}: {statistics.median(ratios):.3f} × a bare loop ({ratios[3]:.3f} to {ratios[11]:.3f}, n = {ROUNDS})"
    )
