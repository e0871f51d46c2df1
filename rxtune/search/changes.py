"""Which trials have changed since somebody last looked at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Changes(Generic[T]):
    """Finds what is new in a growing list of trials, in which ended ones stay as they are.

    A change puts another object in the place of a trial's. What is derived from each trial so
    costs, per look, as much as there are trials running, and not as there are in all.

    Args:
        has_ended: Whether a trial will change no more.
    """

    def __init__(self, has_ended: Callable[[T], bool]) -> None:
        self._has_ended = has_ended
        self._seen = 0
        self._open: dict[int, T] = {}

    def since(self, trials: Sequence[T]) -> list[T]:
        """Return the trials that are new or other than at the last call.

        Args:
            trials: All of them, by number.
        """
        changed = [place for place, seen in self._open.items() if trials[place] is not seen]
        changed += range(self._seen, len(trials))
        self._seen = len(trials)
        for place in changed:
            if self._has_ended(trials[place]):
                self._open.pop(place, None)
            else:
                self._open[place] = trials[place]
        return [trials[place] for place in changed]

    @property
    def open(self) -> list[int]:
        """The numbers of the trials that had not ended at the last call."""
        return sorted(self._open)
