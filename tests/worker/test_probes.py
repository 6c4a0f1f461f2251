"""Probes against what is known in advance: windows that end, derivatives by differences, texts that repeat."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from harness.contracts.baselines import TrainingText
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.weights import initial_weights
from harness.testing.trials import small_trial
from harness.worker.probes import PROBES, Subject, failures, memory, writing
from harness.worker.probes.subject import log_softmax, windows
from harness_ngram.model import fit
from harness_numpy.backend import NumpyBackend

VOCABULARY = ["<unk>", *"abcdefg"]
TRIAL = small_trial(cell="rnn", train_tokens=3000, vocab_size=len(VOCABULARY), num_layers=1, num_steps=8, batch_size=4)
EQUATIONS = {
    "rnn": "harness_rnn.cell",
    "gru": "harness_gru.cell",
    "lstm": "harness_lstm.cell",
    "mlp": "harness_mlp.cell",
}


def text(length, seed=0):
    return np.random.default_rng(seed).integers(1, len(VOCABULARY), length).astype(np.uint8)


def subject(cell="rnn", num_layers=1, scale=1.0, **changes):
    trial = replace(TRIAL, cell=cell, num_layers=num_layers)
    equations = importlib.import_module(EQUATIONS[cell])
    sizes = Architecture(vocab_size=8, num_layers=num_layers, num_hiddens=6, dtype="float64")
    weights = initial_weights(canonical_shapes(equations, sizes), 6, 0)
    trained = {name: array * scale for name, array in weights.items()}
    model = NumpyBackend("cpu", 1).scratch(equations, sizes, trial.training)
    model.load(trained)
    plain = Subject(
        trial=trial, model=model, train=text(3000), valid=text(800, 1), symbols=VOCABULARY,
        stages={"init": weights, "trained": trained},
    )  # fmt: skip
    return replace(plain, **changes)


def baseline(order):
    model = fit(order, TrainingText(ids=text(3000), symbols=VOCABULARY, tokens="char"), lambda _: None)
    return subject(model=model, stages={})


def found(name, of):
    """Return a probe's means by quantity and place."""
    table: dict[str, dict[float, float]] = {}
    for quantity, at, value, _, n in PROBES[name](of):
        assert n > 0
        table.setdefault(quantity, {})[at] = value
    return table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of", "window"),
    [
        (lambda: subject("mlp"), 4),
        (lambda: subject("mlp", num_layers=2), 7),
        (lambda: baseline(1), 0),
        (lambda: baseline(3), 2),
        (lambda: baseline(6), 5),
    ],
    ids=["mlp", "mlp of two layers", "unigram", "trigram", "six-gram"],
)
def test_what_lies_before_a_window_has_no_influence_to_the_last_bit(of, window):
    divergences = found("influence", of())["kl"]
    assert all(divergences[k] > 0 for k in memory.DISTANCES if k < window)
    assert all(divergences[k] == 0.0 for k in memory.DISTANCES if k >= window)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_recurrent_cell_depends_on_every_token_and_less_the_further_back_it_lies(cell):
    divergences = found("influence", subject(cell, scale=2.0))["kl"]
    assert all(value > 0 for value in divergences.values())
    assert divergences[0] > divergences[4] > divergences[16]


def test_the_divergence_is_that_of_the_two_distributions():
    of = subject()
    length = memory.DISTANCES[-1] + 1
    contexts = windows(of, length, 3)
    before = memory._last_log_probabilities(of.model, contexts)
    assert np.exp(before).sum(axis=1) == pytest.approx([1, 1, 1])
    one_by_one, _ = of.model.logits(contexts[:, :1], of.model.initial_state(1))
    shifted = one_by_one[-1, 0]
    assert before[0] == pytest.approx(shifted - np.log(np.exp(shifted).sum()))


