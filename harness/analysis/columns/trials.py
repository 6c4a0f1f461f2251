"""trials.csv: what is known of one trial."""

from harness.analysis.columns.column import SETTING_COLUMNS, TRIAL_ID, Column, Table, of_measures, ordered

_PROMISED_FIRST = (
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
    TRIAL_ID,
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
SEARCH_COLUMNS = (
    Column(
        "role",
        "search: a point of a model's search; final: the chosen point under a fresh seed; superseded: either of an "
        "earlier space or choice; empty: not tuned. Only final and empty ones are results",
        "text",
    ),
    Column("search_id", "The search it belongs to", "text"),
    Column("tuned", "The settings that its search chose, joined by '+'", "text"),
    Column("num_points", "Points of the search: the budget of tuning", "whole"),
    Column("space", "Between which values it searched", "text"),
)
TUNED = tuple(column.name for column in SEARCH_COLUMNS)
"""What is known of a trial's search."""

TRIALS = Table(
    name="trials.csv",
    row="one row a trial",
    columns=ordered(
        (*_PROMISED_FIRST, *_PROMISED_NEXT), _FACTS, of_measures("trials"), SETTING_COLUMNS, SEARCH_COLUMNS
    ),
)
