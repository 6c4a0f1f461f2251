"""What an exercise is: a question, the trials that would answer it, and its answer from whatever trials there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.analysis.frames import Run
from harness.grid.plan import Selection
from harness.plugins.registry import Registry
from harness.report.answers import Answer
from harness.running.run import TextSelection

UNDECIDED = "not decided"
"""The verdict where the figures can't tell."""
UNANSWERED = "not answered"
"""The verdict where there are no figures."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much an exercise may train; every exercise takes its sizes from here, so that trials are shared."""

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
    timing: str
    """A key of `harness.running.timing.EFFORTS`."""


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            name="quick", num_hiddens=64, train_tokens=100_000, epochs=4, seeds=(0, 1, 2), small_tokens=20_000,
            small_epochs=2, curve_sizes=(10_000, 30_000, 100_000, 300_000, None), curve_tokens=900_000, timing="quick",
        ),
        Budget(
            name="standard", num_hiddens=128, train_tokens=300_000, epochs=6, seeds=(0, 1, 2, 3, 4),
            small_tokens=50_000, small_epochs=4, curve_sizes=(10_000, 30_000, 100_000, 300_000, None),
            curve_tokens=5_000_000, timing="quick",
        ),
        Budget(
            name="full", num_hiddens=256, train_tokens=500_000, epochs=20, seeds=(0, 1, 2, 3, 4), small_tokens=100_000,
            small_epochs=10, curve_sizes=(10_000, 20_000, 50_000, 100_000, 200_000, None), curve_tokens=20_000_000,
            timing="thorough",
        ),
    )
}  # fmt: skip

BATCH_SIZE = 16
"""Small, so that few tokens still make many updates."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Trials an exercise needs, and what it measures on them."""

    selection: Selection
    texts: TextSelection
    timed: bool = False
    """Whether their speed is part of the answer."""
    probes: tuple[str, ...] = ()
    """Of `harness.worker.probes.PROBES`."""


class Exercise(Protocol):
    """What each module of an exercise provides."""

    exercise_id: str
    question: str

    def needs(self, budget: Budget, registry: Registry) -> Sequence[Need]:
        """Return the trials that answer the question, within a budget."""
        ...

    def answer(self, run: Run) -> Answer:
        """Answer from the trials of a run, whatever they are."""
        ...


def selection(budget: Budget, *plugins: str, **changes: Any) -> Selection:
    """Return the trials all exercises share, with these plugins and changes."""
    shared: dict[str, Any] = {
        "plugins": plugins,
        "hiddens": (budget.num_hiddens,),
        "batch_sizes": (BATCH_SIZE,),
        "epochs": budget.epochs,
    }
    return Selection(**(shared | changes))


def texts(budget: Budget, **changes: Any) -> TextSelection:
    """Return the text all exercises share, with these changes."""
    shared: dict[str, Any] = {"corpora": ("bronte",), "train_tokens": (budget.train_tokens,)}
    return TextSelection(**(shared | changes))


def unanswered(*missing: str) -> Answer:
    """Return the answer of a run that has nothing on the question."""
    return Answer(answer="This run holds nothing on it.", verdict=UNANSWERED, missing=missing, answered=False)
