"""Words in, words out: whatever names, prefixes and texts hold is read, and shown so that it acts on nothing."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import pseudo_words

HOSTILE = "b\x1b]0;PWNED\x07\r\u202e"
SHOWN = "b⟨U+001B⟩]0;PWNED⟨U+0007⟩⟨U+000D⟩⟨U+202E⟩"
ACTING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")


@pytest.mark.slow
def test_what_would_act_on_a_terminal_is_shown_in_terminal_tables_and_page(here, harness, small) -> None:
    for author, seed in (("a", 1), (HOSTILE, 2)):
        (here / "folder" / author).mkdir(parents=True)
        (here / "folder" / author / "y\x1b[31m.txt").write_text(pseudo_words(300, seed).replace("the", "\x1b[31m"))
    options = [*small[:-2], "--corpus", "folder", "--plugins", "rnn,numpy,ngram-2", "--text", "raw", "--out", "out"]
    done = harness(*options, "--authors", "each")
    assert done.returncode == 0, done.stderr
    listed = [harness(*options, "--authors", "each", "--dry-run"), harness("corpora", "show", "folder")]
    listed.append(harness("sample", "out", "rnn", "--prefix", "\x1b[2J", "--num", "20"))
    refused = [
        harness(*small[:-1], "no\x1b[31m.txt"),
        harness(*small, "--plugins", "x\x1b[1m"),
    ]
    assert not [each for each in [done, *listed, *refused] if ACTING.search(each.stdout + each.stderr)]
    assert SHOWN in listed[0].stdout
    assert SHOWN in listed[1].stdout
    assert [each.returncode for each in refused] == [2, 2]
    for file in [*Path("out").glob("*.csv"), *Path("out").glob("*.txt"), Path("out/index.html")]:
        assert not ACTING.search(file.read_bytes().decode().replace("\r\n", "\n").replace("\x7f", "")), file
    assert SHOWN in Path("out/trials.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_paths_that_are_no_utf8_are_read_and_written(here: Path, harness_process: Callable, small, locale) -> None:
    for name in (b"caf\xe9.txt", "ä.txt".encode(), b"an\xe9/x\xe9.txt"):
        Path(os.fsdecode(b"folder/" + name)).parent.mkdir(parents=True, exist_ok=True)
        Path(os.fsdecode(b"folder/" + name)).write_text(pseudo_words(300, seed=len(name)))
    options = [*small[:-2], "--plugins", "rnn,numpy", "--timing", "off", "--corpus"]
    out = os.fsdecode(b"o\xe9")
    done = harness_process(*options, "folder", "--out", out, **locale)
    assert done.returncode == 0, done.stderr
    again = harness_process("run", f"{out}/manifest.json", "--out", out, **locale)
    assert "1 of 1 trial: finished already" in again.stdout, again.stderr
    done = harness_process(*options, os.fsdecode(b"folder/caf\xe9.txt"), "--out", "one", **locale)
    assert done.returncode == 0, done.stderr
    assert "folder/caf⟨E9⟩.txt" in Path("one/trials.csv").read_text(encoding="utf-8")
    assert "an⟨E9⟩" in Path(out, "transfer.csv").read_text(encoding="utf-8")


def test_a_text_of_one_s_own_may_have_a_path_that_is_no_utf8(here: Path, harness) -> None:
    path = os.fsdecode(b"caf\xe9.txt")
    Path(path).write_text(pseudo_words(300))
    assert harness("corpora", "add", path, "--name", "cafe").returncode == 0
    assert "caf⟨E9⟩" in harness("corpora", "show", "cafe").stdout
    assert harness("run", "--plugins", "ngram-2", "--corpus", "cafe", "--dry-run").returncode == 0


@pytest.mark.slow
def test_names_of_signs_and_commas_are_names(here: Path, harness) -> None:
    for name in ("🐟.txt", "🐠.txt", "C.txt", "C#.txt", "🦀/a.txt", "🦐/a.txt", "Smith, John.txt"):
        Path("folder", name).parent.mkdir(parents=True, exist_ok=True)
        Path("folder", name).write_text(pseudo_words(300, seed=len(name)))
    shown = harness("corpora", "show", "folder").stdout
    assert "parts, from" not in shown.replace("2 parts, from a", "")
    for selection in ("folder:🐟", "folder:C#", "folder:C", r"folder/Smith\, John.txt"):
        done = harness("run", "--plugins", "ngram-2", "--corpus", selection, "--dry-run")
        assert (done.returncode, done.stderr) == (0, ""), selection
    done = harness("run", "--plugins", "ngram-2", "--corpus", "folder", "--authors", "🦀", "--dry-run")
    assert "folder (🦀)" in done.stdout


def test_an_experiment_may_begin_with_a_byte_order_mark(here: Path, harness) -> None:
    Path("e.toml").write_bytes(b"\xef\xbb\xbf[run]\nplugins = 'ngram-2'\ncorpus = ['text.txt']\n")
    assert harness("run", "e.toml", "--dry-run").returncode == 0
