"""What a worker reports of one trial, with Ray's `report` replaced by a list."""

from __future__ import annotations

import importlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray.tune
import torch
from pyarrow import parquet
from transformers import AutoModelForSequenceClassification

from rxtune.config import Configuration
from rxtune.data.mixed_language import MixedPairs
from rxtune.errors import DivergedError, NodeLeavingError, TrialOutOfMemoryError
from rxtune.results import Evaluation, Failure, ZeroShot
from rxtune.search import trial
from rxtune.search.trial import evaluate_all, explain, parse, run_trial
from rxtune.search.workload import Workload
from rxtune.train import evaluate


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch, sizes: list[int | None]) -> list[dict[str, Any]]:
    """Every report so far, as the driver reads it."""
    heard: list[dict[str, Any]] = []

    def report(metrics: dict[str, str]) -> None:
        message = parse(metrics["message"])
        sizes.append(message.pop("held"))
        heard.append(message)

    monkeypatch.setattr(ray.tune, "report", report)
    return heard


@pytest.fixture
def sizes() -> list[int | None]:
    """How much the trial's folder held at every report."""
    return []


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    configuration = Configuration(method="rs_rp", sigma=0.5)
    return {
        "number": 3,
        "configuration": configuration.to_json(),
        "folder": str(tmp_path / "trial-0003"),
        "threads": 1,
        "device": "cpu",
        "replicates": 1,
        "replicates_done": 0,
    }


