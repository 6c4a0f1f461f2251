"""Checkpoints: safetensors files in the canonical layout, which every backend reads and no pickle can hide in."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.files import replacing
from harness.contracts.weights import Weights


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

    def write(self, path: Path) -> None:
        """Write atomically: a kill leaves the former checkpoint or this one."""
        from safetensors.numpy import save_file

        metadata = {
            "trial_id": self.trial_id,
            "epoch": str(self.epoch),
            "vocabulary": json.dumps(self.vocabulary),
            "first_step_seconds": repr(self.first_step_seconds),
        }
        # Contiguous copies: safetensors writes a view's buffer, not its strides.
        tensors = {name: np.ascontiguousarray(array) for name, array in (self.weights | self.optimizer_state).items()}
        with replacing(path) as staging:
            # Straight to the file: the bytes of it all would take seven times the weights' memory.
            save_file(tensors, staging, metadata)
            staging.chmod(0o666 & ~_umask())  # the library lets nobody but the owner read it

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint.

        Raises: ValueError for a file that is not a whole checkpoint; OSError where it cannot be opened.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint at {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata: dict[str, Any] = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return cls(
                trial_id=metadata["trial_id"],
                epoch=int(metadata["epoch"]),
                weights={name: array for name, array in arrays.items() if not name.startswith("optimizer.")},
                optimizer_state={name: array for name, array in arrays.items() if name.startswith("optimizer.")},
                vocabulary=json.loads(metadata["vocabulary"]),
                first_step_seconds=float(metadata["first_step_seconds"]),
            )
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a whole checkpoint: {error}") from None


def _umask() -> int:
    """Return the permissions new files lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a checkpoint's arrays without reading them; none where it can't be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError):
        return {}
