import pytest
from invented_answers import ask, finish, time
from invented_runs import trial


def grid():
    return [trial("rnn", depth, implementation=name) for depth in (1, 2) for name in ("scratch", "fused")]


def run_of(gap, fused_rate):
    def record(ledger):
        for each in grid():
            fused = each.implementation == "fused"
            finish(ledger, each, (9.0, 8.0 * (1 + gap * fused)))
            time(ledger, each, [(fused_rate if fused else 100) * (1 + 0.002 * (i % 2)) for i in range(10)])

    return record


@pytest.mark.parametrize(
    ("gap", "rate", "verdict"),
    [
        (1e-5, 300, "the same loss curves; scratch is slower everywhere"),
        (0.2, 30, "different loss curves; scratch is faster everywhere"),
        (1e-5, 100, "the same loss curves; speed not decided"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, gap, rate, verdict):
    answer = ask("deep-rnn-1", tmp_path / "run", grid(), run_of(gap, rate))
    assert answer.verdict == verdict


def test_the_ratio_is_the_median_over_rounds_that_timed_both(tmp_path):
    answer = ask("deep-rnn-1", tmp_path / "run", grid(), run_of(0, 250))
    assert answer.evidence["speed_ratio"].tolist() == pytest.approx([2.5, 2.5])
    assert answer.evidence["speed_ratio_low"].notna().all()


def test_the_largest_difference_is_that_of_training_and_validation(tmp_path):
    def record(ledger):
        for each in grid():
            fused = each.implementation == "fused"
            finish(ledger, each, (9.0, 8.0), train_loss=2.0 + 0.3 * fused)

    answer = ask("deep-rnn-1", tmp_path / "run", grid(), record)
    assert answer.evidence["largest_loss_difference"].tolist() == pytest.approx([0.3, 0.3])
    assert answer.verdict == "different loss curves; speed not decided"
    assert any("--timing" in sentence for sentence in answer.missing)


def test_a_trial_without_its_certificate_is_left_out(tmp_path):
    def record(ledger):
        run_of(0, 200)(ledger)
        ledger.add_facts(grid()[1].trial_id, {"parity_certified": False})

    answer = ask("deep-rnn-1", tmp_path / "run", grid(), record)
    assert answer.evidence["layers"].tolist() == [2]
    assert any("1 trials without a parity certificate" in sentence for sentence in answer.missing)
