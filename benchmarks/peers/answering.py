"""A peer's side of the conversation: it trains one block of steps for each line it is given, and says how long it took.

Imported by every loop in this folder, each in the interpreter of its own framework: standard library and NumPy only.
The loop's own part is `step`, which starts one step of training, and `read`, which waits for its loss; a block's clock
spans so many steps and the reading of the last loss, since only then the device is done.
"""

import json
import math
import os
import sys
import time
from itertools import cycle
from types import SimpleNamespace

import numpy as np

WARM_UP_SECONDS = 1.0


def task():
    """Return what the parent asks for: sizes, learning_rate, grad_clip, num_threads, block_seconds, data (.npz).

    Also an optimizer, which is 'sgd' wherever loops are compared.
    """
    return SimpleNamespace(**json.loads(sys.argv[1]))


def data_of(asked):
    """Return the minibatches, (X, Y) each (num_steps, batch_size) int64, and the weights in canonical layout."""
    with np.load(asked.data, allow_pickle=False) as arrays:
        minibatches = list(zip(arrays["X"], arrays["Y"], strict=True))
        weights = {name: arrays[name] for name in arrays.files if name not in ("X", "Y")}
    return minibatches, weights


def layer_of(weights, layer):
    """Return W_x, W_h, b_x and b_h of one layer."""
    return tuple(weights[f"layers.{layer}.{name}"] for name in ("W_x", "W_h", "b_x", "b_h"))


def answer_steps(asked, minibatches, step, read, about=""):
    """Answer with blocks of steps over the minibatches, again and again; the third step's loss is told."""
    minibatches = cycle(minibatches)

    def train(count):
        for _ in range(count):
            handle = step(*next(minibatches))
        return count * asked.batch_size * asked.num_steps, float(read(handle))

    answer(asked, train, about)


def answer(asked, train, about=""):
    """Warm up, say so, and train one block whenever asked. ``train(count)`` returns the tokens and the last loss.

    The third step's loss shows that forward, backward, clipping and update are the same model's.
    """
    # A framework's own words go where errors go: the pipe is for answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _, third_loss = train(3)
    since, count, seconds = time.perf_counter(), 1, math.inf
    while time.perf_counter() - since < WARM_UP_SECONDS or math.isinf(seconds):
        started = time.perf_counter()
        train(count)
        seconds = (time.perf_counter() - started) / count
        count = max(1, round(0.5 * asked.block_seconds / seconds))
    count = max(1, round(asked.block_seconds / seconds))
    _say(answers, {"third_loss": third_loss, "about": about})
    for _ in sys.stdin:
        since = time.perf_counter()
        tokens, _ = train(count)
        _say(answers, {"amount": tokens, "seconds": time.perf_counter() - since})


def _say(answers, values):
    answers.write(json.dumps(values) + "\n")
    answers.flush()
