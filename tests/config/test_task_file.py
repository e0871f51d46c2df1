"""Task files: patterns, languages, refusals, and the way into a study and back."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from rxtune.config import TaskChoice, TaskFile, load_study, load_task
from rxtune.errors import StudyError

TASK = """\
labels: [pos, neg]
source_language: en
dev_languages: [sw]
files:
  train: "train-{language}.tsv"
  dev: "dev-{language}.tsv"
  test: "test-{language}.tsv"
"""
FILES = ("train-en", "train-sw", "dev-en", "dev-sw", "test-en", "test-sw", "test-yo")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the empty files of a task in it."""
    for name in FILES:
        (tmp_path / f"{name}.tsv").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str = TASK, name: str = "mine.yaml") -> TaskFile:
    (folder / name).write_text(dedent(text), encoding="utf-8")
    task = load_task(str(folder / name))
    assert isinstance(task, TaskFile)
    return task


def refusal(folder: Path, text: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_pattern_becomes_one_absolute_path_per_language_with_data(folder: Path) -> None:
    task = load(folder)
    assert task.name == "mine"
    assert task.target_languages == ("sw", "yo")
    assert task.files.train == {"en": str(folder / "train-en.tsv")}
    assert list(task.files.dev) == ["en", "sw"]
    assert list(task.files.test) == ["en", "sw", "yo"]


def test_named_targets_keep_their_order_and_leave_others_out(folder: Path) -> None:
    task = load(folder, TASK + "target_languages: [yo, sw]\n")
    assert task.target_languages == ("yo", "sw")
    assert list(load(folder, TASK + "target_languages: [sw]\n").files.test) == ["en", "sw"]


def test_languages_may_be_folders_and_files_may_be_named_one_by_one(folder: Path) -> None:
    for language in ("en", "sw_Latn"):
        (folder / "d" / language).mkdir(parents=True)
        (folder / "d" / language / "test.csv").touch()
    task = load(
        folder,
        """\
        labels: [0, 1]
        source_language: en
        files:
          train: train-en.tsv
          dev: {en: ./dev-en.tsv}
          test: "d/{language}/test.csv"
        """,
    )
    assert task.labels == ("0", "1")
    assert task.target_languages == ("sw_Latn",)
    assert task.files.dev == {"en": str(folder / "dev-en.tsv")}
    assert task.files.train == {"en": str(folder / "train-en.tsv")}


def test_relative_paths_start_from_the_task_file(folder: Path, tmp_path: Path) -> None:
    (folder / "deep").mkdir()
    task = load(folder / "deep", TASK.replace('"t', '"../t').replace('"d', '"../d'))
    assert task.files.train == {"en": str(folder / "train-en.tsv")}


def test_all_faults_are_told_at_once_with_their_lines(folder: Path) -> None:
    text = """\
    labels: [pos]
    lables: [x]
    source_language: en
    epochs: 0
    parallel: rows
    columns: {txt: 1}
    files:
      train: "train-{language}.csv"
      dev: "dev-{language}.tsv"
      tests: a.tsv
    """
    lines = refusal(folder, text)
    assert [line.split(": ")[:2] for line in lines] == [
        ["mine.yaml:1", "labels"],
        ["mine.yaml:2", "lables"],
        ["mine.yaml:4", "epochs"],
        ["mine.yaml:5", "parallel"],
        ["mine.yaml:6", "columns.txt"],
        ["mine.yaml:7", "files"],
        ["mine.yaml:8", "files.train"],
        ["mine.yaml:10", "files.tests"],
    ]
    assert "at least two labels are required, got ['pos']" in lines[0]
    assert "did you mean 'labels'?" in lines[1]
    assert "did you mean 'text'?" in lines[4] or "valid: id" in lines[4]
    assert "test is missing: name its file" in lines[5]
    assert "no file matches train-{language}.csv" in lines[6]
    assert "unknown split; did you mean 'test'?" in lines[7]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[sw]", "[yo]", "dev_languages: 'yo' has no dev data; choose among sw"),
        ("[sw]", "[swa]", "dev_languages: the task has no language 'swa'; did you mean 'sw'?"),
        ("[pos, neg]", "[pos, pos]", "labels: every name must stand once, got 'pos' twice"),
        ("[pos, neg]", "[true, x]", "labels: names are required, got true; put quotes"),
        ('"test', '"dev', "test in 'en': dev-en.tsv is dev in 'en' already; every split needs"),
        ('"train-{language}.tsv"', '"t*-{language}.tsv"', "two files for 'en': test-en.tsv and"),
        ("source_language: en", "source_language: de", "no file train-de.tsv for 'de'; there are"),
        ('"train-{language}.tsv"', "5", "one file per language or a pattern is required, got 5"),
        ('"train-{language}.tsv"', "train-en.txt", "train-en.txt has no ending that tells its f"),
        ('"train-{language}.tsv"', "{sw: train-sw.tsv}", "the source language 'en' needs a train"),
        ('"dev-{language}.tsv"', "{sw: dev-sw.tsv}", "needs a dev file, got none; set some"),
        ('"test-{language}.tsv"', "{sw: test-sw.tsv}", "'en' has no test data; add its file"),
        ('"test-{language}.tsv"', "{en: test-en.tsv, yo: test-yo.tsv}", "'sw' has no test data"),
        ('"dev-{language}.tsv"', "{language}.tsv", "a path with {language} needs quotes around"),
        ("dev_languages: [sw]", "header: false", "without a header columns are positions"),
        ("dev_languages: [sw]", "parallel: id", "parallel: id needs columns.id"),
        ("dev_languages: [sw]", "delimiter: '||'", "delimiter: one character is required"),
        ("dev_languages: [sw]", "columns: {text: 0}", "positions are counted from 1, got 0"),
        ("dev_languages: [sw]", "target_languages: [en]", "'en' is the source language"),
        ("dev_languages: [sw]", "target_languages: [zu]", "no file test-zu.tsv for 'zu'"),
        ("labels: [pos, neg]\n", "", "labels: is required; add it"),
    ],
)  # fmt: skip
def test_a_task_that_breaks_a_rule_is_refused(
    folder: Path, old: str, new: str, message: str
) -> None:
    assert old in TASK
    assert message in "\n".join(refusal(folder, TASK.replace(old, new)))


