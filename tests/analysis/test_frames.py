import json
import math

import numpy as np
import pandas as pd
import pytest
from invented_runs import FINISHED, STARTED, UNIGRAM, begin, epoch, finish, older_ledger, trial

from harness.analysis import measurements
from harness.analysis.frames import read_run
from harness.errors import RunFolderError

# Copied from the design, not from the code: other programs rely on these columns and their order.
DESIGNED = """
    trial_id, status, reason, cell, backend, implementation, corpus, authors, train_tokens, num_layers,
    num_hiddens, num_steps, batch_size, optimizer, learning_rate, grad_clip, num_epochs, seed, device,
    num_threads, concurrency, num_params, train_perplexity, valid_perplexity, valid_bits_per_char,
    valid_accuracy, valid_top5_accuracy, tokens_per_s, tokens_per_s_low, tokens_per_s_high,
    model_flops_utilization, train_seconds, peak_rss_bytes, peak_device_bytes, parity_certified,
    parity_max_rel_diff
"""


def only(run, name):
    (value,) = run.trials[name]
    return value


def test_trials_begin_with_the_columns_of_the_design(build_run):
    assert list(read_run(build_run([trial()])).trials.columns[:36]) == DESIGNED.replace(",", "").split()


def test_trials_keep_the_order_of_the_plan(build_run):
    planned = [trial("rnn", 4), trial("gru", 1), trial("lstm", 2)]
    run = read_run(build_run(planned, lambda ledger: [finish(ledger, each) for each in reversed(planned)]))
    assert list(run.trials["trial_id"]) == [each.trial_id for each in planned]
    assert list(run.epochs["trial_id"].drop_duplicates()) == [each.trial_id for each in planned]


def test_a_finished_trial_shows_its_last_epoch_and_its_best(build_run):
    run = read_run(build_run([trial()], lambda ledger: finish(ledger, trial(), (12.0, 7.0, 8.0))))
    assert only(run, "status") == "ok"
    assert only(run, "valid_perplexity") == pytest.approx(8.0)
    assert only(run, "train_perplexity") == pytest.approx(8.0 * math.exp(-0.1))
    assert only(run, "valid_bits_per_char") == pytest.approx(3.0)
    assert only(run, "best_valid_perplexity") == pytest.approx(7.0)
    assert only(run, "best_epoch") == 2
    assert only(run, "train_seconds") == pytest.approx(1.5)
    assert only(run, "num_params") == STARTED.num_params
    assert only(run, "peak_rss_bytes") == FINISHED.peak_rss_bytes
    assert only(run, "unigram_valid_perplexity") == UNIGRAM
    assert json.loads(only(run, "versions")) == STARTED.versions


def test_among_equal_epochs_the_first_is_the_best(build_run):
    run = read_run(build_run([trial()], lambda ledger: finish(ledger, trial(), (9.0, 7.0, 7.0))))
    assert only(run, "best_epoch") == 2


def test_what_no_phase_has_measured_stays_empty(build_run):
    run = read_run(build_run([trial()], lambda ledger: finish(ledger, trial())))
    unknown = ["model_flops_utilization", "peak_device_bytes", "parity_certified", "parity_max_rel_diff"]
    assert run.trials[unknown].isna().all(axis=None)


def test_a_trial_that_has_not_run_is_skipped_and_the_reason_says_how_to_run_it(build_run):
    run = read_run(build_run([trial()]))
    assert only(run, "status") == "skipped"
    assert only(run, "reason") == "Not run yet; the same command again runs it."
    assert run.pending[trial().trial_id]


def test_an_interrupted_trial_is_skipped_and_keeps_its_epochs(build_run):
    def record(ledger):
        begin(ledger, trial(), [epoch(1), epoch(2)])
        ledger.release(trial().trial_id)

    run = read_run(build_run([trial()], record))
    assert only(run, "status") == "skipped"
    assert only(run, "reason") == "Not run to the end yet (2 of 3 epochs); the same command again continues it."
    assert only(run, "num_epochs_done") == 2


