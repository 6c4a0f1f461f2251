"""The CSV files of a run, column by column: what each holds, and in which order they stand.

Settings come from a trial's fields, measures from `harness.contracts.measures`; what is neither has its row here. The
order of columns that have been published is a promise: later ones stand behind them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from harness.contracts.figures import Measure, Place
from harness.contracts.measures import FIGURES, shown_in
from harness.worker import trial

Kind = Literal["text", "whole", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a CSV file."""

    name: str
    description: str
    kind: Kind = "number"
    unit: str = ""
    better: str = ""
    """'lower' or 'higher', where one is."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One CSV file."""

    name: str
    row: str
    """What one row of it is."""
    columns: tuple[Column, ...]
    optional: bool = False
    """Whether it is written only where it has rows."""

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        return [column.name for column in self.columns]


def ordered(promised: Iterable[str], *known: Iterable[Column]) -> tuple[Column, ...]:
    """Return every known column, those whose place is promised first; KeyError for a promise nothing keeps."""
    columns = {column.name: column for columns in known for column in columns}
    return tuple(columns[name] for name in dict.fromkeys((*promised, *columns)))


def _setting(name: str) -> Column:
    kinds: Mapping[type, Kind] = {int: "whole", float: "number", str: "text"}
    return Column(name, trial.SETTINGS[name].description.rstrip("."), kinds[trial.KINDS[name]])


def _measures(place: Place) -> list[Column]:
    return [_measure(measure) for measure in shown_in(place)]


def _measure(measure: Measure) -> Column:
    return Column(
        measure.name, measure.description, "whole" if measure.whole else "number", measure.unit, measure.better
    )


_SETTINGS = [_setting(name) for name in trial.SETTINGS]
_ID = Column("trial_id", "The trial: a readable name that ends in a hash of all its settings", "text")

# --- trials.csv -------------------------------------------------------------------------------------------

PROMISED_FIRST = (
    "trial_id", "status", "reason", "cell", "backend", "implementation", "corpus", "authors", "train_tokens",
    "num_layers", "num_hiddens", "num_steps", "batch_size", "optimizer", "learning_rate", "grad_clip", "num_epochs",
    "seed", "device", "num_threads", "concurrency", "num_params", "train_perplexity", "valid_perplexity",
    "valid_bits_per_char", "valid_accuracy", "valid_top5_accuracy", "tokens_per_s", "tokens_per_s_low",
    "tokens_per_s_high", "model_flops_utilization", "train_seconds", "peak_rss_bytes", "peak_device_bytes",
    "parity_certified", "parity_max_rel_diff",
)  # fmt: skip
"""The first columns of trials.csv, in this order: other programs rely on them."""
_PROMISED_NEXT = (
    "text", "tokens", "partition", "dropout", "vocab_size", "corpus_digest", "unigram_valid_perplexity",
    "num_epochs_done", "best_valid_perplexity", "best_epoch", "train_loss", "valid_loss", "valid_seconds",
    "first_step_seconds", "compile_seconds", "attempts", "resumed_epochs", "slot", "versions", "environment",
    "environment_hash", "parity_steps", "timed_by", "timing_note", "flops_per_token", "device_flops_per_s",
    "device_bytes_per_s", "per_device", "init", "lr_decay", "lr_decay_after", "rmsprop_decay", "mix", "test_loss",
    "test_perplexity", "test_bits_per_char", "test_accuracy", "test_top5_accuracy", "entropy_rate",
    "excess_bits_per_char", "lowest_honest_bits_per_char", "leakage_suspected", "best_epoch_test_loss",
    "best_epoch_test_perplexity", "best_epoch_test_bits_per_char", "best_epoch_test_accuracy",
    "best_epoch_test_top5_accuracy", "valid_minibatch_perplexity", "yardstick_valid_loss",
)  # fmt: skip

