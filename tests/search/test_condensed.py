"""A journal read in few lines says what all lines say; the oracle is Optuna's own replay."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from rxtune.search.condensed import Condensed, condense
from rxtune.search.journal import JournalFile

Log = dict[str, Any]
STUDY = {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [2]}
TIME = "2026-01-02T03:04:05+00:00"
TRIALS = st.integers(0, 2)
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.floats(allow_nan=False) | st.integers(-3, 3)
STATES = st.sampled_from(list(TrialState))


class Listed(BaseJournalBackend):
    """A journal that is a list."""

    def __init__(self, logs: list[Log]) -> None:
        self.logs = copy.deepcopy(logs)

    def append_logs(self, logs: list[Log]) -> None:
        self.logs += copy.deepcopy(logs)

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        return iter(copy.deepcopy(self.logs[log_number_from:]))


@st.composite
def created(draw: st.DrawFn) -> Log:
    """Return the line of a trial in any state, with more or less in it."""
    log: Log = {"op_code": 4, "study_id": 0, "datetime_start": draw(st.sampled_from([TIME, None]))}
    if draw(st.booleans()):
        state = draw(STATES)
        values = [draw(VALUES)] if state.is_finished() else None
        log |= {"state": state.value, "value": None, "values": values, "system_attrs": {}}
        log |= {"datetime_complete": TIME} if state.is_finished() else {}
        log |= {"user_attrs": draw(st.dictionaries(NAMES, VALUES))}
        steps = st.integers(0, 3).map(str)  # as JSON has keys
        log |= {"intermediate_values": draw(st.dictionaries(steps, VALUES))}
    return log


@st.composite
def ended(draw: st.DrawFn) -> Log:
    """Return the line of a state that a trial takes."""
    state = draw(STATES)
    values = draw(st.none() | st.tuples(VALUES).map(list))
    log: Log = {"op_code": 6, "trial_id": draw(TRIALS), "state": state.value, "values": values}
    return log | {"datetime_start": TIME, "datetime_complete": TIME}


PARAMETER = {
    "op_code": 5,
    "param_name": "x",
    "param_value_internal": 0.5,
    "distribution": distribution_to_json(FloatDistribution(0, 1)),
}
TOLD = st.one_of(
    created(),
    ended(),
    st.builds(lambda t: PARAMETER | {"trial_id": t}, TRIALS),
    st.builds(
        lambda t, step, value: {
            "op_code": 7,
            "trial_id": t,
            "step": step,
            "intermediate_value": value,
        },
        TRIALS,
        st.integers(0, 3),
        VALUES,
    ),
    st.builds(
        lambda code, t, name, value: {
            "op_code": code,
            "trial_id": t,
            ("user_attr" if code == 8 else "system_attr"): {name: value},
        },
        st.sampled_from([8, 9]),
        TRIALS,
        NAMES,
        VALUES,
    ),
    st.builds(
        lambda name, value: {"op_code": 2, "study_id": 0, "user_attr": {name: value}},
        NAMES,
        VALUES,
    ),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Log]:
    """Return a journal in which no line tells of a trial that is not there yet."""
    logs, trials = [STUDY], 0
    for log in draw(st.lists(TOLD, max_size=25)):
        if log.get("trial_id", -1) < trials:
            logs.append(log | {"worker_id": "w"})
            trials += log["op_code"] == 4
    return logs


def content(storage: JournalStorage) -> tuple[list[FrozenTrial], dict[str, Any]]:
    return storage.get_all_trials(0), storage.get_study_user_attrs(0)


@given(histories())
def test_both_ways_of_reading_a_journal_say_the_same(logs: list[Log]) -> None:
    assert content(JournalStorage(Condensed(Listed(logs)))) == content(
        JournalStorage(Listed(logs))
    )


@given(histories(), st.lists(st.lists(TOLD, min_size=1, max_size=3), max_size=4))
def test_what_is_written_later_is_read_once_and_in_both_ways(
    logs: list[Log], later: list[list[Log]]
) -> None:
    plain, less = Listed(logs), Listed(logs)
    storages = [JournalStorage(plain), JournalStorage(Condensed(less))]
    trials = sum(log["op_code"] == 4 for log in logs)
    for group in later:
        told = [log | {"worker_id": "w"} for log in group if log.get("trial_id", -1) < trials]
        trials += sum(log["op_code"] == 4 for log in told)
        for journal in (plain, less):
            journal.append_logs(told)
        first, second = map(content, storages)
        assert first == second


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalFile]:
    with closing(JournalFile(tmp_path / "journal.log")) as journal:
        yield journal


def test_a_trial_of_a_search_is_one_line_and_the_file_keeps_all(journal: JournalFile) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=JournalStorage(Condensed(journal)))
    for _ in range(3):
        study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
        trial = optuna.trial.Trial(study, len(study.trials) - 1)
        trial.report(0.5, 1)
        trial.set_user_attr("why", "a test")
        study.tell(trial, 0.25)
    written = list(journal.read_logs(0))
    assert [log["op_code"] for log in condense(written)] == [0, 4, 4, 4]
    assert len(written) == 1 + 3 * 4


def test_a_line_without_a_rule_stays_with_all_that_follow_it_on_its_trial() -> None:
    logs = [STUDY, *({"op_code": 4, "study_id": 0, "datetime_start": None} for _ in range(2))]
    logs += [PARAMETER | {"trial_id": 0}]
    logs += [{"op_code": 8, "trial_id": t, "user_attr": {"a": 1}} for t in (0, 1)]
    kept = [(log["op_code"], log.get("trial_id")) for log in condense(copy.deepcopy(logs))]
    assert kept == [(0, None), (4, None), (4, None), (5, 0), (8, 0)]
