"""Opens the page in a real browser: only there is it seen whether the policy lets the figures be drawn."""

import csv
import io
import json
import re
import shutil
import subprocess

import pytest
from built_in import built_in
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

    def open_in_chromium(path, *more):
        command = [CHROMIUM, *FLAGS, *more, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return read_html(done.stdout), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_in_chromium


def with_script(html, script):
    """Put a script at the page's end; Vega's own code holds a </body> too."""
    before, end, after = html.rpartition("</body>")
    return f"{before}<script>{script}</script>{end}{after}"


@pytest.fixture
def ask(open_page, tmp_path):
    """Return a function that runs a script in a copy of the page, and returns what it told."""

    def run(path, script, *more):
        # The policy forbids a script of ours, so it is taken out of this copy.
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text(encoding="utf-8"))
        probed = tmp_path / "probed.html"
        # What it asks of is there once the figures are.
        waiting = """
          const told = {};
          const wait = setInterval(async () => {
            if (!document.documentElement.dataset.drawn) return;
            clearInterval(wait);
            await (async () => { %s })();
            document.body.dataset.told = JSON.stringify(told);
          }, 50);
        """
        probed.write_text(with_script(html, waiting % script), encoding="utf-8")
        page, console = open_page(probed, *more)
        assert console == []
        return json.loads(page.one("body").attributes["data-told"])

    return run


# Chromium prints from the command line, but tells nothing of a print: here the page is put on paper instead.
ON_PAPER = """
  const print = (rules) => {
    for (const rule of rules) {
      if (!(rule instanceof CSSMediaRule)) continue;
      const medium = rule.media.mediaText;
      rule.media.mediaText = medium === "print" ? "all" : medium.includes("screen") ? "not all" : medium;
    }
  };
  [...document.styleSheets].forEach((sheet) => print(sheet.cssRules));
  document.documentElement.style.width = "718px";  // A4 within the page's margins
"""


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
    assert len(places) == 3 + 3 + 1 + 1
    for place in places:
        assert len(place.one("svg").all("path")) > 3, place.attributes["id"]
    assert page.one("html").attributes["data-drawn"] == "true"


def test_drawings_use_the_pages_colours_and_as_much_room_as_there_is(folder, open_page):
    page, _ = open_page(write_report(folder))
    drawing = page.all("svg", class_="marks")[0]
    assert any(path.attributes.get("stroke") == "var(--series-1)" for path in drawing.all("path"))
    assert float(drawing.attributes["width"]) > 150


def test_tables_can_be_sorted_by_their_headings_and_filtered(folder, ask):
    probe = """
      const table = document.querySelector("table.ranking");
      const button = (name) => [...table.tHead.querySelectorAll("button")].find((b) => b.textContent === name);
      const column = (place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent).join(" ");
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
    """
    told = ask(write_report(folder), probe)
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


# --- a page on which every exercise is answered -----------------------------------------------------------


@pytest.fixture
def answered(build_run):
    """Return the page of a run that holds something on every exercise; every text wears a hostile name somewhere."""
    sizes = (10_000, 30_000, 100_000, 300_000)
    planned = [trial(cell, depth, seed=seed) for cell in ("lstm", "gru", "rnn") for depth in (1, 2) for seed in (0, 1)]
    planned += [trial("rnn", depth, implementation="fused") for depth in (1, 2)]
    planned += [trial("lstm", train_tokens=size, seed=seed) for size in sizes[1:] for seed in (0, 1)]
    planned += [trial("lstm", authors=author, seed=seed) for author in ("Ann", "<b>Ben</b>") for seed in (0, 1)]

    def record(ledger):
        for place, each in enumerate(planned):
            last = 8.0 - each.train_tokens / 100_000 + 0.1 * each.seed + 0.3 * (each.cell == "rnn")
            finish(ledger, each, (14.0, 9.0, last))
            ledger.timing.add(each.trial_id, [(number, 1000, 0.1 + 0.001 * (place + number)) for number in range(9)])
            ledger.add_facts(each.trial_id, {"timed_by": each.trial_id})
            if each.train_tokens == 10_000:
                evaluate(ledger, each, {"Ann": 7.0 + 0.1 * place, "<b>Ben</b>": 6.0 + 0.1 * each.seed})
        ledger.probed(planned[0].trial_id, "influence", [("kl", k, 10.0 ** -(2 * k), 1e-9, 32) for k in (0, 1, 2, 8)])
        rows = [(f"log_norm_{when}", k, -0.5 * k, 0.1, 32) for when in ("init", "trained") for k in (1, 2, 4, 8, 16)]
        ledger.probed(planned[0].trial_id, "gradients", rows)

    return write_report(build_run(planned, record), built_in().exercises.values())


