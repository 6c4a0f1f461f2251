"""What tuning a model took, and what was chosen."""

from harness.analysis.columns.column import Column, Table
from harness.analysis.columns.over_trials import SHARED_COLUMNS
from harness.worker import trial

_SEARCH_ID = Column("search_id", "The search: a readable name that ends in a hash of what its points share", "text")
_OF_MODEL = tuple(
    column
    for column in SHARED_COLUMNS
    if trial.SETTINGS[column.name].search is None and column.name not in ("corpus_digest", "vocab_size")
)
SETTINGS_OF_MODEL = tuple(column.name for column in _OF_MODEL)
"""What says which model is tuned: all but nuisances."""

TUNING = Table(
    name="tuning.csv",
    row="one row a tuned model: its search and what was chosen",
    optional=True,
    columns=(
        _SEARCH_ID,
        *_OF_MODEL,
        Column("tuned", "The settings that were tuned, joined by '+'", "text"),
        Column("space", "Between which values", "text"),
        Column("num_points", "Points that were to be tried", "whole"),
        Column("num_done", "Points that ended with a finite validation perplexity", "whole"),
        Column("num_diverged", "Points that diverged: spent all the same", "whole"),
        Column("best_trial_id", "The point that was chosen; empty: none yet, or none could be", "text"),
        Column("chosen", "Its values", "text"),
        Column("search_valid_perplexity", "Its validation perplexity in the search", better="lower"),
        Column("at_edge", "How to widen the space where the best lies at its edge; empty: it does not", "text"),
        Column("search_seconds", "Time in training steps of all its points", unit="s"),
        Column("num_earlier_points", "Points of earlier spaces, which were spent too", "whole"),
    ),
)

BEST_OF_N = Table(
    name="best_of_n.csv",
    row="one row a tuned model and number of points: what the best of so many is expected to reach",
    optional=True,
    columns=(
        _SEARCH_ID,
        Column("n", "Points", "whole"),
        Column("train_seconds", "Time in training steps that so many points take on average", unit="s"),
        Column("valid_perplexity", "The expected lowest validation perplexity of n points", better="lower"),
        Column("valid_perplexity_low", "Lower end of its 95 % bootstrap interval"),
        Column("valid_perplexity_high", "Upper end of its 95 % bootstrap interval"),
    ),
)
