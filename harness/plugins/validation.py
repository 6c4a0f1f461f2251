"""Whether what a plugin announces can be used: its descriptors' types, requirements and names."""

from typing import Any, get_origin, get_type_hints

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.contracts.descriptors import Backend, Baseline, Executor


def require_descriptor(descriptor: object, kind: type, hook_name: str) -> None:
    """Raise TypeError or ValueError for what a hook returned and nothing could use."""
    if not isinstance(descriptor, kind):
        raise TypeError(f"{hook_name} returned {descriptor!r:.80}, which is not a {kind.__name__}")
    for field_name, hint in get_type_hints(kind).items():
        value = getattr(descriptor, field_name)
        if not _fits(value, hint):
            raise TypeError(f"{kind.__name__}({field_name}={value!r:.80}): that is not {_words(hint)}")
    if isinstance(descriptor, (Backend, Baseline, Executor)):
        gpu_requirements = descriptor.gpu_requirements if isinstance(descriptor, Backend) else ()
        for requirement in (*descriptor.requirements, *gpu_requirements):
            Requirement(requirement)
    if isinstance(descriptor, Backend):
        SpecifierSet(descriptor.requires_python)
    name = getattr(descriptor, "name", "")
    if not name or any(c.isspace() or c in ",/\\" for c in name):
        raise ValueError(f"{kind.__name__} name {name!r} is empty, or has white space, a comma or a slash")


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    return "a tuple of str" if get_origin(hint) is tuple else f"of type {hint.__name__}"
