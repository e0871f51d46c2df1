"""Trials that were lost through no fault of their own, and which of them wait for another."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from rxtune.search.changes import Changes
from rxtune.search.trial_attributes import is_interrupted


class Interruptions:
    """What of a search's trials was interrupted, kept up to date.

    Attributes:
        lost: The interrupted trials, by number in the order of their ends.
    """

    def __init__(self) -> None:
        self.lost: dict[int, FrozenTrial] = {}
        self._retried: set[int] = set()
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take over what has changed.

        Args:
            trials: All of them, by number.
        """
        for trial in self._changes.since(trials):
            if is_interrupted(trial):
                self.lost[trial.number] = trial
            if "retry_of" in trial.user_attrs:
                self._retried.add(trial.user_attrs["retry_of"])

    @property
    def next(self) -> FrozenTrial | None:
        """The first interrupted trial that no other goes on with, if there is one."""
        left = self.lost.keys() - self._retried
        return self.lost[min(left)] if left else None
