"""A search goes on only with the data and the words that it was begun with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, Constant, Parameter, Space, Study, TaskFile, load_task
from rxtune.errors import DataError, StudyError
from rxtune.search.inputs import fingerprint_inputs
from rxtune.search.options import SearchOptions
from rxtune.search.plan import Plan, make_plan
from rxtune.search.run_folder import RunPlaces

PLAIN = Space({"method": Parameter("method", Constant("standard"))})
WORDS = Space(
    {
        "method": Parameter("method", Choice(("rs_da", "code_switch"))),
        "replace_probability": Parameter("replace_probability", Constant(0.5)),
    }
)


def plan(root: Path, resume: bool = False, **study: Any) -> Plan:
    options = SearchOptions(name="rs", root=root, resume=resume)
    return make_plan(Study.model_validate({"space": PLAIN, **study}), options)


def begin(made: Plan, inputs: Any = None) -> None:
    found = dict(made.inputs) if inputs is None else inputs
    places = RunPlaces(search_id="", tracking_uri="", storage="", inputs=found)
    made.folder.create("", places)
    made.folder.journal.write_text("{}\n")


def own_task(folder: Path) -> TaskFile:
    for name in ("train-en", "dev-en", "dev-sw", "test-en", "test-sw"):
        (folder / f"{name}.tsv").write_text("text\tlabel\na\tpos\n")
    lines = [f'  {split}: "{split}-{{language}}.tsv"' for split in ("train", "dev", "test")]
    head = "labels: [neg, pos]\nsource_language: en\ndev_languages: [sw]\nmodel: babel-tiny\n"
    (folder / "mine.yaml").write_text(head + "files:\n" + "\n".join(lines))
    task = load_task(str(folder / "mine.yaml"))
    assert isinstance(task, TaskFile)
    return task


@pytest.mark.parametrize("name", ["train-en.tsv", "dev-sw.tsv"])
def test_a_resume_on_changed_data_is_refused_by_the_file(tmp_path: Path, name: str) -> None:
    own = own_task(tmp_path)
    begin(plan(tmp_path / "runs", task=own))
    plan(tmp_path / "runs", resume=True, task=own)
    other = "text\tlabel\nanother\tpos\n"
    (tmp_path / "test-sw.tsv").write_text(other)
    plan(tmp_path / "runs", resume=True, task=own)  # no trial has read it
    (tmp_path / name).write_text(other)
    with pytest.raises(StudyError, match=rf"{name}: has changed since run 'rs' was begun"):
        plan(tmp_path / "runs", resume=True, task=own)


def test_a_resume_with_changed_words_is_refused_by_the_file(tmp_path: Path) -> None:
    synonyms, dictionary = tmp_path / "words.tsv", tmp_path / "qaf.tsv"
    for file in (synonyms, dictionary):
        file.write_text("kings\trulers\n")
    augment = {"synonyms": synonyms, "dictionaries": {"qaf": dictionary}}
    begin(plan(tmp_path / "runs", space=WORDS, augment=augment))
    plan(tmp_path / "runs", resume=True, space=WORDS, augment=augment)
    dictionary.write_text("kings\tmonarchs\n")
    with pytest.raises(StudyError, match=r"qaf\.tsv: has changed since run 'rs' was begun"):
        plan(tmp_path / "runs", resume=True, space=WORDS, augment=augment)
    synonyms.write_text("kings\tmonarchs\n")
    with pytest.raises(StudyError, match=r"words\.tsv: has changed \(and 1 more\) since"):
        plan(tmp_path / "runs", resume=True, space=WORDS, augment=augment)


def test_a_run_that_kept_no_fingerprints_goes_on(tmp_path: Path) -> None:
    own = own_task(tmp_path)
    begin(plan(tmp_path / "runs", task=own), inputs={})
    plan(tmp_path / "runs", resume=True, task=own)


def test_what_no_trial_reads_has_no_fingerprint(tmp_path: Path) -> None:
    words = tmp_path / "words.tsv"
    words.write_text("kings\trulers\n")
    assert plan(tmp_path / "runs", augment={"synonyms": words}).inputs == {}


def test_a_file_that_goes_between_two_looks_is_refused(tmp_path: Path) -> None:
    made = plan(tmp_path / "runs")
    study = Study.model_validate({"space": WORDS, "augment": {"synonyms": tmp_path / "gone.tsv"}})
    with pytest.raises(DataError, match=r"gone\.tsv: cannot be read: No such file"):
        fingerprint_inputs(study, made.task)