_FACTS = (
    _ID,
    Column("status", "ok, failed, timeout, diverged or skipped", "text"),
    Column("reason", "Why it is not ok", "text"),
    Column("device", "Its device's name as the framework gives it", "text"),
    Column("num_threads", "Threads its worker was allowed", "whole"),
    Column("concurrency", "Workers that were allowed to train beside one another, itself among them", "whole"),
    Column("parity_certified", "Whether its first steps agree with the float64 reference; empty: not compared", "flag"),
    Column("unigram_valid_perplexity", "Of the training part's token frequencies on the validation part"),
    Column("num_epochs_done", "Epochs that are recorded", "whole"),
    Column("best_valid_perplexity", "The lowest of its epochs"),
    Column("best_epoch", "The epoch of best_valid_perplexity, the first of equals", "whole"),
    Column("first_step_seconds", "Its first minibatch, with what the framework builds or compiles for it", unit="s"),
    Column("compile_seconds", "What the first minibatch took beyond a usual one", unit="s"),
    Column("attempts", "Workers that were started for it", "whole"),
    Column("resumed_epochs", "Epochs that an earlier worker had done", "whole"),
    Column("slot", "The harness's name of the device, such as cpu:0", "text"),
    Column("versions", "JSON: Python, NumPy, the framework and its BLAS", "text"),
    Column("environment", "JSON: variables of the worker's environment that change speed or results", "text"),
    Column("environment_hash", "Of the requirements its interpreter was built from; empty for the harness's", "text"),
    Column("parity_steps", "Steps that were compared with the reference", "whole"),
    Column("timed_by", "The trial_id whose timing it shares; empty: not timed", "text"),
    Column("timing_note", "What disturbed the timing, where no session of it was steady, or why there is none", "text"),
    Column("flops_per_token", "Useful operations a token: 2 × weights used × 3 for forward and backward"),
    Column("device_flops_per_s", "The best rate of a large float32 product in the timing session", unit="1/s"),
    Column("device_bytes_per_s", "The host's copy bandwidth in the timing session", unit="bytes/s"),
    Column("per_device", "Trials that shared its device", "whole"),
    Column("entropy_rate", "Of the text's source, where it is known", unit="bits per character"),
    Column(
        "lowest_honest_bits_per_char",
        "The entropy rate less three standard errors of this validation text",
        unit="bits per character",
    ),
    Column(
        "leakage_suspected",
        "Whether valid_bits_per_char lies below lowest_honest_bits_per_char, or a held-out loss below half of "
        "yardstick_valid_loss",
        "flag",
    ),
    Column(
        "yardstick_valid_loss",
        "What a 6-gram fitted to the same text needs on its validation part; empty: not fitted, as to long texts",
        unit="nats per token",
    ),
    Column("kernels", "What ran as native: compiled, or NumPy and why; empty for other implementations", "text"),
    Column("revision", "Digest of the code that trained it; comments and layout are not in it", "text"),
    Column("superseded", "Why another training stands in its place; such a row is in no mean and no ranking", "text"),
    Column("timing_effort", "quick or thorough; empty in ledgers of before", "text"),
    Column("timed_on", "The machine that it was timed on, as machine names it", "text"),
    Column("parity_note", "Why it was compared with no reference, where that could not be made", "text"),
    Column("machine", "The hardware and packages it ran on: its key under machines in manifest.json", "text"),
)
_OF_SEARCHES = (
    Column(
        "role",
        "search: a point of a model's search; final: the chosen point under a fresh seed; superseded: either of an "
        "earlier space or choice; empty: not tuned. Only final and empty ones are results",
        "text",
    ),
    Column("search_id", "The search it belongs to", "text"),
    Column("tuned", "The settings that its search chose, joined by '+'", "text"),
    Column("num_points", "Points of the search: the budget of tuning", "whole"),
)
TUNED = tuple(column.name for column in _OF_SEARCHES)
"""What is known of a trial's search."""

TRIALS = Table(
    name="trials.csv",
    row="one row a trial",
    columns=ordered((*PROMISED_FIRST, *_PROMISED_NEXT), _FACTS, _measures("trials"), _SETTINGS, _OF_SEARCHES),
)

