"""What a column of a CSV file is, and the columns that settings and measures are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.contracts.figures import Measure, Place
from harness.contracts.measures import shown_in
from harness.worker import trial

Kind = Literal["text", "whole", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a CSV file."""

    name: str
    description: str
    kind: Kind = "number"
    unit: str = ""
    better: str = ""
    """'lower' or 'higher', where one is."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One CSV file."""

    name: str
    row: str
    """What one row of it is."""
    columns: tuple[Column, ...]
    optional: bool = False
    """Whether it is written only where it has rows."""

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        return [column.name for column in self.columns]


def ordered(promised: Iterable[str], *known: Iterable[Column]) -> tuple[Column, ...]:
    """Return every known column, those whose place is promised first; KeyError for a promise nothing keeps."""
    columns = {column.name: column for columns in known for column in columns}
    return tuple(columns[name] for name in dict.fromkeys((*promised, *columns)))


def _of_setting(name: str) -> Column:
    kinds: Mapping[type, Kind] = {int: "whole", float: "number", str: "text"}
    return Column(name, trial.SETTINGS[name].description.rstrip("."), kinds[trial.KINDS[name]])


def of_measures(place: Place) -> list[Column]:
    """Return the columns of the measures that a table shows, as their rows describe them."""
    return [_of_measure(measure) for measure in shown_in(place)]


def _of_measure(measure: Measure) -> Column:
    return Column(
        measure.name, measure.description, "whole" if measure.whole else "number", measure.unit, measure.better
    )


SETTING_COLUMNS = tuple(_of_setting(name) for name in trial.SETTINGS)
TRIAL_ID = Column("trial_id", "The trial: a readable name that ends in a hash of all its settings", "text")
