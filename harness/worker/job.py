"""The job file: all that a worker is told, one kind of job a kind of work, written as JSON and read once."""

import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from harness.worker.trial import Trial


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """What to generate from a model."""

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
class Network:
    """The code of a trial's model: the cell's equations, and who runs them."""

    equations: str
    """Module of the cell's equations."""
    backend_target: str
    implementation_target: str | None
    """None is the scratch implementation."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker computes, as it sees it."""

    device: str
    """'cpu' or 'cuda:N'."""
    num_threads: int
    cores: tuple[int, ...]
    """The CPU cores it is kept on; none is any."""


@dataclass(frozen=True, kw_only=True)
class TextFiles:
    """A tokenised text, as files."""

    train_path: str
    """``.npy`` of token ids, one dimension."""
    valid_path: str
    vocabulary_path: str
    """JSON: {"symbols": [...], "text": "d2l", "tokens": "char"}; ids are positions."""
    valid_chars_per_token: float
    held_out: tuple[HeldOutPart, ...]
    """What the trained model is evaluated on: the parts of all authors, also of those who did not train it."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Return every file once."""
        held_out = (part.path for part in self.held_out)
        return tuple(dict.fromkeys((self.train_path, self.valid_path, self.vocabulary_path, *held_out)))


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What every worker is told."""

    kind: ClassVar[str]
    place: Place
    module_paths: tuple[str, ...]
    """Folders of single-file plugins, searched last."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the files and folders the worker reads, where they are there."""
        return self.module_paths

    @property
    def writes(self) -> tuple[str, ...]:
        """Return the files the worker leaves."""
        return ()

    def dump(self) -> str:
        """Return the job as JSON, its kind first."""
        return json.dumps({"kind": self.kind, **asdict(self)}, indent=1)


@dataclass(frozen=True, kw_only=True)
class TrainJob(_Job):
    """Train a trial from its last checkpoint on, evaluate it, and generate a text."""

    kind: ClassVar[str] = "train"
    trial: Trial
    network: Network
    text: TextFiles
    checkpoint_path: str
    checkpoint_digests: tuple[str, ...]
    """Of the last checkpoints the ledger knows; none where it knows none."""
    recorded_epochs: int
    """Epochs of this trial the ledger already holds; a checkpoint that is ahead of them is not resumed."""
    parity_steps: int
    """First minibatches whose figures are reported for the certificate."""
    sample: SampleRequest
    report_seconds: float = 1.0
    """At most this long between two reports."""
    checkpoint_seconds: float = 10.0
    """At most one checkpoint in this time while an epoch loop runs, and one at its end."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the text and the checkpoint."""
        return (*self.module_paths, *self.text.paths, self.checkpoint_path)

    @property
    def writes(self) -> tuple[str, ...]:
        """Return the checkpoint."""
        return (self.checkpoint_path,)


@dataclass(frozen=True, kw_only=True)
class BaselineJob(_Job):
    """Fit a baseline to a text, evaluate it, and generate a text where it can."""

    kind: ClassVar[str] = "baseline"
    trial: Trial
    target: str
    """Of the baseline."""
    text: TextFiles
    sample: SampleRequest

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the text."""
        return (*self.module_paths, *self.text.paths)


@dataclass(frozen=True, kw_only=True)
class ReferenceJob(_Job):
    """Make a trial's float64 reference: its first steps by the cell's own equations."""

    kind: ClassVar[str] = "reference"
    trial: Trial
    network: Network
    train_path: str
    parity_steps: int

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the training text."""
        return (*self.module_paths, self.train_path)


@dataclass(frozen=True, kw_only=True)
class CheckJob(_Job):
    """Check a cell's equations, before anything trains by them."""

    kind: ClassVar[str] = "check"
    network: Network


@dataclass(frozen=True, kw_only=True)
class CheckBaselineJob(_Job):
    """Check a baseline, before it is fitted to a text."""

    kind: ClassVar[str] = "check-baseline"
    target: str
    """Of the baseline."""


@dataclass(frozen=True, kw_only=True)
class TimeJob(_Job):
    """Train blocks of a trial's steps whenever asked, and say how long each took."""

    kind: ClassVar[str] = "time"
    trial: Trial
    network: Network
    train_path: str
    block_seconds: float
    """About how long a block lasts."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the training text."""
        return (*self.module_paths, self.train_path)


@dataclass(frozen=True, kw_only=True)
class WatchJob(_Job):
    """Watch the device with a product of known size whenever asked."""

    kind: ClassVar[str] = "watch"
    backend_target: str


@dataclass(frozen=True, kw_only=True)
class ProbeJob(_Job):
    """Probe a trained model, by the cell's own equations in float64."""

    kind: ClassVar[str] = "probe"
    trial: Trial
    network: Network
    text: TextFiles
    checkpoint_path: str
    checkpoint_digests: tuple[str, ...]
    probes: tuple[str, ...]
    """Of `harness.worker.probes.PROBES`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the text and the checkpoint."""
        return (*self.module_paths, *self.text.paths, self.checkpoint_path)


@dataclass(frozen=True, kw_only=True)
class ProbeBaselineJob(_Job):
    """Probe a baseline, fitted again."""

    kind: ClassVar[str] = "probe-baseline"
    trial: Trial
    target: str
    text: TextFiles
    probes: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the text."""
        return (*self.module_paths, *self.text.paths)


@dataclass(frozen=True, kw_only=True)
class SampleJob(_Job):
    """Generate text from a checkpoint."""

    kind: ClassVar[str] = "sample"
    trial: Trial
    network: Network
    checkpoint_path: str
    checkpoint_digests: tuple[str, ...]
    sample: SampleRequest

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the checkpoint."""
        return (*self.module_paths, self.checkpoint_path)


Job = (
    TrainJob
    | BaselineJob
    | ReferenceJob
    | CheckJob
    | CheckBaselineJob
    | TimeJob
    | WatchJob
    | ProbeJob
    | ProbeBaselineJob
    | SampleJob
)
_KINDS: dict[str, type] = {kind.kind: kind for kind in get_args(Job)}


def parse_job(text: str) -> Job:
    """Return the job that `dump` gave as text."""
    values = json.loads(text)
    job: Job = _built(_KINDS[values.pop("kind")], values)
    return job


def read_job(path: Path) -> Job:
    """Read a job file."""
    return parse_job(path.read_text(encoding="utf-8"))


def _built(hint: Any, value: Any) -> Any:
    """Return what JSON made of a value of this type as it was: a dataclass, a tuple, or the value itself."""
    if hint is Trial:
        return Trial.from_dict(value)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{field.name: _built(hints[field.name], value[field.name]) for field in fields(hint)})
    if get_origin(hint) is tuple:
        return tuple(_built(get_args(hint)[0], item) for item in value)
    return value
