"""What a confirmation retrains, on which seeds, and that nothing is tested twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import Choice, Configuration, LogUniform, Parameter, Space, Study
from rxtune.data import TASKS
from rxtune.errors import AllTrialsFailedError, RxtuneError, StudyError
from rxtune.results import ConfirmedRun, ZeroShot
from rxtune.search import confirmation, confirmed_runs
from rxtune.search.candidates import Candidate, Named
from rxtune.search.confirmation import FreshRuns, fresh_seeds, run_confirmation
from rxtune.search.confirmed_runs import ConfirmedRuns, file_stem, predictions_name
from rxtune.search.decisions import SearchStudy
from rxtune.search.options import SearchOptions
from rxtune.search.plan import Plan
from rxtune.search.retraining import Retrained
from rxtune.search.run_folder import RunFolder
from tests.search.trials import trial

PLAIN = Configuration()
TESTED = ZeroShot(
    accuracy={"eng": 0.9, "qaa": 1 / 3, "qaf": 0.4},
    source_language="eng",
    dev_languages=("qaf",),
    split="test",
)


BASELINE = trial(0, 0.5, configuration=PLAIN, is_baseline=True)


# --- the seeds


@given(search_seed=st.integers(0, 2**32), count=st.integers(2, 40))
def test_fresh_seeds_are_distinct_and_never_the_searchs(search_seed: int, count: int) -> None:
    seeds = fresh_seeds(search_seed, count)
    assert len({*seeds, search_seed}) == count + 1
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_more_seeds_begin_with_the_same_ones() -> None:
    assert fresh_seeds(0, 8)[:3] == fresh_seeds(0, 3) != fresh_seeds(1, 3)


def test_a_draw_that_repeats_a_seed_or_the_searchs_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = iter([7, 5, 5, 6])
    monkeypatch.setattr(confirmation.random.Random, "getrandbits", lambda self, bits: next(draws))
    assert fresh_seeds(7, 2) == [5, 6]


# --- the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "confirm.jsonl"


def run_of(seed: int, **changes: Any) -> ConfirmedRun:
    candidate = Candidate(trial=0, configuration=PLAIN, roles=("best plain", "default plain"))
    return replace(candidate.run(seed), zero_shot=TESTED, **changes)


def write(path: Path, *runs: ConfirmedRun) -> None:
    with ConfirmedRuns(path) as file:
        for run in runs:
            file.append(run)


def test_what_is_appended_is_read_back_equal(path: Path) -> None:
    runs = [run_of(1), run_of(2, reason="diverged: update 3"), replace(run_of(3), zero_shot=None)]
    write(path, *runs)
    with ConfirmedRuns(path) as file:
        assert file.runs == runs


def test_a_file_torn_anywhere_in_its_last_line_loses_that_line_only(path: Path) -> None:
    write(path, run_of(1), run_of(2))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole), 13):
        path.write_bytes(whole[:end])
        write(path, run_of(2))
        assert path.read_bytes() == whole


def test_a_damaged_line_is_refused_by_its_number(path: Path) -> None:
    write(path, run_of(1), run_of(2))
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second[:20]}\n")
    with pytest.raises(StudyError, match=r"confirm\.jsonl, line 2: not a confirmed run .*delete"):
        ConfirmedRuns(path)


def test_two_confirmations_cannot_hold_one_file(path: Path) -> None:
    with ConfirmedRuns(path), pytest.raises(StudyError, match="another `rxtune confirm`"):
        ConfirmedRuns(path)
    write(path, run_of(1))


def test_a_full_disk_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, run_of(1))
    before = path.read_bytes()
    whole_write = confirmed_runs.os.write
    with ConfirmedRuns(path) as file:
        monkeypatch.setattr(
            confirmed_runs.os, "write", lambda target, data: whole_write(target, data[:30])
        )
        with pytest.raises(RxtuneError, match=r"disk is full.*make room"):
            file.append(run_of(2))
    assert path.read_bytes() == before


# --- the confirmation, with a stand-in for training


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A search with one robust and two plain trials, all ended."""
    space = Space(
        {
            "method": Parameter("method", Choice(("standard", "rs_rp"))),
            "sigma": Parameter("sigma", LogUniform(0.1, 3.0)),
        }
    )
    study = Study.model_validate({"space": space, "search": {"trials": 2, "seed": 3}})
    folder = RunFolder(tmp_path)
    with SearchStudy.create(folder.journal, study, sync=lambda _: None) as search:
        while record := search.ask():
            search.report(record.number, trial(0, 0.5 + record.number / 10).evaluations[0])
            search.finish(record.number, TESTED)
    return Plan(
        study=study,
        options=SearchOptions(name="run"),
        task=TASKS["babel"],
        dev_languages=("qaf",),
        encoder="none",
        encoder_folder=tmp_path,
        data=None,
        inputs={},
        warm_start=None,
        folder=folder,
    )


