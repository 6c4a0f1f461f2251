"""How a model is trained: every setting of it, each a field that is also its row."""

from dataclasses import dataclass
from typing import Literal

from harness.contracts.optimization import OPTIMIZERS, RMSPROP_ALPHA
from harness.contracts.settings import Range, setting, values

Partition = Literal["sequential", "random", "windows"]
PARTITIONS: tuple[Partition, ...] = ("sequential", "random", "windows")


def _default_rates() -> str:
    return ", ".join(f"{name} {optimizer.learning_rate:g}" for name, optimizer in OPTIMIZERS.items())


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained; the whole of it is told to the backend, which acts on what concerns it.

    A new setting is one more field at the end, and the code that acts on it.
    """

    num_steps: int = setting(
        35,
        heading="Steps",
        words="{} steps",
        description="Time steps of a minibatch, over which gradients go back.",
        option="--steps",
        values=values("counts", "counts"),
        help="Time steps a minibatch.",
        early=True,
    )
    batch_size: int = setting(
        32,
        heading="Batch",
        words="batch {}",
        description="Rows of a minibatch.",
        option="--batch-size",
        values=values("counts", "counts"),
        help="Rows a minibatch.",
        early=True,
    )
    partition: Partition = setting(
        "sequential",
        heading="Partition",
        words="{} partition",
        description="The order of minibatches: sequential carries the state, random and windows (stride 1) do not.",
        option="--partition",
        values=values("choices", "|".join(PARTITIONS), known=PARTITIONS),
        help="Order of minibatches; sequential carries the state, windows are at stride 1.",
        early=True,
    )
    optimizer: str = setting(
        "adam",
        heading="Optimizer",
        words="{}",
        description="The update's formula.",
        option="--optimizer",
        values=values("choices", "names", known=tuple(OPTIMIZERS)),
        help=f"Any of {', '.join(OPTIMIZERS)}.",
        early=True,
    )
    learning_rate: float = setting(
        OPTIMIZERS["adam"].learning_rate,
        heading="Learning rate",
        words="learning rate {:g}",
        description="The step's size in the first epoch.",
        option="--lr",
        values=values("numbers", "rates", low=0.0, open_low=True),
        typed="",
        derived=lambda settings: OPTIMIZERS[settings["optimizer"]].learning_rate,
        search=lambda settings: OPTIMIZERS[settings["optimizer"]].rates,
        help=f"Learning rates. [{_default_rates()}]",
        early=True,
    )
    grad_clip: float = setting(
        1.0,
        heading="Clip",
        words="clip {:g}",
        description="Largest norm of all gradients together; 0 clips nothing.",
        option="--clip",
        values=values("numbers", "norms", low=0.0, open_low=False),
        help="Largest global gradient norm; 0 is no clipping.",
        early=True,
        search=Range(low=0.1, high=10.0),
    )
    num_epochs: int = setting(
        2,
        heading="Epochs",
        words="{} epochs",
        description="Passes over the training text that were asked for.",
        option="--epochs",
        values=values("counts", "counts"),
        help="Passes over the training text.",
        early=True,
    )
    seed: int = setting(
        0,
        heading="Seed",
        words="seed {}",
        description="Decides initial weights, the minibatches' offsets and order, and dropout's masks.",
        option="--seeds",
        values=values("seeds", "seeds"),
        typed="",
        help="How many seeds, as in 3 (0, 1, 2), or which, as in 3,7.",
        early=True,
    )
    init: str = setting(
        "uniform",
        heading="Initial weights",
        words="{} initial weights",
        description="How weights begin: uniform (within 1/sqrt(num_hiddens)), uniform:BOUND or normal:DEVIATION.",
        option="--init",
        values=values("inits", "inits"),
        help="First weights: uniform (within 1/sqrt(hiddens)), uniform:0.08, or normal:0.01 (biases zero).",
        search=Range(low=0.01, high=0.3, form="uniform:{:g}"),
    )
    lr_decay: float = setting(
        1.0,
        heading="Learning rate decay",
        words="learning rate × {:g} an epoch",
        description="Factor on the learning rate for each epoch after lr_decay_after.",
        option="--lr-decay",
        values=values("numbers", "factors", low=0.0, open_low=True),
        help="Factor on the learning rate after each epoch behind --lr-decay-after.",
        search=Range(low=0.3, high=1.0, scale="linear"),
    )
    lr_decay_after: int = setting(
        0,
        heading="Decay after",
        words="decay after epoch {}",
        description="The last epoch at the full learning rate.",
        option="--lr-decay-after",
        values=values("counts", "counts", low=0),
        help="The last epoch at the full learning rate.",
        applies=lambda settings: bool(settings["lr_decay"] != 1),
    )
    rmsprop_decay: float = setting(
        RMSPROP_ALPHA,
        heading="RMSprop's decay",
        words="RMSprop decay {:g}",
        description="The share of RMSprop's running mean of squares that each step keeps.",
        option="--rmsprop-decay",
        values=values("numbers", "shares", low=0.0, high=1.0, open_low=True),
        help="RMSprop's memory.",
        search=Range(low=0.8, high=0.999, scale="linear"),
        applies=lambda settings: bool(settings["optimizer"] == "rmsprop"),
    )

    def learning_rate_in(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        return self.learning_rate * self.lr_decay ** max(0, epoch - self.lr_decay_after)
