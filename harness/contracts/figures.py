"""What a measure's row says of it: a `Figure` of how well a text is predicted, or a `Measure`, one column by itself."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Place = Literal["epochs", "trials", "transfer", "summary", "ranking", "compare"]
"""Where a measure is shown: epochs.csv, trials.csv, transfer.csv, summary.csv, the ranking, `harness compare`."""
Format = Literal["perplexity", "ratio", "signed", "small", "rate", "count", "seconds", "megabytes"]
"""How a value is worded; the words are in `harness.analysis.wording`."""
Part = Literal["train", "valid", "held_out", "test", "best_epoch_test"]
"""What a figure is of; 'held_out' are the parts of every author, 'test' is of a trial's own authors together, after the
last epoch or after the one that was best on validation."""
Table = Literal["", "epochs", "evaluations"]
"""The ledger's tables that have measures."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column that holds something measured."""

    name: str
    description: str
    heading: str = ""
    unit: str = ""
    format: Format = "ratio"
    better: Literal["lower", "higher", ""] = ""
    whole: bool = False
    """Whether its values are whole numbers."""
    of_machine: bool = False
    """Whether it means something on one machine only."""
    table: Table = ""
    """The ledger's table that stores it; empty where it is computed from others, or a fact of the trial."""
    of_trial: Literal["", "last", "sum"] = ""
    """How trials.csv has it from the epochs: the last one's, or their sum."""
    places: tuple[Place, ...] = ()
    optional: bool = False
    """Whether the ranking leaves its column out where no trial has it."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """How well a model predicts a text, in one number."""

    name: str
    noun: str
    """What heads a column of it."""
    description: str
    unit: str = ""
    format: Format = "ratio"
    better: Literal["lower", "higher", ""] = ""
    rank: int = 0
    """Of an accuracy: a token counts where at most so many symbols are as probable as it is, itself among them."""
    derive: Callable[[Any, Any], Any] | None = None
    """Its formula, from the loss and the characters a token; None where a model's step gives the figure itself."""
    by_characters: bool = False
    """Whether the formula needs the characters a token, which the ledger does not have: so it is stored."""
    of_training_alone: bool = False
    """Whether evaluation has no such figure; its measure then has the figure's own name."""
    train: tuple[Place, ...] = ("epochs",)
    """Where its measure of the training part is shown; nowhere where it is empty."""
    valid: tuple[Place, ...] = ("epochs", "trials")
    held_out: tuple[Place, ...] = ("trials", "transfer")
    """Of every author's held-out parts; trials.csv has that of the test parts of a trial's own authors."""
    test: tuple[Place, ...] = ()
    """Where its measure of the test part stands beside that."""

    @property
    def stored(self) -> bool:
        """Return whether the ledger has it, and not only what it follows from."""
        return self.derive is None or self.by_characters

    def column(self, part: Part) -> str:
        """Return the name of its measure of a part; nothing where there is none."""
        if not self._places(part):
            return ""
        return self.name if part == "held_out" or self.of_training_alone else f"{part}_{self.name}"

    def measures(self) -> Iterator[Measure]:
        """Yield its measure of each part."""
        for part, words in _PARTS.items():
            places = self._places(part)
            if name := self.column(part):
                yield Measure(
                    name=name,
                    description=f"{self.description}, {words.description}",
                    # The part is said where both are ranked; else a ranking is of validation, as everywhere.
                    heading=self.noun if part == "valid" and "ranking" not in self.train else words.of(self.noun),
                    unit=self.unit,
                    format=self.format,
                    better=self.better,
                    table=words.table if self.stored else "",
                    of_trial="last" if words.table == "epochs" and "trials" in places else "",
                    places=tuple(place for place in places if place == "transfer") if part == "held_out" else places,
                    optional=part == "test",  # a text may have none
                )

    def _places(self, part: Part) -> tuple[Place, ...]:
        of_trial = tuple(place for place in self.held_out if place != "transfer")
        places = {
            "train": self.train,
            "valid": self.valid,
            "test": (*self.held_out, *self.test),
            "best_epoch_test": of_trial,
        }
        return places.get(part, self.held_out)


@dataclass(frozen=True)
class _Words:
    adjective: str
    description: str
    table: Table

    def of(self, noun: str) -> str:
        return f"{self.adjective} {noun}"


_PARTS: Mapping[Part, _Words] = {
    "valid": _Words("validation", "on the validation part after the epoch; of a trial, after its last", "epochs"),
    "train": _Words("training", "over the epoch's minibatches while it trains; of a trial, its last epoch's", "epochs"),
    "held_out": _Words("held-out", "on the author's validation part", "evaluations"),
    "test": _Words("test", "on the test part; of a trial, on those of its own authors together", ""),
    "best_epoch_test": _Words(
        "best epoch's test",
        "on the test parts of its own authors together, after the epoch that was best on validation",
        "",
    ),
}


def perplexity(loss: Any, _: Any = None) -> Any:
    """Return exp(loss), of a number or an array; infinite where that overflows."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.exp(loss)


def bits_per_char(loss: Any, chars: Any) -> Any:
    """Return a loss in nats as bits a character: of one token and its characters, or of a text and all of its."""
    return loss / math.log(2) / chars
