"""Makes the parity certificate's references: each once, in a worker of the numpy backend, kept in the cache.

A reference depends on the cell's equations and the code that runs them, the sizes, the optimizer, the text and the
seed, not on who trains: its name in the cache is made of all these.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.contracts.executors import Slot
from harness.contracts.files import read_sealed, write_sealed
from harness.machine.folders import default_cache_dir, keep_in_cache
from harness.running.jobs import files_of, place_in, scratch_network
from harness.running.observer import Say
from harness.running.workplace import Workplace
from harness.worker.events import FirstSteps
from harness.worker.job import ReferenceJob
from harness.worker.trial import Trial

_FORMAT_VERSION = 2
_NOT_IN_REFERENCE = ("backend", "implementation", "corpus", "authors", "mix", "dropout", "num_epochs")
"""Fields of a trial that its reference does not depend on."""
_MAKERS = ("harness.contracts.network", "harness.worker.first_steps")
"""Beside the cell and the backend, with all they import of ours: an edit makes references anew."""


@dataclass
class References:
    """The references of one run's trials."""

    workplace: Workplace
    remark: Say
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _digests: dict[str, str] = field(default_factory=dict)
    """By cell, of all code that its references come from."""

    async def reference_for(self, trial: Trial, slot: Slot, parity_steps: int) -> FirstSteps:
        """Return a trial's reference, made now where it is not in the cache.

        Raises: HarnessError with the reason where it can't be made: then the trial goes uncertified; SlotLostError.
        """
        key = reference_key(trial, parity_steps, self._sources(trial.cell))
        path = _references_dir() / f"{key}.json"
        # Trials of one configuration on several backends want the same one at the same time.
        async with self._locks[key]:
            reference = read_reference(path)
            if reference is None:
                reference = await self._make(trial, slot.without_gpu(), parity_steps, f"reference-{key}")
                keep_in_cache(lambda: write_reference(path, reference), path.parent, self.remark)
        return reference

    def _sources(self, cell: str) -> str:
        """Return the digest of what makes a reference: the cell's equations, and the code that trains by them."""
        registry = self.workplace.registry
        if cell not in self._digests:
            modules = [registry.cell(cell).equations, *_MAKERS]
            if REFERENCE_BACKEND in registry.backends:
                modules.append(registry.backend(REFERENCE_BACKEND).target.partition(":")[0])
            self._digests[cell] = self.workplace.revisions.sources.digest(*modules)
        return self._digests[cell]

    async def _make(self, trial: Trial, slot: Slot, parity_steps: int, name: str) -> FirstSteps:
        registry = self.workplace.registry
        job = ReferenceJob(
            place=place_in(slot),
            module_paths=registry.module_paths,
            trial=trial,
            network=scratch_network(registry, trial.cell, REFERENCE_BACKEND),
            train_path=files_of(self.workplace.corpus(trial)).train_path,
            parity_steps=parity_steps,
        )
        return await self.workplace.answer(job, REFERENCE_BACKEND, slot, name, FirstSteps)


def _references_dir() -> Path:
    return default_cache_dir() / "references"


# --- their names and files --------------------------------------------------------------------------------


def reference_key(trial: Trial, parity_steps: int, sources: str) -> str:
    """Return the name of a trial's reference in the cache; ``sources`` is the digest of the code that makes it."""
    fields = {name: value for name, value in asdict(trial).items() if name not in _NOT_IN_REFERENCE}
    canonical = json.dumps([_FORMAT_VERSION, parity_steps, fields, sources], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def read_reference(path: Path) -> FirstSteps | None:
    """Return a reference made before, or None where there is none that is whole and what was written."""
    values = read_sealed(path)
    try:
        return FirstSteps(losses=tuple(values["losses"]), grad_norms=tuple(values["grad_norms"]))
    except (KeyError, TypeError):
        return None


def write_reference(path: Path, reference: FirstSteps) -> None:
    """Keep a reference, whole or not at all."""
    write_sealed(path, asdict(reference))
