"""The output's dimension: the number of different tokens, on every text and tokenisation."""

from collections.abc import Sequence

import pandas as pd

from harness.analysis import evidence, wording
from harness.analysis.frames import Run, records
from harness.analysis.wording import PREPROCESSING, UNITS, enumerate_names
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.report import Answer, unanswered
from harness_d2l.shared import options

PRIMARY: Sequence[PrimaryTest] = ()
"""None: it counts."""
_WORD_EPOCHS = 1


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return one small model of each tokenisation: letters, characters as they stand, and words."""
    small = {"epochs": _WORD_EPOCHS, "seeds": budget.seeds[:1], "train_tokens": budget.small_tokens}
    return [
        Need(options=options(budget, "rnn", "numpy", **small, text=text, tokens=tokens))
        for text, tokens in (("d2l", "char"), ("raw", "char"), ("d2l", "word"))
    ]


def answer(run: Run) -> Answer:
    """Hold the output layers of the checkpoints against the vocabularies."""
    trials = evidence.cells(run.trials[run.trials["status"] == "ok"])
    keys = ["corpus", "authors", "text", "tokens", "vocab_size"]
    table = pd.DataFrame([_check(run, dict(zip(keys, key, strict=True)), part) for key, part in _groups(trials, keys)])
    if table.empty:
        return unanswered("missing: a finished trial of any cell.")
    checked = table[table["models_checked"] > 0]
    wrong = checked[checked["models_that_agree"] < checked["models_checked"]]
    return Answer(
        answer=_paragraph(table, checked, wrong),
        verdict=_verdict(checked, wrong),
        evidence=table,
        missing=tuple(_missing(table, checked)),
    )


def _groups(trials: pd.DataFrame, keys: list[str]) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    return [(key, part) for key, part in trials.dropna(subset=["vocab_size"]).groupby(keys, sort=False)]


def _check(run: Run, text: dict[str, object], trials: pd.DataFrame) -> dict[str, object]:
    dimensions = [shape for shape in (_output_shape(run, name) for name in trials["trial_id"]) if shape is not None]
    vocab_size = int(text["vocab_size"])  # type: ignore[call-overload]
    return {
        **text,
        "vocab_size": vocab_size,
        "output_dimensions": enumerate_names(sorted({str(rows) for rows in dimensions})),
        "models_checked": len(dimensions),
        "models_that_agree": sum(rows == vocab_size for rows in dimensions),
        "models": len(trials),
    }


def _output_shape(run: Run, trial_id: str) -> int | None:
    """Return the rows of a trained output layer, where there is a checkpoint that can be read."""
    shape = evidence.weight_shapes(run, trial_id).get("output.W")
    return shape[0] if shape else None


def _verdict(checked: pd.DataFrame, wrong: pd.DataFrame) -> str:
    if checked.empty:
        return "as many as the vocabulary has tokens; not checked on a model"
    return "not the vocabulary's size in every model" if len(wrong) else "as many as the vocabulary has tokens"


def _paragraph(table: pd.DataFrame, checked: pd.DataFrame, wrong: pd.DataFrame) -> str:
    # Texts of one preparation and dimension, as the books of one corpus are, share a phrase.
    shared = table.groupby(["vocab_size", "tokens", "text"], sort=False)["corpus"]
    sizes = [
        f"{wording.count(vocab_size)} for {enumerate_names(list(dict.fromkeys(corpora)), 2)} by "
        f"{UNITS.get(tokens, tokens)} ({PREPROCESSING.get(text, text)})"
        for (vocab_size, tokens, text), corpora in shared
    ]
    sentences = [
        "As many numbers as the vocabulary has tokens, '<unk>' included: one score for each token that may come next. "
        f"That is {enumerate_names(sizes, 8)}."
    ]
    if len(wrong):
        off = [f"{row['output_dimensions']} where the vocabulary has {row['vocab_size']}" for row in records(wrong)]
        sentences.append(f"But trained models have output layers of {enumerate_names(off, 4)}.")
    elif len(checked):
        number = int(checked["models_checked"].sum())
        whose = (
            "The output layer of the one trained model whose checkpoint is here has"
            if number == 1
            else f"The output layers of all {wording.count(number)} trained models whose checkpoints are here have"
        )
        sentences.append(f"{whose} that many rows.")
    return " ".join(sentences)


def _missing(table: pd.DataFrame, checked: pd.DataFrame) -> list[str]:
    missing = []
    if len(checked) < len(table):
        missing.append("missing: checkpoints of some models; their output was not looked at.")
    if table["tokens"].nunique() < 2:
        missing.append("missing: a second tokenisation ('harness exercises rnn-1').")
    return missing
