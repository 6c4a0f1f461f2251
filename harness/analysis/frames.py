"""Reads a run's ledger into DataFrames, of which that of the summary over seeds is made here."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import columns, tuning
from harness.analysis.measurements import (
    disturbed,
    frame_epochs,
    frame_probes,
    frame_sessions,
    frame_timings,
    join_chunks,
)
from harness.analysis.nuisances import RESULTS
from harness.analysis.statistics import mean_margin
from harness.analysis.text_intervals import TextLosses, text_losses
from harness.analysis.transfer import frame_evaluations, frame_transfer
from harness.analysis.trials import frame_trials
from harness.errors import RunFolderError
from harness.record.folder import RunFolder
from harness.record.ledger import ENDED, LedgerReader
from harness.record.manifest import Manifest, read_manifest

SETTINGS = columns.SETTINGS
"""What two trials share that differ by their seed alone."""

Frames = dict[str, pd.DataFrame]

OF_TRIALS = ("trials", "epochs", "timings", "probes", "transfer")
"""The frames whose rows each belong to one trial."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as its report sees it; every frame is in plan order."""

    trials: pd.DataFrame
    """One row a trial that is a result, as all but those are that a search spent: the columns of trials.csv."""
    pending: pd.Series
    """By trial_id: whether the same command would still run the trial."""
    epochs: pd.DataFrame
    timings: pd.DataFrame
    summary: pd.DataFrame
    transfer: pd.DataFrame
    """One row a finished trial and author: what it reaches on the author's held-out text."""
    samples: dict[str, str]
    """Generated text by trial_id, of the trials that are done."""
    log_tails: dict[str, str]
    """The last lines of their logs by trial_id, of the trials that failed."""
    manifest: Manifest
    texts: TextLosses = field(default_factory=dict)
    """Losses of held-out texts by block."""
    folder: Path = Path()
    """Where its checkpoints lie."""
    probes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=columns.PROBES.names))
    """One row a quantity probed on a trained model."""
    apart: dict[str, pd.DataFrame] = field(default_factory=dict)
    """By the names of the frames above, their rows of trials that are no results: these are in none of the others, so
    that neither a search's points nor what another revision of the code trained enters a mean, ranking or answer."""
    tuning: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=columns.TUNING.names))
    """One row a tuned model: its search."""
    best_of_n: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=columns.BEST_OF_N.names))
    sessions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=columns.SESSIONS.names))
    """One row a timing session; none of a run that was timed by a version before they were kept."""
    asked: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By exercise, the ids of the trials and searches it asked for; none of a run that was not made to answer any."""

    @property
    def points(self) -> pd.DataFrame:
        """The points of searches: of trials.csv's rows those that a search spent."""
        apart = self.apart.get("trials", self.trials.head(0))
        return apart[(apart["role"] == "search") & (apart["superseded"] == "")]

    @property
    def every_trial(self) -> pd.DataFrame:
        """The results and the points of searches; what is superseded is not there."""
        return pd.concat([self.trials, self.points]) if len(self.points) else self.trials

    @property
    def superseded(self) -> pd.DataFrame:
        """The trials in whose place another training stands."""
        apart = self.apart.get("trials", self.trials.head(0))
        return apart[apart["superseded"] != ""]

    def asked_by(self, exercise: str) -> "Run":
        """Return the part of the run that an exercise asked for; the whole where that is not recorded.

        What another exercise trained in the same run would else enter its means: an answer is the same alone.
        """
        if exercise not in self.asked:
            return self
        subjects = self.asked[exercise]
        standing, apart = (_part(frames, subjects) for frames in (self._standing, self.apart))
        searches = {name: frame[frame["search_id"].isin(subjects)] for name, frame in self._of_searches.items()}
        return replace(self, **standing, **searches, summary=summarise(standing["trials"]), apart=apart)

    @property
    def _standing(self) -> Frames:
        return {name: getattr(self, name) for name in OF_TRIALS}

    @property
    def _of_searches(self) -> Frames:
        return {"tuning": self.tuning, "best_of_n": self.best_of_n}

    def table(self, table: columns.Table) -> pd.DataFrame:
        """Return the rows of a CSV file: of trials that are results first."""
        name = table.name.removesuffix(".csv")
        frame: pd.DataFrame = getattr(self, name)
        apart = self.apart.get(name)
        return frame if apart is None or apart.empty else pd.concat([frame, apart])


