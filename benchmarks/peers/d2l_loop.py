"""D2L 0.17.6 itself: its RNNModel around PyTorch's layer, its data, its training functions, from its own distribution.

``speed`` answers with blocks of `train_epoch_ch8`, the epoch whose tokens/s `train_ch8` prints; ``grid`` runs whole
`train_ch8` one after another and prints how long each took.
"""

import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import torch
from answering import answer, task

LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def main():
    asked = task()
    d2l = _imported(asked.d2l_home)
    os.chdir(asked.book_dir)  # d2l looks for its texts in ../data
    if asked.kind == "grid":
        run_grid(asked, d2l)
    else:
        torch.set_num_threads(asked.num_threads)
        answer_epochs(asked, d2l)


def answer_epochs(asked, d2l):
    # Its default of 10,000 tokens, or what the larger minibatches need.
    max_tokens = max(10_000, asked.batch_size * (4 * asked.num_steps + 1) + asked.num_steps)
    train_iter, vocab = d2l.load_data_time_machine(asked.batch_size, asked.num_steps, max_tokens=max_tokens)
    train_iter = Counted(train_iter)
    net = _net(asked.cell, asked.num_layers, asked.num_hiddens, d2l, len(vocab))
    updater = torch.optim.SGD(net.parameters(), asked.learning_rate)
    loss = torch.nn.CrossEntropyLoss()

    def train(count):
        before = train_iter.tokens
        for _ in range(count):
            perplexity, _ = d2l.train_epoch_ch8(net, train_iter, loss, updater, torch.device("cpu"), False)
        return train_iter.tokens - before, math.log(perplexity)

    answer(asked, train, f"d2l 0.17.6, torch {torch.__version__}")


def run_grid(asked, d2l):
    """Train each model in turn, with as many threads as PyTorch takes by itself."""
    for num_layers, seed in asked.models:
        torch.manual_seed(seed)
        train_iter, vocab = d2l.load_data_time_machine(32, 35)
        train_iter = Counted(train_iter)
        net = _net(asked.cell, num_layers, 256, d2l, len(vocab))
        # The book's rates: 2 for the deep LSTM, 1 elsewhere.
        learning_rate = 2 if asked.cell == "lstm" and num_layers == 2 else 1
        since = time.perf_counter()
        d2l.train_ch8(net, train_iter, vocab, learning_rate, asked.num_epochs, torch.device("cpu"))
        seconds = time.perf_counter() - since
        trained = {"layers": num_layers, "seed": seed, "seconds": seconds, "tokens": train_iter.tokens}
        print(json.dumps(trained), flush=True)


class Counted:
    """Minibatches, and how many tokens they had: an epoch starts at a random offset and drops what fills none."""

    def __init__(self, minibatches):
        self.minibatches = minibatches
        self.tokens = 0

    def __iter__(self):
        for X, Y in self.minibatches:
            self.tokens += X.numel()
            yield X, Y


def _net(cell, num_layers, num_hiddens, d2l, vocab_size):
    return d2l.RNNModel(LAYERS[cell](vocab_size, num_hiddens, num_layers), vocab_size)


def _imported(home):
    """Import d2l.torch with what it draws and displays with replaced: nothing is drawn, which is in its favour."""
    for name in ("torchvision", "IPython", "matplotlib", "matplotlib_inline"):
        sys.modules[name] = MagicMock()
    for name in ("PIL", "pandas", "requests"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = MagicMock()
    sys.modules["matplotlib"].pyplot.subplots.return_value = (MagicMock(), MagicMock())
    sys.path.append(str(Path(home)))
    from d2l import torch as d2l

    return d2l


if __name__ == "__main__":
    main()
