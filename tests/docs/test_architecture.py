"""The map holds: the rooms it names are the folders there are, and imports go the one way it says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.contracts import hooks

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HARNESS = ROOT / "harness"
MOST_ENTRIES = 17
HOOKS = [name for name in vars(hooks) if name.startswith("harness_")]


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading of the map, without its head."""
    section = MAP.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


ROOMS = {row[0].strip("`").removesuffix("/").removesuffix(".py"): row[1] for row in table("Rooms")}
ORDER = list(ROOMS)
"""Lowest first: a room imports from those before it alone."""


def entries() -> set[str]:
    return {path.name for path in HARNESS.iterdir() if path.name != "__pycache__"}


def modules() -> dict[str, Path]:
    """Return every module of the harness by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in HARNESS.rglob("*.py")
    }


def imports(path: Path, known: dict[str, Path], *, late: bool) -> Iterator[str]:
    """Yield the harness's modules that a file imports; ``late``: also within functions and for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if late else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in known else node.module


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_the_rooms_of_the_map_are_the_folders_there_are() -> None:
    there = {name.removesuffix(".py") for name in entries() - {"__init__.py", "__main__.py", "py.typed"}}
    assert set(ROOMS) == there
    assert len(entries()) <= MOST_ENTRIES


@pytest.mark.parametrize("room", [room for room in ROOMS if (HARNESS / room).is_dir()])
def test_a_room_s_first_sentence_is_what_the_map_says_of_it(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((HARNESS / room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring is not None
    assert docstring.splitlines()[0] == ROOMS[room]


def test_every_room_has_tests_in_a_folder_of_its_name() -> None:
    rooms = {room for room in ROOMS if (HARNESS / room).is_dir()}
    assert {room for room in rooms if not list((ROOT / "tests" / room).glob("test_*.py"))} == set()


@pytest.mark.slow
def test_imports_go_one_way() -> None:
    known = modules()
    against = {
        f"{module} imports {imported}"
        for module, path in known.items()
        for imported in imports(path, known, late=True)
        if room_of(module) in ORDER
        and room_of(imported) in ORDER
        and ORDER.index(room_of(imported)) > ORDER.index(room_of(module))
    }
    assert against == set()


@pytest.mark.slow
def test_no_files_import_one_another_in_a_circle() -> None:
    known = modules()
    graph = {module: set(imports(path, known, late=True)) - {module} for module, path in known.items()}
    while free := {module for module, needed in graph.items() if not needed & graph.keys()}:
        graph = {module: needed for module, needed in graph.items() if module not in free}
    # What is left are circles, and what imports from them.
    assert {module: needed & graph.keys() for module, needed in graph.items()} == {}


def foreign(root: str, allowed: tuple[str, ...]) -> set[str]:
    """Return what files below a source root import from the harness beyond these rooms."""
    known = modules()
    return {
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in (ROOT / root).rglob("*.py")
        for imported in imports(path, known, late=True)
        if not any(imported == name or imported.startswith(f"{name}.") for name in allowed)
    }


PUBLIC = tuple("harness." + row[0].strip("`").rstrip("/").replace("/", ".") for row in table("What is public"))


def test_built_in_plugins_import_what_is_public_alone() -> None:
    assert foreign("plugins", PUBLIC) | foreign("corpora", PUBLIC) == set()


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_recipes_name_files_and_folders_that_are_there() -> None:
    named = set(re.findall(r"`((?:harness|plugins|corpora|tests|docs)/[\w./-]+)`", CONTRIBUTING + MAP))
    concrete = {name for name in named if "NAME" not in name and "EXERCISE" not in name}
    assert len(concrete) > 20
    assert {name for name in concrete if not (ROOT / name).exists()} == set()


def test_every_hook_has_a_recipe() -> None:
    assert [hook for hook in HOOKS if f"`{hook}()`" not in CONTRIBUTING] == []
