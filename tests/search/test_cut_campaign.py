"""A search whose journal is cut anywhere and resumed equals the search that never stopped."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, Int, LogUniform, Parameter, Space, Study
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.journal import JournalFile

TRIALS = 20
INTERRUPTED = {2, 7}
RANDOM_CUTS = 200
WORKERS = 3


def no_sync(_: int) -> None:
    """Stand in for `os.fsync`: the campaign is about what is written, not when."""


def build_study() -> Study:
    parameters = [
        Parameter("method", Choice(("standard", "rs_rp", "adv", "smooth_adv"))),
        Parameter("sigma", LogUniform(0.1, 3.0)),
        Parameter("radius", LogUniform(0.003, 0.3)),
        Parameter("pgd_steps", Int(1, 3)),
        Parameter("learning_rate", LogUniform(0.3, 3.0)),
    ]
    space = Space({parameter.name: parameter for parameter in parameters})
    search = {"trials": TRIALS, "startup_trials": 10, "seed": 3}
    return Study.model_validate({"space": space, "search": search})


# --- the stand-in for a training: everything follows from configuration and evaluation number


def evaluate(trial: TrialRecord, number: int) -> Evaluation:
    configuration = trial.configuration
    distance = abs(math.log(configuration.learning_rate)) + abs(configuration.sigma - 0.8)
    value = 0.3 + 0.05 * number - 0.1 * distance - configuration.radius
    if distance > 1.8 and number == 2:  # diverges
        value = math.nan
    return Evaluation(
        number=number,
        updates=10 * number,
        value=value,
        accuracy={"qaa": value},
        train_loss=1 / number,
        forward_equivalents=30.0 * number,
        seconds=2.0 * number,
        time=1000.0 * trial.number + number,
    )


def steps_of(search: SearchStudy, trial: TrialRecord) -> Iterator[None]:
    """Run a trial from its first evaluation, with a pause after every decision."""
    number = trial.number
    search.describe(number, {"learning_rate": 2e-5})
    yield
    for evaluation in range(1, 7):
        if number in INTERRUPTED and evaluation == 2:
            search.fail(number, "interrupted", Failure.INTERRUPTED)
            return
        if search.report(number, evaluate(trial, evaluation)):
            return
        yield
    accuracy = {"eng": 0.9, "qaa": 0.5}
    search.finish(
        number, ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=("qaa",))
    )


def run(search: SearchStudy, workers: int = 1, turns: random.Random | None = None) -> None:
    """Run a search to its end, its running trials first; by `turns` the next worker is drawn."""
    queue = search.running()
    busy: list[Iterator[None]] = []
    while True:
        while len(busy) < workers and (trial := queue.pop(0) if queue else search.ask()):
            busy.append(steps_of(search, trial))
        if not busy:
            return
        worker = busy.pop(turns.randrange(len(busy)) if turns else 0)
        for _ in worker:
            busy.append(worker)
            break


def resume(path: Path) -> SearchStudy:
    """Open the search of a repaired journal, or start it if no decision had been written."""
    if path.stat().st_size:
        return SearchStudy.open(path, sync=no_sync)
    return SearchStudy.create(path, build_study(), sync=no_sync)


def content_of(search: SearchStudy) -> list[dict[str, Any]]:
    """Return all that Optuna holds of every trial, times left out."""
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "params": trial.params,
            "distributions": trial.distributions,
            "values": trial.values,
            "intermediate": trial.intermediate_values,
            "rungs": trial.system_attrs,
            "attributes": trial.user_attrs,
        }
        for trial in search._ledger.trials()
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, Any]]]:
    """The journal of the uninterrupted search with one worker, and what it holds."""
    path = tmp_path_factory.mktemp("whole") / "journal.log"
    with SearchStudy.create(path, build_study(), sync=no_sync) as search:
        run(search)
        return path.read_bytes(), content_of(search)


def cuts_of(journal: bytes) -> list[int]:
    """Return every line end and random places between."""
    line_ends = [n + 1 for n, byte in enumerate(journal) if byte == ord("\n")]
    places = random.Random(0)
    return [0, *line_ends, *(places.randrange(len(journal)) for _ in range(RANDOM_CUTS))]


def test_the_campaign_has_trials_of_every_kind(
    whole: tuple[bytes, list[dict[str, Any]]], tmp_path: Path
) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    with SearchStudy.open(path) as search:
        records = search.records()
        assert {record.state for record in records} == set(TrialState) - {TrialState.RUNNING}
        assert {record.configuration.method for record in records[5:]} > {"rs_rp", "adv"}
        assert len(records) == TRIALS + len(INTERRUPTED)
    assert len(cuts_of(whole[0])) > 400
    learnt = [r for r in records if r.state in (TrialState.FINISHED, TrialState.STOPPED)]
    assert len(learnt) > build_study().search.startup_trials + 5, "the sampler never had a say"


def test_a_search_cut_anywhere_and_resumed_equals_the_uninterrupted_one(
    whole: tuple[bytes, list[dict[str, Any]]], tmp_path: Path
) -> None:
    journal, expected = whole
    path = tmp_path / "journal.log"
    resumed: set[int] = set()
    for cut in cuts_of(journal):
        path.write_bytes(journal[:cut])
        # What a resumed search does follows from the repaired file, so one run for each is enough.
        JournalFile(path, sync=no_sync).close()
        kept = path.read_bytes()
        assert journal.startswith(kept)
        if len(kept) not in resumed:
            resumed.add(len(kept))
            with resume(path) as search:
                run(search)
                assert content_of(search) == expected, f"cut at byte {cut}"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The journal of an uninterrupted search with several trials in flight."""
    path = tmp_path_factory.mktemp("crowded") / "journal.log"
    with SearchStudy.create(path, build_study(), sync=no_sync) as search:
        run(search, WORKERS, random.Random(0))
    return path.read_bytes()


