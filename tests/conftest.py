"""Runs the real thing, small: the command in a process of its own, or a run without its report in this one."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from built_in import built_in
from click.testing import CliRunner
from rich.console import Console

from harness import cli
from harness.grid.selection import select
from harness.plugins import registry
from harness.record.ledger import LedgerReader
from harness.running import run
from harness.running.workplace import Limits

TINY_PLUGINS = Path(__file__).parent / "tiny_plugins"
COMMAND = Path(sysconfig.get_path("scripts"), "harness")


def pseudo_words(num_words: int, seed: int = 0) -> str:
    """Return a text of seeded pseudo-random words."""
    generator = random.Random(seed)
    words = ["".join(generator.choices("abcdefgh", k=generator.randint(2, 7))) for _ in range(60)]
    return " ".join(generator.choices(words, k=num_words))


@dataclass(frozen=True)
class Trained:
    """A run after its trials."""

    outcome: run.Outcome
    prepared: run.PreparedRun

    @property
    def folder(self) -> Path:
        return self.prepared.folder.path

    @property
    def trials(self) -> list[dict[str, Any]]:
        with LedgerReader(self.prepared.folder.ledger) as ledger:
            return ledger.trials()

    def trial(self, name: str) -> dict[str, Any]:
        """Return the one trial whose id begins so, or whose backend has this name."""
        (found,) = [row for row in self.trials if row["backend"] == name or row["trial_id"].startswith(name)]
        return found


def pytest_configure() -> None:
    """Give tests that run side by side one thread each: their products are small, and threads would fight for cores."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What runs in the background, or under nohup, ignores signals that the tests send, and its children would too.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of the fast subset what wants to be alone or is long."""
    for item in items:
        if {"alone", "long"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests together: what its fixtures make, and a framework it imports, are made and imported once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True, scope="session")
