"""A confirmation read while it may be running: in order, whole lines only, never written."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from rxtune.config import Configuration
from rxtune.report.page import Findings
from rxtune.report.page.confirmed import in_order, settled
from rxtune.results import ConfirmedRun, TrialRecord
from tests.report.page.simulated import Simulated, findings_of

ROBUST = Configuration(method="rs_rp", sigma=0.5)


def run_of(trial: int | None, role: str, seed: int = 1) -> ConfirmedRun:
    return ConfirmedRun(trial=trial, roles=(role,), configuration=ROBUST, seed=seed)  # type: ignore[arg-type]


def test_runs_stand_in_the_order_that_decides_which_is_the_claim(
    trial: Callable[..., TrialRecord],
) -> None:
    records = [trial(0, value=0.6), trial(3, value=0.7), trial(5, value=0.8)]
    wanted = [(5, "robust"), (3, "robust"), (None, "named"), (0, "best plain")]
    runs = [run_of(*one) for one in wanted]
    random.Random(0).shuffle(runs)
    assert [(run.trial, run.roles[0]) for run in in_order(runs, records)] == wanted


def test_nothing_is_confirmed_without_the_file_or_with_an_empty_one(
    simulated: Callable[..., Simulated],
) -> None:
    search = simulated()
    search.run(2)
    assert findings_of(search).confirmed is None
    search.folder.confirmation.write_text("")
    assert findings_of(search).confirmed is None
    assert findings_of(search).problems == ()


def test_a_line_that_is_being_written_is_left_out(
    simulated: Callable[..., Simulated],
) -> None:
    search = simulated()
    search.run(2)
    search.confirm({("default plain",): (0, Configuration())}, seeds=(1, 2))
    file = search.folder.confirmation
    torn = file.read_bytes()[:-20]
    file.write_bytes(torn)
    found = findings_of(search).confirmed
    assert found is not None
    assert [run.seed for run in found.confirmation.configurations[0].runs] == [1]
    assert file.read_bytes() == torn
    assert settled(found.confirmation) == (
        "not settled yet: no run of a robust configuration has ended, and 1 of plain ones"
    )


def test_a_damaged_line_is_a_problem_and_no_error(simulated: Callable[..., Simulated]) -> None:
    search = simulated()
    search.run(2)
    search.folder.confirmation.write_text("{}\n")
    findings = findings_of(search)
    assert findings.confirmed is None
    (problem,) = findings.problems
    assert problem.startswith("confirm.jsonl cannot be read, so nothing confirmed is shown")


def test_the_verdict_is_that_of_the_command(confirmed: Callable[..., Findings]) -> None:
    found = confirmed(seeds=(1, 2, 3, 4)).confirmed
    assert found is not None
    (contrast,) = found.confirmation.contrasts
    assert contrast.gain is not None
    assert contrast.gain.items == 1000  # an item is drawn with its translations
    assert found.confirmation.optimism is not None


def test_without_predictions_it_is_a_t_test_over_seeds(
    confirmed: Callable[..., Findings],
) -> None:
    found = confirmed(keeps_predictions=False).confirmed
    assert found is not None
    (contrast,) = found.confirmation.contrasts
    assert contrast.gain is not None
    assert contrast.gain.items is None
    assert len([p for p in found.confirmation.problems if p.endswith("is missing")]) == 6


def test_a_folder_of_predictions_stays_as_it_was(
    confirmed: Callable[..., Findings], tmp_path: Path
) -> None:
    confirmed()
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "runs").rglob("*"))
    assert [p.name for p, _ in before if p.name == "report.html"] == []
