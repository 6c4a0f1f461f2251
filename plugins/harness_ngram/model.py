"""Interpolated Kneser-Ney smoothing with modified discounts, counted in NumPy.

The probability of a token w after the tokens h is, at each order,

    p(w | h) = (c(h w) − D(c(h w))) / c(h ·) + γ(h) p(w | h without its oldest token)

with γ(h) = Σ_w D(c(h w)) / c(h ·), which makes it a distribution; below the first order it is uniform over the
vocabulary, so that '<unk>' too has some. At the highest order c counts occurrences; below, it counts the different
tokens seen before: c(h w) = |{v : v h w occurs}|. A context never seen is left to the shorter one. The discount D is
0 for a count of 0, and D₁, D₂, D₃ for one, two, three and more, from how many n-grams of each order occur once to
four times.

Source: Chen and Goodman, An empirical study of smoothing techniques for language modeling, TR-10-98, Harvard
University, 1998, sections 2.7 and 3.3; Kneser and Ney 1995. D2L `sec_language_model` has the models unsmoothed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Tokens
from harness.contracts.baselines import Evaluation, Say, TrainingText
from harness.contracts.measures import ACCURACIES, RANKS

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

UNSEEN = -1
_BLOCK = 1 << 22
"""Probabilities computed at a time: 32 MB."""
_USUAL_DISCOUNT = 0.75
"""Where too few n-grams are rare for the discounts to be estimated, as among a few dozen letters."""


@dataclass(frozen=True)
class Level:
    """The n-grams of one length in order of their keys; an n-gram's id is its place."""

    keys: Ids
    """id of the n-gram without its last token × vocab_size + the last token."""
    mass: Floats
    """By id: the discounted share of the last token after the others."""
    backoff: Floats
    """γ, by the id of a context; 1 for one never continued."""
    starts: Ids
    """Where each context's continuations begin in ``keys``; one more entry ends the last."""
    num_counts: int
    """n-grams with a count, which is what the model keeps."""

    def find(self, keys: Ids) -> Ids:
        """Return the ids of keys, `UNSEEN` where there is no such n-gram."""
        if not len(self.keys):
            return np.full(keys.shape, UNSEEN)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, UNSEEN)


def fit(order: int, text: TrainingText, say: Say) -> "NGram":
    """Count a text's n-grams up to ``order`` and smooth them."""
    model = NGram(_levels(text.ids, order, len(text.symbols), say), len(text.symbols))
    model.training = Evaluation(num_tokens=len(text.ids) - 1, loss=model.loss(text.ids))
    return model


