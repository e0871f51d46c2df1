"""What a confirmation retrains: the best, the plain ones, and what is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rxtune.config import Configuration
from rxtune.errors import StudyError
from rxtune.results import TrialRecord, TrialState
from rxtune.search.candidates import Named, choose
from tests.search.trials import trial


def plain(number: int, value: float, rate: float = 1.0, **changes: Any) -> TrialRecord:
    return trial(number, value, configuration=Configuration(learning_rate=rate), **changes)


BASELINE = plain(0, 0.5, is_baseline=True)


def chosen(
    records: list[TrialRecord], top: int = 1, **named: Any
) -> list[tuple[int | None, tuple[str, ...]]]:
    found = choose(records, top, Named(**named))
    return [(candidate.trial, candidate.roles) for candidate in found]


# --- the choice


def test_the_best_of_each_kind_and_the_baseline_are_chosen_best_first() -> None:
    records = [BASELINE, trial(1, 0.6), plain(2, 0.55, 0.5), trial(3, 0.7), trial(4, 0.65)]
    assert chosen(records, top=2) == [
        (3, ("robust",)),
        (4, ("robust",)),
        (2, ("best plain",)),
        (0, ("default plain",)),
    ]


def test_a_baseline_that_is_the_best_plain_trial_is_retrained_once() -> None:
    records = [BASELINE, trial(1, 0.6), plain(2, 0.4, 0.5)]
    assert chosen(records) == [(1, ("robust",)), (0, ("best plain", "default plain"))]


def test_trials_that_were_stopped_or_failed_are_no_candidates() -> None:
    records = [BASELINE, trial(1, 0.9, "stopped"), trial(2, 0.8, "failed"), trial(3, 0.6)]
    assert chosen(records, top=5)[0] == (3, ("robust",))
    assert len(choose(records, top=5)) == 2


def test_a_baseline_without_a_result_is_retrained_all_the_same() -> None:
    records = [replace(BASELINE, state=TrialState.FAILED), trial(1, 0.6), plain(2, 0.4, 0.5)]
    assert chosen(records)[1:] == [(2, ("best plain",)), (0, ("default plain",))]


def test_equal_configurations_are_one_candidate_and_leave_room_for_the_next() -> None:
    same = Configuration(method="rs_rp", sigma=0.8)
    records = [
        BASELINE,
        trial(1, 0.6, configuration=same),
        trial(2, 0.7, configuration=same),
        trial(3, 0.5),
    ]
    assert chosen(records, top=2)[:2] == [(2, ("robust",)), (3, ("robust",))]


def test_of_equal_scores_the_first_trial_is_best() -> None:
    assert chosen([BASELINE, trial(1, 0.6), trial(2, 0.6)])[0] == (1, ("robust",))


def test_corners_of_a_method_are_what_they_train() -> None:
    records = [
        BASELINE,
        trial(1, 0.9, configuration=Configuration(method="rs_rp", sigma=0.0, learning_rate=0.5)),
        trial(2, 0.6),
    ]
    assert chosen(records) == [
        (2, ("robust",)),
        (1, ("best plain",)),
        (0, ("default plain",)),
    ]


# --- what is named


def test_named_trials_come_after_the_best_however_they_ended() -> None:
    records = [BASELINE, trial(1, 0.6), trial(2, 0.4, "stopped"), trial(3, 0.3, "failed")]
    assert chosen(records, trials=(3, 2)) == [
        (1, ("robust",)),
        (3, ("named",)),
        (2, ("named",)),
        (0, ("best plain", "default plain")),
    ]


def test_what_is_named_and_chosen_anyway_is_one_candidate() -> None:
    records = [BASELINE, trial(1, 0.6)]
    assert chosen(records, trials=(0, 1, 1)) == [
        (1, ("robust", "named")),
        (0, ("named", "best plain", "default plain")),
    ]


def test_a_named_configuration_is_the_trial_that_had_it() -> None:
    records = [BASELINE, trial(1, 0.6), trial(2, 0.4, "stopped")]
    fresh = Configuration(method="adv", radius=0.1, pgd_steps=1)
    of_trial_2 = Configuration(method="rs_rp", sigma=3.00000001)
    assert chosen(records, configurations=(of_trial_2, fresh, fresh))[1:3] == [
        (2, ("named",)),
        (None, ("named",)),
    ]


def test_an_unknown_trial_is_refused() -> None:
    with pytest.raises(StudyError, match=r"--trial: .*got 9, 12; this search has 2, from 0 to 1"):
        choose([BASELINE, trial(1, 0.6)], 1, Named(trials=(9, 1, 12)))
