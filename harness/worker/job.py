"""The job file: all that a worker is told, written by the parent as JSON and read once."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.worker.trial import Trial


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """What to generate from a checkpoint."""

    prefix: str
    num_tokens: int
    temperature: float
    """0 takes the most probable token each time, as D2L's predict does."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class HeldOutPart:
    """One author's part that is read after training."""

    author: str
    part: Literal["valid", "test"]
    path: str
    """``.npy`` of token ids, one dimension, of which this part is a stretch."""
    start: int
    stop: int
    chars_per_token: float

    @property
    def num_tokens(self) -> int:
        """Return its length."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Job:
    """One worker's work.

    Train the trial, fit a baseline, generate text from a checkpoint, make a trial's float64 reference, time blocks of
    its training, watch the device with a product of known size, or probe what was trained.
    """

    kind: Literal["train", "sample", "reference", "baseline", "time", "watch", "probe"]
    trial: Trial
    equations: str
    """Module of the cell's equations; empty for a baseline."""
    backend_target: str
    """For a baseline, its own target."""
    implementation_target: str | None
    """None is the scratch implementation."""
    module_paths: tuple[str, ...]
    """Folders of single-file plugins, searched last."""
    device: str
    """'cpu' or 'cuda:N' as the worker sees it."""
    num_threads: int
    train_path: str
    """``.npy`` of token ids, one dimension."""
    valid_path: str
    vocabulary_path: str
    """JSON: {"symbols": [...], "text": "d2l", "tokens": "char"}; ids are positions."""
    valid_chars_per_token: float
    checkpoint_path: str
    sample: SampleRequest
    held_out: tuple[HeldOutPart, ...] = ()
    """What the trained model is evaluated on: the parts of all authors, also of those who did not train it."""
    recorded_epochs: int = 0
    """Epochs of this trial the ledger already holds; a checkpoint that is ahead of them is not resumed."""
    parity_steps: int = 5
    """First minibatches whose figures are reported for the certificate."""
    cores: tuple[int, ...] = ()
    """The CPU cores the worker is kept on; none is any."""
    block_seconds: float = 0.2
    """About how long a timed block lasts."""
    probes: tuple[str, ...] = ()
    """Of `harness.worker.probes.PROBES`."""
    report_seconds: float = 1.0
    """At most this long between two reports of a training worker."""
    checkpoint_seconds: float = 10.0
    """At most one checkpoint in this time while an epoch loop runs, and one at its end."""

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read what `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["trial"] = Trial.from_dict(values["trial"])
        values["sample"] = SampleRequest(**values["sample"])
        values["held_out"] = tuple(HeldOutPart(**part) for part in values["held_out"])
        values["module_paths"] = tuple(values["module_paths"])
        values["cores"] = tuple(values["cores"])
        values["probes"] = tuple(values["probes"])
        return cls(**values)
