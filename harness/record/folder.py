"""The folder a run leaves: where each file lies, who may write, and what the manifest says."""

import contextlib
import errno
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock

import harness
from harness.contracts.executors import Gpu
from harness.environments.store import Lock
from harness.errors import RunFolderError
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


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run's folder."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.path / "run.sqlite"

    @property
    def manifest(self) -> Path:
        """What ran, on what."""
        return self.path / "manifest.json"

    def log(self, trial_id: str) -> Path:
        """Return the file of a trial's standard output and error."""
        return self.path / "logs" / f"{trial_id}.log"

    def job(self, trial_id: str) -> Path:
        """Return a trial's job file."""
        return self.path / "logs" / f"{trial_id}.job.json"

    def checkpoint(self, trial_id: str) -> Path:
        """Return the file of a trial's last weights."""
        return self.path / "checkpoints" / f"{trial_id}.safetensors"

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder, if need be, and hold it alone.

        Raises: RunFolderError where it cannot be written or another harness holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The operating system drops the lock with the process, also after kill -9.
            lock = filelock.FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except filelock.Timeout:
            raise RunFolderError(
                f"Another harness is running in {self.path}: wait for it, or name another folder with --out."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            yield
        finally:
            lock.release()

    def read_manifest(self) -> dict[str, Any]:
        """Return what an earlier command in this folder wrote; nothing where it can't be read."""
        try:
            manifest = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def furnish(self, manifest: dict[str, Any]) -> None:
        """Make the inner folders, write the manifest atomically, and sweep up after a kill. Raises: RunFolderError."""
        staging = self.manifest.with_suffix(".part")
        try:
            self.make_rooms()
            for leftover in (self.path / "checkpoints").glob("*.part"):
                leftover.unlink()
            staging.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            staging.replace(self.manifest)
        except OSError as error:
            raise self._unwritable(error) from None

    def make_rooms(self) -> None:
        """Make the inner folders. Raises: OSError."""
        for folder in (self.path / "logs", self.path / "checkpoints"):
            folder.mkdir(exist_ok=True)

    def _unwritable(self, error: OSError) -> RunFolderError:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return RunFolderError(
            f"The run folder {self.path} cannot be written ({error.strerror or error}): "
            f"{'free some space, or ' if is_full else ''}name another folder with --out."
        )

    def point_latest_here(self) -> None:
        """Let the link ``latest`` beside the folder lead to it, where the file system has links."""
        link = self.path.parent / "latest"
        staging = self.path.parent / f".latest.{os.getpid()}"
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)
            staging.symlink_to(self.path.name)
            try:
                staging.replace(link)
            finally:
                staging.unlink(missing_ok=True)


def choose(out: Path | None, plan: Plan) -> RunFolder:
    """Return the folder named by --out, or the plan's own one under reports/ in the current folder."""
    return RunFolder(out if out is not None else Path("reports") / f"{plan.slug}-{plan.digest}")


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
    return {
        "command": list(command),
        "harness_version": harness.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {"digest": plan.digest, "trials": len(plan.trials), "runnable": len(plan.runnable)},
        "python": platform.python_version(),
        "packages": _versions([*_RECORDED_DISTRIBUTIONS, *sorted(backends)]),
        "hardware": _hardware(gpus),
        "environments": {name: asdict(lock) | {"digest": lock.digest} for name, lock in locks.items()},
        "corpora": [_corpus(corpus, registry) for corpus in corpora],
        "seeds": sorted({planned.trial.seed for planned in plan.trials}),
    }


def joined(manifest: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with what an earlier, different command left in the same folder.

    Its trials are still in the ledger, so its texts, seeds and environments still belong to the run.
    """
    commands = [*earlier.get("earlier_commands", []), earlier.get("command")]
    known = {corpus["digest"] for corpus in manifest["corpora"]}
    corpora = [corpus for corpus in earlier.get("corpora", []) if corpus.get("digest") not in known]
    return manifest | {
        "earlier_commands": [command for command in commands if command and command != manifest["command"]],
        "environments": earlier.get("environments", {}) | manifest["environments"],
        "corpora": manifest["corpora"] + corpora,
        "seeds": sorted({*manifest["seeds"], *earlier.get("seeds", [])}),
    }


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
