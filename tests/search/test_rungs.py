"""Who is stopped where, and that a resumed search stops the same trials."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.pruners import HyperbandPruner
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from rxtune.config.select import OBJECTIVES, Objective
from rxtune.config.stopping import STOPPERS, Asha, Hyperband, Median, Stopping
from rxtune.results import Evaluation
from rxtune.search import ledger
from rxtune.search.journal import JournalFile
from rxtune.search.rungs import (
    STUDY_NAME,
    bracket_of,
    build_pruner,
    pareto_stop_reason,
    stop_reason,
    watch_rungs,
)
from rxtune.search.trial_attributes import retry_attributes

optuna.logging.set_verbosity(optuna.logging.WARNING)
RULES = {
    "asha": Stopping(asha=Asha(evaluations=8, first_rung=1, reduction_factor=2)),
    "hyperband": Stopping(hyperband=Hyperband(evaluations=9, first_rung=1, reduction_factor=3)),
    "median": Stopping(median=Median(evaluations=5, first_rung=2, startup_trials=2)),
}
NAMED = pytest.mark.parametrize("stopping", RULES.values(), ids=RULES)


def evaluation(number: int, *objectives: float) -> Evaluation:
    return Evaluation(
        number=number,
        updates=number,
        value=objectives[0],
        accuracy={},
        objectives=objectives,
        train_loss=0.0,
        forward_equivalents=0.0,
        seconds=0.0,
        time=0.0,
    )


def pareto_reason(stopping: Stopping, *asked: Any) -> str | None:
    """Ask for a trial of a search in which none was interrupted."""
    return pareto_stop_reason(stopping, *asked, lambda n: bracket_of(stopping.rule, n))


class Search:
    """An Optuna study that is asked as a search asks it: report, ask, tell, in one group."""

    def __init__(self, stopping: Stopping, journal: Path | None = None) -> None:
        self.stopping = stopping
        self.in_rungs = watch_rungs(stopping, lambda: self.study.get_trials(deepcopy=False))
        self.journal = JournalFile(journal, sync=lambda _: None) if journal else None
        self.study = optuna.create_study(
            storage=JournalStorage(self.journal) if self.journal else InMemoryStorage(),
            study_name=STUDY_NAME,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=build_pruner(stopping, self.in_rungs),
            load_if_exists=True,
        )

    def add(self, trials: int) -> Search:
        for _ in range(trials):
            self.study.ask()
        return self

    def cut(self, number: int) -> None:
        """Interrupt a trial."""
        self.study.tell(number, state=TrialState.FAIL)

    def retry(self, number: int, *, cut: bool = False) -> int:
        """Go on with an interrupted trial under a new number, and return that."""
        again = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            user_attrs=retry_attributes(self.trial(number)),
        )
        self.study.add_trial(again)
        new = len(self.study.get_trials(deepcopy=False)) - 1
        if cut:
            self.cut(new)
        return new

    def trial(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def report(self, number: int, step: int, value: float, *, never_stops: bool = False) -> bool:
        """Report one value; return whether the trial stopped."""
        trial = optuna.Trial(self.study, self.trial(number)._trial_id)
        trial.report(value, step)
        is_weak = trial.should_prune()
        if step >= self.stopping.evaluations:
            self.study.tell(number, value)
        elif is_weak and not never_stops:
            self.study.tell(number, state=TrialState.PRUNED)
            return True
        return False

    def reason(self, number: int) -> str:
        trial = self.trial(number)
        last = trial.last_step
        assert last is not None
        reached = evaluation(last, trial.intermediate_values[last])
        trials = self.study.get_trials(deepcopy=False)
        return stop_reason(self.stopping, reached, trial, trials, self.in_rungs)


def rung_values(search: Search, number: int) -> dict[str, float]:
    attributes = search.trial(number).system_attrs
    return {k: v for k, v in attributes.items() if k.startswith("completed_rung_")}


def standing_in(search: Search, rung: int, bracket: int = 0) -> list[float]:
    """Return what stands in a rung, sorted."""
    return search.in_rungs.values(f"completed_rung_{rung}", bracket)


# --- the trials in the rungs


OPTUNAS = {
    "asha": optuna.pruners.SuccessiveHalvingPruner(
        min_resource=1, reduction_factor=2, min_early_stopping_rate=0
    ),
    "hyperband": HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
}


@pytest.mark.parametrize("name", OPTUNAS)
@settings(max_examples=60, deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_without_retries_the_answers_are_those_of_optuna_that_looks_at_all_trials(
    name: str, draw: random.Random
) -> None:
    ours, theirs = Search(RULES[name]).add(12), Search(RULES[name]).add(12)
    theirs.study.pruner = OPTUNAS[name]
    steps = dict.fromkeys(range(12), 0)
    while steps:
        number = draw.choice(list(steps))
        steps[number] += draw.choice([1, 1, 1, 3])  # past a rung or two at a time as well
        value = draw.choice([0.1, 0.2, 0.3, 0.4])  # equal ones, too
        stops = ours.report(number, steps[number], value)
        assert stops == theirs.report(number, steps[number], value)
        assert rung_values(ours, number) == rung_values(theirs, number)
        if stops or steps[number] >= RULES[name].evaluations:
            del steps[number]
    if name == "asha":
        first = sorted(rung_values(ours, number)["completed_rung_0"] for number in range(12))
        assert standing_in(ours, 0) == first


class Training:
    """A training in a search that may cut it off, and the trial that has it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.values: list[float] = []
        self.repeated = 0
        """How many of its values the trial that has it now has reported."""
        self.is_cut = False

    def take_a_turn(self, search: Search, draw: random.Random) -> bool:
        """Cut it off, take it up again or repeat one value; return whether a new one is due."""
        if self.is_cut:
            self.number, self.repeated, self.is_cut = search.retry(self.number), 0, False
        elif draw.random() < 0.2:
            search.cut(self.number)
            self.is_cut = True
        elif self.repeated < len(self.values):
            self.repeated += 1
            value = self.values[self.repeated - 1]
            search.report(self.number, self.repeated, value, never_stops=True)
        else:
            return True
        return False

    def goes_on_with(self, value: float) -> int:
        """Keep a value as reported and return its evaluation."""
        self.values.append(value)
        self.repeated += 1
        return self.repeated


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_with_retries_the_answers_are_those_of_optuna_in_a_search_that_was_never_cut(
    seed: int,
) -> None:
    draw = random.Random(seed)
    ours, theirs = Search(RULES["asha"]).add(8), Search(RULES["asha"]).add(8)
    theirs.study.pruner = OPTUNAS["asha"]
    trainings = {number: Training(number) for number in range(8)}
    while trainings:
        number = draw.choice(list(trainings))
        training = trainings[number]
        if not training.take_a_turn(ours, draw):
            continue
        step = training.goes_on_with(value := draw.choice([0.1, 0.2, 0.3, 0.4]))
        stops = ours.report(training.number, step, value)
        assert stops == theirs.report(number, step, value)
        if stops:
            assert ours.reason(training.number) == theirs.reason(number)
        if stops or step >= 8:
            del trainings[number]


