"""The trials the eight exercises share: one text and one size, so that what one of them trained serves the others."""

from typing import Any

from harness.contracts.exercises import Budget, OptionValue

BATCH_SIZE = 16
"""Small, so that few tokens still make many updates."""
WHOLE = "all"
"""The training budget that is the whole text."""


def options(budget: Budget, *plugins: str, **changes: Any) -> dict[str, OptionValue]:
    """Return the options all exercises share, with these plugins and changes; ``train_tokens`` is 'train-tokens'."""
    shared: dict[str, OptionValue] = {
        "plugins": plugins,
        "hiddens": budget.num_hiddens,
        "batch_size": BATCH_SIZE,
        "epochs": budget.epochs,
        "corpus": "bronte",
        "train_tokens": budget.train_tokens,
    }
    return {name.replace("_", "-"): value for name, value in (shared | changes).items()}


def tuned(budget: Budget, *plugins: str, **changes: Any) -> dict[str, OptionValue]:
    """Return those options for models whose learning rate is tuned, at equal budget, and the best trained anew."""
    return options(budget, *plugins, **{"tune": budget.points, "tune_over": budget.tuned, **changes})


def sizes(budget: Budget) -> tuple[str, ...]:
    """Return the training budgets of the learning curve as an option has them."""
    return tuple(WHOLE if size is None else str(size) for size in budget.curve_sizes)
