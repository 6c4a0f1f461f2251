"""The floor of a source of known entropy: the excess above it, and the flag for what lies below."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from html_reading import Element, read_html
from invented_runs import DIGEST, finish, manifest, trial

from harness.analysis.frames import read_run
from harness.analysis.one_text import compare
from harness.report import page as page_module
from harness.report import write_report

EXACT = {"low": 2.0, "high": 2.0, "deviation": 1.0, "method": "exact"}


@pytest.fixture(scope="module", autouse=True)
def without_vega():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "vega_script", lambda: "/* Vega */")
        yield


@pytest.fixture
def reported(build_run) -> Callable[..., tuple[Any, Element]]:
    """Report on trials that reached these bits per character on a text whose source is known."""

    def report(*reached: float, entropy: object = EXACT, valid_tokens: int = 10_000):
        (corpus,) = manifest()["corpora"]
        planned = [trial(seed=seed) for seed in range(len(reached))]
        folder = build_run(
            planned,
            lambda ledger: [finish(ledger, each, (2.0**bits,)) for each, bits in zip(planned, reached, strict=True)],
            corpora=[corpus | {"entropy": entropy, "valid_tokens": valid_tokens}],
        )
        return read_run(folder), read_html(write_report(folder).read_text(encoding="utf-8"))

    return report


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        return {f"{row['corpus']} {row['cell']}": row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_the_excess_is_what_lies_above_the_rate(reported) -> None:
    run, page = reported(2.25, 2.5)
    assert run.trials["excess_bits_per_char"].tolist() == pytest.approx([0.25, 0.5])
    assert "Excess bits" in page.text
    assert "+0.250 above 2.000" in page.text
    assert "Entropy rate 2.000" in page.text
    assert "entropy rate 2.0000 bits per character (exact)" in page.text


@pytest.mark.slow
def test_three_standard_errors_below_the_rate_is_leakage_and_less_is_chance(reported) -> None:
    run, page = reported(1.971, 1.969)  # of 10,000 characters the standard error is 0.01
    assert run.trials["leakage_suspected"].tolist() == [False, True]
    (comparison,) = compare(run)
    assert comparison.trials["rank"].fillna(0).tolist() == [1, 0]
    assert "Leakage: its 1.969 bits per character lie below what the text's source allows, 2.000" in page.text
    assert "1 trial better than the text allows" in page.text


@pytest.mark.slow
def test_a_rate_that_is_an_interval_counts_from_its_lower_end(reported) -> None:
    interval = EXACT | {"low": 1.95, "high": 2.05}
    assert reported(1.93, 1.91, entropy=interval)[0].trials["leakage_suspected"].tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("entropy", [None, "2.0", {}, EXACT | {"low": "2"}, EXACT | {"deviation": None}])
def test_without_a_readable_rate_there_is_no_floor(reported, entropy: object) -> None:
    run, page = reported(1.0, entropy=entropy)
    assert run.trials["entropy_rate"].isna().all()
    assert run.trials["leakage_suspected"].isna().all()
    assert "Excess bits" not in page.text
    assert len(compare(run)[0].ranked) == 1


def test_an_unfinished_trial_is_not_accused(build_run) -> None:
    (corpus,) = manifest()["corpora"]
    run = read_run(build_run([trial()], corpora=[corpus | {"entropy": EXACT}]))
    assert run.trials["leakage_suspected"].isna().all()
    assert corpus["digest"] == DIGEST


@pytest.mark.slow
def test_the_flag_fires_on_a_leaked_split_and_not_on_an_honest_one(train: Callable[..., Any]) -> None:
    trained = train(
        "ngram-1,ngram-6,lzma,rnn,numpy", "split_sources", corpora=("honest", "leaked"), optimizer=("adam",)
    )
    assert set(trained.outcome.statuses.values()) == {"ok"}
    page = read_html(write_report(trained.folder).read_text(encoding="utf-8"))
    found = rows(trained.folder)
    suspected = {name for name, row in found.items() if row["leakage_suspected"] == "True"}
    # A model that cannot remember a passage gains nothing from having seen it.
    assert suspected == {"leaked ngram-6", "leaked lzma"}
    honest = found["honest ngram-1"]
    rate, reached = float(honest["entropy_rate"]), float(honest["valid_bits_per_char"])
    assert 4 < rate < math.log2(26)
    assert abs(reached - rate) < 0.05
    assert float(honest["excess_bits_per_char"]) == pytest.approx(reached - rate)
    sections = {section.all("h2")[0].text.split(":")[0]: section for section in page.all("section")}
    assert "Leakage" in sections["leaked"].text
    assert "Leakage" not in sections["honest"].text
    assert "ngram-6" in sections["leaked"].all("tbody", class_="unranked")[0].text


@pytest.mark.slow
def test_baselines_are_ranked_beside_certified_trials_and_drawn_as_levels(build_run) -> None:
    from harness.record.parity import Certificate
    from harness.report.figures import draw
    from harness.report.levels import levels

    cells = [trial(num_layers=depth) for depth in (1, 2)]
    plain = {"backend": "none", "implementation": "baseline", "num_layers": 0, "num_hiddens": 0, "num_steps": 0}
    plain |= {"batch_size": 0, "optimizer": "none", "learning_rate": 0.0, "grad_clip": 0.0, "num_epochs": 1}
    baselines = [trial(f"ngram-{order}", **plain) for order in (2, 4, 5)]

    def record(ledger) -> None:
        for each in cells:
            finish(ledger, each, (12.0, 8.0))
            ledger.certified(each.trial_id, Certificate(parity_max_rel_diff=0.0, parity_certified=True, parity_steps=5))
        for each, perplexity in zip(baselines, (10.0, 7.5, 7.4), strict=True):
            finish(ledger, each, (perplexity,), blocks=(), grad_norm=math.nan)

    folder = build_run([*cells, *baselines], record)
    (comparison,) = compare(read_run(folder))
    assert comparison.ranked["label"].tolist()[:2] == ["ngram-5", "ngram-4"]
    assert len(comparison.ranked) == 5
    # Two that would print over one another are one line.
    assert [level.name for level in levels(comparison)] == ["unigram", "ngram-5", "ngram-2"]
    figures = draw(comparison, "text-1", 1)
    assert [panel.title for panel in figures.figures[0].panels] == ["1 layer", "2 layers"]
    assert {point["series"] for point in figures.datasets["text-1-curves"]} == {"lstm"}
    assert "ngram-5 7.400" in str(figures.figures[0].panels[0].spec)
    assert "baselines that are fitted and not trained" in figures.figures[0].caption
    page = read_html(write_report(folder).read_text(encoding="utf-8"))
    assert page.all("h1")[0].text == "lstm, ngram-2, ngram-4 and ngram-5, 1 and 2 layers, on bronte"
    assert "ngram-5 – 7.400" in page.all("table", class_="ranking")[0].text
    assert "not applicable" in page.all("table", class_="ranking")[0].text
    assert "Best baseline 7.400 ngram-5; 0 of 2 ranked trials below it" in page.text
    assert "Shared by all: backend numpy" in page.text
    assert "hiddens 256" in page.text.replace("\u202f", "")
    assert not page.all("tbody", class_="unranked")
