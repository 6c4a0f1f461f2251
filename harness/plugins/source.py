"""A plugin's source, by its digest: what tells one revision from the next under one name."""

import hashlib
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path


def digest_source(module: str, folders: Sequence[str] = ()) -> str:
    """Return a digest of a module's file, and of those beside it in its package; empty where there is no file.

    A plugin that is being written changes under one name: what was made of its last revision is not this one's. The
    module is found, in ``folders`` first, and not imported; what it imports from elsewhere is not looked at.
    """
    try:
        spec = PathFinder.find_spec(module, list(folders)) or find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin:
        return ""
    origin = Path(spec.origin)
    in_package = (origin.parent / "__init__.py").is_file()
    digest = hashlib.sha256()
    for path in sorted(origin.parent.glob("*.py")) if in_package else [origin]:
        try:
            digest.update(path.read_bytes())
        except OSError:
            return ""
    return digest.hexdigest()


def digest_sources(modules: Iterable[str], folders: Sequence[str] = ()) -> str:
    """Return one digest of several modules' sources."""
    return hashlib.sha256(" ".join(digest_source(module, folders) for module in modules).encode()).hexdigest()
