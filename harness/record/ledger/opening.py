"""Whether a file is a ledger, whole and of its own run: seen to before anything in it is believed."""

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import RunFolderError
from harness.record.ledger import checksums, wal
from harness.record.ledger.schema import SCHEMA_VERSION, tables_in, version_of

RUN_ID = "run_id"
"""The key, in the ledger and in the manifest beside it, of what tells one run's files from another's."""
_NECESSARY = {"run", "trials", "epochs", "timings"}
_UNSUMMED_VERSIONS = ("", "1")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's mode 'ro', 'rw' or 'rwc'."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)


def connect_to_read(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """Open the file in a mode, or, in a folder that cannot be written, without SQLite's own files beside it."""
    if os.access(path.parent, os.W_OK):
        return connect(path, mode)
    log = path.with_name(f"{path.name}-wal")
    if not (log.is_file() and log.stat().st_size):
        return connect(path, "ro&immutable=1")
    # What the log holds can be read there while the run goes on; after a kill only by a copy of both.
    db = connect(path, "ro")
    try:
        tables_in(db)
    except sqlite3.OperationalError:
        db.close()
        return _connect_to_copy(path, log)
    return db


def _connect_to_copy(path: Path, log: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="harness-ledger-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        db = connect(Path(folder, path.name), "rw")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode=DELETE")
        tables_in(db)  # the file is open now, and is there until it is closed
    return db


def check(path: Path) -> bool:
    """Return whether the file holds a ledger; one that is not there or empty does not.

    Raises: sqlite3.Error where it is damaged or another application's; RunFolderError where it is too new or another
    run's.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return False
    wal.require_whole(path)
    # Read-only: a connection that may write changes even a damaged file when it is closed.
    with contextlib.closing(connect_to_read(path)) as db:
        try:
            return _holds_ledger(db, path)
        except (ValueError, MemoryError):  # a name or a length that makes no sense: SQLite's own messages quote them
            raise sqlite3.DatabaseError("a part of it cannot be decoded") from None


def _holds_ledger(db: sqlite3.Connection, path: Path) -> bool:
    db.execute("BEGIN")  # all that is compared is of one moment, though a run goes on
    # Not the quick one: an index that leads to other rows than its table has loses them in silence.
    problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)
    _require_whole_pages(db, path)
    tables = tables_in(db)
    if not tables:
        return False
    if not set(tables) >= _NECESSARY:
        raise sqlite3.DatabaseError("it is another application's")
    _require_known_version(path, version_of(db))
    _require_sums(db, has_sums=checksums.TABLE in tables)
    _require_own(db, path)
    return True


def _require_whole_pages(db: sqlite3.Connection, path: Path) -> None:
    """Raise for a file cut off within its last page, which SQLite fills up with zeros in silence."""
    page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
    wal = path.with_name(f"{path.name}-wal")
    if path.stat().st_size % page_bytes and not (wal.is_file() and wal.stat().st_size):
        raise sqlite3.DatabaseError("it is cut off")


def _require_known_version(path: Path, version: str) -> None:
    if version in _UNSUMMED_VERSIONS or version == str(SCHEMA_VERSION):
        return
    if not (version.isascii() and version.isdigit()):
        raise sqlite3.DatabaseError(f"its version is {version!r}")
    raise RunFolderError(
        f"{path} was written by a newer harness (ledger version {version}, this one reads up to "
        f"{SCHEMA_VERSION}): upgrade rnn-harness, or name another folder with --out."
    )


def _require_sums(db: sqlite3.Connection, *, has_sums: bool) -> None:
    if has_sums == (version_of(db) in _UNSUMMED_VERSIONS):
        raise sqlite3.DatabaseError("its version does not fit its tables")
    if has_sums:
        checksums.require_sums(db)
    else:
        checksums.require_readable(db)


def _require_own(db: sqlite3.Connection, path: Path) -> None:
    """Raise for a ledger laid into another run's folder; one of a folder that has no manifest is taken as it is."""
    named = manifest_id(path)
    noted = db.execute("SELECT value FROM run WHERE key=?", (RUN_ID,)).fetchone()
    has_trials = db.execute("SELECT 1 FROM trials").fetchone()
    if named and has_trials and (noted is None or noted[0] != named):
        raise RunFolderError(
            f"The ledger {path} is another run's than the manifest.json beside it: put back the one that belongs here, "
            "or move the folder's files apart and name one of them alone."
        )


def manifest_id(path: Path) -> str:
    """Return the run's id in the manifest beside a ledger; '' where it has none or can't be read."""
    try:
        manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    named = manifest.get(RUN_ID, "") if isinstance(manifest, dict) else ""
    return named if isinstance(named, str) else ""


def unusable(path: Path, error: Exception, advice: str) -> RunFolderError:
    """Return the sentence for a file that is no ledger or a damaged one."""
    cause = (str(error).splitlines() or [type(error).__name__])[-1]
    return RunFolderError(f"The ledger {path} cannot be used ({cause}) and was left as it is. {advice}")


def _mend(error: sqlite3.DatabaseError) -> str:
    """Say that space is needed where it may be what lacks: a file that may not grow is a failed write too."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return "free some space there" if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else "make it writable"


@contextlib.contextmanager
def explained_writes(path: Path) -> Iterator[None]:
    """Turn what the disk does not take into the sentence for it; a row that is no row is a fault of its own."""
    try:
        yield
    except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.NotSupportedError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise RunFolderError(
            f"The ledger {path} cannot be written ({error}): {_mend(error)} and give the same command again; "
            "every epoch recorded so far is kept."
        ) from None
