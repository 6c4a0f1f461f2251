"""Probes of trained models: how far back they look, what their gradients do, what they write, and where they fail.

All are made on the held-out text by the numpy backend in float64, whatever trained the model: one checkpoint, one
arithmetic, so that a difference is the model's. A baseline is fitted again and asked alike.
"""

from collections.abc import Callable, Iterator

from harness.contracts.exercises import Row
from harness.worker.probes.failures import brackets, unseen
from harness.worker.probes.memory import clipping, gradients, influence, length
from harness.worker.probes.own_words import own_words
from harness.worker.probes.subject import Subject
from harness.worker.probes.writing import generation

__all__ = ["FOR_BASELINES", "PROBES", "Subject"]

PROBES: dict[str, Callable[[Subject], Iterator[Row]]] = {
    "influence": influence,
    "gradients": gradients,
    "clipping": clipping,
    "length": length,
    "generation": generation,
    "unseen": unseen,
    "brackets": brackets,
    "own_words": own_words,
}
"""By name; those that need weights ('gradients', 'clipping', 'length') are not for baselines."""
FOR_BASELINES = ("influence", "generation", "unseen", "brackets", "own_words")
