"""MLflow's pages as a person sees them: a real server, a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Configuration
from rxtune.track import BestModel, DataUse, Shown, Tracker
from rxtune.track.ui import page_of
from tests import browser as chromium
from tests.browser import Browser, browsing
from tests.tracking_server import TrackingServer

pytestmark = [
    pytest.mark.slow_end_to_end,
    pytest.mark.skipif(chromium.missing() is not None, reason=f"{chromium.missing()}"),
]

CONFIGURATIONS = (
    Configuration(),
    Configuration(method="rs_rp", sigma=0.5477225575051661),
    Configuration(method="adv", radius=0.03, pgd_steps=1),
    Configuration(method="smooth_adv", sigma=1.2, radius=0.02, pgd_steps=2),
)
PAGE = (
    "**rxtune search `rs`** of `babel-tiny`\n\n| language | best |\n| --- | ---: |\n| qaf | 80.1 |"
)


@dataclass(frozen=True)
class Site:
    """A store with one search, its server, and a window on it."""

    browser: Browser
    tracker: Tracker
    trials: dict[int, str]

    @property
    def experiment(self) -> str:
        return f"/#/experiments/{self.tracker.experiment_id}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, record: Any) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("browsed")
    tracker = write_search(f"sqlite:///{folder}/mlflow.db", record)
    found = tracker._client.search_runs([tracker.experiment_id], "tags.`rxtune.trial` LIKE '%'")
    trials = {int(run.data.tags["rxtune.trial"]): run.info.run_id for run in found}
    with TrackingServer(folder) as server, browsing(server.url) as window:
        yield Site(window, tracker, trials)


def write_search(uri: str, record: Any) -> Tracker:
    """Write a search of four trials: one of each method, one of them stopped."""
    tracker = Tracker.open(uri, experiment="rxtune", run_name="rs", search_id="rs-1")
    tracker.start({"task": "babel"}, {}, "space: {method: standard}\n", "running")
    tracker.show(
        Shown(
            search_id="rs-1",
            name="rs",
            metric="accuracy",
            parameters=("method", "sigma", "radius", "pgd_steps", "learning_rate"),
            dev_languages=("qaf",),
            began=1.7e9,
        )
    )
    tracker.used(
        [
            DataUse(
                name="babel eng train",
                context="training",
                source="embedded",
                digest="abc",
                rows=6000,
            )
        ]
    )
    for number, configuration in enumerate(CONFIGURATIONS):
        state = "stopped" if number == 2 else "finished"
        tracker.trial_ended(record(number, state, evaluations=3, configuration=configuration))
    tracker.found(BestModel(trial=1, name="rs-best", place="runs/rs/best", parameters={}))
    tracker.search_ended(
        "finished",
        metrics={"dev_accuracy": 0.43, "held_out_mean": 0.65},
        tags={"best.trial": "1"},
        description=PAGE,
        artifacts={"languages.csv": "language,best robust\nqaf,80.1\n", "summary.md": "| a |"},
    )
    tracker.close()
    assert tracker.problems == []
    return tracker


def test_the_view_of_a_search_opens_with_the_columns_that_matter(site: Site) -> None:
    uri = site.tracker.uri
    site.browser.open(page_of(uri, "rs-1"))
    site.browser.wait_for("t03 smooth_adv", "t00 standard", "0.5477")
    heads = [text for text in site.browser.texts(".ag-header-cell-text, .ag-header-cell") if text]
    shown = site.browser.text
    for column in ("state", "method", "sigma", "radius", "pgd_steps", "dev_accuracy"):
        assert column in heads or column in shown
    assert "train_loss" not in shown
    assert "duration_seconds" not in shown
    assert "4 matching runs" in shown
    assert "stopped" in shown


def test_the_view_stands_in_the_menu_of_a_page_that_was_opened_without_it(site: Site) -> None:
    site.browser.open(f"{site.experiment}/runs")
    site.browser.wait_for("rs-best", "matching run")
    site.browser.click("//button[contains(., 'Views')]")
    site.browser.wait_for("rxtune: trials of rs", "rxtune: searches")


def test_trials_stand_under_their_search(site: Site) -> None:
    site.browser.open(f"{site.experiment}/runs")
    site.browser.wait_for("matching run", "rs-best")
    assert "t01 rs_rp" not in site.browser.text
    site.browser.click("(//div[contains(@class, 'ag-row')]//button)[1]")
    site.browser.wait_for("t01 rs_rp", "t03 smooth_adv")


def test_the_views_charts_are_curves_per_language_and_parallel_coordinates(site: Site) -> None:
    page = page_of(site.tracker.uri, "rs-1")
    site.browser.open(f"{page}&compareRunsMode=CHART")
    site.browser.wait_for("Trials of rs", "dev_accuracy/qaf", "Parallel Coordinates")
    site.browser.wait_for_element("svg .parcoords, .parcoords, canvas")


def test_comparing_runs_draws_every_trial_of_every_method(site: Site) -> None:
    ids = ",".join(f'"{run}"' for run in site.trials.values())
    experiment = site.tracker.experiment_id
    site.browser.open(f'/#/compare-runs?runs=[{ids}]&experiments=["{experiment}"]')
    site.browser.wait_for("Comparing 4 Runs", "Parallel Coordinates Plot")


def test_a_trials_charts_show_its_curve_in_the_dev_language(site: Site) -> None:
    site.browser.open(f"{site.experiment}/runs/{site.trials[1]}/model-metrics")
    site.browser.wait_for("dev_accuracy", "qaf", "zero_shot")
    site.browser.wait_for_element("svg.main-svg")


def test_the_searchs_page_says_what_was_found_on_what_data(site: Site) -> None:
    site.browser.open(f"{site.experiment}/runs/{site.tracker.run_id}")
    site.browser.wait_for("rxtune search rs", "80.1", "babel eng train", "rs-best")
    assert site.browser.texts("table td")  # the Markdown table is one


@pytest.mark.parametrize(
    ("name", "expected"),
    [("study.yaml", "method: standard"), ("languages.csv", "80.1"), ("summary.md", "| a |")],
)
def test_artifacts_are_seen_in_place(site: Site, name: str, expected: str) -> None:
    site.browser.open(f"{site.experiment}/runs/{site.tracker.run_id}/artifacts/{name}")
    site.browser.wait_for(name, expected)
