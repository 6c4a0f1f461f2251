import base64
import csv
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from html_reading import read_html
from invented_runs import FINISHED, begin, epoch, evaluate, finish, make_folder, manifest, trial

from harness.errors import RunFolderError
from harness.record.ledger import Ledger
from harness.report import page as page_module
from harness.report import write_report

GRID = [trial(cell, depth) for cell in ("lstm", "gru") for depth in (1, 2)]


def finish_all(trials):
    return lambda ledger: [finish(ledger, each, (12.0, 8.0 + each.num_layers)) for each in trials]


def report(folder):
    return read_html(write_report(folder).read_text(encoding="utf-8"))


def table_rows(table):
    return [[cell.text for cell in row.children if not isinstance(cell, str)] for row in table.all("tr")]


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def finished(build_run):
    return build_run(GRID, finish_all(GRID))


@pytest.fixture(scope="module", autouse=True)
def without_vega():
    """Bundling Vega takes seconds, and only a browser runs it: test_browser.py has the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "vega_script", lambda: "/* Vega */")
        yield


# Each of these runs is reported once, and read by many tests.


@pytest.fixture(scope="module")
def finished_page(tmp_path_factory):
    command = ["harness", "run", "--corpora", "my texts/a b.txt", "--plugins", "lstm"]
    return report(make_folder(tmp_path_factory.mktemp("finished"), GRID, finish_all(GRID), command=command))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    planned = [*GRID, trial("rnn"), trial("rnn", 2), trial("mlp"), trial("mlp", 2)]

    def record(ledger):
        finish_all(GRID)(ledger)
        begin(ledger, planned[4], [epoch(1)])
        begin(ledger, planned[5], [epoch(1)])
        ledger.ended(planned[5].trial_id, "failed", "MemoryError: no <memory> left")
        ledger.note_log_tail(planned[5].trial_id, "Traceback (most recent call last): <module>")
        ledger.ended(planned[6].trial_id, "skipped", "mlp is not installed here.")

    folder = make_folder(tmp_path_factory.mktemp("interrupted"), planned, record)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def interrupted_page(interrupted):
    return read_html((interrupted / "index.html").read_text(encoding="utf-8"))


# --- the files --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_report_leaves_the_files_of_the_design_and_nothing_else(finished):
    before = {path.name for path in finished.iterdir()}
    assert write_report(finished) == finished / "index.html"
    left = {path.name for path in finished.iterdir() if not path.name.startswith("run.sqlite-")}
    tables = {f"{name}.csv" for name in ("trials", "epochs", "timings", "summary", "transfer")}
    assert left - before == {"index.html", "samples.txt"} | tables


@pytest.mark.slow
def test_the_csv_files_hold_the_run(interrupted):
    trials = {row["trial_id"]: row for row in cells(interrupted / "trials.csv")}
    assert [row["status"] for row in trials.values()] == ["ok"] * 4 + ["skipped", "failed", "skipped", "skipped"]
    assert all(row["reason"] for row in trials.values() if row["status"] != "ok")
    assert float(trials[GRID[0].trial_id]["valid_perplexity"]) == pytest.approx(9.0)
    assert trials[GRID[0].trial_id]["num_params"] == "300000"
    assert trials[GRID[0].trial_id]["parity_certified"] == ""
    assert len(cells(interrupted / "epochs.csv")) == 10
    assert len(cells(interrupted / "timings.csv")) == 30
    assert [row["num_seeds"] for row in cells(interrupted / "summary.csv")] == ["1"] * 4


def test_samples_stand_under_their_trials(interrupted):
    text = (interrupted / "samples.txt").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("===")] == [f"=== {each.trial_id}" for each in GRID]
    assert text.count("time traveller") == len(GRID)


@pytest.mark.slow
def test_a_report_is_the_same_when_it_is_rebuilt(finished):
    first = write_report(finished).read_bytes()
    assert write_report(finished).read_bytes() == first


@pytest.mark.slow
def test_a_report_can_be_written_while_the_run_goes_on(build_run):
    folder = build_run(GRID)
    with Ledger(folder / "run.sqlite") as ledger:
        begin(ledger, GRID[0])
        assert "4 of 4 trials are still to do" in report(folder).text
        ledger.ended(GRID[0].trial_id, "failed", "It broke.")
        assert "3 of 4 trials are still to do" in report(folder).text


def test_a_folder_that_cannot_be_written_is_refused(finished):
    (finished / "trials.csv").mkdir()
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_report(finished)


# --- the page ---------------------------------------------------------------------------------------------


def test_the_ranking_puts_the_lowest_validation_perplexity_first(interrupted_page):
    rows = table_rows(interrupted_page.one("table", class_="ranking"))
    assert rows[0][:4] == ["Rank", "Cell", "Layers", "Validation perplexity"]
    assert [row[:4] for row in rows[1:5]] == [
        ["1", "lstm", "1", "9.000"],
        ["1", "gru", "1", "9.000"],
        ["3", "lstm", "2", "10.000"],
        ["3", "gru", "2", "10.000"],
    ]


def test_trials_that_did_not_finish_stand_below_without_a_rank_and_with_their_reason(interrupted_page):
    rows = table_rows(interrupted_page.one("table", class_="ranking"))[5:]
    assert [(row[0], row[1]) for row in rows] == [("–", "rnn"), ("–", "rnn"), ("–", "mlp"), ("–", "mlp")]
    assert rows[0][3].startswith("skipped Not run to the end yet (1 of 3 epochs)")
    assert rows[1][3].startswith("failed MemoryError: no <memory> left")
    assert "Validation perplexity 8.000 after 1 epoch." in rows[1][3]
    assert rows[2][3] == "skipped mlp is not installed here."


def test_a_failed_trial_shows_the_end_of_its_log(interrupted_page):
    assert interrupted_page.one("details").one("pre").text == "Traceback (most recent call last): <module>"


def test_an_interrupted_run_says_how_many_trials_are_still_to_do(interrupted_page):
    text = interrupted_page.text
    assert "8 trials: 4 finished, 1 failed, 1 skipped. 2 of 8 trials are still to do" in text
    assert "the same command continues the run" in text


@pytest.mark.slow
def test_the_contents_lead_to_every_part_of_the_page(finished_page):
    linked = [link.attributes["href"] for link in finished_page.one("nav").all("a")]
    assert linked == [f"#{heading.attributes['id']}" for heading in finished_page.all("h2")]


@pytest.mark.slow
def test_many_texts_are_one_entry_of_the_contents(build_run):
    planned = [trial(corpus=name) for name in ("bronte:a", "bronte:a+b", "bronte:a+b+c", "homer")]
    nav = report(build_run(planned, lambda ledger: [finish(ledger, each) for each in planned])).one("nav")
    assert nav.one("summary").text == "Texts (4)"
    listed = [link.text for link in nav.one("details").all("a")]
    assert [name.partition(": ")[0] for name in listed] == ["bronte:a", "bronte:a+b", "bronte:a+b+c", "homer"]


def test_the_page_opens_without_network(finished_page):
    addresses = [
        (element.tag, name, value)
        for tag in ("a", "link", "script", "img", "iframe", "form", "source", "use")
        for element in finished_page.all(tag)
        for name, value in element.attributes.items()
        if name in ("href", "src", "srcset", "action")
    ]
    assert {value for _, _, value in addresses if not value.startswith("#")} == {
        "trials.csv", "epochs.csv", "timings.csv", "summary.csv", "transfer.csv", "samples.txt",
    }  # fmt: skip
    assert not re.search(r"@import|url\(", "".join(style.source for style in finished_page.all("style")))


def test_the_policy_allows_this_pages_scripts_and_styles_and_no_request(finished_page):
    (meta,) = (
        each for each in finished_page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    policy = dict(part.split(" ", 1) for part in meta.attributes["content"].split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    scripts = [script for script in finished_page.all("script") if "type" not in script.attributes]
    assert policy["script-src"].split() == [sha256(script.source) for script in scripts]
    assert policy["style-src"].split() == [sha256(style.source) for style in finished_page.all("style")]


def sha256(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_every_table_has_a_caption_and_every_heading_a_scope(interrupted_page):
    tables = interrupted_page.all("table")
    assert len(tables) == 4
    for table in tables:
        assert table.one("caption").text
        assert all(heading.attributes.get("scope") in ("col", "row") for heading in table.all("th"))


def test_headings_follow_each_other_without_a_gap(finished_page):
    levels = [int(element.tag[1]) for element in finished_page.everything() if re.fullmatch("h[1-6]", element.tag)]
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_ids_are_unique_and_labels_name_what_is_there(interrupted_page):
    attributes = [element.attributes for element in interrupted_page.everything()]
    ids = [each["id"] for each in attributes if "id" in each]
    assert len(ids) == len(set(ids))
    labels = {each[name] for each in attributes for name in ("aria-labelledby", "aria-controls") if name in each}
    assert labels <= set(ids)


def test_every_figure_has_a_place_a_description_and_a_caption(finished_page):
    drawings = json.loads(finished_page.one("script", id="drawings").source)
    places = finished_page.all("div", class_="drawing")
    assert [place.attributes["id"] for place in places] == list(drawings["specs"])
    assert len(places) == 6
    assert all(place.attributes["aria-label"] for place in places)
    captions = [
        figure.one("figcaption").text for figure in finished_page.all("figure") if figure.all("div", class_="drawing")
    ]
    assert [caption.split(".")[0] for caption in captions] == ["Figure 1", "Figure 2", "Figure 3"]


@pytest.mark.slow
def test_the_page_says_how_many_trials_shared_the_machine(build_run, finished_page):
    assert "Each trial had the machine to itself." in finished_page.text
    planned = [trial(), trial("gru")]

    def record(ledger):
        begin(ledger, planned[0], [epoch(1)])
        begin(ledger, planned[1], [epoch(1)], concurrency=2)

    packed = report(build_run(planned, record)).text
    assert "Up to 2 trials shared the machine, not always as many (1, 2)" in packed


def test_the_page_names_the_machine_the_versions_and_the_exact_command(finished_page):
    assert finished_page.one("pre", class_="command").text == "harness run --corpora 'my texts/a b.txt' --plugins lstm"
    for said in ("AMD EPYC 9R14", "25.0 GB", "A100 (80.0 GB)", "altair 6.3.0, numpy 2.4.6", "OMP_NUM_THREADS=1"):
        assert said in finished_page.text.replace("\u202f", " ")
    assert "The Brontë sisters" in finished_page.text


@pytest.mark.slow
def test_a_missing_manifest_is_said_and_the_rest_stands(build_run):
    folder = build_run(GRID)
    (folder / "manifest.json").unlink()
    page = report(folder)
    assert "manifest.json is missing" in page.text
    assert "The command is not recorded." in page.text
    assert "The machine is not recorded." in page.text
    assert len(table_rows(page.one("table", class_="ranking"))) == 2 + len(GRID)


@pytest.mark.slow
def test_a_manifest_with_hardware_of_another_shape_is_shown_as_it_is(build_run):
    hardware = {"memory_bytes": "much", "gpus": "none seen", "processor": None, "logical_cores": [2]}
    corpora = [{"name": 7, "vocab_size": "28", "unigram_valid_perplexity": float("inf"), "digest": "c0ffee"}]
    page = report(build_run([trial()], lambda ledger: finish(ledger, trial()), hardware=hardware, corpora=corpora))
    assert "none seen" in page.text


@pytest.mark.slow
def test_nothing_of_a_damaged_manifest_is_invented(finished):
    (finished / "manifest.json").write_text("{")
    text = report(finished).text
    assert "manifest.json is damaged" in text
    assert "17.250" not in text


# --- what is missing --------------------------------------------------------------------------------------


def test_an_empty_ledger_gives_a_page_that_says_so(build_run):
    page = report(build_run([]))
    assert page.one("h1").text == "A run without trials"
    assert "The ledger holds no trials" in page.text
    assert "nothing has been measured" in page.text
    assert page.all("table", class_="ranking") == []


@pytest.mark.slow
def test_a_run_in_which_all_failed_ranks_nothing_and_gives_the_reasons(build_run):
    def record(ledger):
        for each in GRID:
            ledger.ended(each.trial_id, "failed", "RuntimeError: out of memory")

    page = report(build_run(GRID, record))
    assert "No trial is ranked." in page.text
    assert "nothing to rank" in page.text
    (row,) = table_rows(stopped_section(page))[1:]
    assert row[:3] == ["failed", "4", "RuntimeError: out of memory"]
    assert page.all("div", class_="drawing") == []


def stopped_section(page):
    (section,) = (each for each in page.all("section") if each.attributes.get("aria-labelledby") == "stopped")
    return section


@pytest.mark.slow
def test_one_trial_of_one_epoch_gives_a_page(build_run):
    only = trial(num_epochs=1)
    page = report(build_run([only], lambda ledger: finish(ledger, only, (12.0,))))
    assert "One trial has finished: there is nothing to compare it with." in page.text
    assert "Fewer than two depths" in page.text
    assert len(page.all("div", class_="drawing")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1e9])
def test_losses_that_are_not_finite_give_a_page_without_a_rank(build_run, loss):
    only = trial(num_epochs=1)
    page = report(build_run([only], lambda ledger: finish(ledger, only, (9.0,), valid_loss=loss, train_loss=loss)))
    assert "No trial is ranked." in page.text
    json.loads(page.one("script", id="drawings").source, parse_constant=pytest.fail)


# --- what comes from outside ------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd()",
    "\u202egnp.exe",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "</script>",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    planned = [trial(text, depth) for text in HOSTILE for depth in (1, 2)]
    failed = trial(HOSTILE[0], 3)

    def record(ledger):
        finish_all(planned)(ledger)
        ledger.ended(planned[0].trial_id, "ok", finished=replace(FINISHED, sample="</blockquote>\u202e\ud800"))
        ledger.ended(failed.trial_id, "failed", "\r=cmd()|<b>\u202e")

    folder = make_folder(
        tmp_path_factory.mktemp("hostile"),
        [*planned, failed],
        record,
        command=HOSTILE,
        harness_version=HOSTILE[5],
        corpora=[dict(zip(manifest()["corpora"][0], HOSTILE, strict=False))],
        hardware={"processor": HOSTILE[0], "gpus": [{"name": HOSTILE[3], "memory_bytes": 1}]},
    )
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def hostile_page(hostile):
    return read_html((hostile / "index.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_hostile_names_stay_text_in_the_page(hostile_page):
    assert hostile_page.all("img") == []
    assert len(hostile_page.all("script")) == 3
    assert {row[1] for row in table_rows(hostile_page.one("table", class_="ranking"))[1:]} == {
        text.replace("\u202e", "⟨U+202E⟩") for text in HOSTILE
    }
    assert "</blockquote>⟨U+202E⟩⟨ED⟩⟨A0⟩⟨80⟩" in hostile_page.text


def test_no_direction_mark_reaches_the_page(hostile):
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", (hostile / "index.html").read_text(encoding="utf-8"))


def test_hostile_names_cannot_end_the_data_of_the_figures(hostile_page):
    drawings = hostile_page.one("script", id="drawings").source
    assert not re.search("[<>&\u2028\u2029]", drawings)
    series = {point["series"] for point in json.loads(drawings)["datasets"]["text-1-curves"]}
    assert HOSTILE[0] in series


def test_no_csv_cell_begins_like_a_formula(hostile):
    for name in ("trials", "epochs", "timings", "summary"):
        for row in cells(hostile / f"{name}.csv"):
            for column, text in row.items():
                assert text[:1] not in ("=", "@", "\t", "\r", "\n"), (name, column, text)
                assert text[:1] not in ("+", "-") or is_number(text), (name, column, text)
    assert "'=cmd()" in {row["cell"] for row in cells(hostile / "trials.csv")}


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- many trials ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_long_ranking_is_cut_and_the_page_says_where_the_rest_is(finished, monkeypatch):
    monkeypatch.setattr(page_module, "MAX_ROWS", 3)
    table = report(finished).one("table", class_="ranking")
    assert len(table_rows(table)) == 1 + 3
    assert "Only the first 3 rows are shown; trials.csv has all." in table.one("caption").text


@pytest.mark.slow
def test_each_text_has_a_section_of_its_own_and_many_are_cut(build_run, monkeypatch):
    monkeypatch.setattr(page_module, "MAX_COMPARISONS", 2)
    planned = [trial(corpus=name) for name in ("bronte", "homer", "federalist")]
    page = report(build_run(planned, lambda ledger: [finish(ledger, each) for each in planned]))
    titles = [heading.text for heading in page.all("h2")][:2]
    assert titles == ["bronte: all authors, characters, letters only", "homer: all authors, characters, letters only"]
    assert "1 more texts were compared" in page.text
    assert len(page.all("table", class_="ranking")) == 2


def test_means_over_seeds_and_the_ranking_have_the_test_text_too(build_run):
    trials = [trial(cell, seed=seed) for cell in ("gru", "lstm") for seed in (0, 1)]

    def record(ledger: Ledger) -> None:
        for each in trials:
            finish(ledger, each)
            evaluate(ledger, each, {"Ann": 6.0 + each.seed}, part="test")

    page = read_html(write_report(build_run(trials, record)).read_text(encoding="utf-8"))
    (over_seeds,) = [table for table in page.all("table") if "Means over finished seeds" in table.text]
    assert [cell.text for cell in over_seeds.all("th")][:4] == [
        "Model", "Seeds", "Validation perplexity", "Test perplexity",
    ]  # fmt: skip
    assert [row.all("td")[2].text.split()[0] for row in over_seeds.all("tr")[1:]] == ["6.500", "6.500"]
    (ranking,) = page.all("table", class_="ranking")
    assert "Test perplexity" in ranking.all("tr")[0].text
