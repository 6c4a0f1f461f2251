"""What the writer's side of the ledger holds of the timing phase: its sessions, and the blocks of each."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple


class TimedIn(NamedTuple):
    """A timing session a trial stood in."""

    session: int
    effort: str
    whole: int
    """0 where it was cut short."""
    disturbance: str


class TimingRecord:
    """The timing phase's part of a ledger; what it records raises as the ledger's own methods do."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def add(self, trial_id: str, blocks: Sequence[tuple[int, int, float]], session: int = 0) -> None:
        """Record a trial's blocks of a timing session, (round, tokens, seconds); no two sessions share a round."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO timings (trial_id, phase, round, block, tokens, seconds, session) "
                "VALUES (?, 'timing', ?, 0, ?, ?, ?)",
                [(trial_id, number, tokens, seconds, session) for number, tokens, seconds in blocks],
            )

    def add_session(self, session: Mapping[str, Any]) -> None:
        """Record a timing session: what the columns of ``sessions`` say of it."""
        with self._transaction():
            columns, marks = ", ".join(session), ", ".join(f":{name}" for name in session)
            self._db.execute(f"INSERT OR REPLACE INTO sessions ({columns}) VALUES ({marks})", dict(session))

    def forget(self, trial_ids: Iterable[str], *, cut_short: bool = False) -> None:
        """Take out what the trials' timing sessions measured, or only those that were cut short."""
        which = "AND session IN (SELECT session FROM sessions WHERE NOT whole)" if cut_short else ""
        with self._transaction():
            self._db.executemany(
                f"DELETE FROM timings WHERE trial_id=? AND phase='timing' {which}", [(name,) for name in trial_ids]
            )
            self._db.execute("DELETE FROM sessions WHERE session NOT IN (SELECT session FROM timings)")

    def sessions(self) -> dict[str, list[TimedIn]]:
        """Return by trial_id the timing sessions it stood in.

        Blocks of a version that kept one session are its session 0, of which no more is known.
        """
        by_trial: dict[str, list[TimedIn]] = {}
        for trial_id, *values in self._db.execute(
            "SELECT DISTINCT trial_id, session, coalesce(effort, ''), coalesce(whole, 1), coalesce(disturbance, '') "
            "FROM timings LEFT JOIN sessions USING (session) WHERE phase='timing' ORDER BY session"
        ):
            by_trial.setdefault(trial_id, []).append(TimedIn(*values))
        return by_trial

    def next_session(self) -> tuple[int, int]:
        """Return the number the next timing session has, and that of its first round."""
        query = "SELECT max(session), max(round) FROM timings WHERE phase='timing'"
        session, last_round = self._db.execute(query).fetchone()
        return (session or 0) + 1, 0 if last_round is None else last_round + 1
