"""From the options an exercise needs to what is selected, read as the command line reads them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from harness.contracts.exercises import OptionValue
from harness.errors import UsageError, did_you_mean
from harness.grid import parsing
from harness.grid.plan import Selection
from harness.running.run import TextSelection


def _plain(text: str, _: str) -> str:
    return text


def _whole(text: str, option: str) -> int:
    return parsing.counts(text, option)[0]


_RATES = partial(parsing.numbers, low=0.0, open_low=True)
_CLIPS = partial(parsing.numbers, low=0.0, open_low=False)
_SHARES = partial(parsing.numbers, low=0.0, high=1.0, open_low=False)
_SELECTION: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "plugins": ("plugins", parsing.names),
    "layers": ("layers", parsing.counts),
    "hiddens": ("hiddens", parsing.counts),
    "steps": ("steps", parsing.counts),
    "batch-size": ("batch_sizes", parsing.counts),
    "epochs": ("epochs", _whole),
    "optimizer": ("optimizers", parsing.names),
    "lr": ("learning_rates", _RATES),
    "clip": ("grad_clips", _CLIPS),
    "dropout": ("dropouts", _SHARES),
    "partition": ("partition", _plain),
    "init": ("init", parsing.init),
    "implementation": ("implementation", _plain),
    "seeds": ("seeds", parsing.seeds),
}
_TEXTS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "corpus": ("corpora", parsing.names),
    "text": ("text", _plain),
    "tokens": ("tokens", _plain),
    "train-tokens": ("train_tokens", parsing.token_budgets),
    "authors": ("authors", parsing.names),
    "mix": ("mix", _plain),
    "split": ("split", _plain),
    "vocabulary": ("vocabulary", _plain),
}


def selections(options: Mapping[str, OptionValue], name: str) -> tuple[Selection, TextSelection]:
    """Return the trials and the texts these options select. Raises: UsageError."""
    for key in options:
        if key not in _SELECTION and key not in _TEXTS:
            raise UsageError(f"{name} asks for an option {key!r}.{did_you_mean(key, {**_SELECTION, **_TEXTS})}")
    return Selection(**_read(options, _SELECTION)), TextSelection(**_read(options, _TEXTS))


def _read(
    options: Mapping[str, OptionValue], known: Mapping[str, tuple[str, Callable[[str, str], Any]]]
) -> dict[str, Any]:
    return {
        field: read(_words(key, options[key]), f"--{key}") for key, (field, read) in known.items() if key in options
    }


def _words(key: str, value: OptionValue) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value)
    words = ",".join(map(str, value))
    # One seed in a list is that seed; alone, a number is how many.
    return f"{words},{words}" if key == "seeds" and len(value) == 1 else words
