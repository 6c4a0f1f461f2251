import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contracts.descriptors import SCRATCH
from harness.errors import PluginError
from harness.grid.choosing import choose_plugins
from harness.plugins import discovery, registry
from harness.plugins.registry import Registry
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection

PluginFolder = Callable[..., Path]
Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a distribution with one plugin, for as long as the test lasts."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(name: str, code: str) -> None:
        module = name.replace("-", "_")
        information = site / f"{module}-1.5.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (information / "entry_points.txt").write_text(f"[harness]\n{module} = {module}\n")
        (site / f"{module}.py").write_text(code)

    yield install
    for path in site.glob("*.py"):
        sys.modules.pop(path.stem, None)


def cell_code(name: str) -> str:
    return (
        "from harness.contracts.hooks import Cell, hookimpl\n"
        "@hookimpl\n"
        "def harness_cells():\n"
        f"    return [Cell(name={name!r}, title='', source='', equations='x')]\n"
    )


def broken_causes(loaded: Registry) -> dict[str, str]:
    return {broken.origin.plugin: broken.cause for broken in loaded.broken}


def test_every_built_in_plugin_loads() -> None:
    loaded = registry.load()
    assert loaded.broken == []
    assert {"rnn", "gru", "gru-textbook", "lstm"} <= loaded.cells.keys()
    assert {"numpy", "torch"} <= loaded.backends.keys()
    assert {"bronte", "time-machine"} <= loaded.corpora.keys()
    assert loaded.implementation_names("lstm", "numpy")[-2:] == ["fused", SCRATCH]
    assert loaded.implementation_names("gru-textbook", "numpy") == [SCRATCH]


def test_an_installed_distribution_brings_its_cell_with_its_version(distribution: Callable[[str, str], None]) -> None:
    distribution("peephole-cells", cell_code("peephole"))
    loaded = registry.load()
    assert loaded.cell("peephole").equations == "x"
    assert str(loaded.origins["cell", "peephole"]) == "plugin 'peephole_cells' of peephole-cells 1.5"


def test_single_files_are_loaded_only_when_asked(plugin_folder: PluginFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plugin_folder("tiny_cell")
    monkeypatch.chdir(folder)
    assert "tiny" not in registry.load().cells
    loaded = registry.load(folder)
    assert loaded.cell("tiny").equations == "tiny_cell"
    assert loaded.module_paths == (str(folder),)


def test_a_file_that_begins_with_an_underscore_is_no_plugin(plugin_folder: PluginFolder) -> None:
    folder = plugin_folder("fails_to_load")
    (folder / "fails_to_load.py").rename(folder / "_fails_to_load.py")
    assert registry.load(folder).broken == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("fails_to_load", "RuntimeError: my framework is too old"),
        ("exits_while_loading", "it called sys.exit(7) while loading"),
        ("fails_when_asked", "KeyError: 'settings'"),
        ("not_descriptors", "TypeError: harness_cells returned 'peephole-lstm', which is not a Cell"),
        ("wrong_arguments", "TypeError: harness_cells takes arguments, and this hook has none"),
        ("without_marker", "TypeError: harness_cells is not marked: write @hookimpl above it"),
    ],
)
def test_a_broken_plugin_is_remembered_with_its_cause_and_brings_nothing(
    plugin_folder: PluginFolder, name: str, cause: str
) -> None:
    sound = registry.load()
    loaded = registry.load(plugin_folder(name))
    assert broken_causes(loaded) == {name: cause}
    assert (loaded.cells, loaded.backends) == (sound.cells, sound.backends)


@pytest.mark.slow
def test_a_plugin_that_never_finishes_loading_is_given_up(
    plugin_folder: PluginFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "LOAD_SECONDS", 1)
    loaded = registry.load(plugin_folder("sleeps_while_loading", "tiny_cell"))
    assert broken_causes(loaded) == {"sleeps_while_loading": "TimeoutError: it took more than 1 s to load"}
    assert "tiny" in loaded.cells


