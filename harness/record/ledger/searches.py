"""The searches of tuned models in the ledger: which trials are their points, and which the final ones of the best."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict

from harness.contracts.settings import Range
from harness.worker.trial import Trial


class SearchRecord:
    """The searches' part of a ledger; what it records raises as the ledger's own methods do."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def enter(self, search_id: str, position: int, points: Iterable[Trial], space: Mapping[str, Range]) -> None:
        """Record a search and its points; those of another space, or beyond the budget, are superseded."""
        ids = list(dict.fromkeys(trial.trial_id for trial in points))
        words = json.dumps({name: asdict(bounds) for name, bounds in space.items()}, sort_keys=True)
        with self._transaction():
            self._db.execute(
                "INSERT INTO searches (search_id, position, num_points, space) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (search_id) DO UPDATE SET num_points=excluded.num_points, space=excluded.space",
                (search_id, position, len(ids), words),
            )
            self._assign(search_id, "search", ids)

    def reopen(self, search_id: str) -> None:
        """Record that what a search finds is open again: it has no final trials."""
        with self._transaction():
            self._assign(search_id, "final", ())
            self._db.execute("UPDATE searches SET best='' WHERE search_id=?", (search_id,))

    def settle(self, search_id: str, best: Trial, finals: Sequence[Trial]) -> None:
        """Record which point was chosen, and its final trials; those of another choice are superseded."""
        with self._transaction():
            self._assign(search_id, "final", [trial.trial_id for trial in finals])
            self._db.execute("UPDATE searches SET best=? WHERE search_id=?", (best.trial_id, search_id))

    def finals(self, search_ids: Iterable[str]) -> list[str]:
        """Return the ids of the trials that were final ones of these searches at any time."""
        ids: list[str] = []
        for search_id in search_ids:
            rows = self._db.execute("SELECT trial_id FROM searched WHERE search_id=? AND role!='search'", (search_id,))
            ids += [trial_id for (trial_id,) in rows]
        return ids

    def _assign(self, search_id: str, role: str, trial_ids: Iterable[str]) -> None:
        """Give these trials a role in a search; others that had it are superseded."""
        self._db.execute("UPDATE searched SET role='superseded' WHERE search_id=? AND role=?", (search_id, role))
        self._db.executemany(
            "INSERT OR REPLACE INTO searched (trial_id, search_id, role) VALUES (?, ?, ?)",
            [(trial_id, search_id, role) for trial_id in trial_ids],
        )
