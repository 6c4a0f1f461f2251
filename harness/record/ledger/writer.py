"""The writer's side of the ledger: the run's parent process records every event, and commits it at once."""

import contextlib
import json
import math
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from harness.contracts.measures import stored_in
from harness.record.ledger import checksums
from harness.record.ledger.blocks import pack_blocks
from harness.record.ledger.opening import RUN_ID, check, connect, explained_writes, manifest_id, unusable
from harness.record.ledger.reader import read_trials
from harness.record.ledger.schema import DIGESTS, bring_up_to_date, checkpoint_digests, rename_trial
from harness.record.ledger.searches import SearchRecord
from harness.record.ledger.timing import TimingRecord
from harness.record.parity import Certificate
from harness.worker.events import EpochEnded, Evaluated, Finished, Started
from harness.worker.trial import Trial

_STAYING_FACTS = {*(field.name for field in fields(Certificate)), DIGESTS}
"""What outlives a trial's next launch: a resumed one has its first steps behind it, and its checkpoint is there."""
_INSERT_TIMING = "INSERT INTO timings (trial_id, phase, round, block, tokens, seconds)"
_WRITE_BACK_SECONDS = 5.0
_EPOCH_COLUMNS = tuple(measure.name for measure in stored_in("epochs"))
_EVALUATION_COLUMNS = tuple(measure.name for measure in stored_in("evaluations"))


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a worker is being started on, and by which code."""

    slot: str
    """The harness's name of the device, such as cpu:0."""
    concurrency: int
    """Workers that may train beside one another, itself among them."""
    per_device: int = 1
    environment_hash: str = ""
    """Of the requirements its interpreter was built from; empty for the harness's."""
    machine: str = ""
    """The digest of its hardware and packages."""
    revision: str = ""
    """The digest of the code that trains it."""
    text_revision: str = ""
    """The digest of the code that makes its text."""