def test_what_a_plugin_prints_while_loading_is_not_shown(
    plugin_folder: PluginFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = registry.load(plugin_folder("chatters_while_loading"))
    assert "chatty" in loaded.cells
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:soon")
@pytest.mark.parametrize(
    "statement",
    [
        "sys.stdout.buffer.write(b'bytes')",
        "sys.stdout.reconfigure(encoding='latin-1')",
        "import logging; logging.basicConfig(stream=sys.stderr); logging.warning('now')",
        "import warnings; warnings.warn('soon')",
    ],
)
def test_a_plugin_may_use_the_standard_streams_as_it_likes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], statement: str
) -> None:
    (tmp_path / "streaming.py").write_text(f"import sys\n{statement}\n{cell_code('streaming')}")
    loaded = registry.load(tmp_path)
    assert broken_causes(loaded) == {}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("descriptor", "cause"),
    [
        ("Backend(name='b', title='', requirements=('numpy'), target='x')", "is not a tuple of str"),
        ("Backend(name='b', title='', requirements=('numpy>==1',), target='x')", "InvalidRequirement"),
        ("Backend(name='b', title='', requirements=(), target='x', requires_python='3.11')", "InvalidSpecifier"),
        ("Backend(name='b', title='', requirements=(), target=print)", "is not of type str"),
        ("Backend(name='', title='', requirements=(), target='x')", "is empty"),
        ("Backend(name='my backend', title='', requirements=(), target='x')", "white space"),
        ("Backend(name='a,b', title='', requirements=(), target='x')", "a comma"),
        ("Backend(name='../b', title='', requirements=(), target='x')", "a slash"),
        ("Backend(name='b')", "missing 3 required"),
    ],
)
def test_a_descriptor_that_could_not_be_used_breaks_its_plugin(tmp_path: Path, descriptor: str, cause: str) -> None:
    code = f"from harness.contracts.hooks import *\n@hookimpl\ndef harness_backends():\n    return [{descriptor}]\n"
    (tmp_path / "mistaken.py").write_text(code)
    loaded = registry.load(tmp_path)
    assert cause in broken_causes(loaded)["mistaken"]
    assert loaded.backends.keys() == registry.load().backends.keys()


def test_a_broken_plugin_that_is_selected_is_an_error_with_its_cause(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("fails_to_load"))
    with pytest.raises(PluginError, match=r"'fails_to_load' .*fails_to_load.py is broken \(RuntimeError: my framework"):
        loaded.backend("fails_to_load")


def test_an_unknown_name_is_told_with_what_was_meant_and_what_is_broken(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("fails_to_load"))
    with pytest.raises(PluginError, match=r"no cell 'lstn'\. Did you mean 'lstm'\?.*'fails_to_load' .* is broken"):
        loaded.cell("lstn")


def broken_in(loaded: Registry) -> dict[str, str]:
    """Return the cause by each broken plugin's name."""
    return {broken.origin.plugin: broken.cause for broken in loaded.broken}


def test_a_name_claimed_twice_is_nobody_s_and_both_plugins_are_named(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("second_lstm"))
    assert "Two plugins bring the cell 'lstm': plugin 'lstm' of rnn-harness" in broken_in(loaded)["second_lstm"]
    with pytest.raises(PluginError, match=r"second_lstm.py"):
        loaded.cell("lstm")
    with pytest.raises(PluginError, match=r"Two plugins bring the cell 'lstm'"):
        choose_plugins(["numpy"], loaded)
    assert choose_plugins(["gru", "numpy"], loaded)[0] == ["gru"]


def test_a_name_claimed_by_two_distributions_names_both(distribution: Callable[[str, str], None]) -> None:
    distribution("one-cells", cell_code("peephole"))
    distribution("other-cells", cell_code("peephole"))
    with pytest.raises(
        PluginError, match=r"'peephole': plugin .* of one-cells 1\.5, and plugin .* of other-cells 1\.5"
    ):
        registry.load().cell("peephole")


