"""Has cells and baselines checked once a revision, before they train; what came of it lies in the cache."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.contracts.executors import Slot
from harness.contracts.files import read_sealed, write_sealed
from harness.errors import WorkerError
from harness.machine import interruption
from harness.machine.folders import default_cache_dir, keep_in_cache
from harness.plugins.registry import Registry
from harness.running.jobs import place_in, scratch_network
from harness.running.observer import Say
from harness.running.workplace import Workplace, lone_workplace
from harness.worker.events import Checked
from harness.worker.job import CheckBaselineJob, CheckJob

_CELL_CHECKERS = ("harness.worker.cell_checks", "harness.contracts.network")
_BASELINE_CHECKERS = ("harness.worker.baseline_checks",)
"""Which check, with all they import of ours: what passed others is checked again."""


@dataclass
class PluginChecks:
    """The checks of one run's cells and baselines."""

    workplace: Workplace
    remark: Say = print
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def problem_of(self, name: str, slot: Slot) -> str:
        """Return what is wrong with a cell or a baseline, in one sentence; empty where nothing is.

        Raises: HarnessError with the reason where it can't be checked, and so gets no certificate; SlotLostError.
        """
        registry, sources = self.workplace.registry, self.workplace.revisions.sources
        if name in registry.baselines:
            source = sources.digest(registry.baselines[name].target.partition(":")[0])
            checkers = sources.digest(*_BASELINE_CHECKERS)
        else:
            source = sources.digest(registry.cell(name).equations)
            checkers = sources.digest(*_CELL_CHECKERS)
        path = _result_path(name, source + checkers)
        async with self._locks[name]:
            problem = _read(path)
            if problem is None:
                problem = await self.check(name, slot.without_gpu())
                if source:
                    keep_in_cache(lambda: write_sealed(path, problem), path.parent, self.remark)
        return problem

    async def check(self, name: str, slot: Slot) -> str:
        """Check a cell or a baseline now. Raises: HarnessError where that can't be done; SlotLostError."""
        registry, place = self.workplace.registry, place_in(slot)
        if name in registry.baselines:
            target = registry.baselines[name].target
            baseline = CheckBaselineJob(place=place, module_paths=registry.module_paths, target=target)
            return (await self.workplace.answer(baseline, None, slot, f"check-{name}", Checked)).problem
        network = scratch_network(registry, name, REFERENCE_BACKEND)
        cell = CheckJob(place=place, module_paths=registry.module_paths, network=network)
        return (await self.workplace.answer(cell, REFERENCE_BACKEND, slot, f"check-{name}", Checked)).problem


def check_plugins(registry: Registry, names: Sequence[str]) -> dict[str, str]:
    """Check cells and baselines here and now, whatever the cache holds; return what is wrong with each, or nothing.

    Raises: PluginError for an unknown name; WorkerError where one can't be checked.
    """
    for name in names:
        if name not in registry.baselines:
            registry.cell(name)
    with lone_workplace(registry) as workplace:
        return {name: _checked(workplace, name) for name in dict.fromkeys(names)}


def _checked(workplace: Workplace, name: str) -> str:
    try:
        return interruption.run(PluginChecks(workplace).check(name, workplace.slots[0]))
    except WorkerError as error:
        kind = "baseline" if name in workplace.registry.baselines else "cell"
        raise WorkerError(f"The {kind} {name!r} could not be checked: {error}.") from None


def _result_path(name: str, source: str) -> Path:
    key = hashlib.sha256(f"{name} {source}".encode()).hexdigest()[:24]
    return default_cache_dir() / "checks" / f"{key}.json"


def _read(path: Path) -> str | None:
    """Return what was found before; None where nothing whole is there."""
    problem = read_sealed(path)
    return problem if isinstance(problem, str) else None
