"""A trial: one model trained once on one text, named by the hash of all that decides its figures."""

import hashlib
import json
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from harness.contracts.optimization import RMSPROP_ALPHA

Partition = Literal["sequential", "random", "windows"]
OptimizerName = Literal["sgd", "adam", "rmsprop", "none"]
"""'none' is a baseline's: it has none."""
NO_BACKEND = "none"
"""The backend of a baseline, which no framework trains."""
BASELINE = "baseline"
"""The implementation of a baseline."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that decides a trial's losses; where and how fast it runs is not part of it."""

    cell: str
    backend: str
    implementation: str
    corpus: str
    authors: str
    """'all', or the authors whose texts train, joined by '+'."""
    text: str
    """Preprocessing: 'd2l' (lower-cased letters and spaces) or 'raw'."""
    tokens: str
    """'char' or 'word'."""
    train_tokens: int
    corpus_digest: str
    """Hash of the vocabulary and of the token arrays: what trains, what validates, and what is evaluated after."""
    vocab_size: int
    num_layers: int
    num_hiddens: int
    num_steps: int
    batch_size: int
    partition: Partition
    optimizer: OptimizerName
    learning_rate: float
    grad_clip: float
    """Largest global gradient norm; 0 clips nothing."""
    dropout: float
    num_epochs: int
    seed: int
    # Fields with defaults came later; a trial that leaves them alone keeps the name it had before.
    init: str = "uniform"
    """How weights begin; see `harness.contracts.weights`."""
    lr_decay: float = 1.0
    """Factor on the learning rate for each epoch after ``lr_decay_after``."""
    lr_decay_after: int = 0
    rmsprop_decay: float = RMSPROP_ALPHA
    mix: str = "proportional"
    """How much each of several authors gives to the training tokens: 'equal', or as much as they have."""

    @property
    def is_baseline(self) -> bool:
        """Return whether this is no cell but a baseline: the sizes and settings of training are then zero."""
        return self.backend == NO_BACKEND

    @property
    def trial_id(self) -> str:
        """Return a readable name that ends in the hash of every field that is not its default."""
        named = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.default is MISSING or getattr(self, field.name) != field.default
        }
        canonical = json.dumps(named, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        model = self.cell if self.is_baseline else f"{self.cell}-{self.num_layers}-{self.backend}"
        return f"{model}-{self.implementation}-{digest}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Trial":
        """Rebuild a trial from `dataclasses.asdict`, ignoring fields this version doesn't know."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
