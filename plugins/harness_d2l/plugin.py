"""Announces the eight exercises."""

from collections.abc import Sequence

from harness.contracts.hooks import Exercise, hookimpl

_CHAPTERS = {
    "deep-rnn": ("Deep Recurrent Neural Networks", "D2L sec_deep_rnn, exercise {}"),
    "rnn": ("Recurrent Neural Networks", "D2L sec_rnn, exercise {}"),
}
_QUESTIONS = {
    "deep-rnn": (
        "Write a two-layer RNN from scratch: does it learn the same as the framework's own layers, and how fast?",
        "Put a GRU in place of the LSTM: how do accuracy and training speed compare?",
        "Train on more text, on several books: how low does the perplexity go?",
        "Should texts of different authors train one model? Why would that be good, and what could go wrong?",
    ),
    "rnn": (
        "An RNN is to predict the next character of a text: what dimension must its output have?",
        "Why can an RNN express the probability of a token given all tokens before it, and how far back does it look?",
        "What happens to the gradient when it is backpropagated through a long sequence?",
        "What problems come with a language model as this section describes it?",
    ),
}


@hookimpl
def harness_exercises() -> Sequence[Exercise]:
    """Return both chapters' exercises."""
    return [
        Exercise(
            name=f"{short}-{position}",
            question=question,
            source=_CHAPTERS[short][1].format(position),
            target=f"harness_d2l.{short.replace('-', '_')}_{position}",
            chapter=_CHAPTERS[short][0],
            position=position,
        )
        for short, questions in _QUESTIONS.items()
        for position, question in enumerate(questions, 1)
    ]
