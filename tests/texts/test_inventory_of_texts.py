import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Harness = Callable[..., subprocess.CompletedProcess[str]]
BOOK = "It began.\n\nIt went on, and on, and then it ended."


def test_every_text_is_listed_with_whether_it_is_here(harness: Harness) -> None:
    result = harness("corpora", "list", HARNESS_CORPORA_DIR="")
    assert result.returncode == 0, result.stderr
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert rows["bronte"].rstrip().endswith("yes")
    assert "32 chapters" in rows["bronte"]
    assert "6 books by H. G. Wells" in rows["wells"]
    assert rows["moby-dick"].rstrip().endswith("no: harness corpora fetch moby-dick")
    assert "public domain" in rows["books"]


@pytest.mark.slow
def test_a_text_is_described_by_authors_books_vocabulary_and_entropies(harness: Harness) -> None:
    result = harness("corpora", "show", "federalist")
    assert result.returncode == 0, result.stderr
    assert "licence  public domain" in result.stdout
    assert "John Jay: 50,836 characters in 5 texts" in result.stdout
    assert "federalist-02" in result.stdout
    assert "27 different ones" in result.stdout
    entropies = [float(line.split(": ")[1].split()[0]) for line in result.stdout.splitlines() if "of order" in line]
    assert len(entropies) == 10
    assert entropies[:5] == sorted(entropies[:5], reverse=True)
    assert "too low" in result.stdout


@pytest.mark.slow
def test_a_source_is_described_with_its_entropy_rate(harness: Harness) -> None:
    # Seven even choices in twelve letters; one of four kinds at every second bracket.
    for source, rate in (("reber:chars=1000", "0.5833"), ("brackets:kinds=4,depth=1,chars=1000", "1.0000")):
        assert (
            f"entropy rate of the source: {rate} bits per character (exact" in harness("corpora", "show", source).stdout
        )
    assert "entropy rate" not in harness("corpora", "show", "federalist").stdout


@pytest.mark.slow
def test_some_books_are_shown_as_run_reads_them(harness: Harness) -> None:
    shown = harness("corpora", "show", "bronte:agnes-grey+wuthering")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("bronte:agnes-grey+wuthering: agnes-grey, wuthering of The Brontë sisters")
    counted = [line.split()[0] for line in shown.stdout.splitlines() if " parts, from " in line]
    assert counted == ["agnes-grey", "wuthering-heights"]
    assert f"{127_679 + 169_140:,} characters" in shown.stdout
    fetched = harness("corpora", "fetch", "bronte:wuthering")
    assert fetched.stdout == "bronte:wuthering-heights: 169,140 characters, here without a download\n"


def test_some_books_that_are_not_here_are_described_as_far_as_they_can_be(harness: Harness, here: Path) -> None:
    command = "harness corpora fetch wells:time-machine"
    shown = harness("corpora", "show", "wells:time-machine", HARNESS_CORPORA_DIR="")
    assert shown.returncode == 0, shown.stderr
    assert f"no: {command}" in shown.stdout
    assert shown.stdout.rstrip().endswith(f"Its figures need the text: {command}")
    (here / "shelf/h-g-wells").mkdir(parents=True)
    (here / "shelf/h-g-wells/the-time-machine.txt").write_text(BOOK)
    altered = harness("corpora", "show", "wells:time-machine", "--corpora-dir", "shelf")
    assert altered.returncode == 2  # this one is here, whatever else of the corpus is not: it is read, and is another
    assert "is not the file expected" in altered.stderr


def test_a_text_that_is_not_here_is_described_as_far_as_it_can_be(harness: Harness) -> None:
    result = harness("corpora", "show", "moby-dick", HARNESS_CORPORA_DIR="")
    assert result.returncode == 0, result.stderr
    assert "Herman Melville" in result.stdout
    assert result.stdout.rstrip().endswith("Its figures need the text: harness corpora fetch moby-dick")


