"""Which peers can run here: for each its loop, its interpreter, and what its clock spans; the rest with the reason."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contracts.corpora import CorpusRequest
from harness.environments import interpreter_for
from harness.environments.links import linked_packages
from harness.environments.variables import worker_environment
from harness.errors import EnvironmentMissing
from harness.machine.folders import default_cache_dir
from harness.plugins.registry import Registry
from harness_books import catalogue
from harness_books.books import pinned
from harness_books.pinned import read_pinned

HERE = Path(__file__).parent
D2L = "d2l==0.17.6"
STEP = (
    "inputs (one-hot, ours looked up), forward, cross entropy, backward, clipping to a global norm of 1, SGD, "
    "state detached"
)


class Unavailable(Exception):  # noqa: N818 (available or not is what it says)
    """A peer that cannot run here; the words say why."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One program to be timed."""

    name: str
    loop: str
    clock: str
    """What a block's clock spans."""
    backend: str = ""
    """Whose interpreter and variables it takes; none is the current one."""
    options: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[], dict[str, Any]] = dict
    """Returns further options, once it has made what the peer needs. Raises: Unavailable."""
    own_data: bool = False
    """Whether it draws its own weights and reads its own minibatches."""

    def command(self, registry: Registry, num_threads: int) -> tuple[list[str], dict[str, str]]:
        """Return the interpreter with the loop, and the variables it sees. Raises: Unavailable."""
        python, passed = sys.executable, ()
        own = {"HARNESS_CACHE_DIR": str(default_cache_dir()), "PYTHONPATH": str(HERE)}
        if self.backend:
            try:
                interpreter = interpreter_for(registry.backend(self.backend))
            except EnvironmentMissing as missing:
                raise Unavailable(str(missing)) from None
            python, passed = interpreter.python, registry.backend(self.backend).environment
            if interpreter.state is not None:
                own["PYTHONPATH"] += os.pathsep + str(linked_packages(registry.targets()))
        return [python, str(HERE / self.loop)], worker_environment(num_threads, own, passed, os.environ)


def corpora_dir() -> Path | None:
    """Return the folder that may hold the Time Machine already."""
    named = os.environ.get("HARNESS_CORPORA_DIR")
    return Path(named) if named else None


def d2l_home() -> dict[str, Any]:
    """Install D2L without its requirements into a folder of the cache, and lay its text beside. Raises: Unavailable."""
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("D2L 0.17.6 needs PyTorch: pip install 'rnn-harness[torch]'")
    home = default_cache_dir() / "peers" / D2L
    if not (home / "d2l" / "torch.py").is_file():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(home), D2L]
        if subprocess.run(command, check=False).returncode:
            raise Unavailable(f"{D2L} could not be installed (pip install --no-deps {D2L})")
    for folder in (home / "data", home / "run"):
        folder.mkdir(exist_ok=True)
    request = CorpusRequest(mirror=corpora_dir(), downloads=default_cache_dir() / "downloads", show_progress=False)
    (book,) = catalogue.read().books_of("time-machine")
    (home / "data" / "timemachine.txt").write_bytes(read_pinned(pinned(book), request))
    return {"d2l_home": str(home), "book_dir": str(home / "run")}


D2L_PEER = Peer(
    name="d2l",
    loop="d2l_loop.py",
    backend="torch",
    options={"kind": "speed"},
    prepare=d2l_home,
    own_data=True,
    clock="train_epoch_ch8, whole epochs of D2L's own minibatches: one-hot inputs, forward, CrossEntropyLoss, "
    "backward, its grad_clipping(1), SGD, its loss accumulator",
)
PEERS = (
    Peer(
        name="native",
        loop="harness_loop.py",
        backend="numpy",
        options={"implementation": "native"},
        clock=f"{STEP}, and top-1 and top-5 accuracy of every step",
    ),
    Peer(
        name="fused",
        loop="harness_loop.py",
        backend="numpy",
        options={"implementation": "fused"},
        clock=f"{STEP}, and top-1 and top-5 accuracy of every step",
    ),
    Peer(name="torch", loop="torch_loop.py", backend="torch", clock=f"torch.nn.RNN, GRU, LSTM: {STEP}"),
    Peer(name="mxnet", loop="mxnet_loop.py", backend="mxnet", clock=f"gluon.rnn.RNN, GRU, LSTM, hybridized: {STEP}"),
    Peer(
        name="keras",
        loop="keras_loop.py",
        backend="tensorflow",
        clock=f"Keras's layers in one tf.function: {STEP}; SimpleRNN and "
        "LSTM have one bias where the others have two, so it moves half as far and their third loss differs",
    ),
    Peer(name="jax", loop="jax_loop.py", backend="jax", clock=f"lax.scan in one jitted function: {STEP}"),
    D2L_PEER,
)
SENTINEL = Peer(
    name="product",
    loop="harness_loop.py",
    backend="numpy",
    options={"implementation": "product"},
    clock="float32 products of 2048 x 2048 matrices in NumPy: the peak that shares refer to",
)
OURS = "native"
"""The peer that the others are held against."""
