import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from harness import __version__, cli
from harness.contracts.visible import one_line
from harness.errors import HarnessError, WorkerError, did_you_mean

Harness = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = {"numpy", "rich", "pandas", "scipy", "altair", "jinja2", "torch", "autograd", "asyncio", "sqlite3", "pluggy"}


@pytest.fixture
def call(here: Path) -> Callable[..., Result]:
    """Run the command in this process."""

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], prog_name="harness")

    return call


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "cache" not in path.relative_to(folder).parts}


def make_corpora(here: Path) -> None:
    (here / "empty.txt").touch()
    (here / "blank.txt").write_text(" \n\t\n")
    (here / "binary.txt").write_bytes(bytes(range(256)) * 100)
    (here / "latin.txt").write_bytes("Café de Flore, à Paris. ".encode("latin-1") * 200)
    (here / "utf16.txt").write_text("Some words. " * 200, encoding="utf-16")
    (here / "short.txt").write_text("A few words only.")
    (here / "digits.txt").write_text("1234567890 " * 500)
    (here / "folder").mkdir()
    for author, words in {"twins/Ann Lee": 90, "twins/ann-lee": 90, "uneven/short": 8, "uneven/long": 300}.items():
        (here / author).mkdir(parents=True)
        (here / author / "book.txt").write_text("".join(random.Random(words).choices("abcdef ", k=6 * words)))


BAD_INPUT = [
    (["--plugins", "lstn,numpy"], "There is no cell, backend or baseline 'lstn'. Did you mean 'lstm'?"),
    (["--plugins", "lstm,nunpy"], "Did you mean 'numpy'?"),
    (["--plugins", "lstm,,numpy"], "has an empty part"),
    (["--plugins", ""], "--plugins '' is empty"),
    (["--plugins-dir", "nowhere"], "There is no folder nowhere"),
    (["--implementation", "fuzed"], "takes auto, all, or one of fused, native, scratch"),
    (["--corpus", "brontee"], "Did you mean 'bronte'"),
    (["--corpus", "missing.txt"], "no file or folder missing.txt"),
    (["--corpus", "empty.txt"], "empty.txt is empty"),
    (["--corpus", "blank.txt"], "blank.txt is empty"),
    (["--corpus", "binary.txt"], "binary.txt is not text"),
    (["--corpus", "latin.txt"], "latin.txt is not UTF-8"),
    (["--corpus", "utf16.txt"], "utf16.txt is UTF-16"),
    (["--corpus", "short.txt"], "short.txt"),
    (["--corpus", "digits.txt"], "no letter"),
    (["--corpus", "folder"], "holds no .txt file"),
    (["--corpus", "bronte:agnes-gray"], "Corpus 'bronte' has no book 'agnes-gray'. Did you mean 'agnes-grey'?"),
    (["--corpus", "bronte:"], "--corpus 'bronte:' cannot be read"),
    (["--corpus", "brontee:agnes-grey"], "no corpus named 'brontee'"),
    (["--corpus", "bronte", "--authors", "austen"], "named 'austen'. There is: Anne Brontë, Charlotte Brontë, Emily"),
    (["--corpus", "bronte", "--authors", "charlote"], "named 'charlote'. Did you mean 'Charlotte Brontë'?"),
    (["--corpus", "bronte", "--authors", "bronte"], "could be Anne Brontë or Charlotte Brontë or Emily Brontë"),
    (["--corpus", "twins"], "two authors with the same name, 'Ann Lee' and 'ann-lee'"),
    (["--corpus", "uneven"], "the validation part of short has 5 tokens; --steps 5 needs 6"),
    (["--authors", ""], "--authors '' is empty"),
    (["--mix", "half"], "There is no mix 'half'."),
    (["--batch-size", "4000"], "Lower one of them, or take more text"),
    (["--train-tokens", "10"], "Lower one of them, or take more text"),
    (["--train-tokens", "1k..all"], "--train-tokens '1k..all' cannot be used"),
    (["--layers", "4-1"], "--layers '4-1' runs backwards: write 1-4"),
    (["--layers", "0"], "--layers '0' begins below 1"),
    (["--layers", "1-"], "--layers '1-' cannot be read"),
    (["--layers", "a-b"], "--layers 'a-b' cannot be read"),
    (["--layers", "1-1000000000"], "give at most 10,000"),
    (["--lr", "0"], "--lr '0' cannot be used: give numbers above 0"),
    (["--dropout", "1"], "--dropout '1' cannot be used"),
    (["--clip", "-1"], "--clip '-1' cannot be used"),
    (["--seed", "1", "--seeds", "2"], "--seed and --seeds were both given"),
    (["--seeds", "0"], "no seed at all"),
    (["--optimizer", "adm"], "There is no optimizer 'adm'. Did you mean 'adam'?"),
    (["--timeout", "nan"], "--timeout 'nan' cannot be used"),
    (["--stall-timeout", "0"], "--stall-timeout '0' cannot be used"),
    (["--devices", "99"], "--devices 99 names GPU 99, but"),
    (["--devices", "gpu"], "--devices 'gpu' cannot be read"),
    (["--out", ""], "--out '' names no folder"),
    (["--out", "text.txt"], "The run folder text.txt cannot be written"),
    (["--out", "text.txt/inside"], "The run folder text.txt/inside cannot be written"),
    (["--epochs", "0"], "--epochs '0' begins below 1"),
    (["--jobs", "1000000000"], "--jobs '1000000000' is out of reach"),
    (["--text", "html"], "There is no text 'html'."),
    (["--layer", "1"], "No such option '--layer'"),
    (["extra"], "The experiment extra cannot be read"),
]


