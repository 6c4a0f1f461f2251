"""Two invented runs beside each other: what is worse in one is better in the other, and nothing is judged by chance."""

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from html_reading import read_html
from invented_runs import begin, epoch, finish, make_folder, manifest, time_session, trial
from scipy import stats

from harness import cli
from harness.report.two_runs import compare_folders

SEEDS = range(4)
MODELS = (("lstm", 1), ("lstm", 2), ("gru", 1), ("gru", 2))
RATE = 20_000


@dataclass(frozen=True)
class Invented:
    """How an invented run differs from the plain one."""

    worse: float = 0.0
    """Added to the LSTM's perplexity."""
    speed: float = 1.0
    """Factor on the speed of two layers."""
    alone: bool = True
    device: float = 1.0
    """Factor on the sentinel's rate."""
    disturbances: Sequence[str] = ("", "", "")
    """Of each timing session."""
    between: float = 0.0
    """Standard deviation between sessions."""
    seeds: Sequence[int] = SEEDS
    models: Sequence[tuple[str, int]] = MODELS
    noise: float = 0.01
    corpus_digest: str = "c0ffee"
    num_blocks: int = 10


def run(folder: Path, of: Invented = Invented(), *, number: int = 0, **changes: object) -> Path:
    """Make a run of four models; ``number`` seeds its noise."""
    chance = random.Random(number)
    planned = [
        trial(cell, depth, seed=seed, corpus_digest=of.corpus_digest) for cell, depth in of.models for seed in of.seeds
    ]

    def record(ledger):
        for each in planned:
            perplexity = 8.0 + 0.3 * each.seed + of.worse * (each.cell == "lstm") + of.noise * chance.random()
            blocks = tuple((1000, 1000 / rate) for rate in rates(each))
            finish(ledger, each, (9.0, perplexity), blocks=blocks, train_seconds=0.5 / of.speed)
        for disturbance in of.disturbances if of.alone else ():
            timed = {each.trial_id: rates(each) for each in planned}
            time_session(ledger, timed, disturbance=disturbance, sentinel=1e11 * of.device)

    def rates(each):
        rate = RATE * (of.speed if each.num_layers == 2 else 1.0) * math.exp(chance.gauss(0, of.between))
        return [rate * chance.uniform(0.98, 1.02) for _ in range(of.num_blocks)]

    return make_folder(folder, planned, record, **changes)


def verdicts(found, measure):
    return {row.model.replace("\u00a0", " "): row.verdict for row in found.rows if row.measure.name == measure}


def rows_of(found, measure):
    return [row for row in found.rows if row.measure.name == measure]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["compare", *map(str, arguments)], prog_name="harness")


@pytest.fixture
def plain(tmp_path):
    return run(tmp_path / "a")


# --- verdicts ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "verdict"), [(0.5, "worse"), (-0.5, "better")])
def test_a_perplexity_is_better_or_worse_as_the_seeds_say(plain, tmp_path, shift, verdict):
    found = compare_folders(plain, run(tmp_path / "b", Invented(worse=shift), number=1))
    same = "same within noise"
    assert verdicts(found, "valid_perplexity") == {
        "lstm · 1 layer": verdict, "lstm · 2 layers": verdict, "gru · 1 layer": same, "gru · 2 layers": same,
    }  # fmt: skip
    row = rows_of(found, "valid_perplexity")[0]
    assert row.change.low < shift / 8.45 < row.change.high
    assert row.n == len(SEEDS)


@pytest.mark.slow
def test_the_seeds_are_paired(plain, tmp_path):
    # A difference far smaller than the spread over seeds is seen, as each seed moved by the same.
    found = compare_folders(plain, run(tmp_path / "b", Invented(worse=0.05), number=1))
    assert verdicts(found, "valid_perplexity")["lstm · 1 layer"] == "worse"