def test_a_planned_skip_keeps_its_reason_and_is_not_pending(build_run):
    run = read_run(build_run([trial()], lambda ledger: ledger.ended(trial().trial_id, "skipped", "No torch here.")))
    assert only(run, "reason") == "No torch here."
    assert not run.pending.any()


def test_losses_that_are_not_finite_do_not_count_as_the_best(build_run):
    def record(ledger):
        begin(ledger, trial(), [epoch(1, 9.0), epoch(2, valid_loss=math.nan), epoch(3, valid_loss=math.inf)])
        ledger.ended(trial().trial_id, "diverged", "The loss is no longer finite.")

    run = read_run(build_run([trial()], record))
    assert math.isinf(only(run, "valid_perplexity"))
    assert only(run, "best_epoch") == 1


def test_a_loss_too_large_for_a_perplexity_is_infinite(build_run):
    run = read_run(build_run([trial()], lambda ledger: begin(ledger, trial(), [epoch(1, valid_loss=1e6)])))
    assert math.isinf(only(run, "valid_perplexity"))


def blocks(rates, trial_id="a", phase="training", round_=1):
    return pd.DataFrame(
        {
            "trial_id": trial_id,
            "phase": phase,
            "round": round_,
            "block": range(len(rates)),
            "tokens_per_s": rates,
            "session": 0,
        }
    ).astype({"tokens_per_s": float})


def throughput(timings, **timed_by):
    return measurements.throughput(timings, pd.Series(timed_by, dtype=object))


def test_a_timed_trial_has_the_median_of_all_blocks_of_its_kind_and_no_other_blocks():
    timings = pd.concat(
        [blocks([5, 6, 7]), blocks([10, 11, 12], phase="timing"), blocks([1, 2], "b"), blocks([3], "c")]
    )
    rates = throughput(timings, a="a", b="a")["tokens_per_s"].to_dict()
    assert rates == {"a": 11, "b": 11, "c": 3}


def test_throughput_is_the_median_of_the_blocks_after_the_first():
    assert throughput(blocks([1, 30, 10, 20])).loc["a", "tokens_per_s"] == 20


def test_throughput_of_a_single_block_is_that_block():
    assert throughput(blocks([7])).loc["a", "tokens_per_s"] == 7


def test_throughput_has_the_interval_of_the_ordered_blocks():
    # Ten blocks after the first: the second and the ninth bound the median.
    (row,) = throughput(blocks([99, 9, 1, 5, 3, 7, 2, 8, 4, 6, 10])).to_dict("records")
    assert row == {"tokens_per_s": 5.5, "tokens_per_s_low": 2, "tokens_per_s_high": 9}


def test_few_blocks_give_no_interval():
    assert throughput(blocks([1, 2, 3, 4, 5, 6])).loc["a", ["tokens_per_s_low", "tokens_per_s_high"]].isna().all()


def test_throughput_keeps_trials_apart_and_leaves_other_phases_out():
    timings = pd.concat([blocks([1, 2, 2]), blocks([1, 5, 5], "b"), blocks([900] * 9, "b", "exclusive")])
    assert throughput(timings)["tokens_per_s"].to_dict() == {"a": 2, "b": 5}


def test_timings_hold_every_block_of_the_ledger(build_run):
    run = read_run(build_run([trial()], lambda ledger: finish(ledger, trial(), (9.0, 8.0))))
    assert list(run.timings["tokens_per_s"].round()) == [15000, 20000, 20000] * 2
    assert only(run, "tokens_per_s") == pytest.approx(20000)


