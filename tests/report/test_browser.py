"""Opens the page in a real browser: only there is it seen whether the policy lets the figures be drawn."""

import json
import re
import shutil
import subprocess

import pytest
from html_reading import read_html
from invented_runs import begin, epoch, evaluate, finish, trial

from harness.report import write_report
from harness.report.page import MAX_COMPARISONS, MAX_ROWS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--dump-dom",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not opened in a browser"),
]


@pytest.fixture
def open_page(tmp_path):
    """Return a function that opens a page and returns its document and the messages of its console."""

    def open_in_chromium(path):
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return read_html(done.stdout), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_in_chromium


def with_script(html, script):
    """Put a script at the page's end; Vega's own code holds a </body> too."""
    before, end, after = html.rpartition("</body>")
    return f"{before}<script>{script}</script>{end}{after}"


@pytest.fixture
def folder(build_run):
    planned = [trial(cell, depth) for cell in ("lstm", "<b>gru</b>", "=rnn()") for depth in (1, 2, 3)]

    def record(ledger):
        for place, each in enumerate(planned[:-1]):
            finish(ledger, each, (14.0, 9.0, 6.0 + 0.5 * (place % 5)))
            evaluate(ledger, each, {"<b>Ann</b>": 7.0 + place, "Ben": 6.0})
        begin(ledger, planned[-1], [epoch(1)])

    return build_run(planned, record)


def test_a_page_on_which_every_limit_is_reached_is_under_three_megabytes(build_run):
    # As many texts as there may be, and on each more trials than its share of rows and curves.
    planned = [
        trial(cell, corpus=f"text {number}", seed=seed, num_epochs=2)
        for number in range(MAX_COMPARISONS)
        for cell in ("lstm", "gru")
        for seed in range(MAX_ROWS // MAX_COMPARISONS // 2 + 1)
    ]
    page = write_report(build_run(planned, lambda ledger: [finish(ledger, each, (9.0, 8.0)) for each in planned]))
    assert 900_000 < page.stat().st_size < 3_000_000


def test_every_figure_is_drawn_and_the_console_stays_silent(folder, open_page):
    page, console = open_page(write_report(folder))
    assert console == []
    places = page.all("div", class_="drawing")
    assert len(places) == 3 + 2 + 1 + 1
    for place in places:
        assert len(place.one("svg").all("path")) > 3, place.attributes["id"]
    assert page.one("html").attributes["data-drawn"] == "true"


def test_drawings_use_the_pages_colours_and_as_much_room_as_there_is(folder, open_page):
    page, _ = open_page(write_report(folder))
    drawing = page.all("svg", class_="marks")[0]
    assert any(path.attributes.get("stroke") == "var(--series-1)" for path in drawing.all("path"))
    assert float(drawing.attributes["width"]) > 150


def test_tables_can_be_sorted_by_their_headings_and_filtered(folder, open_page, tmp_path):
    probe = """
      const table = document.querySelector("table.ranking");
      const button = (name) => [...table.tHead.querySelectorAll("button")].find((b) => b.textContent === name);
      const column = (place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent).join(" ");
      const told = {};
      button("Layers").click();
      told.ascending = column(2);
      told.sort = button("Layers").closest("th").getAttribute("aria-sort");
      button("Layers").click();
      told.descending = column(2);
      button("Rank").click();
      told.ranks = column(0);
      const input = document.querySelector(".filter input");
      input.value = "LSTM";
      input.dispatchEvent(new Event("input"));
      told.shown = document.querySelector(".filter output").textContent;
      told.hidden = document.querySelector(".filter").hidden;
      document.body.dataset.told = JSON.stringify(told);
    """
    # The policy forbids a script of ours, so it is taken out of this copy.
    html = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", write_report(folder).read_text(encoding="utf-8")
    )
    probed = tmp_path / "probed.html"
    probed.write_text(with_script(html, probe), encoding="utf-8")
    page, _ = open_page(probed)
    told = json.loads(page.one("body").attributes["data-told"])
    assert told["ascending"] == "1 1 1 2 2 2 3 3"
    assert told["sort"] == "ascending"
    assert told["descending"] == "3 3 2 2 2 1 1 1"
    assert told["ranks"] == " ".join(sorted(told["ranks"].split(), key=int))
    assert told["shown"] == "3 of 9 rows"
    assert told["hidden"] is False


def test_a_script_that_is_not_the_pages_own_does_not_run(folder, open_page, tmp_path):
    html = write_report(folder).read_text(encoding="utf-8")
    altered = tmp_path / "altered.html"
    altered.write_text(with_script(html, 'document.body.dataset.ran = "1"'), encoding="utf-8")
    page, console = open_page(altered)
    assert page.one("html").attributes["data-drawn"] == "true"
    assert "data-ran" not in page.one("body").attributes
    assert any("Content Security Policy" in line for line in console)
