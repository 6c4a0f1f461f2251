import random

import pytest

from harness.errors import CorpusError
from harness.texts.split import LogRange, Split, available_tokens, resolve, share, share_budget


def bounds(num_tokens: int, split: Split) -> list[tuple[int, int]]:
    division = split.parts(num_tokens)
    return [(part.start, part.stop) for part in (division.train, division.valid, division.test)]


@pytest.mark.parametrize(
    ("num_tokens", "parts"),
    [
        (100_000, [(0, 80_000), (80_256, 90_000), (90_256, 100_000)]),  # the gap of 256
        (1_000, [(0, 800), (810, 900), (910, 1_000)]),  # of a hundredth
        (20, [(0, 16), (16, 18), (18, 20)]),
        (3, [(0, 1), (1, 2), (2, 3)]),
        (1, [(0, 0), (0, 1), (1, 1)]),
        (0, [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_a_tenth_validates_and_the_last_tenth_tests_with_gaps_before_them(
    num_tokens: int, parts: list[tuple[int, int]]
) -> None:
    assert bounds(num_tokens, Split()) == parts


def test_parts_follow_one_another_and_none_is_empty_from_three_tokens_on() -> None:
    dice = random.Random(2)
    for _ in range(500):
        num_tokens = dice.randrange(3, 5_000)
        split = Split(valid=dice.uniform(0.01, 0.3), test=dice.uniform(0.01, 0.3), gap=dice.randrange(300))
        train, valid, test = bounds(num_tokens, split)
        assert 0 == train[0] < train[1] <= valid[0] < valid[1] <= test[0] < test[1] == num_tokens


def test_without_a_test_part_and_a_gap_the_last_tenth_validates() -> None:
    assert bounds(1_000, Split(test=0.0, gap=0)) == [(0, 900), (900, 1_000), (1_000, 1_000)]


def test_shares_lie_in_the_order_they_are_named_in() -> None:
    assert bounds(1_000, Split("80/10/10")) == [(0, 800), (800, 900), (900, 1_000)]
    assert bounds(1_009, Split("80/10/10")) == [(0, 807), (807, 908), (908, 1_009)]


def test_windows_that_do_not_fit_are_said() -> None:
    assert bounds(18, Split("windows:10+5x3")) == [(0, 13), (10, 18), (18, 18)]
    with pytest.raises(CorpusError, match="needs 18 tokens, and a text has 17"):
        Split("windows:10+5x3").parts(17)


@pytest.mark.parametrize(
    "words", ["80/10", "80/10/11", "0/90/10", "90/0/10", "windows:0+5x3", "windows", "heldout", ""]
)
def test_a_split_that_means_nothing_is_refused(words: str) -> None:
    with pytest.raises(CorpusError, match="is none: give held-out, per cent as in 80/10/10, or windows"):
        Split(words).check()


# --- budgets ----------------------------------------------------------------------------------------------


def test_budgets_larger_than_what_is_there_are_cut_to_it() -> None:
    assert resolve([10, None, 1_000], 500) == [10, 500, 500]


@pytest.mark.parametrize(
    ("budgets", "sizes"),
    [
        (LogRange(10, None, 3), [10, 100, 1_000]),
        (LogRange(1, 10_000, 3), [1, 32, 1_000]),  # its end is cut
        (LogRange(2_000, None, 3), [1_000]),
        (LogRange(998, None, 9), [998, 999, 1_000]),
        (LogRange(10, None, 2), [10, 1_000]),
    ],
)
def test_a_range_has_equal_ratios_and_both_ends(budgets: LogRange, sizes: list[int]) -> None:
    assert resolve([budgets], 1_000) == sizes


def test_an_equal_mix_takes_as_much_of_each_as_the_smallest_has() -> None:
    assert available_tokens([600, 300, 100], "equal") == 300
    assert share(1_000, [600, 300, 100], "equal") == [100, 100, 100]
    assert share(11, [600, 300, 100], "equal") == [4, 4, 3]


def test_a_proportional_mix_takes_of_each_in_proportion() -> None:
    assert available_tokens([600, 300, 100], "proportional") == 1_000
    assert share(100, [600, 300, 100], "proportional") == [60, 30, 10]


def test_the_largest_remainders_are_rounded_up() -> None:
    assert share_budget(10, [26, 49, 25]) == [3, 5, 2]  # 2.6, 4.9, 2.5


def test_shares_sum_to_the_budget_and_never_exceed_a_size() -> None:
    dice = random.Random(1)
    for _ in range(500):
        sizes = [dice.randrange(2_000) for _ in range(dice.randrange(1, 9))] + [1]
        budget = dice.randrange(1, sum(sizes) + 1)
        shares = share_budget(budget, sizes)
        assert sum(shares) == budget
        assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
        assert all(abs(share - budget * size / sum(sizes)) < 1 for share, size in zip(shares, sizes, strict=True))


def test_a_budget_beyond_all_sizes_is_all() -> None:
    assert share_budget(1_000, [3, 4]) == [3, 4]
