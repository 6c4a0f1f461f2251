"""From a selection to finished trials: corpora, plan, folder, workers; the one way a run goes."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.contracts.executors import Gpu, OpenExecutor, Slot, SlotRequest
from harness.environments import interpreter_for
from harness.environments.locks import lock_of
from harness.errors import EnvironmentMissing
from harness.grid.cost import Prediction, predict
from harness.grid.plan import Plan, check_texts, choose_plugins, idle_settings, plan_trials
from harness.grid.selection import AXES, Selection
from harness.machine import interruption
from harness.machine.devices import core_numbers, find_gpus
from harness.machine.folders import sweep_cache
from harness.machine.quota import cpu_quota
from harness.machine.terminal import print_line
from harness.plugins.registry import Registry
from harness.plugins.revisions import Revisions
from harness.record import provenance
from harness.record.folder import RunFolder
from harness.record.ledger import FINISHED, RUN_ID, Ledger, recorded_trials
from harness.running import repeats, revising
from harness.running.live import LiveView, duration
from harness.running.observer import Say
from harness.running.scheduler import Runner
from harness.running.timing import EFFORTS, TimingPhase
from harness.running.workplace import LOCAL, Limits, Workplace, open_executor
from harness.texts.authors import ALL
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.trial import Trial


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
class Measurements:
    """What is measured beside the training."""

    parity_steps: int = 5
    timing: str = "quick"
    """'off', or a key of `harness.running.timing.EFFORTS`."""
    num_sessions: int = 1
    """How many timing sessions the run is to have."""
    timed: frozenset[str] | None = None
    """Ids of the trials to time; None is all."""
    anew: tuple[str, ...] = ()
    """Beginnings of the ids of trials to train although they are finished; 'all' is every one."""


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
        """Return the predicted seconds of each trial that can run, by its id."""
        ids = (trial.trial_id for trial in self.plan.runnable)
        return dict(zip(ids, self.prediction.trial_seconds, strict=True))


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
        prediction=predict(plan.runnable, registry, corpora),
        gpus=gpus,
        executor=executor,
        folder=_folder(placement, plan),
    )


def _folder(placement: Placement, plan: Plan) -> RunFolder:
    """Return the folder named by --out, or the plan's own one under reports/, which the same command finds again."""
    return RunFolder(placement.out or Path("reports") / f"{plan.slug}-{plan.digest}")


def describe_plan(run: PreparedRun, anew: Sequence[str] = ()) -> str:
    """Return the plan, the skips with their reasons and the predicted duration, for a terminal.

    What a ledger already holds is read; ``anew`` as in `Measurements`. Raises: UsageError, RunFolderError.
    """
    varying = [name for name in AXES if name not in _ALWAYS_SHOWN and _varies(run.plan.runnable, name)]
    lines = [
        f"{trial.trial_id}  {_texts(trial)}, {trial.train_tokens:,} tokens, {_settings(trial, varying)}"
        f"about {duration(seconds)}"
        for trial, seconds in zip(run.plan.runnable, run.prediction.trial_seconds, strict=True)
    ]
    lines += _skips(run.plan)
    recorded = recorded_trials(run.folder.ledger)
    lines += revising.revise(recorded, _trials(run.plan), Revisions(run.registry), anew).remarks
    lines.append(
        f"{_counted(len(run.plan.runnable), 'trial')} on {_places(run.executor.slots)}: "
        f"about {duration(run.prediction.wall_seconds(len(run.executor.slots)))}. "
        f"The report would be {run.folder.path / 'index.html'}."
    )
    return "\n".join(lines)


def _trials(plan: Plan) -> dict[str, Trial]:
    """Return the plan's trials by their ids, in order."""
    return {planned.trial.trial_id: planned.trial for planned in plan.trials}


def _texts(trial: Trial) -> str:
    return trial.corpus if trial.authors == ALL else f"{trial.corpus} ({trial.authors})"


_ALWAYS_SHOWN = ("num_layers", "num_hiddens", "num_epochs", "optimizer", "learning_rate", "seed")


def _varies(trials: Sequence[Trial], name: str) -> bool:
    return len({getattr(trial, name) for trial in trials if not trial.is_baseline}) > 1


def _settings(trial: Trial, varying: Sequence[str]) -> str:
    """Word what a trial trains with; of the settings less often asked for, those in which the trials differ."""
    if trial.is_baseline:
        return ""
    others = "".join(f"{AXES[name].words.format(getattr(trial, name))}, " for name in varying)
    return (
        f"{trial.num_layers} x {trial.num_hiddens}, {_counted(trial.num_epochs, 'epoch')}, "
        f"{trial.optimizer} {trial.learning_rate:g}, {others}seed {trial.seed}, "
    )


def _skips(plan: Plan) -> list[str]:
    return [f"skipped: {_counted(count, 'trial')}: {reason}" for reason, count in plan.skips.items()]


def _places(slots: Sequence[Slot]) -> str:
    gpus = [slot.name for slot in slots if slot.kind == "gpu"]
    return ", ".join([*gpus, _counted(len(slots) - len(gpus), "CPU slot")])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@dataclass(frozen=True)
class Outcome:
    """How the run's own trials stand after it."""

    statuses: dict[str, str]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """Return 0 when all are ok, 130 after a signal, else 1."""
        if self.interrupted:
            return interruption.EXIT_CODE
        return 0 if all(status == "ok" for status in self.statuses.values()) else 1


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
    workplace, say = run.workplace(limits, manifest["machine"]), partial(print_line, console)
    with Ledger(run.folder.ledger) as ledger:
        run.folder.furnish(manifest | {RUN_ID: ledger.run_id})
        ledger.note("command", json.dumps(list(command)))
        ids = _trials(run.plan)
        revising.put_aside(ids, run.folder, ledger, workplace.revisions, measurements.anew, say)
        repeats.say_what_stands(ledger, ids, workplace, manifest, say)
        for line in _skips(run.plan):
            say(line)
        done = {key for key, status in ledger.statuses().items() if status in FINISHED}
        costs = {key: seconds for key, seconds in run.costs.items() if key not in done}
        interrupted = True
        with contextlib.suppress(KeyboardInterrupt):
            with LiveView(costs, console) as view:
                runner = Runner(
                    workplace=workplace,
                    ledger=ledger,
                    observer=view,
                    parity_steps=measurements.parity_steps,
                    environment_hashes={name: lock.digest for name, lock in locks.items()},
                )
                runner.run(run.plan, cost=lambda trial: costs[trial.trial_id])
            _time(run, workplace, measurements, ledger, say)
            interrupted = False
        statuses = ledger.statuses()
    return Outcome({key: statuses[key] for key in ids}, interrupted)


def _time(run: PreparedRun, workplace: Workplace, measurements: Measurements, ledger: Ledger, say: Say) -> None:
    """Time what is done."""
    if measurements.timing == "off":
        return
    phase, timed = TimingPhase(workplace, ledger, EFFORTS[measurements.timing]), measurements.timed
    trials = [trial for trial in run.plan.runnable if timed is None or trial.trial_id in timed]
    phase.run(trials, measurements.num_sessions, say)
