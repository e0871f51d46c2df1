"""What MLflow is told about a search when it starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rxtune.config import load_study
from rxtune.search.tracking import describe_start
from rxtune.search.warm_start import Earlier, WarmStart

SPACE = (
    "space: {method: {choice: [standard, rs_rp]}, sigma: {choice: [0.5], when: {method: rs_rp}}}\n"
)


def tokens(rows: int) -> pa.Table:
    return pa.table({"input_ids": [[1, 2, 3]] * rows})


class Told:
    """A tracker that keeps what it is told."""

    search_id = "rs-1"

    def start(self, params: Any, tags: Any, study_yaml: str, description: str) -> None:
        self.params, self.tags, self.description = params, tags, description

    def show(self, shown: Any) -> None:
        self.shown = shown

    def used(self, data: Any) -> None:
        self.data = data


@pytest.fixture
def told(tmp_path: Any) -> Any:
    """Return a function that starts a search of a study with these overrides."""
    (tmp_path / "space.yaml").write_text(SPACE)

    def start(warm_start: Any = None, **overrides: Any) -> Told:
        study = load_study(
            tmp_path / "space.yaml", {k.replace("__", "."): v for k, v in overrides.items()}
        )
        view = SimpleNamespace(
            name="rs",
            study=study,
            encoder="babel-tiny",
            task=SimpleNamespace(name="babel", source_language="eng", origin="embedded"),
            dev_languages=("qaf", "qag"),
            capacity=SimpleNamespace(workers=2),
        )
        workload = SimpleNamespace(
            unit=1.0,
            learning_rate=1e-3,
            epochs=3.0,
            batch_size=32,
            source_language="eng",
            train=tokens(3),
            dev={"eng": tokens(1), "qaf": tokens(2), "qaa": tokens(2)},
        )
        tracker = Told()
        describe_start(tracker, view, workload, warm_start)  # type: ignore[arg-type]
        return tracker

    return start


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({}, "chosen by mean dev accuracy in qaf, qag. It is running"),
        ({"select__metric": "macro_f1"}, "chosen by mean dev macro-F1 in qaf, qag."),
        ({"select__objective": "worst"}, "chosen by worst dev accuracy in qaf, qag."),
        ({"select__objective": "source"}, "chosen by dev accuracy in eng."),
        (
            {"select__objective": ["worst", "compute"]},
            "chosen by worst dev accuracy in qaf, qag, with a Pareto front of worst, compute.",
        ),
    ],
)
def test_the_page_says_by_what_trials_are_chosen(
    told: Any, overrides: dict[str, Any], words: str
) -> None:
    assert words in told(**overrides).description


def test_the_page_says_what_was_learnt_from_earlier_searches(told: Any) -> None:
    learnt = WarmStart(earlier=(Earlier(run="first", best=None, gains=(), dropped=2),))
    page = told(warm_start=learnt)
    assert f"Warm start: {learnt}. It is running" in page.description
    assert page.tags["warm_start"] == str(learnt)
    assert "warm_start" not in told().tags


def test_how_the_search_goes_about_it_is_among_its_parameters(told: Any) -> None:
    params = told(stopping="median", search__sampler="gp", search__replicates=3).params
    asked = {"sampler": "gp", "stopper": "median", "replicates": "3"}
    asked |= {"objective": "mean", "metric": "accuracy"}
    assert asked.items() <= params.items()


def test_the_data_sets_say_what_they_were_used_for(told: Any) -> None:
    data = told().data
    assert [(use.name, use.context, use.rows) for use in data] == [
        ("babel eng train", "training", 3),
        ("babel eng dev", "evaluation", 1),
        ("babel qaf dev", "validation", 2),
        ("babel qaa dev", "evaluation", 2),
    ]
    assert data[2].digest == data[3].digest != data[0].digest


def test_the_view_has_the_parameters_that_are_searched(told: Any) -> None:
    shown = told(select__metric="macro_f1").shown
    assert shown.parameters == ("method", "sigma")
    assert (shown.metric, shown.dev_languages) == ("macro_f1", ("qaf", "qag"))
