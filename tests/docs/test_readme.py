"""The README does what it says: its test command is CI's, its first command works on a fresh machine."""

import csv
import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_test_command_is_the_one_ci_runs():
    block = re.search(r"<!-- test command -->\n```sh\n(.*?)```", README, re.DOTALL)
    runs = re.findall(r"\.venv/bin/pytest([^&\n]*)", block[1])
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- test command -->" in ci
    # Between them, every marker's tests are run: beside others, alone, and what is long.
    asked = [*(run.strip() for run in runs), *re.findall(r"\.venv/bin/pytest (-m long)", ci)]
    assert asked == ["-n 2 -m 'not alone and not long'", "-m alone", "-m long"]


@pytest.mark.slow
def test_its_first_command_trains_on_the_core_alone_without_network(tmp_path):
    """Install as the README says, without any framework, and run the main job on less text."""
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([str(binaries / "pip"), "install", "--quiet", str(ROOT)], check=True, timeout=500)
    installed = subprocess.run([str(binaries / "pip"), "list"], capture_output=True, text=True, check=True).stdout
    assert "torch" not in installed.split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Nothing answers there: whatever asks the network fails.
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    environment["HARNESS_CACHE_DIR"] = str(tmp_path / "cache")
    command = re.search(r"\.venv/bin/(harness run --plugins lstm,gru --layers 1-4)\n", README)
    result = subprocess.run(
        [str(binaries / "harness"), *command[1].split()[1:], "--train-tokens", "5k", "--epochs", "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    with (tmp_path / "reports" / "latest" / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["num_layers"], row["backend"]) for row in rows] == [
        (cell, str(layers), "numpy") for cell in ("lstm", "gru") for layers in (1, 2, 3, 4)
    ]
    assert all(row["status"] == "ok" and row["parity_certified"] == "True" for row in rows)
    assert (tmp_path / "reports" / "latest" / "index.html").stat().st_size > 100_000
