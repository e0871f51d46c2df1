"""What is wrong with data, all of it in one error."""

from __future__ import annotations

from collections.abc import Sequence

from rxtune.errors import DataError

SHOWN = 20
"""Lines of an error; what is over is counted."""


class FaultyDataError(DataError):
    """Data that breaks rules: one line per fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep all faults, show the first of them."""
        self.faults = tuple(faults)
        over = len(self.faults) - SHOWN
        shown = self.faults if over <= 1 else (*self.faults[:SHOWN], f"… and {over} more faults")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[type[FaultyDataError], tuple[tuple[str, ...]]]:
        """Cross processes with all faults."""
        return FaultyDataError, (self.faults,)


def refuse(faults: Sequence[str]) -> None:
    """Raise one error for all faults.

    Raises:
        FaultyDataError: there is at least one.
    """
    if faults:
        raise FaultyDataError(faults)
