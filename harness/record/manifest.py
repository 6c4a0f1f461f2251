"""Reads a run's manifest: what was asked for, and on what it ran. A missing or damaged part is said, never guessed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.record.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The parts of manifest.json that could be read; what could not is empty and named in ``problem``."""

    command: list[str] = field(default_factory=list)
    earlier_commands: list[list[str]] = field(default_factory=list)
    """Other commands that trained in the same folder before."""
    figure: str = "valid_perplexity"
    """The figure the experiment's source reports."""
    harness_version: str = ""
    created: str = ""
    python: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Python, packages and hardware of each machine that trained, by what trials.csv calls it."""
    corpora: list[dict[str, Any]] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    problem: str = ""
    """One sentence for the reader of the page; empty where all was read."""


_SHAPES: dict[str, tuple[type, type | None]] = {
    "command": (list, str),
    "harness_version": (str, None),
    "created": (str, None),
    "python": (str, None),
    "packages": (dict, str),
    "hardware": (dict, None),
    "corpora": (list, dict),
    "seeds": (list, int),
}
"""Each part's type, and its items' where the page relies on it."""


def read_manifest(folder: Path) -> Manifest:
    """Read the folder's manifest as far as it can be read."""
    path = RunFolder(folder).manifest
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Manifest(problem=f"{path.name} is missing: the command, versions, hardware and corpora are not known.")
    except (OSError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return Manifest(problem=f"{path.name} is damaged: the command, versions, hardware and corpora are not known.")
    sound = {name: values[name] for name in _SHAPES if name in values and _fits(values[name], *_SHAPES[name])}
    earlier = values.get("earlier_commands")
    if isinstance(earlier, list):
        sound["earlier_commands"] = [command for command in earlier if _fits(command, list, str)]
    machines = values.get("machines")
    if isinstance(machines, dict) and all(isinstance(machine, dict) for machine in machines.values()):
        sound["machines"] = machines
    experiment = values.get("experiment")
    if isinstance(experiment, dict) and isinstance(experiment.get("figure"), str):
        sound["figure"] = experiment["figure"]
    lost = [name for name in _SHAPES if name not in sound]
    problem = f"{path.name} is damaged: it does not say, or not readably: {', '.join(lost)}." if lost else ""
    return Manifest(**sound, problem=problem)


def _fits(value: object, kind: type, item: type | None) -> bool:
    if not isinstance(value, kind):
        return False
    if item is None:
        return True
    items = value.values() if isinstance(value, dict) else value
    return all(isinstance(each, item) for each in items)  # type: ignore[attr-defined]
