"""More training text, several books: how low the perplexity goes, and what a fitted curve promises beyond."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis import evidence, judging, recipes
from harness.analysis.frames import Run
from harness.analysis.judging import Compared, Judged
from harness.analysis.learning_curves import MIN_SIZES, FittedCurve, fit
from harness.analysis.statistics import mean_interval
from harness.analysis.wording import count
from harness.contracts.exercises import Available, Budget, Need, OptionValue, PrimaryTest
from harness.report import UNDECIDED, Answer, unanswered
from harness_d2l import size_curve, whole_books
from harness_d2l.shared import WHOLE, options, sizes, tuned
from harness_d2l.size_curve import BASELINE, MORE_BOOKS, MORE_TEXT, PROMISE
from harness_d2l.trust import (
    floor_is_known,
    is_trusted,
    losses_by_size,
    still_learning,
    trained_less,
    word_help,
    word_trust,
)
from harness_d2l.whole_books import BOOKS

PRIMARY = (
    PrimaryTest(
        name=MORE_TEXT,
        compares="the largest text minus the smallest: bits per character of held-out text after each model's best "
        "epoch, one pair a seed",
    ),
    PrimaryTest(name=MORE_BOOKS, compares="the most whole books minus the fewest, on one held-out text, as above"),
    PrimaryTest(name=BASELINE, compares="the model of the largest text minus the best baseline of that text"),
)
CURVE_SEEDS = 3
"""Most seeds of a size: what chance moves is little beside what size and training do, and time goes further there."""
BASELINES = ("ngram-3", "ngram-5", "bz2", "lzma")
_TEXT = ["corpus", "authors", "text", "tokens"]
MAX_EPOCHS = 40
"""A small text is known by heart long before; only the best epoch counts."""
NUM_LAYERS = 2
"""Dropout acts between layers."""
DROPOUT = 0.2
LAST_RATE = 0.1
"""Of the first learning rate, in the last epoch: it falls over the second half of them."""
_SIDES = {1: "below", -1: "above", 0: "not to be told from"}
"""Where the model stands to a baseline, by who is ahead."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:
    """Return one regularised model at each size, the larger ones seeing as many characters in all, and baselines.

    And the model on one whole book, on two, three and four, as often as the largest size is read.
    """
    needs = [
        Need(options=_model(budget, size, train_tokens=words))
        for size, words in zip(budget.curve_sizes, sizes(budget), strict=True)
    ]
    shelves = tuple(f"bronte:{'+'.join(BOOKS[: number + 1])}" for number in range(len(BOOKS)))
    needs.append(Need(options=_model(budget, None, corpus=shelves, train_tokens=WHOLE)))
    if baselines := [name for name in BASELINES if name in available.baselines]:
        needs.append(Need(options=options(budget, *baselines, train_tokens=sizes(budget))))
    return needs


def _model(budget: Budget, size: int | None, **changes: OptionValue) -> dict[str, OptionValue]:
    """Return the options of the model of a size."""
    # The GRU: of the cells here the one that learns fastest on few updates.
    epochs = _epochs(budget, size)
    recipe = {"layers": NUM_LAYERS, "dropout": DROPOUT, "epochs": epochs, **_falling(epochs)}
    return tuned(budget, "gru", "numpy", seeds=budget.seeds[:CURVE_SEEDS], **recipe, **changes)


def _falling(epochs: int) -> dict[str, OptionValue]:
    """Return the options of a learning rate that falls over the second half of the epochs."""
    full = (epochs + 1) // 2
    if epochs == full:
        return {}
    return {"lr_decay": round(LAST_RATE ** (1 / (epochs - full)), 3), "lr_decay_after": full}


def _epochs(budget: Budget, size: int | None) -> int:
    """Return how often a text of this size is read for all sizes to have read as much."""
    largest = max(size for size in budget.curve_sizes if size is not None)
    epochs = round(budget.curve_tokens / (size if size is not None else 2 * largest))
    return min(max(1, epochs), MAX_EPOCHS)


def answer(run: Run) -> Answer:
    """Fit the model with the most sizes; set it beside the baselines of the same text."""
    trials = evidence.finished(run)
    trials = trials.assign(bits=size_curve.best_bits(trials))
    trials = trials[np.isfinite(trials["bits"])]
    curve = size_curve.longest(evidence.cells(trials))
    if curve.empty or curve["train_tokens"].nunique() < 2:
        return unanswered("missing: one model trained on several sizes of one text (--train-tokens 10k,30k,100k,all).")
    curve = curve.assign(is_learning=curve["trial_id"].map(recipes.are_learning(run, curve["trial_id"])))
    text = (trials[_TEXT] == curve.iloc[0][_TEXT]).all(axis=1)
    baselines = evidence.baselines(trials[text])
    losses = losses_by_size(curve)
    fitted = fit(losses)
    books = whole_books.chain_of(run, trials)
    judged = judging.judge_primary(PRIMARY, _compared(curve, baselines, books))
    table = _table(curve, baselines, books)
    drawn = size_curve.draw(table, fitted, max(losses), books)
    return Answer(
        answer=" ".join([*_sentences(run, curve, baselines, fitted, judged), *whole_books.say(books, judged)]),
        verdict=_verdict(curve, fitted, judged),
        evidence=pd.concat([judging.frame(judged), table, size_curve.fit_rows(fitted, max(losses))], ignore_index=True),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(curve, baselines, losses, books)),
    )