def test_an_interrupted_trial_leaves_a_rung_when_its_retry_has_come_there() -> None:
    search = Search(RULES["asha"]).add(1)
    search.report(0, 1, 0.5)
    search.report(0, 2, 0.6)
    search.cut(0)
    again = search.retry(search.retry(0, cut=True))  # the first one was cut before it reported
    assert standing_in(search, 0) == [0.5]
    search.report(again, 1, 0.55)  # it is the retry's that counts
    assert standing_in(search, 0) == [0.55]
    assert standing_in(search, 1) == [0.6]
    search.report(again, 2, 0.6)
    assert standing_in(search, 1) == [0.6]


def test_what_goes_on_with_an_interrupted_trial_stays_in_its_bracket() -> None:
    stopping = RULES["hyperband"]
    rule = stopping.hyperband
    assert rule is not None
    first, second, lost, *others = [n for n in range(99) if bracket_of(rule, n) == 0]
    search = Search(stopping).add(lost + 1)
    search.report(first, 1, 0.1)
    search.report(second, 1, 0.2)
    assert not search.report(lost, 1, 0.9)
    search.cut(lost)
    cut = search.retry(lost, cut=True)
    while bracket_of(rule, len(search.study.trials)) == 0:
        search.add(1)
    again = search.retry(cut)
    search.report(again, 1, 0.9)
    third, fourth = [number for number in others if number > again][:2]
    search.add(fourth - again)
    search.report(third, 1, 0.3)
    # The second best of five, of which one goes on.
    assert search.report(fourth, 1, 0.8)
    assert standing_in(search, 0) == [0.1, 0.2, 0.3, 0.8, 0.9]
    assert search.reason(fourth).endswith("needed 0.9 (hyperband, bracket 1 of 3)")