@pytest.mark.slow
def test_a_change_of_what_cannot_be_negative_is_bounded_by_nothing_left(tmp_path):
    def scattered(folder, seconds):
        def record(ledger):
            for each, taken in zip(planned, seconds, strict=True):
                finish(ledger, each, (9.0, 8.0), train_seconds=taken)

        planned = [trial("lstm", 1, seed=seed) for seed in range(len(seconds))]
        return make_folder(folder, planned, record)

    found = compare_folders(scattered(tmp_path / "a", (1.0, 8.0, 20.0)), scattered(tmp_path / "b", (9.0, 2.0, 1.0)))
    [row] = rows_of(found, "train_seconds")
    ratios = np.log([9.0 / 1.0, 2.0 / 8.0, 1.0 / 20.0])
    margin = stats.t.ppf(0.975, 2) * ratios.std(ddof=1) / math.sqrt(3)
    assert row.change.low == pytest.approx(math.expm1(ratios.mean() - margin))
    assert row.change.low > -1


@pytest.mark.slow
def test_what_the_runs_swapped_say_is_the_opposite(plain, tmp_path):
    other = run(tmp_path / "b", Invented(worse=0.5, speed=0.7), number=1)
    opposite = {"worse": "better", "better": "worse"}
    forth, back = compare_folders(plain, other), compare_folders(other, plain)
    assert {"worse", "same within noise"} <= {row.verdict for row in forth.rows}
    assert [opposite.get(row.verdict, row.verdict) for row in forth.rows] == [row.verdict for row in back.rows]


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "better"), (0.7, "worse"), (1.02, "same within noise")])
def test_a_speed_is_judged_over_sessions(tmp_path, factor, verdict):
    first = run(tmp_path / "a", Invented(between=0.01))
    found = compare_folders(first, run(tmp_path / "b", Invented(between=0.01, speed=factor), number=1))
    assert verdicts(found, "tokens_per_s")["lstm · 2 layers"] == verdict
    assert verdicts(found, "tokens_per_s")["lstm · 1 layer"] == "same within noise"
    rows = rows_of(found, "tokens_per_s")
    assert rows[1].change.low < factor - 1 < rows[1].change.high
    assert all((row.n, row.note) == (3, "") for row in rows)
    assert all(0.001 < row.deviation < 0.03 for row in rows)


@pytest.mark.slow
def test_one_session_allows_for_what_it_cannot_show(tmp_path):
    single = {"disturbances": [""], "seeds": [0]}
    first = run(tmp_path / "a", Invented(**single))
    for name, factor, verdict in (("b", 0.9, "same within noise"), ("c", 0.7, "worse")):
        found = compare_folders(first, run(tmp_path / name, Invented(speed=factor, **single), number=1))
        row = rows_of(found, "tokens_per_s")[1]
        assert row.verdict == verdict
        assert "steady sessions: 1 and 1, too few to show how they differ; 5% is allowed for" in row.note
        # 1.96 · √2 · 5 % of the logarithm, and a little for the blocks.
        assert math.log((1 + row.change.high) / (1 + row.change.estimate)) == pytest.approx(0.1386, rel=0.05)


@pytest.mark.slow
def test_sessions_that_were_disturbed_are_left_out(tmp_path):
    first = run(tmp_path / "a", Invented(seeds=[0]))
    load = "under load: other programs took 50% of a core"
    second = run(tmp_path / "b", Invented(seeds=[0], speed=0.7, disturbances=["", load, ""]), number=1)
    row = rows_of(compare_folders(first, second), "tokens_per_s")[1]
    assert (row.verdict, row.n, row.note) == ("worse", 2, "left out of B: 1 session under load")
    third = run(tmp_path / "c", Invented(seeds=[0], speed=0.7, disturbances=[load] * 3), number=1)
    rows = rows_of(compare_folders(first, third), "tokens_per_s")
    assert {(row.verdict, row.note) for row in rows} == {("not comparable", f"no session of B was steady: {load}")}
    assert call(first, third, "--fail-on", "90%").exit_code == 5


def test_speeds_of_training_are_shown_and_not_judged(tmp_path):
    folders = [run(tmp_path / name, Invented(alone=False, speed=speed)) for name, speed in (("a", 1.0), ("b", 0.3))]
    (note,) = {row.note for row in rows_of(compare_folders(*folders), "tokens_per_s")}
    assert note.startswith("timed while training alone")
    assert {row.verdict for row in rows_of(compare_folders(*folders), "train_seconds")} == {"not comparable"}
    assert call(*folders, "--fail-on", "5%").exit_code == 6
    assert call(*folders, "--fail-on", "5%", "--guard", "perplexity").exit_code == 0


