"""A confirmation from the command line to its verdict, interrupted, torn and gone on with."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from rxtune.config import load_study
from rxtune.data import TASKS
from rxtune.results import ConfirmedRun, Evaluation, ZeroShot
from rxtune.search.candidates import choose
from rxtune.search.confirmation import fresh_seeds
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder, RunPlaces

pytestmark = pytest.mark.slow_end_to_end

NAME = "confirmed"
KILLED = "killed"
FLAGS = ("--seeds", "2", "--workers", "1")
COMMAND = ("confirm", NAME, *FLAGS)


@pytest.fixture(scope="module")
def file(workplace: Any) -> Path:
    """Where the runs will be kept, beside a search in which every trial beat those before."""
    return search_that_ended(workplace, NAME)


@pytest.fixture(scope="module")
def killed(workplace: Any) -> Path:
    """The same search once more, to be confirmed with a kill in the middle."""
    return search_that_ended(workplace, KILLED)


def search_that_ended(workplace: Any, name: str) -> Path:
    folder: RunFolder = workplace.run_folder(name)
    study = load_study(workplace.folder / "space.yaml", {"model": str(workplace.encoder)})
    folder.create(study.to_yaml(), places(workplace, name))
    with SearchStudy.create(folder.journal, study) as search:
        while trial := search.ask():
            for number in (1, 2, 3):
                search.report(trial.number, evaluation(number, 0.3 + 0.1 * trial.number))
            accuracy = dict.fromkeys(TASKS["babel"].languages, 0.4)
            dev_result = ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=("qaf",))
            search.finish(trial.number, dev_result)
    return folder.confirmation


def places(workplace: Any, name: str) -> RunPlaces:
    uri = f"sqlite:///{workplace.folder / 'mlflow.db'}"
    return RunPlaces(search_id=name, tracking_uri=uri, storage="")


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


@pytest.mark.thorough
def test_a_confirmation_torn_in_its_last_line_ends_as_the_whole_one(
    workplace: Any, ended: Any, file: Path
) -> None:
    file.write_bytes(ended[1][:-40])
    again = workplace.run(*COMMAND)
    assert again.code == 0, again
    assert without_seconds(file.read_bytes()) == without_seconds(ended[1])
    assert again.output.count(" seed ") == 1


def test_killed_in_the_middle_and_typed_again_it_ends_as_the_uninterrupted_one(
    workplace: Any, ended: Any, killed: Path
) -> None:
    command = workplace.start("confirm", KILLED, *FLAGS)
    command.wait_until(lambda: killed.exists() and killed.read_bytes().count(b"\n") >= 2)
    command.kill()
    before = killed.read_bytes()
    again = workplace.run("confirm", KILLED, *FLAGS)
    assert again.code == 0, again
    assert killed.read_bytes().startswith(before)
    assert without_seconds(killed.read_bytes()) == without_seconds(ended[1])
    assert verdict_of(again.output) == verdict_of(ended[0].output)
    for name in sorted(path.name for path in predictions(workplace, NAME).iterdir()):
        one, other = (predictions(workplace, run) / name for run in (NAME, KILLED))
        assert parquet.read_table(one) == parquet.read_table(other)


def without_seconds(content: bytes) -> list[ConfirmedRun]:
    """Return the runs without the one thing that differs each time."""
    return [replace(run, seconds=None) for run in runs_of(content)]


def predictions(workplace: Any, name: str) -> Path:
    path: Path = workplace.run_folder(name).predictions
    return path


def verdict_of(output: str) -> str:
    return next(line for line in output.splitlines() if "points held-out mean" in line)


def test_the_tables_and_the_predictions_are_kept_and_named(workplace: Any, ended: Any) -> None:
    folder = workplace.run_folder(NAME)
    told = ended[0].output.splitlines()[-2:]
    assert told == [
        f"Tables: {folder.path / 'confirm.md'} and {folder.path / 'confirm.csv'}",
        f"Predictions: {folder.predictions}",
    ]
    assert (folder.path / "confirm.md").read_text().startswith(f"# Confirmation of `{NAME}`")
    assert len(list(folder.predictions.iterdir())) == len(runs_of(ended[1]))
    assert " test items, trial " in " ".join(ended[0].output.split())
    assert "t test" not in ended[0].output


def test_mlflow_has_the_claim_and_every_run_once(workplace: Any, ended: Any) -> None:
    workplace.run(*COMMAND)
    client = workplace.mlflow()
    experiment = client.get_experiment_by_name("rxtune").experiment_id
    found = client.search_runs([experiment], f"tags.`rxtune.confirm_of` = '{NAME}'")
    (parent,) = [run for run in found if run.info.run_name == "confirm"]
    assert parent.data.metrics["low"] <= parent.data.metrics["difference"]
    assert len(found) == len(runs_of(ended[1])) + 1
    below = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(below) == len(found) - 1


def test_lost_predictions_are_told_and_the_error_is_that_of_seeds_alone(
    workplace: Any, ended: Any
) -> None:
    lost = min(predictions(workplace, NAME).iterdir())
    content = lost.read_bytes()
    lost.write_bytes(content[: len(content) // 2])
    again = workplace.run(*COMMAND)
    lost.write_bytes(content)
    assert again.code == 0, again
    assert f"note: predictions/{lost.name} of seed" in again.output
    assert "t test over seeds alone" in again.output


def test_a_store_that_is_gone_costs_no_result(workplace: Any, ended: Any) -> None:
    where = workplace.run_folder(NAME).path / "places.json"
    kept = where.read_text()
    where.write_text(json.dumps({**json.loads(kept), "tracking_uri": "http://127.0.0.1:9"}))
    again = workplace.run(*COMMAND)
    where.write_text(kept)
    assert again.code == 0, again
    assert "note: MLflow at http://127.0.0.1:9" in again.output
    assert "All results are kept in" in again.output


def test_a_named_trial_and_configuration_are_confirmed_as_well(
    workplace: Any, ended: Any, file: Path
) -> None:
    named = ("--trial", "1", "--configuration", "method=rs_rp,sigma=0.5,learning_rate=0.9")
    again = workplace.run(*COMMAND, *named)
    assert again.code == 0, again
    assert "named 1" in again.output
    assert len(runs_of(file.read_bytes())) > len(runs_of(ended[1]))
    refused = workplace.run(*COMMAND, "--configuration", "method=rs_rp,sigam=1")
    assert (refused.code, "did you mean 'sigma'" in refused.errors) == (2, True)


def test_a_second_look_at_a_whole_confirmation_trains_nothing(workplace: Any, ended: Any) -> None:
    again = workplace.run(*COMMAND)
    assert again.code == 0, again
    assert " seed " not in again.output
    # The same difference and interval; p allows for all that was tested in the meantime.
    before, now = verdict_of(ended[0].output), verdict_of(again.output)
    assert now.partition(", p = ")[0] == before.partition(", p = ")[0]
