"""A task's data from end to end: counts, warnings, unknown tokens."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rxtune.data import TASKS, check_task, resolve_dev_languages, unknown_shares
from rxtune.data.faults import FaultyDataError
from rxtune.errors import DataError


def read(language: str, split: str) -> pa.Table:
    labels = [0, 1, 1] if language == "en" else [0, 0, 0]
    ids = [f"{language if language == 'xx' else ''}{number}" for number in range(3)]
    return pa.table({"id": ids, "text": [f"{language} ab"] * 3, "label": labels})


TASK = replace(
    TASKS["babel"],
    name="t",
    labels=("no", "yes"),
    source_language="en",
    target_languages=("sw", "xx", "yo"),
    dev_languages=("sw",),
    with_dev=("en", "sw", "xx"),
    is_pair=False,
    read=read,
)


def test_every_split_that_there_is_is_counted_once() -> None:
    summary = check_task(replace(TASK, parallel=None))
    assert summary.rows["en", "train"] == summary.rows["yo", "test"] == 3
    assert ("yo", "dev") not in summary.rows
    assert ("sw", "train") not in summary.rows
    assert summary.labels["en", "dev"] == (1, 2)
    assert summary.dropped == {}


def test_a_label_without_examples_is_a_warning() -> None:
    summary = check_task(replace(TASK, parallel=None))
    assert "dev in sw has no example of yes" in summary.warnings
    assert not any(" in en " in warning for warning in summary.warnings)


def test_items_that_do_not_match_are_a_warning() -> None:
    warnings = [warning for warning in check_task(TASK).warnings if "shares" in warning]
    assert warnings[0] == (
        "dev in xx shares 0 of 3 items with en, though the task is said to be parallel by id"
    )
    assert len(warnings) == 2


def test_a_task_knows_which_languages_have_a_split() -> None:
    assert TASK.languages_with("train") == ("en",)
    assert TASK.languages_with("dev") == ("en", "sw", "xx")
    assert TASK.languages_with("test") == TASK.languages == TASK.splits["test"]
    assert TASKS["babel"].languages_with("dev") == TASKS["babel"].languages


def test_a_dev_language_without_dev_data_is_refused_and_others_are_offered() -> None:
    with pytest.raises(DataError, match="'yo' has no dev data in task 't'; choose among sw, xx"):
        resolve_dev_languages(TASK, ["yo"])
    with pytest.raises(DataError, match=r"'t' names no dev languages of its own; .*: sw, xx"):
        resolve_dev_languages(replace(TASK, dev_languages=()), "auto")


def test_a_fingerprint_without_files_is_that_of_the_text() -> None:
    assert TASK.fingerprint("sw", "dev") == TASK.fingerprint("sw", "test")
    assert TASK.fingerprint("sw", "dev") != TASK.fingerprint("en", "dev")


class Words:
    """A tokenizer that knows the words of one language."""

    unk_token_id = 0

    def __call__(self, texts: list[str], **_: Any) -> Any:
        ids = [[1 if word in ("en", "ab") else 0 for word in text.split()] for text in texts]
        return {"input_ids": ids}


def test_the_share_of_unknown_tokens_flags_a_language_that_is_not_covered() -> None:
    shares = unknown_shares(TASK, Words())  # type: ignore[arg-type]
    assert [(item.language, item.share, item.is_covered) for item in shares] == [
        ("en", 0.0, True),
        ("sw", 0.5, False),
        ("xx", 0.5, False),
    ]


def test_a_tokenizer_of_bytes_knows_everything() -> None:
    all_known = type("Bytes", (Words,), {"unk_token_id": None})()
    assert {item.share for item in unknown_shares(TASK, all_known)} == {0.0}


def test_all_faults_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(FaultyDataError([f"fault {n}" for n in range(30)])))
    assert len(error.faults) == 30
    assert str(error).splitlines()[-1] == "… and 10 more faults"


def test_every_task_of_the_catalogue_travels_by_pickle() -> None:
    for task in TASKS.values():
        assert pickle.loads(pickle.dumps(task)).name == task.name
