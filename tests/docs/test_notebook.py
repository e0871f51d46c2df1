"""The notebook: kept without outputs, and what it shows when it is run."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

import rxtune
from tests.docs.pages import REPOSITORY


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(REPOSITORY / "examples" / "babel.ipynb", 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.slow_end_to_end
def test_it_goes_from_a_search_to_a_prediction(notebook: Any, place: Any) -> None:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = "".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "Run(name='first'" in shown
    assert re.search(r"trial \d robust", shown)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any(label in shown for label in ("entailment", "neutral", "contradiction"))
    run = rxtune.load_run("first", place / "runs")
    assert len(run.trials) == 4
    assert run.contrasts.seeds[0] == 2
