"""Where a model fails: on tokens it has never seen, and at brackets that were opened long ago."""

import string
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.contracts.backends import Ids
from harness.contracts.exercises import Row
from harness.worker.probes.subject import MAX_FLOATS, Floats, Subject, log_softmax, row, windows

_READ_TOKENS = 20_000


def unseen(subject: Subject) -> Iterator[Row]:
    """Yield the share of held-out tokens that training never saw, and the loss on them and on the others."""
    losses, targets = _token_losses(subject)
    # The vocabulary may know what this trial's part of the training text lacks; <unk> stands for what none of it has.
    seen = np.setdiff1d(np.unique(np.asarray(subject.train)), [0])
    yield row("unseen_share", 0, ~np.isin(np.asarray(subject.valid), seen))
    known = np.isin(targets, seen)
    for name, chosen in (("unseen_loss", ~known), ("seen_loss", known)):
        if chosen.any():
            yield row(name, 0, losses[chosen])


def brackets(subject: Subject) -> Iterator[Row]:
    """Yield, by how far back its opening bracket lies, the probability of the closing one where it comes next.

    ``closing`` is the probability itself, ``right_kind`` its share among all closing brackets; distances are the lower
    ends of octaves. What pairs with what: ()[]{}“”«» as they stand, and a…z, b…y, … in a text of brackets alone.
    """
    pairs = _bracket_pairs(subject)
    if not pairs:
        return
    closers = np.array(list(pairs.values()))
    tokens = windows(subject, min(len(subject.valid), _READ_TOKENS, MAX_FLOATS // len(subject.symbols)), 1)[:, 0]
    logits, _ = subject.model.logits(tokens[:-1, None], subject.model.initial_state(1))
    probabilities = np.exp(log_softmax(logits[:, 0]))
    by_octave: dict[int, list[tuple[float, float]]] = {}
    for position, distance in _closings(tokens.tolist(), pairs):
        if position == 0:
            continue
        now = probabilities[position - 1]
        closing = float(now[tokens[position]])
        octave = 1 << (distance.bit_length() - 1)
        by_octave.setdefault(octave, []).append((closing, closing / float(now[closers].sum())))
    for octave, pairs_of_shares in sorted(by_octave.items()):
        closing_shares = np.array(pairs_of_shares)
        yield row("closing", octave, closing_shares[:, 0])
        if len(pairs) > 1:
            yield row("right_kind", octave, closing_shares[:, 1])


def _bracket_pairs(subject: Subject) -> dict[int, int]:
    """Return the id of each closing bracket by that of its opening one."""
    ids = {symbol: number for number, symbol in enumerate(subject.symbols)}
    named = [("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"), ("«", "»")]
    if subject.trial.corpus.partition(":")[0] == "brackets":
        letters = string.ascii_lowercase
        named = list(zip(letters[:13], reversed(letters), strict=False))
    return {ids[opening]: ids[closing] for opening, closing in named if opening in ids and closing in ids}


def _closings(tokens: Sequence[int], pairs: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the position of each closing bracket that closes the innermost open one, and how far back that lies."""
    opened: list[tuple[int, int]] = []
    closers = set(pairs.values())
    for position, token in enumerate(tokens):
        if token in pairs:
            opened.append((pairs[token], position))
        elif token in closers and opened:
            expected, since = opened.pop()
            if expected == token:
                yield position, position - since


def _token_losses(subject: Subject) -> tuple[Floats, Ids]:
    """Return the loss at tokens of the held-out text, and these tokens."""
    steps = 100
    most = max(1, MAX_FLOATS // (steps * len(subject.symbols)))
    sequences = windows(subject, steps + 1, min(most, max(1, len(subject.valid) // (steps + 1)), 200))
    logits, _ = subject.model.logits(sequences[:-1], subject.model.initial_state(sequences.shape[1]))
    targets = sequences[1:].reshape(-1)
    log_probabilities = log_softmax(logits).reshape(len(targets), -1)
    losses: Floats = -log_probabilities[np.arange(len(targets)), targets]
    return losses, targets
