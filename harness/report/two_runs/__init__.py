"""Compares two runs: what got faster, better or worse beyond noise, on what is comparable between them."""

from pathlib import Path

from harness.analysis.frames import Run
from harness.analysis.tables import has_tables, read_tables
from harness.errors import RunFolderError, UsageError
from harness.record.folder import RunFolder
from harness.report import read_run
from harness.report.two_runs.differences import find_differences
from harness.report.two_runs.guard import outcome
from harness.report.two_runs.presentation import print_differences, write_page, write_table
from harness.report.two_runs.rows import Differences

__all__ = ["Differences", "compare_folders", "outcome", "print_differences", "write_page", "write_table"]


def compare_folders(before: Path, after: Path) -> Differences:
    """Compare the runs in two folders.

    Raises: UsageError where both are one folder; RunFolderError where one holds no run or nothing to compare.
    """
    if before.exists() and after.exists() and before.samefile(after):
        raise UsageError(f"{before} and {after} are the same folder: name two runs to compare.")
    return find_differences(_read(before), _read(after), names=(str(before), str(after)))


def _read(folder: Path) -> Run:
    is_written = not RunFolder(folder).ledger.exists() and has_tables(folder)
    run = read_tables(folder) if is_written else read_run(folder)
    if run.trials.empty:
        raise RunFolderError(f"The run in {folder} holds no trials: give its command again, or name another run.")
    return run
