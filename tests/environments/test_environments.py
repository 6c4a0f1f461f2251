import sys

import pytest

from harness.contracts.descriptors import Backend
from harness.environments import interpreter_for, unmet
from harness.errors import EnvironmentMissing


def backend(*requirements: str, requires_python: str = "") -> Backend:
    return Backend(
        name="mine", title="Mine", requirements=requirements, target="mine:open", requires_python=requires_python
    )


def test_the_current_interpreter_serves_where_it_satisfies_the_requirements() -> None:
    assert interpreter_for(backend("numpy>=1.26", "click", requires_python=">=3.11")).python == sys.executable


def test_a_missing_library_is_told_with_the_command_that_installs_it() -> None:
    with pytest.raises(EnvironmentMissing) as raised:
        interpreter_for(backend("numpy", "no-such-library[extra]>=2,<3", "no-other-library"))
    assert str(raised.value).startswith(
        "The mine backend needs no-such-library[extra]>=2,<3 and no-other-library: "
        "pip install 'no-such-library[extra]>=2,<3' no-other-library"
    )


@pytest.mark.slow
def test_another_python_is_told() -> None:
    with pytest.raises(EnvironmentMissing, match=r"mine backend needs Python >=99"):
        interpreter_for(backend(requires_python=">=99"))


def test_a_requirement_for_other_systems_does_not_count() -> None:
    assert unmet(["no-such-library; python_version < '3'"]) == []
    assert unmet(["no-such-library; python_version >= '3'"]) == ["no-such-library; python_version >= '3'"]


def test_a_pre_release_or_a_local_version_satisfies_a_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    versions = {"nightly-a": "2.7.0.dev20260101", "nightly-b": "2.6.0+cpu"}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    assert unmet(["nightly-a>=2.6", "nightly-b>=2.6"]) == []
    assert unmet(["nightly-a>=2.8"]) == ["nightly-a>=2.8"]
