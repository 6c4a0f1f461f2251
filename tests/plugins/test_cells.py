"""The cells' equations: the shared contract, and each cell against an independent source."""

import numpy as np
import pytest

from harness.testing import CellContract
from harness.testing.models import BATCH_SIZE, SMALL, loaded, minibatches, reference_model
from harness.worker.targets import resolve


class TestRnn(CellContract):
    equations_module = "harness_rnn.cell"


class TestGru(CellContract):
    equations_module = "harness_gru.cell"


class TestTextbookGru(CellContract):
    equations_module = "harness_gru.textbook"


class TestLstm(CellContract):
    equations_module = "harness_lstm.cell"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def outputs_by_the_books_formula(cell, weights, X):
    """Write the recurrence out as the book prints it, one gate at a time, with H W + X W rather than stacked gates."""
    H = C = np.zeros((X.shape[1], SMALL.num_hiddens))
    W_x, W_h, b_x, b_h = (weights[f"layers.0.{name}"] for name in ("W_x", "W_h", "b_x", "b_h"))
    count = len(W_x) // SMALL.num_hiddens
    gates = [slice(k * SMALL.num_hiddens, (k + 1) * SMALL.num_hiddens) for k in range(count)]
    logits = []
    for x in np.eye(SMALL.vocab_size)[X]:

        def gate(k, x=x):
            return x @ W_x[gates[k]].T + b_x[gates[k]] + H @ W_h[gates[k]].T + b_h[gates[k]]  # noqa: B023

        if cell == "rnn":
            H = np.tanh(gate(0))
        elif cell == "lstm":
            i, f, g, o = sigmoid(gate(0)), sigmoid(gate(1)), np.tanh(gate(2)), sigmoid(gate(3))
            C = f * C + i * g
            H = o * np.tanh(C)
        else:
            r, z = sigmoid(gate(0)), sigmoid(gate(1))
            recurrent = r * (H @ W_h[gates[2]].T + b_h[gates[2]])
            if cell == "gru-textbook":
                recurrent = (r * H) @ W_h[gates[2]].T + b_h[gates[2]]
            n = np.tanh(x @ W_x[gates[2]].T + b_x[gates[2]] + recurrent)
            H = z * H + (1 - z) * n
        logits.append(H @ weights["output.W"].T + weights["output.b"])
    return np.array(logits)


@pytest.mark.parametrize(
    ("cell", "module"),
    [
        ("rnn", "harness_rnn.cell"),
        ("gru", "harness_gru.cell"),
        ("gru-textbook", "harness_gru.textbook"),
        ("lstm", "harness_lstm.cell"),
    ],
)
def test_one_layer_computes_the_books_formula(cell, module):
    from dataclasses import replace

    model = loaded(reference_model, resolve(module), replace(SMALL, num_layers=1))
    X = minibatches(1).inputs[0]
    logits, _ = model.logits(X, model.initial_state(BATCH_SIZE))
    assert np.allclose(logits, outputs_by_the_books_formula(cell, model.weights(), X), atol=1e-12)


def test_the_two_grus_are_different_models():
    X = minibatches(1).inputs[0]
    after, before = (
        loaded(reference_model, resolve(module), SMALL) for module in ("harness_gru.cell", "harness_gru.textbook")
    )
    ours, theirs = (model.logits(X, model.initial_state(BATCH_SIZE))[0] for model in (after, before))
    assert np.max(np.abs(ours - theirs)) > 1e-3
