"""The CSV files of a run, column by column: what each holds, and in which order they stand.

Settings come from a trial's fields, measures from `harness.contracts.measures`; what is neither has its row here. The
order of columns that have been published is a promise: later ones stand behind them.
"""

from harness.analysis.columns.column import Column, Kind, Table
from harness.analysis.columns.over_trials import MEANS, SETTINGS, SETTINGS_OF_TRANSFER, SUMMARY, TRANSFER, TRANSFERRED
from harness.analysis.columns.searches import BEST_OF_N, SETTINGS_OF_MODEL, TUNING
from harness.analysis.columns.trials import TRIALS, TUNED
from harness.analysis.columns.within_trials import EPOCHS, PROBES, SESSIONS, TIMINGS

TABLES = (TRIALS, EPOCHS, TIMINGS, SUMMARY, TRANSFER, PROBES, SESSIONS, TUNING, BEST_OF_N)

__all__ = [
    "BEST_OF_N",
    "EPOCHS",
    "MEANS",
    "PROBES",
    "SESSIONS",
    "SETTINGS",
    "SETTINGS_OF_MODEL",
    "SETTINGS_OF_TRANSFER",
    "SUMMARY",
    "TABLES",
    "TIMINGS",
    "TRANSFER",
    "TRANSFERRED",
    "TRIALS",
    "TUNED",
    "TUNING",
    "Column",
    "Kind",
    "Table",
]
