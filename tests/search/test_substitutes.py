"""Where the tables of words come from, and what a space is told that has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rxtune.config import Choice, Constant, Parameter, Space, Study, Uniform
from rxtune.config.configuration import READ_BY
from rxtune.data.substitution import SubstitutionTable
from rxtune.data.task import Task
from rxtune.errors import DataError, StudyError
from rxtune.search.substitutes import read_substitutes, require_known_words

OWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "synonyms": {"dog": ("hound",)},
    "qaa": {"dog": ("mbwa",), "cat": ("paka",)},
    "qab": {"dog": ("Hund",)},
}


def study_of(study: Study, *methods: str, **augment: object) -> Study:
    domain = Choice(methods) if len(methods) > 1 else Constant(methods[0])
    parameters = [
        Parameter("method", domain),
        Parameter("sigma", Uniform(0.1, 1.0)),
        Parameter("replace_probability", Uniform(0.1, 1.0)),
    ]
    read = [p for p in parameters if p.name == "method" or READ_BY[p.name] & {*methods}]
    space = Space({parameter.name: parameter for parameter in read})
    return Study.model_validate({"space": space, "augment": augment})


@pytest.fixture
def rich(task: Task) -> Task:
    return replace(task, substitutes=lambda key: OWN.get(key, {}))


def test_a_space_without_such_a_method_needs_no_table(study: Study, task: Task) -> None:
    assert read_substitutes(study_of(study, "standard", "rs_rp"), task) == {}


@pytest.mark.parametrize("methods", [("rs_da",), ("standard", "rs_da")])
def test_the_tasks_own_synonyms_are_the_default(
    study: Study, rich: Task, methods: tuple[str, ...]
) -> None:
    (found,) = read_substitutes(study_of(study, *methods), rich).values()
    assert found.neighbours == {"dog": ("hound",)}


def test_the_tasks_own_dictionaries_of_all_targets_are_one(study: Study, rich: Task) -> None:
    found = read_substitutes(study_of(study, "code_switch"), rich)["code_switch"]
    assert found.neighbours == {"dog": ("mbwa", "Hund"), "cat": ("paka",)}


def test_the_studys_files_go_before_the_tasks_own(
    study: Study, rich: Task, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"king": ["ruler"]}))
    (tmp_path / "d.tsv").write_text("king\tmfalme\n")
    given = {"synonyms": tmp_path / "s.json", "dictionaries": {"sw": tmp_path / "d.tsv"}}
    found = read_substitutes(study_of(study, "rs_da", "code_switch", **given), rich)
    assert found["rs_da"].neighbours == {"king": ("ruler",)}
    assert found["code_switch"].neighbours == {"king": ("mfalme",)}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("rs_da", r"rs_da needs a table of synonyms, and task 'small' brings none; add augment:"),
        ("code_switch", r"code_switch needs bilingual dictionaries, .+\{dictionaries: \{LANGUAGE"),
    ],
)
@pytest.mark.parametrize("own", [None, lambda key: {}], ids=["none", "empty"])
def test_a_method_without_a_table_is_refused(
    study: Study, task: Task, method: str, message: str, own: object
) -> None:
    poor = replace(task, substitutes=own)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=message):
        read_substitutes(study_of(study, "standard", method), poor)


def test_a_missing_file_is_refused_by_its_path(study: Study, task: Task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: must be a readable UTF-8 file"):
        read_substitutes(study_of(study, "rs_da", synonyms=tmp_path / "gone.json"), task)


def test_a_table_that_knows_no_word_of_the_data_is_refused(task: Task) -> None:
    tables = {"rs_da": SubstitutionTable({"dog": ["hound"]})}
    require_known_words(tables, ["A big Dog."], task)
    with pytest.raises(DataError, match=r"rs_da: .+'dog'.+ knows none of 2 in 'eng'; check"):
        require_known_words(tables, ["ein Hund", "ein Hund"], task)