# --- brackets


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(2, 4), st.integers(0, 500))
def test_a_bracket_is_the_one_that_optuna_draws(
    more: int, first: int, factor: int, number: int
) -> None:
    rule = Hyperband(evaluations=first - 1 + more, first_rung=first, reduction_factor=factor)
    search = Search(Stopping(hyperband=rule)).add(1)
    optunas = HyperbandPruner(first, rule.evaluations, factor)
    optunas.prune(search.study, search.trial(0))  # before, Optuna says 0 for all
    trial = optuna.trial.create_trial(value=0.0)
    trial.number = number
    assert bracket_of(rule, number) == optunas._get_bracket_id(search.study, trial)


def test_the_name_that_brackets_are_drawn_from_is_the_journals() -> None:
    assert ledger.STUDY_NAME == STUDY_NAME
    assert {bracket_of(Asha(), number) for number in range(50)} == {0}


def test_a_trial_of_a_later_bracket_is_left_alone_at_the_first_rungs() -> None:
    rule = RULES["hyperband"].hyperband
    assert rule is not None
    brackets = [bracket_of(rule, number) for number in range(40)]
    search = Search(RULES["hyperband"]).add(40)
    ends = {0: set[int](), 1: set[int](), 2: set[int]()}
    for number, bracket in enumerate(brackets):
        for step in range(1, 10):
            if search.report(number, step, 1.0 - number / 100):
                break
        ends[bracket].add(step)
    assert ends == {0: {1, 9}, 1: {3, 9}, 2: {9}}


def test_hyperband_does_not_hide_trials_from_the_sampler() -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, Any]:
            seen.append(tuple(t.number for t in study.get_trials(deepcopy=False)))
            return {}

    search = Search(RULES["hyperband"]).add(5)
    search.study.sampler = Watching()
    for number in range(5):  # before and after the rule's first answer
        trial = optuna.Trial(search.study, search.trial(number)._trial_id)
        trial.suggest_float("sigma", 0, 1)
        search.report(number, 1, 0.5)
    assert seen == [(0, 1, 2, 3, 4)] * 5


# --- one line that says why


def test_asha_says_what_was_needed_at_the_rung() -> None:
    search = Search(RULES["asha"]).add(3)
    assert [search.report(n, 1, v) for n, v in enumerate((0.5, 0.6, 0.412))] == [
        False,
        False,
        True,
    ]
    assert search.reason(2) == "stopped at evaluation 1 of 8: dev score 0.412, needed 0.6 (asha)"


def test_hyperband_says_what_was_needed_in_the_trials_own_bracket() -> None:
    stopping = RULES["hyperband"]
    rule = stopping.hyperband
    assert rule is not None
    first, second = [n for n in range(99) if bracket_of(rule, n) == 1][:2]
    search = Search(stopping).add(second + 1)
    for number in range(second):
        value = 0.3 if number == first else 0.9
        for step in (1, 2, 3):
            if search.report(number, step, value):
                break
    assert not search.report(second, 1, 0.1)
    assert not search.report(second, 2, 0.1)
    assert search.report(second, 3, 0.1)
    told = "stopped at evaluation 3 of 9: dev score 0.1, needed 0.3 (hyperband, bracket 2 of 3)"
    assert search.reason(second) == told


def test_the_median_rule_says_the_median_that_the_best_value_so_far_fell_below() -> None:
    search = Search(RULES["median"]).add(4)
    for number, value in enumerate((0.5, 0.6, 0.7)):
        assert not any(search.report(number, step, value) for step in range(1, 6))
    assert not search.report(3, 1, 0.55)
    assert search.report(3, 2, 0.4)
    assert search.reason(3) == (
        "stopped at evaluation 2 of 5: best dev score so far 0.55, needed the median of 0.6 "
        "(median)"
    )


