"""The run's record: one SQLite file, written by the run alone and readable at any moment, also after a kill.

Every event is committed when it comes. A trial that is not finished has status 'waiting' or
'running'; the report calls both 'skipped' with the reason that they did not run yet.
"""

from harness.record.ledger.opening import RUN_ID
from harness.record.ledger.reader import LedgerReader, recorded_trials
from harness.record.ledger.schema import ENDED, FINISHED, SCHEMA_VERSION
from harness.record.ledger.writer import Launch, Ledger

__all__ = ["ENDED", "FINISHED", "RUN_ID", "SCHEMA_VERSION", "Launch", "Ledger", "LedgerReader", "recorded_trials"]
