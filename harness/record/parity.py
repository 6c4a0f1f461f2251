"""The parity certificate: a trial's first steps against the cell's equations in NumPy float64."""

import math
from dataclasses import dataclass
from itertools import zip_longest

from harness.worker.events import FirstSteps

TOLERANCE = 1e-4
"""Largest relative difference of a certified float32 trial, over losses and gradient norms of all steps."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Whether a trial trained the model its configuration names."""

    parity_max_rel_diff: float
    parity_certified: bool
    parity_steps: int


def compare(steps: FirstSteps, reference: FirstSteps) -> Certificate:
    """Compare losses and gradient norms, step by step; a figure that is missing or not finite certifies nothing."""
    pairs = [
        *zip_longest(steps.losses, reference.losses, fillvalue=math.nan),
        *zip_longest(steps.grad_norms, reference.grad_norms, fillvalue=math.nan),
    ]
    # max() would drop a NaN that is not the first; nothing compares with it, so it must fail by itself.
    differences = [abs(ours - theirs) / abs(theirs) if theirs else math.nan for ours, theirs in pairs]
    certified = bool(pairs) and all(difference <= TOLERANCE for difference in differences)
    largest = max(differences, key=lambda difference: (math.isnan(difference), difference), default=math.nan)
    return Certificate(parity_max_rel_diff=largest, parity_certified=certified, parity_steps=len(steps.losses))
