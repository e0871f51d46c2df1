"""`rxtune tasks`: what there is to train on, for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rxtune.data.catalogue import TASKS
from rxtune.testbed import LANGUAGES

Run = Callable[..., Any]


def test_all_tasks_are_listed_with_their_languages(rxtune: Run) -> None:
    ended = rxtune("tasks")
    assert ended.code == 0
    for task in TASKS.values():
        assert f"{task.name}  {task.title}" in ended.output
        assert task.source_language in ended.output
        assert ", ".join(task.target_languages) in ended.output


def test_a_task_is_described_by_language_and_by_the_same_example_in_each(
    rxtune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ended = rxtune("tasks", "babel", "--examples", "2")
    assert ended.code == 0
    for language in LANGUAGES.values():
        assert language.name in ended.output
    assert "qaf (dev)" in ended.output
    dev = TASKS["babel"].read("qag", "dev").to_pylist()
    assert f"qag  {dev[1]['text']}  => {dev[1]['text_pair']}" in ended.output
    assert dev[1]["id"] in ended.output
    assert dev[2]["id"] not in ended.output


def test_no_examples_are_shown_where_none_are_wanted(rxtune: Run) -> None:
    assert "=>" not in rxtune("tasks", "babel", "--examples", "0").output
    assert rxtune("tasks", "babel", "--examples", "-1").code == 2


def test_an_unknown_task_is_refused_with_the_nearest(rxtune: Run) -> None:
    ended = rxtune("tasks", "bable")
    assert ended.code == 3
    assert "unknown task 'bable'; did you mean 'babel'?" in ended.errors
