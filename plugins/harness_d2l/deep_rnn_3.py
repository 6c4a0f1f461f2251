"""More training text, several books: how low the perplexity goes, and what a fitted curve promises beyond."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis import evidence
from harness.analysis.frames import Run, records
from harness.analysis.learning_curves import MIN_SIZES, FittedCurve, fit
from harness.analysis.statistics import UNKNOWN, Interval, mean_interval, sign_beyond
from harness.analysis.wording import count, label
from harness.contracts.exercises import Available, Budget, Need
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l import whole_books
from harness_d2l.shared import WHOLE, options, sizes
from harness_d2l.trust import (
    floor_is_known,
    is_trusted,
    losses_by_size,
    still_learning,
    trained_less,
    word_help,
    word_trust,
)
from harness_d2l.whole_books import BOOKS, change_with_size

CURVE_SEEDS = 3
"""Most seeds of a size: what chance moves is little beside what size and training do, and time goes further there."""
BASELINES = ("ngram-3", "ngram-5", "bz2", "lzma")
_TEXT = ["corpus", "authors", "text", "tokens"]
MAX_EPOCHS = 40
"""A small text is known by heart long before; only the best epoch counts."""
_PROMISE = 10
"""How many times the largest text the curve is asked about."""
_SIDES = {-1: "below", 1: "above", 0: "not to be told from"}
"""Where the model stands to a baseline, by the sign of the difference."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:
    """Return one model at each size, the larger ones seeing as many characters in all, and baselines of each size.

    And the model on one whole book, on two, three and four, as often as the largest size is read.
    """
    seeds = budget.seeds[:CURVE_SEEDS]
    # The GRU: of the cells here the one that learns fastest on few updates.
    model = {"seeds": seeds, "hiddens": 2 * budget.num_hiddens}
    needs = [
        Need(options=options(budget, "gru", "numpy", **model, epochs=_epochs(budget, size), train_tokens=words))
        for size, words in zip(budget.curve_sizes, sizes(budget), strict=True)
    ]
    shelves = tuple(f"bronte:{'+'.join(BOOKS[: number + 1])}" for number in range(len(BOOKS)))
    whole = {"epochs": _epochs(budget, None), "corpus": shelves, "train_tokens": WHOLE}
    needs.append(Need(options=options(budget, "gru", "numpy", **model, **whole)))
    if baselines := [name for name in BASELINES if name in available.baselines]:
        needs.append(Need(options=options(budget, *baselines, train_tokens=sizes(budget))))
    return needs


def _epochs(budget: Budget, size: int | None) -> int:
    """Return how often a text of this size is read for all sizes to have read as much."""
    largest = max(size for size in budget.curve_sizes if size is not None)
    epochs = round(budget.curve_tokens / (size if size is not None else 2 * largest))
    return min(max(1, epochs), MAX_EPOCHS)


def answer(run: Run) -> Answer:
    """Fit the model with the most sizes; set it beside the baselines of the same text."""
    trials = evidence.finished(run)
    trials = trials.assign(bits=_best_bits(trials))
    trials = trials[np.isfinite(trials["bits"])]
    curve = _longest(evidence.cells(trials))
    if curve.empty or curve["train_tokens"].nunique() < 2:
        return unanswered("missing: one model trained on several sizes of one text (--train-tokens 10k,30k,100k,all).")
    text = (trials[_TEXT] == curve.iloc[0][_TEXT]).all(axis=1)
    baselines = evidence.baselines(trials[text])
    losses = losses_by_size(curve)
    fitted = fit(losses)
    books = whole_books.chain_of(run, trials)
    table = pd.concat([_table(_name(curve), curve), *(_table(name, part) for name, part in baselines.groupby("cell"))])
    if not books.empty:
        table = pd.concat([table, _table(f"{_name(books)}, whole books", books)])
    drawn = _draw(table, fitted, max(losses), books)
    return Answer(
        answer=" ".join([*_sentences(curve, baselines, losses, fitted), *whole_books.say(books)]),
        verdict=_verdict(curve, baselines, fitted, books),
        evidence=pd.concat([table, _fit_rows(fitted, max(losses))], ignore_index=True),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(curve, baselines, losses, books)),
    )


def _best_bits(trials: pd.DataFrame) -> pd.Series:
    """Return bits per character after the best epoch, which a small text reaches long before the last one."""
    last, best = trials["valid_perplexity"].astype(float), trials["best_valid_perplexity"].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return trials["valid_bits_per_char"].astype(float) * (np.log(best) / np.log(last)).where(last != best, 1.0)