def test_training_data_in_a_target_language_is_refused(folder: Path) -> None:
    text = TASK.replace('"train-{language}.tsv"', "{en: train-en.tsv, sw: train-sw.tsv}")
    assert "in the source language only (zero-shot)" in refusal(folder, text)[0]


def test_a_word_names_a_task_of_the_catalogue_perhaps_with_a_folder(folder: Path) -> None:
    assert load_task("xnli") == "xnli"
    assert load_task("xnli@data") == TaskChoice(catalogue="xnli", folder=str(folder / "data"))
    with pytest.raises(StudyError, match="no such file"):
        load_task("nowhere.yaml")


def test_a_task_file_may_choose_from_the_catalogue(folder: Path) -> None:
    text = "catalogue: sib200\nfolder: sib\ntarget_languages: [swh_Latn, zul_Latn]\n"
    (folder / "sib.yaml").write_text(text)
    assert load_task("sib.yaml") == TaskChoice(
        catalogue="sib200",
        folder=str(folder / "sib"),
        target_languages=("swh_Latn", "zul_Latn"),
    )
    (folder / "sib.yaml").write_text("catalogue: sib200\nfoldr: sib\n")
    with pytest.raises(StudyError, match=r"sib.yaml:2: foldr: unknown key; did you mean 'folder'"):
        load_task("sib.yaml")


def test_languages_are_checked_beside_what_else_is_wrong(folder: Path) -> None:
    text = TASK.replace("[sw]", "[swa]") + "epoch: 3\nbatch_size: none\n"
    assert [line.partition(";")[0] for line in refusal(folder, text)] == [
        "mine.yaml:3: dev_languages: the task has no language 'swa'",
        "mine.yaml:8: epoch: unknown key",
        "mine.yaml:9: batch_size: a whole number is required, got 'none'",
    ]
    lost = text.replace("labels: [pos, neg]", "labels: []")
    assert len(refusal(folder, lost)) == 3, "without labels there is no task to look at"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("catalog: sib200", ":1: catalog: unknown key; did you mean 'catalogue'?"),
        (
            "catalogue: sib200\ntarget_languages: []",
            ":2: target_languages: at least one name is required, got []; leave the key out for",
        ),
    ],
)
def test_a_choice_that_says_nothing_sensible_is_refused(
    folder: Path, text: str, message: str
) -> None:
    told = refusal(folder, text)
    assert told[0].startswith(f"mine.yaml{message}")
    assert len(told) == 1


def test_a_task_file_in_the_home_folder_can_be_named_in_a_study(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load(folder)
    monkeypatch.setenv("HOME", str(folder))
    (folder / "s").mkdir()
    (folder / "s" / "study.yaml").write_text("task: ~/mine.yaml\nspace: {method: standard}\n")
    assert str(load_study(folder / "s" / "study.yaml").task) == "mine"


# --- in a study


@pytest.mark.parametrize("task", ["mine.yaml", "xnli@data", "inline"])
def test_a_study_holds_the_task_resolved_and_comes_back_equal_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    load(folder)
    inline = "\n  " + TASK.replace("\n", "\n  ")
    (folder / "study.yaml").write_text(
        f"task: {inline if task == 'inline' else task}\nspace: {{method: standard}}\n"
    )
    study = load_study(folder / "study.yaml")
    assert not isinstance(study.task, str)
    (folder / "run").mkdir()
    (folder / "run" / "study.yaml").write_text(study.to_yaml())
    monkeypatch.chdir("/")
    assert load_study(folder / "run" / "study.yaml") == study


def test_the_flag_starts_from_the_working_directory_and_names_itself(folder: Path) -> None:
    load(folder)
    (folder / "s").mkdir()
    (folder / "s" / "study.yaml").write_text("space: {method: standard}\n")
    study = load_study("s/study.yaml", {"task": "mine.yaml"})
    assert str(study.task) == "mine"
    (folder / "mine.yaml").write_text(TASK.replace("[sw]", "[zu]"))
    with pytest.raises(
        StudyError, match=r"^--task: .*mine.yaml:3: dev_languages: the task has no"
    ):
        load_study("s/study.yaml", {"task": "mine.yaml"})


def test_faults_of_an_inline_task_have_the_lines_of_the_study(folder: Path) -> None:
    text = "space: {method: standard}\ntask:\n  " + TASK.replace("\n", "\n  ")
    (folder / "study.yaml").write_text(text.replace("[pos, neg]", "[pos]") + "\nserch: 1\n")
    with pytest.raises(StudyError) as caught:
        load_study(folder / "study.yaml")
    first, second = str(caught.value).splitlines()
    assert "study.yaml:3: task.labels: at least two labels are required" in first
    assert "serch: unknown key; did you mean 'search'?" in second