def test_a_local_text_that_was_added_trains_by_its_name(harness: Harness, small: tuple[str, ...], here: Path) -> None:
    added = harness("corpora", "add", "text.txt", "--name", "mine", "--author", "Ann Other")
    assert added.returncode == 0, added.stderr
    assert "by Ann Other" in added.stdout
    assert "Ann Other" in harness("corpora", "show", "mine").stdout
    planned = harness(*small[:-1], "mine", "--plugins", "rnn,numpy", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "mine, " in planned.stdout

    (here / "text.txt").write_text("Another text.")
    changed = harness(*small[:-1], "mine", "--dry-run")
    assert changed.returncode == 2
    assert "was changed since it was added" in changed.stderr
    assert "harness corpora remove mine && harness corpora add" in changed.stderr
    assert "--name mine --author 'Ann Other'" in changed.stderr

    assert harness("corpora", "remove", "mine").returncode == 0
    assert "no corpus named 'mine'" in harness(*small[:-1], "mine", "--dry-run").stderr


def test_a_folder_is_added_with_its_authors_and_a_new_file_in_it_is_a_change(harness: Harness, here: Path) -> None:
    for author in ("Ann", "Bob"):
        (here / "shelf" / author).mkdir(parents=True)
        (here / "shelf" / author / "A Tale.txt").write_text(BOOK)
    assert harness("corpora", "add", "shelf", "--name", "two").returncode == 0
    shown = harness("corpora", "show", "two").stdout
    assert "Ann: 49 characters" in shown
    assert "Bob: 49 characters" in shown
    assert "  a-tale" in shown
    (here / "shelf" / "new.txt").write_text(BOOK)
    assert "was changed since it was added" in harness("corpora", "show", "two").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "brnte"), "Did you mean 'bronte'?"),
        (("show", "bronte:agnes-gray"), "has no book 'agnes-gray'. Did you mean 'agnes-grey'"),
        (("show", "brnte:agnes-grey"), "no corpus named 'brnte', and no such file or folder. Did you mean 'bronte'?"),
        (("fetch", "wells:tme-machine"), "has no book 'tme-machine'. Did you mean 'time-machine'"),
        (("fetch", "bronte", "mobydick"), "There is no corpus named 'mobydick'. Did you mean 'moby-dick'?"),
        (("add", "text.txt", "--name", "../mine"), "cannot be a corpus's name"),
        (("add", "text.txt", "--name", "bronte"), "There is a corpus 'bronte' already"),
        (("add", "nowhere.txt", "--name", "mine"), "nowhere.txt; check the path"),
        (("add", "cut.txt", "--name", "mine"), "no end line"),
        (("remove", "mine"), "You have added no corpus 'mine'"),
        (("list", "--corpora-dir", "nowhere"), "There is no folder nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    harness: Harness, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    (here / "cut.txt").write_text("*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nIt began")
    result = harness("corpora", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", ["{", "[]", '{"mine": {"path": "x"}}', json.dumps({"mine": 5})])
def test_a_damaged_catalogue_of_one_s_own_stops_nothing_else(harness: Harness, here: Path, content: str) -> None:
    (here / "cache/corpora.json").write_text(content)
    for command in (("list",), ("show", "bronte")):
        known = harness("corpora", *command)
        assert "bronte" in known.stdout.lower()
        assert "mend or remove" in known.stderr
    result = harness("corpora", "add", "text.txt", "--name", "other")
    assert result.returncode == 2
    assert "mend or remove" in result.stderr
    assert str(here / "cache/corpora.json") in result.stderr


@pytest.mark.parametrize("command", [("corpora", "fetch"), ("run", "--epochs", "1", "--corpus")])
def test_without_a_network_the_way_out_is_said_before_anything_is_trained(
    harness: Harness, here: Path, command: tuple[str, ...]
) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:1")
    result = harness(*command, "call-of-the-wild", HARNESS_CORPORA_DIR="", **nowhere)
    assert result.returncode == 2
    assert "'call-of-the-wild' could not be downloaded: https://raw.githubusercontent.com/GITenberg/" in result.stderr
    assert "no answer (ProxyError; behind a proxy, set HTTPS_PROXY)" in result.stderr
    assert "as jack-london/the-call-of-the-wild.txt and name that folder by --corpora-dir" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (here / "reports").exists()


def test_an_altered_book_is_refused_before_anything_is_trained(harness: Harness, here: Path) -> None:
    (here / "shelf/jack-london").mkdir(parents=True)
    (here / "shelf/jack-london/the-call-of-the-wild.txt").write_text(BOOK)
    result = harness("run", "--corpus", "call-of-the-wild", "--corpora-dir", "shelf")
    assert result.returncode == 2
    assert "is not the file expected: it has 49 of 199,224 bytes and may be cut off" in result.stderr
    assert not (here / "reports").exists()
