"""What a reader sees: CSV files, figures, the page, and two runs compared."""

from collections.abc import Iterable
from pathlib import Path

from harness.analysis.columns import TABLES
from harness.analysis.frames import Run, read_run
from harness.contracts.descriptors import Exercise
from harness.contracts.visible import visible
from harness.record.folder import RunFolder
from harness.report import charts
from harness.report.answers import ANSWERS, UNDECIDED, Answer, answer_all, frame_answers, unanswered
from harness.report.files import make_folder, write_csv, write_text
from harness.report.page import render

__all__ = ["UNDECIDED", "Answer", "charts", "read_run", "unanswered", "write_report"]

PAGE = "index.html"


def write_report(folder: Path, exercises: Iterable[Exercise] = (), out: Path | None = None) -> Path:
    """Rebuild the folder's CSV files, samples and page from its ledger, in ``out`` where it is given; return the page.

    ``exercises`` are put to the run; their answers are exercises.csv and the top of the page.
    Works while the run goes on and after a kill; each file appears whole or not at all.

    Raises: RunFolderError where there is no ledger, it is damaged, or the folder cannot be written.
    """
    run = read_run(folder)
    if out is None:
        RunFolder(folder).sweep()
    else:
        make_folder(out)
    folder = out or folder
    frames = {table: run.table(table) for table in TABLES}
    tables = [table for table, frame in frames.items() if len(frame) or not table.optional]
    for table in tables:
        write_csv(folder / table.name, frames[table])
    files = {table.name: table.row for table in tables} | {"samples.txt": "the text each finished trial generated"}
    write_text(folder / "samples.txt", _samples(run))
    answered = answer_all(run, exercises)
    if answered:
        files[ANSWERS.name] = ANSWERS.row
        write_csv(folder / ANSWERS.name, frame_answers(answered))
    page = folder / PAGE
    write_text(page, render(run, list(files.items()), answered))
    return page


def _samples(run: Run) -> str:
    """Return each sample under its trial's id."""
    return "".join(f"=== {trial_id}\n{visible(text)}\n\n" for trial_id, text in run.samples.items())