def test_a_page_of_answered_exercises_is_silent_and_draws_them(answered, open_page):
    page, console = open_page(answered)
    assert console == []
    assert page.one("html").attributes["data-drawn"] == "true"
    drawn = [place.attributes["id"] for place in page.all("div", class_="drawing")]
    assert sum(name.startswith("exercise-") for name in drawn) >= 3, drawn
    assert page.all("img") == []


def test_a_page_asks_for_nothing_but_itself(answered, ask):
    told = ask(answered, "told.asked = performance.getEntriesByType('resource').map((entry) => entry.name);")
    assert told["asked"] == []


CONTRAST = """
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parts = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return parts("canvas");
  };
  told.paper = getComputedStyle(document.body).backgroundColor;
  told.poor = {};
  for (const element of document.querySelectorAll("body *:not(script)")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = parts(element instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [luminance(ink), luminance(behind(element))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) told.poor[element.textContent.slice(0, 40)] = contrast.toFixed(2);
  }
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_paper(answered, ask, scheme):
    # WCAG 2.2, success criterion 1.4.3.
    told = ask(answered, CONTRAST, *(["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []))
    assert told["paper"] == {"light": "rgb(255, 254, 252)", "dark": "rgb(21, 22, 24)"}[scheme]
    assert told["poor"] == {}


def test_every_control_can_be_reached_by_the_keyboard_and_has_a_name(answered, ask):
    told = ask(
        answered,
        """
        const controls = [...document.querySelectorAll("button, input, a, summary, [role=region]")];
        told.number = controls.length;
        told.unreached = controls.filter((c) => c.tabIndex < 0).map((c) => c.outerHTML.slice(0, 80));
        const named = (c) => c.getAttribute("aria-label") || c.textContent.trim() || c.labels?.[0]?.textContent.trim()
          || document.getElementById(c.getAttribute("aria-labelledby"))?.textContent.trim();
        told.unnamed = controls.filter((c) => !named(c)).map((c) => c.outerHTML.slice(0, 80));
        told.wide = [...document.querySelectorAll(".scroll")].filter((c) => c.tabIndex < 0).length;
        told.drawings = [...document.querySelectorAll(".drawing")].filter((d) => !d.getAttribute("aria-label")).length;
        told.tables = [...document.querySelectorAll("table")].filter((t) => !t.caption?.textContent.trim()).length;
        told.headings = [...document.querySelectorAll("th")].filter((h) => !h.scope).length;
        const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((h) => Number(h.tagName[1]));
        told.jumps = levels.filter((level, i) => i && level > levels[i - 1] + 1).length;
        """,
    )
    assert told.pop("number") > 30
    assert told == {"unreached": [], "unnamed": [], "wide": 0, "drawings": 0, "tables": 0, "headings": 0, "jumps": 0}


def test_nothing_is_wider_than_a_phone_but_what_scrolls(answered, ask):
    told = ask(
        answered,
        """
        const frame = document.createElement("iframe");
        frame.style.width = "390px";
        frame.srcdoc = document.documentElement.outerHTML.replace(/<script[^]*/, "");
        document.body.append(frame);
        await new Promise((resolve) => { frame.onload = resolve; });
        // What was drawn for this window is drawn narrower in a narrower one.
        frame.contentDocument.querySelectorAll(".drawing").forEach((drawing) => drawing.replaceChildren());
        told.wide = frame.contentDocument.documentElement.scrollWidth;
        """,
    )
    assert told["wide"] <= 390


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_does_not_cut_names_in_the_title(answered, ask, width):
    told = ask(
        answered,
        f"""
        const heading = document.querySelector("h1");
        heading.style.width = "{width - 32}px";
        heading.style.fontSize = "1.75rem";
        const words = [...heading.querySelectorAll("span span")];
        words[0].textContent = "ngram-3,";
        words[1].textContent = "ngram-3,";
        words[2].textContent = "ngram-3,";
        const lines = (word) => {{
          const range = document.createRange();
          range.selectNodeContents(word);
          return range.getClientRects().length;
        }};
        told.words = words.length;
        told.cut = words.filter((word) => lines(word) > 1).map((word) => word.textContent);
        told.wide = words.filter((word) => word.getBoundingClientRect().right > heading.getBoundingClientRect().right);
        """,
    )
    assert told.pop("words") > 5
    assert told == {"cut": [], "wide": []}


def wide_run(build_run):
    """Return a run whose ranking has over twenty columns and long names, and in which a trial failed with a log."""
    settings = [
        {},
        {"backend": "tensorflow", "implementation": "fused", "num_hiddens": 64, "optimizer": "rmsprop", "seed": 1},
        {
            "learning_rate": 0.003,
            "grad_clip": 5.0,
            "dropout": 0.25,
            "num_epochs": 4,
            "batch_size": 128,
            "num_steps": 64,
        },
        {"mix": "proportional", "train_tokens": 3_000_000, "partition": "random", "lr_decay": 0.97, "init": "uniform"},
    ]
    planned = [trial(cell, **each) for each in settings for cell in ("lstm", "gru-textbook")]
    failed = trial("rnn")

    def record(ledger):
        for each in planned:
            finish(ledger, each, (14.0, 9.0, 9.5))
        begin(ledger, failed)
        ledger.ended(failed.trial_id, "failed", "MemoryError")
        ledger.note_log_tail(failed.trial_id, "Traceback\n" * 100)

    return build_run([*planned, failed], record)


def test_paper_shows_everything_within_its_width_and_no_controls(build_run, ask):
    told = ask(
        write_report(wide_run(build_run)),
        ON_PAPER
        + """
        const seen = [...document.querySelectorAll("body *")].filter((element) => element.getClientRects().length);
        const right = (element) => element.getBoundingClientRect().right;
        told.columns = Math.max(...[...document.querySelectorAll("tr")].map((row) => row.cells.length));
        told.cut = seen.filter((element) => right(element) > 719).map((element) => element.outerHTML.slice(0, 80));
        told.scrolling = seen.filter((element) => getComputedStyle(element).overflowY === "auto").length;
        told.controls = seen.filter((element) => element.matches("nav, input, .save, .filter")).length;
        const details = [...document.querySelectorAll("main details")];
        told.closed = details.filter((d) => getComputedStyle(d, "::details-content").contentVisibility !== "visible");
        dispatchEvent(new Event("beforeprint"));
        told.opened = details.filter((each) => each.open).length === details.length && details.length > 1;
        dispatchEvent(new Event("afterprint"));
        told.left = details.filter((each) => each.open).length;
        const whole = (element) => getComputedStyle(element).breakInside === "avoid";
        told.torn = [...document.querySelectorAll("tr, figure, h2, h3, thead")].filter((each) => !whole(each)).length;
        const orphan = (element) => getComputedStyle(element).breakAfter !== "avoid";
        told.orphans = [...document.querySelectorAll("h2, h3, h4, thead, caption")].filter(orphan).length;
        told.sticky = seen.filter((element) => getComputedStyle(element).position === "sticky").length;
        """,
    )
    assert told.pop("columns") >= 22
    assert told.pop("opened")
    assert told == {
        "cut": [], "scrolling": 0, "controls": 0, "closed": [], "left": 0, "torn": 0, "orphans": 0, "sticky": 0,
    }  # fmt: skip


def test_paper_is_white_in_the_dark(answered, ask):
    probe = ON_PAPER + "told.paper = getComputedStyle(document.body).backgroundColor;" + CONTRAST
    told = ask(answered, probe, "--blink-settings=preferredColorScheme=0")
    assert told == {"paper": "rgb(255, 255, 255)", "poor": {}}


def test_many_texts_stand_in_a_list_of_the_contents_that_a_key_opens(build_run, ask):
    planned = [trial(corpus=name) for name in ("bronte:a", "bronte:a+b", "bronte:a+b+c", "homer")]
    page = write_report(build_run(planned, lambda ledger: [finish(ledger, each) for each in planned]))
    told = ask(
        page,
        """
        const summary = document.querySelector("nav summary");
        const links = [...summary.parentElement.querySelectorAll("a")];
        const shown = () => links.filter((link) => link.checkVisibility()).length;
        told.name = summary.textContent;
        told.before = shown();
        summary.focus();
        told.focused = document.activeElement === summary;
        summary.click();  // what Enter and the space bar do
        told.after = shown();
        told.dead = links.filter((link) => !document.getElementById(link.hash.slice(1))).length;
        """,
    )
    assert told == {"name": "Texts (4)", "before": 0, "focused": True, "after": 4, "dead": 0}


SAVED_TABLE = """
  const saved = [];
  HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href]); };
  const save = async (table) => {
    table.closest(".scroll").nextElementSibling.querySelector("button").click();
    const [name, address] = saved.pop();
    return [name, await (await fetch(address)).text()];
  };
