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


class TestMlp(CellContract):
    equations_module = "harness_mlp.cell"


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


def test_the_mlp_is_bengio_s_network_over_the_window():
    """Write the window out for every token: embeddings side by side, zeros before the text."""
    from dataclasses import replace

    from harness_mlp.cell import WINDOW

    model = loaded(reference_model, resolve("harness_mlp.cell"), replace(SMALL, num_layers=1))
    X = minibatches(1).inputs[0]
    logits, _ = model.logits(X, model.initial_state(BATCH_SIZE))
    weights = model.weights()
    embeddings = np.concatenate([np.zeros((WINDOW - 1, BATCH_SIZE, SMALL.num_hiddens)), weights["layers.0.W_x"].T[X]])
    for t in range(len(X)):
        window = np.concatenate(embeddings[t : t + WINDOW][::-1], axis=-1)
        H = np.tanh(window @ weights["layers.0.W_h"].T + weights["layers.0.b_h"])
        assert np.allclose(logits[t], H @ weights["output.W"].T + weights["output.b"], atol=1e-12)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_token_beyond_the_mlp_s_window_has_no_influence_at_all(num_layers):
    from dataclasses import replace

    from harness_mlp.cell import WINDOW

    model = loaded(reference_model, resolve("harness_mlp.cell"), replace(SMALL, num_layers=num_layers))
    X = np.concatenate(minibatches(2).inputs)
    other = X.copy()
    other[0] = (X[0] + 1) % SMALL.vocab_size
    ours, theirs = (model.logits(tokens, model.initial_state(BATCH_SIZE))[0] for tokens in (X, other))
    differs = [bool(np.any(ours[t] != theirs[t])) for t in range(len(X))]
    reach = num_layers * (WINDOW - 1) + 1
    assert differs == [t < reach for t in range(len(X))]
