"""What a field of a trial says of itself: its option, how that is read, its heading, its words; one row a setting."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

_KEY = "setting"
"""Under which a field's metadata holds its row."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """How an option's text becomes values: by a function of `harness.grid.parsing`, within bounds."""

    reader: str
    metavar: str
    """What the help puts behind the option."""
    bounds: Mapping[str, Any]


def values(reader: str, metavar: str, **bounds: Any) -> Values:
    """Return how an option is read: ``reader`` of `harness.grid.parsing` with these keywords."""
    return Values(reader=reader, metavar=metavar, bounds=bounds)


DIGITS = 3
"""Significant ones of a value that a search tries: it is typed, read and hashed as it is shown."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Between which values a search looks for a setting's."""

    low: float
    high: float
    scale: Literal["log", "linear"] = "log"
    form: str = ""
    """How a value is written where it is a word, as in 'uniform:{:g}'."""

    def at(self, share: float) -> Any:
        """Return the value at a share of the way from low to high, rounded to `DIGITS`."""
        if self.scale == "log":
            number = self.low * (self.high / self.low) ** share
        else:
            number = self.low + (self.high - self.low) * share
        return self.written(float(f"{number:.{DIGITS}g}"))

    def written(self, number: float) -> Any:
        """Return a number as the setting holds it."""
        return self.form.format(number) if self.form else number

    def __str__(self) -> str:
        """Word it, as in '0.0003 to 0.1 (log)'."""
        return f"{self.low:g} to {self.high:g} ({self.scale})"


@dataclass(frozen=True)
class Searched:
    """A setting to search, by its option's name, and between which values where not its usual ones."""

    name: str
    bounds: tuple[float, float] | None = None

    def __str__(self) -> str:
        """Write it as it is typed, as in 'lr=0.0001:1'."""
        return self.name if self.bounds is None else f"{self.name}={self.bounds[0]:g}:{self.bounds[1]:g}"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row: all that options, grids, files, tables and labels know of a field."""

    heading: str
    """Over a column of the page's tables."""
    description: str
    """A sentence for whoever reads the CSV files."""
    words: str = ""
    """How a label words a value, as in 'clip {:g}'; empty for what is the same for all trials on one text."""
    option: str = ""
    """Its option of `harness run`; empty where something else decides it."""
    values: Values | None = None
    typed: str = ""
    """The option's default as it is typed."""
    help: str = ""
    early: bool = False
    """Whether it is as old as the first trial, whose name is the hash of these always. Of the others, the default is
    left out of the hash: a trial that leaves them alone keeps the name it had before they came."""
    applies: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether it means anything beside a trial's other settings; where not, it is its default."""
    acts: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether it changes the model beside a trial's other settings. Where not it stays as it was asked for, but of
    trials that differ in it alone one is trained."""
    derived: Callable[[Mapping[str, Any]], Any] | None = None
    """From a trial's other settings, its value where the option is left out."""
    search: Range | Callable[[Mapping[str, Any]], Range] | None = None
    """Of a nuisance, the range that a search spans, or how it follows from a trial's other settings; empty for what is
    compared, and for the budget."""

    def range_beside(self, settings: Mapping[str, Any]) -> Range:
        """Return a nuisance's range beside a trial's other settings."""
        assert self.search is not None
        return self.search if isinstance(self.search, Range) else self.search(settings)


def setting(default: Any = MISSING, **row: Any) -> Any:
    """Return a dataclass's field with its row; the option's default is the field's, unless ``typed`` says otherwise."""
    if row.get("option") and default is not MISSING:
        row.setdefault("typed", f"{default:g}" if isinstance(default, float) else str(default))
    return field(default=default, metadata={_KEY: Setting(**row)})


def rows(declared: Any) -> dict[str, Setting]:
    """Return the rows of a dataclass by the names of their fields, in the order they are declared."""
    return {each.name: each.metadata[_KEY] for each in fields(declared) if _KEY in each.metadata}
