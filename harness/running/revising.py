"""What of earlier commands' results no longer stands: the code was edited since, or they are asked for anew.

Such a trial keeps its rows, checkpoint and log under an id of their own, ``ID@1``, and is superseded by what is trained
under its id next. Trials of a ledger that is older than revisions are taken as they are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UsageError, did_you_mean
from harness.plugins.revisions import Revisions
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.running.description import be, counted
from harness.running.observer import Say
from harness.worker.events import LOSS_WEIGHTING
from harness.worker.trial import DEFAULTS, NO_BACKEND, Trial

EDITED = "its code was edited"
"""Why a trial is superseded; where the code is what it was, it counts again."""
WEIGHED = "its losses were means of minibatches' means"
"""The last of which has fewer rows: a version before had no other, and what is trained now does not enter one mean."""
OTHER_TEXT = "its corpus was edited and makes another text"
ANEW = "it was trained anew"
ALL = "all"
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What becomes of the trials a ledger holds."""

    superseded: dict[str, str] = field(default_factory=dict)
    """Why, by the trial's id."""
    restored: dict[str, str] = field(default_factory=dict)
    """By the trial's id, that of the superseded one which counts again."""
    remarks: list[str] = field(default_factory=list)
    """A sentence for each kind of change."""


def put_aside(
    plan: Mapping[str, Trial], folder: RunFolder, ledger: Ledger, revisions: Revisions, chosen: Sequence[str], say: Say
) -> None:
    """Revise what a ledger holds before a plan's trials, by id, are trained. Raises: UsageError, RunFolderError."""
    recorded = ledger.trials()
    revision = revise(recorded, plan, revisions, chosen)
    apply(revision, recorded, folder, ledger)
    for line in revision.remarks:
        say(line)


def revise(
    rows: Sequence[Row], planned: Mapping[str, Trial], revisions: Revisions, chosen: Sequence[str] = ()
) -> Revision:
    """Return what becomes of a ledger's trials under the code of now; ``chosen`` are to be trained anew.

    Raises: UsageError for a choice that is none of the planned trials.
    """
    anew = _chosen(planned, chosen)
    revision = Revision()
    begun = [row for row in rows if not row["superseded"] and row["attempts"]]
    digests = _digests(planned.values())
    for row in begun:
        now = revisions.of(Trial.from_dict(dict(row)))
        if row["revision"] and now and row["revision"] != now:
            revision.superseded[row["trial_id"]] = EDITED
        elif _is_weighed_otherwise(row):
            revision.superseded[row["trial_id"]] = WEIGHED
        elif _is_of_former_text(row, digests, revisions):
            revision.superseded[row["trial_id"]] = OTHER_TEXT
        elif row["trial_id"] in anew:
            revision.superseded[row["trial_id"]] = ANEW
    standing = {row["trial_id"] for row in begun} - revision.superseded.keys()
    for row in rows:
        trial_id = row["trial_id"].partition("@")[0]
        is_wanted = trial_id in planned and trial_id not in standing | anew
        if is_wanted and row["superseded"] == EDITED and row["revision"] == revisions.of(Trial.from_dict(dict(row))):
            revision.restored[trial_id] = row["trial_id"]
    revision.remarks.extend(_remarks(begun, planned, revision, revisions))
    return revision


_SELECTED_TEXT = ("corpus", "authors", "text", "tokens", "mix")


def _digests(planned: Iterable[Trial]) -> dict[tuple[Any, ...], set[str]]:
    """Return the digests of the texts that a selection makes now."""
    digests: dict[tuple[Any, ...], set[str]] = {}
    for trial in planned:
        selected = tuple(getattr(trial, name) for name in _SELECTED_TEXT)
        digests.setdefault(selected, set()).add(trial.corpus_digest)
    return digests


def _is_of_former_text(row: Row, digests: Mapping[tuple[Any, ...], set[str]], revisions: Revisions) -> bool:
    """Say whether the same selection makes another text by what its plugin is now: a text of the same bytes stands."""
    now = digests.get(tuple(row.get(name, DEFAULTS.get(name)) for name in _SELECTED_TEXT))
    before = row.get("text_revision")
    return bool(now and before and row["corpus_digest"] not in now and before != revisions.of_text(row["corpus"]))


def _is_weighed_otherwise(row: Row) -> bool:
    """Say whether a trial's losses weigh minibatches of fewer rows like whole ones."""
    started = row.get("num_params") is not None
    return bool(started and row["partition"] == "windows" and row.get("loss_weighting") != LOSS_WEIGHTING)


def apply(revision: Revision, rows: Sequence[Row], folder: RunFolder, ledger: Ledger) -> None:
    """Move what is superseded, and what counts again. Raises: RunFolderError."""
    taken = {row["trial_id"] for row in rows}
    for trial_id, why in revision.superseded.items():
        new_id = next(name for name in _names(trial_id) if name not in taken)
        folder.rename(trial_id, new_id)
        ledger.supersede(trial_id, new_id, why)
        taken.add(new_id)
    for trial_id, superseded_id in revision.restored.items():
        folder.rename(superseded_id, trial_id)
        ledger.restore(superseded_id, trial_id)


def _names(trial_id: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{trial_id}@{number}"


def _chosen(planned: Collection[str], chosen: Sequence[str]) -> set[str]:
    """Return the planned trials that are meant: all, or those whose ids begin so."""
    anew: set[str] = set()
    for name in chosen:
        meant = {trial_id for trial_id in planned if name == ALL or trial_id.startswith(name)}
        if not meant:
            raise UsageError(
                f"--force {name!r} begins no trial of this command: give all, or the beginning of trial ids."
                f"{did_you_mean(name, planned)}"
            )
        anew |= meant
    return anew


def _remarks(begun: Sequence[Row], planned: Collection[str], revision: Revision, revisions: Revisions) -> Iterator[str]:
    kinds: dict[tuple[str, str, str], list[Row]] = {}
    for row in begun:
        if why := revision.superseded.get(row["trial_id"]):
            kinds.setdefault((_subject(row), why, _fate(row["trial_id"], planned, revision)), []).append(row)
    for (subject, why, fate), rows in kinds.items():
        now = revisions.of(Trial.from_dict(dict(rows[0])))
        before = ", ".join(sorted({row["revision"] for row in rows}))
        causes = {
            EDITED: f"{subject} was edited (revision {before}, now {now})",
            WEIGHED: f"{subject}, whose losses counted a short last minibatch like a whole one and now weigh tokens",
            OTHER_TEXT: f"the corpus {rows[0]['corpus']} was edited and makes another text now",
            ANEW: f"{subject}, by --force",
        }
        cause = causes[why]
        yield f"{_trials(len(rows))} {fate}: {cause}. What was reached before stays in the tables, as superseded."
    if revision.restored:
        yield f"{_trials(len(revision.restored))} counted again: the code is again what trained them."


def _fate(trial_id: str, planned: Collection[str], revision: Revision) -> str:
    if trial_id in revision.restored:
        return "put aside for what this code trained before"
    return "trained anew" if trial_id in planned else "no longer counted, and no part of this command"


def _trials(number: int) -> str:
    return f"{counted(number, 'trial')} {be(number)}"


def _subject(row: Row) -> str:
    if row["backend"] == NO_BACKEND:
        return f"the baseline {row['cell']}"
    return f"the code of {row['cell']} on {row['backend']} ({row['implementation']})"
