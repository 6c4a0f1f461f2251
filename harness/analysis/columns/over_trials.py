"""What several trials have in common: means over seeds, and figures on each author's text."""

from dataclasses import replace

from harness.analysis.columns.column import SETTING_COLUMNS, TRIAL_ID, Column, Table, of_measures, ordered
from harness.analysis.columns.trials import SEARCH_COLUMNS
from harness.contracts.measures import FIGURES
from harness.worker import trial

SHARED_COLUMNS = tuple(column for column in SETTING_COLUMNS if column.name != "seed")
SETTINGS = tuple(column.name for column in SHARED_COLUMNS)
"""What two trials share that differ by their seed alone."""

_PROMISED_MEANS = (
    "train_perplexity", "valid_perplexity", "valid_bits_per_char", "valid_accuracy", "tokens_per_s", "train_seconds",
)  # fmt: skip
_AVERAGED = ordered(_PROMISED_MEANS, of_measures("summary"))
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
        SHARED_COLUMNS,
        [column for column in SEARCH_COLUMNS if column.name != "role"],
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
            TRIAL_ID,
        ],
        of_measures("transfer"),
        [column for column in SETTING_COLUMNS if column.name not in _NOT_IN_TRANSFER],
    ),
)
SETTINGS_OF_TRANSFER = tuple(
    column.name for column in TRANSFER.columns if column.name in trial.SETTINGS and column.name not in _NOT_IN_TRANSFER
)
