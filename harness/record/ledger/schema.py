"""What a ledger's file holds, and whether a file is one."""

import contextlib
import sqlite3
from pathlib import Path

from harness.errors import RunFolderError

FINISHED = ("ok", "diverged")
"""Statuses the same command does not train again."""
ENDED = (*FINISHED, "failed", "timeout", "skipped")

SCHEMA_VERSION = 1
SCHEMA = """
BEGIN IMMEDIATE;                        -- all tables or none, wherever a kill strikes
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    trial TEXT NOT NULL,                -- JSON of harness.worker.trial.Trial
    status TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    facts TEXT NOT NULL DEFAULT '{}'    -- JSON: what Started and Finished said, device, concurrency
) STRICT;
CREATE TABLE IF NOT EXISTS epochs (
    trial_id TEXT NOT NULL REFERENCES trials,
    epoch INTEGER NOT NULL,
    train_loss REAL, train_accuracy REAL, train_top5_accuracy REAL,
    valid_loss REAL, valid_accuracy REAL, valid_top5_accuracy REAL, valid_bits_per_char REAL,
    grad_norm REAL, train_tokens INTEGER, train_seconds REAL, valid_seconds REAL,
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
    loss REAL, accuracy REAL, top5_accuracy REAL, bits_per_char REAL,
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
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if not tables:
            return False
        if not {"run", "trials", "epochs", "timings"} <= tables:
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
