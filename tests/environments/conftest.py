"""A cache of its own for each module, and the command line as a user has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def harness(cache, tmp_path_factory):
    """Run `harness ARGUMENTS` in an empty folder; return the finished process."""
    folder = tmp_path_factory.mktemp("work")

    environment = {**os.environ, "HARNESS_CACHE_DIR": str(cache)}

    def command(arguments):
        return [str(Path(sys.executable).parent / "harness"), *arguments, "--plugins-dir", str(PLUGINS)]

    def run(*arguments):
        return subprocess.run(
            command(arguments), cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
        )

    def started(*arguments):
        return subprocess.Popen(
            command(arguments), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    run.folder = folder
    run.started = started
    return run