def _compared(curve: pd.DataFrame, baselines: pd.DataFrame, books: pd.DataFrame) -> list[Compared]:
    compared = [size_curve.over_sizes(curve, MORE_TEXT), *size_curve.beside_baseline(curve, baselines)]
    return [*compared, *([size_curve.over_sizes(books, MORE_BOOKS)] if len(books) else [])]


def _table(curve: pd.DataFrame, baselines: pd.DataFrame, books: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the curve, the baselines and the books, by size."""
    parts = [size_curve.size_rows(size_curve.model_name(curve), curve)]
    parts += [size_curve.size_rows(str(name), part) for name, part in baselines.groupby("cell")]
    parts += [size_curve.size_rows(f"{size_curve.model_name(books)}, whole books", books)] if len(books) else []
    return pd.concat(parts)


def _verdict(curve: pd.DataFrame, fitted: FittedCurve | None, judged: Sequence[Judged]) -> str:
    perplexity = size_curve.largest(curve)["best_valid_perplexity"].mean()
    parts = [f"{_more(curve, judged)}: {perplexity:.2f} on the largest text"]
    beside = judging.find(judged, BASELINE)
    parts += [f"{_SIDES[beside.ahead]} the best baseline"] if beside else []
    added = judging.find(judged, MORE_BOOKS)
    parts += [whole_books.word_outcome(added)] if added else []
    if fitted is None or not floor_is_known(fitted) or still_learning(curve) or not is_trusted(curve):
        parts.append(f"floor {UNDECIDED}")
    else:
        parts.append(f"floor about {fitted.floor.estimate:.2f} bits per character")
    return "; ".join(parts)


def _more(curve: pd.DataFrame, judged: Sequence[Judged]) -> str:
    """Word what more text does."""
    outcome = judging.find(judged, MORE_TEXT)
    assert outcome is not None  # made of every curve
    if outcome.kind == "equivalent":
        return "more text makes no difference"
    return {1: word_help(curve), -1: "more text harms", 0: f"whether more text helps is {UNDECIDED}"}[outcome.ahead]


def _sentences(
    run: Run, curve: pd.DataFrame, baselines: pd.DataFrame, fitted: FittedCurve | None, judged: Sequence[Judged]
) -> list[str]:
    losses = losses_by_size(curve)
    ends = [mean_interval(losses[size]) for size in (min(losses), max(losses))]
    largest = size_curve.largest(curve)["best_valid_perplexity"].mean()
    change = judging.find(judged, MORE_TEXT)
    assert change is not None
    more = _more(curve, judged)
    sentences = [
        f"{more[0].upper()}{more[1:]}, for one recipe: {size_curve.model_name(curve)}, {recipes.word_settings(curve)}.",
        recipes.word_recipe(run, curve),
        f"On {curve.iloc[0]['corpus']} ({evidence.count_seeds(curve)}, best epoch of each) from "
        f"{count(min(losses))} to {count(max(losses))} training tokens the bits per character go from "
        f"{evidence.word_interval(ends[0])} to {evidence.word_bounds(ends[1])}, a perplexity of {largest:.2f} a token; "
        f"the difference is {judging.word_difference(change)}.",
    ]
    if change.ahead > 0 and trained_less(curve):
        sentences.append(
            "But the models of the smallest text read fewer tokens in all and were still learning when they stopped: "
            "how much of the difference is text and how much training is not known."
        )
    return [*sentences, *_say_baseline(run, curve, baselines, judged), *_say_fit(curve, baselines, losses, fitted)]


def _say_baseline(run: Run, curve: pd.DataFrame, baselines: pd.DataFrame, judged: Sequence[Judged]) -> list[str]:
    best, outcome = size_curve.best_baseline(baselines), judging.find(judged, BASELINE)
    if best is None or outcome is None:
        return []
    pairs = [(name, best["trial_id"]) for name in size_curve.largest(curve)["trial_id"]]
    over_texts = evidence.word_over_texts(run, pairs, "best_epoch_test")
    texts = f"; on test text by {over_texts}" if over_texts else ""
    return [
        f"The best baseline, {best['cell']} on {count(best['train_tokens'])} tokens, needs {best['bits']:.3f}: the "
        f"model is {_SIDES[outcome.ahead]} it, by {evidence.word_bounds(outcome.difference)} over seeds{texts}."
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
    beyond = fitted.predict(PROMISE * max(losses))
    sentences.append(f"{PROMISE} times the text would give {evidence.word_bounds(beyond)}, if the form holds.")
    if still_learning(curve):
        sentences.append(
            "But on the largest text most models were not shown to have stopped: they were still learning, so this "
            "floor is the training's and not the text's."
        )
    best = size_curve.best_baseline(baselines)
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
