"""`harness sample`: text from a trial's checkpoint, made by a worker in the backend's interpreter."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.contracts.visible import decoded, one_line
from harness.errors import RunFolderError, UsageError, WorkerError, did_you_mean
from harness.machine import interruption
from harness.plugins.registry import Registry
from harness.plugins.revisions import Revisions
from harness.record.folder import RunFolder
from harness.record.ledger import LedgerReader, recorded_trials
from harness.running.jobs import network_of, place_in
from harness.running.workers import Ending
from harness.running.workplace import Workplace, lone_workplace
from harness.texts.preprocessing import split_tokens
from harness.worker.events import Event, Failed, Sampled
from harness.worker.job import SampleJob, SampleRequest
from harness.worker.trial import Trial

_BEFORE = "time traveller"
"""What all samples began with in runs whose manifest names no prefix."""


def find_trial(folder: RunFolder, name: str) -> Trial:
    """Return the trial whose id is, or alone begins with, ``name``.

    Raises: UsageError for none or several; RunFolderError for no ledger, or where the trial left no checkpoint.
    """
    with LedgerReader(folder.ledger) as ledger:
        rows = {row["trial_id"]: row for row in ledger.trials()}
    current = [key for key, row in rows.items() if not row["superseded"]]
    matches = [key for key in rows if key == name] or [key for key in current if key.startswith(name)]
    if not matches:
        raise UsageError(f"There is no trial {name!r} in {folder.path}.{did_you_mean(name, rows)}")
    if len(matches) > 1:
        some = ", ".join(matches[:5]) + (" …" if len(matches) > 5 else "")
        raise UsageError(f"{name!r} begins {len(matches):,} trials ({some}): give more of the id.")
    trial = Trial.from_dict(rows[matches[0]])
    if why := rows[matches[0]]["superseded"]:
        raise UsageError(f"Trial {matches[0]} is superseded ({why}): name {trial.trial_id}, which stands in its place.")
    if trial.is_baseline:
        raise UsageError(
            f"Trial {matches[0]} is a baseline, of which no checkpoint is kept: samples.txt has what it generated."
        )
    if not folder.checkpoint(matches[0]).is_file():
        raise RunFolderError(
            f"Trial {matches[0]} has no checkpoint (status {rows[matches[0]]['status']}): run it to its end first."
        )
    return trial


def generate(registry: Registry, folder: RunFolder, trial: Trial, request: SampleRequest) -> str:
    """Return the prefix and its continuation, by the trial's own backend and implementation.

    Raises: UsageError for an empty prefix; RunFolderError where other code is here than what trained the trial;
    EnvironmentMissing, PluginError, WorkerError.
    """
    request = _as_tokens(trial, request)
    with LedgerReader(folder.ledger) as ledger:
        digests = ledger.checkpoint_digests(trial.trial_id)
    with lone_workplace(registry) as workplace:
        _require_its_code(folder, trial, workplace.revisions)
        job = SampleJob(
            place=place_in(workplace.slots[0]),
            module_paths=registry.module_paths,
            trial=trial,
            network=network_of(registry, trial),
            checkpoint_path=str(folder.checkpoint(trial.trial_id).absolute()),
            checkpoint_digests=digests,
            sample=request,
        )
        return _sampled(workplace, job)


def _require_its_code(folder: RunFolder, trial: Trial, revisions: Revisions) -> None:
    revision = next(
        (row["revision"] for row in recorded_trials(folder.ledger) if row["trial_id"] == trial.trial_id), ""
    )
    now = revisions.of(trial)
    if revision and now and revision != now:
        raise RunFolderError(
            f"Trial {trial.trial_id} was trained by other code than is here (revision {revision}, now {now}): "
            "give the run's command again, which trains it anew, or bring its code back."
        )


def default_prefix(folder: RunFolder, trial: Trial) -> str:
    """Return what the run's samples of the trial's text begin with."""
    corpora = folder.raw_manifest().get("corpora", [])
    prefixes = [corpus.get("prefix") for corpus in corpora if corpus.get("digest") == trial.corpus_digest]
    return str(prefixes[0] or _BEFORE) if prefixes else _BEFORE


def _as_tokens(trial: Trial, request: SampleRequest) -> SampleRequest:
    """Bring the prefix into the form the model was trained on: 'Time  Traveller!' is 'time traveller' for d2l."""
    pieces = list(split_tokens(decoded(request.prefix), trial.text, trial.tokens))
    if not pieces:
        raise UsageError(f"--prefix {request.prefix!r} has no token in it: give some letters to begin with.")
    prefix = ("" if trial.tokens == "char" else " ").join(pieces)
    return replace(request, prefix=prefix)


@dataclass
class _Answer:
    event: Event | None = None

    def hear(self, event: Event) -> None:
        self.event = event


def _sampled(workplace: Workplace, job: SampleJob) -> str:
    answer = _Answer()
    slot, name = workplace.slots[0], job.trial.trial_id
    ending = interruption.run(workplace.run(job, job.trial.backend, slot, name, answer.hear))
    if isinstance(answer.event, Sampled):
        return answer.event.text
    raise WorkerError(f"No text was generated: {_why(answer.event, ending, workplace.folder.log(name))}")


def _why(last: Event | None, ending: Ending, log_path: Path) -> str:
    if isinstance(last, Failed):
        return one_line(last.reason)
    if ending.enforced:
        return f"the worker was ended: {ending.enforced}"
    last_words = log_path.read_text(encoding="utf-8", errors="replace").split()[-30:]
    return one_line(f"the worker exited with {ending.returncode}: {' '.join(last_words)}")
