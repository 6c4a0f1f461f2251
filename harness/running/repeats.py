"""What a repeated command would run on that its finished trials did not: they stay as they were measured."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.environments import interpreter_for
from harness.environments.locks import lock_of
from harness.environments.store import Lock
from harness.record.ledger import FINISHED, Ledger
from harness.running.description import counted
from harness.running.observer import Say
from harness.running.workplace import Workplace
from harness.worker.trial import NO_BACKEND, Trial

_HARDWARE = ("processor", "logical_cores", "gpus")
Row = Mapping[str, Any]


def say_what_stands(
    ledger: Ledger, plan: Collection[str], workplace: Workplace, manifest: Mapping[str, Any], say: Say
) -> None:
    """Say how many of a plan's trials, by their ids, are finished already, and what they ran on that is another now.

    ``manifest`` is what `harness.record.provenance` describes.
    """
    done = [row for row in ledger.trials() if row["trial_id"] in plan and row["status"] in FINISHED]
    if done:
        say(f"{len(done):,} of {counted(len(plan), 'trial')}: finished already, not trained again.")
    backends = dict.fromkeys(row["backend"] for row in done if row["backend"] != NO_BACKEND)
    registry = workplace.registry
    locks = {name: lock_of(interpreter_for(registry.backend(name))) for name in backends if name in registry.backends}
    for line in differences(done, workplace, locks, manifest["machines"]):
        say(line)


def differences(
    rows: Sequence[Row], workplace: Workplace, locks: Mapping[str, Lock], machines: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a sentence for each way in which finished trials ran otherwise than they would now.

    ``locks`` are by backend, ``machines`` as the manifest has them.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        trial = Trial.from_dict(dict(row))
        before = _before(row, machines.get(str(row.get("machine") or ""), {}))
        now = _now(trial, workplace, locks.get(trial.backend), machines[workplace.machine])
        counts[tuple(_changes(before, now))] += 1
    for changes, number in counts.items():
        if changes:
            stay = "it stays as it was" if number == 1 else "they stay as they were"
            yield f"{counted(number, 'finished trial')} had {', '.join(changes)}: {stay} measured; --force trains anew."


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in before.items():
        if name in now and value not in (None, now[name]):
            yield f"{name} {_worded(value)} (now {_worded(now[name])})"


def _worded(value: object) -> str:
    if isinstance(value, list):
        return (
            ", ".join(str(each.get("name", each)) if isinstance(each, dict) else str(each) for each in value) or "none"
        )
    return str(value)


def _before(row: Row, machine: Mapping[str, Any]) -> dict[str, Any]:
    versions = row.get("versions")
    return {
        "threads": row.get("num_threads"),
        "device": _device(str(row["slot"])) if row.get("slot") else None,
        **(versions if isinstance(versions, dict) else {}),
        **_hardware(machine),
    }


def _now(trial: Trial, workplace: Workplace, lock: Lock | None, machine: Mapping[str, Any]) -> dict[str, Any]:
    slot = workplace.first_slot(trial)
    versions = dict(text.split("==", 1) for text in lock.distributions) if lock else {}
    python = {"python": lock.python} if lock else {}
    return {"threads": slot.num_threads, "device": _device(slot.name), **versions, **python, **_hardware(machine)}


def _device(slot: str) -> str:
    return slot.partition(":")[0]


def _hardware(machine: Mapping[str, Any]) -> dict[str, Any]:
    hardware = machine.get("hardware")
    known = hardware if isinstance(hardware, dict) else {}
    return {name.replace("_", " "): known[name] for name in _HARDWARE if name in known}
