"""The n-gram models against Chen and Goodman's formulas, written out with dictionaries."""

import math
from collections import Counter

import numpy as np
import pytest

from harness.contracts.baselines import TrainingText
from harness.testing import BaselineContract
from harness_ngram.model import NGram, fit


class TestUnigram(BaselineContract):
    target = "harness_ngram.orders:order_1"


class TestSixgram(BaselineContract):
    target = "harness_ngram.orders:order_6"


def silent(fraction: float) -> None:
    """Tell nobody."""


def fitted(ids, order, vocab_size=None) -> NGram:
    ids = np.asarray(ids, np.uint8)
    symbols = ["<unk>", *map(str, range(1, vocab_size or int(ids.max()) + 1))]
    return fit(order, TrainingText(ids=ids, symbols=symbols, tokens="char"), silent)


def repetitive_ids(count, vocab_size, seed=0):
    """Some tokens follow others more often, so that counts of every size occur."""
    generator = np.random.default_rng(seed)
    rows = generator.dirichlet(np.full(vocab_size - 1, 0.3), vocab_size)
    ids = [1]
    for _ in range(count - 1):
        ids.append(1 + int(generator.choice(vocab_size - 1, p=rows[ids[-1]])))
    return ids


class BruteForce:
    """Modified Kneser-Ney from the formulas: sets of predecessors, discounts from counts of counts, recursion."""

    def __init__(self, ids, order, vocab_size):
        self.order, self.vocab_size = order, vocab_size
        self.counts = {}
        for length in range(1, order + 1):
            grams = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
            if length == order:
                self.counts[length] = Counter(grams)
            else:
                longer = {tuple(ids[i : i + length + 1]) for i in range(len(ids) - length)}
                self.counts[length] = Counter(gram[1:] for gram in longer)
        self.discounts = {length: self.estimate(counts) for length, counts in self.counts.items()}

    @staticmethod
    def estimate(counts):
        n = Counter(counts.values())
        if all(n[k] for k in (1, 2, 3, 4)):
            y = n[1] / (n[1] + 2 * n[2])
            found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if min(found) > 0:
                return found
        return [n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.75] * 3

    def probability(self, token, context):
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        shorter = self.probability(token, context[1:]) if context else 1 / self.vocab_size
        length = len(context) + 1
        counts = self.counts[length]
        followers = {w: counts[(*context, w)] for w in range(self.vocab_size) if counts[(*context, w)]}
        total = sum(followers.values())
        if not total:
            return shorter

        def discount(count):
            return self.discounts[length][min(count, 3) - 1]

        own = followers.get(token, 0)
        held_back = sum(map(discount, followers.values()))
        return ((own - discount(own)) if own else 0) / total + held_back / total * shorter


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("length", [40, 900])
def test_every_probability_is_the_formula_s(order, length):
    ids = repetitive_ids(length, 7)
    # The last token of the training text occurs nowhere else: a context that is never continued.
    ids[-1] = 7
    model, expected = fitted(ids, order), BruteForce(ids, order, 8)
    contexts = [ids[3 : 3 + n] for n in range(7)] + [ids[-n:] for n in (1, 3)] + [[7, 7, 7], [0, 1, 2], [1, 0, 3]]
    for context in contexts:
        ours = model.next_token_probabilities(np.array(context, np.int64))
        assert ours == pytest.approx([expected.probability(w, context) for w in range(8)], abs=1e-14), context


def test_the_modified_discounts_are_used_where_there_are_counts_for_them():
    expected = BruteForce(repetitive_ids(900, 7), 3, 8)
    one, two, more = expected.discounts[3]
    assert 0 < one < two < more


@pytest.mark.parametrize("order", range(1, 7))
def test_probabilities_sum_to_one_after_any_context(order):
    model = fitted(repetitive_ids(3000, 12), order, vocab_size=12)
    contexts = np.random.default_rng(1).integers(0, 12, (500, 6))
    probabilities = model.next_token_probabilities(contexts)
    assert probabilities.shape == (500, 12)
    assert probabilities.sum(-1) == pytest.approx(1.0, abs=1e-12)
    assert (probabilities > 0).all()


@pytest.mark.parametrize("order", [1, 3, 5])
def test_an_evaluation_is_the_mean_over_the_tokens_one_by_one(order):
    model = fitted(repetitive_ids(2000, 9), order)
    ids = np.array(repetitive_ids(300, 9, seed=5), np.uint8)
    losses, first, five = [], 0, 0
    for i in range(1, len(ids)):
        probabilities = model.next_token_probabilities(ids[:i].astype(np.int64))
        better = int((probabilities >= probabilities[ids[i]]).sum()) - 1
        losses.append(-math.log(probabilities[ids[i]]))
        first += better < 1
        five += better < 5
    found = model.evaluate(ids, silent)
    assert found.loss == pytest.approx(np.mean(losses), abs=1e-12)
    assert model.loss(ids) == pytest.approx(np.mean(losses), abs=1e-12)
    accuracies = (found.others["accuracy"], found.others["top5_accuracy"])
    assert (found.num_tokens, *accuracies) == (299, first / 299, five / 299)
    assert model.training.num_tokens == 1999


def test_a_tie_counts_against_the_model():
    model = fitted([1, 2, 3, 4, 5, 6, 7, 8], 1)
    # Each token was seen once, and '<unk>' never: eight equals.
    found = model.evaluate(np.array([1, 2, 3], np.uint8), silent)
    assert (found.others["accuracy"], found.others["top5_accuracy"]) == (0, 0)


def test_logits_carry_the_context_over_minibatches():
    model = fitted(repetitive_ids(2000, 9), 4)
    X = np.array([repetitive_ids(10, 9, seed) for seed in range(3)]).T
    whole, _ = model.logits(X, model.initial_state(3))
    first, state = model.logits(X[:2], model.initial_state(3))
    second, _ = model.logits(X[2:], state)
    assert np.array_equal(whole, np.concatenate([first, second]))
    assert whole[6, 1] == pytest.approx(np.log(model.next_token_probabilities(X[:7, 1])))


def test_a_token_before_the_context_has_no_influence():
    model = fitted(repetitive_ids(2000, 9), 4)
    context = np.array(repetitive_ids(6, 9))
    other = np.where(np.arange(6) < 3, 1 + context % 8, context)
    assert np.array_equal(*(model.next_token_probabilities(each) for each in (context, other)))


def test_what_it_keeps_is_what_it_counted():
    ids = repetitive_ids(500, 7)
    assert fitted(ids, 1).num_params == len(set(ids))
    brute = BruteForce(ids, 3, 8)
    assert fitted(ids, 3).num_params == sum(len(counts) for counts in brute.counts.values())


def test_a_text_shorter_than_the_order_is_no_trouble():
    model = fitted([1, 2], 6)
    assert model.next_token_probabilities(np.array([1, 2, 1, 2])).sum() == pytest.approx(1)


def test_a_large_vocabulary_does_not_overflow_the_keys():
    ids = np.random.default_rng(0).integers(1, 60_000, 5000).astype(np.uint16)
    symbols = ["<unk>", *map(str, range(1, 60_000))]
    model = fit(6, TrainingText(ids=ids, symbols=symbols, tokens="word"), silent)
    seen = model.next_token_probabilities(ids[100:105].astype(np.int64))
    assert int(np.argmax(seen)) == ids[105]
    assert seen.sum() == pytest.approx(1)
