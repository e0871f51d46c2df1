"""Words replaced by neighbours: how often, by what, and what stays."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.data.substitution import SubstitutionTable
from rxtune.errors import DataError

TABLE = SubstitutionTable({"big": ("large", "huge"), "dog": ["hound"], "us": ["we"]})


def always(text: str, table: SubstitutionTable = TABLE, seed: int = 0) -> str:
    return table.substitute(text, 1.0, random.Random(seed))


@given(st.text(), st.integers(0, 99))
def test_with_probability_0_nothing_changes(text: str, seed: int) -> None:
    assert TABLE.substitute(text, 0.0, random.Random(seed)) == text


@given(st.text(alphabet="xyz ,.!\t\n-'é", max_size=40))
def test_a_text_without_known_words_stays_as_it_is(text: str) -> None:
    assert always(text) == text


@given(st.lists(st.sampled_from(["big", "dog", "cat,", "(Big)"]), max_size=9), st.integers(0, 9))
def test_no_word_is_lost_or_added(words: list[str], seed: int) -> None:
    assert len(always(" ".join(words), seed=seed).split()) == len(words)


def test_a_drawn_word_is_uniform_over_itself_and_its_neighbours() -> None:
    words = TABLE.substitute("big " * 30_000, 1.0, random.Random(0)).split()
    counts = Counter(words)
    assert counts.keys() == {"big", "large", "huge"}
    assert all(abs(count - 10_000) < 400 for count in counts.values())


def test_words_are_drawn_with_the_given_probability() -> None:
    words = TABLE.substitute("dog " * 30_000, 0.5, random.Random(0)).split()
    # Drawn in half of the cases, and of these half of the draws are the word itself.
    assert abs(Counter(words)["hound"] - 7_500) < 400


@pytest.mark.parametrize(
    ("piece", "others"),
    [
        ("dog", ["hound"]),
        ("Dog", ["Hound"]),
        ("DOG", ["HOUND"]),
        ("“Dog”,", ["“Hound”,"]),
        ("(dog)...", ["(hound)..."]),
        ("dogs", []),
        ("hot-dog", []),
        ("--", []),
        ("US", ["WE"]),
    ],
)
def test_case_and_punctuation_stay(piece: str, others: list[str]) -> None:
    assert list(TABLE.options(piece)) == [piece, *others]


def test_a_word_is_looked_up_as_it_is_written_first() -> None:
    table = SubstitutionTable({"polish": ["shine"], "Polish": ["Czech"]})
    assert table.options("Polish") == ("Polish", "Czech")
    assert table.options("POLISH") == ("POLISH", "SHINE")


def test_vowel_signs_belong_to_their_word() -> None:
    table = SubstitutionTable({"पानी": ["जल"]})
    assert table.options("पानी।") == ("पानी।", "जल।")


def test_a_word_is_no_neighbour_of_itself_and_no_neighbour_counts_twice() -> None:
    table = SubstitutionTable({"a": ["a", "b", "b"], "c": ["c"]})
    assert table.neighbours == {"a": ("b",)}


def test_several_dictionaries_are_one_table() -> None:
    swahili = SubstitutionTable({"dog": ["mbwa"], "cat": ["paka"]})
    german = SubstitutionTable({"dog": ["Hund"]})
    both = SubstitutionTable.merged([swahili, german])
    assert both.neighbours == {"dog": ("mbwa", "Hund"), "cat": ("paka",)}


def test_both_sentences_are_replaced_and_the_label_is_kept() -> None:
    pairs = pa.table(
        {"text": ["big dog"] * 200, "text_pair": ["big dog"] * 200, "label": list(range(200))}
    )
    (found,) = TABLE.substitute_all(pairs, 1.0, random.Random(0))
    assert found["label"].to_pylist() == list(range(200))
    firsts, seconds = found["text"].to_pylist(), found["text_pair"].to_pylist()
    assert len(set(firsts)) == len(set(seconds)) == 6
    assert firsts != seconds


# --- files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"big": ["large", "huge"], "dog": ["hound"]}'),
        ("a.tsv", "big\tlarge, huge\ndog\thound\n"),
        ("a.tsv", "\ufeffbig\tlarge\n\nbig\thuge\r\ndog\thound"),
        ("a.txt", "big\tlarge,huge\ndog\thound"),
    ],
)
def test_a_table_is_read_from_json_or_lines(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = SubstitutionTable.read(tmp_path / name)
    assert found.neighbours == {"big": ("large", "huge"), "dog": ("hound",)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"big":\n ["large"', r"a\.json: must be JSON, but: .+ line 2"),
        ("a.json", "[1]", r"a\.json: must hold one object, but holds a list"),
        ("a.json", '{"big": "large"}', r"'big': a list of words is required, got \"large\""),
        ("a.json", '{"big": ["a", 3]}', r"'big': a list of words is required, got \[\"a\", 3\]"),
        ("a.json", '{"": ["large"]}', r"a\.json: '': a word must stand before its neighbours"),
        ("a.json", '{"big": ["big"]}', r"no word has a neighbour other than itself"),
        ("a.tsv", "", r"no word has a neighbour"),
        ("a.tsv", "big\tlarge\nno tab", r"a\.tsv:2: a word, one tab .+ got 'no tab'"),
        ("a.tsv", "big\tlarge\thuge", r"a\.tsv:1: a word, one tab"),
        ("a.tsv", "big\tlarge,,huge", r"a\.tsv:1: a word, one tab"),
        ("a.tsv", "\tlarge", r"a\.tsv:1: a word, one tab"),
        ("a.csv", "big,large", r"a\.csv: must end with \.json, \.tsv or \.txt"),
    ],
)
def test_a_malformed_table_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        SubstitutionTable.read(tmp_path / name)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.tsv: must be a readable UTF-8 file"):
        SubstitutionTable.read(tmp_path / "no.tsv")
    (tmp_path / "latin.json").write_bytes(
        json.dumps({"é": ["a"]}, ensure_ascii=False).encode("latin-1")
    )
    with pytest.raises(DataError, match=r"latin\.json: must be a readable UTF-8 file"):
        SubstitutionTable.read(tmp_path / "latin.json")
