"""Reads a run from its CSV files and manifest, where no ledger is beside them: enough to compare it."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.analysis import columns
from harness.analysis.columns import Table
from harness.analysis.frames import OF_TRIALS, Run, divide
from harness.analysis.trials import typed
from harness.errors import RunFolderError
from harness.record.manifest import read_manifest
from harness.worker.trial import DEFAULTS

_DEFUSED = r"^'(?=[=+\-@\t\r\n])"
"""The apostrophe that keeps a spreadsheet from running a text."""


def has_tables(folder: Path) -> bool:
    """Say whether the folder has the tables of a run."""
    return (folder / columns.TRIALS.name).is_file()


def read_tables(folder: Path) -> Run:
    """Read the run whose tables lie in the folder; samples, logs and checkpoints are not in them.

    Raises: RunFolderError where one can't be read.
    """
    frames = {table.name.removesuffix(".csv"): _read(folder, table) for table in columns.TABLES}
    trials = frames["trials"]
    waiting = (trials["status"] == "skipped") & trials["reason"].str.startswith("Not run")
    of_trials = {name: frames.pop(name) for name in OF_TRIALS}
    standing, apart = divide(of_trials)
    return Run(
        apart=apart,
        pending=pd.Series(waiting.to_numpy(bool), index=trials["trial_id"], dtype=bool),
        samples={},
        log_tails={},
        manifest=read_manifest(folder),
        folder=folder,
        **standing,
        **frames,
    )


def _read(folder: Path, table: Table) -> pd.DataFrame:
    """Return a table with the columns of today: of those it lacks, settings have their defaults."""
    path = folder / table.name
    try:
        cells = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        cells = pd.DataFrame(columns=table.names)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read ({error}): name another run's folder.") from None
    return pd.DataFrame({column.name: _column(cells, column) for column in table.columns})


def _column(cells: pd.DataFrame, column: columns.Column) -> pd.Series:
    if column.name not in cells:
        return typed(column.kind, pd.Series(DEFAULTS.get(column.name, np.nan), index=cells.index, dtype=object))
    known = cells[column.name].where(cells[column.name] != "")
    if column.kind == "flag":
        return known.map({"True": True, "False": False}).astype("boolean")
    return typed(column.kind, known.str.replace(_DEFUSED, "", regex=True) if column.kind == "text" else known)
