"""What has changed in a list of trials since the last look."""

from __future__ import annotations

from dataclasses import dataclass

from rxtune.search.changes import Changes


@dataclass(frozen=True)
class Trial:
    number: int
    ended: bool = False


def changes() -> Changes[Trial]:
    return Changes(lambda trial: trial.ended)


def test_every_trial_is_new_once() -> None:
    found, trials = changes(), [Trial(0), Trial(1, ended=True)]
    assert found.since(trials) == trials
    assert found.since(trials) == []
    trials.append(Trial(2))
    assert found.since(trials) == [Trial(2)]


def test_a_running_trial_is_told_of_whenever_another_object_stands_for_it() -> None:
    found, trials = changes(), [Trial(0), Trial(1)]
    found.since(trials)
    assert found.open == [0, 1]
    trials[1] = Trial(1)
    assert found.since(trials) == [Trial(1)]
    trials[1] = Trial(1, ended=True)
    assert found.since(trials) == [Trial(1, ended=True)]
    assert found.open == [0]


def test_an_ended_trial_is_not_looked_at_again() -> None:
    found = changes()
    found.since([Trial(0, ended=True)])
    assert found.since([Trial(0)]) == []