def test_a_search_with_several_workers_loses_repeats_and_changes_nothing_that_has_ended(
    crowded: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "journal.log"
    in_flight: list[int] = []
    resumed: set[int] = set()
    for cut in cuts_of(crowded):
        path.write_bytes(crowded[:cut])
        JournalFile(path, sync=no_sync).close()
        kept = path.read_bytes()
        if len(kept) in resumed:
            continue
        resumed.add(len(kept))
        with resume(path) as search:
            before = search.records()
            run(search, WORKERS, random.Random(cut))  # the workers' luck is another one now
            after = search.records()
        in_flight.append(sum(not record.ended for record in before))
        assert path.read_bytes().startswith(kept), f"cut at byte {cut}"
        assert_kept(before, after, cut)
        assert_complete(after)
    assert max(in_flight) == WORKERS
    assert len(cuts_of(crowded)) > 400


def assert_kept(before: list[TrialRecord], after: list[TrialRecord], cut: int) -> None:
    """Ended trials are as they were; those in flight went on with what they had."""
    for old in before:
        new = after[old.number]
        assert new.configuration == old.configuration, f"trial {old.number}, cut at byte {cut}"
        assert new.evaluations[: len(old.evaluations)] == old.evaluations
        assert not old.ended or new == old, f"trial {old.number}, cut at byte {cut}"


def assert_complete(records: list[TrialRecord]) -> None:
    """Every trial asked for has ended, each evaluation once, each interrupted trial again."""
    assert len(records) == TRIALS + len(INTERRUPTED)
    assert all(record.ended for record in records)
    for record in records:
        reached = len(record.evaluations)
        assert list(record.evaluations) == [evaluate(record, n + 1) for n in range(reached)]
        assert (reached == 6) == (record.state is TrialState.FINISHED)
    again = [records[number].configuration for number in INTERRUPTED]
    assert all([r.configuration for r in records].count(tried) == 2 for tried in again)
