"""The contract suite of a baseline: what any honest predictor of text does, however it was fitted."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Predictor
from harness.contracts.baselines import Fitted, TrainingText
from harness.worker.targets import resolve

_SYMBOLS = ("<unk>", *"abcdefghijklmnop")
_NUM_LETTERS = len(_SYMBOLS) - 1


class BaselineContract:
    """What a baseline must do; name its target in `target`."""

    target: ClassVar[str]

    def fitted(self, ids: NDArray[np.uint8], tokens: str = "char") -> Fitted:
        """Fit the baseline to token ids; it may say how far it is."""
        text = TrainingText(ids=ids, symbols=_SYMBOLS, tokens=tokens)
        baseline: Fitted = resolve(self.target)(text, _hear)
        return baseline

    def test_a_text_of_chance_costs_its_entropy_at_least(self) -> None:
        """Evaluate letters drawn evenly: whoever does better has seen them."""
        evaluation = self.fitted(_letters(6000)).evaluate(_letters(3000, seed=1), _hear)
        # Every letter costs the same, so the code length hardly varies.
        assert evaluation.loss >= 0.99 * math.log(_NUM_LETTERS)

    def test_a_text_with_structure_costs_less_than_one_of_chance(self) -> None:
        """Evaluate a text in which four letters of sixteen are common."""
        uneven = _letters(6000) % 4 + 1
        evaluation = self.fitted(uneven[:5000]).evaluate(uneven[5000:], _hear)
        assert math.log(4) * 0.9 <= evaluation.loss < math.log(_NUM_LETTERS)

    def test_evaluation_teaches_it_nothing(self) -> None:
        """Evaluate one text twice, another one between."""
        baseline = self.fitted(_letters(3000))
        first = baseline.evaluate(_letters(1000, seed=1), _hear)
        baseline.evaluate(_letters(1000, seed=2), _hear)
        again = baseline.evaluate(_letters(1000, seed=1), _hear)
        assert _figures(first) == _figures(again)

    def test_words_and_unknown_tokens_are_evaluated_too(self) -> None:
        """Give it tokens it has never seen."""
        unknown = np.zeros(500, np.uint8)
        for tokens in ("char", "word"):
            assert math.isfinite(self.fitted(_letters(1000), tokens).evaluate(unknown, _hear).loss)

    def test_what_it_predicts_is_what_it_is_evaluated_by(self) -> None:
        """Compute loss and accuracy from the logits, where it gives any."""
        baseline = self.fitted(_letters(2000) % 4 + 1)
        ids = _letters(200, seed=1) % 4 + 1
        evaluation = baseline.evaluate(ids, _hear)
        if not isinstance(baseline, Predictor):
            return
        logits, _ = baseline.logits(ids[:-1, None].astype(np.int64), baseline.initial_state(1))
        logits = np.asarray(logits[:, 0], np.float64)
        own = logits[np.arange(len(ids) - 1), ids[1:]]
        losses = np.log(np.exp(logits).sum(axis=1)) - own
        assert abs(evaluation.loss - losses.mean()) < 1e-9
        assert evaluation.num_tokens == len(losses)
        assert evaluation.others["accuracy"] == ((logits >= own[:, None]).sum(axis=1) == 1).mean()


def _letters(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, _NUM_LETTERS + 1, count).astype(np.uint8)


def _hear(fraction: float) -> None:
    assert 0 <= fraction <= 1


def _figures(evaluation: Any) -> dict[str, str]:
    # As text, so that a NaN equals a NaN.
    return {name: repr(value) for name, value in vars(evaluation).items()}
