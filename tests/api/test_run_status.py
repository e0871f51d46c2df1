"""How a run stands, from its journal alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rxtune import api
from rxtune.api import RunState
from rxtune.config import Study
from rxtune.errors import StudyError
from rxtune.results import Failure
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder
from tests.report.page.simulated import Simulated

Begin = Callable[..., Simulated]


def test_a_search_that_another_process_has_is_running_and_not_disturbed(simulated: Begin) -> None:
    run = simulated()
    run.run(5, running=[4])
    with run.folder.held(), SearchStudy.open(run.folder.journal, sync=lambda _: None) as driver:
        before = run.folder.journal.read_bytes()
        found = api.status("rs")
        assert run.folder.journal.read_bytes() == before
        assert driver.ask() is not None  # it goes on as if nobody had looked
        assert len(api.status("rs").progress.records) == 6
    assert (found.state, found.why) == (RunState.RUNNING, None)
    assert [record.number for record in found.progress.running] == [4]
    assert found.progress.workers is None
    assert found.progress.seconds_left is not None


def test_a_search_whose_trials_have_all_ended_has_ended(simulated: Begin) -> None:
    run = simulated()
    run.run(8, failed=[3])
    found = api.status("rs")
    assert (found.state, found.why, found.progress.ended) == (RunState.ENDED, None, 8)
    assert found.best_model is None
    run.folder.best.mkdir()
    assert api.status("rs").best_model == run.folder.best


def test_a_search_that_was_killed_has_broken_off(simulated: Begin) -> None:
    simulated().run(5, running=[4])
    found = api.status("rs")
    assert (found.state, found.why) == (RunState.BROKEN_OFF, None)
    assert [record.number for record in found.progress.running] == [4]


def cut(run: Simulated, reason: str) -> None:
    """Cut off the trials that run."""
    with SearchStudy.open(run.folder.journal, sync=lambda _: None) as decisions:
        for record in decisions.running():
            decisions.fail(record.number, reason, Failure.INTERRUPTED)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("interrupted: the search was ended", "it was interrupted"),
        ("ended: the time budget of 2h is used up", "the time budget of 2h is used up"),
    ],
)
def test_what_ended_a_search_before_its_trials_is_told_by_what_was_cut_off(
    simulated: Begin, reason: str, why: str
) -> None:
    run = simulated()
    run.run(5, running=[4])
    cut(run, reason)
    found = api.status("rs")
    assert (found.state, found.why, found.progress.cut_off) == (RunState.ENDED, why, 1)


def test_a_cut_that_was_made_good_ends_nothing(simulated: Begin) -> None:
    run = simulated()
    run.run(5, running=[4])
    cut(run, "interrupted: the search was ended")
    run.run(1)  # the same configuration again
    assert api.status("rs").why is None
    assert api.status("rs").progress.cut_off == 0


def test_a_compute_budget_that_is_used_up_ended_it(simulated: Begin, study: Study) -> None:
    run = simulated()
    run.run(3)
    used = api.status("rs").progress.forward_equivalents
    assert api.status("rs").why is None
    with SearchStudy.open(run.folder.journal, sync=lambda _: None) as decisions:
        search = study.search.model_dump(mode="json") | {"compute_budget": used}
        decisions.extend(type(study.search)(**search))
    assert api.status("rs").why == f"the compute budget of {used:g} is used up"


def test_a_run_that_is_being_started_is_told_from_one_that_does_not_exist(folder: Path) -> None:
    assert not api.is_starting("rs")
    with pytest.raises(StudyError, match="no run 'rs'"):
        api.status("rs")
    with RunFolder.new(Path("runs"), "rs").held():
        assert api.is_starting("rs")
        with pytest.raises(StudyError, match="'rs' is being started and has no trial yet"):
            api.status("rs")


def test_a_run_in_another_folder_is_found_there(study: Study, tmp_path: Path) -> None:
    Simulated(tmp_path / "other", study).run(2)
    assert api.status("rs", tmp_path / "other").folder == tmp_path / "other" / "rs"


def test_nothing_was_heard_before_the_present_driver_took_the_run(
    simulated: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = simulated()
    run.run(3, running=[2])
    later = time.time() + 1000
    monkeypatch.setattr("rxtune.api.run_status.time", SimpleNamespace(time=lambda: later))
    with SearchStudy.open(run.folder.journal, sync=lambda _: None), run.folder.held():
        ((record, _),) = api.status("rs").progress.silent
        assert record.number == 2
        os.utime(run.folder.journal.with_name("journal.log.pid"), (later, later))
        assert api.status("rs").progress.silent == ()


def test_a_status_waits_neither_for_torch_nor_for_ray(simulated: Begin, folder: Path) -> None:
    simulated().run(2)
    code = (
        "import sys\nfrom rxtune import api\nassert api.status('rs').progress.ended == 2\n"
        "heavy = {'torch', 'ray', 'transformers', 'mlflow', 'matplotlib', 'pandas'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    path = {"PYTHONPATH": str(Path(api.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=path, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
