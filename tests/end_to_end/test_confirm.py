"""A confirmation from the command line to its verdict, interrupted, torn and gone on with."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import load_study
from rxtune.data import TASKS
from rxtune.results import ConfirmedRun, Evaluation, ZeroShot
from rxtune.search.confirmation import choose, fresh_seeds
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder, RunPlaces

pytestmark = pytest.mark.slow_end_to_end

NAME = "confirmed"
COMMAND = ("confirm", NAME, "--seeds", "2", "--workers", "1")


@pytest.fixture(scope="module")
def file(workplace: Any) -> Path:
    """Where the runs will be kept, beside a search in which every trial beat those before."""
    folder: RunFolder = workplace.run_folder(NAME)
    study = load_study(workplace.folder / "space.yaml", {"model": str(workplace.encoder)})
    folder.create(study.to_yaml(), RunPlaces(search_id=NAME, tracking_uri="", storage=""))
    with SearchStudy.create(folder.journal, study) as search:
        while trial := search.ask():
            for number in (1, 2, 3):
                search.report(trial.number, evaluation(number, 0.3 + 0.1 * trial.number))
            accuracy = dict.fromkeys(TASKS["babel"].languages, 0.4)
            dev_result = ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=("qaf",))
            search.finish(trial.number, dev_result)
    return folder.confirmation


def evaluation(number: int, value: float) -> Evaluation:
    return Evaluation(
        number=number,
        updates=number,
        value=value,
        accuracy={"qaf": value},
        train_loss=1.0,
        forward_equivalents=3.0,
        seconds=1.0,
        time=float(number),
    )


@pytest.fixture(scope="module")
def interrupted(workplace: Any, file: Path) -> Any:
    """The confirmation after Ctrl-C, at least one run having ended, and what it left."""
    command = workplace.start(*COMMAND)
    command.wait_until(lambda: file.exists() and file.read_bytes().count(b"\n") >= 1)
    os.killpg(command.pid, signal.SIGINT)
    return command.wait(), file.read_bytes()


@pytest.fixture(scope="module")
def ended(workplace: Any, interrupted: Any, file: Path) -> Any:
    """The same confirmation at its end, by the line that the interrupted one printed."""
    (line,) = [x for x in interrupted[0].output.splitlines() if x.startswith("  rxtune confirm")]
    return workplace.run(*shlex.split(line)[1:]), file.read_bytes()


def runs_of(content: bytes) -> list[ConfirmedRun]:
    return [ConfirmedRun.from_json(json.loads(line)) for line in content.splitlines()]


def test_an_interrupt_keeps_what_is_finished_and_leaves_no_process(
    workplace: Any, interrupted: Any
) -> None:
    command, content = interrupted
    assert command.code == 130, command
    assert command.errors == ""
    assert len(runs_of(content)) >= 1
    assert workplace.gone(), workplace.processes()


def test_the_printed_line_goes_on_to_a_verdict(interrupted: Any, ended: Any) -> None:
    command, content = ended
    assert command.code == 0, command
    assert command.errors == ""
    assert content.startswith(interrupted[1])
    flat = " ".join(command.output.split())
    assert re.search(r"(not )?confirmed: .*points held-out mean, 95 % CI .* over 2 seeds", flat)


def test_every_choice_is_tested_once_per_seed_in_every_language(
    workplace: Any, ended: Any
) -> None:
    runs = runs_of(ended[1])
    candidates = choose(workplace.records(NAME), 1)
    assert {role for candidate in candidates for role in candidate.roles} == {
        "robust",
        "best plain",
        "default plain",
    }
    assert sorted((run.trial, run.seed) for run in runs) == sorted(
        (candidate.trial, seed) for candidate in candidates for seed in fresh_seeds(0, 2)
    )
    for run in runs:
        assert run.zero_shot is not None, run.reason
        assert run.zero_shot.split == "test"
        assert tuple(run.zero_shot.accuracy) == TASKS["babel"].languages


def test_a_confirmation_torn_in_its_last_line_ends_as_the_whole_one(
    workplace: Any, ended: Any, file: Path
) -> None:
    file.write_bytes(ended[1][:-40])
    again = workplace.run(*COMMAND)
    assert again.code == 0, again
    assert file.read_bytes() == ended[1]
    assert again.output.count(" seed ") == 1


def test_a_second_look_at_a_whole_confirmation_trains_nothing(workplace: Any, ended: Any) -> None:
    again = workplace.run(*COMMAND)
    assert again.code == 0, again
    assert " seed " not in again.output
    assert again.output.splitlines()[-1] == ended[0].output.splitlines()[-1]