def test_the_median_rule_waits_for_full_trials_and_for_the_first_rung() -> None:
    search = Search(RULES["median"]).add(4)
    assert not any(search.report(0, step, 0.9) for step in range(1, 6))
    assert not any(search.report(1, step, 0.1) for step in range(1, 6))  # the second full trial
    assert not search.report(2, 1, 0.2)
    assert search.report(2, 2, 0.2)
    assert not search.report(3, 2, 0.5)  # exactly the median


def test_without_a_rule_nothing_is_stopped() -> None:
    stopping = Stopping(asha=None)
    search = Search(stopping).add(6)
    weak = [search.report(n, 1, 1.0 - n / 10) for n in range(6)]
    assert not any(weak)
    several = {n: [evaluation(1, -n, -n)] for n in range(6)}
    assert pareto_reason(stopping, ("mean", "worst"), 5, several) is None


# --- reports that jump rungs


def test_a_report_past_two_rungs_enters_both_with_its_value() -> None:
    search = Search(RULES["asha"]).add(2)  # rungs 1, 2, 4
    assert not search.report(0, 3, 0.5)
    assert rung_values(search, 0) == {"completed_rung_0": 0.5, "completed_rung_1": 0.5}
    assert not search.report(0, 4, 0.1)
    assert rung_values(search, 0)["completed_rung_1"] == 0.5
    assert search.report(1, 1, 0.4)


def test_a_jump_over_a_rung_stands_there_with_the_first_value_past_it() -> None:
    search = Search(RULES["asha"]).add(2)
    assert not search.report(0, 1, 0.3)
    assert not search.report(0, 3, 0.6)
    assert rung_values(search, 0) == {"completed_rung_0": 0.3, "completed_rung_1": 0.6}
    assert not search.report(1, 1, 0.5)
    assert search.report(1, 2, 0.5)
    assert search.reason(1).startswith("stopped at evaluation 2 of 8: dev score 0.5, needed 0.6")


def test_with_several_objectives_a_jump_is_held_against_every_rung_it_crosses() -> None:
    stopping, both = RULES["asha"], ("mean", "worst")
    known = {0: [evaluation(1, 0.3, 0.3), evaluation(3, 0.6, 0.6)]}
    weak = {**known, 1: [evaluation(1, 0.5, 0.5), evaluation(2, 0.5, 0.5)]}
    assert pareto_reason(stopping, both, 1, {n: e[:1] for n, e in weak.items()}) is None
    assert pareto_reason(stopping, both, 1, weak) == (
        "stopped at evaluation 2 of 8: mean 0.5, worst 0.5; 1 of 1 others there better in all, "
        "stopped from 1 on (asha)"
    )
    jumped = {0: [evaluation(1, 0.9, 0.9)], 1: [evaluation(3, 0.5, 0.5)]}
    assert pareto_reason(stopping, both, 1, jumped) is not None
    assert pareto_reason(stopping, both, 0, jumped) is None
    past = {0: [evaluation(3, 0.9, 0.9)], 1: [evaluation(1, 0.5, 0.5)]}
    assert pareto_reason(stopping, both, 1, past) is not None


# --- several objectives


def standing(*values: Sequence[float], at: int = 1) -> dict[int, list[Evaluation]]:
    return {number: [evaluation(at, *each)] for number, each in enumerate(values)}


def test_a_trial_that_is_best_in_anything_goes_on() -> None:
    both = ("mean", "worst")
    others = [(0.9, 0.2), (0.8, 0.3), (0.7, 0.4)]
    assert pareto_reason(RULES["asha"], both, 3, standing(*others, (0.1, 0.41))) is None
    assert pareto_reason(RULES["asha"], both, 3, standing(*others, (0.1, 0.4))) is None
    assert pareto_reason(RULES["asha"], both, 3, standing(*others, (0.1, 0.25))) is not None
    # Four trials, of which two may go on: one better one is not enough.
    assert pareto_reason(RULES["asha"], both, 3, standing(*others, (0.75, 0.25))) is None


