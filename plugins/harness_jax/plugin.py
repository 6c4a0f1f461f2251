"""Announces the JAX backend; JAX has no recurrent layer of its own, so there is nothing to announce beside scratch."""

from collections.abc import Sequence

from harness.contracts.hooks import Backend, hookimpl


@hookimpl
def harness_backends() -> Sequence[Backend]:
    """Return the backend."""
    return [
        Backend(
            name="jax",
            title="JAX",
            requirements=("jax>=0.6", "numpy>=2.0", "safetensors>=0.4.3"),
            gpu_requirements=("jax[cuda12]>=0.6", "numpy>=2.0", "safetensors>=0.4.3"),
            target="harness_jax.backend:JaxBackend",
            preference=8,
            uses_gpus=True,
        )
    ]
