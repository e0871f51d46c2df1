"""A fault of a study: which key breaks which rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rxtune.errors import StudyError

Key = tuple[str | int, ...]
"""Where a value stands in the file: mapping keys and list positions from the top."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule."""

    key: Key
    text: str
    """The rule, the value, and what to do next."""

    def __str__(self) -> str:
        return f"{dotted(self.key)}: {self.text}" if self.key else self.text

    def under(self, *parents: str) -> Fault:
        """Return the fault with `parents` put before its key."""
        return Fault((*parents, *self.key), self.text)


def dotted(key: Key) -> str:
    """Return `key` as a reader writes it: `space.method.choice[1]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(parts).removeprefix(".")


def refuse(faults: Iterable[Fault]) -> None:
    """Raise one error that names all faults, each on its own line.

    Raises:
        StudyError: there is at least one fault.
    """
    lines = [str(fault) for fault in faults]
    if lines:
        raise StudyError("\n".join(lines))
