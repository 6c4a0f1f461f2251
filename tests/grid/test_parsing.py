from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.grid import parsing
from harness.texts.split import LogRange


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", (2,)),
        ("1-4", (1, 2, 3, 4)),
        ("1,2,4", (1, 2, 4)),
        ("1,4-6", (1, 4, 5, 6)),
        (" 1 , 2 ", (1, 2)),
        ("3,1-3", (3, 1, 2)),
        ("2-2", (2,)),
        ("10k", (10_000,)),
        ("1e2-102", (100, 101, 102)),
    ],
)
def test_counts_are_numbers_and_ranges_in_the_order_given(text: str, expected: tuple[int, ...]) -> None:
    assert parsing.counts(text, "--layers") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4-1", "runs backwards: write 1-4"),
        ("0", "begins below 1"),
        ("0-3", "begins below 1"),
        ("1-", "cannot be read"),
        ("-2", "cannot be read"),
        ("a-b", "cannot be read"),
        ("1-2-3", "cannot be read"),
        ("1.5", "cannot be read"),
        ("1_28", "cannot be read"),
        ("+3", "cannot be read"),
        ("\u0663", "cannot be read"),
        ("9" * 5000, "cannot be read"),
        ("1,,2", "has an empty part"),
        ("1,", "has an empty part"),
        ("", "is empty"),
        (" ", "is empty"),
        ("1-1000000000", "is 1,000,000,000 values: give at most 10,000"),
        ("1-6000,1-6000", "is 12,000 values"),
    ],
)
def test_counts_that_cannot_be_are_told_with_the_option_and_the_text(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsing.counts(text, "--layers")
    assert str(raised.value).startswith(f"--layers {text!r} {said}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", (None,)),
        ("10k,100k,all", (10_000, 100_000, None)),
        ("1.5k", (1500,)),
        ("2M", (2_000_000,)),
        ("7", (7,)),
        ("10K,1e4,0.5m", (10_000, 500_000)),
    ],
)
def test_budgets_are_numbers_of_tokens(text: str, expected: tuple[int | None, ...]) -> None:
    assert parsing.token_budgets(text, "--train-tokens") == expected


@pytest.mark.parametrize("text", ["10x", "0", "1.5", "-5", "k", "1_0", "All"])
def test_budgets_that_cannot_be_are_told(text: str) -> None:
    with pytest.raises(UsageError, match=rf"--train-tokens '{text}' cannot be used: give .* 10k,100k,all"):
        parsing.token_budgets(text, "--train-tokens")


def test_a_range_of_budgets_has_two_ends_and_a_number() -> None:
    budgets = parsing.token_budgets("5k,10k..all:5,1k..1M:3", "--train-tokens")
    assert budgets == (5_000, LogRange(10_000, None, 5), LogRange(1_000, 1_000_000, 3))


@pytest.mark.parametrize(
    "text", ["10k..all", "10k..all:1", "10k..1k:3", "all..10k:3", "..all:3", "10k..:3", "1k..2k:x"]
)
def test_a_range_of_budgets_that_cannot_be_is_told(text: str) -> None:
    with pytest.raises(
        UsageError, match=rf"--train-tokens '{text}' cannot be used: .* a smaller to a larger one, as in 10k\.\.all:5"
    ):
        parsing.token_budgets(text, "--train-tokens")


def test_numbers_keep_within_their_bounds() -> None:
    assert parsing.numbers("0.1,1,3e-4,1k", "--lr", low=0.0, open_low=True) == (0.1, 1.0, 3e-4, 1000.0)
    assert parsing.numbers("0,0.5", "--dropout", low=0.0, high=1.0, open_low=False) == (0.0, 0.5)


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf", "1e400", "0.1;0.2", "1_0", "+1", "\u0663", "1e-400"])
def test_a_learning_rate_is_above_nothing_and_finite(text: str) -> None:
    with pytest.raises(UsageError, match=r"--lr .* cannot be used: give numbers above 0"):
        parsing.numbers(text, "--lr", low=0.0, open_low=True)


