"""Compares two runs: what got faster, better or worse beyond noise, on what is comparable between them."""

from pathlib import Path

from harness.analysis.frames import Run
from harness.errors import RunFolderError, UsageError
from harness.report import read_run
from harness.report.two_runs.differences import find_differences
from harness.report.two_runs.presentation import print_differences, write_page, write_table
from harness.report.two_runs.rows import Differences

__all__ = ["Differences", "compare_folders", "exit_code", "print_differences", "write_page", "write_table"]


def compare_folders(before: Path, after: Path) -> Differences:
    """Compare the runs in two folders.

    Raises: UsageError where both are one folder; RunFolderError where one holds no run or nothing to compare.
    """
    if before.exists() and after.exists() and before.samefile(after):
        raise UsageError(f"{before} and {after} are the same folder: name two runs to compare.")
    return find_differences(_read(before), _read(after), names=(str(before), str(after)))


def _read(folder: Path) -> Run:
    run = read_run(folder)
    if run.trials.empty:
        raise RunFolderError(f"The run in {folder} holds no trials: give its command again, or name another run.")
    return run


def exit_code(differences: Differences, share: float) -> int:
    """Return 1 where something is worse by more than this share, else 0.

    Raises: UsageError where nothing could be judged at all: that is no proof that all is well.
    """
    if not differences.num_judged:
        raise UsageError(
            "--fail-on has nothing to judge: no row of the two runs can be compared; the reasons are above. Intervals "
            "need two seeds (--seeds) and timing (--timing quick)."
        )
    return 1 if differences.regressions(share) else 0
