"""When a loss is too good to be honest beside what the yardstick, a 6-gram of the same text, needs."""

from typing import Any

SUSPECT_SHARE, LEAST = 0.5, 0.2
"""A loss below this share of the yardstick's is suspect; but of a text that the yardstick all but knows by heart, less
than so many nats a token, it is not."""


def is_suspect(loss: Any, yardstick: Any) -> Any:
    """Say whether losses, nats a token, are too good beside the yardstick's: of numbers or of columns."""
    return (loss < SUSPECT_SHARE * yardstick) & (yardstick >= LEAST)
