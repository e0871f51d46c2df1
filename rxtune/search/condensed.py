"""A journal as a new storage of Optuna's reads it: a line for each trial, not a dozen.

Optuna's replay copies the trial for every line that tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation as Operation
from optuna.trial import TrialState

Log = dict[str, Any]
Rule = Callable[[Log, Log], None]


class Condensed(BaseJournalBackend):
    """A journal for one new storage, which from the start reads less and learns the same.

    Args:
        journal: What is read and written.
    """

    def __init__(self, journal: BaseJournalBackend) -> None:
        self._journal = journal
        self._left_out = 0

    def append_logs(self, logs: list[Log]) -> None:
        """Write lines to the journal, all of them."""
        self._journal.append_logs(logs)

    def read_logs(self, log_number_from: int) -> list[Log]:
        """Return the lines from a number on, as they are counted in what was returned before."""
        if log_number_from > 0:
            return list(self._journal.read_logs(log_number_from + self._left_out))
        written = list(self._journal.read_logs(0))
        read = condense(written)
        self._left_out = len(written) - len(read)
        return read


def condense(logs: Iterable[Log]) -> list[Log]:
    """Return fewer lines from which Optuna's replay learns what it learns from these.

    What is told of a trial is added to the line that creates it, which is changed in place. A
    line that no rule is for stays as it is, and so do all that follow it on the same trial.

    Args:
        logs: A journal from its first line on, of one study.
    """
    kept: list[Log] = []
    trials: list[Log | None] = []  # by trial id: the line to add to, or None: no longer
    for log in logs:
        number = log.get("trial_id")
        if log["op_code"] == Operation.CREATE_TRIAL:
            trials.append(log)
            kept.append(log)
        elif number is None:
            kept.append(log)
        elif (trial := trials[number]) is None or not _is_added(log, trial):
            trials[number] = None
            kept.append(log)
    return kept


def _is_added(log: Log, trial: Log) -> bool:
    """Add a line to that of its trial if there is a rule for it; Optuna refuses one too late."""
    operation = log["op_code"]
    if operation == Operation.SET_TRIAL_STATE_VALUES:
        has_rule = log["state"] in _FINISHED
    else:
        has_rule = operation in _ADDED
    if has_rule and trial.get("state") not in _FINISHED:
        _ADDED[operation](log, trial)
    return has_rule


def _end(log: Log, trial: Log) -> None:
    trial["state"] = log["state"]
    trial["datetime_complete"] = log["datetime_complete"]
    if log["values"] is not None:
        trial["values"], trial["value"] = log["values"], None


def _report(log: Log, trial: Log) -> None:
    trial.setdefault("intermediate_values", {})[log["step"]] = log["intermediate_value"]


def _attribute(name: str) -> Rule:
    def add(log: Log, trial: Log) -> None:
        trial.setdefault(f"{name}s", {}).update(log[name])

    return add


_FINISHED = frozenset(state.value for state in TrialState if state.is_finished())
_ADDED: dict[int, Rule] = {
    Operation.SET_TRIAL_STATE_VALUES: _end,
    Operation.SET_TRIAL_INTERMEDIATE_VALUE: _report,
    Operation.SET_TRIAL_USER_ATTR: _attribute("user_attr"),
    Operation.SET_TRIAL_SYSTEM_ATTR: _attribute("system_attr"),
}