@pytest.mark.parametrize(("options", "said"), BAD_INPUT, ids=[" ".join(options) for options, _ in BAD_INPUT])
def test_bad_input_is_one_sentence_and_exit_2_and_writes_nothing(
    call: Callable[..., Result], small: tuple[str, ...], here: Path, options: list[str], said: str
) -> None:
    make_corpora(here)
    before = files_in(here)
    result = call(*small, "--plugins", "lstm,numpy", *options)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert files_in(here) == before


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--layers", "4-1"], ["--corpus", "binary.txt"], ["--plugins", "lstn"]])
def test_bad_input_shows_no_traceback_in_the_real_command(
    harness_process: Harness, small: tuple[str, ...], here: Path, options: list[str]
) -> None:
    make_corpora(here)
    done = harness_process(*small, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_broken_plugin_that_is_selected_is_one_sentence_and_exit_2(
    harness: Harness, small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("fails_to_load")
    done = harness(*small, "--plugins", "fails_to_load,numpy", "--plugins-dir", folder)
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: 'fails_to_load' cannot be used: plugin 'fails_to_load' of {folder}/fails_to_load.py is broken "
        "(RuntimeError: my framework is too old). Mend it, or leave it out.\n"
    )


@pytest.mark.parametrize("name", ["second_lstm", "misspelt_hook", "unknown_pair"])
def test_a_plugin_at_odds_with_others_is_listed_with_its_cause_and_stops_nothing_else(
    call: Callable[..., Result], plugin_folder: Callable[..., Path], name: str
) -> None:
    result = call("plugins", "--plugins-dir", plugin_folder(name))
    assert result.exit_code == 0
    assert f"{name}.py" in "".join(result.stdout.split())
    assert call("run", "--plugins-dir", plugin_folder(name), "--plugins", "gru,numpy", "--dry-run").exit_code == 0


def imported_by(*commands: str) -> set[str]:
    """Return what a process has imported after it ran these commands, one after the other."""
    code = (
        "import contextlib, io, sys\n"
        "from harness.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()): main(command.split(), 'harness', standalone_mode=False)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *commands], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_help_is_fast_because_it_imports_nothing_heavy() -> None:
    modules = imported_by("--help", "--version", "run --help", "sample --help")
    assert "click" in modules
    assert not HEAVY & modules


@pytest.mark.slow
def test_lists_of_plugins_and_environments_import_no_framework() -> None:
    frameworks = {"torch", "jax", "tensorflow", "mxnet", "autograd", "pandas", "scipy", "altair"}
    assert not frameworks & imported_by("plugins", "env list")


@pytest.mark.slow
def test_a_terminal_that_lacks_a_character_shows_another(harness_process: Harness, here: Path) -> None:
    done = harness_process("plugins", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "The Bront? sisters" in done.stdout
    (here / "café.txt").touch()
    done = harness_process("run", "--corpus", "café.txt", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Error: caf" in done.stderr


def test_the_version_is_the_distribution_s(harness_process: Harness) -> None:
    assert harness_process("--version").stdout == f"harness, version {__version__}\n"


def test_help_names_every_command_whole_and_every_option_has_a_word(call: Callable[..., Result]) -> None:
    listing = call("--help").stdout.partition("Commands:")[2]
    assert "..." not in listing
    commands = dict(re.findall(r"^  (\w+) {2,}(\S.*)", listing, re.MULTILINE))
    assert {"plugins", "report", "run", "sample"} <= commands.keys()
    context = click.Context(cli.main)
    for name in commands:
        command = cli.main.get_command(context, name)
        assert command is not None
        assert command.help, name
        for option in command.params:
            if isinstance(option, click.Option):  # an argument is explained by the command's own text
                assert option.help, (name, option.name)


def test_an_unknown_command_is_one_sentence(call: Callable[..., Result]) -> None:
    result = call("rum")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: No such command 'rum'.")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [pytest.param(["report", "nowhere"], marks=pytest.mark.slow), ["sample", "nowhere", "lstm"]]
)
def test_a_folder_that_no_run_made_is_one_sentence(call: Callable[..., Result], command: list[str]) -> None:
    result = call(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name a folder that 'harness run' made" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_corrupt_ledger_is_one_sentence_and_stays_as_it_is(
    call: Callable[..., Result], small: tuple[str, ...], here: Path
) -> None:
    ledger = here / "out" / "run.sqlite"
    ledger.parent.mkdir()
    ledger.write_bytes(b"garbage" * 1000)
    commands: list[list[Any]] = [
        [*small, "--plugins", "rnn,numpy", "--out", "out"],
        ["report", "out"],
        ["sample", "out", "rnn"],
    ]
    for command in commands:
        result = call(*command)
        assert result.exit_code == 2
        assert result.stderr.startswith("Error: The ledger out/run.sqlite cannot be used (file is not a database)")
        assert result.stderr.count("\n") == 1
        assert ledger.read_bytes() == b"garbage" * 1000


def test_a_name_is_corrected_or_the_names_are_listed_but_not_thousands() -> None:
    assert did_you_mean("lstn", ["gru", "lstm"]) == " Did you mean 'lstm'?"
    assert did_you_mean("LSTM", ["gru", "lstm"]) == " Did you mean 'lstm'?"
    assert did_you_mean("peephole", ["gru", "lstm"]) == " There is: gru, lstm."
    assert did_you_mean("x", []) == " There is none."
    hint = did_you_mean("nothing-like-it", [f"{number:04}" for number in range(5000)])
    assert hint.endswith("0019 and 4980 more.")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\ntwo", "one"),
        ("\n \n  two  \nthree", "two"),
        ("", ""),
        ("bell\a and \x1b[31mred\udcff", "bell⟨U+0007⟩ and ⟨U+001B⟩[31mred⟨FF⟩"),
        ("x" * 400, "x" * 299 + "…"),
        ("Grüße – “quoted”", "Grüße – “quoted”"),
    ],
)
def test_any_text_becomes_one_printable_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_every_error_of_the_user_has_an_exit_code() -> None:
    def kinds(kind: type[HarnessError]) -> list[type[HarnessError]]:
        return [kind, *(deeper for below in kind.__subclasses__() for deeper in kinds(below))]

    workers = set(kinds(WorkerError))
    assert {kind: kind.exit_code for kind in kinds(HarnessError)} == {
        kind: 1 if kind in workers else 2 for kind in kinds(HarnessError)
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seed", "9007199254740992"), "--seed"),
        (("--seeds", "1,9007199254740992"), "the largest value is 9,007,199,254,740,991"),
        (("--hiddens", "1000000001"), "the largest value is 1,000,000,000"),
        (("--corpora-dir", "nowhere"), "There is no folder nowhere"),
    ],
)
def test_what_could_not_be_carried_exactly_or_would_be_dropped_is_refused(harness, arguments, said):
    result = harness("run", "--plugins", "rnn,numpy", "--corpus", "text.txt", *arguments, "--dry-run")
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_another_command_in_the_same_folder_keeps_what_the_first_one_was(harness_process, small):
    for seed in ("3", "9007199254740991"):
        result = harness_process(*small, "--plugins", "rnn,numpy", "--epochs", "1", "--out", "out", "--seed", seed)
        assert result.returncode == 0, result.stderr
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["seeds"] == [3, 9007199254740991]
    assert [command[-1] for command in (*manifest["earlier_commands"], manifest["command"])] == [
        "3",
        "9007199254740991",
    ]
    with Path("out/trials.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"3", "9007199254740991"}
    assert "Trained in the same folder before" in Path("out/index.html").read_text()


@pytest.mark.slow
def test_a_loss_whose_perplexity_is_not_finite_has_diverged(harness, small):
    result = harness(*small, "--plugins", "rnn,numpy", "--lr", "1e30", "--out", "out")
    assert result.returncode == 1
    assert "diverged" in result.stdout
    assert "try a smaller --lr" in result.stdout