def test_a_cell_and_a_backend_cannot_share_a_name(tmp_path: Path) -> None:
    (tmp_path / "confusing.py").write_text(cell_code("numpy"))
    with pytest.raises(PluginError, match=r"'numpy': plugin 'numpy' of rnn-harness .*, and plugin 'confusing'"):
        registry.load(tmp_path).backend("numpy")


def test_a_plugin_that_brings_a_name_twice_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "stuttering.py").write_text(cell_code("mine").replace("]\n", "] * 2\n"))
    loaded = registry.load(tmp_path)
    assert "brings the cell 'mine' twice" in broken_in(loaded)["stuttering"]
    with pytest.raises(PluginError, match=r"'stuttering' .* brings the cell 'mine' twice"):
        loaded.cell("mine")


def test_a_corpus_claimed_twice_is_read_of_neither(plugin_folder: PluginFolder) -> None:
    file = plugin_folder("own_corpus") / "own_corpus.py"
    file.write_text(file.read_text().replace('"round"', '"time-machine"'))
    loaded = registry.load(file.parent)
    with pytest.raises(PluginError, match=r"Two plugins bring the corpus 'time-machine'"):
        read_corpora(TextSelection(corpora=("time-machine",)), loaded, print)


def test_a_hook_this_version_does_not_know_breaks_its_plugin_alone(
    plugin_folder: PluginFolder, distribution: Callable[[str, str], None]
) -> None:
    distribution("later-plugin", cell_code("later") + cell_code("later").replace("cells", "schedules"))
    loaded = registry.load(plugin_folder("misspelt_hook"))
    causes = broken_in(loaded)
    assert "its hook 'harness_cell' is none of rnn-harness" in causes["misspelt_hook"]
    assert "Did you mean 'harness_cells'" in causes["misspelt_hook"]
    assert "its hook 'harness_schedules' is none of rnn-harness" in causes["later_plugin"]
    assert "upgrade rnn-harness where the plugin is for a later version" in causes["later_plugin"]
    assert {"lstm", "gru"} <= set(loaded.cells)


@pytest.mark.parametrize("entry_points", ["[console_scripts]\nno equals sign\n", b"\xff\xfe[harness]"])
def test_entry_points_that_cannot_be_read_are_one_distribution_s_fault(
    tmp_path: Path, distribution: Callable[[str, str], None], entry_points: str | bytes
) -> None:
    distribution("other-cells", cell_code("peephole"))
    malformed = tmp_path / "site" / "malformed-2.0.dist-info"
    malformed.mkdir()
    (malformed / "METADATA").write_text("Metadata-Version: 2.1\nName: malformed\nVersion: 2.0\n")
    content = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
    (malformed / "entry_points.txt").write_bytes(content)
    loaded = registry.load()
    assert {"lstm", "peephole"} <= set(loaded.cells)
    assert broken_in(loaded)["malformed"].startswith("ImportError: its entry_points.txt cannot be read (")


def test_a_distribution_without_metadata_is_named_by_where_it_lies(
    tmp_path: Path, distribution: Callable[[str, str], None]
) -> None:
    distribution("bare", cell_code("bare"))
    (tmp_path / "site" / "bare-1.5.dist-info" / "METADATA").unlink()
    origin = registry.load().origins["cell", "bare"]
    assert "None" not in str(origin)
    assert str(tmp_path / "site") in str(origin)


def test_an_implementation_of_an_unknown_pair_is_left_out_and_names_both_sides(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("unknown_pair"))
    cause = broken_in(loaded)["unknown_pair"]
    assert "'lstn/numpy/fast', but no plugin brings the cell 'lstn'. Did you mean 'lstm'" in cause
    assert ("lstn", "numpy") not in loaded.implementations


def test_a_missing_half_of_a_pair_may_be_in_a_broken_plugin(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("unknown_pair", "fails_to_load"))
    assert "lstn" not in loaded.cells


