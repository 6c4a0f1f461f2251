"""The measures, a row each: events, ledger, CSV files, ranking, comparison and column dictionary come from these rows.

A `Figure` says how well a text is predicted, and becomes a measure of each part it is read on; a `Measure` is one
column by itself. A new figure of the step (`derive` is None) is one more column of what `Model.read` returns.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from harness.contracts.figures import Figure, Measure, Part, Place, Table, bits_per_char, perplexity

ROWS: tuple[Figure | Measure, ...] = (
    Figure(
        name="loss",
        noun="loss",
        description="Mean cross-entropy",
        unit="nats per token",
        format="perplexity",
        better="lower",
        train=("epochs", "trials"),
        held_out=("trials",),
    ),
    Figure(
        name="perplexity",
        noun="perplexity",
        description="exp(mean loss)",
        format="perplexity",
        better="lower",
        derive=perplexity,
        train=("epochs", "trials", "summary", "ranking"),
        valid=("epochs", "trials", "summary", "ranking", "compare"),
        test=("summary", "ranking"),
    ),
    Figure(
        name="bits_per_char",
        noun="bits per character",
        description="loss / ln 2 over the characters a token stands for",
        unit="bits per character",
        better="lower",
        derive=bits_per_char,
        by_characters=True,
        train=(),
        valid=("epochs", "trials", "summary", "ranking", "compare"),
    ),
    Measure(
        name="valid_minibatch_perplexity",
        description="exp of the mean of the validation minibatches' mean losses, which is what D2L 1.0 reports; of "
        "windows alone, whose last minibatch has fewer rows, so that it is not valid_perplexity",
        heading="mean of minibatches",
        format="perplexity",
        better="lower",
        table="epochs",
        of_trial="last",
        places=("epochs", "trials", "ranking"),
        optional=True,
    ),
    Measure(
        name="excess_bits_per_char",
        description="valid_bits_per_char less the entropy rate; empty where the text's source is unknown",
        heading="excess bits",
        unit="bits per character",
        format="signed",
        places=("trials", "ranking"),
        optional=True,
    ),
    Figure(
        name="accuracy",
        noun="accuracy",
        description="Share of tokens that were the most probable symbol, a tie counting against the model",
        better="higher",
        rank=1,
        valid=("epochs", "trials", "summary", "ranking", "compare"),
        test=("summary",),
    ),
    Figure(
        name="top5_accuracy",
        noun="top-5 accuracy",
        description="Share of tokens among the five most probable symbols, a tie counting against the model",
        better="higher",
        rank=5,
    ),
    Figure(
        name="grad_norm",
        noun="gradient norm",
        description="Global norm of the gradients before clipping",
        of_training_alone=True,
        valid=(),
        held_out=(),
    ),
    Measure(
        name="tokens_per_s",
        description="Tokens trained a second: the median of the timed blocks; of a trial that was not timed, of its "
        "own training. On every backend a step ends with its loss, its accuracies and its gradient norm",
        heading="tokens per second",
        unit="1/s",
        format="rate",
        better="higher",
        of_machine=True,
        places=("trials", "summary", "ranking", "compare"),
    ),
    Measure(
        name="tokens_per_s_low",
        description="Lower end of its 95 % interval",
        unit="1/s",
        format="rate",
        of_machine=True,
        places=("trials",),
    ),
    Measure(
        name="tokens_per_s_high",
        description="Upper end of its 95 % interval",
        unit="1/s",
        format="rate",
        of_machine=True,
        places=("trials",),
    ),
    Measure(
        name="model_flops_utilization",
        description="Useful operations a second (2 × weights used × 3) over device_flops_per_s",
        heading="utilization",
        of_machine=True,
        places=("trials", "ranking"),
        optional=True,
    ),
    Measure(
        name="train_tokens",
        description="Tokens predicted in the epoch",
        unit="tokens",
        format="count",
        whole=True,
        table="epochs",
        places=("epochs",),
    ),
    Measure(
        name="train_seconds",
        description="Time in training steps, the epoch's or all epochs'; validation is not in it",
        heading="training, s",
        unit="s",
        format="seconds",
        better="lower",
        of_machine=True,
        table="epochs",
        of_trial="sum",
        places=("epochs", "trials", "summary", "ranking", "compare"),
    ),
    Measure(
        name="valid_seconds",
        description="Time in evaluating the validation part, after the epoch or after all epochs",
        unit="s",
        format="seconds",
        of_machine=True,
        table="epochs",
        of_trial="sum",
        places=("epochs", "trials"),
    ),
    Measure(
        name="parity_max_rel_diff",
        description="Largest difference of its first steps' losses and gradient norms from the float64 reference, as a "
        "share of the reference's",
        heading="parity difference",
        format="small",
        places=("trials", "ranking"),
        optional=True,
    ),
    Measure(
        name="num_params",
        description="Parameters of the model; of a baseline, what it keeps of the training text",
        heading="parameters",
        format="count",
        whole=True,
        places=("trials", "ranking"),
    ),
    Measure(
        name="peak_rss_bytes",
        description="Most memory the worker's process had",
        heading="memory, MB",
        unit="bytes",
        format="megabytes",
        better="lower",
        whole=True,
        of_machine=True,
        places=("trials", "ranking", "compare"),
    ),
    Measure(
        name="peak_device_bytes",
        description="Most memory the trial had on its GPU; empty on a CPU",
        heading="GPU memory, MB",
        unit="bytes",
        format="megabytes",
        better="lower",
        whole=True,
        of_machine=True,
        places=("trials", "ranking", "compare"),
        optional=True,
    ),
)
"""In the order in which a ranking and a comparison show them; the CSV files' order is a promise of its own."""


def _flat(rows: Iterable[Figure | Measure]) -> Iterator[Measure]:
    for row in rows:
        yield from row.measures() if isinstance(row, Figure) else (row,)


FIGURES = tuple(row for row in ROWS if isinstance(row, Figure))
STEP = tuple(figure for figure in FIGURES if figure.derive is None)
"""What a model's step gives, in the order of the columns of `Model.read`."""
ACCURACIES: Mapping[str, int] = {figure.name: figure.rank for figure in STEP if figure.rank}
RANKS = tuple(ACCURACIES.values())
"""The k of each top-k accuracy."""
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _flat(ROWS)}


@cache
def shown_in(place: Place) -> tuple[Measure, ...]:
    """Return the measures of a place, in the rows' order."""
    return tuple(measure for measure in MEASURES.values() if place in measure.places)


@cache
def stored_in(table: Table) -> tuple[Measure, ...]:
    """Return the measures a table of the ledger stores: what the steps give first, then what follows from it."""
    derived = {measure.name for figure in FIGURES if figure.derive for measure in figure.measures()}
    stored = [measure for measure in MEASURES.values() if measure.table == table]
    return tuple(sorted(stored, key=lambda measure: measure.name in derived))


def measured(part: Part, figures: Mapping[str, float], chars_per_token: float = math.nan) -> dict[str, float]:
    """Return what is stored of a part from a model's figures on it, by name; a figure that is not there is NaN."""
    return {
        name: figure.derive(figures["loss"], chars_per_token) if figure.derive else figures.get(figure.name, math.nan)
        for figure in FIGURES
        if figure.stored and (name := figure.column(part))
    }


def require(names: Iterable[str], table: Table) -> None:
    """Raise ValueError for a name that is no measure of this table."""
    known = {measure.name for measure in stored_in(table)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no measure of the ledger's {table}: {', '.join(unknown)}")
