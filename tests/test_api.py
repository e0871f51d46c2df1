"""The verbs as functions."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rxtune import api
from rxtune.api import SearchOptions, read_study
from rxtune.api.outcome import conclude
from rxtune.config import Configuration, load_study
from rxtune.errors import StudyError
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.search.run_folder import RunFolder, RunPlaces
from tests.space import SPACE


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


@pytest.fixture
def resumed(tmp_path: Path, space: Path) -> SearchOptions:
    """Options that resume the run of the space file."""
    folder = RunFolder.new(tmp_path / "runs", "rs")
    places = RunPlaces(search_id="x", tracking_uri="", storage="")
    folder.create(load_study(space).to_yaml(), places)
    folder.journal.touch()
    return SearchOptions(name="rs", root=tmp_path / "runs", resume=True)


def test_what_is_exported_exists() -> None:
    assert set(api.__all__) <= vars(api).keys()
    assert all(callable(getattr(api, name)) for name in api.__all__)


def test_a_new_search_reads_the_space_file_and_the_overrides(space: Path) -> None:
    study = read_study(space, SearchOptions(name="rs"), {"search.trials": 60})
    assert study == load_study(space, {"search.trials": 60})


def test_a_new_search_needs_a_space_file() -> None:
    with pytest.raises(StudyError, match="--space: a space file is needed"):
        read_study(None, SearchOptions(name="rs"))


def test_a_resumed_search_needs_none_and_may_be_given_the_same(
    space: Path, resumed: SearchOptions
) -> None:
    study = load_study(space)
    assert read_study(None, resumed) == study
    assert read_study(space, resumed) == study


def test_a_resumed_search_may_have_more_trials_but_not_fewer(resumed: SearchOptions) -> None:
    assert read_study(None, resumed, {"search.trials": 60}).search.trials == 60
    with pytest.raises(StudyError, match="has 6 trials and cannot shrink to 5"):
        read_study(None, resumed, {"search.trials": 5})


@pytest.mark.parametrize(
    ("overrides", "difference"),
    [
        ({"search.seed": 1}, r"another study: search\.seed was 0, is 1; leave"),
        (
            {"task": "xnli", "train.epochs": 2.0},
            r"task was 'babel', is 'xnli'; train\.epochs was nothing, is 2\.0;",
        ),
        ({"stopping": "none"}, r"stopping\.asha was \{'evaluations': 6, .*\}, is nothing;"),
        ({"model": "some/name"}, "model was nothing, is 'some/name';"),
    ],
)
def test_another_search_is_not_resumed_and_the_difference_is_named(
    resumed: SearchOptions, overrides: dict[str, Any], difference: str
) -> None:
    with pytest.raises(StudyError, match=difference):
        read_study(None, resumed, overrides)


def test_another_place_is_refused_before_anything_is_read(resumed: SearchOptions) -> None:
    with pytest.raises(StudyError, match="--storage: run 'rs' was begun with "):
        read_study(None, replace(resumed, storage="s3://other"))


def test_flags_win_over_the_run_and_what_is_not_said_stays_as_it_is(
    space: Path, resumed: SearchOptions, tmp_path: Path
) -> None:
    folder = RunFolder.existing(tmp_path / "runs", "rs")
    grown = load_study(space, {"search.trials": 60, "search.compute_budget": "3e9"})
    folder.study.write_text(grown.to_yaml())
    plain = read_study(None, resumed, {"search.time_budget": "2h"}).search
    assert (plain.trials, plain.time_budget) == (60, 7200.0)
    assert plain.compute_budget == grown.search.compute_budget
    space.write_text(SPACE.replace("trials: 6", "plateau: 9"))
    filed = read_study(space, resumed, {"search.compute_budget": "6e9"}).search
    assert (filed.trials, filed.plateau) == (60, 9)
    assert filed.compute_budget.amount == 6e9


def test_a_search_that_goes_on_cannot_start_from_others(resumed: SearchOptions) -> None:
    with pytest.raises(StudyError, match="--warm-start: only a new search starts from others"):
        read_study(None, replace(resumed, warm_start=("other",)))


@pytest.mark.parametrize("model", ["babel-tiny", "some/name", None])
def test_only_a_folder_that_exists_is_made_absolute(
    space: Path, model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "babel-tiny").mkdir()  # the embedded encoder goes first
    (tmp_path / "encoder").mkdir()
    options = SearchOptions(name="rs")
    assert read_study(space, options, {"model": model}).model == model
    found = read_study(space, options, {"model": "encoder"})
    assert found.model == str(tmp_path / "encoder")


def test_a_run_on_a_folder_named_from_here_goes_on_from_anywhere(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.new(tmp_path / "runs", "far")
    study = read_study(space, SearchOptions(name="far"), {"model": "encoder"})
    folder.create(study.to_yaml(), RunPlaces(search_id="x", tracking_uri="", storage=""))
    folder.journal.touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = SearchOptions(name="far", root=tmp_path / "runs", resume=True)
    assert read_study(None, resumed).model == str(tmp_path / "encoder")


def test_another_space_is_named_by_parameter(space: Path, resumed: SearchOptions) -> None:
    space.write_text(SPACE.replace("[0.1, 3.0]", "[0.1, 2.0]") + "  # noise\n".replace(" ", ""))
    with pytest.raises(
        StudyError, match=r"space\.sigma\.log_uniform was \[0\.1, 3\.0\], is \[0\.1, 2\.0\];"
    ):
        read_study(space, resumed)


# --- what MLflow shows of the whole search


def trial(number: int, value: float, configuration: Configuration, **accuracy: float) -> Any:
    evaluation = Evaluation(
        number=6,
        updates=60,
        value=value,
        accuracy={"qaf": value},
        train_loss=1.0,
        forward_equivalents=100.0,
        seconds=3.0,
        time=1.7e9,
    )
    return TrialRecord(
        number=number,
        configuration=configuration,
        state=TrialState.FINISHED,
        is_baseline=number == 0,
        evaluations=(evaluation,),
        zero_shot=ZeroShot(
            accuracy={"eng": 0.9, "qaf": value, **accuracy},
            source_language="eng",
            dev_languages=("qaf",),
        ),
    )


def result(space: Path, *records: TrialRecord) -> Any:
    study = load_study(space)
    view = SimpleNamespace(
        name="rs",
        study=study,
        task=SimpleNamespace(name="babel", source_language="eng"),
        encoder="babel-tiny",
        folder=space.parent / "runs" / "rs",
        dev_examples=1000,
        disk_forecast=0,
    )
    return SimpleNamespace(view=view, records=records, disk_peak=0)


ROBUST = Configuration(method="rs_rp", sigma=0.81234, learning_rate=1.5)


def test_the_parent_run_carries_the_winner_and_its_gain(space: Path) -> None:
    plain = trial(0, 0.5, Configuration(), qaa=0.6, qab=0.4)
    robust = trial(1, 0.62, ROBUST, qaa=0.7, qab=0.5)
    end = conclude(result(space, plain, robust))
    assert end.metrics == {
        "dev_accuracy": 0.62,
        "target_mean": 0.606667,  # (0.62 + 0.7 + 0.5) / 3, without the other ten digits
        "held_out_mean": 0.6,
        "source_accuracy": 0.9,
        "worst_language_accuracy": 0.5,
        "gain_over_best_plain": 0.12,
        "disk_peak_bytes": 0.0,
        "disk_forecast_bytes": 0.0,
    }
    assert end.tags == {
        "best.trial": "1",
        "best.method": "rs_rp",
        "best.learning_rate": "1.5",
        "best.sigma": "0.8123",
        "best.samples": "1",
        "best.clean_weight": "0",
        "best.site": "word",
    }
    assert "rxtune search `rs`" in end.description
    assert end.artifacts["summary.md"].splitlines()[0].startswith("|  | best robust |")


def test_a_mean_that_does_not_exist_is_no_metric(space: Path) -> None:
    end = conclude(result(space, trial(0, 0.5, Configuration())))
    assert "held_out_mean" not in end.metrics  # there is no target but the dev language
    assert not any(math.isnan(value) for value in end.metrics.values())
    assert "nan" not in end.description


def test_a_search_without_a_result_says_so(space: Path) -> None:
    end = conclude(result(space))
    assert end.metrics.keys() == {"disk_peak_bytes", "disk_forecast_bytes"}
    assert end.tags == {}
    assert "no trial ran to its end" in end.description


def test_a_second_driver_of_a_run_is_refused_before_ray_is_imported(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SearchOptions(name="rs", root=tmp_path / "runs")
    plan: Any = SimpleNamespace(folder=RunFolder.new(options.root, options.name))
    monkeypatch.setitem(sys.modules, "rxtune.search.start", None)
    with plan.folder.held(), pytest.raises(StudyError, match="another rxtune search"):
        api.search(load_study(space), options, plan=plan)


def test_a_plan_that_is_handed_in_is_not_made_again(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SearchOptions(name="rs", root=tmp_path / "runs")
    heard: list[Any] = []
    monkeypatch.setattr("rxtune.search.start.run_search", lambda plan, **_: heard.append(plan))
    made, plan = (
        SimpleNamespace(folder=RunFolder.new(tmp_path, name)) for name in ("made", "handed-in")
    )
    monkeypatch.setattr("rxtune.search.plan.make_plan", lambda *_: made)
    api.search(load_study(space), options, plan=cast("Any", plan))
    api.search(load_study(space), options)
    assert heard == [plan, made]


def test_the_page_of_a_search_says_the_result_the_space_and_how_again(space: Path) -> None:
    plain = trial(0, 0.5, Configuration(), qaa=0.6, qab=0.4)
    end = conclude(result(space, plain, trial(1, 0.62, ROBUST, qaa=0.7, qab=0.5)))
    assert end.description.startswith(
        "**rxtune search `rs`** of `babel-tiny` on `babel`, trained in eng, chosen by qaf. Best:"
        " trial 1, `rs_rp`, dev 62.0 %, +12.0 points over the best plain; held-out mean 60.0 %."
    )
    assert "sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}\n" in end.description
    assert "rxtune search --space study.yaml" in end.description
    assert end.artifacts["languages.csv"].splitlines()[:2] == [
        "language,role,best robust,best plain,default plain",
        "eng,source,90.0,90.0,90.0",
    ]
    assert end.best_trial is None  # no model lies in the folder