def _no_timing_unless_asked() -> Iterator[None]:
    """Half a minute of timing after every small run would be most of the suite's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_TIMING", "off")
        yield


@pytest.fixture(autouse=True)
def _no_plugin_file_stays_imported() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").endswith(f"plugins/{name}.py"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for what is long in the making and the same for every test: compiled kernels, the figures' JavaScript."""
    session = tmp_path_factory.getbasetemp()
    return (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "shared"


def make_cache(folder: Path, shared: Path) -> Path:
    """Make a cache of a test's own but for what is shared."""
    folder.mkdir()
    for name in ("kernels", "vega"):
        (shared / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(shared / name)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Path:
    """An empty working folder with a cache of its own and a small text.txt, and no GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(make_cache(tmp_path / "cache", shared_cache)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "text.txt").write_text(pseudo_words(300))
    return tmp_path


@pytest.fixture
def small() -> tuple[str, ...]:
    """The arguments of a run whose trials take a second."""
    return ("run", "--hiddens", "8", "--steps", "5", "--batch-size", "4", "--epochs", "2", "--corpus", "text.txt")


@pytest.fixture
def plugin_folder(tmp_path: Path) -> Callable[..., Path]:
    """Copy some of the tiny plugins into a folder for --plugins-dir."""

    def copy(*names: str) -> Path:
        folder = tmp_path / "plugins"
        folder.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(TINY_PLUGINS / f"{name}.py", folder)
        return folder

    return copy


def call_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, and return its exit code and output: a process of its own takes a second."""
    done = CliRunner().invoke(cli.main, [str(each) for each in arguments], prog_name="harness", env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def in_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`call_command`."""
    return call_command


@pytest.fixture
def harness(here: Path, in_process: Callable[..., Any]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`call_command` in an empty working folder with a cache of its own."""
    return in_process


@pytest.fixture(scope="module")
def harness_once(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Callable[[], Any]]:
    """Give a working folder and `call_command` in it, for one run that a module's tests read."""

    with pytest.MonkeyPatch.context() as patch:

        def begin() -> tuple[Path, Callable[..., subprocess.CompletedProcess[str]]]:
            folder = tmp_path_factory.mktemp("once")
            patch.setenv("HARNESS_CACHE_DIR", str(make_cache(folder / "cache", shared_cache)))
            patch.setenv("CUDA_VISIBLE_DEVICES", "")
            patch.chdir(folder)
            return folder, call_command

        yield begin


@pytest.fixture
def harness_process(here: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed command to its end, where the process itself is the point; else `harness` does."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture
def start(here: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command; what still runs when the test is over is killed, its workers too."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        # An environment that is given leaves out the terminal's size, which readline sets behind Python's back.
        usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": dict(os.environ)}
        started.append(subprocess.Popen([COMMAND, *map(str, arguments)], **{**usual, **options}))
        return started[-1]

    yield call
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.communicate()


def prepare_run(
    plugins: str,
    folder: Path | None = None,
    *,
    out: str = "out",
    corpora: tuple[str, ...] = ("text.txt",),
    jobs: int = 2,
    devices: str = "cpu",
    executor: str = "local",
    authors: tuple[str, ...] = ("all",),
    **options: Any,
) -> run.PreparedRun:
    """Prepare a small run of these cells and backends; ``options`` are those of `harness run`, with _ for -."""
    small = {"plugins": plugins, "hiddens": 8, "steps": 5, "batch_size": 4, "epochs": 2}
    texts = {"corpus": corpora, "authors": authors}
    return run.prepare(
        registry.load(folder) if folder else built_in(),
        *select({name.replace("_", "-"): value for name, value in (small | texts | options).items()}),
        run.Placement(out=Path(out), devices=devices, jobs=jobs, executor=executor),
        Console(quiet=True),
    )


def execute_run(
    prepared: run.PreparedRun,
    *,
    console: Console | None = None,
    parity_steps: int = 0,
    timing: str = "off",
    num_sessions: int = 1,
    **limits: float,
) -> Trained:
    """Run what is prepared, in real workers, without a report, the reference's worker and timing unless asked."""
    measures = run.Measurements(parity_steps=parity_steps, timing=timing, num_sessions=num_sessions)
    with prepared.folder.opened():
        outcome = run.execute(prepared, Limits(**limits), measures, ["harness", "run"], console or Console(quiet=True))
    return Trained(outcome, prepared)


@pytest.fixture
def prepare(here: Path, plugin_folder: Callable[..., Path]) -> Callable[..., run.PreparedRun]:
    """`prepare_run`, with these tiny plugins."""

    def call(plugins: str, *files: str, **options: Any) -> run.PreparedRun:
        return prepare_run(plugins, plugin_folder(*files) if files else None, **options)

    return call


@pytest.fixture
def execute() -> Callable[..., Trained]:
    """`execute_run`."""
    return execute_run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Trained:
    """A run of two trials that tests may read, not change."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(make_cache(folder / "cache", shared_cache)))
        (folder / "text.txt").write_text(pseudo_words(300))
        return execute_run(prepare_run("rnn,gru,numpy", out=str(folder / "out"), corpora=(str(folder / "text.txt"),)))


@pytest.fixture
def train(prepare: Callable[..., run.PreparedRun], execute: Callable[..., Trained]) -> Callable[..., Trained]:
    """Prepare and run; see `prepare`."""

    def call(plugins: str, *files: str, limits: dict[str, float] | None = None, **options: Any) -> Trained:
        return execute(prepare(plugins, *files, **options), **(limits or {}))

    return call


@pytest.fixture
def losses() -> Callable[[Path], dict[tuple[str, int], tuple[float, ...]]]:
    """Read every figure of a run that its seed decides, by trial and epoch."""
    names = ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "valid_top5_accuracy", "grad_norm")

    def read(folder: Path) -> dict[tuple[str, int], tuple[float, ...]]:
        with LedgerReader(folder / "run.sqlite") as ledger:
            return {(row["trial_id"], row["epoch"]): tuple(row[name] for name in names) for row in ledger.epochs()}

    return read


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which backends' tests really ran, so that green can't mean 'all skipped'."""
    ran: dict[str, int] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "backend":
                ran[value] = ran.get(value, 0) + 1
        for backend in ("numpy", "torch"):
            if f"shipped/test_{backend}.py" in report.nodeid:
                key = f"{backend} (contract tests in this interpreter)"
                ran[key] = ran.get(key, 0) + 1
    terminalreporter.section("backends whose tests really ran")
    for backend, count in sorted(ran.items()):
        terminalreporter.write_line(f"{backend}: {count}")
    if not ran:
        terminalreporter.write_line("none")