class NGram:
    """A smoothed n-gram model; also a `Predictor`, whose state is the tokens that are its context."""

    def __init__(self, levels: Sequence[Level], vocab_size: int) -> None:
        self._levels = levels
        self._vocab_size = vocab_size
        self.num_params = sum(level.num_counts for level in levels)
        self.training = Evaluation(num_tokens=0, loss=np.nan)

    @property
    def order(self) -> int:
        """Return the length of its longest n-grams."""
        return len(self._levels)

    def next_token_probabilities(self, contexts: NDArray[np.integer]) -> Floats:
        """Return the distribution of the token after each context.

        Shapes: contexts (…, length) token ids, the oldest first, of any length; the result (…, vocab_size). Of a
        context the last ``order − 1`` tokens count.
        """
        recent = contexts[..., max(0, contexts.shape[-1] - self.order + 1) :]
        shape = recent.shape[:-1]
        known = [grams[..., -1].reshape(-1) if grams.shape[-1] else None for grams in self._grams(recent)]
        count = int(np.prod(shape, dtype=np.int64))
        places = [np.zeros(count, np.int64), *(np.full(count, UNSEEN) if ids is None else ids for ids in known)]
        return self._distributions(places).reshape(*shape, self._vocab_size)

    def evaluate(self, ids: Tokens, say: Say) -> Evaluation:
        """Predict each token but the first from those before it."""
        tokens = ids.astype(np.int64)
        contexts = [np.zeros(len(tokens), np.int64), *self._grams(tokens)]
        contexts, targets = [grams[:-1] for grams in contexts], tokens[1:]
        # Of two positions whose longest known context is the same, the distributions are the same.
        states, first, which = np.unique(_states(contexts), return_index=True, return_inverse=True)
        by_state = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[by_state], np.arange(len(states)), side="right")
        sums, losses = np.zeros(1 + len(RANKS)), np.zeros(len(targets))
        block = max(1, _BLOCK // self._vocab_size)
        for start in range(0, len(states), block):
            stop = min(start + block, len(states))
            here = by_state[(ends[start - 1] if start else 0) : ends[stop - 1]]
            probabilities = self._distributions([grams[first[start:stop]] for grams in contexts])
            losses[here], scores = _scores(probabilities, which[here] - start, targets[here])
            sums += scores
            say(1.0)
        loss, *accuracies = (sums / max(1, len(targets))).tolist()
        others = dict(zip(ACCURACIES, accuracies, strict=True))
        return Evaluation(num_tokens=len(targets), loss=loss, token_losses=losses, others=others)

    def loss(self, ids: Tokens) -> float:
        """Return the mean loss alone, nats per token: sooner than `evaluate`, since only the tokens are looked up."""
        tokens = ids.astype(np.int64)
        contexts = [np.zeros(len(tokens), np.int64), *self._grams(tokens)]
        targets = tokens[1:]
        probabilities = np.full(len(targets), 1.0 / self._vocab_size)
        for level, grams in zip(self._levels, contexts, strict=False):
            context = grams[:-1]
            seen = context != UNSEEN
            places = level.find(context[seen] * self._vocab_size + targets[seen])
            mass = np.where(places == UNSEEN, 0.0, level.mass[places])
            probabilities[seen] = mass + level.backoff[context[seen]] * probabilities[seen]
        return float(-np.log(probabilities).mean())

    def initial_state(self, batch_size: int) -> Ids:
        """Return the empty context."""
        return np.zeros((batch_size, 0), np.int64)

    def logits(self, X: Ids, state: Ids) -> tuple[Floats, Ids]:
        """Return log probabilities after each token, and the last tokens.

        Shapes: X (num_steps, batch_size); state (batch_size, length); logits (num_steps, batch_size, vocab_size).
        """
        whole = np.concatenate([state, X.T], axis=1)
        length, before = max(0, self.order - 1), state.shape[1]
        steps = [
            self.next_token_probabilities(whole[:, max(0, before + t + 1 - length) : before + t + 1])
            for t in range(len(X))
        ]
        return np.log(np.stack(steps)), whole[:, max(0, whole.shape[1] - length) :]

    def _grams(self, tokens: NDArray[np.integer]) -> list[Ids]:
        """Return, for each length from 1 to ``order − 1``, the ids of the n-grams that end at each position.

        Shapes: tokens and each result (…, length).
        """
        grams: list[Ids] = []
        shorter: Ids = np.zeros(tokens.shape, np.int64)
        for level in self._levels[:-1]:
            before = np.full(tokens.shape, UNSEEN)
            before[..., 1:] = shorter[..., :-1]
            if not grams:
                before[...] = 0
            shorter = np.where(before == UNSEEN, UNSEEN, level.find(before * self._vocab_size + tokens))
            grams.append(shorter)
        return grams

    def _distributions(self, contexts: Sequence[Ids]) -> Floats:
        """Return the distributions after contexts given by their ids of length 0, 1, …; each (count,)."""
        probabilities = np.full((len(contexts[0]), self._vocab_size), 1.0 / self._vocab_size)
        for level, context in zip(self._levels, contexts, strict=True):
            rows = np.flatnonzero(context != UNSEEN)
            probabilities[rows] *= level.backoff[context[rows], None]
            begin, end = level.starts[context[rows]], level.starts[context[rows] + 1]
            sizes = end - begin
            # The places begin, begin + 1, …, end − 1 of every row, one after another.
            places = np.arange(sizes.sum()) + np.repeat(begin - (np.cumsum(sizes) - sizes), sizes)
            probabilities[np.repeat(rows, sizes), level.keys[places] % self._vocab_size] += level.mass[places]
        return probabilities


def _states(contexts: Sequence[Ids]) -> Ids:
    """Return one number for the longest context known at each position; it decides the shorter ones."""
    state, offset = contexts[0], 1
    for grams in contexts[1:]:
        state = np.where(grams == UNSEEN, state, grams + offset)
        offset += int(grams.max(initial=0)) + 1
    return state


def _scores(probabilities: Floats, rows: Ids, targets: Ids) -> tuple[Floats, Floats]:
    """Return the losses, and the sums of them and of hits among the first k for each k of `RANKS`; a tie is no hit.

    Many targets share a distribution: each is compared with the one that comes behind the first k.
    """
    own, vocab_size, most = probabilities[rows, targets], probabilities.shape[1], max(RANKS)
    descending = -np.partition(-probabilities, min(most, vocab_size - 1), axis=1)[:, : most + 1]
    descending = -np.sort(-descending, axis=1)
    hits = [float((own > descending[rows, k]).sum()) if k < vocab_size else float(len(own)) for k in RANKS]
    losses = -np.log(own)
    return losses, np.array([losses.sum(), *hits])


# --- counting ---------------------------------------------------------------------------------------------


def _levels(ids: Tokens, order: int, vocab_size: int, say: Say) -> list[Level]:
    tokens = ids.astype(np.int64)
    grams = np.zeros(len(tokens) + 1, np.int64)  # the empty n-gram before, between and after the tokens
    keys: list[Ids] = []
    occurrences: list[Ids] = []
    continuations: list[Ids] = []
    for length in range(1, order + 1):
        ending = grams[:-1] * vocab_size + tokens[length - 1 :]
        distinct, first, inverse, counts = np.unique(ending, return_index=True, return_inverse=True, return_counts=True)
        # An n-gram without its first token: the shorter one that ends where it ends.
        if length > 1:
            continuations.append(np.bincount(grams[1:][first], minlength=len(keys[-1])))
        keys.append(distinct)
        occurrences.append(counts)
        grams = inverse.reshape(-1)
        say(0.9 * length / order)
    num_contexts = [1, *map(len, keys)]
    counted = [*continuations, occurrences[-1]]
    return [_smooth(*each, vocab_size) for each in zip(keys, counted, num_contexts[:-1], strict=True)]


def _smooth(keys: Ids, counts: Ids, num_contexts: int, vocab_size: int) -> Level:
    context = keys // vocab_size
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    totals = np.bincount(context, weights=counts, minlength=num_contexts)
    withheld = np.bincount(context, weights=discounts, minlength=num_contexts)
    # A context at the text's very end is never continued; then all is left to the shorter one.
    continued = np.where(totals > 0, totals, 1.0)
    return Level(
        keys=keys,
        mass=(counts - discounts) / continued[context],
        backoff=np.where(totals > 0, withheld / continued, 1.0),
        starts=np.searchsorted(context, np.arange(num_contexts + 1)),
        num_counts=int((counts > 0).sum()),
    )


def _discounts(counts: Ids) -> Floats:
    """Return the discounts of counts 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = (float((counts == count).sum()) for count in (1, 2, 3, 4))
    if n1 and n2 and n3 and n4:
        y = n1 / (n1 + 2 * n2)
        own = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        # In a text that repeats itself they may come out beyond what they discount.
        if (own > 0).all():
            return np.array([0.0, *own])
    share = n1 / (n1 + 2 * n2) if n1 and n2 else _USUAL_DISCOUNT
    return np.array([0.0, share, share, share])
