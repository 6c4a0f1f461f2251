"""Renders the run as one self-contained HTML page: tables, figures, and how to read them."""

import base64
import contextlib
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from harness.analysis import wording
from harness.analysis.floor import SURE
from harness.analysis.frames import Run, records
from harness.analysis.one_text import Comparison, certified, compare, is_baseline
from harness.contracts.files import read_sealed, write_sealed
from harness.contracts.visible import visible
from harness.machine.folders import default_cache_dir
from harness.report import answers, findings
from harness.report.drawing import CONFIG, Rows, Spec
from harness.report.figures import draw
from harness.report.machines import machines
from harness.report.matrix import Matrix, matrices
from harness.report.parted import explain_parted
from harness.report.ranking import ranking, shared_settings
from harness.report.tables import corpora, losses, seed_means, stopped, superseded, workers
from harness.report.tuning import tuned_texts

MAX_COMPARISONS = 12
MAX_ROWS = 600
"""Rows of all ranking tables together: enough to look at, few enough to scroll."""
MAX_SAMPLES = 12
MAX_LISTED = 3
"""Texts the contents name one by one; more stand in a list that a reader opens."""

_TEMPLATES = Path(__file__).parent / "templates"


def render(run: Run, files: Sequence[tuple[str, str]], answered: Sequence[answers.Answered] = ()) -> str:
    """Render the page; ``files`` names the files beside it and what they hold, ``answered`` stands on top."""
    exercises = answers.sections(answered)
    comparisons = compare(run)
    shown = comparisons[:MAX_COMPARISONS]
    sections = [_section(comparison, run, position, len(shown)) for position, comparison in enumerate(shown, 1)]
    crossings, samples, tuned = matrices(run), _samples(shown, run.samples), tuned_texts(run)
    scripts = [Markup(text) for text in (vega_script(), _template_text("page.js"))]
    style = Markup(_template_text("style.css"))
    template = _environment().get_template("index.html.j2")
    return template.render(
        run=run,
        title=findings.title(run.every_trial),
        progress=_progress(run),
        contents=_contents(run, exercises, sections, crossings, samples),
        narrow=wording.NARROW,
        exercises=exercises,
        unanswered=answers.open_questions(answered),
        sections=sections,
        matrices=crossings,
        tuned=tuned,
        hidden_comparisons=len(comparisons) - len(shown),
        stopped=stopped(run.every_trial, run.log_tails),
        samples=samples,
        measured=_measured(run),
        workers=workers(run.every_trial),
        corpora=corpora(run.manifest.corpora),
        losses=losses(run.manifest.corpora),
        superseded=superseded(run.superseded),
        machines=machines(run),
        command=shlex.join(run.manifest.command),
        earlier_commands=[shlex.join(command) for command in run.manifest.earlier_commands],
        created=_readable_time(run.manifest.created),
        last_epoch=_readable_time(str(run.epochs["recorded_at"].max())) if len(run.epochs) else "",
        files=files,
        style=style,
        scripts=scripts,
        drawings=_embedded_json(_drawings([*exercises, *sections, *map(vars, tuned)], crossings)),
        policy=_policy(scripts, [style]),
    )


@dataclass(frozen=True)
class Part:
    """One entry of the contents: a part of the page, or several under one name."""

    anchor: str
    name: str
    within: Sequence["Part"] = ()


def _contents(
    run: Run,
    exercises: Sequence[object],
    sections: Sequence[Mapping[str, Any]],
    crossings: Sequence[Matrix],
    samples: Sequence[object],
) -> list[Part]:
    """Return the page's parts, for a reader who looks for one of them."""
    texts = [Part(section["anchor"], section["comparison"].title) for section in sections]
    parts = [Part("answers", "Exercises")] if exercises else []
    parts += texts if len(texts) <= MAX_LISTED else [Part("", "Texts", texts)]
    parts += [Part("tuning", "Tuning")] if len(run.tuning) else []
    parts += [Part("transfer", "On whose text")] if crossings else []
    parts += [Part("stopped", "Trials that did not finish")] if (run.every_trial["status"] != "ok").any() else []
    parts += [Part("superseded", "Superseded trials")] if len(run.superseded) else []
    parts += [Part("samples", "Samples")] if samples else []
    parts += [Part("measured", "How these were measured")]
    parts += [Part("corpora", "Corpora")] if run.manifest.corpora else []
    return [*parts, Part("machine", "Machine and versions"), Part("command", "Command and files")]


