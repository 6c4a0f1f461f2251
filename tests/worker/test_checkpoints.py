"""Checkpoints: whole or absent, read back as written, and no pickle."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.worker.best_epoch import BestEpoch
from harness.worker.checkpoints import Checkpoint, shapes_in

CHECKPOINT = Checkpoint(
    trial_id="lstm-1",
    epoch=3,
    weights={"output.W": np.arange(6, dtype=np.float32).reshape(2, 3), "output.b": np.zeros(2, np.float32)},
    optimizer_state={"optimizer.step": np.array([7.0])},
    vocabulary=["<unk>", " ", "é", "\n"],
    first_step_seconds=0.25,
)


def test_a_checkpoint_reads_back_as_it_was_written(tmp_path):
    CHECKPOINT.write(tmp_path / "c.safetensors")
    read = Checkpoint.read(tmp_path / "c.safetensors")
    assert np.array_equal(read.weights["output.W"], CHECKPOINT.weights["output.W"])
    assert replace(read, weights={}, optimizer_state={}) == replace(CHECKPOINT, weights={}, optimizer_state={})
    assert read.optimizer_state == CHECKPOINT.optimizer_state
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_the_best_epoch_s_weights_are_stored_beside_those_of_a_later_epoch_and_not_twice(tmp_path):
    other = {name: array + 1 for name, array in CHECKPOINT.weights.items()}
    for best in (BestEpoch(2, 1.5, other), BestEpoch(3, 1.25, CHECKPOINT.weights)):
        replace(CHECKPOINT, best=best).write(tmp_path / "c")
        read = Checkpoint.read(tmp_path / "c")
        assert (read.best.epoch, read.best.valid_loss) == (best.epoch, best.valid_loss)
        assert np.array_equal(read.best.weights["output.W"], best.weights["output.W"])
        assert read.weights.keys() == CHECKPOINT.weights.keys()
        assert shapes_in(tmp_path / "c", "lstm-1") == {"output.W": (2, 3), "output.b": (2,), "optimizer.step": (1,)}
    assert len(load_file(tmp_path / "c")) == len(CHECKPOINT.weights) + 1


def test_of_a_checkpoint_of_before_the_best_epoch_is_not_known_and_no_later_one_passes_for_it(tmp_path):
    metadata = {"trial_id": "lstm-1", "epoch": "3", "vocabulary": "[]", "first_step_seconds": "0.25"}
    save_file(CHECKPOINT.weights, tmp_path / "c", metadata)
    best = Checkpoint.read(tmp_path / "c").best
    best.consider(None, 4, 0.1)
    assert best.epoch == 0


def test_a_checkpoint_has_the_permissions_of_any_new_file(tmp_path):
    CHECKPOINT.write(tmp_path / "c.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "c.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.slow
def test_writing_a_checkpoint_takes_little_memory_beside_the_weights(tmp_path):
    # In a process of its own: what it once held, a process holds on to.
    code = """if True:
        import sys
        from pathlib import Path
        import numpy as np
        from harness.worker.checkpoints import Checkpoint
        from harness.worker.process import peak_rss_bytes
        def write(size):
            weights = {f"W{k}": np.ones(size // 16, np.float32) for k in range(4)}
            checkpoint = Checkpoint(trial_id="t", epoch=1, weights=weights, optimizer_state={}, vocabulary=[])
            checkpoint.write(Path(sys.argv[1]))
        write(16)
        before = peak_rss_bytes()
        write(1 << 25)
        print((peak_rss_bytes() - before) / (1 << 25))
    """
    said = subprocess.run([sys.executable, "-c", code, tmp_path / "c"], capture_output=True, text=True, check=True)
    assert float(said.stdout) < 1.5  # the weights themselves are 1


def test_a_transposed_view_is_written_as_it_is_seen(tmp_path):
    view = np.arange(6, dtype=np.float32).reshape(2, 3).T
    replace(CHECKPOINT, weights={"W": view}).write(tmp_path / "c")
    assert np.array_equal(Checkpoint.read(tmp_path / "c").weights["W"], view)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_cut_file_is_not_a_checkpoint(tmp_path, keep):
    path = tmp_path / "c"
    CHECKPOINT.write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        Checkpoint.read(path)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "c"
    CHECKPOINT.write(path)
    whole, generator = path.read_bytes(), random.Random(7)
    for _ in range(300):
        changed = bytearray(whole)
        changed[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        try:
            read = Checkpoint.read_own(path, "lstm-1", [CHECKPOINT.digest])
        except ValueError:
            continue
        assert read.digest == CHECKPOINT.digest  # the name of the file's own digest was hit, say


def test_a_digest_is_of_all_that_a_checkpoint_holds():
    changes = (
        {"trial_id": "lstm-2"},
        {"epoch": 4},
        {"vocabulary": ["<unk>", " ", "e", "\n"]},
        {"first_step_seconds": 0.5},
        {"optimizer_state": {"optimizer.step": np.array([8.0])}},
        {"weights": {**CHECKPOINT.weights, "output.W": CHECKPOINT.weights["output.W"].reshape(3, 2)}},
        {"weights": {**CHECKPOINT.weights, "output.b": np.zeros(2, np.float64)}},
    )
    digests = {CHECKPOINT.digest, *(replace(CHECKPOINT, **change).digest for change in changes)}
    assert len(digests) == 1 + len(changes)


def test_only_a_trial_s_own_checkpoint_that_was_recorded_is_read(tmp_path):
    path = tmp_path / "c"
    CHECKPOINT.write(path)
    for digests in ((), (CHECKPOINT.digest,), ("other", CHECKPOINT.digest)):
        assert Checkpoint.read_own(path, "lstm-1", digests).epoch == 3
    with pytest.raises(ValueError, match="is the checkpoint of the trial lstm-1"):
        Checkpoint.read_own(path, "lstm-2", ())
    with pytest.raises(ValueError, match="is not the checkpoint that the ledger knows"):
        Checkpoint.read_own(path, "lstm-1", ("other",))
    assert shapes_in(path, "lstm-1")["output.b"] == (2,)
    assert shapes_in(path, "lstm-2") == {}


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        Checkpoint.read(tmp_path / "none")
