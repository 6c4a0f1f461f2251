"""A trial and what its worker says of it, made up: name what a test is about, the rest is plain."""

from typing import Any

from harness.contracts.figures import bits_per_char
from harness.contracts.measures import stored_in
from harness.testing.models import BATCH_SIZE, NUM_STEPS, SMALL
from harness.worker.events import EpochEnded, Evaluated, Finished, Started
from harness.worker.trial import Trial


def small_trial(**changes: Any) -> Trial:
    """Return a trial of the contracts' small model on no text there is."""
    plain: dict[str, Any] = {
        "cell": "lstm",
        "backend": "numpy",
        "implementation": "scratch",
        "corpus": "invented",
        "authors": "all",
        "text": "d2l",
        "tokens": "char",
        "train_tokens": 1_000,
        "corpus_digest": "c0ffee",
        "vocab_size": SMALL.vocab_size,
        "num_layers": SMALL.num_layers,
        "num_hiddens": SMALL.num_hiddens,
        "num_steps": NUM_STEPS,
        "batch_size": BATCH_SIZE,
        "partition": "sequential",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "grad_clip": 1.0,
        "dropout": 0.0,
        "num_epochs": 1,
        "seed": 0,
    }
    return Trial(**{**plain, **changes})


def started(**changes: Any) -> Started:
    """Return a worker's first event."""
    plain = {"versions": {"numpy": "2.4.6"}, "device": "cpu", "num_threads": 1, "num_params": 9, "environment": {}}
    return Started(**{**plain, **changes})


def epoch_ended(epoch: int = 1, valid_loss: float = 2.0, **changes: Any) -> EpochEnded:
    """Return an epoch's figures; training's loss is the validation's unless it is given."""
    measures = {
        **{measure.name: 0.5 for measure in stored_in("epochs")},
        "train_loss": valid_loss,
        "train_top5_accuracy": 0.9,
        "valid_loss": valid_loss,
        "valid_top5_accuracy": 0.9,
        "valid_bits_per_char": bits_per_char(valid_loss, 1.0),
        "grad_norm": 1.0,
        "train_tokens": 1_000,
        "valid_seconds": 0.1,
    }
    blocks = changes.pop("blocks", ((600, 0.3), (400, 0.2)))
    return EpochEnded(epoch=epoch, measures=measures | changes, blocks=blocks)


def evaluated(loss: float = 2.0, **changes: Any) -> Evaluated:
    """Return what a trained model reaches on a held-out part of 1,000 characters."""
    about: dict[str, Any] = {"author": "Ann", "part": "valid", "num_tokens": 1_000, "num_chars": 1_000.0, "blocks": ()}
    measures = {
        **{measure.name: 0.4 for measure in stored_in("evaluations")},
        "loss": loss,
        "top5_accuracy": 0.8,
        "bits_per_char": bits_per_char(loss, 1.0),
    }
    about |= {name: value for name, value in changes.items() if name in about}
    return Evaluated(**about, measures=measures | {name: changes[name] for name in changes.keys() - about.keys()})


def finished(**changes: Any) -> Finished:
    """Return a worker's last event."""
    plain = {"first_step_seconds": 0.1, "peak_rss_bytes": 50_000_000, "peak_device_bytes": None, "sample": "a"}
    return Finished(**{**plain, **changes})
