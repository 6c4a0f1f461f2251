"""The probing phase: measures on trained models what training does not show, and records it in the ledger."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.contracts.executors import Slot
from harness.contracts.visible import one_line
from harness.errors import EnvironmentMissing, WorkerError
from harness.machine import interruption
from harness.record.ledger import Ledger
from harness.running.jobs import files_of, place_in, scratch_network
from harness.running.observer import Say
from harness.running.workplace import Workplace
from harness.worker.events import Event, Failed, Probed
from harness.worker.job import ProbeBaselineJob, ProbeJob
from harness.worker.probes import FOR_BASELINES
from harness.worker.trial import Trial


@dataclass
class ProbingPhase:
    """Probes what a run has trained, several models at once."""

    workplace: Workplace
    ledger: Ledger

    def run(self, trials: Sequence[Trial], probes: Mapping[str, Sequence[str]], say: Say) -> None:
        """Make the probes, named by trial_id, that are not recorded yet.

        A trial that is not done, left no checkpoint, or whose code was edited since, is not probed; a probe that fails
        is said, and nothing more.

        Raises: KeyboardInterrupt, what was probed until then recorded.
        """
        statuses, done = self.ledger.statuses(), self.ledger.probes_done()
        waiting: list[tuple[Trial, tuple[str, ...]]] = []
        for trial in trials:
            wanted = [name for name in probes.get(trial.trial_id, ()) if (trial.trial_id, name) not in done]
            if trial.is_baseline:
                wanted = [name for name in wanted if name in FOR_BASELINES]
            elif not self.workplace.folder.checkpoint(trial.trial_id).is_file():
                continue
            if wanted and statuses.get(trial.trial_id) == "ok" and not self.workplace.revisions.is_edited(trial):
                waiting.append((trial, tuple(wanted)))
        if not waiting:
            return
        say(f"Probing {len(waiting):,} {'model' if len(waiting) == 1 else 'models'} …")
        interruption.run(self._run(waiting, say))

    async def _run(self, waiting: list[tuple[Trial, tuple[str, ...]]], say: Say) -> None:
        # A probe runs NumPy, so GPUs are of no use to it.
        slots = [slot.without_gpu() for slot in self.workplace.slots]
        async with asyncio.TaskGroup() as group:
            for slot in slots[: len(waiting)]:
                group.create_task(self._work(slot, waiting, say))

    async def _work(self, slot: Slot, waiting: list[tuple[Trial, tuple[str, ...]]], say: Say) -> None:
        while waiting:
            trial, probes = waiting.pop(0)
            problem = await self._probe(trial, probes, slot)
            if problem:
                say(f"{trial.trial_id} could not be probed: {problem}")

    async def _probe(self, trial: Trial, probes: tuple[str, ...], slot: Slot) -> str:
        """Make one model's probes and record each as it comes; return what went wrong, or nothing."""
        problem = ""

        def hear(event: Event) -> None:
            nonlocal problem
            if isinstance(event, Probed):
                self.ledger.probed(trial.trial_id, event.probe, event.rows)
            elif isinstance(event, Failed):
                problem = one_line(event.reason)

        name = f"probing-{trial.trial_id}"
        backend = None if trial.is_baseline else REFERENCE_BACKEND
        try:
            ending = await self.workplace.run(self._job(trial, probes, slot), backend, slot, name, hear)
        except (EnvironmentMissing, WorkerError) as error:
            return str(error)
        if ending.returncode and not problem:
            log = self.workplace.folder.log(name)
            problem = ending.enforced or f"its worker ended with {ending.returncode}: see {log}"
        return problem

    def _job(self, trial: Trial, probes: tuple[str, ...], slot: Slot) -> ProbeJob | ProbeBaselineJob:
        registry = self.workplace.registry
        place, text = place_in(slot), files_of(self.workplace.corpus(trial))
        if trial.is_baseline:
            return ProbeBaselineJob(
                place=place,
                module_paths=registry.module_paths,
                trial=trial,
                target=registry.baselines[trial.cell].target,
                text=text,
                probes=probes,
            )
        return ProbeJob(
            place=place,
            module_paths=registry.module_paths,
            trial=trial,
            network=scratch_network(registry, trial.cell, REFERENCE_BACKEND),
            text=text,
            checkpoint_path=str(self.workplace.folder.checkpoint(trial.trial_id).absolute()),
            checkpoint_digests=self.ledger.checkpoint_digests(trial.trial_id),
            probes=probes,
        )
