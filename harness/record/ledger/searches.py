"""The searches of tuned models in the ledger: which trials are their points, and which the final ones of the best."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from harness.contracts.settings import Range


def enter(
    db: sqlite3.Connection,
    search_id: str,
    position: int,
    points: Iterable[str],
    space: Mapping[str, Range],
) -> None:
    """Enter a search with its points' trial_ids; points of another space, or beyond the budget, are superseded."""
    ids = list(dict.fromkeys(points))
    words = json.dumps({name: asdict(bounds) for name, bounds in space.items()}, sort_keys=True)
    db.execute(
        "INSERT INTO searches (search_id, position, num_points, space) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (search_id) DO UPDATE SET num_points=excluded.num_points, space=excluded.space",
        (search_id, position, len(ids), words),
    )
    _assign(db, search_id, "search", ids)


def reopen(db: sqlite3.Connection, search_id: str) -> None:
    """Put the final trials of a search back: what it finds is open again."""
    _assign(db, search_id, "final", ())
    db.execute("UPDATE searches SET best='' WHERE search_id=?", (search_id,))


def settle(db: sqlite3.Connection, search_id: str, best: str, finals: Iterable[str]) -> None:
    """Enter the point that was chosen and its final trials; those of another choice are superseded."""
    _assign(db, search_id, "final", finals)
    db.execute("UPDATE searches SET best=? WHERE search_id=?", (best, search_id))


def _assign(db: sqlite3.Connection, search_id: str, role: str, trial_ids: Iterable[str]) -> None:
    """Give these trials a role in a search; others that had it are superseded."""
    db.execute("UPDATE searched SET role='superseded' WHERE search_id=? AND role=?", (search_id, role))
    db.executemany(
        "INSERT OR REPLACE INTO searched (trial_id, search_id, role) VALUES (?, ?, ?)",
        [(trial_id, search_id, role) for trial_id in trial_ids],
    )