# --- within trials ----------------------------------------------------------------------------------------

_PROMISED_EPOCHS = (
    "trial_id", "epoch", "train_loss", "train_perplexity", "train_accuracy", "train_top5_accuracy", "valid_loss",
    "valid_perplexity", "valid_bits_per_char", "valid_accuracy", "valid_top5_accuracy", "grad_norm", "train_tokens",
    "train_seconds", "valid_seconds", "train_seconds_so_far", "recorded_at", "valid_minibatch_perplexity",
)  # fmt: skip

EPOCHS = Table(
    name="epochs.csv",
    row="one row an epoch",
    columns=ordered(
        _PROMISED_EPOCHS,
        [
            _ID,
            Column("epoch", "From 1", "whole"),
            Column("train_seconds_so_far", "Sum of train_seconds up to this epoch", unit="s"),
            Column("recorded_at", "When the run recorded it, UTC", "text"),
        ],
        _measures("epochs"),
    ),
)

TIMINGS = Table(
    name="timings.csv",
    row="one row a timed block",
    columns=(
        _ID,
        Column("phase", "training: stretches of the epochs themselves; timing: alone, in rounds", "text"),
        Column("round", "The round of the timing; of training, the epoch", "whole"),
        Column("block", "The block's place in its round, from 0", "whole"),
        Column("tokens", "Tokens trained in the block", "whole", "tokens"),
        Column("seconds", "Its time; the clock was read after the losses were", unit="s"),
        Column("tokens_per_s", "tokens / seconds", unit="1/s"),
        Column("session", "The timing session; of training, 0", "whole"),
    ),
)

SESSIONS = Table(
    name="sessions.csv",
    row="one row a timing session: fresh workers, interleaved rounds, one sentinel",
    optional=True,
    columns=(
        Column("session", "From 1; rounds of different sessions have different numbers", "whole"),
        Column("device", "The harness's name of the device, such as cpu:0", "text"),
        Column("effort", "quick or thorough", "text"),
        Column("whole", "Whether it came to its end", "flag"),
        Column("started_at", "When it began, UTC", "text"),
        Column("seconds", "How long its rounds took", unit="s"),
        Column("num_rounds", "Its rounds", "whole"),
        Column("sentinel_flops_per_s", "The median rate of the sentinel's product, timed once a round", unit="1/s"),
        Column("others_share", "Of one core, what other programs took meanwhile"),
        Column("flops_per_s", "The best rate of a large float32 product", unit="1/s"),
        Column("bytes_per_s", "The host's copy bandwidth", unit="bytes/s"),
        Column("disturbance", "What disturbed it; empty: the machine was steady", "text"),
    ),
)

PROBES = Table(
    name="probes.csv",
    row="one row a quantity probed on a trained model",
    optional=True,
    columns=(
        _ID,
        Column("probe", "The probe that measured it", "text"),
        Column("quantity", "What was measured", "text"),
        Column("at", "Where it was measured: a distance, a temperature, a length"),
        Column("value", "The mean over n observations"),
        Column("deviation", "Their standard deviation"),
        Column("n", "Observations"),
    ),
)

# --- over trials ------------------------------------------------------------------------------------------

_SHARED = tuple(column for column in _SETTINGS if column.name != "seed")
SETTINGS = tuple(column.name for column in _SHARED)
"""What two trials share that differ by their seed alone."""

_PROMISED_MEANS = (
    "train_perplexity", "valid_perplexity", "valid_bits_per_char", "valid_accuracy", "tokens_per_s", "train_seconds",
)  # fmt: skip
_AVERAGED = ordered(_PROMISED_MEANS, _measures("summary"))
MEANS = tuple(column.name for column in _AVERAGED)
"""What summary.csv averages over seeds."""

_ENDS = {
    "mean": "Mean over seeds of {}",
    "mean_low": "Lower end of the 95 % t interval of {}'s mean",
    "mean_high": "Upper end of the 95 % t interval of {}'s mean",
}

