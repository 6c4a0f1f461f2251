"""Has a cell's equations checked once a revision, before anything trains by them; what came of it lies in the cache."""

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
from harness.worker.job import CheckJob

_CHECKERS = ("harness.worker.cell_checks", "harness.contracts.network")
"""Which check, with all they import of ours: what passed others is checked again."""


@dataclass
class CellChecks:
    """The checks of one run's cells."""

    workplace: Workplace
    remark: Say = print
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def problem_of(self, cell: str, slot: Slot) -> str:
        """Return what is wrong with a cell, in one sentence; empty where nothing is.

        Raises: HarnessError with the reason where it can't be checked, and so gets no certificate; SlotLostError.
        """
        registry = self.workplace.registry
        sources = self.workplace.revisions.sources
        source = sources.digest(registry.cell(cell).equations)
        path = _result_path(cell, source + sources.digest(*_CHECKERS))
        async with self._locks[cell]:
            problem = _read(path)
            if problem is None:
                problem = await self.check(cell, slot.without_gpu())
                if source:
                    keep_in_cache(lambda: write_sealed(path, problem), path.parent, self.remark)
        return problem

    async def check(self, cell: str, slot: Slot) -> str:
        """Check a cell now. Raises: HarnessError where that can't be done; SlotLostError."""
        registry = self.workplace.registry
        job = CheckJob(
            place=place_in(slot),
            module_paths=registry.module_paths,
            network=scratch_network(registry, cell, REFERENCE_BACKEND),
        )
        return (await self.workplace.reference_answer(job, slot, f"check-{cell}", Checked)).problem


def check_cells(registry: Registry, cells: Sequence[str]) -> dict[str, str]:
    """Check cells here and now, whatever the cache holds; return what is wrong with each, or nothing.

    Raises: PluginError for an unknown name; WorkerError where a cell can't be checked.
    """
    for cell in cells:
        registry.cell(cell)
    with lone_workplace(registry) as workplace:
        return {cell: _checked(workplace, cell) for cell in dict.fromkeys(cells)}


def _checked(workplace: Workplace, cell: str) -> str:
    try:
        return interruption.run(CellChecks(workplace).check(cell, workplace.slots[0]))
    except WorkerError as error:
        raise WorkerError(f"The cell {cell!r} could not be checked: {error}.") from None


def _result_path(cell: str, source: str) -> Path:
    key = hashlib.sha256(f"{cell} {source}".encode()).hexdigest()[:24]
    return default_cache_dir() / "checks" / f"{key}.json"


def _read(path: Path) -> str | None:
    """Return what was found before; None where nothing whole is there."""
    problem = read_sealed(path)
    return problem if isinstance(problem, str) else None
