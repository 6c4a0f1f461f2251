"""What a ledger's file holds, and whether a file is one."""

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.contracts.figures import Table
from harness.contracts.measures import stored_in
from harness.errors import RunFolderError

FINISHED = ("ok", "diverged")
"""Statuses the same command does not train again."""
ENDED = (*FINISHED, "failed", "timeout", "skipped")

SCHEMA_VERSION = 1


def _columns(table: Table) -> str:
    return ", ".join(f"{measure.name} {'INTEGER' if measure.whole else 'REAL'}" for measure in stored_in(table))


SCHEMA = f"""
BEGIN IMMEDIATE;                        -- all tables or none, wherever a kill strikes
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    trial TEXT NOT NULL,                -- JSON of harness.worker.trial.Trial
    status TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    facts TEXT NOT NULL DEFAULT '{{}}'    -- JSON: what Started and Finished said, device, concurrency
) STRICT;
CREATE TABLE IF NOT EXISTS epochs (
    trial_id TEXT NOT NULL REFERENCES trials,
    epoch INTEGER NOT NULL,
    {_columns("epochs")},
    recorded_at REAL NOT NULL,          -- seconds since 1970
    PRIMARY KEY (trial_id, epoch)
) STRICT;
CREATE TABLE IF NOT EXISTS timings (
    trial_id TEXT NOT NULL REFERENCES trials,
    phase TEXT NOT NULL,                -- 'training': stretches of the epochs themselves; 'timing': alone, in rounds
    round INTEGER NOT NULL,             -- the epoch, for training
    block INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (trial_id, phase, round, block)
) STRICT;
CREATE TABLE IF NOT EXISTS evaluations (
    trial_id TEXT NOT NULL REFERENCES trials,
    author TEXT NOT NULL,
    part TEXT NOT NULL,                 -- 'valid' or 'test'
    num_tokens INTEGER NOT NULL,
    num_chars REAL NOT NULL,
    {_columns("evaluations")},
    PRIMARY KEY (trial_id, author, part)
) STRICT;
CREATE TABLE IF NOT EXISTS probes (     -- what was measured on trained models; ledgers of before have none
    trial_id TEXT NOT NULL REFERENCES trials,
    probe TEXT NOT NULL,
    quantity TEXT NOT NULL,
    at REAL NOT NULL,                   -- where it was measured: a distance, a temperature, a length
    value REAL,                         -- the mean over n observations
    deviation REAL,                     -- their standard deviation
    n INTEGER NOT NULL,
    PRIMARY KEY (trial_id, probe, quantity, at)
) STRICT;
COMMIT;
"""


@dataclass(frozen=True)
class Column:
    """One column as SQLite declares it."""

    name: str
    declaration: str


@cache
def columns_of_today() -> Mapping[str, tuple[Column, ...]]:
    """Return the columns of each table of the schema."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        return {table: _columns_in(db, table) for table in _tables_in(db)}


def add_missing_columns(db: sqlite3.Connection) -> None:
    """Give a ledger of an earlier version the columns it lacks: of its rows so far they are not known."""
    with db:
        for table, columns in columns_of_today().items():
            names = {column.name for column in _columns_in(db, table)}
            for column in columns:
                if column.name not in names:
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {column.declaration}")


def known_columns(db: sqlite3.Connection, table: str) -> list[str]:
    """Return which of today's columns a ledger has: it may be older, or have some of another's making."""
    names = {column.name for column in _columns_in(db, table)}
    return [column.name for column in columns_of_today()[table] if column.name in names]


def _tables_in(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]


def _columns_in(db: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    columns = []
    for _, name, kind, required, default, _ in db.execute(f"PRAGMA table_info({table})").fetchall():
        rest = f"{' NOT NULL' if required else ''}{f' DEFAULT {default}' if default is not None else ''}"
        columns.append(Column(name, f"{name} {kind}{rest}"))
    return tuple(columns)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's mode 'ro', 'rw' or 'rwc'."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)


def check(path: Path) -> bool:
    """Return whether the file holds a ledger; one that is not there or empty does not.

    Raises: sqlite3.Error where it is damaged or another application's; RunFolderError where it is too new.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return False
    # Read-only: a connection that may write changes even a damaged file when it is closed.
    with contextlib.closing(connect(path, "ro")) as db:
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        _require_whole_pages(db, path)
        tables = _tables_in(db)
        if not tables:
            return False
        if not {"run", "trials", "epochs", "timings"} <= set(tables):
            raise sqlite3.DatabaseError("it is another application's")
        version = db.execute("SELECT value FROM run WHERE key='schema_version'").fetchone()
    if version is not None and version[0].isdigit() and int(version[0]) > SCHEMA_VERSION:
        raise RunFolderError(
            f"{path} was written by a newer harness (ledger version {version[0]}, this one reads up to "
            f"{SCHEMA_VERSION}): upgrade rnn-harness, or name another folder with --out."
        )
    return True


def _require_whole_pages(db: sqlite3.Connection, path: Path) -> None:
    """Raise for a file cut off within its last page, which SQLite fills up with zeros in silence."""
    page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
    wal = path.with_name(f"{path.name}-wal")
    if path.stat().st_size % page_bytes and not (wal.is_file() and wal.stat().st_size):
        raise sqlite3.DatabaseError("it is cut off")


def unusable(path: Path, error: sqlite3.Error, advice: str) -> RunFolderError:
    """Return the sentence for a file that is no ledger or a damaged one."""
    cause = (str(error).splitlines() or [type(error).__name__])[-1]
    return RunFolderError(f"The ledger {path} cannot be used ({cause}) and was left as it is. {advice}")
