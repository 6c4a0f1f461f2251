"""Minibatches: D2L's order, targets one token on, no token twice, the same in every process."""

import itertools
import random

import numpy as np
import pytest

from harness.corpus.split import Split
from harness.worker.minibatches import Sequential, evaluation_minibatches, training_minibatches

TOKENS = np.arange(1000, dtype=np.uint16)


def d2l_sequential(corpus, batch_size, num_steps, offset):
    """Follow D2L 0.17's seq_data_iter_sequential, the offset given."""
    num_tokens = ((len(corpus) - offset - 1) // batch_size) * batch_size
    Xs = corpus[offset : offset + num_tokens].reshape(batch_size, -1)
    Ys = corpus[offset + 1 : offset + 1 + num_tokens].reshape(batch_size, -1)
    num_batches = Xs.shape[1] // num_steps
    for i in range(0, num_steps * num_batches, num_steps):
        yield Xs[:, i : i + num_steps], Ys[:, i : i + num_steps]


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_sequential_partition_is_d2ls(offset):
    ours = list(Sequential(TOKENS, 4, 7, offset))
    theirs = list(d2l_sequential(TOKENS, 4, 7, offset))
    assert len(ours) == len(theirs)
    for (X, Y), (expected_X, expected_Y) in zip(ours, theirs, strict=True):
        assert np.array_equal(X.T, expected_X)
        assert np.array_equal(Y.T, expected_Y)


def test_neighbouring_sequential_minibatches_hold_neighbouring_text():
    windows = list(training_minibatches(TOKENS, 4, 7, "sequential", seed=0, epoch=1))
    for (_, Y), (X, _) in itertools.pairwise(windows):
        assert np.array_equal(Y[-1], X[0])


def test_the_offset_takes_every_value_from_zero_to_num_steps():
    offsets = {
        int(next(iter(training_minibatches(TOKENS, 4, 7, "sequential", seed=0, epoch=epoch)))[0][0, 0])
        for epoch in range(200)
    }
    assert offsets == set(range(8))


def d2l_random_starts(corpus, num_steps, offset):
    """Follow D2L 0.17's seq_data_iter_random up to the shuffle."""
    corpus = corpus[offset:]
    num_subseqs = (len(corpus) - 1) // num_steps
    starts = list(range(0, num_subseqs * num_steps, num_steps))
    random.Random(0).shuffle(starts)
    return {int(corpus[start]) for start in starts}


def test_random_partition_takes_d2ls_windows_each_once():
    minibatches = training_minibatches(TOKENS, 4, 7, "random", seed=1, epoch=1)
    starts = [int(x) for X, _ in minibatches for x in X[0]]
    assert len(starts) == len(set(starts)) == len(minibatches) * 4
    offset = min(starts) % 7
    assert set(starts) <= d2l_random_starts(TOKENS, 7, offset)
    assert starts != sorted(starts)


def test_targets_are_the_next_tokens_in_both_partitions():
    for partition in ("sequential", "random"):
        for X, Y in training_minibatches(TOKENS, 4, 7, partition, seed=0, epoch=1):
            assert X.shape == Y.shape == (7, 4)
            assert X.dtype == np.int64
            assert np.array_equal(X + 1, Y)


@pytest.mark.parametrize("partition", ["sequential", "random"])
def test_seed_and_epoch_alone_decide_the_order(partition):
    def first(seed, epoch):
        return [X for X, _ in training_minibatches(TOKENS, 4, 7, partition, seed, epoch)]

    assert np.array_equal(first(0, 1)[0], first(0, 1)[0])
    assert any(not np.array_equal(first(0, 1)[0], first(0, epoch)[0]) for epoch in (2, 3, 4))
    assert any(not np.array_equal(first(0, 1)[0], first(seed, 1)[0]) for seed in (2, 3, 4))


def test_only_the_sequential_partition_carries_the_state():
    assert training_minibatches(TOKENS, 4, 7, "sequential", 0, 1).carries_state
    assert not training_minibatches(TOKENS, 4, 7, "random", 0, 1).carries_state


def d2l_windows(corpus, num_train, num_val, num_steps):
    """Follow D2L 1.0's TimeMachine: the windows' array, and its training and validation rows."""
    array = np.array([corpus[i : i + num_steps + 1] for i in range(len(corpus) - num_steps)])
    X, Y = array[:, :-1], array[:, 1:]
    return (X[:num_train], Y[:num_train]), (X[num_train : num_train + num_val], Y[num_train : num_train + num_val])


def test_windows_are_d2ls_shuffled_in_training_and_in_order_in_evaluation():
    num_steps, num_train, num_val = 8, 100, 50
    (X, Y), (valid_X, valid_Y) = d2l_windows(TOKENS, num_train, num_val, num_steps)
    train_part, valid_part = Split(f"windows:{num_train}+{num_val}x{num_steps}").parts(len(TOKENS))
    batches = list(training_minibatches(TOKENS[train_part], 32, num_steps, "windows", seed=0, epoch=1))
    assert [x.shape for x, _ in batches] == [(8, 32), (8, 32), (8, 32), (8, 4)]  # the last batch is not dropped
    ours = np.concatenate([x for x, _ in batches], axis=1).T
    targets = np.concatenate([y for _, y in batches], axis=1).T
    assert not np.array_equal(ours, X)
    order = np.argsort(ours[:, 0])
    assert np.array_equal(ours[order], X)
    assert np.array_equal(targets[order], Y)
    evaluated = list(evaluation_minibatches(TOKENS[valid_part], 32, num_steps, "windows"))
    assert np.array_equal(np.concatenate([x for x, _ in evaluated], axis=1).T, valid_X)
    assert np.array_equal(np.concatenate([y for _, y in evaluated], axis=1).T, valid_Y)


def test_windows_are_shuffled_anew_each_epoch_and_start_from_zero():
    first, second, again = (training_minibatches(TOKENS, 32, 8, "windows", seed=0, epoch=epoch) for epoch in (1, 2, 1))
    assert not np.array_equal(next(iter(first))[0], next(iter(second))[0])
    assert np.array_equal(next(iter(first))[0], next(iter(again))[0])
    assert not first.carries_state
    assert len(first) == len(list(first))
