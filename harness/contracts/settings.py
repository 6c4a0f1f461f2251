"""What a field of a trial says of itself: its option, how that is read, its heading, its words; one row a setting."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

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


def setting(default: Any = MISSING, **row: Any) -> Any:
    """Return a dataclass's field with its row; the option's default is the field's, unless ``typed`` says otherwise."""
    if row.get("option") and default is not MISSING:
        row.setdefault("typed", f"{default:g}" if isinstance(default, float) else str(default))
    return field(default=default, metadata={_KEY: Setting(**row)})


def rows(declared: Any) -> dict[str, Setting]:
    """Return the rows of a dataclass by the names of their fields, in the order they are declared."""
    return {each.name: each.metadata[_KEY] for each in fields(declared) if _KEY in each.metadata}
