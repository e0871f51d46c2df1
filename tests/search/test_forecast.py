"""What a search costs: arithmetic on a few measured seconds, and that they can be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, Configuration, Parameter, Space, Study, Uniform
from rxtune.data import Task
from rxtune.errors import TrialOutOfMemoryError
from rxtune.search.disk import DiskNeed
from rxtune.search.forecast import Checked, Forecast, MethodForecast, check_ground, measure
from rxtune.search.plan import Ground
from rxtune.search.workload import Workload


def method(seconds: float, updates: int = 100, drawing: float = 0.0) -> MethodForecast:
    return MethodForecast(
        configuration=Configuration(),
        step_seconds=seconds,
        updates=updates,
        forward_equivalents=96.0 * updates,
        drawing_seconds=drawing,
    )


def forecast(*methods: MethodForecast, **changes: Any) -> Forecast:
    fields: dict[str, Any] = {
        "device": "cpu",
        "precision": "fp32",
        "methods": methods,
        "evaluations": 2,
        "evaluation_seconds": 3.0,
        "final_seconds": 4.0,
        "disk": DiskNeed(model_bytes=10, workers=2, keep=1),
        "trials": 4,
        "at_a_time": 2,
        "notes": (),
    }
    return Forecast(**{**fields, **changes})


def test_a_trial_is_its_steps_its_words_and_its_evaluations() -> None:
    words = method(0.5, drawing=7.0)
    assert forecast(words).trial_seconds(words) == 100 * 0.5 + 7.0 + 2 * 3.0 + 4.0


def test_a_search_is_its_start_points_and_then_equal_shares() -> None:
    plain, robust = method(0.1), method(0.3)  # trials of 20 and 40 s
    assert forecast(plain, robust, trials=4).total_seconds == pytest.approx(20 + 40 + 2 * 30)
    assert forecast(plain, robust, trials=1).total_seconds == pytest.approx(20)


def test_every_method_is_timed_and_nothing_is_trained(workload: Workload) -> None:
    weights = {name: array.copy() for name, array in workload.weights.state.items()}
    found = measure(workload)
    methods = [item.configuration.method for item in found.methods]
    assert methods == ["standard", "rs_rp", "adv"]
    assert [item.updates for item in found.methods] == [5, 5, 5]
    assert all(item.step_seconds > 0 for item in found.methods)
    assert found.final_seconds == pytest.approx(3 * found.evaluation_seconds)
    assert (found.device, found.precision, found.trials) == ("cpu", "fp32", 6)
    assert found.disk.model_bytes > sum(array.nbytes for array in weights.values()) / 2
    assert found.disk.workers == min(found.at_a_time, 6)
    assert all((workload.weights.state[name] == weights[name]).all() for name in weights)


def test_too_coarse_a_precision_is_noted_once(workload: Workload, study: Study) -> None:
    train = study.train.model_copy(update={"precision": "bf16"})
    domain = Choice((0.01,))
    space = Space({**study.space.parameters, "radius": Parameter("radius", domain)})
    coarse = study.model_copy(update={"train": train, "space": space})
    (note,) = measure(replace(workload, study=coarse)).notes
    assert "under bf16 a relative radius of 0.01" in note


def test_a_step_that_does_not_fit_is_refused_with_what_to_try(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr("rxtune.train.timing.robust_step", fail)
    with pytest.raises(TrialOutOfMemoryError, match=r"train\.accumulation: 2"):
        measure(workload)


def checked(study: Study, task: Task, encoder: Path, heard: list[Any]) -> Checked:
    ground = Ground(
        study=study,
        task=task,
        dev_languages=("qab",),
        encoder="tiny",
        encoder_folder=encoder,
        data=None,
        inputs={},
    )
    return check_ground(ground, on_data=lambda *found: heard.append(found))


def test_data_is_told_of_before_the_encoder_is_timed(
    study: Study, task: Task, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def timed(workload: Workload) -> Any:
        assert len(heard) == 1
        return None

    monkeypatch.setattr("rxtune.search.forecast.measure", timed)
    found = checked(study, task, tiny_encoder, heard)
    assert found.data.rows["eng", "train"] == 40
    assert [share.language for share in found.unknown] == ["eng", "qaa", "qab"]
    assert heard == [(found.ground, found.data, found.unknown)]


def test_words_are_drawn_once_or_in_every_epoch(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    rich = replace(task, substitutes=lambda kind: {"cat": ("dog",)})
    space = Space(
        {
            "method": Parameter("method", Choice(("standard", "rs_da"))),
            "replace_probability": Parameter("replace_probability", Uniform(0.5, 0.9)),
            "substitution": Parameter("substitution", Choice(("static",))),
        }
    )
    found = checked(study.model_copy(update={"space": space}), rich, tiny_encoder, [])
    plain, words = found.forecast.methods
    assert plain.drawing_seconds == 0.0
    assert words.drawing_seconds > 0.0
    assert words.updates == 4 * plain.updates  # the original and three copies


def test_the_cost_in_forward_passes_is_what_a_trial_would_report(workload: Workload) -> None:
    found = {m.configuration.method: m for m in measure(workload).methods}
    plain, noisy, adversarial = found["standard"], found["rs_rp"], found["adv"]
    assert plain.forward_equivalents == 3 * workload.train.num_rows * workload.epochs
    assert noisy.forward_equivalents == plain.forward_equivalents
    steps = adversarial.configuration.pgd_steps
    assert adversarial.forward_equivalents == pytest.approx(
        plain.forward_equivalents * (1 + 2 * steps / 3)
    )