@pytest.mark.slow
def test_chance_is_not_taken_for_a_difference_among_many_models(tmp_path):
    first, second = (run(tmp_path / name, Invented(noise=0.5), number=i) for i, name in enumerate("ab"))
    found = compare_folders(first, second)
    assert {row.verdict for row in rows_of(found, "valid_perplexity")} == {"same within noise"}
    assert all(row.p_adjusted >= row.p_value for row in found.rows if row.p_value == row.p_value)


@pytest.mark.slow
def test_one_seed_has_no_interval_and_is_not_judged(tmp_path):
    first, second = (
        run(tmp_path / name, Invented(seeds=[0], worse=shift), number=i)
        for i, (name, shift) in enumerate((("a", 0), ("b", 3)))
    )
    found = compare_folders(first, second)
    assert {row.verdict for row in rows_of(found, "valid_perplexity")} == {"not comparable"}
    assert "one seed" in rows_of(found, "valid_perplexity")[0].note
    assert "one seed: no interval" in call(first, second).output


@pytest.mark.slow
def test_figures_that_are_the_same_to_the_last_digit_are_the_same_even_with_one_seed(tmp_path):
    first, second = (run(tmp_path / name, Invented(seeds=[0], noise=0.0)) for name in "ab")
    judged = [row for row in compare_folders(first, second).rows if row.measure.name != "train_seconds"]
    assert {row.verdict for row in judged} == {"same within noise"}


@pytest.mark.slow
def test_a_baseline_has_no_chance_in_it(tmp_path):
    folders = []
    ngram = trial("ngram-4", 0, backend="none", implementation="baseline")
    for name, reached, seconds in (("a", 8.0, 1.0), ("b", 8.1, 2.0)):

        def record(ledger, reached=reached, seconds=seconds):
            finish(ledger, ngram, (reached,), train_seconds=seconds)

        folders.append(make_folder(tmp_path / name, [ngram], record))
    found = compare_folders(*folders)
    assert verdicts(found, "valid_perplexity") == {"ngram-4": "worse"}
    # How long the fit took is another matter: one measurement of it decides nothing.
    assert verdicts(found, "train_seconds") == {"ngram-4": "not comparable"}


@pytest.mark.slow
def test_trials_that_fail_now_are_worse_and_say_why(plain, tmp_path):
    planned = [trial("lstm", seed=seed) for seed in SEEDS]

    def record(ledger):
        for each in planned:
            begin(ledger, each, [epoch(1)])
            ledger.ended(each.trial_id, "failed", "MemoryError: none left")

    second = make_folder(tmp_path / "b", planned, record)
    (row,) = compare_folders(plain, second).of("worse")
    assert (row.measure.name, row.before, row.after, row.note) == ("finished", 4, 0, "MemoryError: none left")
    assert call(plain, second, "--fail-on", "50%").exit_code == 3
    assert compare_folders(second, plain).of("worse") == []


# --- what is not comparable -------------------------------------------------------------------------------


def machine(**changes):
    return {"hardware": {**manifest()["hardware"], **changes}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (machine(processor="Xeon"), "processor AMD EPYC 9R14 in A, Xeon in B"),
        (machine(logical_cores=64), "cores 2 in A, 64 in B"),
        (machine(gpus=[]), "GPUs A100 in A, none in B"),
        ({"hardware": {}}, "hardware of B is not recorded"),
    ],
)
def test_other_hardware_leaves_the_losses(plain, tmp_path, changes, said):
    second = run(tmp_path / "b", Invented(worse=0.5, speed=0.5), number=1, **changes)
    found = compare_folders(plain, second)
    assert set(verdicts(found, "valid_perplexity").values()) == {"worse", "same within noise"}
    for measure in ("tokens_per_s", "train_seconds", "peak_rss_bytes"):
        assert set(verdicts(found, measure).values()) == {"not comparable"}
    assert said in call(plain, second).output