_PROMISED_SUMMARY = (
    "cell", "backend", "implementation", "corpus", "authors", "text", "tokens", "train_tokens", "corpus_digest",
    "vocab_size", "num_layers", "num_hiddens", "num_steps", "batch_size", "partition", "optimizer",
    "learning_rate", "grad_clip", "dropout", "num_epochs", "init", "lr_decay", "lr_decay_after",
    "rmsprop_decay", "mix", "num_seeds", "num_params", "train_perplexity_mean", "train_perplexity_mean_low",
    "train_perplexity_mean_high", "valid_perplexity_mean", "valid_perplexity_mean_low",
    "valid_perplexity_mean_high", "valid_bits_per_char_mean", "valid_bits_per_char_mean_low",
    "valid_bits_per_char_mean_high", "valid_accuracy_mean", "valid_accuracy_mean_low",
    "valid_accuracy_mean_high", "tokens_per_s_mean", "tokens_per_s_mean_low", "tokens_per_s_mean_high",
    "train_seconds_mean", "train_seconds_mean_low", "train_seconds_mean_high",
)  # fmt: skip

SUMMARY = Table(
    name="summary.csv",
    row="one row a model: means and 95 % intervals over seeds",
    columns=ordered(
        _PROMISED_SUMMARY,
        [
            Column("num_seeds", "Seeds that are finished", "whole"),
            Column("num_params", "Parameters of the model", "whole"),
        ],
        [
            replace(column, name=f"{column.name}_{end}", description=words.format(column.name), kind="number")
            for column in _AVERAGED
            for end, words in _ENDS.items()
        ],
        _SHARED,
        [column for column in _OF_SEARCHES if column.name != "role"],
    ),
)

_PROMISED_TRANSFER = (
    "trained_on", "evaluated_on", "perplexity", "bits_per_char", "accuracy", "top5_accuracy", "num_tokens",
    "test_perplexity", "test_bits_per_char", "test_accuracy", "test_top5_accuracy", "test_num_tokens", "trial_id",
    "seed", "cell", "backend", "implementation", "corpus", "text", "tokens", "train_tokens", "mix", "num_layers",
    "num_hiddens", "num_steps", "batch_size", "partition", "optimizer", "learning_rate", "grad_clip", "dropout",
    "num_epochs", "init", "lr_decay", "lr_decay_after", "rmsprop_decay",
)  # fmt: skip
_NOT_IN_TRANSFER = ("authors", "corpus_digest", "vocab_size")
"""Settings that `trained_on` says, or that follow from the text."""
TRANSFERRED = tuple(figure.name for figure in FIGURES if "transfer" in figure.held_out)
"""The figures of transfer.csv, of each author's validation and test part."""

TRANSFER = Table(
    name="transfer.csv",
    row="one row a finished trial and author: its figures on the author's held-out text",
    columns=ordered(
        _PROMISED_TRANSFER,
        [
            Column("trained_on", "The trial's authors", "text"),
            Column("evaluated_on", "The author whose text is read", "text"),
            Column("num_tokens", "Tokens predicted in the validation part", "whole", "tokens"),
            Column("test_num_tokens", "Tokens predicted in the test part", "whole", "tokens"),
            _ID,
        ],
        _measures("transfer"),
        [column for column in _SETTINGS if column.name not in _NOT_IN_TRANSFER],
    ),
)
SETTINGS_OF_TRANSFER = tuple(
    column.name for column in TRANSFER.columns if column.name in trial.SETTINGS and column.name not in _NOT_IN_TRANSFER
)

# --- over searches ----------------------------------------------------------------------------------------

_SEARCH_ID = Column("search_id", "The search: a readable name that ends in a hash of what its points share", "text")
_OF_MODEL = tuple(
    column
    for column in _SHARED
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

TABLES = (TRIALS, EPOCHS, TIMINGS, SUMMARY, TRANSFER, PROBES, SESSIONS, TUNING, BEST_OF_N)
