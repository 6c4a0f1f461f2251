"""The JAX backend: every cell's equations under `lax.scan`."""

import pytest

from harness.testing import BackendContract

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'jax>=0.6'")


class TestScratch(BackendContract):
    target = "harness_jax.backend:JaxBackend"
