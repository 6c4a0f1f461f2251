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


def test_the_largest_ratios_are_told_first(tmp_path):
    def record(ledger):
        for each in grid():
            finish(ledger, each, (9.0, 8.0))
            time(ledger, each, [100.0 * each.num_layers if each.implementation == "fused" else 50.0] * 10)

    answer = ask("deep-rnn-1", tmp_path / "run", grid(), record).answer
    assert answer.index("2 layers 4.00") < answer.index("1 layer 2.00")


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
    assert any("1 trial without a parity certificate" in sentence for sentence in answer.missing)


@pytest.mark.slow
def test_a_backend_without_a_layer_of_its_own_is_held_against_the_reference_s_losses_and_not_its_speed(tmp_path):
    lone = [trial("rnn", depth, backend="jax") for depth in (1, 2)]

    def record(ledger, gap):
        run_of(1e-5, 300)(ledger)
        for each in lone:
            finish(ledger, each, (9.0, 8.0 * (1 + gap)))
            time(ledger, each, [5.0] * 10)

    same = ask("deep-rnn-1", tmp_path / "same", [*grid(), *lone], lambda ledger: record(ledger, 0.0))
    assert same.verdict == "the same loss curves; scratch is slower everywhere"
    assert same.evidence["against_scratch"].tolist() == ["fused"] * 2 + ["scratch beside numpy's"] * 2
    assert same.evidence["speed_ratio"].isna().tolist() == [False, False, True, True]
    other = ask("deep-rnn-1", tmp_path / "other", [*grid(), *lone], lambda ledger: record(ledger, 0.5))
    assert other.verdict == "different loss curves; scratch is slower everywhere"
    assert "jax scratch beside numpy's, rnn, 1 layer" in other.answer
