"""Generated texts are kept by what they are made from, with their entropy: a source is run once."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness.contracts.corpora import CorpusRequest, Document, Entropy
from harness.contracts.files import read_sealed, write_sealed
from harness.errors import CorpusError
from harness_markov.parameters import Parameter, Values, read

VERSION = 1
"""Raise it whenever the same parameters would come to another text or figure."""

EXACT = "exact: the entropy of the next character, averaged over the source's states"

Make = Callable[[Values], tuple[str, Entropy]]


def documents(request: CorpusRequest, name: str, known: dict[str, Parameter], make: Make) -> list[Document]:
    """Return a source's text as one document. Raises: CorpusError."""
    values = read(name, request.parameters, known)
    title = ",".join(f"{key}={value:.12g}" for key, value in values.items())
    digest = hashlib.sha256(f"{VERSION} {name} {title}".encode()).hexdigest()[:16]
    path = request.downloads / "generated" / f"{name}-{digest}.json"
    text, entropy = _kept(path) or _keep(path, *make(values))
    return [Document(author=f"{name} source", title=title, text=text, entropy=entropy)]


def _kept(path: Path) -> tuple[str, Entropy] | None:
    values = read_sealed(path)
    try:
        return values["text"], Entropy(**values["entropy"])
    except (TypeError, KeyError):
        return None


def _keep(path: Path, text: str, entropy: Entropy) -> tuple[str, Entropy]:
    try:
        write_sealed(path, {"text": text, "entropy": asdict(entropy)})
    except OSError as error:
        raise CorpusError(f"Cannot write {path} ({error.strerror}): free some space there.") from error
    return text, entropy
