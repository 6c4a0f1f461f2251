"""The folder a run leaves: where each file lies, and who may write."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from harness.contracts.files import new_file_mode, replacing, sweep, write_whole
from harness.errors import RunFolderError, lacks_space, storage_problem


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
            lock = filelock.FileLock(self.path / ".lock", timeout=0, mode=new_file_mode())
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

    def raw_manifest(self) -> dict[str, Any]:
        """Return the manifest as an earlier command in this folder wrote it; nothing where it can't be read."""
        try:
            manifest = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def furnish(self, manifest: dict[str, Any]) -> None:
        """Make the inner folders, write the manifest atomically, and sweep up after a kill. Raises: RunFolderError."""
        try:
            self.make_rooms()
            self.sweep()
            write_whole(self.manifest, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def sweep(self) -> None:
        """Remove what processes that are gone had begun to write."""
        for folder in (self.path, self.path / "logs", self.path / "checkpoints"):
            sweep(folder)

    def make_rooms(self) -> None:
        """Make the inner folders. Raises: OSError."""
        for folder in (self.path / "logs", self.path / "checkpoints"):
            folder.mkdir(exist_ok=True)

    def rename(self, trial_id: str, new_id: str) -> None:
        """Move what a trial left to another id. Raises: RunFolderError."""
        for path in (self.log, self.job, self.checkpoint):
            try:
                with contextlib.suppress(FileNotFoundError):
                    path(trial_id).replace(path(new_id))
            except OSError as error:
                raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"The run folder {storage_problem(self.path, error)}: "
            f"{'free some space, or ' if lacks_space(error) else ''}name another folder with --out."
        )

    def point_latest_here(self) -> None:
        """Let the link ``latest`` beside the folder lead to it, where the file system has links."""
        with contextlib.suppress(OSError), replacing(self.path.parent / "latest") as staging:
            staging.symlink_to(self.path.name)
