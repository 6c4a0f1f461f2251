"""Words what a run's trials ran on: each machine with its hardware and packages, and how many trials it measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.analysis import wording
from harness.analysis.frames import Run

Facts = list[tuple[str, str]]


def machines(run: Run) -> list[dict[str, Any]]:
    """Return each machine that trained or timed a trial, the one of the last command first; none that is not known.

    Hardware and packages stay with the trials that were measured on them, whatever a later command runs on.
    """
    manifest, trials = run.manifest, run.trials
    last: dict[str, Any] = {
        "python": manifest.python,
        "packages": manifest.packages,
        "hardware": manifest.hardware,
    }
    known = manifest.machines or {"": last}
    begun = trials[trials["num_epochs_done"] > 0]
    used = [name for name in known if (begun["machine"] == name).any() or (begun["timed_on"] == name).any()]
    names = sorted(used or list(known)[-1:], key=lambda name: known[name] != last)
    return [
        {
            "name": name,
            "facts": _facts(known[name]),
            "trained": int((begun["machine"] == name).sum()),
            "timed": int((begun["timed_on"] == name).sum()),
        }
        for name in names
    ]


def _facts(machine: Mapping[str, Any]) -> Facts:
    hardware, packages = machine.get("hardware"), machine.get("packages")
    facts = _hardware(hardware) if isinstance(hardware, dict) else []
    facts += [("Python", str(machine["python"]))] if machine.get("python") else []
    if isinstance(packages, dict) and packages:
        facts.append(("Packages", ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))))
    return facts


def _hardware(hardware: Mapping[str, Any]) -> Facts:
    """Return what the manifest says of the machine, each part worded; parts of another shape are shown as they are."""
    words: dict[str, tuple[str, Callable[[Any], str]]] = {
        "processor": ("Processor", str),
        "logical_cores": ("Logical cores", str),
        "memory_bytes": ("Memory", lambda value: wording.gigabytes(float(value))),
        "gpus": ("GPUs", _word_gpus),
        "system": ("System", str),
    }
    facts = []
    for name, (title, word) in words.items():
        if name not in hardware:
            continue
        try:
            facts.append((title, word(hardware[name])))
        except (TypeError, ValueError, KeyError, AttributeError):
            facts.append((title, str(hardware[name])))
    return facts


def _word_gpus(gpus: Sequence[Mapping[str, Any]]) -> str:
    words = [f"{gpu['name']} ({wording.gigabytes(float(gpu['memory_bytes']))})" for gpu in gpus]
    return wording.enumerate_names(words, 16) or "none"
