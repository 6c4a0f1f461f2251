"""What the manifest says of a run: what was asked for, of which texts, with which versions, on which machine."""

import contextlib
import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import harness
from harness.contracts.executors import Gpu
from harness.environments.store import Lock
from harness.grid.plan import Plan
from harness.machine.devices import available_cores
from harness.plugins.registry import Registry
from harness.texts.tokenised import TokenisedCorpus

_RECORDED_DISTRIBUTIONS = (
    "rnn-harness",
    "numpy",
    "autograd",
    "pandas",
    "altair",
    "pluggy",
    "safetensors",
    "scipy",
    "zstandard",
)


def describe(
    command: Sequence[str],
    plan: Plan,
    corpora: Sequence[TokenisedCorpus],
    registry: Registry,
    gpus: Sequence[Gpu],
    locks: Mapping[str, Lock],
) -> dict[str, Any]:
    """Return the manifest: the command, the plan, versions, hardware, environments, corpora and seeds."""
    backends = {planned.trial.backend for planned in plan.trials}
    machine = {
        "python": platform.python_version(),
        "packages": _versions([*_RECORDED_DISTRIBUTIONS, *sorted(backends)]),
        "hardware": _hardware(gpus),
    }
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:8]
    return {
        "command": list(command),
        "harness_version": harness.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {"digest": plan.digest, "trials": len(plan.trials), "runnable": len(plan.runnable)},
        **machine,
        "machine": digest,
        "machines": {digest: machine},
        "environments": {name: asdict(lock) | {"digest": lock.digest} for name, lock in locks.items()},
        "corpora": [_corpus(corpus, registry) for corpus in corpora],
        "seeds": sorted({planned.trial.seed for planned in plan.trials}),
    }


def joined(manifest: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with what earlier commands left in the same folder.

    Their trials are still in the ledger, so their texts, seeds, environments and machines still belong to the run.
    """
    commands = [*earlier.get("earlier_commands", []), earlier.get("command")]
    known = {corpus["digest"] for corpus in manifest["corpora"]}
    corpora = [corpus for corpus in earlier.get("corpora", []) if corpus.get("digest") not in known]
    return manifest | {
        "earlier_commands": [command for command in commands if command and command != manifest["command"]],
        "machines": _machines(earlier) | manifest["machines"],
        "environments": earlier.get("environments", {}) | manifest["environments"],
        "corpora": manifest["corpora"] + corpora,
        "seeds": sorted({*manifest["seeds"], *earlier.get("seeds", [])}),
    }


def _machines(earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the machines of earlier commands; an older manifest has one, under no name, as its trials name none."""
    if "machines" in earlier:
        return dict(earlier["machines"])
    machine = {name: earlier[name] for name in ("python", "packages", "hardware") if name in earlier}
    return {"": machine} if machine else {}


def _versions(names: Sequence[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _hardware(gpus: Sequence[Gpu]) -> dict[str, Any]:
    import psutil

    return {
        "processor": _processor(),
        "logical_cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "gpus": [asdict(gpu) for gpu in gpus],
    }


def _processor() -> str:
    # Asking the processor itself takes over a second and a subprocess; on Linux its name is in a file.
    if sys.platform == "linux":
        with contextlib.suppress(OSError, StopIteration):
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.machine())


def _corpus(corpus: TokenisedCorpus, registry: Registry) -> dict[str, Any]:
    described = asdict(corpus)
    for name in ("train_path", "valid_path", "vocabulary_path", "held_out"):
        del described[name]
    described["held_out_tokens"] = _held_out_tokens(corpus)
    plugin = registry.corpora.get(corpus.name) or registry.corpora.get(corpus.name.partition(":")[0])
    about = {"title": plugin.title, "licence": plugin.licence, "source": plugin.source} if plugin else {}
    return described | {"title": corpus.name, "licence": "", "source": "a local text"} | about


def _held_out_tokens(corpus: TokenisedCorpus) -> dict[str, dict[str, int]]:
    """Return the sizes of each author's held-out parts."""
    tokens: dict[str, dict[str, int]] = {}
    for part in corpus.held_out:
        tokens.setdefault(part.author, {})[part.part] = part.num_tokens
    return tokens
