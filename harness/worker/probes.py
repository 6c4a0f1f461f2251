"""Probes of trained models: how far back they look, what their gradients do, what they write, and where they fail.

All are made on the held-out text by the numpy backend in float64, whatever trained the model: one checkpoint, one
arithmetic, so that a difference is the model's. A baseline is fitted again and asked alike.
"""

import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Ids, Predictor, Tokens
from harness.contracts.weights import Weights
from harness.worker.minibatches import training_minibatches
from harness.worker.trial import Trial

Row = tuple[str, float, float, float, int]
"""quantity, where it was measured, mean, standard deviation (ddof=1), number of observations."""
Floats = NDArray[np.float64]

DISTANCES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48)
"""Tokens between a change and the prediction it may change."""
STEPS_BACK = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
LENGTHS = (8, 16, 32, 64, 128, 256)
GRAM = 8
"""Tokens of a passage that counts as repeated or as copied."""
_CONTEXTS = 128
_GRADIENT_CONTEXTS = 32
_WARM_UP = 16
_TEXTS = 8
_TEXT_TOKENS = 400
_MINIBATCHES = 8
_READ_TOKENS = 20_000
_MAX_FLOATS = 1 << 25
"""Of one array of predictions: 256 MB."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and its text."""

    trial: Trial
    model: Any
    """A `Predictor`; where it was trained, a `Model` of the numpy backend in float64."""
    train: Tokens
    valid: Tokens
    symbols: Sequence[str]
    stages: Mapping[str, Weights]
    """The model's weights at 'init' and 'trained'; none of a baseline."""


# --- how far back a prediction depends on the text --------------------------------------------------------


def influence(subject: Subject) -> Iterator[Row]:
    """Change the token k steps back and yield the divergence of the prediction, KL(before ‖ after) in nats.

    The contexts stand in the same order in the same places of a minibatch each time, so that a prediction that does
    not depend on the token is the same to the last bit, and its divergence zero.
    """
    length = DISTANCES[-1] + 1
    contexts = _windows(subject, length, _CONTEXTS)  # (length, count)
    before = _last_log_probabilities(subject.model, contexts)
    generator = np.random.default_rng(0)
    for distance in DISTANCES:
        changed = contexts.copy()
        place = length - 1 - distance
        changed[place] = _others(changed[place], subject, generator)
        after = _last_log_probabilities(subject.model, changed)
        yield _row("kl", distance, _divergences(before, after))


def _divergences(before: Floats, after: Floats) -> Floats:
    """Return KL(before ‖ after) of each row in nats, from log probabilities.

    Since both sum to one it is Σ p (e^−d − 1 + d) with d = log p − log p′, whose terms are never negative; where d is
    small its series keeps the digits that the difference would lose, so that 10⁻²⁵ is told from nothing.
    """
    d = before - after
    terms = np.where(np.abs(d) < 1e-4, d * d / 2 - d**3 / 6 + d**4 / 24, np.expm1(-d) + d)
    divergences: Floats = np.sum(np.exp(before) * terms, axis=1)
    return divergences


def _others(ids: Ids, subject: Subject, generator: np.random.Generator) -> Ids:
    """Return another token for each: as frequent as in the text, but never the same."""
    others = generator.choice(subject.valid, size=len(ids)).astype(np.int64)
    vocab_size = len(subject.symbols)
    return np.where(others == ids, (ids + 1 + generator.integers(0, max(1, vocab_size - 1))) % vocab_size, others)


def _last_log_probabilities(model: Predictor, contexts: Ids) -> Floats:
    """Return log probabilities after each context. Shapes: contexts (length, count); (count, vocab_size)."""
    logits, _ = model.logits(contexts, model.initial_state(contexts.shape[1]))
    return _log_softmax(logits[-1])


# --- what a gradient does over a long sequence ------------------------------------------------------------


def gradients(subject: Subject) -> Iterator[Row]:
    """Yield the mean logarithm of ‖∂loss_t / ∂state_{t−k}‖ before and after training.

    The state is all that a step hands on: h of every layer, and c where there is one. Each context is one text and one
    loss, so that only k differs.
    """
    length = _WARM_UP + STEPS_BACK[-1]
    windows = _windows(subject, length + 1, _GRADIENT_CONTEXTS)
    inputs, targets = windows[:-1], windows[-1]
    for stage, weights in subject.stages.items():
        subject.model.load(weights)
        for steps in STEPS_BACK:
            _, state = subject.model.logits(inputs[: length - steps], subject.model.initial_state(inputs.shape[1]))
            parts = subject.model.last_loss_gradients(inputs[length - steps :], targets, state)
            norms = np.sqrt(sum(np.sum(part * part, axis=1) for part in parts))
            yield _row(f"log_norm_{stage}", steps, np.log(np.maximum(norms, np.finfo(np.float64).tiny)))