def _section(comparison: Comparison, run: Run, position: int, total: int) -> dict[str, Any]:
    anchor = f"text-{position}"
    return {
        "anchor": anchor,
        "comparison": comparison,
        "findings": findings.findings(comparison, run.manifest.figure, run.texts),
        "caveat": " ".join(filter(None, [findings.caveat(comparison), explain_parted(comparison)])),
        "settings": shared_settings(comparison),
        "ranking": ranking(comparison, MAX_ROWS // total),
        "seed_means": seed_means(comparison, MAX_ROWS // total),
        "drawn": draw(comparison, anchor, total),
    }


def _progress(run: Run) -> dict[str, Any]:
    counts = run.every_trial["status"].value_counts()
    pending = int(run.pending.sum())
    planned_skips = int(counts.get("skipped", 0)) - pending
    words = {"ok": "finished", "failed": "failed", "timeout": "timed out", "diverged": "diverged"}
    parts = [f"{wording.count(counts[status])} {word}" for status, word in words.items() if counts.get(status)]
    parts += [f"{wording.count(planned_skips)} skipped"] if planned_skips else []
    return {"total": len(run.every_trial), "pending": pending, "parts": parts}


def _samples(comparisons: Sequence[Comparison], samples: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the best trials' generated texts, a fair share from each comparison."""
    share = max(1, MAX_SAMPLES // max(1, len(comparisons)))
    chosen: list[dict[str, str]] = []
    for comparison in comparisons:
        ranked = comparison.ranked
        for row in records(ranked[ranked["trial_id"].isin(list(samples))].head(share)):
            perplexity = wording.perplexity(row["valid_perplexity"])
            chosen.append({"label": row["label"], "perplexity": perplexity, "text": samples[row["trial_id"]]})
    return chosen


def _measured(run: Run) -> dict[str, Any]:
    trials = run.every_trial[run.every_trial["num_epochs_done"] > 0]
    return {
        "any": bool(len(trials)),
        "alone": bool((trials["timed_by"] != "").any()),
        "in_training": bool((trials["timed_by"] == "").any()),
        "device_rate": wording.flops_rate(trials["device_flops_per_s"].max()),
        "concurrency": sorted(int(value) for value in trials["concurrency"].dropna().unique()),
        "threads": sorted(int(value) for value in trials["num_threads"].dropna().unique()),
        "certified": certified(run.every_trial),
        "baselines": bool(is_baseline(trials).any()),
        "floor": bool(trials["entropy_rate"].notna().any()),
        "sure": f"{SURE:g}",
        "diverged": bool((run.every_trial["status"] == "diverged").any()),
    }


def _readable_time(iso: str) -> str:
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%-d %B %Y, %H:%M} UTC"
    except (ValueError, OverflowError):
        return iso


def render_tables(template: str, **values: Any) -> str:
    """Render another page of tables, without figures, in this page's style; its tables sort and filter too."""
    scripts, style = [Markup(_template_text("page.js"))], Markup(_template_text("style.css"))
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            style=style,
            scripts=scripts,
            drawings=_embedded_json(_drawings([], [])),
            policy=_policy(scripts, [style]),
        )
    )


# --- the page's parts -------------------------------------------------------------------------------------


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"count": wording.count, "plural": wording.plural}
    return environment


def _finalize(value: object) -> object:
    """Show direction marks and control characters of every text that enters the page."""
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else value


@cache
def vega_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; bundling takes seconds, so it is kept for the next page."""
    cached = default_cache_dir() / "vega" / f"{metadata.version('vl-convert-python')}.json"
    script = read_sealed(cached)
    if isinstance(script, str):
        return script
    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    # A cache that cannot be written costs seconds the next time, and no more.
    with contextlib.suppress(OSError):
        write_sealed(cached, script)
    return script


def _template_text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _drawings(sections: Sequence[Mapping[str, Any]], crossings: Sequence[Matrix]) -> dict[str, Any]:
    """Return everything the script draws: the look, the data, and the specifications by their panels' ids."""
    datasets: dict[str, Rows] = {}
    specs: dict[str, Spec] = {}
    for section in sections:
        datasets |= section["drawn"].datasets
        for i, figure in enumerate(section["drawn"].figures, 1):
            for j, panel in enumerate(figure.panels, 1):
                specs[f"{section['anchor']}-figure-{i}-{j}"] = {**panel.spec, "description": panel.description}
    for crossing in crossings:
        datasets[crossing.anchor] = crossing.dataset
        (panel,) = crossing.figure.panels
        specs[f"{crossing.anchor}-figure"] = {**panel.spec, "description": panel.description}
    return {"config": CONFIG, "datasets": datasets, "specs": specs}


def _embedded_json(value: object) -> Markup:
    """Return JSON that cannot end the script element it stands in; non-ASCII characters are escaped too."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return a content security policy: these scripts and styles by their hashes, and no request at all."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(_hash(script) for script in scripts)}",
            f"style-src {' '.join(_hash(style) for style in styles)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
