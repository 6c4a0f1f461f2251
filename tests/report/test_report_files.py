import csv

import pandas as pd
import pytest

from harness.errors import RunFolderError
from harness.report.files import write_csv, write_text


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(tmp_path, text):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"name": [text, "lstm"]}))
    assert cells(tmp_path / "a.csv") == [["name"], ["'" + text], ["lstm"]]


def test_no_line_end_within_a_text_begins_a_row(tmp_path):
    texts = ["a\n=cmd()", 'a"\n=cmd(),b', "a\r=cmd()"]
    write_csv(tmp_path / "a.csv", pd.DataFrame({"reason": texts}))
    assert cells(tmp_path / "a.csv") == [["reason"], *([text.replace("\r", "⟨U+000D⟩")] for text in texts)]


def test_numbers_stay_as_they_are(tmp_path):
    frame = pd.DataFrame({"loss": [-0.1, float("nan")], "count": pd.array([-3, None], dtype="Int64")})
    write_csv(tmp_path / "a.csv", frame)
    assert cells(tmp_path / "a.csv") == [["loss", "count"], ["-0.1", "-3"], ["", ""]]


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    write_text(tmp_path / "page", "old")
    write_text(tmp_path / "page", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "new")]


def test_a_lone_surrogate_is_written_readably(tmp_path):
    write_text(tmp_path / "samples.txt", "a\udc80b")
    assert (tmp_path / "samples.txt").read_text(encoding="utf-8") == r"a\udc80b"


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(
        RunFolderError, match=r"cannot be written to .*index\.html.*: make the folder writable"
    ) as refused:
        write_text(tmp_path / "index.html", "text")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_failed_write_leaves_the_former_file(tmp_path, monkeypatch):
    write_text(tmp_path / "page", "old")
    monkeypatch.setattr("pathlib.Path.replace", fail_for_want_of_space)
    with pytest.raises(RunFolderError, match="No space"):
        write_text(tmp_path / "page", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def fail_for_want_of_space(*_):
    raise OSError(28, "No space left on device")


def test_a_figure_has_twelve_digits_and_its_row_is_whole_in_every_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.files._CHUNK_ROWS", 2)
    frame = pd.DataFrame({"a": [1 / 3, float("inf"), float("nan")], "b": ["x,y", None, 'say "z"'], "c": [1, 2, 3]})
    write_csv(tmp_path / "a.csv", frame)
    assert cells(tmp_path / "a.csv") == [
        ["a", "b", "c"], ["0.333333333333", "x,y", "1"], ["inf", "", "2"], ["", 'say "z"', "3"],
    ]  # fmt: skip
