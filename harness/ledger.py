"""The run's record: one SQLite file, written by the run alone and readable at any moment, also after a kill.

Every event is committed when it comes. A trial that is not finished has status 'waiting' or
'running'; the report calls both 'skipped' with the reason that they did not run yet.
"""

import contextlib
import json
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, Self

from harness.errors import RunFolderError
from harness.parity import Certificate
from harness.worker.events import EpochEnded, Evaluated, Finished, Started
from harness.worker.trial import Trial

FINISHED = ("ok", "diverged")
"""Statuses the same command does not train again."""
ENDED = (*FINISHED, "failed", "timeout", "skipped")

_CERTIFICATE = {field.name for field in fields(Certificate)}
SCHEMA_VERSION = 1
_ROWS_AT_A_TIME = 2_000
_SCHEMA = """
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
_EPOCH_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "train_top5_accuracy",
    "valid_loss",
    "valid_accuracy",
    "valid_top5_accuracy",
    "valid_bits_per_char",
    "grad_norm",
    "train_tokens",
    "train_seconds",
    "valid_seconds",
)


class Ledger:
    """The writer's side. One process writes; `harness.run_folder` holds the lock that ensures it.

    Every method that records something raises RunFolderError where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the ledger.

        Raises: RunFolderError where the file is not a ledger, is damaged, or cannot be written.
        """
        self.path = path
        try:
            _check(path)
        except sqlite3.Error as error:
            raise _unusable(path, error, "Move it away to start anew, or name another folder with --out.") from None
        with _explained(path):
            self._db = _open_to_write(path)
        self.note("schema_version", str(SCHEMA_VERSION))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def note(self, key: str, value: str) -> None:
        """Record a fact about the run as a whole."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, value))

    def add(self, trials: Iterable[Trial]) -> None:
        """Add trials that are not there yet, in this order; those that are keep their records."""
        rows = [
            (trial.trial_id, position, json.dumps(asdict(trial), sort_keys=True))
            for position, trial in enumerate(trials)
        ]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO trials (trial_id, position, trial) VALUES (?, ?, ?)", rows)

    def statuses(self) -> dict[str, str]:
        """Return the status of each trial by its id."""
        return dict(self._db.execute("SELECT trial_id, status FROM trials"))

    def num_epochs(self, trial_id: str) -> int:
        """Return how many of a trial's epochs are recorded, without a gap, from the first."""
        row = self._db.execute("SELECT count(*), max(epoch) FROM epochs WHERE trial_id=?", (trial_id,)).fetchone()
        count, last = row
        return count if count == last else 0

    def launched(
        self, trial_id: str, *, device: str, concurrency: int, per_device: int = 1, environment_hash: str = ""
    ) -> None:
        """Record that a worker is being started for the trial.

        What an earlier worker said is cleared, but for its certificate: a resumed trial has its first steps behind it.
        """
        facts = {
            "slot": device,
            "concurrency": concurrency,
            "per_device": per_device,
            "environment_hash": environment_hash,
            "launched_at": time.time(),
        }
        with self._transaction():
            (before,) = self._db.execute("SELECT facts FROM trials WHERE trial_id=?", (trial_id,)).fetchone()
            kept = {name: value for name, value in json.loads(before).items() if name in _CERTIFICATE}
            self._db.execute(
                "UPDATE trials SET status='running', reason='', attempts=attempts+1, facts=? WHERE trial_id=?",
                (json.dumps(facts | kept), trial_id),
            )

    def certified(self, trial_id: str, certificate: Certificate) -> None:
        """Record how the trial's first steps compare with the reference."""
        with self._transaction():
            self._merge(trial_id, asdict(certificate))

    def started(self, trial_id: str, event: Started) -> None:
        """Record what the worker runs on."""
        with self._transaction():
            self._merge(trial_id, asdict(event))

    def epoch(self, trial_id: str, event: EpochEnded) -> None:
        """Record one epoch; a repeated epoch of a resumed trial replaces its record."""
        values = asdict(event)
        blocks: Sequence[tuple[int, float]] = values.pop("blocks")
        columns = ", ".join(_EPOCH_COLUMNS)
        marks = ", ".join("?" for _ in _EPOCH_COLUMNS)
        with self._transaction():
            self._db.execute(
                f"INSERT OR REPLACE INTO epochs (trial_id, {columns}, recorded_at) VALUES (?, {marks}, ?)",
                (trial_id, *(values[name] for name in _EPOCH_COLUMNS), time.time()),
            )
            self._db.execute(
                "DELETE FROM timings WHERE trial_id=? AND phase='training' AND round=?", (trial_id, event.epoch)
            )
            self._db.executemany(
                "INSERT INTO timings VALUES (?, 'training', ?, ?, ?, ?)",
                [(trial_id, event.epoch, i, tokens, seconds) for i, (tokens, seconds) in enumerate(blocks)],
            )

    def evaluated(self, trial_id: str, event: Evaluated) -> None:
        """Record what the trained model reaches on one author's held-out part; a repeated one replaces its record."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO evaluations VALUES (:trial_id, :author, :part, :num_tokens, :num_chars, "
                ":loss, :accuracy, :top5_accuracy, :bits_per_char)",
                {**asdict(event), "author": _storable(event.author), "trial_id": trial_id},
            )

    def timed(self, trial_id: str, blocks: Sequence[tuple[int, int, float]]) -> None:
        """Record the blocks of a timing session, (round, tokens, seconds), in place of an earlier session's."""
        with self._transaction():
            self._db.execute("DELETE FROM timings WHERE trial_id=? AND phase='timing'", (trial_id,))
            self._db.executemany(
                "INSERT INTO timings VALUES (?, 'timing', ?, 0, ?, ?)",
                [(trial_id, number, tokens, seconds) for number, tokens, seconds in blocks],
            )

    def probed(self, trial_id: str, probe: str, rows: Sequence[tuple[str, float, float, float, int]]) -> None:
        """Record what a probe measured, (quantity, at, value, deviation, n), in place of its earlier rows."""
        with self._transaction():
            self._db.execute("DELETE FROM probes WHERE trial_id=? AND probe=?", (trial_id, probe))
            self._db.executemany(
                "INSERT INTO probes VALUES (?, ?, ?, ?, ?, ?, ?)", [(trial_id, probe, *row) for row in rows]
            )

    def probes_done(self) -> set[tuple[str, str]]:
        """Return the (trial_id, probe) that are recorded."""
        return set(self._db.execute("SELECT DISTINCT trial_id, probe FROM probes"))

    def add_facts(self, trial_id: str, facts: dict[str, Any]) -> None:
        """Record facts about a trial beside those its worker said."""
        with self._transaction():
            self._merge(trial_id, facts)

    def facts(self, name: str) -> dict[str, Any]:
        """Return one fact of each trial by its id; None where it is not known."""
        return dict(self._db.execute("SELECT trial_id, json_extract(facts, '$.' || ?) FROM trials", (name,)))

    def ended(self, trial_id: str, status: str, reason: str = "", finished: Finished | None = None) -> None:
        """Record how the trial ended: a status of `ENDED`, with a reason for all but 'ok'."""
        with self._transaction():
            self._db.execute(
                "UPDATE trials SET status=?, reason=? WHERE trial_id=?", (status, _storable(reason), trial_id)
            )
            if finished is not None:
                self._merge(trial_id, asdict(finished))

    def note_log_tail(self, trial_id: str, text: str) -> None:
        """Record the last lines of a failed trial's log as the fact ``log_tail``."""
        with self._transaction():
            self._merge(trial_id, {"log_tail": text})

    def release(self, trial_id: str) -> None:
        """Put an interrupted trial back among the waiting; its epochs stay."""
        with self._transaction():
            self._db.execute("UPDATE trials SET status='waiting', reason='' WHERE trial_id=?", (trial_id,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _explained(self.path), self._db:
            yield

    def _merge(self, trial_id: str, facts: dict[str, Any]) -> None:
        self._db.execute("UPDATE trials SET facts=json_patch(facts, ?) WHERE trial_id=?", (_json(facts), trial_id))


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
        try:
            is_empty = not _check(path)
            # WAL readers need to create the -shm file, so even a reader opens read-write where it may.
            self._db = _connect(path, "rw")
            self._db.row_factory = sqlite3.Row
        except sqlite3.Error as error:
            raise _unusable(
                path, error, "Name another run's folder, or give the run's command again elsewhere."
            ) from None
        if is_empty:
            raise RunFolderError(f"The ledger {path} is empty: the run ended before it began; give its command again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def run(self) -> dict[str, str]:
        """Return what was noted about the run as a whole."""
        return {row["key"]: row["value"] for row in self._db.execute("SELECT key, value FROM run")}

    def trials(self) -> list[dict[str, Any]]:
        """Return one dict a trial, in plan order: trial_id, status, reason, attempts, the trial's fields, its facts."""
        rows = self._db.execute("SELECT * FROM trials ORDER BY position, trial_id")
        return [
            {
                **json.loads(row["trial"]),
                **json.loads(row["facts"]),
                "trial_id": row["trial_id"],
                "status": row["status"],
                "reason": row["reason"],
                "attempts": row["attempts"],
            }
            for row in rows
        ]

    def columns(self, table: Literal["epochs", "timings"]) -> Iterator[dict[str, Sequence[Any]]]:
        """Yield the table's columns, some rows at a time and in no order: a dict a row would fill the memory.

        The first chunk has no rows, so that an empty table has its columns too.
        """
        cursor = self._db.cursor()
        cursor.row_factory = None
        cursor.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        yield dict.fromkeys(names, ())
        while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
            yield dict(zip(names, zip(*rows, strict=True), strict=True))

    def epochs(self) -> list[dict[str, Any]]:
        """Return one dict an epoch, by trial and epoch."""
        return [dict(row) for row in self._db.execute("SELECT * FROM epochs ORDER BY trial_id, epoch")]

    def timings(self) -> list[dict[str, Any]]:
        """Return one dict a timed block: trial_id, phase, round, block, tokens, seconds."""
        return [dict(row) for row in self._db.execute("SELECT * FROM timings ORDER BY trial_id, phase, round, block")]

    def evaluations(self) -> list[dict[str, Any]]:
        """Return one dict a finished trial and held-out part; none of a ledger that is older than they are."""
        if not self._has_table("evaluations"):
            return []
        return [dict(row) for row in self._db.execute("SELECT * FROM evaluations ORDER BY trial_id, part, rowid")]

    def probes(self) -> list[dict[str, Any]]:
        """Return one dict a probed quantity; none where the ledger is older than probes are."""
        if not self._has_table("probes"):
            return []
        return [dict(row) for row in self._db.execute("SELECT * FROM probes ORDER BY trial_id, probe, quantity, at")]

    def _has_table(self, name: str) -> bool:
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (name,))
        return found.fetchone() is not None


def _json(facts: dict[str, Any]) -> str:
    """Return facts as the JSON SQLite takes: a figure that is not finite is a missing one."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in facts.items()
    }
    return json.dumps(finite)


def _storable(text: str) -> str:
    """Return a text SQLite can hold: an exception's may have a lone surrogate in it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failed write into the sentence for it."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunFolderError(
            f"The ledger {path} cannot be written ({error}): free some space there and give the same command again; "
            "every epoch recorded so far is kept."
        ) from None


def _open_to_write(path: Path) -> sqlite3.Connection:
    db = _connect(path, "rwc")
    try:
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives a kill of any process; only a power cut may lose the last commits.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _check(path: Path) -> bool:
    """Return whether the file holds a ledger; one that is not there or empty does not.

    Raises: sqlite3.Error where it is damaged or another application's; RunFolderError where it is too new.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return False
    # Read-only: a connection that may write changes even a damaged file when it is closed.
    with contextlib.closing(_connect(path, "ro")) as db:
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


def _unusable(path: Path, error: sqlite3.Error, advice: str) -> RunFolderError:
    cause = (str(error).splitlines() or [type(error).__name__])[-1]
    return RunFolderError(f"The ledger {path} cannot be used ({cause}) and was left as it is. {advice}")
