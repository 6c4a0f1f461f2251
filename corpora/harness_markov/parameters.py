"""The sources' parameters: names, defaults and bounds, and how they are read from 'order=2,seed=1'."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.contracts import numerals
from harness.errors import CorpusError

Values = dict[str, float]


@dataclass(frozen=True)
class Parameter:
    """A number; whole where its bounds are."""

    default: float
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        """Return whether only whole numbers will do."""
        return isinstance(self.low, int)


_SEED = Parameter(0, 0, 2**53 - 1)
_CHARS = Parameter(300_000, 100, 100_000_000)
MARKOV = {
    "order": Parameter(2, 0, 4),
    "alphabet": Parameter(27, 2, 27),
    "concentration": Parameter(0.1, 0.02, 100.0),
    "seed": _SEED,
    "chars": _CHARS,
}
HIDDEN = {
    "states": Parameter(8, 1, 64),
    "alphabet": Parameter(26, 2, 26),
    "concentration": Parameter(0.1, 0.02, 100.0),
    "seed": _SEED,
    "chars": _CHARS,
}
REBER = {"seed": _SEED, "chars": _CHARS}
BRACKETS = {
    "kinds": Parameter(2, 1, 13),
    "depth": Parameter(8, 1, 100),
    "open": Parameter(0.5, 0.01, 0.99),
    "seed": _SEED,
    "chars": _CHARS,
}


def defaults(known: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Return 'name=default' for each parameter, as a corpus announces them."""
    return tuple(f"{name}={parameter.default:g}" for name, parameter in known.items())


def read(name: str, texts: Mapping[str, str], known: Mapping[str, Parameter]) -> Values:
    """Return every parameter's value, the default where none is given.

    Raises: CorpusError for a value that is no number or out of bounds.
    """
    return {key: _value(name, key, texts.get(key), parameter) for key, parameter in known.items()}


def _value(name: str, key: str, text: str | None, parameter: Parameter) -> float:
    if text is None:
        return parameter.default
    try:
        value = numerals.whole(text) if parameter.is_whole else numerals.number(text)
    except ValueError:
        value = float("nan")
    if not parameter.low <= value <= parameter.high:
        kind = "a whole number" if parameter.is_whole else "a number"
        raise CorpusError(
            f"Corpus {name!r} cannot take {key}={text}: give {kind} from {parameter.low:,} to {parameter.high:,}."
        )
    return value
