"""Pictures of a search in MLflow, as a browser shows it.

    rxtune search --space search_spaces/rs.yaml --name first
    PYTHONPATH=. python docs/pictures/mlflow_pages.py first        # writes docs/mlflow*.png

Needs Chromium with its driver, and the extra `test`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rxtune.search.run_folder import RunFolder
from rxtune.track.ui import page_of, ui_on
from tests.browser import Browser, browsing

DOCS = Path(__file__).parents[1]
SETTLED = 3.0
"""Seconds after which no chart moves any more."""


def take(window: Browser, page: str, name: str, *expected: str) -> None:
    """Open a page, wait until it shows what is expected, and write its picture."""
    window.open(page)
    window.wait_for(*expected)
    time.sleep(SETTLED)
    window.picture(DOCS / f"{name}.png")


def main() -> None:
    """Take all pictures of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    places = RunFolder.existing(arguments.runs, arguments.run).places()
    view = page_of(places.tracking_uri, places.search_id)
    own = page_of(places.tracking_uri, places.search_id, of_run=True)
    with ui_on(places.tracking_uri) as ui, browsing(ui.address, 1500, 950) as window:
        take(window, view, "mlflow", "matching runs", "t00 standard")
        take(window, f"{view}&compareRunsMode=CHART", "mlflow-charts", "Parallel Coordinates")
        take(window, own, "mlflow-search", "rxtune search")


if __name__ == "__main__":
    main()
