"""Writes a measured table twice: as CSV for programs and as Markdown for readers."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def write(frame: pd.DataFrame, folder: Path, name: str, title: str, notes: Sequence[str] = ()) -> None:
    """Write NAME.csv and NAME.md, the notes below the table."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)
    lines = [f"# {title}", "", *_rows(frame), "", *(f"- {note}" for note in notes)]
    (folder / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _rows(frame: pd.DataFrame) -> list[str]:
    rows = [list(frame.columns), ["---"] * len(frame.columns)]
    rows += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return [f"| {' | '.join(map(str, row))} |" for row in rows]


def _cell(value: object) -> str:
    if isinstance(value, float):
        if pd.isna(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value).replace("|", "\\|")
