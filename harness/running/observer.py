"""Who watches a run."""

from collections.abc import Callable
from typing import Protocol

from harness.contracts.executors import Slot
from harness.worker.events import Event
from harness.worker.trial import Trial

Say = Callable[[str], None]
"""Shows the user one line."""


class Observer(Protocol):
    """Shows a run while it goes on."""

    def launched(self, trial: Trial, slot: Slot) -> None:
        """Show that a worker is being started."""
        ...

    def heard(self, trial: Trial, event: Event) -> None:
        """Show what a worker said."""
        ...

    def ended(self, trial: Trial, status: str, reason: str) -> None:
        """Show how a trial ended; 'waiting' is put back among the waiting."""
        ...

    def remark(self, line: str) -> None:
        """Show one line about what goes on beside the trials."""
        ...

    def abandoned(self) -> None:
        """Leave the terminal as it was: the process ends at once."""
        ...
