"""A trial: one model trained once on one text, named by the hash of all that decides its figures."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any

from harness.contracts.network import Architecture, Structure
from harness.contracts.settings import Setting, rows, setting
from harness.contracts.training import Training

NO_BACKEND = "none"
"""The backend of a baseline, which no framework trains."""
NO_OPTIMIZER = "none"
"""The optimizer of a baseline."""
BASELINE = "baseline"
"""The implementation of a baseline."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Which cell is trained, by what."""

    cell: str = setting(heading="Cell", words="{}", description="The cell, or the baseline.", early=True)
    backend: str = setting(heading="Backend", words="{}", description="The framework; none for a baseline.", early=True)
    implementation: str = setting(
        heading="Implementation",
        words="{}",
        description="scratch: the cell's own equations; others are a backend's own layers.",
        early=True,
    )


@dataclass(frozen=True, kw_only=True)
class TextOfTrial:
    """What trains and how it became tokens."""

    corpus: str = setting(heading="Corpus", description="Its name, or its path.", early=True)
    authors: str = setting(
        heading="Authors", description="all, or the authors whose texts train, joined by '+'.", early=True
    )
    text: str = setting(
        heading="Text",
        description="Preprocessing: d2l (lower-cased letters and spaces), d2l-1.0 or raw.",
        early=True,
    )
    tokens: str = setting(heading="Tokens", description="char or word.", early=True)
    train_tokens: int = setting(
        heading="Training tokens",
        words="{:,} training tokens",
        description="Length of the text that trains.",
        early=True,
    )
    mix: str = setting(
        "proportional",
        heading="Mix",
        words="{} mix",
        description="What each of several authors gives to the training tokens: equal, or as much as they have.",
    )
    corpus_digest: str = setting(
        heading="Digest",
        words="text {:.7}",
        description="Hash of the vocabulary and of the token arrays: what trains, validates and is evaluated after.",
        early=True,
    )


@dataclass(frozen=True, kw_only=True)
class Trial(Training, Structure, TextOfTrial, Subject):
    """Everything that decides a trial's losses; where and how fast it runs is not part of it."""

    @property
    def is_baseline(self) -> bool:
        """Return whether this is no cell but a baseline: the sizes and settings of training are then zero."""
        return self.backend == NO_BACKEND

    @property
    def architecture(self) -> Architecture:
        """Return the part that shapes the model."""
        return Architecture(**self._part(Structure))

    @property
    def training(self) -> Training:
        """Return the part that says how the model is trained."""
        return Training(**self._part(Training))

    def _part(self, declared: type) -> dict[str, Any]:
        return {name: getattr(self, name) for name in rows(declared)}

    @cached_property
    def trial_id(self) -> str:
        """Return a readable name that ends in the hash of every field but the later ones that are their defaults."""
        import hashlib  # which the command's help can do without
        import json

        named = {name: value for name, later in _LATER.items() if (value := getattr(self, name)) != later}
        canonical = json.dumps(named, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        model = self.cell if self.is_baseline else f"{self.cell}-{self.num_layers}-{self.backend}"
        return f"{model}-{self.implementation}-{digest}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Trial":
        """Rebuild a trial from `dataclasses.asdict`, ignoring fields this version doesn't know."""
        return cls(**{name: value for name, value in values.items() if name in SETTINGS})


def trains(author: str, authors: str) -> bool:
    """Say whether an author is among those who train a trial, as the trial names them."""
    return authors == "all" or author in authors.split("+")


_PUBLISHED = (
    "cell", "backend", "implementation", "corpus", "authors", "text", "tokens", "train_tokens", "corpus_digest",
    "vocab_size", "num_layers", "num_hiddens", "num_steps", "batch_size", "partition", "optimizer", "learning_rate",
    "grad_clip", "dropout", "num_epochs", "seed", "init", "lr_decay", "lr_decay_after", "rmsprop_decay", "mix",
)  # fmt: skip
"""The order that tables and plans have had, and that other programs rely on; what came later follows as declared."""
SETTINGS: Mapping[str, Setting] = {name: rows(Trial)[name] for name in dict.fromkeys((*_PUBLISHED, *rows(Trial)))}
"""Every field's row by its name."""
DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(Trial) if field.default is not MISSING}
"""Of the fields that have one."""
KINDS: Mapping[str, type] = {field.name: field.type if field.type in (int, float) else str for field in fields(Trial)}
"""Whether a field's values are whole numbers (int), numbers (float) or words (str)."""
_LATER = {name: MISSING if row.early else DEFAULTS[name] for name, row in SETTINGS.items()}
"""By field, the value that is left out of a trial's name."""
