"""The column dictionary is what the rows make, and every column of a run's files is in it."""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contracts.measures import shown_in
from harness.report.dictionary import dictionary

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "reports" / "reference"


def described(name: str) -> list[str]:
    """Return the columns of a file as the page lists them."""
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as lines:
        return next(csv.reader(lines))


def test_the_page_is_what_the_rows_make() -> None:
    assert dictionary() == PAGE, "python -m harness.report.dictionary > docs/columns.md"


def test_every_column_has_a_meaning() -> None:
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert all(row[-1].strip() for row in rows)


def files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.csv"))


@pytest.mark.parametrize("path", [*files(REFERENCE), *files(REFERENCE / "exercises")], ids=lambda path: path.name)
def test_what_has_been_published_stands_there_in_its_order(path: Path) -> None:
    columns = header(path)
    assert described(path.name)[: len(columns)] == columns


@pytest.mark.slow
def test_every_column_of_a_run_is_there(harness_once: Callable[[], Any]) -> None:
    folder, harness = harness_once()
    (folder / "text.txt").write_text("the time machine by h g wells " * 40)
    run = ("run", "--hiddens", 8, "--steps", 5, "--batch-size", 4, "--epochs", 1, "--corpus", "text.txt")
    assert harness(*run, "--plugins", "gru,numpy", "--out", "run").returncode == 0
    shutil.copytree(folder / "run", folder / "again")
    assert harness("compare", "run", "again", "--csv", "run/compare.csv").returncode == 0
    written = list(files(folder / "run"))
    assert len(written) == 7
    for path in written:
        name = "harness compare --csv" if path.name == "compare.csv" else path.name
        assert header(path) == described(name)


def test_what_is_ranked_has_a_heading_and_what_is_judged_a_better_direction() -> None:
    assert all(measure.heading for measure in (*shown_in("ranking"), *shown_in("compare")))
    assert all(measure.better for measure in shown_in("compare"))
