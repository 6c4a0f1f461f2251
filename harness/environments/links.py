"""The part of the harness and its plugins that a built environment sees: a folder of links to their packages.

So an environment holds its framework alone and never an old copy of the harness, an upgrade needs no
rebuild, and a cell of any installed plugin trains in every environment. Nothing else of this interpreter's
packages, its NumPy least of all, can be seen through it.
"""

import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from harness.contracts.files import replacing
from harness.environments.store import environments_dir


def linked_packages(targets: Iterable[str]) -> Path:
    """Return a folder of links to the harness and to the top-level packages of ``targets``.

    A target whose package can't be found is left out: its own trial will say so.
    """
    sources = [_source(name) for name in sorted({"harness", *(_top_level(target) for target in targets)})]
    packages = [source for source in sources if source is not None]
    # Named by what it links to: two checkouts, or two versions, don't share one.
    digest = hashlib.sha256("\n".join(map(str, packages)).encode()).hexdigest()[:12]
    folder = environments_dir() / f"packages-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for source in packages:
        _link(folder, source)
    return folder


def _source(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    locations = list(spec.submodule_search_locations or [])
    return Path(locations[0]) if locations else Path(spec.origin or "")


def _link(folder: Path, source: Path) -> None:
    link = folder / source.name
    if link.is_symlink() and link.readlink() == source:
        return
    with replacing(link) as staging:
        staging.symlink_to(source)


def _top_level(target: str) -> str:
    return target.partition(":")[0].partition(".")[0]