"""


def test_a_table_can_be_saved_and_no_cell_of_it_is_a_formula(build_run, ask):
    names = ['=cmd("a,b")', "@SUM(A1)", "+rnn", "-lstm", "\t=gru"]
    planned = [trial(name, learning_rate=rate) for name in names for rate in (0.5, 1.0)]
    failed = trial("=broken()")

    def record(ledger):
        for place, each in enumerate(planned):
            finish(ledger, each, (14.0, 5.5, 6.0 + place))
        ledger.ended(failed.trial_id, "failed", "=1+1")

    told = ask(
        write_report(build_run([*planned, failed], record)),
        SAVED_TABLE
        + """
        const table = document.querySelector("table.ranking");
        [told.name, told.text] = await save(table);
        const input = document.querySelector(".filter input");
        input.value = "lstm";
        input.dispatchEvent(new Event("input"));
        told.filtered = (await save(table))[1];
        const saveable = [...document.querySelectorAll("main table")].map(
          (each) => each.closest(".scroll").nextElementSibling.querySelector("button"));
        told.nameless = saveable.filter((button) => !document.getElementById(button.getAttribute("aria-describedby")));
        """,
    )
    assert told["name"] == "text-1.csv"
    assert told["nameless"] == []
    rows = list(csv.reader(io.StringIO(told["text"], newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[0][:5] == ["Rank", "Cell", "Layers", "Learning rate", "Validation perplexity"]
    assert rows[0][5] == "Validation perplexity, note"
    assert rows[1][:6] == ["1", "'" + names[0], "1", "0.5", "6.000", "5.500 at epoch 2"]
    assert {row[1] for row in rows[1:]} == {f"'{name.strip()}" for name in [*names, "=broken()"]}
    assert rows[1][rows[0].index("Parameters")] == "300000"
    assert float(rows[1][rows[0].index("Tokens per second")]) > 1000
    assert not any(cell[:1] in ("=", "+", "-", "@") for row in rows for cell in row)
    assert [row[1] for row in csv.reader(io.StringIO(told["filtered"], newline=""))] == ["Cell", "'-lstm", "'-lstm"]


def test_numbers_of_a_saved_table_read_as_numbers(answered, ask):
    told = ask(
        answered,
        SAVED_TABLE
        + """
        const table = document.querySelector("table.evidence");
        const worded = {
          "−1.5 × 10⁻¹⁴": "-1.5e-14", "−0.25": "-0.25", "506 894": "506894", "25.1 k": "25100", "2e-05": "2e-05",
          "+0.50 %": "+0.50%", "–": "", "+1 (0 to 2)": "'+1 (0 to 2)",
        };
        const row = table.tBodies[0].rows[0];
        const cells = Object.keys(worded).map((text) => {
          const cell = row.insertCell();
          cell.className = "number";
          cell.textContent = text.replaceAll(" ", "\\u202f");
          table.tHead.rows[0].append(document.createElement("th"));
          return cell;
        });
        const line = (await save(table))[1].split("\\r\\n")[1].split(",").slice(-cells.length);
        told.wrong = Object.values(worded).filter((written, i) => line[i].replace(/\\u202f/g, " ") !== written);
        """,
    )
    assert told["wrong"] == []


def test_a_figure_can_be_saved_with_its_colours(answered, ask):
    told = ask(
        answered,
        """
        const saved = [];
        HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href]); };
        const [svg, png] = document.querySelectorAll("figure .save button");
        svg.click();
        png.click();
        while (saved.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
        saved.sort();
        told.names = saved.map(([name]) => name.split(".").at(-1));
        told.png = saved[0][1].slice(0, 22);
        told.svg = await (await fetch(saved[1][1])).text();
        """,
    )
    assert told["names"] == ["png", "svg"]
    assert told["png"] == "data:image/png;base64,"
    assert told["svg"].startswith("<svg")
    assert "var(" not in told["svg"]
    assert "#0072b2" in told["svg"]
