"""What models reach on text they were not trained on: on every author's held-out part, and on their own test part."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

_MEASURES = ("perplexity", "bits_per_char", "accuracy", "top5_accuracy", "num_tokens")
_SETTINGS = (
    "trial_id", "seed", "cell", "backend", "implementation", "corpus", "text", "tokens", "train_tokens", "mix",
    "num_layers", "num_hiddens", "num_steps", "batch_size", "partition", "optimizer", "learning_rate", "grad_clip",
    "dropout", "num_epochs", "init", "lr_decay", "lr_decay_after", "rmsprop_decay",
)  # fmt: skip
TRANSFER_COLUMNS = (
    "trained_on", "evaluated_on", "perplexity", "bits_per_char", "accuracy", "top5_accuracy", "num_tokens",
    "test_perplexity", "test_bits_per_char", "test_accuracy", "test_top5_accuracy", "test_num_tokens", *_SETTINGS,
)  # fmt: skip
"""The columns of transfer.csv: the first five measures are of the validation part, as everywhere."""
TEST_FIGURES = ("test_loss", "test_perplexity", "test_bits_per_char", "test_accuracy", "test_top5_accuracy")
"""The columns of trials.csv that are of the test part of the authors who trained the trial."""

_EVALUATION_COLUMNS = (
    "trial_id", "author", "part", "num_tokens", "num_chars", "loss", "accuracy", "top5_accuracy", "bits_per_char",
)  # fmt: skip


def frame_evaluations(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the ledger's evaluations; a loss that was not a number is missing."""
    frame = pd.DataFrame.from_records(list(records), columns=list(_EVALUATION_COLUMNS))
    measured = list(_EVALUATION_COLUMNS[3:])
    frame[measured] = frame[measured].astype(np.float64)
    return frame


def own_test_figures(evaluations: pd.DataFrame, authors: Mapping[str, str]) -> pd.DataFrame:
    """Return each trial's figures on the test parts of its own authors together; ``authors`` is by trial_id."""
    tests = evaluations[evaluations["part"] == "test"]
    pairs = zip(tests["author"], tests["trial_id"], strict=True)
    tests = tests[np.array([trains(author, authors[trial_id]) for author, trial_id in pairs], dtype=bool)]
    tokens = tests["num_tokens"]
    sums = pd.DataFrame(
        {
            "trial_id": tests["trial_id"],
            "num_tokens": tokens,
            "num_chars": tests["num_chars"],
            **{name: tests[name] * tokens for name in ("loss", "accuracy", "top5_accuracy")},
        }
    )
    known = sums.set_index("trial_id").notna().groupby("trial_id").all()
    # A missing figure of one part is a missing figure of all.
    sums = sums.groupby("trial_id").sum().where(known)
    with np.errstate(over="ignore"):
        figures = {
            "test_loss": sums["loss"] / sums["num_tokens"],
            "test_perplexity": np.exp(sums["loss"] / sums["num_tokens"]),
            "test_bits_per_char": sums["loss"] / math.log(2) / sums["num_chars"],
            "test_accuracy": sums["accuracy"] / sums["num_tokens"],
            "test_top5_accuracy": sums["top5_accuracy"] / sums["num_tokens"],
        }
    return pd.DataFrame(figures, columns=list(TEST_FIGURES))


def trains(author: str, authors: str) -> bool:
    """Say whether an author is among those who trained a trial, as the trial names them."""
    return authors == "all" or author in authors.split("+")


def frame_transfer(evaluations: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row a finished trial and author, in plan order."""
    with np.errstate(over="ignore"):
        evaluations = evaluations.assign(perplexity=np.exp(evaluations["loss"]))
    keys = ["trial_id", "author"]
    valid, test = (evaluations[evaluations["part"] == part].set_index(keys) for part in ("valid", "test"))
    wide = valid[list(_MEASURES)].join(test[list(_MEASURES)].add_prefix("test_"), how="outer")
    done = trials[trials["status"] == "ok"].assign(trained_on=lambda frame: frame["authors"])
    # The ledger's order of authors is the corpus's; a join from the trials keeps that of the plan.
    order = evaluations.drop_duplicates(keys)[keys]
    rows = done[["trained_on", *_SETTINGS]].merge(order, on="trial_id").join(wide, on=keys)
    for name in ("num_tokens", "test_num_tokens"):
        rows[name] = rows[name].astype("Int64")
    return rows.rename(columns={"author": "evaluated_on"})[list(TRANSFER_COLUMNS)]
