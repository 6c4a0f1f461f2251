"""Turn the text that names a plugin's heavy part into the object itself."""

import importlib
from typing import Any


def resolve(target: str) -> Any:
    """Import ``"package.module:attribute"``, or a bare ``"package.module"``.

    Raises: ImportError where the module or the attribute is missing.
    """
    module_name, _, attribute = target.partition(":")
    module = importlib.import_module(module_name)
    if not attribute:
        return module
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ImportError(f"module {module_name!r} has no {attribute!r}") from None
