"""Intervals over blocks of text: simulated losses of a known truth, neighbours alike."""

import math

import numpy as np
import pytest

from harness.analysis.text_intervals import FEWEST_BLOCKS, difference_over_texts, text_interval, text_losses

RUNS = 3000


def alike(generator, num_blocks, likeness):
    """Draw blocks whose neighbours correlate by ``likeness``; their true mean is zero."""
    shocks = generator.standard_normal(num_blocks + 50)
    values = np.empty_like(shocks)
    values[0] = shocks[0] / math.sqrt(1 - likeness**2)
    for place in range(1, len(values)):
        values[place] = likeness * values[place - 1] + shocks[place]
    return values[50:]


def coverage(num_blocks, likeness, noise=alike, tokens=None):
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(RUNS):
        interval = text_interval(
            noise(generator, num_blocks, likeness), np.ones(num_blocks) if tokens is None else tokens
        )
        hits += interval.low <= 0 <= interval.high
    return hits / RUNS


@pytest.mark.slow
@pytest.mark.parametrize("num_blocks", [30, 50, 100, 200])
@pytest.mark.parametrize("likeness", [0.0, 0.15, 0.3])
def test_the_true_loss_is_covered_as_often_as_is_said(num_blocks, likeness):
    assert 0.93 <= coverage(num_blocks, likeness) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("num_blocks", "least"), [(30, 0.91), (50, 0.93), (100, 0.93), (200, 0.93)])
def test_neighbours_that_are_very_much_alike_cost_a_little_coverage_of_short_texts(num_blocks, least):
    assert least <= coverage(num_blocks, 0.6) <= 0.97


@pytest.mark.slow
def test_skewed_losses_of_long_memory_are_covered_too():
    """Hard passages: lognormal levels that last for some blocks, and blocks of unequal tokens."""

    def passages(generator, num_blocks, likeness):
        return np.exp(0.5 * alike(generator, num_blocks, likeness)) - math.exp(0.125 / (1 - likeness**2))

    tokens = np.resize([480, 500, 350], 100)
    assert 0.92 <= coverage(100, 0.3, passages, tokens) <= 0.97


def test_it_is_the_interval_of_a_mean_where_neighbours_are_not_alike():
    values = np.random.default_rng(0).permutation(np.linspace(-1, 1, 100))
    interval = text_interval(values + 5, np.full(100, 400))
    assert interval.estimate == pytest.approx(5)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * values.std() / 10, rel=0.3)


def test_tokens_weigh_and_blocks_without_any_do_not_count():
    tokens, losses = np.resize([100, 300], 40), np.resize([2.0, 4.0], 40)
    interval = text_interval([*losses, 99.0], [*tokens, 0])
    assert interval.estimate == pytest.approx(3.5)
    few = text_interval(np.arange(FEWEST_BLOCKS - 1), np.ones(FEWEST_BLOCKS - 1))
    assert few.estimate == (FEWEST_BLOCKS - 2) / 2
    assert math.isnan(few.low)


def test_a_passage_that_is_hard_for_both_does_not_widen_their_difference():
    generator = np.random.default_rng(0)
    text = 2 + alike(generator, 100, 0.5)
    models = {name: text + shift + 0.01 * generator.standard_normal(100) for name, shift in (("a", 0.0), ("b", 0.05))}
    rows = [(name, "Ann", "test", np.column_stack([np.full(100, 400), losses])) for name, losses in models.items()]
    difference = difference_over_texts(text_losses(rows), [("a", "b")], "test")
    assert -0.06 < difference.low < -0.05 < difference.high < -0.04
    alone = text_interval(models["a"], np.full(100, 400))
    assert alone.high - alone.low > 20 * (difference.high - difference.low)


def test_a_difference_counts_own_authors_and_texts_both_have_read_alone():
    block = np.column_stack([np.full(50, 400), np.linspace(1, 2, 50)])
    higher = block + np.array([0, 1])
    rows = [("a", "Ann", "valid", block), ("b", "Ann", "valid", higher), ("b", "Ben", "valid", higher)]
    known = text_losses([*rows, ("a", "Cleo", "valid", block), ("b", "Cleo", "valid", block)])
    assert difference_over_texts(known, [("a", "b")], "valid", "Ann+Ben").estimate == pytest.approx(-1)
    assert difference_over_texts(known, [("a", "b")], "valid").estimate == pytest.approx(-0.5)
    assert math.isnan(difference_over_texts(known, [("a", "b")], "test").estimate)
