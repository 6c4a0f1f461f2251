"""Answers to questions put to a run, as the page and exercises.csv show them; who asks is not known here."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import Run
from harness.report.drawing import Figure, Rows, rows
from harness.report.figures import Figures

MAX_EVIDENCE = 40
"""Rows of one evidence table on the page; exercises.csv has all."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run says to one question."""

    answer: str
    """A paragraph written from the numbers."""
    verdict: str
    """The answer in a few words; what the numbers do not decide is said so."""
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The figures that carry the answer."""
    figure: Figure | None = None
    datasets: Mapping[str, Rows] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """What was not measured, a sentence each."""
    answered: bool = True
    """Whether there was any evidence at all."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A question with its answer."""

    exercise_id: str
    question: str
    answer: Answer


AnswerAll = Callable[[Run], Sequence[Answered]]


def frame_answers(answered: Sequence[Answered]) -> pd.DataFrame:
    """Return one row a question: the columns of exercises.csv."""
    columns = ("exercise_id", "question", "answer", "verdict", "evidence", "missing")
    table = [
        (
            one.exercise_id,
            one.question,
            one.answer.answer,
            one.answer.verdict,
            json.dumps(rows(one.answer.evidence), ensure_ascii=False) if len(one.answer.evidence) else "",
            " ".join(one.answer.missing),
        )
        for one in answered
    ]
    return pd.DataFrame(table, columns=list(columns))


def sections(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """Return what the page shows of each question that has an answer."""
    return [_section(one) for one in answered if one.answer.answered]


def unanswered(answered: Sequence[Answered]) -> list[Answered]:
    """Return the questions the run has nothing on."""
    return [one for one in answered if not one.answer.answered]


def _section(one: Answered) -> dict[str, Any]:
    answer = one.answer
    evidence = answer.evidence
    return {
        "anchor": f"exercise-{one.exercise_id}",
        "exercise_id": one.exercise_id,
        "question": one.question,
        "answer": answer,
        "headings": [
            {"text": str(name).replace("_", " "), "kind": "number" if _is_number(evidence[name]) else "text"}
            for name in evidence.columns
        ],
        "rows": list(zip(*(_words(evidence.head(MAX_EVIDENCE), name) for name in evidence.columns), strict=True)),
        "bounded": any(str(name).endswith("low") for name in evidence.columns),
        "num_rows": len(evidence),
        "drawn": Figures(
            figures=[answer.figure] if answer.figure is not None else [], datasets=dict(answer.datasets), missing=[]
        ),
    }


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _words(evidence: pd.DataFrame, name: str) -> list[str]:
    """Word a column's cells, its figures alike and like those of its interval; what is not known is a dash."""
    column = evidence[name]
    if not _is_number(column):
        return [_word(value) for value in column]
    beside = [other for other in evidence.columns if _stem(other) == _stem(name) and _is_number(evidence[other])]
    return wording.column(column, evidence[beside].to_numpy(dtype=float, na_value=np.nan).ravel())


def _stem(name: object) -> str:
    return str(name).removesuffix("_low").removesuffix("_high")


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    (word,) = wording.column([value])
    return word
