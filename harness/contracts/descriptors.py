"""What a plugin says about itself: light, frozen descriptors that import no framework.

The heavy part is named as text (``"package.module:attribute"``) and imported only inside a worker
process, or, for corpora, when the corpus is read.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A recurrent cell, written once and run by every backend.

    ``equations`` names a module that satisfies `harness.contracts.cells.Equations`.
    """

    name: str
    title: str
    source: str
    """The paper and the book section the equations come from."""
    equations: str


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A framework that trains every cell.

    ``target`` names a callable that returns a `harness.contracts.backends.Backend`; it is called
    inside a worker, in an interpreter that satisfies ``requirements``.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    """PEP 508 requirements of the worker's interpreter."""
    target: str
    gpu_requirements: tuple[str, ...] = ()
    """What an environment built on a machine with GPUs holds instead, where that differs."""
    requires_python: str = ""
    preference: int = 0
    """Where no backend is named, the available one with the largest preference runs."""
    uses_gpus: bool = False
    environment: tuple[str, ...] = ()
    """Names of environment variables its workers may see beside the harness's own allow-list."""


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """A backend's own way to run one cell, beside the cell's equations (``scratch``).

    ``target`` names a callable ``build(backend, equations, architecture, training) -> Model``
    (see `harness.contracts.backends`).
    """

    cell: str
    backend: str
    name: str
    target: str
    preference: int = 0
    """'auto' takes the pair's implementation with the largest."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model that is not recurrent and takes no training steps: fitted once a text, and set beside the cells.

    ``target`` names a callable ``fit(text: TrainingText, say: Say) -> Fitted`` (see `harness.contracts.baselines`); it
    is called inside a worker of the harness's own interpreter.
    """

    name: str
    title: str
    source: str
    target: str
    family: str = ""
    """A name that selects several baselines at once, as 'ngram' does its orders."""
    is_yardstick: bool = False
    """Whether it is fitted unasked to short texts: who needs far less than it is suspect. One baseline is."""
    requirements: tuple[str, ...] = ()
    """PEP 508 requirements it has beside the harness's own."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A named text, or several by several authors.

    ``loader`` names a callable ``load(request: CorpusRequest) -> Sequence[Document]``
    (see `harness.contracts.corpora`), called in the parent process when the corpus is selected.
    """

    name: str
    title: str
    authors: tuple[str, ...]
    licence: str
    loader: str
    source: str = ""
    """Where the text comes from, for a reader."""
    size: str = field(default="")
    """About how large it is, for a reader: '0.7 MB, 32 chapters'."""
    parameters: tuple[str, ...] = ()
    """Of a corpus that is generated: 'name=default' each; ``--corpus NAME:name=value,…`` gives others."""
    downloaded: bool = False
    """Whether it is fetched over the network where ``--corpora-dir`` does not have it."""
    books: tuple[str, ...] = ()
    """The names of its documents (`Document.name`), so that one can be picked, or missed, before any is read."""
    files: tuple[str, ...] = ()
    """What is fetched, as it lies under ``--corpora-dir`` or in the downloads folder."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A question put to a run, and the trials that would answer it.

    ``target`` names a module that satisfies `harness.contracts.exercises.ExerciseModule`; it is imported in the parent
    process when the exercise is planned or answered.
    """

    name: str
    """Its id: 'deep-rnn-1'."""
    question: str
    source: str
    """Where it is asked: a book's label, a paper, or a sentence."""
    target: str
    chapter: str = ""
    """Exercises of one chapter stand together, chapters in the order of their names."""
    position: int = 0
    """Its place within the chapter."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """A way to place workers: on this machine, or on others.

    ``target`` names a callable ``open(request: SlotRequest) -> OpenExecutor`` (see `harness.contracts.executors`);
    it is called in the parent process when a run is prepared.
    """

    name: str
    title: str
    target: str
    requirements: tuple[str, ...] = ()
    """PEP 508 requirements it has beside the harness's own."""


SCRATCH = "scratch"
"""The implementation every pair of cell and backend has: the cell's equations under the backend's autodiff."""
REFERENCE_BACKEND = "numpy"
"""The backend every other is held against: it runs wherever the harness does."""