def clipping(subject: Subject) -> Iterator[Row]:
    """Yield the gradient's norm over minibatches of the training text, and the share that the trial's clip cuts."""
    trial: Trial = subject.trial
    minibatches = training_minibatches(
        subject.train, trial.batch_size, trial.num_steps, trial.partition, trial.seed, epoch=1
    )
    for stage, weights in subject.stages.items():
        subject.model.load(weights)
        norms = []
        for (X, Y), _ in zip(minibatches, range(_MINIBATCHES), strict=False):
            _, parts = subject.model.gradients(X, Y, subject.model.initial_state(trial.batch_size))
            norms.append(np.sqrt(sum(np.sum(np.square(part)) for part in parts.values())))
        yield _row(f"grad_norm_{stage}", 0, norms)
        yield _row(f"clipped_{stage}", 0, [float(trial.grad_clip > 0 and norm > trial.grad_clip) for norm in norms])


def length(subject: Subject) -> Iterator[Row]:
    """Yield the seconds of one forward and backward pass by the length of the sequence."""
    num_rows = min(subject.trial.batch_size, len(subject.train) // (LENGTHS[-1] + 1))
    for steps in LENGTHS:
        whole = np.asarray(subject.train[: num_rows * (steps + 1)]).reshape(num_rows, -1).T.astype(np.int64)
        seconds = []
        for _ in range(4):
            since = time.perf_counter()
            subject.model.gradients(whole[:-1], whole[1:], subject.model.initial_state(num_rows))
            seconds.append(time.perf_counter() - since)
        yield _row("seconds", steps, seconds[1:])  # the first one finds the memory


# --- what it writes ---------------------------------------------------------------------------------------


def generation(subject: Subject) -> Iterator[Row]:
    """Yield, by temperature, how much of generated text repeats itself and how much is not in the training text.

    Both are shares of its passages of `GRAM` tokens; at −1 stand those of the held-out text, as long and as many.
    """
    known = np.unique(_passages(np.asarray(subject.train)))
    held_out = _windows(subject, _TEXT_TOKENS, _TEXTS).T
    prefixes = held_out[:, :_WARM_UP].T
    texts = {-1.0: held_out} | {
        temperature: _generate(subject.model, prefixes, temperature) for temperature in TEMPERATURES
    }
    for temperature, written in texts.items():
        passages = [_passages(text) for text in written]
        yield _row("repetition", temperature, [1 - len(np.unique(each)) / len(each) for each in passages])
        yield _row("novelty", temperature, [float(np.mean(~np.isin(each, known))) for each in passages])


def _generate(model: Predictor, prefixes: Ids, temperature: float) -> Ids:
    """Continue each prefix. Shapes: prefixes (num_steps, count); (count, `_TEXT_TOKENS`)."""
    generator = np.random.default_rng(0)
    logits, state = model.logits(prefixes, model.initial_state(prefixes.shape[1]))
    written = []
    for _ in range(_TEXT_TOKENS):
        last = _log_softmax(logits[-1])
        # Adding Gumbel noise and taking the largest draws from the softmax (Gumbel 1954).
        noise = generator.gumbel(size=last.shape) * temperature
        tokens = np.argmax(last + noise, axis=1).astype(np.int64)
        written.append(tokens)
        logits, state = model.logits(tokens[None], state)
    return np.stack(written, axis=1)


def _passages(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each run of `GRAM` tokens, the same for the same tokens and hardly ever for others."""
    factors = np.random.default_rng(0).integers(1, 2**63, GRAM, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    count = max(0, len(ids) - GRAM + 1)
    hashes = np.zeros(count, np.uint64)
    for place, factor in enumerate(factors):
        hashes += (ids[place : place + count].astype(np.uint64) + np.uint64(1)) * factor
        hashes ^= hashes >> np.uint64(29)
    return hashes


# --- where it fails ---------------------------------------------------------------------------------------


def unseen(subject: Subject) -> Iterator[Row]:
    """Yield the share of held-out tokens that training never saw, and the loss on them and on the others."""
    losses, targets = _token_losses(subject)
    # The vocabulary may know what this trial's part of the training text lacks; <unk> stands for what none of it has.
    seen = np.setdiff1d(np.unique(np.asarray(subject.train)), [0])
    yield _row("unseen_share", 0, ~np.isin(np.asarray(subject.valid), seen))
    known = np.isin(targets, seen)
    for name, chosen in (("unseen_loss", ~known), ("seen_loss", known)):
        if chosen.any():
            yield _row(name, 0, losses[chosen])


def brackets(subject: Subject) -> Iterator[Row]:
    """Yield, by how far back its opening bracket lies, the probability of the closing one where it comes next.

    ``closing`` is the probability itself, ``right_kind`` its share among all closing brackets; distances are the lower
    ends of octaves. What pairs with what: ()[]{}“”«» as they stand, and a…z, b…y, … in a text of brackets alone.
    """
    pairs = _bracket_pairs(subject)
    if not pairs:
        return
    closers = np.array(list(pairs.values()))
    tokens = _windows(subject, min(len(subject.valid), _READ_TOKENS, _MAX_FLOATS // len(subject.symbols)), 1)[:, 0]
    logits, _ = subject.model.logits(tokens[:-1, None], subject.model.initial_state(1))
    probabilities = np.exp(_log_softmax(logits[:, 0]))
    by_octave: dict[int, list[tuple[float, float]]] = {}
    for place, distance in _closings(tokens.tolist(), pairs):
        if place == 0:
            continue
        now = probabilities[place - 1]
        closing = float(now[tokens[place]])
        octave = 1 << (distance.bit_length() - 1)
        by_octave.setdefault(octave, []).append((closing, closing / float(now[closers].sum())))
    for octave, pairs_of_shares in sorted(by_octave.items()):
        closing_shares = np.array(pairs_of_shares)
        yield _row("closing", octave, closing_shares[:, 0])
        if len(pairs) > 1:
            yield _row("right_kind", octave, closing_shares[:, 1])


def _bracket_pairs(subject: Subject) -> dict[int, int]:
    """Return the id of each closing bracket by that of its opening one."""
    ids = {symbol: number for number, symbol in enumerate(subject.symbols)}
    named = [("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"), ("«", "»")]
    if subject.trial.corpus.partition(":")[0] == "brackets":
        letters = string.ascii_lowercase
        named = list(zip(letters[:13], reversed(letters), strict=False))
    return {ids[opening]: ids[closing] for opening, closing in named if opening in ids and closing in ids}


def _closings(tokens: Sequence[int], pairs: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the place of each closing bracket that closes the innermost open one, and how far back that lies."""
    opened: list[tuple[int, int]] = []
    closers = set(pairs.values())
    for place, token in enumerate(tokens):
        if token in pairs:
            opened.append((pairs[token], place))
        elif token in closers and opened:
            expected, since = opened.pop()
            if expected == token:
                yield place, place - since


def _token_losses(subject: Subject) -> tuple[Floats, Ids]:
    """Return the loss at tokens of the held-out text, and these tokens."""
    steps = 100
    most = max(1, _MAX_FLOATS // (steps * len(subject.symbols)))
    windows = _windows(subject, steps + 1, min(most, max(1, len(subject.valid) // (steps + 1)), 200))
    logits, _ = subject.model.logits(windows[:-1], subject.model.initial_state(windows.shape[1]))
    targets = windows[1:].reshape(-1)
    log_probabilities = _log_softmax(logits).reshape(len(targets), -1)
    losses: Floats = -log_probabilities[np.arange(len(targets)), targets]
    return losses, targets


# --- shared -----------------------------------------------------------------------------------------------


def _windows(subject: Subject, length: int, most: int) -> Ids:
    """Return stretches of the held-out text, evenly apart. Shapes: (length, count).

    Raises: ValueError where the text is shorter than one.
    """
    valid = subject.valid
    if len(valid) < length:
        raise ValueError(f"the held-out text has {len(valid)} tokens, and this probe needs {length}")
    count = max(1, min(most, len(valid) - length + 1, _MAX_FLOATS // (length * len(subject.symbols))))
    starts = np.linspace(0, len(valid) - length, count).astype(np.int64)
    windows: Ids = np.asarray(valid)[np.arange(length)[:, None] + starts[None, :]].astype(np.int64)
    return windows


def _log_softmax(logits: NDArray[np.floating]) -> Floats:
    scaled = np.asarray(logits, np.float64)
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    normal: Floats = scaled - np.log(np.sum(np.exp(scaled), axis=-1, keepdims=True))
    return normal


def _row(quantity: str, at: float, values: Any) -> Row:
    observed = np.asarray(values, dtype=np.float64)
    deviation = float(observed.std(ddof=1)) if observed.size > 1 else float("nan")
    return quantity, float(at), float(observed.mean()), deviation, int(observed.size)


PROBES: dict[str, Callable[[Subject], Iterator[Row]]] = {
    "influence": influence,
    "gradients": gradients,
    "clipping": clipping,
    "length": length,
    "generation": generation,
    "unseen": unseen,
    "brackets": brackets,
}
"""By name; those that need weights ('gradients', 'clipping', 'length') are not for baselines."""
FOR_BASELINES = ("influence", "generation", "unseen", "brackets")