def test_compute_is_to_be_low() -> None:
    counts: tuple[Objective, ...] = ("mean", "compute")
    dear = standing((0.9, 100.0), (0.5, 200.0))
    cheap = standing((0.9, 100.0), (0.5, 50.0))
    assert pareto_reason(RULES["asha"], counts, 1, cheap) is None
    reason = pareto_reason(RULES["asha"], counts, 1, dear)
    assert reason is not None
    assert "mean 0.5, compute 200; 1 of 1 others" in reason


def test_with_brackets_a_trial_is_held_against_its_own() -> None:
    stopping, rule = RULES["hyperband"], RULES["hyperband"].hyperband
    assert rule is not None
    brackets = [bracket_of(rule, number) for number in range(30)]
    weak = max(number for number in range(30) if brackets[number] == 0)
    values = [(0.9, 0.9) if brackets[n] == 0 else (1.0, 1.0) for n in range(30)]
    values[weak] = (0.95, 0.95)
    assert pareto_reason(stopping, ("mean", "worst"), weak, standing(*values)) is None
    values[weak] = (0.5, 0.5)
    reason = pareto_reason(stopping, ("mean", "worst"), weak, standing(*values))
    assert reason is not None
    assert reason.endswith("(hyperband, bracket 1 of 3)")
    assert f"of {brackets.count(0) - 1} others" in reason


def test_with_several_objectives_a_retry_is_held_against_the_bracket_of_what_it_goes_on_with() -> (
    None
):
    stopping = RULES["hyperband"]
    values = standing((0.9, 0.9), (0.8, 0.8), (0.1, 0.1))
    together, apart = (lambda _: 0), (lambda number: int(number == 2))
    assert pareto_stop_reason(stopping, ("mean", "worst"), 2, values, together) is not None
    assert pareto_stop_reason(stopping, ("mean", "worst"), 2, values, apart) is None


def test_below_the_median_on_all_counts_is_stopped_and_on_all_but_one_goes_on() -> None:
    counts: tuple[Objective, ...] = ("mean", "compute")
    full = {
        n: [evaluation(step, v, 10.0 * step) for step in range(1, 6)]
        for n, v in enumerate((0.4, 0.6, 0.8))
    }

    def reason(*own: Evaluation) -> str | None:
        return pareto_reason(RULES["median"], counts, 3, {**full, 3: list(own)})

    assert reason(evaluation(1, 0.1, 99.0)) is None  # before the first rung
    assert reason(evaluation(2, 0.5, 20.0)) is None  # as dear as the median
    assert reason(evaluation(1, 0.7, 12.0), evaluation(2, 0.5, 24.0)) is None  # was better
    assert reason(evaluation(1, 0.5, 12.0), evaluation(2, 0.5, 24.0)) == (
        "stopped at evaluation 2 of 5: mean 0.5, compute 24; below the median of 3 full trials in "
        "all (median)"
    )


def test_after_its_last_evaluation_a_trial_is_not_stopped() -> None:
    last = standing((0.9, 0.9), (0.1, 0.1), at=8)
    assert pareto_reason(RULES["asha"], ("mean", "worst"), 1, last) is None


# --- simulated searches: reports of several trials in any order


@st.composite
def histories(draw: st.DrawFn, evaluations: int, rungs: Sequence[int]) -> list[tuple[int, int]]:
    """Return (trial, step) in the order of the reports; no report crosses two rungs."""
    trials = draw(st.integers(2, 9))
    steps = []
    for _ in range(trials):
        own = {step for step in range(1, evaluations + 1) if draw(st.booleans())}
        steps.append(sorted(own | {*rungs, evaluations}))
    order = draw(st.permutations([n for n, own in enumerate(steps) for _ in own]))
    queues = [iter(own) for own in steps]
    return [(number, next(queues[number])) for number in order]


scores = st.lists(st.integers(0, 12), min_size=90, max_size=90)


def drawn(values: Sequence[int]) -> Iterator[float]:
    return (value / 12 for value in values)


@settings(max_examples=60, deadline=None)
@given(histories(8, (1, 2, 4)), scores)
def test_with_one_objective_the_rule_is_asynchronous_halving(
    history: list[tuple[int, int]], values: list[int]
) -> None:
    search = Search(RULES["asha"]).add(9)
    evaluations: dict[int, list[Evaluation]] = {}
    stopped: set[int] = set()
    for (number, step), value in zip(history, drawn(values), strict=False):
        if number not in stopped:
            evaluations.setdefault(number, []).append(evaluation(step, value))
            reason = pareto_reason(RULES["asha"], ("mean",), number, evaluations)
            weak = search.report(number, step, value, never_stops=number == 0)
            if number > 0:
                assert weak == (reason is not None)
            if weak:
                stopped.add(number)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=3, max_size=9))