@pytest.mark.slow
def test_a_device_in_another_state_is_another_machine(plain, tmp_path):
    found = compare_folders(plain, run(tmp_path / "b", Invented(speed=0.7, device=0.7), number=1))
    assert {row.verdict for row in rows_of(found, "tokens_per_s")} == {"not comparable"}


@pytest.mark.slow
def test_what_the_device_itself_lost_is_not_the_models(plain, tmp_path):
    found = compare_folders(plain, run(tmp_path / "b", Invented(speed=0.95, device=0.93), number=1))
    assert {row.verdict for row in rows_of(found, "tokens_per_s")} == {"same within noise"}
    assert "the device itself was 7% slower" in rows_of(found, "tokens_per_s")[0].note
    without = compare_folders(plain, run(tmp_path / "c", Invented(speed=0.95), number=1))
    assert verdicts(without, "tokens_per_s")["lstm · 2 layers"] == "worse"


@pytest.mark.slow
def test_a_speed_alone_is_not_held_against_one_while_training(plain, tmp_path):
    found = compare_folders(plain, run(tmp_path / "b", Invented(alone=False), number=1))
    assert {row.note for row in rows_of(found, "tokens_per_s")} == {"timed in A and not in B"}
    assert call(plain, tmp_path / "b", "--fail-on", "5%").exit_code == 4


@pytest.mark.slow
def test_few_blocks_give_no_interval(tmp_path):
    few = Invented(seeds=[0], num_blocks=5)
    found = compare_folders(run(tmp_path / "a", few), run(tmp_path / "b", few, number=1))
    (note,) = {row.note for row in rows_of(found, "tokens_per_s")}
    assert note.endswith("fewer than six timed blocks: no interval")


@pytest.mark.slow
def test_other_texts_are_never_compared(plain, tmp_path):
    found = compare_folders(plain, run(tmp_path / "b", Invented(worse=-3, corpus_digest="decaf"), number=1))
    assert {row.verdict for row in found.rows} == {"not comparable"}
    assert "digest c0ffee in A, decaf in B" in found.rows[0].note
    assert (len(found.rows), found.only_before, found.only_after) == (len(MODELS), [], [])


@pytest.mark.slow
def test_trials_in_one_run_only_are_listed(plain, tmp_path):
    planned = [trial("lstm", seed=0), trial("rnn", learning_rate=0.5)]
    second = make_folder(tmp_path / "b", planned, lambda ledger: [finish(ledger, each) for each in planned])
    found = compare_folders(plain, second)
    assert [len(found.only_before), len(found.only_after)] == [3, 1]
    assert "rnn" in found.only_after[0]
    output = call(plain, second).output
    assert "Only in A: " in output
    assert "Only in B: rnn" in output


@pytest.mark.slow
def test_nan_rows_are_left_out(plain, tmp_path):
    planned = [trial("lstm", seed=seed) for seed in SEEDS]
    diverging = {"valid_loss": float("nan"), "valid_bits_per_char": float("nan")}
    second = make_folder(
        tmp_path / "b", planned, lambda ledger: [finish(ledger, each, **diverging) for each in planned]
    )
    (row,) = rows_of(compare_folders(plain, second), "valid_perplexity")
    assert (row.verdict, row.note) == ("not comparable", "no seed has a finite value in both runs")


# --- the command ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_exit_codes_follow_the_share(plain, tmp_path):
    second = run(tmp_path / "b", Invented(worse=0.5, speed=0.8), number=1)
    assert call(plain, second).exit_code == 0
    assert call(plain, second, "--fail-on", "5%").exit_code == 3
    assert call(plain, second, "--fail-on", "10%").exit_code == 3  # the speed fell by 20 %
    assert call(plain, second, "--fail-on", "10%", "--guard", "perplexity").exit_code == 0
    assert call(plain, second, "--fail-on", "25%").exit_code == 0
    only_better = call(second, plain, "--fail-on", "0%")
    assert only_better.exit_code == 0, only_better.output


@pytest.mark.slow
def test_a_guard_that_can_judge_nothing_is_no_success(plain, tmp_path):
    second = run(tmp_path / "b", Invented(corpus_digest="decaf"))
    for options in ((), ("--fail-on", "5%")):
        result = call(plain, second, *options)
        assert result.exit_code == 6
        assert "Exit 6: " in result.output


