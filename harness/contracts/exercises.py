"""What the module an `harness.contracts.descriptors.Exercise` names provides: its tests, its trials, and its answer.

Such a module is heavy and imported only when its exercise is planned or answered::

    from harness.analysis import evidence
    from harness.contracts.exercises import Need
    from harness.report import Answer, unanswered

    PRIMARY = ()


    def needs(budget, available):
        return [Need(options={"plugins": ["gru", "numpy"], "layers": [1, 2], "seeds": list(budget.seeds)}, timed=True)]


    def answer(run):
        trials = evidence.cells(evidence.finished(run))
        if trials.empty:
            return unanswered("missing: a finished trial of any cell.")
        return Answer(answer=f"{len(trials)} models learnt.", verdict="they learn", evidence=trials[["cell", "seed"]])

What it may use of tables, statistics and figures are the public modules of `harness.analysis` and the public names of
`harness.report`; `harness.testing.ExerciseContract` has the tests it must pass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

OptionValue = str | int | float | Sequence[str] | Sequence[int] | Sequence[float]
Row = tuple[str, float, float, float, int]
"""What is measured: quantity, at, value, its standard deviation, and the number of observations."""
Run = TypeVar("Run", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much an exercise may train; whoever takes its sizes from here shares trials with the others."""

    name: str
    num_hiddens: int
    train_tokens: int
    epochs: int
    seeds: tuple[int, ...]
    small_tokens: int
    """For comparisons that slow implementations take part in."""
    small_epochs: int
    """Epochs of these: each ends with the whole held-out text, which from scratch takes longer than the epoch."""
    curve_sizes: tuple[int | None, ...]
    """Training characters of the learning curve; None is all there are."""
    curve_tokens: int
    """Characters every model of the learning curve sees in all, repeated where its text is shorter."""
    own_tokens: int | None
    """Characters that count as all of one author's own text, the same of each; None is all there are."""
    points: int
    """Points that are tried where a model is tuned."""
    tuned: str
    """What is tuned, and between which values, as --tune-over has it."""
    timing: str
    """A key of `harness.running.timing.EFFORTS`."""


_SMALL_GRID = "lr=0.001:0.03"
"""Where Adam does well on models of these sizes, so that a few points are enough."""
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            name="quick", num_hiddens=64, train_tokens=100_000, epochs=4, seeds=(0, 1, 2), small_tokens=20_000,
            small_epochs=2, curve_sizes=(10_000, 50_000, 200_000, None), curve_tokens=400_000,
            own_tokens=40_000, points=3, tuned=_SMALL_GRID, timing="quick",
        ),
        Budget(
            name="standard", num_hiddens=128, train_tokens=300_000, epochs=6, seeds=(0, 1, 2, 3, 4),
            small_tokens=50_000, small_epochs=4, curve_sizes=(10_000, 30_000, 100_000, 300_000, None),
            curve_tokens=2_000_000, own_tokens=None, points=4, tuned=_SMALL_GRID, timing="quick",
        ),
        Budget(
            name="full", num_hiddens=256, train_tokens=500_000, epochs=20, seeds=(0, 1, 2, 3, 4), small_tokens=100_000,
            small_epochs=10, curve_sizes=(10_000, 20_000, 50_000, 100_000, 200_000, None), curve_tokens=20_000_000,
            own_tokens=None, points=16, tuned="lr", timing="thorough",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Available:
    """What can be trained here, by name: what `needs` may choose from."""

    cells: tuple[str, ...]
    backends: tuple[str, ...]
    """Those that can run here."""
    baselines: tuple[str, ...]
    corpora: tuple[str, ...]
    implementations: Mapping[tuple[str, str], tuple[str, ...]]
    """By cell and backend; the preferred one first, scratch last."""


@dataclass(frozen=True, kw_only=True)
class ReadText:
    """A training text of a need, for a `TextProbe`."""

    trial_id: str
    """The first trial on it: what is measured of the text is recorded as that trial's."""
    corpus: str
    authors: str
    text: str
    tokens: str
    ids: NDArray[np.unsignedinteger]


@dataclass(frozen=True, kw_only=True)
class TextProbe:
    """Something measured on a need's training texts themselves, side by side, in the harness's own process."""

    name: str
    """What the rows of probes.csv bear as their probe."""
    measure: Callable[[Sequence[ReadText]], Mapping[str, Sequence[Row]]]
    """Returns rows by the id of the trial they are recorded with."""


@dataclass(frozen=True, kw_only=True)
class PrimaryTest:
    """A test that an exercise's verdict rests on, stated before any trial is made."""

    name: str
    """What the rows of evidence that hold its outcome bear as their ``test``."""
    compares: str
    """What with what, and in which figure."""
    subjects: str = ""
    """What it is made of one by one: 'each author'; empty where it is one test."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Trials an exercise needs, and what it measures on them."""

    options: Mapping[str, OptionValue]
    """Options of `harness run` by the keys of an experiment's file: ``{"layers": [1, 2], "train-tokens": "all"}``."""
    timed: bool = False
    """Whether their speed is part of the answer."""
    probes: tuple[str, ...] = ()
    """What is measured on the trained models, of `harness.worker.probes.PROBES`."""
    text_probe: TextProbe | None = None


class ExerciseModule(Protocol[Run, Answer]):
    """What the module of an exercise provides, for `harness.analysis.frames.Run` and `harness.report.Answer`."""

    PRIMARY: Sequence[PrimaryTest]
    """The tests its verdict rests on, corrected as one family; all others are secondary. None where it only counts."""

    def needs(self, budget: Budget, available: Available) -> Sequence[Need]:
        """Return the trials that answer the question, within a budget."""
        ...

    def answer(self, run: Run) -> Answer:
        """Answer from the trials of a run: those it asked for, or all there are where nothing was asked."""
        ...
