"""Pairs of sentences in two languages, from items that are valid in all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.data.mixed_language import MixedPairs, mixed_texts, parallel_items
from rxtune.errors import DataError


def items(language: str, ids: str, labels: dict[str, int] | None = None) -> pa.Table:
    given = labels or {}
    return pa.table(
        {
            "id": list(ids),
            "text": [f"{language}-{name}-1" for name in ids],
            "text_pair": [f"{language}-{name}-2" for name in ids],
            "label": pa.array([given.get(name, ord(name) % 3) for name in ids], pa.int64()),
        }
    )


def test_every_ordered_pair_of_languages_holds_every_item() -> None:
    tables = {"eng": items("eng", "abc"), "qaa": items("qaa", "cab")}
    found = parallel_items(tables, "id")
    parts = list(mixed_texts(tables, found))
    names = MixedPairs(languages=("eng", "qaa"), items=3, tokens=pa.table({})).language_pairs
    assert names == [("eng", "eng"), ("eng", "qaa"), ("qaa", "eng"), ("qaa", "qaa")]
    for (first, second), part in zip(names, parts, strict=True):
        assert part["text"].to_pylist() == [f"{first}-{name}-1" for name in "abc"]
        assert part["text_pair"].to_pylist() == [f"{second}-{name}-2" for name in "abc"]
        assert part["label"].to_pylist() == [ord(name) % 3 for name in "abc"]


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=4))
def test_only_items_of_all_languages_count(ids: list[set[str]]) -> None:
    ids = [one | {"z"} for one in ids]
    tables = {str(n): items(str(n), "".join(sorted(one))) for n, one in enumerate(ids)}
    found = parallel_items(tables, "id")
    everywhere = set.intersection(*ids)
    assert len(found) == len(everywhere)
    assert found.missing == len(set.union(*ids) - everywhere)
    for language, rows in found.rows.items():
        assert set(tables[language]["id"].take(rows).to_pylist()) == everywhere


def test_items_whose_label_differs_are_left_out_and_counted() -> None:
    tables = {"eng": items("eng", "abcd"), "qaa": items("qaa", "abcd", {"b": 7})}
    found = parallel_items(tables, "id")
    assert (len(found), found.contradicting, found.missing) == (3, 1, 0)
    assert found.rows["qaa"].tolist() == [0, 2, 3]


def test_a_sample_is_the_same_for_the_same_seed_and_in_all_languages() -> None:
    names = "abcdefghijklmnop"
    tables = {"eng": items("eng", names), "qaa": items("qaa", names[::-1])}
    whole = parallel_items(tables, "id")
    few = whole.sample(5, seed=0)
    assert len(few) == 5
    chosen = {lang: tables[lang]["id"].take(rows).to_pylist() for lang, rows in few.rows.items()}
    assert chosen["eng"] == chosen["qaa"]
    assert np.array_equal(whole.sample(5, seed=0).rows["eng"], few.rows["eng"])
    assert not np.array_equal(whole.sample(5, seed=1).rows["eng"], few.rows["eng"])
    assert whole.sample(16, seed=0) is whole


def test_languages_without_a_common_item_are_refused() -> None:
    tables = {"eng": items("eng", "ab"), "qaa": items("qaa", "cd")}
    with pytest.raises(
        DataError, match=r"no item is in all of eng, qaa .+4 are missing somewhere"
    ):
        parallel_items(tables, "id")


def test_rows_that_are_not_parallel_are_refused() -> None:
    tables = {"eng": items("eng", "abcd"), "qaa": items("qaa", "abcd", {"b": 7})}
    with pytest.raises(DataError, match=r"rows must be parallel in eng, qaa, but 1 of 4 differ"):
        parallel_items(tables, "row")