class Ledger:
    """The writer's side. One process writes; `harness.record.folder` holds the lock that ensures it.

    Every method that records something raises RunFolderError where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the ledger.

        Raises: RunFolderError where the file is not a ledger, is damaged, or cannot be written.
        """
        self.path = path
        try:
            check(path)
        except sqlite3.Error as error:
            raise unusable(path, error, "Move it away to start anew, or name another folder with --out.") from None
        with explained_writes(path):
            self._db = _open_to_write(path)
        self._written_back = time.monotonic()
        self.timing = TimingRecord(self._db, self._transaction)
        self.searches = SearchRecord(self._db, self._transaction)
        self.run_id = self._run_id()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _run_id(self) -> str:
        """Return what tells this run's files from another's: a new ledger takes over what its folder's manifest says.

        So one that was moved away to start anew has a successor, wherever a kill strikes.
        """
        noted = self._db.execute("SELECT value FROM run WHERE key=?", (RUN_ID,)).fetchone()
        if noted is not None:
            return str(noted[0])
        run_id = manifest_id(self.path) or secrets.token_hex(8)
        self.note(RUN_ID, run_id)
        return run_id

    def note(self, key: str, value: str) -> None:
        """Record a fact about the run as a whole."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO run (key, value) VALUES (?, ?)", (key, value))

    def add(self, trials: Iterable[Trial], after: int = 0) -> None:
        """Add trials that are not there yet, in this order behind so many others; those that are keep their records."""
        rows = [
            (trial.trial_id, position, json.dumps(asdict(trial), sort_keys=True))
            for position, trial in enumerate(trials, after)
        ]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO trials (trial_id, position, trial) VALUES (?, ?, ?)", rows)

    def trials(self) -> list[dict[str, Any]]:
        """Return what is recorded of each trial, as `LedgerReader.trials` does."""
        return read_trials(self._db, self.path)

    def last_losses(self) -> dict[str, float]:
        """Return the validation loss of each trial's last epoch by its id; what was not finite is not there."""
        last = "SELECT trial_id, max(epoch) AS epoch FROM epochs GROUP BY trial_id"
        rows = self._db.execute(f"SELECT trial_id, valid_loss FROM epochs JOIN ({last}) USING (trial_id, epoch)")
        return {trial_id: loss for trial_id, loss in rows if loss is not None and math.isfinite(loss)}

    def statuses(self) -> dict[str, str]:
        """Return the status of each trial by its id."""
        return dict(self._db.execute("SELECT trial_id, status FROM trials"))

    def supersede(self, trial_id: str, new_id: str, why: str) -> None:
        """Keep a trial's rows under another id, where another training is to stand in its place."""
        with self._transaction():
            rename_trial(self._db, trial_id, new_id, why)

    def restore(self, superseded_id: str, trial_id: str) -> None:
        """Give a superseded trial its own id back, under which nothing was begun since."""
        with self._transaction():
            self._db.execute("DELETE FROM searched WHERE trial_id=?", (trial_id,))
            self._db.execute("DELETE FROM trials WHERE trial_id=? AND attempts=0", (trial_id,))
            rename_trial(self._db, superseded_id, trial_id, "")

    def num_epochs(self, trial_id: str) -> int:
        """Return how many of a trial's epochs are recorded, without a gap, from the first."""
        row = self._db.execute("SELECT count(*), max(epoch) FROM epochs WHERE trial_id=?", (trial_id,)).fetchone()
        count, last = row
        return count if count == last else 0

    def launched(self, trial_id: str, launch: Launch) -> None:
        """Record that a worker is being started for the trial.

        What an earlier worker said is cleared, but for its certificate and its checkpoint.
        """
        facts = asdict(launch) | {"launched_at": time.time()}
        revision = facts.pop("revision")
        with self._transaction():
            (before,) = self._db.execute("SELECT facts FROM trials WHERE trial_id=?", (trial_id,)).fetchone()
            staying = {name: value for name, value in json.loads(before).items() if name in _STAYING_FACTS}
            self._db.execute(
                "UPDATE trials SET status='running', reason='', attempts=attempts+1, facts=?, revision=? "
                "WHERE trial_id=?",
                (json.dumps(facts | staying), revision, trial_id),
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
        with self._transaction():
            values = {name: event.measures.get(name) for name in _EPOCH_COLUMNS}
            row = {"trial_id": trial_id, "epoch": event.epoch, **values, "recorded_at": time.time()}
            self._replace("epochs", row)
            self._db.execute(
                "DELETE FROM timings WHERE trial_id=? AND phase='training' AND round=?", (trial_id, event.epoch)
            )
            self._db.executemany(
                f"{_INSERT_TIMING} VALUES (?, 'training', ?, ?, ?, ?)",
                [(trial_id, event.epoch, i, tokens, seconds) for i, (tokens, seconds) in enumerate(event.blocks)],
            )

    def saving(self, trial_id: str, digest: str) -> None:
        """Record that a checkpoint is about to be written; the former one's digest stays, since it may yet be there."""
        with self._transaction():
            self._merge(trial_id, {DIGESTS: [*self.checkpoint_digests(trial_id)[-1:], digest]})

    def checkpoint_digests(self, trial_id: str) -> tuple[str, ...]:
        """Return the digests one of which the trial's checkpoint has; none where it is not known."""
        return checkpoint_digests(self._db, trial_id)

    def evaluated(self, trial_id: str, event: Evaluated) -> None:
        """Record what the trained model reaches on one author's held-out part; a repeated one replaces its record."""
        with self._transaction():
            values = {name: event.measures.get(name) for name in _EVALUATION_COLUMNS}
            about: dict[str, Any] = {"part": event.part, "num_tokens": event.num_tokens, "num_chars": event.num_chars}
            about |= {"blocks": pack_blocks(event.blocks)}
            row = {"trial_id": trial_id, "author": _storable(event.author), **about, **values}
            self._replace("evaluations", row)

    def probed(self, trial_id: str, probe: str, rows: Sequence[tuple[str, float, float, float, int]]) -> None:
        """Record what a probe measured, (quantity, at, value, deviation, n), in place of its earlier rows."""
        with self._transaction():
            self._db.execute("DELETE FROM probes WHERE trial_id=? AND probe=?", (trial_id, probe))
            self._db.executemany(
                "INSERT INTO probes (trial_id, probe, quantity, at, value, deviation, n) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(trial_id, probe, *row) for row in rows],
            )

    def probes_done(self) -> set[tuple[str, str]]:
        """Return the (trial_id, probe) that are recorded."""
        return set(self._db.execute("SELECT DISTINCT trial_id, probe FROM probes"))

    def asked(self, exercise: str, subjects: Iterable[str]) -> None:
        """Record the trials and searches that an exercise asks for, in place of those of an earlier plan."""
        with self._transaction():
            self._db.execute("DELETE FROM asked WHERE exercise=?", (exercise,))
            self._db.executemany("INSERT INTO asked VALUES (?, ?)", [(exercise, name) for name in subjects])

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
        with explained_writes(self.path):
            with self._db:
                yield
            self._write_back()

    def _write_back(self) -> None:
        """Bring what the log beside the file holds into the file itself, now and then.

        Who copies the file alone, after a kill or while the run goes on, has all but the last seconds.
        """
        now = time.monotonic()
        if now - self._written_back >= _WRITE_BACK_SECONDS:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._written_back = now

    def _replace(self, table: str, row: dict[str, Any]) -> None:
        columns, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        self._db.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", row)

    def _merge(self, trial_id: str, facts: dict[str, Any]) -> None:
        self._db.execute("UPDATE trials SET facts=json_patch(facts, ?) WHERE trial_id=?", (_json(facts), trial_id))


def _json(facts: dict[str, Any]) -> str:
    """Return facts as the JSON SQLite takes: a figure that is not finite is a missing one."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in facts.items()
    }
    return json.dumps(finite)


def _storable(text: str) -> str:
    """Return a text SQLite can hold: an exception's may have a lone surrogate in it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _open_to_write(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(OSError):
        path.touch()  # with the umask's permissions: SQLite would let nobody else write, whatever the umask
    db = connect(path, "rwc")
    try:
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives a kill of any process; only a power cut may lose the last commits.
        db.execute("PRAGMA synchronous=NORMAL")
        bring_up_to_date(db)
        checksums.keep(db)
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.Error:
        db.close()
        raise
    return db
