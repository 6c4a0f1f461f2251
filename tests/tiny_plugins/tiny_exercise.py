"""Two exercises of one file: does more training text help, and does it with more seeds?"""

from harness.contracts.hooks import Exercise, hookimpl


@hookimpl
def harness_exercises():
    question = "Does more text help?"
    targets = {"tiny-1": "tiny_exercise", "tiny-2": "tiny_exercise:Seeds"}
    return [
        Exercise(name=name, question=question, source="These tests", target=target, chapter="Tiny")
        for name, target in targets.items()
    ]


SMALL = {"hiddens": 8, "steps": 5, "batch-size": 4, "epochs": 1, "corpus": "text.txt", "plugins": ["rnn", "numpy"]}


def needs(budget, available):
    from harness.contracts.exercises import Need, TextProbe

    options = {"seeds": [0], "train-tokens": [400, 800], **SMALL}
    return [Need(options=options, probes=("influence",), text_probe=TextProbe(name="letters", measure=count_letters))]


def count_letters(texts):
    return {text.trial_id: [(text.corpus, 0.0, float(text.ids.max()), float("nan"), len(text.ids))] for text in texts}


def answer(run):
    from harness.analysis import evidence
    from harness.report import UNDECIDED, Answer, charts, unanswered

    trials = evidence.cells(evidence.finished(run))
    if trials["train_tokens"].nunique() < 2:
        return unanswered("missing: two sizes of one text (--train-tokens 400,800).")
    drawn = charts.draw(
        charts.point_frame(
            [
                ("rnn", tokens, perplexity, float("nan"), float("nan"))
                for tokens, perplexity in zip(trials["train_tokens"], trials["valid_perplexity"], strict=True)
            ]
        ),
        name="exercise-tiny-1",
        title="Perplexity by text",
        x=charts.Axis(title="training tokens"),
        y=charts.Axis(title="perplexity"),
        caption="One seed.",
    )
    perplexities = trials["valid_perplexity"].astype(float)
    return Answer(
        answer=f"The perplexities are {perplexities.max() - perplexities.min():.2f} apart.",
        verdict=UNDECIDED,
        evidence=trials[["train_tokens", "valid_perplexity"]],
        figure=drawn.figure,
        datasets=drawn.datasets,
    )


class Seeds:
    """The same question of models of other sizes, tuned and under two seeds."""

    @staticmethod
    def needs(budget, available):  # noqa: ARG004
        from harness.contracts.exercises import Need

        return [Need(options={"seeds": 2, "tune": 2, "train-tokens": [600, 1000], **SMALL})]

    @staticmethod
    def answer(run):
        return answer(run)