def read_run(folder: Path) -> Run:
    """Read the folder's ledger and manifest.

    Raises: RunFolderError where there is no ledger or it is damaged.
    """
    path = RunFolder(folder).ledger
    try:
        with LedgerReader(path) as reader:
            # Trials before epochs: while a run goes on, a trial read as done then has all its epochs.
            planned = reader.trials()
            order = {record["trial_id"]: position for position, record in enumerate(planned)}
            epochs = frame_epochs(join_chunks(reader.columns("epochs"), order, ("epoch",)))
            timings = frame_timings(join_chunks(reader.columns("timings"), order, ("phase", "round", "block")))
            evaluations = frame_evaluations(reader.evaluations())
            probes = frame_probes(reader.probes(), order)
            sessions = frame_sessions(reader.sessions())
            texts = text_losses(reader.text_blocks())
            searches, searched = reader.searches(), reader.searched()
            asked = reader.asked()
    except sqlite3.Error as error:
        raise RunFolderError(f"The ledger {path} cannot be read ({error}): run the same command again.") from None
    manifest = read_manifest(folder)
    evaluations = evaluations[evaluations["trial_id"].isin(list(order))]
    facts = tuning.of_trials(searches, searched)
    planned = [record | facts.get(record["trial_id"], {}) for record in planned]
    trials = frame_trials(planned, epochs, timings, manifest, evaluations, disturbed(sessions))
    frames = {"trials": trials, "epochs": epochs, "timings": timings, "probes": probes}
    frames["transfer"] = frame_transfer(evaluations, trials)
    current = [record for record in planned if not record["superseded"] and record.get("role") != "superseded"]
    standing, apart = divide(frames)
    results = set(standing["trials"]["trial_id"])
    tuned = tuning.frame_tuning(searches, trials[trials["superseded"] == ""])
    return Run(
        **standing,
        pending=pd.Series({r["trial_id"]: r["status"] not in ENDED for r in current}, dtype=bool),
        summary=summarise(standing["trials"]),
        samples=_texts([row for row in current if row["trial_id"] in results], "sample", ("ok",)),
        log_tails=_texts(current, "log_tail", ("failed", "timeout")),
        manifest=manifest,
        folder=folder,
        texts=texts,
        sessions=sessions,
        asked=asked,
        tuning=tuned,
        best_of_n=tuning.frame_best_of_n(trials, tuned),
        apart=apart,
    )


def divide(frames: Frames) -> tuple[Frames, Frames]:
    """Part the rows of each frame into those of results and those of a search's points and of what is superseded."""
    trials = frames["trials"]
    spent = trials.loc[~trials["role"].isin(RESULTS) | (trials["superseded"] != ""), "trial_id"]
    if spent.empty:
        return frames, {name: frame.head(0) for name, frame in frames.items()}
    inside = {name: ~frame["trial_id"].isin(spent) for name, frame in frames.items()}
    return (
        {name: frame[inside[name]] for name, frame in frames.items()},
        {name: frame[~inside[name]] for name, frame in frames.items()},
    )


def _part(frames: Frames, subjects: Collection[str]) -> Frames:
    """Return the rows of these trials, and of the trials of these searches."""
    if not frames:
        return frames
    trials = frames["trials"]
    trials = trials[trials["trial_id"].isin(subjects) | trials["search_id"].isin(subjects)]
    # A trial may share the measurement of another one of its kind.
    rows = dict.fromkeys(frames, trials["trial_id"]) | {"timings": pd.concat([trials["trial_id"], trials["timed_by"]])}
    return {name: frame[frame["trial_id"].isin(rows[name])] for name, frame in frames.items()}


def _texts(planned: Sequence[dict[str, Any]], fact: str, statuses: Sequence[str]) -> dict[str, str]:
    texts = ((record["trial_id"], record.get(fact)) for record in planned if record["status"] in statuses)
    return {trial_id: text for trial_id, text in texts if isinstance(text, str) and text}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one dict a row, of Python values."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


# --- the summary over seeds -------------------------------------------------------------------------------


_OF_SEARCH = [name for name in columns.TUNED if name != "role"]


def summarise(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each model and setting: the mean over its finished seeds with a 95 % t interval."""
    done = trials[trials["status"] == "ok"]
    groups = done.groupby([*SETTINGS, *_OF_SEARCH], sort=False, dropna=False)
    summary = pd.DataFrame({"num_seeds": groups["seed"].nunique(), "num_params": groups["num_params"].first()})
    numbers = groups[list(columns.MEANS)]
    with np.errstate(invalid="ignore"):
        means, deviations, counts = numbers.mean(), numbers.std(), numbers.count()
    margins = mean_margin(deviations, counts)
    bounds = {"mean": means, "mean_low": means - margins, "mean_high": means + margins}
    for metric in columns.MEANS:
        for name, values in bounds.items():
            summary[f"{metric}_{name}"] = values[metric]
    # Seeds that share one measurement have no spread of speeds: theirs is the interval of that measurement.
    measured = groups["timed_by"].agg(["nunique", "first"])
    shared = (measured["nunique"] == 1) & (measured["first"] != "")
    own = groups[["tokens_per_s_low", "tokens_per_s_high"]].first()
    for end in ("low", "high"):
        name = f"tokens_per_s_mean_{end}"
        summary[name] = (
            summary[name].clip(lower=0).where(~shared | (summary["num_seeds"] < 2), own[f"tokens_per_s_{end}"])
        )
    return summary.reset_index()[columns.SUMMARY.names]


def varying(trials: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Return those of the columns in which the trials differ."""
    return [name for name in names if trials[name].nunique(dropna=False) > 1]
