"""Several authors in one model: what others' texts added to one's own give, what mixing costs, and what goes wrong."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.analysis import evidence, judging, recipes
from harness.analysis.frames import Run
from harness.analysis.judging import BITS, Compared, Judged
from harness.analysis.statistics import CONFIDENCE, mean_interval
from harness.analysis.text_intervals import difference_over_texts
from harness.analysis.wording import enumerate_names, enumerate_numbers
from harness.contracts.exercises import Available, Budget, Need, OptionValue, PrimaryTest, TextProbe
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l import author_pairs, authors
from harness_d2l.author_pairs import ADDED_EPOCHS, ADDED_UPDATES, DROWNED, FOREIGN, MIXED, OWN_WORDS, SHARED_WORDS
from harness_d2l.shared import WHOLE, tuned

PRIMARY = (
    PrimaryTest(
        name=ADDED_UPDATES,
        compares="the model of all authors' whole texts minus that of one's own whole text, trained by as many "
        "updates: bits per character of the author's held-out text, one pair a seed",
        subjects="each author",
    ),
    PrimaryTest(name=ADDED_EPOCHS, compares="the same, trained for as many epochs", subjects="each author"),
)
EPOCHS = 12
"""Of one's own text: with these all texts together are read 5, 4 and 3 times in about as many updates."""
FEWER = (5, 4, 3)
"""Epochs of all texts that have the updates of 12 epochs of Anne's, Charlotte's and Emily's alone."""
MOST_SEEDS = 3
"""Eleven models are tuned: time goes further in their texts than in more seeds."""
MAX_WORDED = 6
"""Authors told in words; the evidence has all."""
MIN_AUTHORS = 4
"""Below it there are too few ways to relabel authors for a permutation test to tell anything."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return each author's own text alone, all of them together, and both again at a fixed budget."""

    def plan(*who: str, **changes: Any) -> dict[str, OptionValue]:
        whole: dict[str, Any] = {"train_tokens": WHOLE, "epochs": EPOCHS, "author_budget": "full"}
        return tuned(budget, "gru", "numpy", seeds=budget.seeds[:MOST_SEEDS], **(whole | changes), authors=who)

    if budget.own_tokens is None:
        plans = [plan("each"), plan("all", epochs=(EPOCHS, *FEWER)), plan("all", epochs=FEWER[1], mix="equal")]
        fixed = plan("each", "all", mix="equal", author_budget="equal")
    else:
        own, every = budget.own_tokens, len(FEWER) * budget.own_tokens
        together = plan("all", epochs=(EPOCHS, EPOCHS // len(FEWER)), mix="equal", train_tokens=every)
        plans = [plan("each", train_tokens=own), together]
        fixed = plan("each", "all", mix="equal", train_tokens=own)
    probe = TextProbe(name=authors.PROBE, measure=authors.distances)
    return [*(Need(options=chosen, probes=("own_words",)) for chosen in plans), Need(options=fixed, text_probe=probe)]


def answer(run: Run) -> Answer:
    """Hold every author's held-out text against the model of that author alone."""
    known = author_pairs.figures(run)
    pairs = dict(author_pairs.pairs(known))
    known = known[known["trial_id"].isin(_paired(pairs))]
    pairs |= author_pairs.by_words(run, pairs[ADDED_EPOCHS])
    compared = [each for test, both in pairs.items() for each in _compared(test, both)]
    if not compared or known["evaluated_on"].nunique() < 2:
        return unanswered(
            "missing: models of each of several authors alone and of all together, evaluated on each author "
            "(--authors each,all --author-budget full)."
        )
    stated = {test.name for test in PRIMARY}
    judged = judging.judge_primary(PRIMARY, [each for each in compared if each.test in stated])
    judged += judging.judge_secondary([each for each in compared if each.test not in stated])
    table = judging.frame(judged)
    sides = zip(table["trained_on"], table["evaluated_on"], strict=True)
    table["distance_bits"] = [authors.distance(run, *pair) for pair in sides]
    drawn = _draw(known)
    return Answer(
        answer=" ".join([*_sentences(run, known, judged, table), *_over_texts(run, pairs)]),
        verdict=_verdict(judged),
        evidence=table,
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(known, judged, table)),
    )


def _paired(pairs: Mapping[str, pd.DataFrame]) -> set[str]:
    """Return the ids of the trials that stand on a side of any pair."""
    sides = [both[f"trial_id_{side}"] for both in pairs.values() for side in ("first", "second")]
    return set(itertools.chain.from_iterable(sides))


def _compared(test: str, both: pd.DataFrame) -> list[Compared]:
    """Return a question's figures, one comparison an author and what is tried on their text."""
    return [
        judging.by_seed(
            part, test, BITS, "bits_per_char_first", "bits_per_char_second",
            evaluated_on=str(author), trained_on=str(trained_on), beside=str(part["trained_on_second"].iloc[0]),
            bits=float(part["bits_per_char_first"].mean()), bits_beside=float(part["bits_per_char_second"].mean()),
            tokens=float(part["train_tokens_first"].mean()), tokens_beside=float(part["train_tokens_second"].mean()),
            letters=float(part["letters"].mean()) if "letters" in part else math.nan,
            epochs=float(part["num_epochs_first"].mean()), epochs_beside=float(part["num_epochs_second"].mean()),
        )
        for (author, trained_on), part in both.groupby(["evaluated_on", "trained_on_first"], sort=False)
    ]  # fmt: skip


def _of(judged: Sequence[Judged], test: str) -> list[Judged]:
    return [each for each in judged if each.compared.test == test]


def _outcome(judged: Sequence[Judged]) -> str:
    """Word whom something helps, harms, leaves as they were, or is not decided for."""
    words: dict[str, list[str]] = {"helps": [], "harms": [], "makes no difference to": [], "is not decided for": []}
    for each in judged:
        word = {1: "helps", -1: "harms", 0: "is not decided for"}[each.ahead]
        word = "makes no difference to" if each.kind == "equivalent" else word
        words[word].append(each.compared.of["evaluated_on"])
    if max(len(names) for names in words.values()) == len(judged):
        (word,) = (word for word, names in words.items() if names)
        return UNDECIDED if word == "is not decided for" else f"{word} every author"
    return enumerate_names([f"{word} {enumerate_names(names)}" for word, names in words.items() if names])


_QUESTIONS = {
    ADDED_EPOCHS: "adding others' texts to all of one's own, as many epochs: {}",
    ADDED_UPDATES: "as many updates: {}",
    MIXED: "mixing at a fixed budget: {}",
}
"""What the verdict says of each, the practical one first."""


def _verdict(judged: Sequence[Judged]) -> str:
    parts = [words.format(_outcome(of)) for test, words in _QUESTIONS.items() if (of := _of(judged, test))]
    return "; ".join(parts) or UNDECIDED


def _sentences(run: Run, known: pd.DataFrame, judged: Sequence[Judged], table: pd.DataFrame) -> list[str]:
    used = evidence.finished(run)
    used = used[used["trial_id"].isin(set(known["trial_id"]))]
    sentences = [f"{_verdict(judged)[0].upper()}{_verdict(judged)[1:]}.", recipes.word_recipe(run, used)]
    sentences += [_gains(_of(judged, test), words) for test, words in _SENTENCES.items() if _of(judged, test)]
    if not _of(judged, ADDED_UPDATES) and not _of(judged, ADDED_EPOCHS):
        sentences.append("Whether to add others' texts to all of one's own was not asked of these models.")
    sentences.append(_statistics(judged))
    return [*sentences, *_words(judged), *_drowned(_of(judged, DROWNED)), *_distances(table)]


_SENTENCES = {
    ADDED_EPOCHS: "With all texts in full, for as many epochs, bits per character change by {}",
    ADDED_UPDATES: "In as many updates, so that more text costs no more training, they change by {}",
    MIXED: "With the tokens fixed, where a mixture reads less of the author it is asked for, they change by {}",
    FOREIGN: "Another author's model in place of one's own changes them by {}",
}


def _gains(judged: Sequence[Judged], words: str) -> str:
    if judged[0].compared.test == FOREIGN:
        differences = [each.difference.estimate for each in judged]
        return f"{words.format(f'{min(differences):.3f} to {max(differences):.3f}')}."
    return f"{words.format(enumerate_names([_gain(each) for each in judged], MAX_WORDED))}."


def _gain(judged: Judged) -> str:
    return f"{evidence.word_bounds(judged.difference)} for {judged.compared.of['evaluated_on']}"


def _statistics(judged: Sequence[Judged]) -> str:
    """Say what stands behind the intervals, and what so many seeds could have shown."""
    numbers = sorted({each.verdict.num_pairs for each in judged})
    if numbers == [1]:
        return "That is one seed, which gives no interval."
    primary = [each for each in judged if each.role == "primary"] or judged
    reach = max(
        (each.verdict.detectable for each in primary if math.isfinite(each.verdict.detectable)), default=math.nan
    )
    found = f"; the least sharp of the main tests finds {reach:.3f} bits in 80 % of such runs"
    shown = found if reach > 0 else ""
    return (
        f"Less is better (n = {enumerate_numbers(numbers)} seeds and one held-out text an author; 95 % intervals, "
        f"paired over seeds; adding is primary and corrected by Holm over authors, the rest secondary; equivalent is "
        f"within {BITS.words}{shown})."
    )


def _over_texts(run: Run, pairs: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say how far the practical question's answer depends on the held-out text, an author each."""
    asked = next((test for test in _QUESTIONS if len(pairs[test])), "")
    if not asked:
        return []
    parts = []
    for author, part in pairs[asked].groupby("evaluated_on", sort=False):
        sides = list(zip(part["trial_id_first"], part["trial_id_second"], strict=True))
        over_texts = difference_over_texts(run.texts, sides, "test", str(author))
        if math.isfinite(over_texts.low):
            parts.append(f"{evidence.word_bounds(over_texts)} for {author}")
    if not parts:
        return []
    return [
        f"Over other texts of the same author, {_QUESTIONS[asked].format('the loss changes by')} "
        f"{enumerate_names(parts, MAX_WORDED)} nats a token, over blocks of the test text."
    ]


def _words(judged: Sequence[Judged]) -> list[str]:
    """Say what adding does to the words that only one author uses, where what goes wrong would show."""
    own = _of(judged, OWN_WORDS)
    if not own:
        return []
    parts = []
    for each in own:
        author, letters = each.compared.of["evaluated_on"], each.compared.of["letters"]
        shared = judging.find(judged, SHARED_WORDS, evaluated_on=author, trained_on=each.compared.of["trained_on"])
        if shared is not None:
            share = letters / (letters + shared.compared.of["letters"])
            parts.append(
                f"{evidence.word_bounds(each.difference)} for {author} ({share:.1%} of the letters; all others "
                f"{evidence.word_bounds(shared.difference)})"
            )
    harmed = [each.compared.of["evaluated_on"] for each in own if each.ahead < 0]
    outcome = f"they go wrong for {enumerate_names(harmed)}" if harmed else "they are not shown to go wrong"
    return [
        f"On words that only this author uses, names and spellings, adding changes the bits a letter by "
        f"{enumerate_names(parts, MAX_WORDED)}: {outcome}."
    ]


def _drowned(judged: Sequence[Judged]) -> list[str]:
    """Say what a small author loses in a mixture in proportion, beside an equal one with all of their text too."""
    if not judged:
        return []
    loses = {-1: "drowns in it", 1: "gains by it", 0: "is not shown to lose by it"}
    return [
        f"Mixed in proportion instead of equally (--mix), with as many updates, "
        f"{each.compared.of['evaluated_on']}'s bits change by {evidence.word_bounds(each.difference)}: a small author "
        f"{'is the same' if each.kind == 'equivalent' else loses[each.ahead]}."
        for each in judged
    ]


def _distances(table: pd.DataFrame) -> list[str]:
    """Say how far apart the authors' trigrams are, and whether that goes with what a foreign model costs."""
    known = table[table["test"] == FOREIGN].dropna(subset=["distance_bits", "difference"])
    if known.empty:
        return []
    sentence = (
        f"The authors' trigrams are {known['distance_bits'].min():.3f} to {known['distance_bits'].max():.3f} bits "
        "apart (Jensen-Shannon)"
    )
    names = sorted({*known["trained_on"], *known["evaluated_on"]})
    if len(names) < MIN_AUTHORS or known["distance_bits"].nunique() < 3:
        return [f"{sentence}, too few authors to test whether distance goes with the cost."]
    rank, p_value = authors.mantel(known, "distance_bits", "difference")
    word = "goes with" if p_value < 1 - CONFIDENCE else "is not shown to go with"
    direction = "higher" if rank > 0 else "lower"
    return [f"{sentence}; a larger distance {word} a {direction} cost (Spearman's ρ = {rank:.2f}, Mantel's permutation "
            f"test p = {p_value:.2g}, n = {len(names)} authors)."]  # fmt: skip


def _missing(known: pd.DataFrame, judged: Sequence[Judged], table: pd.DataFrame) -> list[str]:
    missing = []
    if not _of(judged, ADDED_EPOCHS):
        missing.append(
            "missing: a model of all texts in full for as many epochs (--authors each,all --author-budget full)."
        )
    if not _of(judged, ADDED_UPDATES):
        missing.append("missing: a model of all texts in full with as many updates (fewer --epochs of it).")
    if not _of(judged, MIXED):
        missing.append("missing: a model of all authors together with as many tokens (--authors each,all --mix equal).")
    if known["seed"].nunique() < 2 or min(each.verdict.num_pairs for each in judged) < 2:
        missing.append("missing: more than one finished seed of each model (--seeds 3): one gives no interval.")
    if table["distance_bits"].isna().all():
        missing.append("missing: the distances between the authors' n-grams ('harness exercises deep-rnn-4').")
    return missing


def _draw(known: pd.DataFrame) -> charts.Drawn:
    points = []
    keys = ["trained_on", "train_tokens", "num_epochs", "evaluated_on"]
    for (trained_on, tokens, epochs, evaluated_on), part in known.groupby(keys, sort=False):
        bits = mean_interval(part.groupby("seed", sort=False)["bits_per_char"].mean().astype(float))
        name = f"trained on {trained_on}, {tokens:,} tokens, {epochs} epochs"
        points.append((name, evaluated_on, bits.estimate, bits.low, bits.high))
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-4",
        title="Own author, other authors, all together",
        x=charts.Axis(title="evaluated on", nominal=True),
        y=charts.Axis(title="Bits per character of held-out text"),
        caption=f"Each author's held-out text under every model (n = {int(known['seed'].nunique())} seeds); bars are "
        "95 % t intervals over seeds, where there are several.",
        lines=False,
    )