@pytest.mark.parametrize("text", ["1", "1.5", "-0.1", "nan"])
def test_dropout_is_below_one(text: str) -> None:
    with pytest.raises(UsageError, match=r"--dropout .* give numbers from 0 and below 1"):
        parsing.numbers(text, "--dropout", low=0.0, high=1.0, open_low=False)


def test_a_single_number_is_not_a_list() -> None:
    assert parsing.number("1.5", "--timeout", low=0.0, open_low=True) == 1.5
    with pytest.raises(UsageError, match="--timeout '5,6' is several values: give one"):
        parsing.number("5,6", "--timeout", low=0.0, open_low=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", (0, 1, 2)),
        ("3,7", (3, 7)),
        ("1", (0,)),
        ("7,", None),
        ("0,", None),
        ("0,5", (0, 5)),
        ("3-5", (3, 4, 5)),
        ("7,3-4", (7, 3, 4)),
        ("3-3", (3,)),
    ],
)
def test_one_number_is_how_many_seeds_and_a_list_is_which(text: str, expected: tuple[int, ...] | None) -> None:
    if expected is None:
        with pytest.raises(UsageError):
            parsing.seeds(text, "--seeds")
    else:
        assert parsing.seeds(text, "--seeds") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [("0", "no seed at all"), ("-1", "cannot be used"), ("x", "cannot be used"), ("99999999", "at most 10,000")],
)
def test_seeds_that_cannot_be_are_told(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parsing.seeds(text, "--seeds")


def test_names_are_kept_once_in_their_order() -> None:
    assert parsing.names("lstm, gru,lstm", "--plugins") == ("lstm", "gru")


def test_a_folder_has_a_name() -> None:
    assert parsing.folder("reports/mine", "--out") == Path("reports/mine")
    with pytest.raises(UsageError, match="--out '' names no folder"):
        parsing.folder("", "--out")


def test_a_setting_belongs_to_the_name_with_a_colon_before_it() -> None:
    text = "text.txt,markov:order=2,alphabet=27,seed=1,time-machine,hmm:seed=3,a=b.txt,reber:,./a:b,c"
    assert parsing.names(text, "--corpus") == (
        "text.txt", "markov:order=2,alphabet=27,seed=1", "time-machine", "hmm:seed=3,a=b.txt", "reber:", "./a:b", "c",
    )  # fmt: skip
    assert parsing.names("a,b=c", "--corpus") == ("a", "b=c")


def test_a_comma_behind_a_backslash_belongs_to_the_name() -> None:
    names = ("Smith, John.txt", "markov:order=2,seed=1", "c")
    assert parsing.names(r"Smith\, John.txt,markov:order=2,seed=1,c", "--corpus") == names
    assert parsing.names(parsing.typed(names), "--corpus") == names


def test_a_count_keeps_within_its_bounds() -> None:
    assert parsing.count("1k", "--jobs", low=1, high=1000) == 1000
    for text, said in (
        ("0", "begins below 1"),
        ("1001", "out of reach: the largest value is 1,000"),
        ("1.5", "one whole"),
    ):
        with pytest.raises(UsageError, match=said):
            parsing.count(text, "--jobs", low=1, high=1000)


def test_a_share_in_per_cent_is_typed_as_any_number() -> None:
    assert parsing.percentage("0.5 %", "--fail-on") == 0.005
    for text in ("5", "5%%", "+5%", "1_0%", "%"):
        with pytest.raises(UsageError, match="give per cent"):
            parsing.percentage(text, "--fail-on")


def test_one_initialisation_has_one_spelling_whatever_is_typed() -> None:
    assert parsing.inits("uniform:8e-2,uniform:0.080,normal:1", "--init") == ("uniform:0.08", "normal:1")
    with pytest.raises(UsageError, match="its bound"):
        parsing.inits("uniform:1_0", "--init")