def test_small_divergences_keep_their_digits():
    p = np.array([0.2, 0.3, 0.5])
    for size in (0.1, 1e-3, 1e-6, 1e-10):
        q = p + size * np.array([1.0, -2.0, 1.0])
        (found,) = memory._divergences(np.log(p)[None], np.log(p)[None] + np.log1p((q - p) / p)[None])
        # Half the chi-squared divergence, to second order in what is changed.
        assert found == pytest.approx(np.sum((q - p) ** 2 / p) / 2, rel=max(3 * size / 0.2, 1e-5))
    (exact,) = memory._divergences(np.log(p)[None], np.log(p[::-1])[None])
    assert exact == pytest.approx(np.sum(p * np.log(p / p[::-1])))


@pytest.mark.parametrize(("cell", "num_layers"), [("rnn", 1), ("gru", 2), ("lstm", 2)])
def test_state_gradients_agree_with_finite_differences(cell, num_layers):
    of = subject(cell, num_layers)
    X, targets = text(5 * 3).reshape(5, 3).astype(np.int64), np.array([1, 2, 3])
    generator = np.random.default_rng(3)
    state = tuple(tuple(generator.normal(size=part.shape) for part in layer) for layer in of.model.initial_state(3))
    gradients = of.model.last_loss_gradients(X, targets, state)
    parts = [part for layer in state for part in layer]
    assert [gradient.shape for gradient in gradients] == [part.shape for part in parts]

    def loss():
        logits, _ = of.model.logits(X, state)
        return -log_softmax(logits[-1])[np.arange(3), targets].sum()

    for part, gradient in zip(parts, gradients, strict=True):
        for place in ((0, 0), (2, 5)):
            before = part[place]
            part[place] = before + 1e-6
            above = loss()
            part[place] = before - 1e-6
            below = loss()
            part[place] = before
            assert gradient[place] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-9)


def test_gradients_of_a_linear_decay_fall_at_its_rate():
    """With every weight but the recurrent one at zero and tanh near zero, each step back multiplies by that weight."""
    of = subject()
    weights = {name: np.zeros_like(array) for name, array in of.stages["init"].items()}
    weights["layers.0.W_h"] = 0.8 * np.eye(6)
    weights["output.W"] = np.random.default_rng(0).normal(size=weights["output.W"].shape)
    norms = found("gradients", replace(of, stages={"trained": weights}))["log_norm_trained"]
    for k in memory.STEPS_BACK[1:]:
        assert norms[k] - norms[1] == pytest.approx((k - 1) * math.log(0.8))


def test_clipping_counts_the_minibatches_beyond_the_trial_s_clip():
    of = subject()
    norms = found("clipping", of)["grad_norm_trained"][0]
    for clip, share in ((norms * 100, 0.0), (norms / 100, 1.0), (0.0, 0.0)):
        assert found("clipping", replace(of, trial=replace(of.trial, grad_clip=clip)))["clipped_trained"][0] == share


def test_passages_count_as_they_would_by_hand():
    ids = np.array([1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 5, 5, 5])
    by_hand = [tuple(ids[i : i + writing.GRAM]) for i in range(len(ids) - writing.GRAM + 1)]
    hashed = writing._passages(ids)
    assert len(hashed) == len(by_hand)
    for i in range(len(hashed)):
        for j in range(len(hashed)):
            assert (hashed[i] == hashed[j]) == (by_hand[i] == by_hand[j])


@pytest.mark.slow
def test_the_most_probable_text_repeats_itself_and_a_hot_one_is_new():
    figures = found("generation", subject(scale=3.0))
    assert figures["repetition"][0.0] > 0.5
    assert figures["repetition"][1.5] < figures["repetition"][0.0]
    assert figures["novelty"][1.5] > 0.9
    assert set(figures["novelty"]) == {-1.0, *writing.TEMPERATURES}


@pytest.mark.slow
def test_training_text_that_is_generated_again_is_not_new():
    cycle = np.tile(np.arange(1, 8, dtype=np.uint8), 500)
    model = fit(4, TrainingText(ids=cycle, symbols=VOCABULARY, tokens="char"), lambda _: None)
    figures = found("generation", subject(model=model, stages={}, train=cycle, valid=cycle[:800]))
    assert figures["novelty"][0.0] == 0
    assert figures["novelty"][-1.0] == 0
    assert figures["repetition"][-1.0] > 0.9


