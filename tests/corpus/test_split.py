import random

import pytest

from harness.corpus.split import Split, count_training_tokens, share_budget
from harness.errors import CorpusError


@pytest.mark.parametrize(("num_tokens", "train"), [(100, 90), (1_000_000, 900_000), (14, 13), (2, 1), (1, 0), (0, 0)])
def test_the_last_tenth_and_never_nothing_validates(num_tokens: int, train: int) -> None:
    assert count_training_tokens(num_tokens, 0.1) == train


def test_a_budget_is_shared_in_proportion() -> None:
    assert share_budget(100, [600, 300, 100]) == [60, 30, 10]


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


def test_shares_lie_in_the_order_they_are_named_in() -> None:
    assert Split("80/10/10").parts(1_000) == (slice(0, 800), slice(800, 900))
    assert Split("80/10/10").parts(1_009) == (slice(0, 807), slice(807, 908))
    assert Split().parts(1_000) == (slice(0, 900), slice(900, 1_000))


def test_windows_that_do_not_fit_are_said() -> None:
    assert Split("windows:10+5x3").parts(18) == (slice(0, 13), slice(10, 18))
    with pytest.raises(CorpusError, match="needs 18 tokens, and a text has 17"):
        Split("windows:10+5x3").parts(17)


@pytest.mark.parametrize(
    "words", ["80/10", "80/10/11", "0/90/10", "90/0/10", "windows:0+5x3", "windows", "heldout", ""]
)
def test_a_split_that_means_nothing_is_refused(words: str) -> None:
    with pytest.raises(CorpusError, match="is none: give held-out, per cent as in 80/10/10, or windows"):
        Split(words).check()