def _longest(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the model and text with the most training sizes, best of them first where several have."""
    if trials.empty:
        return trials
    model = evidence.settings_without("train_tokens", "corpus_digest", "num_epochs")
    groups = trials.groupby(model, sort=False, dropna=False)
    order = groups.agg(sizes=("train_tokens", "nunique"), bits=("bits", "min")).reset_index()
    first = order.sort_values(["sizes", "bits"], ascending=[False, True], kind="stable").iloc[0]
    chosen = trials[(trials[model] == first[model]).all(axis=1)]
    # Several numbers of epochs on one size: the one that did best stands for the size, seed by seed.
    return (
        chosen.sort_values("bits", kind="stable").drop_duplicates(["train_tokens", "seed"]).sort_values("train_tokens")
    )


def _name(curve: pd.DataFrame) -> str:
    return str(label(curve.head(1), ["cell", "num_layers"]).iloc[0])


def _table(name: str, trials: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for size, part in trials.groupby("train_tokens"):
        interval = mean_interval(part["bits"])
        rows.append(
            {
                "model": name,
                "train_tokens": float(size),
                **evidence.interval_columns("bits_per_char", interval, "bits"),
                "perplexity": float(np.exp(np.log(part["best_valid_perplexity"].astype(float)).mean())),
                "n": len(part),
            }
        )
    return pd.DataFrame(rows)


def _fit_rows(fitted: FittedCurve | None, largest: float) -> pd.DataFrame:
    if fitted is None:
        return pd.DataFrame()
    beyond = _PROMISE * largest
    named = (
        ("fitted floor", math.inf, fitted.floor),
        (f"fitted, {_PROMISE} times the text", beyond, fitted.predict(beyond)),
    )
    return pd.DataFrame(
        [
            {"model": name, "train_tokens": size, **evidence.interval_columns("bits_per_char", interval, "bits")}
            for name, size, interval in named
        ]
    )


def _against(curve: pd.DataFrame, baselines: pd.DataFrame) -> tuple[pd.Series | None, Interval]:
    """Return the best baseline and the model's bits at its own largest text minus the baseline's."""
    if baselines.empty:
        return None, UNKNOWN
    best = baselines.sort_values("bits", kind="stable").iloc[0]
    own = curve[curve["train_tokens"] == curve["train_tokens"].max()]["bits"]
    return best, mean_interval(own - float(best["bits"]))


def _verdict(curve: pd.DataFrame, baselines: pd.DataFrame, fitted: FittedCurve | None, books: pd.DataFrame) -> str:
    perplexity = curve.loc[curve["train_tokens"] == curve["train_tokens"].max(), "best_valid_perplexity"].mean()
    change = sign_beyond(change_with_size(curve), 0.0)
    more = {-1: word_help(curve), 1: "more text harms", 0: f"whether more text helps is {UNDECIDED}"}[change]
    parts = [f"{more}: {perplexity:.2f} on the largest text"]
    best, difference = _against(curve, baselines)
    if best is not None:
        parts.append(f"{_SIDES[sign_beyond(difference, 0.0)]} the best baseline")
    if not books.empty:
        parts.append(whole_books.verdict(books))
    if fitted is None or not floor_is_known(fitted) or still_learning(curve) or not is_trusted(curve):
        parts.append(f"floor {UNDECIDED}")
    else:
        parts.append(f"floor about {fitted.floor.estimate:.2f} bits per character")
    return "; ".join(parts)


def _sentences(
    curve: pd.DataFrame, baselines: pd.DataFrame, losses: dict[float, list[float]], fitted: FittedCurve | None
) -> list[str]:
    sizes = sorted(losses)
    ends = [mean_interval(losses[size]) for size in (sizes[0], sizes[-1])]
    change = change_with_size(curve)
    largest = curve.loc[curve["train_tokens"] == curve["train_tokens"].max(), "best_valid_perplexity"].mean()
    sentences = [
        f"{_name(curve)} on {curve.iloc[0]['corpus']} ({evidence.count_seeds(curve)}, best epoch of each): from "
        f"{count(sizes[0])} to {count(sizes[-1])} training tokens the bits per character go from "
        f"{evidence.word_interval(ends[0])} to {evidence.word_bounds(ends[1])}, a "
        f"perplexity of {largest:.2f} a token.",
        f"The difference is {evidence.word_bounds(change)}: "
        + {-1: f"{word_help(curve)}.", 1: "more text harms.", 0: "too uncertain to say that it helps."}[
            sign_beyond(change, 0.0)
        ],
    ]
    if sign_beyond(change, 0.0) < 0 and trained_less(curve):
        sentences.append(
            "But the models of the smallest text read fewer tokens in all and were still learning when they stopped: "
            "how much of the difference is text and how much training is not known."
        )
    return [*sentences, *_say_baseline(curve, baselines), *_say_fit(curve, baselines, losses, fitted)]


def _say_baseline(curve: pd.DataFrame, baselines: pd.DataFrame) -> list[str]:
    best, difference = _against(curve, baselines)
    if best is None:
        return []
    return [
        f"The best baseline, {best['cell']} on {count(best['train_tokens'])} tokens, needs {best['bits']:.3f}: the "
        f"model is {_SIDES[sign_beyond(difference, 0.0)]} it, by {evidence.word_bounds(difference)}."
    ]


def _say_fit(
    curve: pd.DataFrame, baselines: pd.DataFrame, losses: dict[float, list[float]], fitted: FittedCurve | None
) -> list[str]:
    """Say what the fitted curve is, what it promises, and each reason not to believe it."""
    if fitted is None:
        return [f"No curve is fitted: that takes {MIN_SIZES} sizes."]
    law = fitted.law
    drawn = (
        " (parametric bootstrap: each size's mean drawn from its t distribution over seeds)" if fitted.resampled else ""
    )
    sentences = [
        f"Fitted, L(D) = {law.floor:.3f} + {law.factor:.3f} (D / {count(round(law.unit))})^−{law.exponent:.3f}: the "
        f"floor is {evidence.word_bounds(fitted.floor)} bits per character, the exponent "
        f"{evidence.word_bounds(fitted.exponent)}{drawn}."
    ]
    if not floor_is_known(fitted):
        sentences.append("That leaves the floor open: these sizes alone do not decide how low it can go.")
    beyond = fitted.predict(_PROMISE * max(losses))
    sentences.append(f"{_PROMISE} times the text would give {evidence.word_bounds(beyond)}, if the form holds.")
    if still_learning(curve):
        sentences.append(
            "But on the largest text most models were best in their last epoch: they were still learning, so this "
            "floor is the training's and not the text's."
        )
    best, _ = _against(curve, baselines)
    if best is not None and float(best["bits"]) < law.floor:
        sentences.append(f"That {best['cell']} is below it shows that it is no floor of the text, but of this model.")
    return [*sentences, *word_trust(losses)]


def _missing(
    curve: pd.DataFrame, baselines: pd.DataFrame, losses: dict[float, list[float]], books: pd.DataFrame
) -> list[str]:
    missing = []
    if books.empty:
        missing.append(
            "missing: one model on one whole book, and on more of them "
            f"(--corpus bronte:{BOOKS[0]},bronte:{BOOKS[0]}+{BOOKS[1]})."
        )
    if len(losses) < MIN_SIZES:
        missing.append(f"missing: {MIN_SIZES} sizes or more (--train-tokens 10k,30k,100k,all).")
    if curve["seed"].nunique() < 2:
        missing.append("missing: more than one seed (--seeds 3): one gives no interval.")
    if baselines.empty:
        missing.append(f"missing: baselines of the same text (add {','.join(BASELINES)} to --plugins).")
    return missing


def _draw(table: pd.DataFrame, fitted: FittedCurve | None, largest: float, books: pd.DataFrame) -> charts.Drawn:
    points = [
        (row["model"], row["train_tokens"], row["bits_per_char"], row["bits_low"], row["bits_high"])
        for row in records(table)
    ]
    caption = (
        f"Bits per character of held-out text by training tokens (n = {int(table['n'].sum())} trials); bars are 95 % "
    )
    caption += "t intervals over seeds."
    if not books.empty:
        caption += f" Whole books are all held against the held-out text of {books.iloc[0]['evaluated_on']} alone."
    if fitted is not None:
        for size in np.geomspace(float(table["train_tokens"].min()), _PROMISE * largest, 12):
            predicted = fitted.predict(float(size))
            points.append(("fitted", float(size), predicted.estimate, predicted.low, predicted.high))
        caption += (
            f" The fit's bars are bootstrap intervals; beyond {count(largest)} tokens it is a promise, not a figure."
        )
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-3",
        title="Perplexity against training text",
        x=charts.Axis(title="training tokens", log=True),
        y=charts.Axis(title="Bits per character"),
        caption=caption,
    )
