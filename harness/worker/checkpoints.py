"""Checkpoints: safetensors files in the canonical layout, which every backend reads and no pickle can hide in."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.files import new_file_mode, replacing
from harness.contracts.weights import Weights
from harness.worker.best_epoch import BestEpoch

_OPTIMIZER, _BEST = "optimizer.", "best."
"""How the names of arrays begin that are not the model's own."""


class CheckpointError(ValueError):
    """A file that is not the whole checkpoint of the trial it is read for."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model's weights after some epochs, with what is needed to go on or to generate text."""

    trial_id: str
    epoch: int
    weights: Weights
    optimizer_state: Weights
    """Empty once the trial is finished."""
    vocabulary: list[str]
    first_step_seconds: float = 0.0
    best: BestEpoch = field(default_factory=BestEpoch)
    """Its weights are stored where they are not the checkpoint's own; dropped once they have been evaluated."""

    @cached_property
    def digest(self) -> str:
        """Hash of all it holds: it stands in the file, and in the ledger too."""
        content = hashlib.sha256(json.dumps(self._metadata(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            # One contiguous copy at a time: all of them would be the weights once more.
            contiguous = np.ascontiguousarray(array)
            content.update(json.dumps([name, contiguous.dtype.str, contiguous.shape]).encode())
            content.update(contiguous.data)
        return content.hexdigest()

    def _arrays(self) -> Weights:
        best = {} if self.best.epoch == self.epoch else self.best.weights
        return {**self.weights, **self.optimizer_state, **{f"{_BEST}{name}": array for name, array in best.items()}}

    def _metadata(self) -> dict[str, str]:
        return {
            "trial_id": self.trial_id,
            "epoch": str(self.epoch),
            "vocabulary": json.dumps(self.vocabulary),
            "first_step_seconds": repr(self.first_step_seconds),
            "best_epoch": str(self.best.epoch),
            "best_valid_loss": repr(self.best.valid_loss),
        }

    def write(self, path: Path) -> None:
        """Write atomically: a kill leaves the former checkpoint or this one."""
        from safetensors.numpy import save_file

        # Contiguous copies: safetensors writes a view's buffer, not its strides.
        tensors = {name: np.ascontiguousarray(array) for name, array in self._arrays().items()}
        with replacing(path) as staging:
            # Straight to the file: the bytes of it all would take seven times the weights' memory.
            save_file(tensors, staging, {**self._metadata(), "digest": self.digest})
            staging.chmod(new_file_mode())  # the library lets nobody but the owner read it

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint, whoever's it is.

        Raises: CheckpointError for a file that is not a whole checkpoint; OSError where it cannot be opened.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint at {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata: dict[str, Any] = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            checkpoint = cls(
                trial_id=metadata["trial_id"],
                epoch=int(metadata["epoch"]),
                weights={name: array for name, array in arrays.items() if _is_own(name)},
                optimizer_state={name: array for name, array in arrays.items() if name.startswith(_OPTIMIZER)},
                vocabulary=json.loads(metadata["vocabulary"]),
                first_step_seconds=float(metadata["first_step_seconds"]),
                best=_best_epoch(metadata, arrays),
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is not a whole checkpoint: {error}") from None
        # One of the version before has no digest of its own.
        if metadata.get("digest", checkpoint.digest) != checkpoint.digest:
            raise CheckpointError(f"{path} is not a whole checkpoint: its content is not what was written")
        return checkpoint

    @classmethod
    def read_own(cls, path: Path, trial_id: str, digests: Collection[str]) -> "Checkpoint":
        """Read a trial's own checkpoint; ``digests`` are those the ledger knows of it, none in one of before.

        Raises: CheckpointError where it is damaged, another trial's, or not the one that was recorded; OSError.
        """
        checkpoint = cls.read(path)
        if checkpoint.trial_id != trial_id:
            raise CheckpointError(f"{path} is the checkpoint of the trial {checkpoint.trial_id}")
        if digests and checkpoint.digest not in digests:
            raise CheckpointError(f"{path} is not the checkpoint that the ledger knows of this trial")
        return checkpoint


def _is_own(name: str) -> bool:
    return not name.startswith((_OPTIMIZER, _BEST))


def _best_epoch(metadata: dict[str, Any], arrays: Weights) -> BestEpoch:
    """Return the best epoch a checkpoint knows; of one that an earlier version wrote it is not known."""
    epoch = metadata.get("best_epoch", "0")
    if epoch == metadata["epoch"]:
        weights = {name: array for name, array in arrays.items() if _is_own(name)}
    else:
        weights = {name.removeprefix(_BEST): array for name, array in arrays.items() if name.startswith(_BEST)}
    return BestEpoch(int(epoch), float(metadata.get("best_valid_loss", "nan")), weights)


def shapes_in(path: Path, trial_id: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a trial's checkpoint without reading it; none where it can't be read or is another's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("trial_id") != trial_id:
                return {}
            names = [name for name in file.keys() if not name.startswith(_BEST)]  # noqa: SIM118 (not a dict)
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError):
        return {}
