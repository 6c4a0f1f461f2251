"""The probing phase: measures on trained models what training does not show, and records it in the ledger."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.environments import interpreter_for
from harness.errors import EnvironmentMissing, WorkerError, one_line
from harness.machine.devices import Slot
from harness.plugins.registry import Registry
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.running.commands import worker_command
from harness.running.executors import run_worker
from harness.running.scheduler import training_job
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.events import Event, Failed, Probed
from harness.worker.job import Job, SampleRequest
from harness.worker.probes import FOR_BASELINES
from harness.worker.trial import Trial

Say = Callable[[str], None]


@dataclass
class ProbingPhase:
    """Probes what a run has trained, several models at once."""

    registry: Registry
    folder: RunFolder
    ledger: Ledger
    corpora: Sequence[TokenisedCorpus]
    slots: Sequence[Slot]
    stall_timeout: float
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, trials: Sequence[Trial], probes: Mapping[str, Sequence[str]], say: Say) -> bool:
        """Make the probes, named by trial_id, that are not recorded yet; return False after Ctrl-C.

        A trial that is not done, or left no checkpoint, is not probed; a probe that fails is said, and nothing more.
        """
        statuses, done = self.ledger.statuses(), self.ledger.probes_done()
        waiting: list[tuple[Trial, tuple[str, ...]]] = []
        for trial in trials:
            wanted = [name for name in probes.get(trial.trial_id, ()) if (trial.trial_id, name) not in done]
            if trial.is_baseline:
                wanted = [name for name in wanted if name in FOR_BASELINES]
            elif not self.folder.checkpoint(trial.trial_id).is_file():
                continue
            if wanted and statuses.get(trial.trial_id) == "ok":
                waiting.append((trial, tuple(wanted)))
        if not waiting:
            return True
        say(f"Probing {len(waiting):,} {'model' if len(waiting) == 1 else 'models'} …")
        try:
            asyncio.run(self._run(waiting, say))
        except KeyboardInterrupt:
            return False
        return True

    async def _run(self, waiting: list[tuple[Trial, tuple[str, ...]]], say: Say) -> None:
        # A probe runs NumPy, so GPUs are of no use to it.
        slots = [replace(slot, kind="cpu", environment={"CUDA_VISIBLE_DEVICES": ""}) for slot in self.slots]
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
        log, job_path = self.folder.log(name), self.folder.job(name)
        try:
            job = self._job(trial, probes, slot)
            interpreter_for(self.registry.backend(REFERENCE_BACKEND))
            command = worker_command(self.registry, job, REFERENCE_BACKEND, slot, log, job_path, self.environment)
            ending = await run_worker(command, hear, timeout=None, stall_timeout=self.stall_timeout)
        except (EnvironmentMissing, WorkerError) as error:
            return str(error)
        if ending.returncode and not problem:
            problem = ending.enforced or f"its worker ended with {ending.returncode}: see {log}"
        return problem

    def _job(self, trial: Trial, probes: tuple[str, ...], slot: Slot) -> Job:
        corpus = next(corpus for corpus in self.corpora if corpus.digest == trial.corpus_digest)
        sample = SampleRequest(prefix="", num_tokens=0, temperature=0.0, seed=0)
        job = training_job(self.registry, self.folder, trial, slot, corpus, sample, 0)
        target = job.backend_target if trial.is_baseline else self.registry.backend(REFERENCE_BACKEND).target
        return replace(
            job, kind="probe", probes=probes, backend_target=target, implementation_target=None, device="cpu"
        )