def test_runs_that_share_nothing_are_no_success(plain, tmp_path):
    planned = [trial("rnn", seed=seed) for seed in SEEDS]
    second = make_folder(tmp_path / "b", planned, lambda ledger: [finish(ledger, each) for each in planned])
    for options in ((), ("--fail-on", "5%")):
        result = call(plain, second, *options)
        assert (result.exit_code, result.output.count("share no setting")) == (6, 2)


@pytest.mark.slow
def test_a_model_that_has_vanished_or_is_skipped_is_no_success(plain, tmp_path):
    planned = [trial(cell, depth, seed=seed) for cell, depth in MODELS for seed in SEEDS]

    def record(ledger):
        for each in planned:
            if each.cell == "lstm":
                finish(ledger, each, (9.0, 8.0 + 0.3 * each.seed))
            else:
                ledger.ended(each.trial_id, "skipped", "No torch here.")

    skipped = make_folder(tmp_path / "b", planned, record)
    result = call(plain, skipped, "--fail-on", "50%", "--guard", "perplexity")
    assert result.exit_code == 4
    assert "skipped in B: No torch here" in result.output
    vanished = run(tmp_path / "c", Invented(models=MODELS[:2]), number=1)
    assert call(plain, vanished, "--fail-on", "50%").exit_code == 4
    assert call(plain, vanished).exit_code == 0
    assert call(vanished, plain, "--fail-on", "50%").exit_code == 0  # what is new in B is no loss


def test_a_crash_has_a_code_of_its_own(plain, monkeypatch):
    monkeypatch.setattr("harness.report.two_runs.print_differences", lambda *_: 1 / 0)
    assert call(plain, plain.parent, "--fail-on", "5%").exit_code == 2
    second = run(plain.parent / "b")
    assert call(plain, second, "--fail-on", "5%").exit_code == 1


@pytest.mark.slow
def test_the_csv_has_every_row(plain, tmp_path):
    call(plain, run(tmp_path / "b", Invented(worse=0.5), number=1), "--csv", tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["verdict"] == "worse"
    assert float(rows[0]["change_low"]) > 0.05
    assert {row["model"] for row in rows} == {
        "lstm · 1 layer", "lstm · 2 layers", "gru · 1 layer", "gru · 2 layers",
    }  # fmt: skip


@pytest.mark.slow
def test_the_page_is_whole_and_hostile_names_stay_text(tmp_path):
    hostile = "<script>alert(1)</script>\u202e"
    folders = []
    for name in ("a", "=<b>b"):
        planned = [trial(hostile, seed=seed) for seed in SEEDS] + [trial("=cmd()", corpus="x")] * (name == "a")
        folders.append(
            make_folder(tmp_path / name, planned, lambda ledger, p=planned: [finish(ledger, each) for each in p])
        )
    result = call(*folders, "--html", tmp_path / "c.html", "--csv", tmp_path / "c.csv")
    assert result.exit_code == 0, result.output
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    page = read_html(html)
    assert "<script>alert" not in html
    assert "\u202e" not in html + result.output
    assert "<script>alert(1)</script>⟨U+202E⟩" in page.one("table", id="rows").text
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert len(html) < 100_000


BAD_INPUT = [
    (["a", "nowhere"], "There is no ledger at nowhere/run.sqlite"),
    (["empty", "a"], "There is no ledger at empty/run.sqlite"),
    (["a", "a"], "a and a are the same folder"),
    (["a", "./a/../a"], "are the same folder"),
    (["a", "none"], "The run in none holds no trials"),
    (["a", ""], "names no folder"),
    (["a", "b", "--fail-on", "5"], "--fail-on '5' cannot be read: give per cent, as in 5%"),
    (["a", "b", "--fail-on", "-5%"], "cannot be read"),
    (["a", "b", "--csv", "nowhere/c.csv"], "--csv 'nowhere/c.csv' names no file that can be written"),
    (["a", "b", "--html", "empty"], "--html 'empty' names no file that can be written"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT)
def test_bad_input_gets_one_sentence(tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    run(Path("a"))
    run(Path("b"))
    make_folder(Path("none"), [])
    Path("empty").mkdir()
    result = call(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output