def failing_with(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_a_trial_reports_every_evaluation_then_every_language(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial(config, workload)
    assert [message["kind"] for message in messages] == ["evaluation", "evaluation", "finished"]
    assert [message["evaluation"].number for message in messages[:2]] == [1, 2]
    last, result = messages[1]["evaluation"], messages[2]["zero_shot"]
    assert isinstance(last, Evaluation)
    assert isinstance(result, ZeroShot)
    assert list(last.accuracy) == ["qab"]
    assert list(result.accuracy) == ["eng", "qaa", "qab"]
    assert result.accuracy["qab"] == last.accuracy["qab"] == last.value
    assert (result.source_language, result.dev_languages) == ("eng", ("qab",))


def test_a_trial_on_several_seeds_reports_each_and_keeps_the_first_ones_model(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial(config, workload)
    alone = messages.copy()
    model = Path(config["folder"], "model", "model.safetensors")
    weights = model.read_bytes()
    shutil.rmtree(config["folder"])
    messages.clear()

    run_trial({**config, "replicates": 2}, workload)
    assert [message["kind"] for message in messages] == [*(m["kind"] for m in alone), "finished"]
    first, second = messages[2:]
    assert first == alone[2]
    assert (first["replicate"], second["replicate"]) == (1, 2)
    assert first["value"] == messages[1]["evaluation"].value
    assert second["zero_shot"].accuracy["qab"] == second["value"]
    assert second["zero_shot"] != first["zero_shot"]
    assert model.read_bytes() == weights


def test_a_seed_that_is_done_is_not_trained_again(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial({**config, "replicates": 2}, workload)
    second = messages[-1]
    messages.clear()
    run_trial({**config, "replicates": 2, "replicates_done": 1}, workload)
    assert messages == [second]


def test_every_report_tells_how_much_the_trials_folder_held(
    messages: list[dict[str, Any]],
    sizes: list[int],
    config: dict[str, Any],
    workload: Workload,
) -> None:
    run_trial(config, workload)
    first, second, last = sizes
    assert second == pytest.approx(2 * first, rel=0.01)  # one checkpoint took the other's place
    model = Path(config["folder"], "model", "model.safetensors").stat().st_size
    assert last > first + model


@pytest.mark.parametrize("what", ["checkpoint", "model", "predictions"])
def test_a_full_disk_is_no_failure_of_the_trial(
    what: str,
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes = {
        "checkpoint": "rxtune.train.checkpoint.save_file",
        "model": "transformers.PreTrainedModel.save_pretrained",
        "predictions": "rxtune.train.predictions.parquet.write_table",
    }
    full = OSError(28, "No space left on device")  # a mock of a full disk
    monkeypatch.setattr(writes[what], failing_with(full))
    run_trial(config, workload)
    *evaluations, last = messages
    assert len(evaluations) == (0 if what == "checkpoint" else 2)
    assert last.keys() == {"kind", "reason"}
    assert last["kind"] == "disk full"
    assert (
        f"trial-0003/{'checkpoint' if what == 'checkpoint' else 'model'}: the disk is full: "
        in (last["reason"])
    )
    assert f"{what} need" in last["reason"]


def test_a_trial_reports_macro_f1_and_the_noisy_source_beside_the_accuracy(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    select = workload.study.select.model_copy(
        update={"metric": "macro_f1", "objective": ("source", "compute")}
    )
    study = workload.study.model_copy(update={"select": select})
    run_trial(config, replace(workload, study=study))
    last, result = messages[1]["evaluation"], messages[2]["zero_shot"]
    assert list(last.macro_f1) == ["qab", "eng"]
    assert last.value == last.macro_f1["eng"] == result.macro_f1["eng"] == result.source_score
    assert last.objectives == (last.value, last.forward_equivalents)
    assert result.metric == "macro_f1"
    assert 0.0 <= result.noisy_source <= 1.0


def test_no_language_is_predicted_twice_at_the_end(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As an attribute of its package, the function of the same name hides the module.
    module = importlib.import_module("rxtune.train.evaluate")
    plain, asked = module.predict_by_language, list[list[str]]()

    def predict(model: Any, tables: Any, **values: Any) -> Any:
        asked.append(list(tables))
        return plain(model, tables, **values)

    monkeypatch.setattr(module, "predict_by_language", predict)
    run_trial(config, workload)
    assert asked == [["eng", "qaa"]]


def test_a_test_split_is_not_evaluated_with_noise(workload: Workload) -> None:
    tables = {"eng": workload.dev["eng"], "qab": workload.dev["qab"]}
    result, predictions = evaluate_all(workload.model(0), workload, tables, split="test")
    assert (result.noisy_source, result.split) == (None, "test")
    assert list(result.macro_f1) == list(result.accuracy) == ["eng", "qab"]
    assert predictions.num_rows == 32


def test_the_model_it_leaves_has_the_accuracy_it_reported(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial(config, workload)
    folder = f"{config['folder']}/model"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    accuracy = evaluate(model, workload.dev, pad_id=workload.pad_id)
    assert accuracy == messages[-1]["zero_shot"].accuracy


def test_its_accuracies_can_be_recounted_from_its_predictions(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial(config, workload)
    saved = parquet.read_table(f"{config['folder']}/model/predictions.parquet")
    right, rows = Counter[str](), Counter[str]()
    for row in saved.to_pylist():
        rows[row["language"]] += 1
        right[row["language"]] += row["label"] == row["prediction"]
    reported = messages[-1]["zero_shot"].accuracy
    assert {language: right[language] / rows[language] for language in rows} == reported
    assert saved["id"].to_pylist()[:16] == [f"dev-{number}" for number in range(16)]


def test_mixed_language_pairs_are_reported_where_there_are_some(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    tokens = pa.concat_tables(
        [workload.dev[language] for language in ("eng", "qaa", "qaa", "qab")]
    )
    mixed = MixedPairs(languages=("eng", "qaa"), items=16, tokens=tokens)
    run_trial(config, replace(workload, mixed=mixed))
    result = messages[-1]["zero_shot"]
    assert result.generalized["eng"]["eng"] == result.accuracy["eng"]
    assert result.generalized_mean == result.accuracy["qaa"]


def test_a_trial_that_runs_again_reports_the_same_from_its_checkpoint(
    messages: list[dict[str, Any]], config: dict[str, Any], workload: Workload
) -> None:
    run_trial(config, workload)
    run_trial(config, workload)
    assert messages[:3] == messages[3:]


@pytest.mark.parametrize("updates", [0, 1, 3])
def test_a_trial_whose_machine_leaves_goes_on_to_the_same_reports(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    updates: int,
) -> None:
    run_trial({**config, "folder": str(tmp_path / "straight")}, workload)
    straight = [without_times(message) for message in messages]
    messages.clear()

    asked = iter([False] * updates + [True])
    monkeypatch.setattr(trial, "node_is_leaving", lambda: lambda: next(asked))
    with pytest.raises(NodeLeavingError, match=f"update {updates} of"):
        run_trial(config, workload)  # an exception: its process is not to be used again
    heard = len(messages)
    monkeypatch.setattr(trial, "node_is_leaving", lambda: lambda: False)
    run_trial(config, workload)
    assert [without_times(message) for message in messages[heard:]] == straight
    assert [without_times(message) for message in messages[:heard]] == straight[:heard]


def without_times(message: dict[str, Any]) -> dict[str, Any]:
    if "evaluation" not in message:
        return message
    return {**message, "evaluation": replace(message["evaluation"], seconds=0.0, time=0.0)}


def test_a_storage_that_takes_nothing_costs_a_trial_its_model_and_nothing_else(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run_trial(config, workload)
    straight = [without_times(message) for message in messages]
    messages.clear()

    monkeypatch.setattr("rxtune.storage.PAUSES", (0.0,))
    (tmp_path / "a file").touch()
    run_trial({**config, "folder": str(tmp_path / "a file" / "trial-0003")}, workload)
    trouble = [message.pop("trouble") for message in messages]
    assert [without_times(message) for message in messages] == straight
    (first,), (_,), (last,) = trouble
    assert first.startswith("a checkpoint was not written (")
    assert last.startswith("its model was not saved (")


def test_a_divergence_is_a_report_not_an_exception(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        trial, "train_and_evaluate", failing_with(DivergedError("loss is nan at update 3"))
    )
    run_trial(config, workload)
    reason = "diverged: loss is nan at update 3"
    assert messages == [{"kind": "failed", "failure": Failure.DIVERGED, "reason": reason}]


def test_memory_that_runs_out_is_a_report_that_says_what_to_try(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rxtune.train.fine_tune", failing_with(MemoryError("no room")))
    run_trial(config, workload)
    (message,) = messages
    assert message.keys() == {"kind", "failure", "reason"}
    assert message["failure"] is Failure.OUT_OF_MEMORY
    assert message["reason"].startswith("out of memory: a pass of 8 examples must fit")
    assert "train.accumulation: 2" in message["reason"]


def test_memory_is_given_back_before_a_trial_and_before_it_is_told_of(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "rxtune.train.release_memory", lambda device: told.append((device, len(messages)))
    )
    monkeypatch.setattr(trial, "train_and_evaluate", failing_with(ValueError("odd")))
    run_trial(config, workload)
    assert told == [("cpu", 0), ("cpu", 0)]
    assert len(messages) == 1


def test_a_share_of_a_gpu_that_cannot_be_had_is_a_failure_of_the_trial(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A mock of a GPU that its neighbours have filled before CUDA is up in this process.
    full = RuntimeError("CUDA error: out of memory")
    monkeypatch.setattr(trial, "keep_to_share", failing_with(full))
    run_trial(config, workload)
    (message,) = messages
    assert message["failure"] is Failure.OUT_OF_MEMORY


def test_any_other_error_is_a_report_with_its_traceback(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "train_and_evaluate", failing_with(ValueError("odd\nand more")))
    run_trial(config, workload)
    (message,) = messages
    assert (message["kind"], message["reason"]) == ("failed", "ValueError: odd")
    assert message["failure"] is Failure.ERROR
    assert "in fail\n    raise error\n" in message["traceback"]


def test_rays_way_of_stopping_a_trial_passes_through(
    messages: list[dict[str, Any]],
    config: dict[str, Any],
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "train_and_evaluate", failing_with(SystemExit(0)))
    with pytest.raises(SystemExit):
        run_trial(config, workload)
    assert messages == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried"),
            "out of memory: CUDA out of memory",
        ),
        (MemoryError(), "out of memory: "),
        (TrialOutOfMemoryError("a pass of 8\nx"), "out of memory: a pass of 8"),
        (RuntimeError("shape [2, 3]\nis odd"), "RuntimeError: shape [2, 3]"),
        (DivergedError("update 3 of 9: loss inf"), "diverged: update 3 of 9: loss inf"),
    ],
)
def test_a_reason_is_one_line_that_says_what_kind(error: Exception, reason: str) -> None:
    assert explain(error).startswith(reason)
    assert "\n" not in explain(error)


def test_an_endless_message_is_cut() -> None:
    assert len(explain(ValueError("x" * 10_000))) == 500


def test_a_message_without_records_comes_back_as_it_was() -> None:
    assert parse(json.dumps({"kind": "failed", "reason": "x"})) == {
        "kind": "failed",
        "reason": "x",
    }
