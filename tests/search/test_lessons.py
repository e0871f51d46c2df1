"""What trials teach: all of it while they are few, and of many the best and the latest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxtune.config import Configuration
from rxtune.results import Failure, TrialState
from rxtune.search.decisions import SearchStudy
from rxtune.search.history import Lesson
from rxtune.search.lessons import LEARNT_FROM, Lessons
from tests.search.test_decisions import ask, create, evaluation, run

BEST = 100
KINDS = ("running", "finished", "stopped", "failed")


def lesson(number: int, kind: str, value: float, *, is_own: bool = True) -> Lesson:
    values = () if kind in ("running", "failed") else (value,)
    configuration = Configuration(learning_rate=1.0 + number)
    return Lesson(configuration=configuration, params={}, kind=kind, values=values, is_own=is_own)


def best_and_latest(lessons: list[Lesson], *, minimised: bool) -> list[Lesson]:
    """Return what a sampler is to see of these, found the plain way."""
    if len(lessons) <= LEARNT_FROM:
        return lessons
    sign = 1 if minimised else -1
    finished = [n for n, one in enumerate(lessons) if one.kind == "finished"]
    best = sorted(finished, key=lambda n: (sign * lessons[n].values[0], n))[:BEST]
    latest = range(len(lessons) - (LEARNT_FROM - BEST), len(lessons))
    return [lessons[n] for n in sorted({*best, *latest})]


@given(
    st.integers(0, 600),
    st.integers(0, 600),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_of_many_lessons_the_best_and_the_latest_are_seen(
    earlier: int, own: int, draw: st.DrawFn, minimised: bool
) -> None:
    def drawn(number: int, *, is_own: bool) -> Lesson:
        kind = draw.choice(KINDS)  # type: ignore[attr-defined]
        value = draw.randrange(20) / 20  # type: ignore[attr-defined]
        return lesson(number, kind, value, is_own=is_own)

    before = [drawn(number, is_own=False) for number in range(earlier)]
    ours = [drawn(number, is_own=True) for number in range(own)]
    found = Lessons.of(ours, minimised=minimised).experience(before)
    assert found.lessons == best_and_latest([*before, *ours], minimised=minimised)
    assert len(found.lessons) <= max(LEARNT_FROM, BEST)
    assert found.known == sum(one.says_how_good for one in (*before, *ours))
    assert len(found.tried) == own


def learnt(search: SearchStudy) -> Lessons:
    found = Lessons(minimised=False)
    found.learn(search._ledger.trials())
    return found


def test_what_is_kept_between_proposals_is_what_the_journal_says(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log", trials=12)
    kept = Lessons(minimised=False)
    for values in ([0.9] * 6, [0.8] * 6, [0.1, 0.1], [0.95] * 6, [0.2, 0.2]):
        running = ask(search).number
        kept.learn(search._ledger.trials())
        run(search, values)
        search.report(running, evaluation(1, 0.5))
        kept.learn(search._ledger.trials())
        search.fail(running, "out of memory")
        kept.learn(search._ledger.trials())
        assert kept.experience() == learnt(search).experience()
    assert {one.kind for one in kept.experience().lessons} == {"finished", "stopped", "failed"}


def test_an_interrupted_trial_teaches_by_the_one_that_goes_on_with_it(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log")
    kept = Lessons(minimised=False)
    lost = ask(search)
    kept.learn(search._ledger.trials())
    assert [one.kind for one in kept.experience().lessons] == ["running"]
    search.fail(lost.number, "the search was ended", Failure.INTERRUPTED)
    kept.learn(search._ledger.trials())
    assert list(kept.experience().lessons) == []
    assert run(search, [0.5] * 6).state is TrialState.FINISHED
    kept.learn(search._ledger.trials())
    assert [one.kind for one in kept.experience().lessons] == ["finished"]
    assert len(kept.experience().tried) == 1


def test_an_earlier_searchs_configuration_was_not_tried_by_this_one() -> None:
    ours = [lesson(0, "finished", 0.5)]
    assert Lessons.of(ours).experience().tried
    assert not Lessons.of([replace(ours[0], is_own=False)]).experience().tried


@pytest.mark.parametrize("minimised", [False, True])
def test_the_best_survives_any_number_of_later_trials(minimised: bool) -> None:
    value = 0.1 if minimised else 0.9
    many = [lesson(n, "finished", value if n == 0 else 0.5) for n in range(5000)]
    found = Lessons.of(many, minimised=minimised).experience().lessons
    assert len(found) == LEARNT_FROM
    assert found[0] is many[0]
    assert found[-1] is many[-1]
