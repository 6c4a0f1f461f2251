"""What problems such a language model has: each one looked for, and shown or not."""

from collections.abc import Callable, Sequence

import pandas as pd

from harness.analysis import probed, recipes
from harness.analysis.frames import Run, records
from harness.analysis.wording import enumerate_names, plural
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l import problems
from harness_d2l.problems import Problem
from harness_d2l.shared import options

PRIMARY = (
    PrimaryTest(
        name="learning by heart",
        compares="loss on held-out text minus that on training text, in the last epoch",
        subjects="each kind of model",
    ),
)
_LOOKS: tuple[tuple[tuple[Callable[[Run], Problem | None], str], ...], ...] = (
    ((problems.learning_by_heart, "finished trials with losses on training and held-out text."),),
    (
        (problems.repetition, "text generated at several temperatures ('harness exercises rnn-4')."),
        (problems.invention, "generated text held against the training text ('harness exercises rnn-4')."),
    ),
    (
        (
            problems.unseen_characters,
            "held-out text with characters that training never saw ('harness exercises rnn-4').",
        ),
        (problems.open_brackets, "models of texts with brackets or quotes, probed ('harness exercises rnn-4')."),
    ),
    (
        (problems.time_by_length, "time by the length of the sequence ('harness exercises rnn-4')."),
        (problems.chance, "the same trial under several seeds (--seeds 3)."),
    ),
)
"""How each problem is looked for, and what is missing where it cannot be; by the sentence that tells of them."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:
    """Return shared models whose text is generated and timed, others of raw text, and of nested brackets."""
    seeds = budget.seeds
    raw = {"text": "raw", "train_tokens": (budget.small_tokens, budget.train_tokens)}
    short = {"epochs": max(2, budget.epochs // 2)}
    needs = [
        Need(options=options(budget, "gru", "numpy", seeds=seeds), probes=("generation",)),
        # How long a sequence takes is no matter of the seed.
        Need(options=options(budget, "gru", "numpy", seeds=seeds[:1]), probes=("length",)),
        Need(options=options(budget, "gru", "numpy", seeds=seeds, **raw, **short), probes=("unseen", "brackets")),
    ]
    if "brackets" in available.corpora:
        nested = options(budget, "rnn", "gru", "lstm", "numpy", seeds=seeds, corpus="brackets")
        needs.append(Need(options=nested, probes=("brackets",)))
    return needs


def answer(run: Run) -> Answer:
    """Look for each problem, and say which of them the figures show."""
    sentences = [[(look(run), missing) for look, missing in looks] for looks in _LOOKS]
    known = [[problem for problem, _ in looks if problem is not None] for looks in sentences]
    together = [problem for each in known for problem in each]
    missing = [f"missing: {sentence}" for looks in sentences for problem, sentence in looks if problem is None]
    if not together:
        return unanswered(*missing)
    drawn = _draw(run)
    return Answer(
        answer=" ".join([_summary(together), *_recipe(run), *(_sentence(each) for each in known if each)]),
        verdict=_verdict(together),
        evidence=_table(together),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(missing),
    )


def _summary(looked_for: Sequence[Problem]) -> str:
    return f"Of {plural(len(looked_for), 'problem')} looked for, {_verdict(looked_for)}."


def _recipe(run: Run) -> list[str]:
    """Return the sentence on what these models rest on."""
    recipe = recipes.word_recipe(run, problems.learnt(run))
    return [recipe] if recipe else []


def _sentence(looked_for: Sequence[Problem]) -> str:
    words = "; ".join(problem.words for problem in looked_for)
    return f"{words[0].upper()}{words[1:]}."


def _table(looked_for: Sequence[Problem]) -> pd.DataFrame:
    words = {1: "yes", -1: "no", 0: UNDECIDED}
    return pd.DataFrame(
        [
            {
                "problem": problem.name,
                "shown": words[problem.shown],
                "measured": problem.figure,
                "value": problem.value.estimate,
                "low": problem.value.low,
                "high": problem.value.high,
                "n": problem.n,
            }
            for problem in looked_for
        ]
    )


def _verdict(looked_for: Sequence[Problem]) -> str:
    shown = [problem.name for problem in looked_for if problem.shown > 0]
    absent = [problem.name for problem in looked_for if problem.shown < 0]
    if not shown and not absent:
        return UNDECIDED
    parts = [f"shown: {enumerate_names(shown, 8)}"] if shown else ["no problem is shown"]
    parts += [f"not there: {enumerate_names(absent, 8)}"] if absent else []
    open_ones = len(looked_for) - len(shown) - len(absent)
    parts += [f"{open_ones} {UNDECIDED}"] if open_ones else []
    return "; ".join(parts)


def _draw(run: Run) -> charts.Drawn:
    curves = probed.curves(run, ["repetition", "novelty"])
    if curves.empty:
        return charts.NOTHING
    curves = curves[curves["kind"] == curves["kind"].iloc[0]]
    names = {"repetition": "repeated passages", "novelty": "passages not in the training text"}
    points = [
        (names[row["quantity"]], row["at"], row["value"], row["low"], row["high"])
        for row in records(curves[curves["at"] >= 0].sort_values(["quantity", "at"]))
    ]
    real = curves[curves["at"] < 0].set_index("quantity")["value"]
    beside = enumerate_names([f"{real[name]:.0%} {words}" for name, words in names.items() if name in real.index])
    return charts.draw(
        charts.point_frame(points),
        name="exercise-rnn-4",
        title="Repetition and novelty of generated text",
        x=charts.Axis(title="temperature"),
        y=charts.Axis(title="Share of passages", zero=True),
        caption=f"Shares of passages of eight tokens in text by {curves['model'].iloc[0]} "
        f"(n = {int(curves['n'].min())} texts a point by {probed.count_seeds(curves)}); "
        f"{probed.interval_words(curves, 'texts')}. Held-out text as long has {beside}.",
    )
