"""Whole books as sizes of a text: one model on one book, on two, and more, asked for the same held-out text."""

import numpy as np
import pandas as pd

from harness.analysis import evidence
from harness.analysis.frames import Run
from harness.analysis.statistics import Interval, mean_interval, paired_difference, sign_beyond
from harness.analysis.wording import enumerate_names
from harness.report import UNDECIDED

BOOKS = ("jane-eyre", "wuthering-heights", "agnes-grey", "tenant-of-wildfell-hall")
"""In the order in which they are added; the first one's author has no other, so that her held-out part
is always the same."""


def chain_of(run: Run, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of one model on more and more books of a corpus, with their bits on a held-out part they share.

    Columns beside the trials': bits, shelf and evaluated_on; ``best_valid_perplexity`` too is of that part. The model
    and part with the most numbers of books are chosen; nothing where none has two.
    """
    whole = evidence.cells(trials)
    whole = whole[whole["corpus"].str.contains(":") & ~whole["corpus"].str.contains("=") & (whole["authors"] == "all")]
    if whole.empty:
        return whole
    parts = run.transfer[["trial_id", "evaluated_on", "bits_per_char", "perplexity", "num_tokens", "test_num_tokens"]]
    whole = whole.drop(columns="bits").merge(parts[np.isfinite(parts["bits_per_char"].astype(float))], on="trial_id")
    named = whole["corpus"].str.partition(":")
    whole = whole.assign(
        shelf=named[0],
        num_books=named[2].str.count(r"\+") + 1,
        bits=whole["bits_per_char"].astype(float),
        best_valid_perplexity=whole["perplexity"],
    )
    # An author's held-out part is the same text as long as no other book of theirs is added: it has as many tokens.
    common = ["shelf", "evaluated_on", "num_tokens", "test_num_tokens"]
    model = evidence.settings_without("train_tokens", "corpus", "corpus_digest")
    chains = [_chain(part) for _, part in whole.groupby([*common, *model], sort=False, dropna=False)]
    chains = [chain for chain in chains if chain["num_books"].nunique() > 1]
    return max(chains, key=lambda chain: chain["num_books"].nunique(), default=whole.head(0))


def _chain(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials whose books are those of the one before and more, one choice of books for each number.

    Of several training sizes of the same books the largest stands for them; a choice that trains on no more text than
    the one before, as under one budget for all, adds nothing.
    """
    largest = trials.groupby("corpus")["train_tokens"].max()
    trials = trials[trials["train_tokens"] == trials["corpus"].map(largest)]
    chain: list[str] = []
    for corpus in trials.sort_values("num_books", kind="stable")["corpus"].unique():
        if not chain or (_book_names(chain[-1]) < _book_names(corpus) and largest[chain[-1]] < largest[corpus]):
            chain.append(corpus)
    return trials[trials["corpus"].isin(chain)].sort_values(["num_books", "seed"], kind="stable")


def _book_names(corpus: str) -> set[str]:
    return set(corpus.partition(":")[2].split("+"))


def say(books: pd.DataFrame) -> list[str]:
    """Return the sentence on what more books give."""
    if books.empty:
        return []
    numbers = sorted(books["num_books"].unique())
    first, last = (mean_interval(books[books["num_books"] == number]["bits"]) for number in (numbers[0], numbers[-1]))
    change = change_with_size(books)
    decided = _decided(change)
    row = books.iloc[0]
    passes = "one pass" if int(row["num_epochs"]) == 1 else f"{int(row['num_epochs'])} passes"
    return [
        f"Whole books, {passes} over {enumerate_names([f'{number}' for number in numbers])} "
        f"books of {row['shelf']} ({evidence.count_seeds(books)}), all asked for the same held-out text of "
        f"{row['evaluated_on']}: the bits per character go from {evidence.word_bounds(first)} to "
        f"{evidence.word_bounds(last)}. Adding books changes them by {evidence.word_bounds(change)}: "
        + ("too uncertain to say that more books help" if decided is None else decided)
        + ", where each added book also adds updates."
    ]


def verdict(books: pd.DataFrame) -> str:
    """Return whether more books help, as a part of the verdict."""
    return _decided(change_with_size(books)) or f"whether more books help is {UNDECIDED}"


def _decided(change: Interval) -> str | None:
    return {-1: "more books help", 1: "more books harm"}.get(sign_beyond(change, 0.0))


def change_with_size(trials: pd.DataFrame) -> Interval:
    """Return the bits of the largest text minus those of the smallest, paired over seeds."""
    sizes = sorted(trials["train_tokens"].unique())
    ends = [trials[trials["train_tokens"] == size].set_index("seed")["bits"] for size in (sizes[-1], sizes[0])]
    both = pd.concat(ends, axis=1, keys=["last", "first"]).dropna()
    return paired_difference(both["last"], both["first"]).interval
