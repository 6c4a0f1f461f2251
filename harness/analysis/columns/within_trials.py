"""What happened within a trial, by epoch, block, timing session and probe."""

from harness.analysis.columns.column import TRIAL_ID, Column, Table, of_measures, ordered

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
            TRIAL_ID,
            Column("epoch", "From 1", "whole"),
            Column("train_seconds_so_far", "Sum of train_seconds up to this epoch", unit="s"),
            Column("recorded_at", "When the run recorded it, UTC", "text"),
        ],
        of_measures("epochs"),
    ),
)

TIMINGS = Table(
    name="timings.csv",
    row="one row a timed block",
    columns=(
        TRIAL_ID,
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
        TRIAL_ID,
        Column("probe", "The probe that measured it", "text"),
        Column("quantity", "What was measured", "text"),
        Column("at", "Where it was measured: a distance, a temperature, a length"),
        Column("value", "The mean over n observations"),
        Column("deviation", "Their standard deviation"),
        Column("n", "Observations"),
    ),
)
