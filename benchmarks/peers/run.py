"""Times the peers' training steps against ours, side by side on the Time Machine, and writes the table.

    python -m benchmarks.peers.run --out reports/peers            # five shapes, three cells, 20 rounds

For each shape and cell all peers are kept warm together, each a process of its own with one thread; in each round each
is asked for one block, in a new random order. A peer that cannot run is named with the reason. All start from the same
weights and minibatches (but D2L, which draws and reads its own); the table has each one's third loss as the proof.
"""

import argparse
import contextlib
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks import tables
from benchmarks.peers.asking import Child, Ended, child
from benchmarks.peers.given import Shape, task_of
from benchmarks.peers.programs import OURS, PEERS, SENTINEL, Peer, Unavailable, corpora_dir
from harness.analysis.statistics import Interval, median_interval
from harness.plugins import registry
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection

CELLS = ("rnn", "gru", "lstm")
SAME_LOSS = 1e-3
"""Relative; the same model on the same minibatch differs by far less in any framework."""


_NO_FRAMEWORK = ("native", "fused", "d2l")
_SUMMARISED = (
    "shape is hiddens, batch, steps, layers. times_fastest and times_d2l are medians of the ratios within each round, "
    "with 95 % intervals; fastest_framework is the framework whose own layers had the highest median rate."
)
SHAPES = (
    Shape(256, 32, 35, 2),
    Shape(64, 32, 35, 2),
    Shape(512, 64, 35, 2),
    Shape(128, 100, 100, 3),
    Shape(256, 32, 35, 4),
)


@dataclass
class Rates:
    """What one peer did in the rounds of one shape and cell."""

    peer: Peer
    about: str = ""
    third_loss: float = float("nan")
    per_round: list[float] = field(default_factory=list)
    problem: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    plugins = registry.load(None)
    peers = [peer for peer in PEERS if peer.name in asked.peers.split(",")]
    rows: list[dict[str, Any]] = []
    for shape in [Shape.read(text) for text in asked.shapes]:
        for cell in asked.cells.split(","):
            task = _task(shape, cell, asked)
            rows += _rows(shape, cell, task["flops_per_token"], _session(plugins, peers, task, asked))
            _write(pd.DataFrame(rows), peers, asked.out)
            print(f"{cell} at {shape} (hiddens, batch, steps, layers): done", flush=True)
    print(f"The table is {asked.out / 'peers.md'}.")
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shapes", nargs="+", default=[str(shape) for shape in SHAPES], metavar="HIDDENS,BATCH,STEPS,L"
    )
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    parser.add_argument("--rounds", type=int, default=20, help="six or more give an interval")
    parser.add_argument("--block-seconds", type=float, default=0.25)
    parser.add_argument("--out", type=Path, default=Path("reports/peers"))
    return parser.parse_args(arguments)


def _session(
    plugins: registry.Registry, peers: Sequence[Peer], task: dict[str, Any], asked: argparse.Namespace
) -> list[Rates]:
    """Time every peer at one shape with one cell, interleaved."""
    found = [Rates(peer) for peer in (*peers, SENTINEL)]
    with contextlib.ExitStack() as stack:
        children = dict(_warm(stack, plugins, found, task, asked.out))
        order = random.Random(0)
        for _ in range(asked.rounds):
            for name in order.sample(sorted(children), len(children)):
                rates = next(rates for rates in found if rates.peer.name == name)
                try:
                    rates.per_round.append(children[name].ask().rate)
                except Ended as ended:
                    rates.problem = str(ended)
                    del children[name]
    return found


