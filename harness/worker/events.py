"""The events a worker reports, one JSON object a line, the first key naming the event."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal, get_args

from harness.contracts.measures import require

UNBOUNDED = "of any sign, infinite, or NaN"
Unbounded = Annotated[float, UNBOUNDED]
"""A figure that may not be finite, such as the loss of a trial that diverges; any other number is finite and no less
than zero."""


LOSS_WEIGHTING = "tokens"
"""What a text's mean loss weighs alike; of trials of before, minibatches."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The model stands; training begins."""

    name: ClassVar[str] = "started"
    versions: dict[str, str]
    """Of Python, NumPy, the framework and its BLAS where known."""
    device: str
    """The device's name as the framework gives it."""
    num_threads: int
    num_params: int
    environment: dict[str, str]
    """The variables that change speed or results (threads, BLAS kernels)."""
    resumed_epochs: int = 0
    loss_weighting: str = LOSS_WEIGHTING


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A sign of life in mid-epoch; not recorded."""

    name: ClassVar[str] = "progress"
    epoch: int
    fraction: float
    """Of all the trial's minibatches, 0 to 1."""
    loss: Unbounded
    tokens_per_s: Unbounded


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """The figures of a trial's first minibatches, for its parity certificate."""

    name: ClassVar[str] = "first_steps"
    losses: tuple[Unbounded, ...]
    """Mean cross-entropy of each minibatch, nats per token."""
    grad_norms: tuple[Unbounded, ...]
    """Global norm of the gradients before clipping."""


@dataclass(frozen=True, kw_only=True)
class EpochEnded:
    """One epoch's figures; the clock was read after the loss was."""

    name: ClassVar[str] = "epoch"
    epoch: int
    """From 1."""
    measures: Mapping[str, Unbounded]
    """By name, of those that `harness.contracts.measures` stores of an epoch; one that is not there is not known."""
    blocks: tuple[tuple[int, float], ...]
    """(tokens, seconds) of consecutive stretches of training, each ended by reading the loss."""

    def __post_init__(self) -> None:
        require(self.measures, "epochs")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """A checkpoint is about to take the former one's place."""

    name: ClassVar[str] = "saving"
    digest: str
    """Of `harness.worker.checkpoints.Checkpoint`."""


EvaluatedPart = Literal["valid", "test", "best_epoch_test"]
"""The last is a test part by the weights of the epoch that was best on validation."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What the trained model reaches on one author's held-out part."""

    name: ClassVar[str] = "evaluated"
    author: str
    part: EvaluatedPart
    num_tokens: int
    """Tokens predicted."""
    num_chars: float
    """Characters behind them."""
    measures: Mapping[str, Unbounded]
    """By name, of those that `harness.contracts.measures` stores of a held-out part."""
    blocks: tuple[tuple[int, float], ...] = ()
    """Tokens predicted and their mean loss, by block of the part (`harness.worker.text_blocks`); none where a model
    does not say it of single tokens."""

    def __post_init__(self) -> None:
        require(self.measures, "evaluations")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The trial is done."""

    name: ClassVar[str] = "finished"
    first_step_seconds: float
    """The first minibatch, with whatever the framework builds or compiles for it."""
    peak_rss_bytes: int
    peak_device_bytes: int | None
    sample: str


@dataclass(frozen=True, kw_only=True)
class Diverged:
    """The loss is no longer finite; the trial ends here."""

    name: ClassVar[str] = "diverged"
    epoch: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An exception ended the worker; the traceback is in its log."""

    name: ClassVar[str] = "failed"
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Generated text, the prefix included."""

    name: ClassVar[str] = "sampled"
    text: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A cell's equations were checked."""

    name: ClassVar[str] = "checked"
    problem: str
    """What is wrong with them; empty where nothing is."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A timing worker is warm and waits to be asked for blocks."""

    name: ClassVar[str] = "ready"
    flops_per_s: float
    """The framework's best rate of a large float32 product on the worker's device."""
    bytes_per_s: float
    """The host's copy bandwidth; 0 where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One timed block; the clock was read after its result was."""

    name: ClassVar[str] = "block"
    amount: float
    """What was done: tokens trained, or floating-point operations."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One probe of a trained model is done."""

    name: ClassVar[str] = "probed"
    probe: str
    rows: tuple[tuple[str, Unbounded, Unbounded, Unbounded, int], ...]
    """(quantity, where it was measured, mean, standard deviation, number of observations) each."""


Event = (
    Started
    | Progress
    | FirstSteps
    | EpochEnded
    | Saving
    | Evaluated
    | Finished
    | Diverged
    | Failed
    | Sampled
    | Checked
    | Ready
    | Block
    | Probed
)
KINDS: dict[str, type] = {kind.name: kind for kind in get_args(Event)}
"""The classes of events by the name that is sent."""


def dump(event: Event) -> str:
    """Return the event as one JSON line without its line end."""
    return json.dumps({"event": event.name, **asdict(event)})
