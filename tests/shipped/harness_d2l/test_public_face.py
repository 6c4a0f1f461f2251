"""The eight use what any author of an exercise may use, and nothing else of the harness."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness_d2l
from harness import analysis, report

FILES = sorted(Path(harness_d2l.__file__).parent.glob("*.py"))


def imported(path: Path) -> set[str]:
    """Return every name a file imports from the harness, dotted."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names = {
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return {name for name in modules | names if name.split(".")[0] == "harness"}


def is_public(name: str) -> bool:
    _, room, *rest = name.split(".")
    if any(part.startswith("_") for part in rest):
        return False
    if room in ("analysis", "report"):
        return rest[0] in {"analysis": analysis, "report": report}[room].__all__
    return room in ("contracts", "errors")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_imports_the_public_names_alone(path: Path) -> None:
    assert {name for name in imported(path) if not is_public(name)} == set()


def test_announcing_exercises_loads_nothing_heavy() -> None:
    program = "import sys, harness_d2l.plugin; sys.exit(bool({'numpy', 'pandas', 'altair'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
