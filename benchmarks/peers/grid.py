"""A whole grid, from the command to its last finished trial, against D2L's `train_ch8` run one after another.

    python -m benchmarks.peers.grid --out reports/peers-grid

For each cell: layers 1 and 2, two seeds, D2L's sizes (256 hiddens, batch 32, 35 steps, SGD, clipping at 1). D2L trains
its first 10,000 characters for 500 epochs with both cores, the clock around `train_ch8` alone; ours is the wall time of
the whole command up to its last finished trial, its start-up, evaluation of every epoch, certificates and checkpoints
included, over the whole text for as many epochs as make at least as many tokens; with_report_seconds is until the
command ends. The two take turns, cell by cell.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import tables
from benchmarks.peers.programs import D2L_PEER, HERE
from harness.record.ledger import LedgerReader

COMMAND = Path(sysconfig.get_path("scripts"), "harness")
TEXT_TOKENS = 150_000
"""About what an epoch of the Time Machine trains on."""
_ALL_ENDED = re.compile(r"(\d+) of \1 trials in ")
"""The command's line when its last trial has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for repeat in range(asked.repeats):
        for cell in asked.cells.split(","):
            book = _book(cell, asked)
            ours = _ours(cell, repeat, max(1, -(-book["tokens_a_trial"] // TEXT_TOKENS)), asked)
            rows.append(
                {
                    "cell": cell,
                    "repeat": repeat,
                    "d2l_tokens": book["tokens"],
                    "d2l_seconds": book["seconds"],
                    "d2l_tokens_per_s": book["tokens"] / book["seconds"],
                    "harness_tokens": ours["tokens"],
                    "harness_seconds": ours["seconds"],
                    "with_report_seconds": ours["with_report_seconds"],
                    "harness_tokens_per_s": ours["tokens"] / ours["seconds"],
                    "ratio": ours["tokens"] / ours["seconds"] * book["seconds"] / book["tokens"],
                    "statuses": ours["statuses"],
                }
            )
            notes = [" ".join((__doc__ or "").split("\n\n")[-1].split())]
            title = "A grid of layers 1-2 and two seeds against train_ch8"
            tables.write(pd.DataFrame(rows), asked.out, "grid", title, notes)
    print(f"The table is {asked.out / 'grid.md'}.")
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="rnn,gru,lstm")
    parser.add_argument("--epochs", type=int, default=500, help="of D2L's; the book takes 500")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("reports/peers-grid"))
    return parser.parse_args(arguments)


def _book(cell: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Train D2L's models one after another; return the sums of their tokens and seconds. Raises: Unavailable."""
    models = [(layers, seed) for layers in (1, 2) for seed in (0, 1)]
    task = D2L_PEER.prepare() | {"kind": "grid", "cell": cell, "num_epochs": asked.epochs, "models": models}
    # As a reader of the book runs it: PyTorch takes every core by itself.
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / D2L_PEER.loop), json.dumps(task)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    trained = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"layers"')]
    tokens = sum(one["tokens"] for one in trained)
    return {
        "tokens": tokens,
        "seconds": sum(one["seconds"] for one in trained),
        "tokens_a_trial": tokens // len(trained),
    }


def _ours(cell: str, repeat: int, epochs: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Give the command; return its wall seconds to the last trial's end and to its own, and the tokens trained on."""
    out = asked.out / f"{cell}-{repeat}-{time.time_ns()}"
    options = {
        "--plugins": f"{cell},numpy",
        "--layers": "1-2",
        "--hiddens": "256",
        "--steps": "35",
        "--batch-size": "32",
        "--optimizer": "sgd",
        "--lr": 1,
        "--seeds": "2",
        "--epochs": epochs,
        "--corpus": "time-machine",
        "--timing": "off",
        "--out": out,
    }
    seconds = math.nan
    since = time.perf_counter()
    command = [COMMAND, "run", *(str(part) for pair in options.items() for part in pair)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if _ALL_ENDED.match(line):
                seconds = time.perf_counter() - since
            print(line, end="", flush=True)
    with_report = time.perf_counter() - since
    with LedgerReader(out / "run.sqlite") as ledger:
        tokens = sum(row["train_tokens"] for row in ledger.epochs())
        statuses = ", ".join(sorted({row["status"] for row in ledger.trials()}))
    return {"seconds": seconds, "with_report_seconds": with_report, "tokens": tokens, "statuses": statuses}


if __name__ == "__main__":
    sys.exit(main())
