import pytest

from harness.record.ledger import Ledger, LedgerReader
from harness.running.probing import ProbingPhase
from harness.running.workplace import Limits


def phase_of(trained, ledger):
    return ProbingPhase(workplace=trained.prepared.workplace(Limits(stall_timeout=60)), ledger=ledger)


def probe(trained, probes):
    """Probe every trial; return what was said and the rows by trial and probe."""
    said: list[str] = []
    trials = trained.prepared.plan.runnable
    with Ledger(trained.prepared.folder.ledger) as ledger:
        phase_of(trained, ledger).run(trials, {trial.trial_id: probes for trial in trials}, said.append)
    with LedgerReader(trained.prepared.folder.ledger) as reader:
        return said, {(row["trial_id"], row["probe"]) for row in reader.probes()}


@pytest.mark.slow
def test_models_and_baselines_are_probed_once(train):
    trained = train("rnn,numpy,ngram-2", epochs=1)
    rnn, ngram = trained.prepared.plan.runnable
    said, found = probe(trained, ("influence", "clipping"))
    assert said == ["Probing 2 models …"]
    assert found == {(rnn.trial_id, "influence"), (rnn.trial_id, "clipping"), (ngram.trial_id, "influence")}
    assert probe(trained, ("influence", "clipping")) == ([], found)


@pytest.mark.slow
def test_a_model_without_a_checkpoint_is_not_probed(train):
    trained = train("rnn,numpy", epochs=1)
    (trial,) = trained.prepared.plan.runnable
    trained.prepared.folder.checkpoint(trial.trial_id).unlink()
    assert probe(trained, ("influence",)) == ([], set())


@pytest.mark.slow
def test_a_probe_that_fails_is_said_and_the_earlier_ones_stand(train):
    trained = train("rnn,numpy", epochs=1)
    (trial,) = trained.prepared.plan.runnable
    said, found = probe(trained, ("clipping", "generation"))
    assert said[-1].startswith(f"{trial.trial_id} could not be probed: ValueError: the held-out text has ")
    assert found == {(trial.trial_id, "clipping")}