class StandIn:
    """Answers for the training, and remembers which runs it was asked for."""

    def __init__(self) -> None:
        self.asked: list[ConfirmedRun] = []
        self.fails: dict[int, Retrained] = {}

    def retrain(self, plan: Plan, missing: list[ConfirmedRun]) -> Iterator[Retrained]:
        for run in missing:
            self.asked.append(run)
            tested = replace(run, zero_shot=TESTED, predictions=predictions_name(run))
            done = Retrained(run=tested, is_final=True)
            failure = self.fails.get(len(self.asked))
            if failure is not None:
                failed = replace(run, reason=failure.run.reason)
                done = replace(failure, run=failed)
            yield done

    def fail(self, at: int, reason: str, *, is_final: bool, traceback: str | None = None) -> None:
        run = replace(run_of(0), reason=reason)
        self.fails[at] = Retrained(run=run, is_final=is_final, traceback=traceback)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(confirmation, "_retrain", stand_in.retrain)
    return stand_in


def confirm_all(
    plan: Plan, seeds: int = 2, top: int = 1, told: Any = None, **named: Any
) -> FreshRuns:
    on_result = (lambda *_: None) if told is None else (lambda *args: told.append(args))
    return run_confirmation(plan, seeds=seeds, top=top, named=Named(**named), on_result=on_result)


def confirm(plan: Plan, seeds: int = 2, top: int = 1, told: Any = None) -> list[ConfirmedRun]:
    return list(confirm_all(plan, seeds, top, told).runs)


def test_seeds_are_outer_and_runs_come_back_by_configuration(
    plan: Plan, training: StandIn
) -> None:
    told: list[tuple[ConfirmedRun, int, int]] = []
    runs = confirm(plan, told=told)
    first, second = fresh_seeds(3, 2)
    assert [(r.trial, r.seed) for r in training.asked] == [
        (1, first),
        (0, first),
        (1, second),
        (0, second),
    ]
    assert [(r.trial, r.seed) for r in runs] == [(1, first), (1, second), (0, first), (0, second)]
    assert [(done, total) for _, done, total in told] == [(n, 4) for n in (1, 2, 3, 4)]
    assert len(plan.folder.confirmation.read_text().splitlines()) == 4


def test_what_is_there_is_not_repeated_and_more_seeds_extend_it(
    plan: Plan, training: StandIn
) -> None:
    before = confirm(plan)
    assert confirm(plan) == before
    assert len(training.asked) == 4
    runs = confirm(plan, seeds=3)
    assert [run.seed for run in training.asked[4:]] == [fresh_seeds(3, 3)[2]] * 2
    assert len(runs) == 6


def test_what_was_tested_before_stays_in_the_family(plan: Plan, training: StandIn) -> None:
    def configurations(runs: list[ConfirmedRun]) -> list[Configuration]:
        return list(dict.fromkeys(run.configuration for run in runs))

    wide = confirm(plan, seeds=3, top=2)
    made = len(training.asked)
    narrow = confirm(plan, seeds=2, top=1)
    assert len(training.asked) == made
    # Asked for less, it says no less: the first robust one is still the claim.
    assert set(configurations(narrow)) == set(configurations(wide))
    assert configurations(narrow)[0] == configurations(wide)[0]
    assert len(narrow) == len(wide)