def test_unseen_tokens_are_counted_with_their_loss():
    valid = text(800, 1)
    valid[::10] = 0
    figures = found("unseen", subject(valid=valid))
    assert figures["unseen_share"][0] == pytest.approx(0.1, abs=0.02)
    assert figures["unseen_loss"][0] == pytest.approx(math.log(8), abs=1.5)
    assert "unseen_loss" not in found("unseen", subject())


def test_a_token_of_the_vocabulary_that_this_training_text_lacks_is_unseen():
    train, valid = text(800, 1), text(800, 2)
    train[train == 3] = 4
    expected = float(np.mean(valid == 3))
    assert expected > 0
    assert found("unseen", subject(train=train, valid=valid))["unseen_share"][0] == pytest.approx(expected)


def test_brackets_are_paired_by_nesting():
    pairs = {1: 2, 3: 4}
    assert list(failures._closings([1, 3, 4, 2, 4, 1, 4], pairs)) == [(2, 1), (3, 3)]


def test_a_model_that_knows_no_brackets_gives_each_kind_its_share():
    symbols = ["<unk>", "(", ")", "[", "]"]
    valid = np.array([1, 3, 4, 2, 1, 2, 3, 4] * 60, np.uint8)
    of = subject(valid=valid, symbols=symbols)
    figures = found("brackets", replace(of, model=_Uniform(5)))
    assert figures["closing"] == pytest.approx({1: 0.2, 2: 0.2})
    assert figures["right_kind"] == pytest.approx({1: 0.5, 2: 0.5})
    assert found("brackets", subject()) == {}


class _Uniform:
    def __init__(self, vocab_size):
        self._vocab_size = vocab_size

    def initial_state(self, batch_size):
        return None

    def logits(self, X, state):
        return np.zeros((*X.shape, self._vocab_size)), None


@pytest.mark.slow
def test_length_times_each_sequence():
    assert list(found("length", subject())["seconds"]) == list(memory.LENGTHS)


def test_a_held_out_text_that_is_too_short_is_said():
    with pytest.raises(ValueError, match="the held-out text has 10 tokens, and this probe needs 49"):
        list(memory.influence(subject(valid=text(10))))


def spelt(words):
    """Return a text of these words as ids: 'a' to 'f' are letters, 'g' stands for a space."""
    alphabet = ["<unk>", *"abcdef", " "]
    return np.array([alphabet.index(letter) for letter in " ".join(words)], np.uint8)


class _Fixed:
    """A model that gives every letter the same logits, whatever came before."""

    def __init__(self, probabilities):
        self.row = np.log(probabilities)

    def initial_state(self, batch_size):
        return ()

    def logits(self, X, state):
        return np.broadcast_to(self.row, (*X.shape, len(self.row))), state


def test_own_words_are_those_that_no_other_author_uses_and_their_letters_alone_count():
    # 'fef' is Ann's own; 'bad' stands in both texts, 'fee' too seldom.
    ann, ben = spelt(["bad", "fef"] * 40 + ["fee"]), spelt(["bad", "cab"] * 40)
    probabilities = np.array([0.01, 0.1, 0.1, 0.1, 0.1, 0.05, 0.025, 0.515])
    asked = subject(
        model=_Fixed(probabilities), symbols=["<unk>", *"abcdef", " "],
        held_out={("Ann", "valid"): ann, ("Ben", "valid"): ben, ("Ben", "test"): ben},
    )  # fmt: skip
    bits = found("own_words", asked)
    # Two letters f and one e of 'fef'; rows begin and end within words, so a few letters more or less.
    assert bits["own words of Ann"][0] == pytest.approx(-(2 * math.log2(0.025) + math.log2(0.05)) / 3, abs=0.1)
    assert bits["shared words of Ann"][0] == pytest.approx(-math.log2(0.1), abs=0.1)
    assert bits["own words of Ben"][0] == pytest.approx(-math.log2(0.1), abs=1e-9)
    assert found("own_words", subject(held_out={("Ann", "valid"): ann})) == {}
