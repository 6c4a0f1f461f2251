"""Minibatches: D2L's order, targets one token on, no token twice, the same in every process."""

import itertools
import random
import subprocess
import sys

import numpy as np
import pytest

from harness.texts.split import Split
from harness.worker import minibatches
from harness.worker.minibatches import Sequential, Shuffled, evaluation_minibatches, training_minibatches

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
    windows = training_minibatches(TOKENS, 4, 7, "random", seed=1, epoch=1)
    starts = [int(x) for X, _ in windows for x in X[0]]
    assert len(starts) == len(set(starts)) == len(windows) * 4
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
    parts = Split(f"windows:{num_train}+{num_val}x{num_steps}").parts(len(TOKENS))
    batches = list(training_minibatches(TOKENS[parts.train], 32, num_steps, "windows", seed=0, epoch=1))
    assert [x.shape for x, _ in batches] == [(8, 32), (8, 32), (8, 32), (8, 4)]  # the last batch is not dropped
    ours = np.concatenate([x for x, _ in batches], axis=1).T
    targets = np.concatenate([y for _, y in batches], axis=1).T
    assert not np.array_equal(ours, X)
    order = np.argsort(ours[:, 0])
    assert np.array_equal(ours[order], X)
    assert np.array_equal(targets[order], Y)
    evaluated = list(evaluation_minibatches(TOKENS[parts.valid], 32, num_steps, "windows"))
    assert np.array_equal(np.concatenate([x for x, _ in evaluated], axis=1).T, valid_X)
    assert np.array_equal(np.concatenate([y for _, y in evaluated], axis=1).T, valid_Y)


def test_windows_are_shuffled_anew_each_epoch_and_start_from_zero():
    first, second, again = (training_minibatches(TOKENS, 32, 8, "windows", seed=0, epoch=epoch) for epoch in (1, 2, 1))
    assert not np.array_equal(next(iter(first))[0], next(iter(second))[0])
    assert np.array_equal(next(iter(first))[0], next(iter(again))[0])
    assert not first.carries_state
    assert len(first) == len(list(first))


# --- long texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1_000, 4_097])
def test_an_order_that_is_computed_holds_every_number_once(count):
    order = Shuffled(count, np.random.default_rng(count))
    assert sorted(order[0:count].tolist()) == list(range(count))
    assert order[: count // 2].tolist() == order[0:count].tolist()[: count // 2]


def test_an_order_that_is_computed_is_a_random_one():
    places = np.arange(10_000)
    orders = [Shuffled(10_000, np.random.default_rng(seed))[0:10_000] for seed in range(20)]
    assert all(abs(np.corrcoef(places, order)[0, 1]) < 0.05 for order in orders)
    assert all(abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.05 for order in orders)
    # Two random permutations agree in one place on average.
    assert sum(int((a == b).sum()) for a, b in itertools.combinations(orders, 2)) == pytest.approx(190, abs=70)


def test_windows_beyond_those_that_are_kept_in_order_are_each_taken_once(monkeypatch):
    monkeypatch.setattr(minibatches, "_SHUFFLED_AT_ONCE", 10)
    monkeypatch.setattr(minibatches, "_LOOKED_UP_AT_ONCE", 50)
    windows = training_minibatches(TOKENS, 4, 7, "random", seed=1, epoch=1)
    starts = [int(x) for X, _ in windows for x in X[0]]
    assert len(starts) == len(set(starts)) == len(windows) * 4
    assert {(start - min(starts)) % 7 for start in starts} == {0}
    overlapping = training_minibatches(TOKENS, 4, 7, "windows", seed=1, epoch=1)
    starts = [int(x) for X, _ in overlapping for x in X[0]]
    assert starts != sorted(starts) == list(range(1_000 - 7))


@pytest.mark.parametrize("partition", ["sequential", "random", "windows"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_a_long_file_is_read_window_by_window_into_the_same_minibatches(tmp_path, monkeypatch, partition, dtype):
    tokens = np.random.default_rng(0).integers(0, 200, 3_000).astype(dtype)
    np.save(tmp_path / "tokens.npy", tokens)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")[100:2_900]
    expected = list(training_minibatches(tokens[100:2_900], 4, 7, partition, seed=5, epoch=2))
    monkeypatch.setattr(minibatches, "_MAPPED_BYTES", 0)
    monkeypatch.setattr(np.lib.stride_tricks, "sliding_window_view", None)  # the way of short texts
    found = list(training_minibatches(mapped, 4, 7, partition, seed=5, epoch=2))
    assert len(found) == len(expected) > 50
    assert all(np.array_equal(X, A) and np.array_equal(Y, B) for (X, Y), (A, B) in zip(found, expected, strict=True))


@pytest.mark.slow
def test_a_long_file_does_not_fill_the_memory():
    # In a process of its own, whose largest memory tells; the file is a sparse one.
    done = subprocess.run([sys.executable, "-c", READ_LONG_FILE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    grown = {partition: int(grown) for partition, grown in map(str.split, done.stdout.splitlines())}
    assert grown.keys() == {"sequential", "random", "windows"}
    assert max(grown.values()) < 40_000_000


READ_LONG_FILE = """
import itertools
import tempfile
import numpy as np
from harness.worker.process import peak_rss_bytes
from harness.worker.minibatches import training_minibatches

with tempfile.NamedTemporaryFile(suffix=".npy") as file:
    np.lib.format.open_memmap(file.name, "w+", np.uint8, (200_000_000,)).flush()
    tokens = np.load(file.name, mmap_mode="r")
    for partition in ("sequential", "random", "windows"):
        before = peak_rss_bytes()
        # Of windows at stride 1 there are 4096 times as many: the first hundreds tell.
        minibatches = training_minibatches(tokens, 64, 4096, partition, 0, 1)
        for X, Y in itertools.islice(minibatches, 800):
            pass
        print(partition, peak_rss_bytes() - before)
"""
