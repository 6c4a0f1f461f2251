"""Whole books as sizes of a text: one model on one book, on two, and more, asked for the same held-out text."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis import evidence, judging, nuisances
from harness.analysis.frames import Run
from harness.analysis.judging import Judged
from harness.analysis.statistics import mean_interval
from harness.analysis.wording import enumerate_names
from harness.report import UNDECIDED
from harness_d2l.size_curve import MORE_BOOKS

BOOKS = ("jane-eyre", "wuthering-heights", "agnes-grey", "tenant-of-wildfell-hall")
"""In the order in which they are added; the first one's author has no other, so that her held-out part
is always the same."""


def chain_of(run: Run, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of one model on more and more books of a corpus, with their bits on a held-out part they share.

    Columns beside the trials': bits, shelf and evaluated_on; ``best_valid_perplexity`` too is of that part. The model
    and part with the most numbers of books are chosen; nothing where none has two.
    """
    whole = nuisances.best_of_values(evidence.cells(trials))
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
    model = evidence.settings_without("train_tokens", "corpus", "corpus_digest", *nuisances.UNASKED)
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


def say(books: pd.DataFrame, judged: Sequence[Judged]) -> list[str]:
    """Return the sentence on what more books give."""
    change = judging.find(judged, MORE_BOOKS)
    if books.empty or change is None:
        return []
    numbers = sorted(books["num_books"].unique())
    first, last = (mean_interval(books[books["num_books"] == number]["bits"]) for number in (numbers[0], numbers[-1]))
    row = books.iloc[0]
    passes = "one pass" if int(row["num_epochs"]) == 1 else f"{int(row['num_epochs'])} passes"
    return [
        f"Whole books, {passes} over {enumerate_names([f'{number}' for number in numbers])} "
        f"books of {row['shelf']} ({evidence.count_seeds(books)}), all asked for the same held-out text of "
        f"{row['evaluated_on']}: the bits per character go from {evidence.word_bounds(first)} to "
        f"{evidence.word_bounds(last)}. Adding books changes them by {evidence.word_bounds(change.difference)}: "
        f"{word_outcome(change)}, where each added book also adds updates."
    ]


def word_outcome(change: Judged) -> str:
    """Word whether more books help, as a part of the verdict."""
    if change.kind == "equivalent":
        return "more books make no difference"
    return {1: "more books help", -1: "more books harm", 0: f"whether more books help is {UNDECIDED}"}[change.ahead]