def test_with_one_objective_the_median_rule_is_optunas(trials: list[list[int]]) -> None:
    stopping = RULES["median"]
    search = Search(stopping).add(len(trials))
    evaluations: dict[int, list[Evaluation]] = {}
    for number, values in enumerate(trials):
        for step, value in enumerate(values, start=1):
            evaluations.setdefault(number, []).append(evaluation(step, value))
            reason = pareto_reason(stopping, ("source",), number, evaluations)
            if search.report(number, step, value):
                assert reason is not None
                full = [them for n, them in enumerate(trials[:number]) if len(evaluations[n]) == 5]
                needed = median(them[step - 1] for them in full)
                assert f"the median of {needed:.4g} " in search.reason(number)
                break
            assert reason is None


@settings(max_examples=40, deadline=None)
@given(histories(8, (1, 2, 4)), st.data())
def test_no_trial_of_the_front_is_ever_stopped(
    history: list[tuple[int, int]], data: st.DataObject
) -> None:
    point = st.tuples(*(st.integers(0, 5) for _ in OBJECTIVES))
    evaluations: dict[int, list[Evaluation]] = {}
    for number, step in history:
        evaluations.setdefault(number, []).append(evaluation(step, *data.draw(point)))
        if pareto_reason(RULES["asha"], OBJECTIVES, number, evaluations) is not None:
            mean, worst, source, compute = evaluations[number][-1].objectives
            others = (each for n, them in evaluations.items() if n != number for each in them)
            assert any(
                e.objectives[0] > mean
                and e.objectives[1] > worst
                and e.objectives[2] > source
                and e.objectives[3] < compute
                for e in others
            )


def simulate(search: Search, seed: int, decisions: int | None = None) -> list[tuple[int, int]]:
    """Go on with a search of 20 trials, four at a time, in an order drawn from what there is."""
    stops = []
    value_of = random.Random(seed)
    curves = [[value_of.random() for _ in range(9)] for _ in range(20)]
    while decisions is None or decisions > 0:
        trials = search.study.get_trials(deepcopy=False)
        running = [t for t in trials if t.state == TrialState.RUNNING]
        done = sum(len(t.intermediate_values) for t in trials)
        turn = random.Random(f"{seed} {len(trials)} {done}")
        assert search.journal is not None
        with search.journal.group():
            if len(running) < 4 and len(trials) < 20:
                search.study.ask()
            elif running:
                trial = turn.choice(running)
                step = (trial.last_step or 0) + 1
                if search.report(trial.number, step, curves[trial.number][step - 1]):
                    stops.append((trial.number, step))
            else:
                return stops
        decisions = None if decisions is None else decisions - 1
    return stops


def outcome(search: Search) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.state, t.intermediate_values, t.system_attrs)
        for t in search.study.get_trials(deepcopy=False)
    ]


@NAMED
def test_a_search_cut_after_any_decision_stops_the_same_trials(
    stopping: Stopping, tmp_path: Path
) -> None:
    whole = Search(stopping, tmp_path / "whole")
    stops = simulate(whole, seed=4)
    assert len(stops) > 3
    expected = outcome(whole)
    decisions = sum(1 + len(values) for _, _, values, _ in expected)
    for cut in range(0, decisions, 3):
        path = tmp_path / f"cut-{cut}"
        first = Search(stopping, path)
        simulate(first, seed=4, decisions=cut)
        assert first.journal is not None
        first.journal.close()
        resumed = Search(stopping, path)
        simulate(resumed, seed=4)
        assert outcome(resumed) == expected, f"cut after decision {cut}"
        assert resumed.journal is not None
        resumed.journal.close()


def test_every_stopper_by_name_has_its_test() -> None:
    assert {*RULES, "none"} == set(STOPPERS)
    assert [stopping.name for stopping in RULES.values()] == list(RULES)
