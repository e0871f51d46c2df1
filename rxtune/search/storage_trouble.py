"""What a storage has refused during a search, which went on without it: told at its end."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class StorageTrouble:
    """Counts what was refused, and keeps the last of each kind; grows with the kinds alone."""

    _counts: dict[str, int] = field(default_factory=dict)
    _last: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, line: str) -> None:
        """Note what a trial has told: `what (why)`."""
        what, _, why = line.partition(" (")
        self._counts[what] = self._counts.get(what, 0) + 1
        self._last[what] = f"trial {number}: {why.removesuffix(')')}"

    def told(self) -> tuple[str, ...]:
        """Return a line per kind."""
        return tuple(
            f"{what}, {_times(count)} (last of {self._last[what]})"
            for what, count in self._counts.items()
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