def test_the_summary_averages_finished_seeds_with_their_t_interval(build_run):
    seeds = [trial(seed=seed) for seed in range(4)]

    def record(ledger):
        for each, value in zip(seeds, (7.0, 8.0, 9.0), strict=False):
            finish(ledger, each, (value,))
        begin(ledger, seeds[3], [epoch(1, 900.0)])
        ledger.ended(seeds[3].trial_id, "failed", "Killed.")

    (row,) = read_run(build_run(seeds, record)).summary.to_dict("records")
    margin = 4.302653 / math.sqrt(3)
    assert row["num_seeds"] == 3
    assert row["valid_perplexity_mean"] == pytest.approx(8.0)
    assert row["valid_perplexity_mean_low"] == pytest.approx(8.0 - margin)
    assert row["valid_perplexity_mean_high"] == pytest.approx(8.0 + margin)


def test_one_seed_has_a_mean_without_an_interval(build_run):
    (row,) = read_run(build_run([trial()], lambda ledger: finish(ledger, trial()))).summary.to_dict("records")
    assert row["valid_perplexity_mean"] == pytest.approx(8.0)
    assert np.isnan([row["valid_perplexity_mean_low"], row["valid_perplexity_mean_high"]]).all()


def test_models_that_differ_in_any_setting_are_averaged_apart(build_run):
    planned = [trial(), trial(learning_rate=0.5), trial("gru")]
    run = read_run(build_run(planned, lambda ledger: [finish(ledger, each) for each in planned]))
    assert list(run.summary["num_seeds"]) == [1, 1, 1]


def test_samples_are_those_of_finished_trials(build_run):
    other = trial("gru")

    def record(ledger):
        finish(ledger, trial())
        begin(ledger, other, [epoch(1)])

    assert read_run(build_run([trial(), other], record)).samples == {trial().trial_id: FINISHED.sample}


def test_an_empty_ledger_gives_empty_frames(build_run):
    run = read_run(build_run([]))
    assert (len(run.trials), len(run.epochs), len(run.timings), len(run.summary)) == (0, 0, 0, 0)


def test_a_folder_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no ledger"):
        read_run(tmp_path)


def test_a_ledger_that_holds_nothing_is_refused(tmp_path):
    (tmp_path / "run.sqlite").touch()
    with pytest.raises(RunFolderError, match="is empty"):
        read_run(tmp_path)


@pytest.mark.slow
def test_a_ledger_from_before_a_setting_existed_is_read_with_its_default(build_run):
    folder = build_run([trial()], lambda ledger: finish(ledger, trial(), (12.0,)))
    with older_ledger(folder / "run.sqlite") as db:
        (values,) = db.execute("SELECT trial FROM trials").fetchone()
        assert json.loads(values)["init"] == "uniform"
        later = ("init", "lr_decay", "lr_decay_after", "rmsprop_decay")
        earlier = {name: value for name, value in json.loads(values).items() if name not in later}
        db.execute("UPDATE trials SET trial=?", (json.dumps(earlier),))
    run = read_run(folder)
    assert [only(run, name) for name in later] == ["uniform", 1.0, 0, 0.99]
    assert len(run.summary) == 1


def test_seeds_that_share_one_timing_have_its_interval_and_no_invented_one(build_run):
    timed, untimed = ([trial(cell, seed=seed) for seed in range(3)] for cell in ("lstm", "gru"))

    def record(ledger):
        for each in (*timed, *untimed):
            fast = each.cell == "gru" and each.seed == 2
            finish(ledger, each, blocks=((3_000, 0.001 if fast else 1.0),))
        ledger.timing.add(timed[0].trial_id, [(number, 1000, 1 + 0.01 * number) for number in range(10)])
        for each in timed:
            ledger.add_facts(each.trial_id, {"timed_by": timed[0].trial_id})

    run = read_run(build_run([*timed, *untimed], record))
    summary = run.summary.set_index("cell")
    known = run.trials.set_index("cell").loc["lstm"].iloc[0]
    assert 0 < known["tokens_per_s_low"] < known["tokens_per_s_high"]
    assert summary.loc["lstm", "tokens_per_s_mean_low"] == known["tokens_per_s_low"]
    assert summary.loc["lstm", "tokens_per_s_mean_high"] == known["tokens_per_s_high"]
    assert summary.loc["gru", "tokens_per_s_mean_low"] == 0, "no speed is negative"
