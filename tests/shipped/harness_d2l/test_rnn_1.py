import numpy as np
import pytest
from invented_answers import ask, finish
from invented_runs import trial

from harness.worker.checkpoints import Checkpoint


def keep(folder, of, rows):
    path = folder / "checkpoints" / f"{of.trial_id}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {"output.W": np.zeros((rows, of.num_hiddens), np.float32), "output.b": np.zeros(rows, np.float32)}
    Checkpoint(trial_id=of.trial_id, epoch=3, weights=weights, optimizer_state={}, vocabulary=[]).write(path)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [(28, "as many as the vocabulary has tokens"), (27, "not the vocabulary's size in every model")],
)
def test_the_verdict_is_read_off_the_trained_models(tmp_path, rows, verdict):
    only = trial("rnn")
    (tmp_path / "run").mkdir()
    keep(tmp_path / "run", only, rows)
    answer = ask("rnn-1", tmp_path / "run", [only], lambda ledger: finish(ledger, only, (9, 8)))
    assert answer.verdict == verdict
    assert answer.evidence["output_dimensions"].tolist() == [str(rows)]


def test_without_checkpoints_it_says_that_none_was_looked_at(tmp_path):
    trials = [trial("rnn"), trial("rnn", tokens="word", vocab_size=4000)]
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / f"{trials[0].trial_id}.safetensors").write_bytes(b"no checkpoint")
    answer = ask("rnn-1", tmp_path / "run", trials, lambda ledger: [finish(ledger, each, (9, 8)) for each in trials])
    assert answer.verdict.endswith("not checked on a model")
    assert answer.evidence["vocab_size"].tolist() == [28, 4000]
    assert any("not looked at" in sentence for sentence in answer.missing)


def test_texts_of_one_dimension_share_a_phrase(tmp_path):
    names = ("bronte", "bronte:agnes-grey", "bronte:jane-eyre", "federalist")
    trials = [trial("rnn", corpus=name, vocab_size=41 if name == "federalist" else 28) for name in names]
    (tmp_path / "run").mkdir()
    answer = ask("rnn-1", tmp_path / "run", trials, lambda ledger: [finish(ledger, each, (9, 8)) for each in trials])
    assert "28 for bronte and 2 others by characters (letters only) and 41 for federalist by" in answer.answer


@pytest.mark.slow
def test_one_checkpoint_is_told_of_as_one(tmp_path):
    only = trial("rnn")
    keep(tmp_path / "run", only, 28)
    answer = ask("rnn-1", tmp_path / "run", [only], lambda ledger: finish(ledger, only, (9, 8)))
    assert "The output layer of the one trained model whose checkpoint is here has that many rows." in answer.answer
