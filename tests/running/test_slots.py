"""Which slot a trial gets, and what its worker sees there."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from harness.contracts.executors import Gpu
from harness.machine.devices import available_cores
from harness.running import run

GPUS = [Gpu(index=index, name="Pretended", memory_bytes=1 << 34) for index in range(3)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process on a core")
@pytest.mark.skipif(available_cores() < 2, reason="one core alone leaves nothing to keep apart")
def test_a_worker_stays_on_its_core(prepare: Callable[..., Any], execute: Callable[..., Any]) -> None:
    trained = execute(prepare("rnn,where", "where", jobs=available_cores(), seeds=(0, 1)))
    seen = [tuple(json.loads(row["versions"]["cores"])) for row in trained.trials]
    assert all(len(cores) == 1 for cores in seen)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_gpus", lambda: GPUS)


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_each_gpu_takes_one_worker_and_cpu_backends_run_beside_them(
    prepare: Callable[..., Any], execute: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare("rnn,telling-gpu,numpy", "telling", devices="0,2", jobs=1, seeds=(0, 1, 2), epochs=3)
    trained = execute(prepared)
    assert set(trained.outcome.statuses.values()) == {"ok"}
    by_slot: dict[str, list[dict[str, Any]]] = {}
    for row in trained.trials:
        by_slot.setdefault(row["slot"], []).append(row)
    assert by_slot.keys() == {"gpu:0", "gpu:2", "cpu:0"}
    assert {row["backend"] for row in by_slot["cpu:0"]} == {"numpy"}
    for number in ("0", "2"):
        for row in by_slot[f"gpu:{number}"]:
            assert row["backend"] == "telling-gpu"
            assert row["device"] == "cuda:0"
            assert row["versions"]["CUDA_VISIBLE_DEVICES"] == number
    assert {row["concurrency"] for row in trained.trials} == {3}
    assert len(json.loads((trained.folder / "manifest.json").read_text())["hardware"]["gpus"]) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_the_next_trial_s_reference_is_made_while_the_gpu_trains_this_one(
    prepare: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    trained = execute(
        prepare("rnn,patient", "patient", devices="0", jobs=1, seeds=(0, 1), epochs=1),
        parity_steps=2,
        stall_timeout=60.0,
    )
    assert [(row["status"], row["reason"], row["slot"]) for row in trained.trials] == [("ok", "", "gpu:0")] * 2
    assert all(row["parity_certified"] for row in trained.trials)


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_a_backend_that_uses_gpus_runs_on_the_cpu_where_asked(train: Callable[..., Any]) -> None:
    trained = train("rnn,telling-gpu", "telling", devices="cpu", jobs=1)
    (row,) = trained.trials
    assert (row["status"], row["slot"], row["device"]) == ("ok", "cpu:0", "cpu")
    assert row["versions"]["CUDA_VISIBLE_DEVICES"] == ""
