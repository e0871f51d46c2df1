"""`rxtune.api.predict` and `rxtune predict`: texts in, labels out, in order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rxtune import api
from rxtune.config.smoothing import Smoothing
from rxtune.data.model_facts import ModelFacts
from rxtune.data.unlabelled import read_texts
from rxtune.errors import DataError, ModelError, StudyError
from rxtune.train.classify import load_classifier
from tests.export.conftest import copy_model

ROWS = [
    ("old kings bought ropes", "aged people purchased cords"),
    ("kings", "old"),
    ("the old kings of the far hills bought many long ropes", "kings sold ropes"),
    ("people", "aged people purchased cords in the old town"),
]
TEXTS = pa.table({"text": [a for a, _ in ROWS], "text_pair": [b for _, b in ROWS]})


@pytest.fixture(scope="module")
def exported(tiny_classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "mine"
    copy_model(tiny_classifier, folder, 1)
    facts = ModelFacts(trial=1, is_pair=True, max_length=64, units="relative", unit=1.0)
    facts.write(folder)
    return folder


def test_the_probabilities_are_those_of_transformers_in_the_texts_order(exported: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels, found = api.predict(exported, TEXTS)
    model = AutoModelForSequenceClassification.from_pretrained(exported).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    with torch.no_grad():
        for row, pair in zip(found, ROWS, strict=True):
            expected = model(**tokenizer(*pair, return_tensors="pt")).logits.softmax(-1)[0]
            assert row == pytest.approx(expected.numpy(), abs=1e-5)
    assert labels == ("entailment", "neutral", "contradiction")


def test_the_size_of_a_batch_changes_rounding_only(exported: Path) -> None:
    classifier = load_classifier(exported)
    noise = Smoothing(sigma=0.5, samples=3, vote="mean")
    for smoothing in (None, noise):
        one_by_one = classifier.classify(TEXTS, smoothing, tokens_per_batch=1)
        at_once = classifier.classify(TEXTS, smoothing, tokens_per_batch=4096)
        assert one_by_one == pytest.approx(at_once, abs=1e-5)


def test_smoothed_probabilities_are_the_mean_over_draws_of_that_length(exported: Path) -> None:
    classifier = load_classifier(exported)
    assert classifier.sigma(0.5) == pytest.approx(0.5 / 32**0.5)  # σ m / √H
    tiny = classifier.classify(TEXTS, Smoothing(sigma=1e-6, samples=2, vote="mean"))
    assert tiny == pytest.approx(classifier.classify(TEXTS), abs=1e-4)
    large = classifier.classify(TEXTS, Smoothing(sigma=3.0, samples=8, vote="mean"))
    assert np.abs(large - tiny).max() > 1e-3


def test_a_majority_is_a_share_of_the_draws(exported: Path) -> None:
    classifier = load_classifier(exported)
    votes = classifier.classify(TEXTS, Smoothing(sigma=2.0, samples=5))
    assert (votes * 5).round() == pytest.approx(votes * 5, abs=1e-5)
    assert votes.sum(axis=1) == pytest.approx(np.ones(4))


def test_the_seed_alone_decides_the_draws(exported: Path) -> None:
    classifier = load_classifier(exported)
    first, again, other = (
        classifier.classify(TEXTS, Smoothing(sigma=1.0, samples=4, vote="mean", seed=seed))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma": 0.0}, "--smooth: must be a number above 0, got 0"),
        ({"sigma": float("nan")}, "--smooth: must be a number above 0, got nan"),
        ({"sigma": 1.0, "samples": 0}, "--samples: at least one draw is needed, got 0"),
        ({"sigma": 1.0, "vote": "mode"}, "--vote: must be majority or mean, got 'mode'"),
    ],
)
def test_a_smoothing_that_is_none_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Smoothing(**given)


def test_a_relative_sigma_needs_a_unit(tiny_classifier: Path) -> None:
    with pytest.raises(ModelError, match=r"rxtune\.json does not hold"):
        api.predict(tiny_classifier, TEXTS, Smoothing(sigma=0.5))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json; give one that `rxtune export`"):
        api.predict(tmp_path, TEXTS)


def test_no_texts_have_no_answers(exported: Path) -> None:
    _, found = api.predict(exported, TEXTS.slice(0, 0))
    assert found.shape == (0, 3)


# --- files

Lines = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "rows", "is_pair", "expected"),
    [
        ("a.tsv", ["one", "two"], False, {"text": ["one", "two"]}),
        ("a.tsv", ["a\tb"], True, {"text": ["a"], "text_pair": ["b"]}),
        ("a.tsv", ["id\ttext_pair\ttext", "1\tb\ta"], True, {"text": ["a"], "text_pair": ["b"]}),
        ("a.tsv", ["text\tlabel", "a\tyes"], False, {"text": ["a"]}),
        ("a.jsonl", [{"text": "a", "n": 1}], None, {"text": ["a"]}),
        ("a.jsonl", [{"text": "a", "text_pair": "b"}], None, {"text": ["a"], "text_pair": ["b"]}),
        ("a.tsv", ['say "hi"'], None, {"text": ['say "hi"']}),
        ("a.jsonl", [], True, {"text": [], "text_pair": []}),
    ],
)
def test_texts_are_read(
    lines: Lines, name: str, rows: list[Any], is_pair: bool | None, expected: dict[str, list[str]]
) -> None:
    kind = "jsonl" if name.endswith("jsonl") else "tsv"
    table = read_texts(str(lines(name, *rows)), format=kind, is_pair=is_pair)  # type: ignore[arg-type]
    assert table.to_pydict() == expected


@pytest.mark.parametrize(
    ("name", "rows", "is_pair", "messages"),
    [
        ("a.tsv", ["a\tb", "a", "c\td\te"], True, ["a.tsv:2: 1 column", "a.tsv:3: 3 columns"]),
        ("a.tsv", ["a", " "], False, ["a.tsv:2: empty text"]),
        ("a.tsv", ["alone"], True, ["no column 2"]),
        ("a.tsv", ["a\tb"], None, ["a.tsv:1: 2 columns, but which is the text?"]),
        ("a.tsv", ["text\tother", "a\tb"], True, ["no column 'text_pair'", "takes pairs"]),
        ("a.tsv", ["text\ttext_pair", "a\tb"], False, ["the model takes single texts"]),
        ("a.jsonl", [{"text": "a"}, {"texd": "b"}], None, ["a.jsonl:2: no column 'text'"]),
        ("a.jsonl", [{"text": "a"}, "{"], None, ["a.jsonl:2: not JSON"]),
        ("a.jsonl", [{"text": 5}], None, ["a.jsonl:1: text: text is required"]),
    ],
)
def test_bad_rows_are_refused_with_their_lines(
    lines: Lines, name: str, rows: list[Any], is_pair: bool | None, messages: list[str]
) -> None:
    kind = "jsonl" if name.endswith("jsonl") else "tsv"
    with pytest.raises(DataError) as refused:
        read_texts(str(lines(name, *rows)), format=kind, is_pair=is_pair)  # type: ignore[arg-type]
    for message in messages:
        assert message in str(refused.value)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"nowhere\.tsv: no such file"):
        read_texts("nowhere.tsv", format="tsv", is_pair=None)


def test_the_command_reads_standard_input_and_writes_a_line_per_text(exported: Path) -> None:
    asked = "".join(f"{a}\t{b}\n" for a, b in ROWS)
    ended = run(exported, stdin=asked)
    head, *answers = ended.stdout.splitlines()
    assert head == "label\tentailment\tneutral\tcontradiction"
    labels, found = api.predict(exported, TEXTS)
    assert [line.split("\t")[0] for line in answers] == [labels[i] for i in found.argmax(axis=1)]
    assert ended.stderr == ""
    refused = run(exported, stdin="a\tb\nalone\n")
    assert refused.returncode == 3
    assert "standard input:2: 1 column" in refused.stderr


def test_the_command_writes_json_lines_to_a_file(exported: Path, lines: Lines) -> None:
    file = lines("a.jsonl", *({"text": a, "text_pair": b} for a, b in ROWS))
    out = file.with_name("out.jsonl")
    options = ("--out", str(out), "--smooth", "0.5", "--samples", "4")
    ended = run(exported, str(file), *options)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(answers) == 4
    for answer in answers:
        shares = answer["probabilities"]
        assert answer["label"] == max(shares, key=shares.get)
        assert sum(shares.values()) == pytest.approx(1.0)


def run(*arguments: Any, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rxtune", "predict", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
