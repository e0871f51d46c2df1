"""What is checked before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rxtune.config import (
    Constant,
    Parameter,
    Space,
    Study,
    TaskChoice,
    TaskFile,
    load_task,
)
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
    folder.journal.write_text("{}\n")
    assert plan(tmp_path, resume=True).folder == folder
    with pytest.raises(StudyError, match="holds a search already"):
        plan(tmp_path)


def write_own(folder: Path) -> TaskFile | TaskChoice | str:
    for name in ("train-en", "dev-en", "dev-sw", "test-en", "test-sw", "test-yo"):
        (folder / f"{name}.tsv").write_text("text\tlabel\na\tpos\n")
    lines = [f'  {split}: "{split}-{{language}}.tsv"' for split in ("train", "dev", "test")]
    head = "labels: [neg, pos]\nsource_language: en\nmodel: babel-tiny\nfiles:\n"
    (folder / "mine.yaml").write_text(head + "\n".join(lines))
    return load_task(str(folder / "mine.yaml"))


def test_own_data_is_planned_from_its_task_file(tmp_path: Path) -> None:
    own = write_own(tmp_path)
    made = plan(tmp_path / "runs", task=own, select={"languages": ["sw"]})
    assert (made.task.name, made.task.languages) == ("mine", ("en", "sw", "yo"))
    assert made.encoder == "babel-tiny"
    with pytest.raises(DataError, match="'yo' has no dev data in task 'mine'; choose among sw"):
        plan(tmp_path / "runs", task=own, select={"languages": ["yo"]})
    with pytest.raises(DataError, match="names no dev languages of its own; name some with"):
        plan(tmp_path / "runs", task=own)


def test_own_data_is_checked_before_anything_starts_and_counted(tmp_path: Path) -> None:
    own = write_own(tmp_path)
    made = plan(tmp_path / "runs", task=own, select={"languages": ["sw"]})
    assert made.data is not None
    assert made.data.rows["sw", "test"] == 1
    (tmp_path / "test-yo.tsv").write_text("text\tlabel\na\tgood\n")
    with pytest.raises(DataError, match=r"test-yo\.tsv:2: unknown label 'good'"):
        plan(tmp_path / "runs", task=own, select={"languages": ["sw"]})


def test_embedded_data_is_not_read_to_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtune.data.summary.check_task", lambda task: pytest.fail("it was"))
    assert plan(tmp_path).data is None


def test_a_method_without_words_is_refused(tmp_path: Path) -> None:
    own = write_own(tmp_path)
    space = Space(
        {
            "method": Parameter("method", Constant("rs_da")),
            "replace_probability": Parameter("replace_probability", Constant(0.5)),
        }
    )
    with pytest.raises(StudyError, match=r"rs_da needs a table of synonyms, and task 'mine'"):
        plan(tmp_path / "runs", task=own, space=space, select={"languages": ["sw"]})
