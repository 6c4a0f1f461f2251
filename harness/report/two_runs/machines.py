"""Says whether two runs' speeds may be set beside each other: the machines, and how each trial was placed on them."""

import json

import pandas as pd

from harness.record.manifest import Manifest

_PARTS = {"processor": "processor", "logical_cores": "cores", "gpus": "GPUs"}
SAME_RATE = 1.10
"""How far the two runs' sentinels may lie apart on what is to count as one machine in one state."""
_PLACES = {
    "device": "the device", "num_threads": "the threads", "concurrency": "the trials at once",
    "per_device": "the workers a GPU",
}  # fmt: skip
ALONE = ("device", "num_threads")
"""What two trials must share for their speeds alone, and their memory, to be compared."""
TOGETHER = tuple(_PLACES)
"""What they must share for figures of their training, which may be packed."""


def other_machine(before: Manifest, after: Manifest) -> str:
    """Say what differs between the machines; empty where nothing does."""
    known = [{name: _canonical(manifest.hardware.get(name)) for name in _PARTS} for manifest in (before, after)]
    for run, parts in zip("AB", known, strict=True):
        if parts["processor"] == "null" or parts["logical_cores"] == "null":
            return f"the hardware of {run} is not recorded"
    differing = [
        f"{word} {_readable(known[0][name])} in A, {_readable(known[1][name])} in B"
        for name, word in _PARTS.items()
        if known[0][name] != known[1][name]
    ]
    return "; ".join(differing) and f"other hardware: {'; '.join(differing)}"


def _canonical(part: object) -> str:
    """Return a part as JSON; of GPUs their names, as memory that is reserved differs from day to day."""
    if isinstance(part, list):
        part = [gpu.get("name") if isinstance(gpu, dict) else gpu for gpu in part]
    return json.dumps(part, sort_keys=True)


def _readable(canonical: str) -> str:
    value = json.loads(canonical)
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def other_place(before: pd.DataFrame, after: pd.DataFrame, names: tuple[str, ...]) -> str:
    """Say what differs between the places of two groups of trials on their machines."""
    for name in names:
        held = [sorted(frame[name].dropna().unique().tolist()) for frame in (before, after)]
        if held[0] != held[1]:
            words = [", ".join(map(str, values)) or "unknown" for values in held]
            return f"{_PLACES[name]}: {words[0]} in A, {words[1]} in B"
    return ""


def ratio(before: float, after: float) -> float:
    """Return by how much the device itself was faster in the second run, by its sentinel; 1 where not known."""
    return after / before if before > 0 and after > 0 else 1.0
