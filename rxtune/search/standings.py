"""All trials of a search as records, and the finished ones by their value, kept up to date."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from rxtune.results import TrialRecord, TrialState
from rxtune.search.changes import Changes
from rxtune.search.trial_attributes import to_record


class Standings:
    """The records of a search's trials; to be read only.

    Attributes:
        records: All of them, by number.
        ranking: The finished ones, that with the highest value first; of equal ones a plain one,
            then the earliest.
    """

    def __init__(self) -> None:
        self.records: list[TrialRecord] = []
        self.ranking: list[TrialRecord] = []
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take over what has changed.

        Args:
            trials: All of them, by number.
        """
        for trial in self._changes.since(trials):
            record = to_record(trial)
            self.records[trial.number : trial.number + 1] = [record]
            if record.state is TrialState.FINISHED:
                insort(self.ranking, record, key=_place)

    @property
    def running(self) -> list[TrialRecord]:
        """The records of the trials that run."""
        return [self.records[number] for number in self._changes.open]


def _place(record: TrialRecord) -> tuple[float, bool, int]:
    assert record.value is not None
    return (-record.value, record.configuration.method != "standard", record.number)
