import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import PluginError, RunFolderError, UsageError, WorkerError
from harness.plugins.registry import Registry
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.running import sampling
from harness.worker.job import SampleRequest

Train = Callable[..., Any]


@pytest.fixture
def trained(finished_run: Any) -> Any:
    return finished_run


def sample(trained: Any, **changes: Any) -> str:
    trial = sampling.find_trial(trained.prepared.folder, changes.pop("trial", "rnn"))
    request: dict[str, Any] = {"prefix": "abc", "num_tokens": 30, "temperature": 0.8, "seed": 0}
    return sampling.generate(
        trained.prepared.registry, trained.prepared.folder, trial, SampleRequest(**(request | changes))
    )


@pytest.mark.slow
def test_text_begins_with_the_preprocessed_prefix_and_has_the_length_asked(trained: Any) -> None:
    text = sample(trained, prefix="  The  Time\tTraveller, (1895)!", num_tokens=7)
    assert text.startswith("the time traveller")
    # An unknown symbol is one token and five characters.
    assert len(text.replace("<unk>", "?")) == len("the time traveller") + 7


@pytest.mark.slow
def test_the_same_seed_gives_the_same_text_and_another_seed_another(trained: Any) -> None:
    assert sample(trained) == sample(trained)
    assert sample(trained) != sample(trained, seed=1)


@pytest.mark.slow
def test_temperature_0_is_the_same_for_every_seed(trained: Any) -> None:
    assert sample(trained, temperature=0.0) == sample(trained, temperature=0.0, seed=1)
    assert sample(trained, temperature=0.0) != sample(trained, temperature=50.0)


@pytest.mark.slow
def test_a_trial_s_own_sample_is_what_the_command_gives_for_its_seed(trained: Any) -> None:
    row = trained.trial("rnn")
    prefix = sampling.default_prefix(trained.prepared.folder, sampling.find_trial(trained.prepared.folder, "rnn"))
    assert prefix == trained.prepared.corpora[0].prefix != "time traveller"
    assert sample(trained, prefix=prefix, num_tokens=200) == row["sample"]


def test_a_trial_is_found_by_its_id_or_what_it_alone_begins_with(trained: Any) -> None:
    folder = trained.prepared.folder
    (rnn,) = (trial for trial in trained.prepared.plan.runnable if trial.cell == "rnn")
    assert sampling.find_trial(folder, rnn.trial_id) == rnn
    assert sampling.find_trial(folder, "rnn-1") == rnn


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", r"'' begins 2 trials \(rnn-.*, gru-.*\): give more of the id"),
        ("lstm", r"There is no trial 'lstm' in .*/out\. There is: gru-1-numpy-(native|fused)-.*, rnn-1-"),
        ("rnn-1-numpy-natif", r"Did you mean 'rnn-1-numpy-(native|fused)-"),
    ],
)
def test_an_unknown_or_ambiguous_trial_is_one_sentence(trained: Any, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sampling.find_trial(trained.prepared.folder, name)


def test_many_matches_are_not_all_listed(trained: Any, tmp_path: Path) -> None:
    trial, *_ = trained.prepared.plan.runnable
    folder = RunFolder(tmp_path)
    with Ledger(folder.ledger) as ledger:
        ledger.add(replace(trial, seed=seed) for seed in range(1000))
    with pytest.raises(UsageError) as raised:
        sampling.find_trial(folder, "rnn")
    assert "begins 1,000 trials" in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.slow
def test_a_trial_without_a_checkpoint_is_told_with_its_status(train: Train) -> None:
    trained = train("rnn,raise-error", "misbehaving")
    with pytest.raises(RunFolderError, match=r"has no checkpoint \(status failed\): run it to its end first"):
        sampling.find_trial(trained.prepared.folder, "rnn")


def test_a_folder_without_a_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"There is no ledger at .* 'harness run' made"):
        sampling.find_trial(RunFolder(tmp_path), "rnn")


@pytest.mark.parametrize("prefix", ["", "  ", "1895!?"])
def test_a_prefix_without_letters_is_one_sentence(trained: Any, prefix: str) -> None:
    with pytest.raises(UsageError, match=r"--prefix .* has no token in it: give some letters"):
        sample(trained, prefix=prefix)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_one_sentence(train: Train) -> None:
    trained = train("rnn,numpy", epochs=1)
    path = trained.prepared.folder.checkpoint(trained.trial("rnn")["trial_id"])
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(WorkerError) as raised:
        sample(trained)
    assert str(raised.value).startswith(f"No text was generated: {path.absolute()} is not a whole checkpoint")
    assert str(raised.value).endswith("--force and the trial's id trains it anew")
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_plugin_that_is_gone_is_one_sentence(train: Train) -> None:
    trained = train("tiny,numpy", "tiny_cell")
    trial = sampling.find_trial(trained.prepared.folder, "tiny")
    from harness.plugins import registry

    without: Registry = registry.load()
    with pytest.raises(PluginError, match=r"There is no cell 'tiny'\..* 'harness plugins' lists"):
        sampling.generate(
            without, trained.prepared.folder, trial, SampleRequest(prefix="abc", num_tokens=3, temperature=0.0, seed=0)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "said"),
    [("exit_at_once", "the worker exited with 3: going"), ("kill_itself", "the worker exited with -9")],
)
def test_a_worker_that_breaks_while_generating_is_one_sentence(train: Train, deed: str, said: str) -> None:
    trained = train("rnn,breaking", "breaking", "misbehaving", epochs=1)
    (Path(trained.prepared.registry.module_paths[0]) / "deed.txt").write_text(deed)
    with pytest.raises(WorkerError) as raised:
        sample(trained)
    assert str(raised.value).strip(": ") == f"No text was generated: {said}"


@pytest.mark.slow
def test_the_command_prints_the_text_and_nothing_else(
    trained: Any, harness_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = harness_process("sample", trained.folder, "rnn", "--prefix", "ABC", "--num", 20, "--temperature", 0)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == sample(trained, num_tokens=20, temperature=0.0) + "\n"
    for options in (["nothing"], ["rnn", "--prefix", "123"], ["rnn", "--temperature", "-1"], ["rnn", "--num", "0"]):
        wrong = harness_process("sample", trained.folder, *options)
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1), options


@pytest.mark.slow
def test_words_are_generated_with_spaces_between(train: Train, here: Path) -> None:
    from rich.console import Console

    from harness.grid.selection import select
    from harness.plugins import registry
    from harness.running import run
    from harness.running.workplace import Limits

    prepared = run.prepare(
        registry.load(),
        *select(
            {
                "plugins": "rnn,numpy",
                "hiddens": 8,
                "steps": 5,
                "batch-size": 4,
                "epochs": 1,
                "corpus": "text.txt",
                "tokens": "word",
            }
        ),
        run.Placement(out=Path("words"), devices="cpu"),
        Console(quiet=True),
    )
    with prepared.folder.opened():
        run.execute(
            prepared, Limits(), run.Measurements(parity_steps=0, timing="off"), ["harness"], Console(quiet=True)
        )
    trial = sampling.find_trial(prepared.folder, "rnn")
    text = sampling.generate(
        prepared.registry,
        prepared.folder,
        trial,
        SampleRequest(prefix="The, end", num_tokens=5, temperature=0.0, seed=0),
    )
    assert text.startswith("the end ")
    assert len(text.split()) == 7
