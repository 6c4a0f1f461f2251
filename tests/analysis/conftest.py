from collections.abc import Callable
from pathlib import Path

import pytest
from invented_runs import make_folder


@pytest.fixture
def build_run(tmp_path: Path) -> Callable[..., Path]:
    def build(*args: object, **changes: object) -> Path:
        return make_folder(tmp_path / "run", *args, **changes)

    return build