def test_an_interrupted_confirmation_goes_on_where_it_was(plan: Plan, training: StandIn) -> None:
    def interrupt(run: ConfirmedRun, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_confirmation(plan, seeds=2, on_result=interrupt)
    told: list[tuple[ConfirmedRun, int, int]] = []
    assert len(confirm(plan, told=told)) == 4
    assert [(done, total) for _, done, total in told] == [(4, 4)]


def test_a_divergence_is_kept_and_a_lost_worker_tried_again(plan: Plan, training: StandIn) -> None:
    training.fail(1, "diverged: update 3: loss is nan", is_final=True)
    training.fail(2, "worker lost: node died", is_final=False)
    reasons = [run.reason for run in confirm(plan)]
    assert reasons == [
        "diverged: update 3: loss is nan",
        None,
        "worker lost: node died",
        None,
    ]
    again = confirm(plan)
    assert [run.trial for run in training.asked[4:]] == [0]
    assert [run.reason for run in again] == ["diverged: update 3: loss is nan", None, None, None]


def test_the_traceback_of_an_error_is_kept(plan: Plan, training: StandIn) -> None:
    training.fail(1, "ValueError: no", is_final=False, traceback="Traceback …")
    confirm(plan)
    (kept,) = plan.folder.failures.iterdir()
    assert kept.name == f"confirm-trial-0001-seed-{fresh_seeds(3, 1)[0]}.txt"
    assert kept.read_text() == "Traceback …"


def test_kept_runs_get_the_roles_that_they_have_now(plan: Plan, training: StandIn) -> None:
    confirm(plan)
    old = plan.folder.confirmation.read_text().splitlines()
    stale = [json.dumps({**json.loads(line), "roles": [], "trial": 99}) for line in old]
    plan.folder.confirmation.write_text("\n".join(stale) + "\n")
    assert {run.trial: run.roles for run in confirm(plan)} == {
        1: ("robust",),
        0: ("best plain", "default plain"),
    }
    assert len(training.asked) == 4


def test_kept_runs_keep_their_cost_and_the_file_of_their_predictions(
    plan: Plan, training: StandIn
) -> None:
    confirm(plan)
    old = plan.folder.confirmation.read_text().splitlines()
    first, second = (json.loads(line) for line in old[:2])
    new = ("forward_equivalents", "seconds", "predictions")
    of_before = {key: value for key, value in first.items() if key not in new}
    whole = {**second, "seconds": 2.5, "forward_equivalents": 9.0, "predictions": "own.parquet"}
    lines = [json.dumps(of_before), json.dumps(whole), *old[2:]]
    plan.folder.confirmation.write_text("\n".join(lines) + "\n")
    seed = fresh_seeds(3, 1)[0]
    found = {run.trial: run for run in confirm(plan) if run.seed == seed}
    assert (found[1].seconds, found[1].predictions) == (
        None,
        f"test-trial-0001-seed-{seed}.parquet",
    )
    assert (found[0].seconds, found[0].forward_equivalents) == (2.5, 9.0)
    assert found[0].predictions == "own.parquet"
    assert len(training.asked) == 4


def test_a_named_configuration_is_retrained_and_its_files_named_by_its_parameters(
    plan: Plan, training: StandIn
) -> None:
    named = Configuration(method="rs_rp", sigma=0.25)
    training.fail(2, "ValueError: no", is_final=False, traceback="Traceback …")
    found = confirm_all(plan, configurations=(named,))
    assert [run.configuration for run in training.asked[:3]][1] == named
    assert [(run.trial, run.roles) for run in found.runs][2:4] == [(None, ("named",))] * 2
    (kept,) = plan.folder.failures.iterdir()
    assert re.fullmatch(r"confirm-rs_rp-[0-9a-f]{8}-seed-\d+\.txt", kept.name)
    assert {file_stem(run) for run in training.asked[1:5:3]} == {
        file_stem(replace(run, trial=None)) for run in training.asked[1:5:3]
    }
    assert confirm_all(plan, configurations=(named,)).runs[0] == found.runs[0]


def test_the_searchs_own_scores_come_with_the_runs(plan: Plan, training: StandIn) -> None:
    assert confirm_all(plan).dev_scores == {0: {"qaf": 0.4}, 1: {"qaf": 0.4}}


def test_a_running_search_may_be_looked_at(plan: Plan, training: StandIn) -> None:
    with SearchStudy.open(plan.folder.journal):
        assert len(confirm(plan)) == 4


def test_no_run_with_a_result_is_an_error(plan: Plan, training: StandIn) -> None:
    for at in (1, 2, 3, 4):
        training.fail(at, "diverged: update 1", is_final=True)
    with pytest.raises(AllTrialsFailedError, match=r"none of the 4 runs .* diverged: update 1"):
        confirm(plan)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"seeds": 1}, r"--seeds: must be at least 2 \(a difference needs a spread\), got 1"),
        ({"top": 0}, r"--top: must be at least 1 .*, got 0"),
    ],
)
def test_too_small_numbers_are_refused(
    plan: Plan, training: StandIn, numbers: dict[str, int], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        confirm(plan, **numbers)


def test_a_search_without_a_robust_result_is_refused_before_anything_is_trained(
    plan: Plan, training: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SearchStudy, "records", lambda self: [BASELINE])
    with pytest.raises(StudyError, match=r"no robust trial .*--resume --trials N`, or name"):
        confirm(plan)
    assert training.asked == []
    assert not plan.folder.confirmation.exists()
