"""The parts of a job that several kinds share: a trial's code, a slot's device, a text's files."""

from harness.contracts.descriptors import SCRATCH
from harness.contracts.executors import Slot
from harness.plugins.registry import Registry
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.job import Network, Place, TextFiles
from harness.worker.trial import Trial


def network_of(registry: Registry, trial: Trial) -> Network:
    """Return the code of a trial's own model. Raises: PluginError."""
    return _network(registry, trial.cell, trial.backend, trial.implementation)


def scratch_network(registry: Registry, cell: str, backend: str) -> Network:
    """Return the code of a cell's own equations under a backend. Raises: PluginError."""
    return _network(registry, cell, backend, SCRATCH)


def _network(registry: Registry, cell: str, backend: str, implementation: str) -> Network:
    return Network(
        equations=registry.cell(cell).equations,
        backend_target=registry.backend(backend).target,
        implementation_target=registry.implementation_target(cell, backend, implementation),
    )


def place_in(slot: Slot) -> Place:
    """Return a slot as its worker sees it."""
    return Place(device=slot.device, num_threads=slot.num_threads, cores=slot.cores)


def files_of(corpus: TokenisedCorpus) -> TextFiles:
    """Return a text's files."""
    return TextFiles(
        train_path=str(corpus.train_path.absolute()),
        valid_path=str(corpus.valid_path.absolute()),
        vocabulary_path=str(corpus.vocabulary_path.absolute()),
        valid_chars_per_token=corpus.valid_chars_per_token,
        held_out=corpus.held_out,
    )
