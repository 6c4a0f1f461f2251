"""From a selection to finished trials: corpora, plan, folder, workers; the one way a run goes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.contracts.executors import Gpu, OpenExecutor, SlotRequest
from harness.environments import interpreter_for
from harness.environments.locks import lock_of
from harness.errors import EnvironmentMissing
from harness.grid.choosing import choose_plugins
from harness.grid.cost import Prediction, predict
from harness.grid.plan import Plan, check_texts, idle_settings, plan_trials
from harness.grid.selection import Selection
from harness.machine.devices import core_numbers, find_gpus
from harness.machine.folders import sweep_cache
from harness.machine.quota import cpu_quota
from harness.machine.terminal import print_line
from harness.plugins.registry import Registry
from harness.plugins.revisions import Revisions
from harness.record import provenance
from harness.record.folder import RunFolder
from harness.record.ledger import RUN_ID, Ledger, recorded_trials
from harness.running import revising
from harness.running.description import describe_plan
from harness.running.execution import Execution, Measurements, Outcome
from harness.running.workplace import LOCAL, Limits, Workplace, open_executor
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.tokenised import TokenisedCorpus

__all__ = ["Measurements", "Outcome", "Placement", "PreparedRun", "execute", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the trials run and what they leave."""

    out: Path | None = None
    devices: str = "auto"
    jobs: int | None = None
    num_threads: int = 1
    per_device: int = 1
    executor: str = LOCAL

    def slot_request(self, gpus: Sequence[Gpu]) -> SlotRequest:
        """Return what is asked of the executor on a machine with these GPUs."""
        return SlotRequest(
            devices=self.devices,
            jobs=self.jobs,
            num_threads=self.num_threads,
            per_device=self.per_device,
            gpus=gpus,
            cores=core_numbers(),
            cpu_quota=cpu_quota(),
        )


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """A run that only has to be started."""

    registry: Registry
    corpora: Sequence[TokenisedCorpus]
    plan: Plan
    prediction: Prediction
    gpus: Sequence[Gpu]
    executor: OpenExecutor
    folder: RunFolder

    def workplace(self, limits: Limits, machine: str = "") -> Workplace:
        """Return where its workers work, on this machine of the manifest."""
        return Workplace(
            registry=self.registry,
            folder=self.folder,
            corpora=self.corpora,
            executor=self.executor,
            limits=limits,
            machine=machine,
        )

    @property
    def costs(self) -> dict[str, float]:
        """Return the predicted seconds of each trial that is expected to run, by its id."""
        ids = (trial.trial_id for trial in self.plan.expected)
        return dict(zip(ids, self.prediction.trial_seconds, strict=True))

    def describe(self, anew: Sequence[str] = ()) -> str:
        """Return the plan, the skips with their reasons and the predicted duration, for a terminal.

        What a ledger already holds is read; ``anew`` as in `Measurements`. Raises: UsageError, RunFolderError.
        """
        recorded = recorded_trials(self.folder.ledger)
        planned = {each.trial.trial_id: each.trial for each in self.plan.trials}
        remarks = revising.revise(recorded, planned, Revisions(self.registry), anew).remarks
        page = self.folder.path / "index.html"
        return describe_plan(self.plan, self.prediction, self.executor.slots, page, remarks)


def prepare(
    registry: Registry, selection: Selection, texts: TextSelection, placement: Placement, console: Console
) -> PreparedRun:
    """Read the texts, plan the trials and find the slots; nothing is trained or written but the text cache.

    Raises: HarnessError for whatever in the selection can't be done.
    """
    choose_plugins(selection.plugins, registry)  # a misspelt name is told before any text is read
    sweep_cache()
    gpus = find_gpus()
    executor = open_executor(registry, placement.executor, placement.slot_request(gpus))
    corpora = read_corpora(
        texts, registry, lambda remark: print_line(console, remark), show_progress=console.is_terminal
    )
    plan = plan_trials(selection, registry, corpora)
    if not plan.runnable:
        raise EnvironmentMissing(" ".join(plan.skips))
    check_texts(plan, corpora)
    for remark in idle_settings(selection, plan):
        print_line(console, remark)
    return PreparedRun(
        registry=registry,
        corpora=corpora,
        plan=plan,
        prediction=predict(plan.expected, registry, corpora),
        gpus=gpus,
        executor=executor,
        folder=_folder(placement, plan),
    )


def _folder(placement: Placement, plan: Plan) -> RunFolder:
    """Return the folder named by --out, or the plan's own one under reports/, which the same command finds again."""
    return RunFolder(placement.out or Path("reports") / f"{plan.slug}-{plan.digest}")


def execute(
    run: PreparedRun,
    limits: Limits,
    measurements: Measurements,
    command: Sequence[str],
    console: Console,
    experiment: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train what is not finished yet, then time what is done; the caller holds the folder open.

    The manifest keeps ``experiment``.

    Raises: RunFolderError, WorkerError.
    """
    locks = {name: lock_of(interpreter_for(run.registry.backend(name))) for name in run.plan.backends}
    earlier = run.folder.raw_manifest()
    manifest = provenance.describe(command, run.plan, run.corpora, run.registry, run.gpus, locks)
    manifest["experiment"] = dict(experiment or {})
    manifest = provenance.joined(manifest, earlier)
    workplace = run.workplace(limits, manifest["machine"])
    with Ledger(run.folder.ledger) as ledger:
        run.folder.furnish(manifest | {RUN_ID: ledger.run_id})
        ledger.note("command", json.dumps(list(command)))
        return Execution(
            plan=run.plan,
            costs=run.costs,
            workplace=workplace,
            measurements=measurements,
            ledger=ledger,
            console=console,
            environment_hashes={name: lock.digest for name, lock in locks.items()},
            manifest=manifest,
        ).run()
