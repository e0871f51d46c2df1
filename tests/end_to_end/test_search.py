"""A search from the command line to the model on disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from ray._common.utils import get_default_ray_temp_dir

from rxtune.config import load_study
from rxtune.data import TASKS, load_tokenizer, tokenise
from rxtune.results import TrialState
from rxtune.train import evaluate

pytestmark = pytest.mark.slow_end_to_end

OURS = (
    r"Searching reference: 6 trials of .* on babel.*",
    r" +\d+ s  \d/6  trial \d .*: (finished|stopped) after \d/3, dev .*",
    r" +best robust +best plain +default plain +robust − plain",
    r"(trial|method|learning_rate|sigma|dev score|target mean|held-out mean) .*",
    r"(eng|qa[a-g])( \(.*\))? .*",
    r"A search's own score is optimistic: .*",
    r"note: .*",
    r"6 trials in \d+ s.*",
    r"Best model: .*/runs/reference/best",
    r"Next: .*",
    r"  rxtune (confirm reference --workers 1|report reference|ui reference)",
    r"",
)


def test_it_succeeds_and_prints_nothing_that_is_not_ours(reference: Any) -> None:
    assert reference.code == 0, reference
    assert reference.errors == ""
    lines = [line.rstrip() for line in reference.output.split("\n")]
    assert [line for line in lines if not any(re.fullmatch(own, line) for own in OURS)] == []


def test_it_trains_in_the_process_that_ray_has_started_in_advance(reference: Any) -> None:
    """A second one would import all over again, and the first trial would wait for that."""
    (logs,) = Path(get_default_ray_temp_dir()).glob(f"session_*_{reference.pid}/logs")
    assert len([*logs.glob("python-core-worker-*.log")]) == 1


def test_every_trial_has_ended_and_the_baseline_ran_first(workplace: Any, reference: Any) -> None:
    records = workplace.records("reference")
    assert [record.number for record in records] == list(range(6))
    assert {record.state for record in records} <= {TrialState.FINISHED, TrialState.STOPPED}
    assert records[0].is_baseline
    assert records[0].state is TrialState.FINISHED
    assert [len(r.evaluations) for r in records if r.zero_shot] == [
        3 for r in records if r.state is TrialState.FINISHED
    ]


def test_mlflow_shows_the_search_as_one_run_with_a_run_per_trial(
    workplace: Any, reference: Any
) -> None:
    parent, trials = workplace.runs("reference")
    records = workplace.records("reference")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["state"] == "finished"
    assert parent.data.params["trials"] == "6"
    assert {"held_out_mean", "target_mean"} <= parent.data.metrics.keys()
    assert parent.data.metrics["dev_accuracy"] == max(r.value for r in records if r.zero_shot)
    assert [run.data.tags["mlflow.parentRunId"] for run in trials] == [parent.info.run_id] * 6
    assert [run.data.tags["state"] for run in trials] == [r.state.value for r in records]
    assert [float(run.data.params["learning_rate"]) for run in trials] == pytest.approx(
        [record.configuration.learning_rate for record in records], rel=1e-3
    )
    assert all("absolute_learning_rate" in run.data.tags for run in trials)
    assert [run.data.metrics["dev_accuracy/qaf"] for run in trials] == [r.value for r in records]
    assert [run.data.metrics.get("target_mean") for run in trials] == [
        record.zero_shot and round(record.zero_shot.target_mean, 6) for record in records
    ]
    assert "study.yaml" in {f.path for f in workplace.mlflow().list_artifacts(parent.info.run_id)}


def test_the_best_model_has_exactly_the_accuracy_that_was_reported(
    workplace: Any, reference: Any
) -> None:
    from transformers import AutoModelForSequenceClassification

    parent, _ = workplace.runs("reference")
    winner = workplace.records("reference")[int(parent.data.tags["best.trial"])]
    folder, task = workplace.run_folder("reference").best, TASKS["babel"]
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = load_tokenizer(folder)
    tables = {
        language: tokenise(task.read(language, "dev"), tokenizer, 32)
        for language in task.languages
    }
    torch.set_num_threads(1)
    assert evaluate(model, tables, pad_id=tokenizer.pad_token_id) == winner.zero_shot.accuracy
    assert list(model.config.id2label.values()) == list(task.labels)


def test_the_kept_study_can_be_given_back(workplace: Any, reference: Any) -> None:
    overrides = {"model": str(workplace.encoder)}
    given = load_study(workplace.folder / "space.yaml", overrides)
    assert load_study(workplace.run_folder("reference").study) == given


def test_nothing_is_left_of_what_trials_keep_while_they_run(
    workplace: Any, reference: Any
) -> None:
    folder = workplace.run_folder("reference").path
    assert sorted(path.name for path in folder.iterdir()) == [
        "best",
        "checkpoints",
        "journal.log",
        "places.json",
        "study.yaml",
    ]
    assert list((folder / "checkpoints").iterdir()) == []
