"""The reader's side of the ledger: for reports, also while a run goes on and after a kill."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import RunFolderError
from harness.record.ledger.blocks import unpack_blocks
from harness.record.ledger.opening import check, connect_to_read, unusable
from harness.record.ledger.schema import checkpoint_digests, known_columns
from harness.worker.trial import SETTINGS

_ROWS_AT_A_TIME = 500
"""Few enough to stay in the processor's cache until they are arrays: of thousands a fifth more time goes."""
_OF_ROW = ("trial_id", "status", "reason", "attempts", "revision", "superseded")


class LedgerReader:
    """The reader's side, for reports: works while a run goes on and after a kill, and writes nothing."""

    def __init__(self, path: Path) -> None:
        """Open a ledger to read.

        Raises: RunFolderError where there is none or it is damaged.
        """
        if not path.is_file():
            raise RunFolderError(
                f"There is no ledger at {path}: name a folder that 'harness run' made, e.g. reports/latest."
            )
        self._path = path
        with self._explained():
            is_empty = not check(path)
            # WAL readers need to create the -shm file, so even a reader opens read-write where it may.
            self._db = connect_to_read(path, "rw")
            self._db.row_factory = sqlite3.Row
        if is_empty:
            raise RunFolderError(f"The ledger {path} is empty: the run ended before it began; give its command again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what can't be read into the sentence for it."""
        try:
            yield
        except (sqlite3.Error, json.JSONDecodeError) as error:
            raise unusable(
                self._path, error, "Name another run's folder, or give the run's command again elsewhere."
            ) from None

    def run(self) -> dict[str, str]:
        """Return what was noted about the run as a whole."""
        return {row["key"]: row["value"] for row in self._db.execute("SELECT key, value FROM run")}

    def trials(self) -> list[dict[str, Any]]:
        """Return one dict a trial, in plan order: the trial's fields, its facts, and the columns of its row.

        Those are trial_id, status, reason, attempts, revision, superseded; the last two are empty in older ledgers.
        """
        with self._explained():
            return read_trials(self._db, self._path)

    def checkpoint_digests(self, trial_id: str) -> tuple[str, ...]:
        """Return the digests one of which the trial's checkpoint has; none where it is not known."""
        return checkpoint_digests(self._db, trial_id)

    def columns(self, table: Literal["epochs", "timings"]) -> Iterator[dict[str, Sequence[Any]]]:
        """Yield those columns of the table that are known today, some rows at a time: a dict a row would fill memory.

        The first chunk has no rows, so that an empty table has its columns too.
        """
        cursor = self._db.cursor()
        cursor.row_factory = None
        names = known_columns(self._db, table)
        cursor.execute(f"SELECT {', '.join(names)} FROM {table}")
        yield dict.fromkeys(names, ())
        while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
            yield dict(zip(names, zip(*rows, strict=True), strict=True))

    def epochs(self) -> list[dict[str, Any]]:
        """Return one dict an epoch, by trial and epoch."""
        return [dict(row) for row in self._db.execute("SELECT * FROM epochs ORDER BY trial_id, epoch")]

    def timings(self) -> list[dict[str, Any]]:
        """Return one dict a timed block: trial_id, phase, round, block, tokens, seconds."""
        return [dict(row) for row in self._db.execute("SELECT * FROM timings ORDER BY trial_id, phase, round, block")]

    def sessions(self) -> list[dict[str, Any]]:
        """Return one dict a timing session; none of a ledger that is older than they are."""
        if not self._has_table("sessions"):
            return []
        return [dict(row) for row in self._db.execute("SELECT * FROM sessions ORDER BY session")]

    def evaluations(self) -> list[dict[str, Any]]:
        """Return one dict a finished trial and held-out part; none of a ledger that is older than they are."""
        if not self._has_table("evaluations"):
            return []
        names = ", ".join(name for name in known_columns(self._db, "evaluations") if name != "blocks")
        query = f"SELECT {names} FROM evaluations ORDER BY trial_id, part, rowid"
        return [dict(row) for row in self._db.execute(query)]

    def text_blocks(self) -> Iterator[tuple[str, str, str, NDArray[np.float64]]]:
        """Yield trial_id, author, part and its losses by block, where they are known, in the authors' order.

        Shapes: losses (blocks, 2): tokens and their mean loss.
        """
        if not self._has_table("evaluations") or "blocks" not in known_columns(self._db, "evaluations"):
            return
        query = "SELECT trial_id, author, part, blocks FROM evaluations WHERE blocks IS NOT NULL ORDER BY rowid"
        for trial_id, author, part, packed in self._db.execute(query):
            yield trial_id, author, part, unpack_blocks(packed)

    def probes(self) -> list[dict[str, Any]]:
        """Return one dict a probed quantity; none where the ledger is older than probes are."""
        if not self._has_table("probes"):
            return []
        return [dict(row) for row in self._db.execute("SELECT * FROM probes ORDER BY trial_id, probe, quantity, at")]

    def searches(self) -> list[dict[str, Any]]:
        """Return one dict a search, in plan order: search_id, num_points, space, best; none of an older ledger."""
        if not self._has_table("searches"):
            return []
        rows = [dict(row) for row in self._db.execute("SELECT * FROM searches ORDER BY position, search_id")]
        return [{**row, "space": json.loads(row["space"])} for row in rows]

    def searched(self) -> dict[str, tuple[str, str]]:
        """Return the search and the role of each trial that has one, by its id."""
        if not self._has_table("searched"):
            return {}
        rows = self._db.execute("SELECT trial_id, search_id, role FROM searched")
        return {row["trial_id"]: (row["search_id"], row["role"]) for row in rows}

    def asked(self) -> dict[str, set[str]]:
        """Return the ids of the trials and searches that each exercise asked for; none of an older ledger."""
        asked: dict[str, set[str]] = {}
        if self._has_table("asked"):
            for exercise, subject in self._db.execute("SELECT exercise, subject FROM asked"):
                asked.setdefault(exercise, set()).add(subject)
        return asked

    def _has_table(self, name: str) -> bool:
        tables = self._db.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (name,))
        return tables.fetchone() is not None


def read_trials(db: sqlite3.Connection, path: Path) -> list[dict[str, Any]]:
    """Return what `LedgerReader.trials` does, of a connection to the ledger at this path.

    Raises: RunFolderError for a setting of a newer version; json.JSONDecodeError.
    """
    cursor = db.execute("SELECT * FROM trials ORDER BY position, trial_id")
    names = [column[0] for column in cursor.description]
    trials = []
    for values in cursor:
        row = dict(zip(names, values, strict=True))
        settings = json.loads(row["trial"])
        _require_known(settings, path)
        trials.append({**settings, **json.loads(row["facts"]), **{name: row.get(name, "") for name in _OF_ROW}})
    return trials


def _require_known(settings: Mapping[str, Any], path: Path) -> None:
    """Raise a RunFolderError for a setting of a newer version: trials that differ in it would count as alike."""
    if unknown := [name for name in settings if name not in SETTINGS]:
        raise RunFolderError(
            f"The ledger {path} was written by a newer harness, whose trials have a setting {unknown[0]!r}: "
            "upgrade rnn-harness, or name another run's folder."
        )


def recorded_trials(path: Path) -> list[dict[str, Any]]:
    """Return a ledger's trials as `LedgerReader.trials` does; none where there is no ledger yet.

    Raises: RunFolderError where it is damaged.
    """
    try:
        is_ledger = check(path)
    except sqlite3.Error:
        is_ledger = True  # whose damage its reader explains
    if not is_ledger:
        return []
    with LedgerReader(path) as ledger:
        return ledger.trials()
