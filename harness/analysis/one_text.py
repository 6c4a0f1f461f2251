"""Splits a run into comparisons: trials on one text, whose perplexities may be set beside each other and ranked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from harness.analysis.frames import Run, varying
from harness.analysis.nuisances import mask_tuned
from harness.analysis.wording import FACTORS, PREPROCESSING, UNITS, enumerate_names, label
from harness.worker.trial import NO_BACKEND

TEXT = ("corpus", "authors", "text", "tokens")
"""What two trials must share for their perplexities to mean the same."""

DIGEST = "corpus_digest"
BASELINE_FACTORS = ("cell", "train_tokens", "mix", DIGEST)
"""What tells two baselines on one text apart."""

# Always named, even where all trials agree; a depth has an axis or a panel of its own in the figures.
_ALWAYS = ("cell", "num_layers")
_NOT_IN_SERIES = ("num_layers", "seed")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The trials on one text."""

    title: str
    trials: pd.DataFrame
    """Plan order; with the columns label, series and rank (NA where not ranked) beside those of trials.csv."""
    epochs: pd.DataFrame
    summary: pd.DataFrame
    """With the columns label and series."""
    factors: tuple[str, ...]
    """The columns in which its trials differ; the cell and the depth always."""

    @cached_property
    def trained(self) -> pd.DataFrame:
        """The trials of cells, in plan order."""
        return self.trials[~is_baseline(self.trials)]

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """The finished baselines that are ranked, best first."""
        return self.ranked[is_baseline(self.ranked)]

    @property
    def suspected(self) -> pd.DataFrame:
        """The trials too good to be honest: below the entropy of the text's source, or far below the yardstick."""
        return self.trials[self.trials["leakage_suspected"].fillna(False).astype(bool)]

    @property
    def entropy_rate(self) -> float:
        """Of the text's source in bits per character; NaN where it is not known."""
        known = self.trials["entropy_rate"].dropna()
        return float(known.iloc[0]) if len(known) else np.nan

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The ranked trials, best first."""
        return self.trials[self.trials["rank"].notna()].sort_values("valid_perplexity", kind="stable")

    @property
    def unranked(self) -> pd.DataFrame:
        """The others, in plan order."""
        return self.trials[self.trials["rank"].isna()]

    @property
    def num_seeds(self) -> int:
        """The largest number of finished seeds any model has."""
        return int(self.summary["num_seeds"].max()) if len(self.summary) else 0

    @property
    def unigram_perplexities(self) -> list[float]:
        """The baselines of its trials: one, or several where their training parts differ."""
        return sorted(self.trials["unigram_valid_perplexity"].dropna().unique())


def compare(run: Run) -> list[Comparison]:
    """Return the run's comparisons in plan order."""
    groups = run.trials.groupby(list(TEXT), sort=False, dropna=False)
    return [_comparison(run, trials) for _, trials in groups]


def _comparison(run: Run, trials: pd.DataFrame) -> Comparison:
    masked = mask_tuned(trials)
    factors, in_label = (_in_order(differing_factors(frame)) for frame in (trials, masked))
    in_series = [name for name in in_label if name not in _NOT_IN_SERIES]
    first = trials.iloc[0]
    summary = run.summary[(run.summary[list(TEXT)] == first[list(TEXT)]).all(axis=1)]
    return Comparison(
        title=_title(first),
        trials=trials.assign(
            label=label_models(masked, in_label), series=label_models(masked, in_series), rank=_ranks(run, trials)
        ),
        epochs=run.epochs[run.epochs["trial_id"].isin(trials["trial_id"])],
        summary=summary.assign(
            label=label_models(mask_tuned(summary), [name for name in in_label if name != "seed"]),
            series=label_models(mask_tuned(summary), in_series),
        ),
        factors=factors,
    )


def _in_order(differing: set[str]) -> tuple[str, ...]:
    return tuple(name for name in FACTORS if name in differing or name in _ALWAYS)


def is_baseline(frame: pd.DataFrame) -> pd.Series:
    """Return which rows are of baselines, whose sizes and settings of training mean nothing."""
    return frame["backend"] == NO_BACKEND


def differing_factors(trials: pd.DataFrame) -> set[str]:
    """Return the columns in which the trials differ; a baseline's zeros are no other setting."""
    trained = trials[~is_baseline(trials)]
    plain = [name for name in FACTORS if name != DIGEST]
    names = {*varying(trained, plain), *varying(trials, [name for name in BASELINE_FACTORS if name in plain])}
    # A digest differs wherever the training tokens do: it is named where nothing else tells two texts apart.
    if DIGEST in trials and trials[DIGEST].nunique() > 1:
        alike = trials.groupby(sorted(names), dropna=False)[DIGEST].nunique() if names else trials[[DIGEST]].nunique()
        names |= {DIGEST} if alike.max() > 1 else set()
    return names


def label_models(frame: pd.DataFrame, factors: Sequence[str]) -> pd.Series:
    """Name each row by these factors, a baseline by those that are its own."""
    own = label(frame, [name for name in factors if name in BASELINE_FACTORS])
    return label(frame, factors).where(~is_baseline(frame), own)


def _title(first: pd.Series) -> str:
    authors = "all authors" if first["authors"] == "all" else enumerate_names(first["authors"].split("+"))
    unit = UNITS.get(first["tokens"], first["tokens"])
    preprocessing = PREPROCESSING.get(first["text"], first["text"])
    return f"{first['corpus']}: {authors}, {unit}, {preprocessing}"


def _ranks(run: Run, trials: pd.DataFrame) -> pd.Series:
    """Rank finished trials by their last validation perplexity; what reads the same on the page is a tie."""
    eligible = (trials["status"] == "ok") & np.isfinite(trials["valid_perplexity"])
    if certified(run.every_trial):
        eligible &= trials["parity_certified"].fillna(False).astype(bool) | is_baseline(trials)
    # What lies below the best that is possible must not win.
    eligible &= ~trials["leakage_suspected"].fillna(False).astype(bool)
    return trials["valid_perplexity"].round(3).where(eligible).rank(method="min").astype("Int64")


def certified(trials: pd.DataFrame) -> bool:
    """Return whether the run checked parity at all; only then does a missing certificate tell something."""
    return bool(trials["parity_certified"].notna().any())


def best_series(comparison: Comparison, most: int) -> Sequence[str]:
    """Return the series with the lowest perplexities, in plan order, so that few colours suffice."""
    trials = comparison.trials
    done = (trials["num_epochs_done"] > 0) & ~is_baseline(trials)
    # Finished trials before the others, whatever those reached.
    best = trials[done].assign(late=trials["status"] != "ok").sort_values(["late", "valid_perplexity"], kind="stable")
    chosen = set(best["series"].drop_duplicates().head(most))
    return [name for name in trials["series"].drop_duplicates() if name in chosen]
