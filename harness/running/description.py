"""Words a plan for a terminal: its trials, its searches, its skips, and what it will cost."""

from collections.abc import Sequence
from pathlib import Path

from harness.contracts.executors import Slot
from harness.grid.cost import Prediction
from harness.grid.plan import Plan
from harness.grid.selection import AXES
from harness.grid.tuning import Search
from harness.running.live import duration
from harness.texts.authors import ALL
from harness.worker.trial import Trial


def describe_plan(
    plan: Plan, prediction: Prediction, slots: Sequence[Slot], page: Path, remarks: Sequence[str] = ()
) -> str:
    """Return the plan, the skips with their reasons and the predicted duration, for a terminal.

    ``remarks`` say what becomes of what is recorded.
    """
    varying = [name for name in AXES if name not in _ALWAYS_SHOWN and _varies(plan.runnable, name)]
    lines = [
        f"{trial.trial_id}  {_texts(trial)}, {trial.train_tokens:,} tokens, {_settings(trial, varying)}"
        f"about {duration(seconds)}"
        for trial, seconds in zip(plan.runnable, prediction.trial_seconds, strict=False)  # finals stand behind them
    ]
    lines += [describe_search(search) for search in plan.searches]
    lines += [*describe_skips(plan), *remarks]
    lines.append(
        f"{counted(len(plan.expected), 'trial')} on {_places(slots)}: "
        f"about {duration(prediction.wall_seconds(len(slots)))}. The report would be {page}."
    )
    return "\n".join(lines)


def describe_search(search: Search) -> str:
    """Return one search's budget, its space, and what becomes of the best point."""
    points = counted(len(set(search.trials)), "point")
    return (
        f"{search.search_id}: {points} of {search.words()}; the best by validation is "
        f"trained again under {counted(len(search.seeds), 'seed')}, and only that is ranked."
    )


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
        f"{trial.num_layers} x {trial.num_hiddens}, {counted(trial.num_epochs, 'epoch')}, "
        f"{trial.optimizer} {trial.learning_rate:g}, {others}seed {trial.seed}, "
    )


def describe_skips(plan: Plan) -> list[str]:
    """Return each reason for which trials are skipped, with their number."""
    return [f"skipped: {counted(count, 'trial')}: {reason}" for reason, count in plan.skips.items()]


def _places(slots: Sequence[Slot]) -> str:
    gpus = [slot.name for slot in slots if slot.kind == "gpu"]
    return ", ".join([*gpus, counted(len(slots) - len(gpus), "CPU slot")])


def counted(number: int, noun: str) -> str:
    """Word a number of things: '1 trial', '1,200 trials'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def be(number: int) -> str:
    """Return the verb behind a number of things."""
    return "is" if number == 1 else "are"
