"""What a ledger's file holds, today and before."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.contracts.figures import Table
from harness.contracts.measures import stored_in
from harness.record.ledger import checksums

FINISHED = ("ok", "diverged")
"""Statuses the same command does not train again."""
ENDED = (*FINISHED, "failed", "timeout", "skipped")

SEARCH_ROLES = ("search", "final", "superseded")
"""Of a trial of a search: a point, the chosen point under a fresh seed, or either of an earlier space or choice."""

SCHEMA_VERSION = 2
"""2: with checksums over all rows; a ledger of before has none until it is continued."""

DIGESTS = "checkpoint_digests"
"""The fact that names the last checkpoint of a trial and the one before."""


def _columns(table: Table) -> str:
    return ", ".join(f"{measure.name} {'INTEGER' if measure.whole else 'REAL'}" for measure in stored_in(table))


SCHEMA = f"""
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    trial TEXT NOT NULL,                -- JSON of harness.worker.trial.Trial
    status TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    facts TEXT NOT NULL DEFAULT '{{}}',   -- JSON: what Started and Finished said, device, concurrency
    revision TEXT NOT NULL DEFAULT '',  -- of the code that trains it; '' in ledgers of before
    superseded TEXT NOT NULL DEFAULT '' -- why another training stands in its place; its trial_id has an @ and a number
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
    session INTEGER NOT NULL DEFAULT 0, -- of sessions; 0: training, or a ledger of before
    PRIMARY KEY (trial_id, phase, round, block)
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (   -- of timing: fresh workers, rounds that are interleaved, one sentinel
    session INTEGER PRIMARY KEY,        -- from 1
    device TEXT NOT NULL,
    effort TEXT NOT NULL,
    whole INTEGER NOT NULL,             -- 0: it was cut short, and the next one takes its place
    started_at REAL NOT NULL,           -- seconds since 1970
    seconds REAL NOT NULL,
    sentinel TEXT NOT NULL,             -- JSON: FLOP/s of its product, one a round
    others_share REAL NOT NULL,         -- of one core, what other programs took meanwhile
    flops_per_s REAL NOT NULL,
    bytes_per_s REAL NOT NULL,
    disturbance TEXT NOT NULL           -- empty: it was steady
) STRICT;
CREATE TABLE IF NOT EXISTS evaluations (
    trial_id TEXT NOT NULL REFERENCES trials,
    author TEXT NOT NULL,
    part TEXT NOT NULL,                 -- 'valid', 'test', or 'best_epoch_test' by the weights best on validation
    num_tokens INTEGER NOT NULL,
    num_chars REAL NOT NULL,
    {_columns("evaluations")},
    blocks BLOB,                        -- (tokens, mean loss) of each block of the text, little-endian float64
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
CREATE TABLE IF NOT EXISTS searches (   -- of tuned models, one row each; ledgers of before have none
    search_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    num_points INTEGER NOT NULL,        -- the budget
    space TEXT NOT NULL,                -- JSON: by setting, its low and high end and its scale
    best TEXT NOT NULL DEFAULT ''       -- the trial_id of the point that was chosen
) STRICT;
CREATE TABLE IF NOT EXISTS searched (   -- the trials of searches
    trial_id TEXT PRIMARY KEY REFERENCES trials,
    search_id TEXT NOT NULL REFERENCES searches,
    role TEXT NOT NULL                  -- of `SEARCH_ROLES`
) STRICT;
CREATE TABLE IF NOT EXISTS asked (      -- what exercises asked for; none of a run that answers none, or of before
    exercise TEXT NOT NULL,
    subject TEXT NOT NULL,              -- a trial_id, or a search_id for its points and final trials
    PRIMARY KEY (exercise, subject)
) STRICT;
{checksums.SCHEMA}
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
        return {table: _columns_in(db, table) for table in tables_in(db)}


@cache
def tables_of_trials() -> tuple[str, ...]:
    """Return the tables whose rows belong to a trial, the trials themselves among them."""
    tables = columns_of_today().items()
    return tuple(table for table, columns in tables if any(column.name == "trial_id" for column in columns))


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Give a ledger the tables, columns and checksums of today, all or none, wherever a kill strikes.

    Of the rows of an earlier version the values of new columns are not known.
    """
    db.executescript(f"BEGIN IMMEDIATE; {SCHEMA}")
    with db:
        added = [_add_missing_columns(db, table) for table in columns_of_today()]
        if version_of(db) != str(SCHEMA_VERSION) or any(added):
            db.execute("INSERT OR REPLACE INTO run (key, value) VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),))
            checksums.renew(db)


def _add_missing_columns(db: sqlite3.Connection, table: str) -> bool:
    """Return whether there were any."""
    names = {column.name for column in _columns_in(db, table)}
    missing = [column for column in columns_of_today()[table] if column.name not in names]
    for column in missing:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column.declaration}")
    return bool(missing)


def version_of(db: sqlite3.Connection) -> str:
    """Return the version the ledger's last writer noted; '' where there is none."""
    noted = db.execute("SELECT value FROM run WHERE key='schema_version'").fetchone()
    return str(noted[0]) if noted else ""


def checkpoint_digests(db: sqlite3.Connection, trial_id: str) -> tuple[str, ...]:
    """Return the digests one of which the trial's checkpoint has; none where it is not known."""
    row = db.execute("SELECT facts FROM trials WHERE trial_id=?", (trial_id,)).fetchone()
    return tuple(json.loads(row[0]).get(DIGESTS, ())) if row else ()


def known_columns(db: sqlite3.Connection, table: str) -> list[str]:
    """Return which of today's columns a ledger has: it may be older, or have some of another's making."""
    names = {column.name for column in _columns_in(db, table)}
    return [column.name for column in columns_of_today()[table] if column.name in names]


def tables_in(db: sqlite3.Connection) -> list[str]:
    """Return the names of all tables."""
    return [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]


def _columns_in(db: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    columns = []
    for _, name, kind, required, default, _ in db.execute(f"PRAGMA table_info({table})").fetchall():
        rest = f"{' NOT NULL' if required else ''}{f' DEFAULT {default}' if default is not None else ''}"
        columns.append(Column(name, f"{name} {kind}{rest}"))
    return tuple(columns)


def rename_trial(db: sqlite3.Connection, old: str, new: str, superseded: str) -> None:
    """Give a trial's rows another id, within the caller's transaction, and note why it is superseded."""
    for table in tables_of_trials():
        db.execute(f"UPDATE {table} SET trial_id=? WHERE trial_id=?", (new, old))
    db.execute("UPDATE trials SET superseded=? WHERE trial_id=?", (superseded, new))
    # Trials of one kind share the measurement of one of them.
    db.execute(
        "UPDATE trials SET facts=json_set(facts, '$.timed_by', ?) WHERE json_extract(facts, '$.timed_by')=?", (new, old)
    )
