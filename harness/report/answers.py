"""Answers of exercises to a run, as the page and exercises.csv show them; no exercise is known here by its name."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.columns import Column, Table
from harness.analysis.frames import Run
from harness.contracts.descriptors import Exercise
from harness.contracts.exercises import ExerciseModule
from harness.contracts.visible import one_line
from harness.report.drawing import Figure, Rows, rows
from harness.report.figures import Figures
from harness.worker.targets import resolve

UNDECIDED = "not decided"
"""The verdict where the figures can't tell."""
UNANSWERED = "not answered"
"""The verdict where there are no figures."""
ANSWERS = Table(
    name="exercises.csv",
    row="one row an exercise: its answer, its evidence, and what is missing",
    columns=(
        Column("exercise_id", "The exercise: its chapter and number", "text"),
        Column("question", "What it asks", "text"),
        Column("answer", "A paragraph written from the numbers", "text"),
        Column("verdict", "The answer in a few words; what the numbers do not decide is said so", "text"),
        Column("evidence", "JSON: a list of objects, the figures that carry the answer", "text"),
        Column("missing", "What was not measured", "text"),
    ),
)
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


def unanswered(*missing: str) -> Answer:
    """Return the answer of a run that has nothing on the question."""
    return Answer(answer="This run holds nothing on it.", verdict=UNANSWERED, missing=missing, answered=False)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An exercise with its answer."""

    exercise: Exercise
    answer: Answer


def answer_all(run: Run, exercises: Iterable[Exercise]) -> list[Answered]:
    """Answer each exercise from the trials it asked for; of a run that answers none, as far as its trials allow.

    One that fails costs its own answer, and says so.
    """
    return [Answered(exercise=exercise, answer=_ask(run, exercise)) for exercise in exercises]


def _ask(run: Run, exercise: Exercise) -> Answer:
    try:
        module: ExerciseModule[Run, Answer] = resolve(exercise.target)
        answer = module.answer(run.asked_by(exercise.name))
        if not isinstance(answer, Answer):
            raise TypeError(f"it returned {answer!r:.80}, which is no Answer")
        # What cannot be shown would else cost the whole page.
        shown = [Answered(exercise=exercise, answer=answer)]
        frame_answers(shown)
        json.dumps([(section["rows"], section["drawn"].datasets) for section in sections(shown)])
    except (Exception, SystemExit) as error:
        return _failed(exercise, one_line(f"{type(error).__name__}: {error}"))
    return answer


def _failed(exercise: Exercise, cause: str) -> Answer:
    return Answer(
        answer="Its answer failed.",
        verdict=UNANSWERED,
        missing=(f"the answer of {exercise.target} failed ({cause}).",),
        answered=False,
    )


def frame_answers(answered: Sequence[Answered]) -> pd.DataFrame:
    """Return one row a question: the columns of exercises.csv."""
    table = [
        (
            each.exercise.name,
            each.exercise.question,
            each.answer.answer,
            each.answer.verdict,
            json.dumps(rows(each.answer.evidence), ensure_ascii=False) if len(each.answer.evidence) else "",
            " ".join(each.answer.missing),
        )
        for each in answered
    ]
    return pd.DataFrame(table, columns=ANSWERS.names)


def sections(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """Return what the page shows of each question that has an answer."""
    return [_section(each) for each in answered if each.answer.answered]


def open_questions(answered: Sequence[Answered]) -> list[Answered]:
    """Return the questions the run has nothing on."""
    return [each for each in answered if not each.answer.answered]


def _section(answered: Answered) -> dict[str, Any]:
    answer = answered.answer
    evidence = answer.evidence
    return {
        "anchor": f"exercise-{answered.exercise.name}",
        "exercise": answered.exercise,
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
