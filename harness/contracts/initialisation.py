"""How weights begin: the grammar of a trial's ``init``."""

from harness.contracts import numerals


def parse_init(init: str) -> tuple[str, float]:
    """Return an initialisation's kind and width; 0 is the width that depends on the model. Raises: ValueError."""
    kind, colon, width = init.partition(":")
    if kind == "uniform" and not colon:
        return kind, 0.0
    try:
        value = numerals.number(width)
    except ValueError:
        value = 0.0
    if kind not in ("uniform", "normal") or not value:
        raise ValueError(f"{init!r} is no initialisation: uniform, uniform:0.08 and normal:0.01 are")
    return kind, value
