"""`rxtune.search` and `rxtune.confirm`: plain values become a study and options."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

import rxtune
from rxtune.api import python
from rxtune.config import load_study
from rxtune.errors import StudyError
from tests.report.page.simulated import Simulated


@pytest.fixture
def problems() -> list[str]:
    """What a search went on without: nothing, unless a test puts something in."""
    return []


@pytest.fixture
def searched(
    simulated: Callable[..., Simulated], problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """What `rxtune.api.search` was asked, which trains nothing."""
    asked: list[Any] = []

    def search(study: Any, options: Any, *, watch: Any) -> Any:
        asked.append(SimpleNamespace(study=study, options=options, watch=watch))
        if not options.resume:
            simulated(name=options.name)
        return SimpleNamespace(all_problems=problems, interrupted=options.name == "cut")

    monkeypatch.setattr("rxtune.api.train.search", search)
    return asked


def test_settings_are_those_of_the_flags(folder: Path, searched: list[Any]) -> None:
    run = rxtune.search("space.yaml", name="first", trials=5, languages=["qag"], stopper="none")
    (asked,) = searched
    overrides = {"search.trials": 5, "select.languages": ["qag"], "stopping": "none"}
    assert asked.study == load_study("space.yaml", overrides)
    assert (run.name, run.folder) == ("first", folder / "runs" / "first")


def test_every_flag_of_a_study_is_a_setting_that_type_checkers_know() -> None:
    assert python.KEYS.keys() == python.Settings.__annotations__.keys()


def test_places_become_options(searched: list[Any]) -> None:
    rxtune.search(Path("space.yaml"), name="a", workers=2, tracking_uri="sqlite:///x.db")
    options = searched[0].options
    assert (options.name, options.workers, options.resume) == ("a", 2, False)
    assert options.tracking_uri == "sqlite:///x.db"


def test_a_name_is_made_of_the_space_files(searched: list[Any]) -> None:
    assert rxtune.search("space.yaml").name.startswith("space-")


def test_a_run_is_resumed_by_its_name_alone(searched: list[Any]) -> None:
    rxtune.search("space.yaml", name="a")
    rxtune.search(name="a", resume=True, trials=20)
    assert searched[1].options.resume
    assert searched[1].study.search.trials == 20
    with pytest.raises(StudyError, match="name the run to go on with"):
        rxtune.search(resume=True)


def test_an_unknown_setting_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"no setting 'trails'; did you mean 'trials'\?"):
        rxtune.search("space.yaml", trails=5)  # type: ignore[call-arg]


def test_a_wrong_value_is_refused_as_on_the_command_line(folder: Path) -> None:
    with pytest.raises(StudyError, match="--trials: "):
        rxtune.search("space.yaml", trials=0)
    assert not (folder / "runs").exists()


def test_what_a_search_went_on_without_is_a_warning(
    searched: list[Any], problems: list[str]
) -> None:
    problems.append("no metrics of trial 3")
    with pytest.warns(RuntimeWarning, match="no metrics of trial 3"):
        rxtune.search("space.yaml", name="a")


def test_ctrl_c_ends_the_caller_too_and_says_how_to_go_on(searched: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"search\(name='cut', resume=True\) goes on"):
        rxtune.search("space.yaml", name="cut")


def test_confirm_takes_a_run_or_its_name(
    simulated: Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def confirm(options: Any, **others: Any) -> Any:
        asked.append((options, others["seeds"], others["top"]))
        return SimpleNamespace(problems=())

    monkeypatch.setattr("rxtune.api.train.confirm", confirm)
    simulated()
    run = rxtune.confirm(rxtune.load_run("rs"), seeds=2, workers=1)
    assert rxtune.confirm("rs", seeds=2, workers=1) == run
    (one, *same), (other, *others) = asked
    assert one.root.absolute() == other.root.absolute()
    assert (one.name, one.workers, same) == (other.name, other.workers, others)


# --- the front door


def test_the_names_are_there_and_nothing_else_is_promised() -> None:
    assert {*rxtune.__all__} <= {*dir(rxtune)}
    assert all(callable(getattr(rxtune, name)) for name in rxtune.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        _ = rxtune.serach  # type: ignore[attr-defined]


def test_search_is_the_verb_and_still_the_package() -> None:
    import rxtune.search.plan as plan

    assert inspect.signature(rxtune.search) == inspect.signature(python.search)
    assert plan is sys.modules["rxtune.search"].plan  # type: ignore[attr-defined]


def test_the_package_loads_nothing_but_itself() -> None:
    code = (
        "import sys\nbefore = {*sys.modules}\nimport rxtune\n"
        "loaded = {name.partition('.')[0] for name in {*sys.modules} - before}\n"
        "print(*sorted(loaded - {*sys.stdlib_module_names}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rxtune"]


def test_the_hints_of_the_verbs_can_be_resolved_where_a_notebook_asks() -> None:
    assert get_type_hints(python.Settings)["trials"] is int
