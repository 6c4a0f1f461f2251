"""The parity certificate: a trial's first steps against the cell's equations in NumPy float64.

The reference depends on the cell, the sizes, the optimizer, the text and the seed, not on who trains: it is
made once for each such configuration, in a worker of the numpy backend, and kept in the cache.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from harness.worker.events import FirstSteps
from harness.worker.trial import Trial

REFERENCE_BACKEND = "numpy"
TOLERANCE = 1e-4
"""Largest relative difference of a certified float32 trial, over losses and gradient norms of all steps."""
_FORMAT_VERSION = 1
_OTHERS = ("backend", "implementation", "corpus", "authors", "mix", "dropout", "num_epochs")
"""Fields of a trial that its reference does not depend on."""


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


def reference_key(trial: Trial, parity_steps: int, equations: str = "") -> str:
    """Return the name of a trial's reference in the cache; ``equations`` is the digest of the cell's source."""
    fields = {name: value for name, value in asdict(trial).items() if name not in _OTHERS}
    canonical = json.dumps([_FORMAT_VERSION, parity_steps, fields, equations], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def digest_source(module: str, folders: Sequence[str] = ()) -> str:
    """Return a digest of a module's file, and of those beside it in its package; empty where there is no file.

    A plugin that is being written changes under one name: references of its last revision are not this one's. The
    module is found, in ``folders`` first, and not imported; what it imports from elsewhere is not looked at.
    """
    try:
        spec = PathFinder.find_spec(module, list(folders)) or find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin:
        return ""
    origin = Path(spec.origin)
    in_package = (origin.parent / "__init__.py").is_file()
    digest = hashlib.sha256()
    for path in sorted(origin.parent.glob("*.py")) if in_package else [origin]:
        try:
            digest.update(path.read_bytes())
        except OSError:
            return ""
    return digest.hexdigest()


def read_reference(path: Path) -> FirstSteps | None:
    """Return a reference made before, or None where there is none that is whole."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return FirstSteps(losses=tuple(values["losses"]), grad_norms=tuple(values["grad_norms"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_reference(path: Path, reference: FirstSteps) -> None:
    """Keep a reference, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f"{path.name}.{os.getpid()}.part")
    staging.write_text(json.dumps(asdict(reference)), encoding="utf-8")
    staging.replace(path)