def _warm(
    stack: contextlib.ExitStack,
    plugins: registry.Registry,
    found: Sequence[Rates],
    task: dict[str, Any],
    out: Path,
) -> Iterator[tuple[str, Child]]:
    for rates in found:
        peer = rates.peer
        try:
            options = peer.options | peer.prepare()
            command, environment = peer.command(plugins, num_threads=1)
            one = stack.enter_context(child(command, environment, task | options, out / f"{peer.name}.log"))
        except (Unavailable, Ended) as error:
            rates.problem = str(error)
            print(f"{peer.name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        rates.about, rates.third_loss = one.about, one.third_loss
        yield peer.name, one


def _task(shape: Shape, cell: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Write minibatches and weights, and return what every peer is told."""
    texts = TextSelection(corpora=("time-machine",), corpora_dir=corpora_dir())
    (corpus,) = read_corpora(texts, registry.load(None), Console(stderr=True).print)
    tokens = np.load(corpus.train_path)
    return task_of(shape, cell, tokens, corpus.vocab_size, asked.out / "data.npz", asked.block_seconds)


def _rows(shape: Shape, cell: str, flops_per_token: float, found: Sequence[Rates]) -> list[dict[str, Any]]:
    """Return one row a peer."""
    *peers, sentinel = found
    ours = next((rates for rates in peers if rates.peer.name == OURS and rates.per_round), None)
    return [
        {
            **vars(shape),
            "cell": cell,
            "peer": rates.peer.name,
            **_interval("tokens_per_s", median_interval(rates.per_round)),
            **_interval("native_times_peer", _ratio(ours, rates)),
            "share_of_peak": _ratio(rates, sentinel).estimate * flops_per_token,
            "rounds": len(rates.per_round),
            "third_loss": rates.third_loss,
            "note": rates.problem or _doubt(rates, ours),
            "versions": rates.about,
        }
        for rates in peers
    ]


def _ratio(above: Rates | None, below: Rates) -> Interval:
    """Return the median, over the rounds both were in, of the one's rate over the other's."""
    rates = zip(above.per_round if above else [], below.per_round, strict=False)
    return median_interval([one / other for one, other in rates])


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _doubt(rates: Rates, ours: Rates | None) -> str:
    """Say where a peer that was given our weights and minibatches did not come to our third loss."""
    if ours is None or rates.peer.own_data or math.isclose(rates.third_loss, ours.third_loss, rel_tol=SAME_LOSS):
        return ""
    return f"its third loss is not {ours.third_loss:.4f}"


def _write(frame: pd.DataFrame, peers: Sequence[Peer], out: Path) -> None:
    notes = [
        "Rates are medians over the rounds with 95 % intervals; native_times_peer is the median of the ratios within "
        "each round; share_of_peak is the useful arithmetic (6 × weights used a token) over the sentinel's rate.",
        "One thread each; a block's clock ends when its last loss has been read, so the device is done.",
        *(f"Inside the clock of {peer.name}: {peer.clock}." for peer in (*peers, SENTINEL)),
    ]
    tables.write(frame, out, "peers", "Training steps on the Time Machine, side by side", notes)
    title = "Our compiled layers against the best framework's layer and D2L's loop"
    tables.write(summary(frame), out, "summary", title, [_SUMMARISED])


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a shape and cell: ours, its share of the peak, and its ratio to the fastest framework and D2L."""
    rows = []
    for (*sizes, cell), part in frame.groupby([*Shape.__dataclass_fields__, "cell"], sort=False):
        by_peer = part.set_index("peer")
        if OURS not in by_peer.index:
            continue
        rates = by_peer["tokens_per_s"].drop([peer for peer in _NO_FRAMEWORK if peer in by_peer.index]).dropna()
        best = str(rates.idxmax()) if len(rates) else ""
        rows.append(
            {
                "shape": ",".join(map(str, sizes)),
                "cell": cell,
                "native_tokens_per_s": by_peer.at[OURS, "tokens_per_s"],
                "share_of_peak": by_peer.at[OURS, "share_of_peak"],
                "fastest_framework": best,
                "times_fastest": _told(by_peer, best),
                "times_d2l": _told(by_peer, "d2l"),
            }
        )
    return pd.DataFrame(rows)


def _told(by_peer: pd.DataFrame, peer: str) -> str:
    if peer not in by_peer.index or pd.isna(by_peer.at[peer, "native_times_peer"]):
        return ""
    estimate, low, high = (by_peer.at[peer, f"native_times_peer{end}"] for end in ("", "_low", "_high"))
    return f"{estimate:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    sys.exit(main())
