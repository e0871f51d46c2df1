"""What is checked before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Constant, Parameter, Space, Study
from rxtune.errors import DataError, ModelError, StudyError
from rxtune.search.options import SearchOptions
from rxtune.search.plan import Plan, make_plan
from rxtune.search.run_folder import RunPlaces

SPACE = Space({"method": Parameter("method", Constant("standard"))})


def plan(root: Path, resume: bool = False, **study: Any) -> Plan:
    options = SearchOptions(name="rs", root=root, resume=resume)
    return make_plan(Study.model_validate({"space": SPACE, **study}), options)


def test_a_bare_study_is_babel_with_its_own_encoder_and_dev_language(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.task.name == "babel"
    assert made.encoder == "babel-tiny"
    assert made.dev_languages == made.task.dev_languages
    assert made.folder.path == tmp_path / "rs"


def test_what_the_study_names_is_taken(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    model = str(tmp_path / "encoder")
    made = plan(tmp_path, model=model, select={"languages": ["qag", "qaa"]})
    assert made.encoder == model
    assert made.encoder_folder == tmp_path / "encoder"
    assert made.dev_languages == ("qag", "qaa")


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    plan(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_task_language_or_encoder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown task 'babl'; did you mean 'babel'"):
        plan(tmp_path, task="babl")
    with pytest.raises(DataError, match=r"no language 'qax'.*it has eng, qaa"):
        plan(tmp_path, select={"languages": ["qax"]})
    with pytest.raises(ModelError, match="no encoder 'nowhere'"):
        plan(tmp_path, model="nowhere")


def test_only_a_resume_wants_the_run_to_exist(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no run 'rs'"):
        plan(tmp_path, resume=True)
    folder = plan(tmp_path).folder
    folder.create("", RunPlaces(search_id="", tracking_uri="", storage=""))
    folder.journal.touch()
    assert plan(tmp_path, resume=True).folder == folder
    with pytest.raises(StudyError, match="holds a search already"):
        plan(tmp_path)
