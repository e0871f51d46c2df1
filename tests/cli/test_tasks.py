"""`rxtune tasks`: what there is to train on, for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.data.catalogue import TASKS
from rxtune.testbed import LANGUAGES

Run = Callable[..., Any]
Write = Callable[..., None]


def test_all_tasks_are_listed_without_looking_for_their_data(
    rxtune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = rxtune("tasks")
    assert ended.code == 0
    assert max(map(len, ended.output.splitlines())) <= 80
    words = " ".join(ended.output.split())
    for task in TASKS.values():
        assert f"{task.name} {task.title} {task.source_language} to " in words
        assert f"to {len(task.target_languages)}: {task.target_languages[0]}, " in words
        assert ", ".join(task.labels) in words
        assert task.origin in words


def test_a_task_whose_data_is_not_here_is_described_and_how_to_get_it(
    rxtune: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder / "datasets"))
    ended = rxtune("tasks", "xnli")
    assert ended.code == 0
    assert "labels: entailment, neutral, contradiction" in ended.output
    assert "dev languages by default: sw" in ended.output
    assert "hf download --repo-type dataset facebook/xnli --local-dir DATA" in ended.output


def test_own_data_is_counted_by_language_split_and_label(
    rxtune: Run, folder: Path, write_own: Write
) -> None:
    write_own()
    ended = rxtune("tasks", "mine.yaml")
    assert ended.code == 0
    table = [line.split() for line in ended.output.splitlines()]
    assert ["language", "train", "dev", "test", "good", "bad"] in table
    assert ["en", "2", "2", "2", "1", "1"] in table
    assert ["sw", "(dev)", "–", "2", "2", "1", "1"] in table
    assert "dev-sw plain  (bad)" in ended.output
    assert "test-sw" not in ended.output


def test_brackets_in_a_text_are_text(rxtune: Run, folder: Path, write_own: Write) -> None:
    write_own("[bold]x[/bold] [red] [/]")
    assert "dev-sw [bold]x[/bold] [red] [/]" in rxtune("tasks", "mine.yaml").output


def test_what_is_odd_about_data_is_noted(rxtune: Run, folder: Path, write_own: Write) -> None:
    write_own()
    (folder / "dev-sw.tsv").write_text("text\tlabel\na\tgood\n")
    assert "note: dev in sw has no example of bad" in rxtune("tasks", "mine.yaml").errors


def test_paths_below_here_are_told_as_they_are_typed(
    rxtune: Run, folder: Path, write_own: Write
) -> None:
    write_own("x\ty")
    assert rxtune("tasks", "mine.yaml").errors.startswith("error: train-en.tsv:2: 3 columns")


def test_bad_data_is_refused_with_the_code_of_data(
    rxtune: Run, folder: Path, write_own: Write
) -> None:
    write_own("x\ty")
    ended = rxtune("tasks", "mine.yaml")
    assert ended.code == 3
    assert "dev-sw.tsv:2: 3 columns, but the header has 2" in ended.errors
    (folder / "mine.yaml").write_text("labels: [a]")
    assert rxtune("tasks", "mine.yaml").code == 2


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
