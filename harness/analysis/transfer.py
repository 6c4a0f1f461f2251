"""What models reach on text they were not trained on: on every author's held-out part, and on their own test part."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.columns import SETTINGS_OF_TRANSFER, TRANSFER, TRANSFERRED
from harness.contracts.figures import Part
from harness.contracts.measures import FIGURES, stored_in
from harness.worker.trial import trains

_MEASURED = ("num_tokens", "num_chars", *(measure.name for measure in stored_in("evaluations")))


def frame_evaluations(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the ledger's evaluations; a loss that was not a number is missing."""
    frame = pd.DataFrame.from_records(list(records), columns=["trial_id", "author", "part", *_MEASURED])
    frame[list(_MEASURED)] = frame[list(_MEASURED)].astype(np.float64)
    return frame


def own_test_figures(evaluations: pd.DataFrame, authors: Mapping[str, str], part: Part = "test") -> pd.DataFrame:
    """Return each trial's figures on the test parts of its own authors together; ``authors`` is by trial_id."""
    tests = evaluations[evaluations["part"] == part]
    pairs = zip(tests["author"], tests["trial_id"], strict=True)
    tests = tests[np.array([trains(author, authors[trial_id]) for author, trial_id in pairs], dtype=bool)]
    measured = [figure for figure in FIGURES if figure.column(part)]
    totals = {figure.name: tests[figure.name] * tests["num_tokens"] for figure in measured if not figure.derive}
    sums = tests[["trial_id", "num_tokens", "num_chars"]].assign(**totals)
    known = sums.set_index("trial_id").notna().groupby("trial_id").all()
    # A missing figure of one part is a missing figure of all.
    sums = sums.groupby("trial_id").sum().where(known)
    means = sums.div(sums["num_tokens"], axis=0)
    return pd.DataFrame(
        {
            figure.column(part): figure.derive(means["loss"], means["num_chars"])
            if figure.derive
            else means[figure.name]
            for figure in measured
        }
    )


def frame_transfer(evaluations: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row a finished trial and author, in plan order."""
    derived = {
        figure.name: figure.derive(evaluations["loss"], np.nan)
        for figure in FIGURES
        if figure.derive and not figure.stored and figure.column("held_out")
    }
    evaluations = evaluations.assign(**derived)
    keys = ["trial_id", "author"]
    valid, test = (evaluations[evaluations["part"] == part].set_index(keys) for part in ("valid", "test"))
    figures = [*TRANSFERRED, "num_tokens"]
    wide = valid[figures].join(test[figures].add_prefix("test_"), how="outer")
    done = trials[trials["status"] == "ok"].assign(trained_on=lambda frame: frame["authors"])
    # The ledger's order of authors is the corpus's; a join from the trials keeps that of the plan.
    order = evaluations.drop_duplicates(keys)[keys]
    rows = done[["trained_on", "trial_id", *SETTINGS_OF_TRANSFER]].merge(order, on="trial_id").join(wide, on=keys)
    for name in ("num_tokens", "test_num_tokens"):
        rows[name] = rows[name].astype("Int64")
    return rows.rename(columns={"author": "evaluated_on"})[TRANSFER.names]
