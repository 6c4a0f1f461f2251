"""Minibatches: D2L's order, targets one token on, no token twice, the same in every process."""

import itertools
import random

import numpy as np
import pytest

from harness.worker.minibatches import Sequential, training_minibatches

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
