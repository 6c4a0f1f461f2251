"""What a reader sees: CSV files, figures, the page, and two runs compared."""

from collections.abc import Iterable
from pathlib import Path

from harness.analysis.frames import Run, read_run
from harness.contracts.descriptors import Exercise
from harness.report.answers import UNDECIDED, Answer, answer_all, frame_answers, unanswered
from harness.report.files import write_csv, write_text
from harness.report.page import render

__all__ = ["UNDECIDED", "Answer", "read_run", "unanswered", "write_report"]

PAGE = "index.html"


def write_report(folder: Path, exercises: Iterable[Exercise] = ()) -> Path:
    """Rebuild the folder's CSV files, samples and page from its ledger, and return the page.

    ``exercises`` are put to the run; their answers are exercises.csv and the top of the page.
    Works while the run goes on and after a kill; each file appears whole or not at all.

    Raises: RunFolderError where there is no ledger, it is damaged, or the folder cannot be written.
    """
    run = read_run(folder)
    files = {
        "trials.csv": "one row a trial",
        "epochs.csv": "one row an epoch",
        "timings.csv": "one row a timed block",
        "summary.csv": "one row a model: means and 95 % intervals over seeds",
        "transfer.csv": "one row a finished trial and author: its figures on the author's held-out text",
        "samples.txt": "the text each finished trial generated",
    }
    if len(run.probes):
        files["probes.csv"] = "one row a quantity probed on a trained model"
    for name in ("trials", "epochs", "timings", "summary", "transfer", *(["probes"] if len(run.probes) else [])):
        write_csv(folder / f"{name}.csv", getattr(run, name))
    write_text(folder / "samples.txt", _samples(run))
    answered = answer_all(run, exercises)
    if answered:
        files["exercises.csv"] = "one row an exercise: its answer, its evidence, and what is missing"
        write_csv(folder / "exercises.csv", frame_answers(answered))
    page = folder / PAGE
    write_text(page, render(run, list(files.items()), answered))
    return page


def _samples(run: Run) -> str:
    """Return each sample under its trial's id."""
    return "".join(f"=== {trial_id}\n{text}\n\n" for trial_id, text in run.samples.items())
