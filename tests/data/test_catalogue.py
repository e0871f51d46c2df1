"""The tasks that are known by name."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rxtune.config import TaskChoice
from rxtune.data import TASKS, find_task
from rxtune.errors import DataError
from rxtune.testbed import LABELS, LANGUAGES, SOURCE, SPLITS, TARGETS

BABEL = TASKS["babel"]


@pytest.mark.parametrize("name", TASKS)
def test_an_entry_is_consistent(name: str) -> None:
    task = TASKS[name]
    assert find_task(name) is task
    assert task.name == name
    assert task.languages == (task.source_language, *task.target_languages)
    assert len(set(task.languages)) == len(task.languages)
    assert set(task.dev_languages) <= set(task.target_languages)
    assert len(set(task.labels)) == len(task.labels) >= 2


def test_the_entry_of_babel_agrees_with_the_testbed() -> None:
    assert (BABEL.source_language, BABEL.target_languages) == (SOURCE, TARGETS)
    assert BABEL.labels == LABELS
    assert all(LANGUAGES[code].group == "far" for code in BABEL.dev_languages)


@pytest.mark.parametrize(
    ("language", "split"), [("eng", "train"), ("qag", "dev"), ("qaa", "test")]
)
def test_a_split_is_a_table_of_text_pairs_and_class_ids(language: str, split: str) -> None:
    table = BABEL.read(language, split)
    assert table.schema == pa.schema(
        {"id": pa.string(), "text": pa.string(), "text_pair": pa.string(), "label": pa.int64()}
    )
    assert len(table) == SPLITS[split]
    assert set(table["label"].to_pylist()) == set(range(len(BABEL.labels)))


def test_class_ids_are_those_of_the_label_names() -> None:
    from rxtune.testbed import items

    names = [BABEL.labels[number] for number in BABEL.read("qab", "dev")["label"].to_pylist()]
    assert names == [item.label for item in items("qab", "dev")]


@pytest.mark.parametrize("column", ["id", "label"])
def test_languages_are_parallel(column: str) -> None:
    columns = [BABEL.read(language, "dev")[column].to_pylist() for language in BABEL.languages]
    assert all(values == columns[0] for values in columns)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bable",
            "unknown task 'bable'; did you mean 'babel'\\? `rxtune tasks` lists: babel, xnli",
        ),
        ("", "unknown task ''; `rxtune tasks` lists"),
        ("squad", "unknown task 'squad'; `rxtune tasks` lists"),
    ],
)
def test_an_unknown_task_is_refused_with_the_nearest_name(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_task(name)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"target_languages": ("eng_Latn",)}, "target_languages: 'eng_Latn' is the source"),
        ({"dev_languages": ("zul_Latn",)}, "dev_languages: task 'sib200' has no language 'zul_"),
    ],
)
def test_a_choice_of_languages_that_cannot_be_is_refused(
    choice: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_task(TaskChoice(catalogue="sib200", **choice))


def test_babel_brings_synonyms_and_a_dictionary_for_every_target() -> None:
    babel = TASKS["babel"]
    assert babel.substitutes is not None
    source = set(" ".join(babel.read("eng", "train")["text"].to_pylist()).split())
    for kind in ("synonyms", *babel.target_languages):
        table = babel.substitutes(kind)
        assert source & set(table), kind
        assert all(words and word not in words for word, words in table.items()), kind
