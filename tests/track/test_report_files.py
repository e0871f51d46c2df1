"""A report among the artifacts of its search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track import log_report


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in ("report.html", "landscape.png"):
        (tmp_path / name).write_text(f"first {name}")
    return [tmp_path / "report.html", tmp_path / "landscape.png"]


def test_page_and_plots_stand_beside_the_search_and_are_replaced_by_newer_ones(
    open_tracker: Any, database: Path, files: list[Path], record: Any, tmp_path: Path
) -> None:
    tracker = open_tracker()
    tracker.trial_ended(record(0, "stopped"))
    tracker.close()
    uri = f"sqlite:///{database}"
    asked = {"experiment": "babel", "search_id": tracker.search_id, "files": files}
    log_report(uri, **asked)
    files[0].write_text("second")
    log_report(uri, **asked)
    client = MlflowClient(uri)
    found = client.list_artifacts(tracker.run_id, "report")
    assert [file.path for file in found] == ["report/landscape.png", "report/report.html"]
    page = client.download_artifacts(tracker.run_id, "report/report.html", str(tmp_path))
    assert Path(page).read_text() == "second"


def test_a_search_that_mlflow_does_not_have_is_refused(
    open_tracker: Any, database: Path, files: list[Path]
) -> None:
    open_tracker().close()
    with pytest.raises(TrackingError, match="MLflow does not have this search; resume it"):
        log_report(f"sqlite:///{database}", experiment="babel", search_id="gone", files=files)