def test_an_implementation_nobody_brings_is_a_plugin_error() -> None:
    with pytest.raises(PluginError, match=r"implementation 'fast' of lstm on numpy.* fused, .*scratch"):
        registry.load().implementation_target("lstm", "numpy", "fast")


@pytest.mark.parametrize("module", ["json", "numpy", "pytest", "sys", "zipimport"])
def test_a_file_that_would_shadow_a_module_is_refused(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(cell_code("mine"))
    with pytest.raises(PluginError, match=rf"{module}\.py would shadow the installed module '{module}': rename"):
        registry.load(tmp_path)


def test_a_folder_that_is_on_the_path_does_not_shadow_itself(
    plugin_folder: PluginFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plugin_folder("tiny_cell")
    monkeypatch.syspath_prepend(str(folder))
    assert "tiny" in registry.load(folder).cells


def test_a_file_whose_name_has_a_dot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.cell.py").write_text(cell_code("mine"))
    with pytest.raises(PluginError, match=r"my\.cell\.py .* rename the file"):
        registry.load(tmp_path)


def test_a_missing_folder_of_plugins_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no folder .*nowhere: --plugins-dir takes"):
        registry.load(tmp_path / "nowhere")


def test_the_list_of_plugins_says_what_is_there_and_what_mends_the_rest(
    harness: Harness, plugin_folder: PluginFolder
) -> None:
    listed = harness("plugins", "--plugins-dir", plugin_folder("tiny_cell", "needy", "fails_to_load"))
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = {tuple(line.split()[:2]): " ".join(line.split()) for line in listed.stdout.splitlines()}
    assert "LSTM rnn-harness 0." in rows["cell", "lstm"]
    assert rows["cell", "lstm"].endswith("yes, on every backend")
    assert rows["cell", "tiny"].endswith("plugins/tiny_cell.py yes, on every backend")
    assert rows["backend", "numpy"].endswith("yes")
    assert (
        "no: The needy backend needs no-such-library>=1: pip install 'no-such-library>=1'" in rows["backend", "needy"]
    )
    assert "no: The ancient backend needs Python <3" in rows["backend", "ancient"]
    assert rows["implementation", "lstm/numpy/fused"].endswith("with the numpy backend")
    assert ("corpus", "bronte") in rows
    assert rows["broken", "fails_to_load"].endswith("no: RuntimeError: my framework is too old; mend the file")


@pytest.mark.slow
def test_a_broken_distribution_is_listed_with_the_command_that_mends_it(
    harness_process: Harness, distribution: Callable[[str, str], None], tmp_path: Path
) -> None:
    distribution("tensor-cells", "import no_such_framework\n")
    listed = harness_process("plugins", PYTHONPATH=str(tmp_path / "site")).stdout
    (row,) = [" ".join(line.split()) for line in listed.splitlines() if "tensor-cells" in line]
    assert row == (
        "broken tensor_cells tensor-cells 1.5 no: ModuleNotFoundError: No module named 'no_such_framework'; "
        "pip install --upgrade tensor-cells, or pip uninstall tensor-cells"
    )


def test_names_stay_whole_in_a_narrow_list(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from harness.environments import listing

    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(listing.table(registry.load(), width=console.width))
    lines = capture.get().splitlines()
    assert any(line.startswith("cell            gru-textbook") and line.rstrip().endswith("backend") for line in lines)


@pytest.mark.slow
def test_no_plugin_may_import_a_framework_to_be_listed(harness: Harness) -> None:
    code = "import sys; from harness.plugins import registry; registry.load(); print(*sys.modules)"
    modules = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert {"harness_torch.plugin", "harness_numpy.plugin"} <= modules
    assert not {"torch", "jax", "tensorflow", "autograd", "numpy", "pandas"} & modules


@pytest.mark.slow
def test_plugins_at_odds_cost_a_report_nothing(
    distribution: Callable[[str, str], None], harness: Harness, finished_run: Any, tmp_path: Path
) -> None:
    distribution("second-lstm", cell_code("lstm"))
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    done = harness("report", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "exercises.csv").is_file()
