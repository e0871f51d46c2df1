"""What a trial is compared by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import OBJECTIVES, Objective
from rxtune.search.objectives import evaluated_languages, measure

SCORES = {"eng": 0.9, "qaa": 0.4, "qab": 0.6}
CODES = ("eng", "qaa", "qab")


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        (("mean",), (0.5,)),
        (("worst",), (0.4,)),
        (("source",), (0.9,)),
        (("mean", "worst", "compute"), (0.5, 0.4, 1200.0)),
        (("source", "compute", "mean"), (0.9, 1200.0, 0.5)),
    ],
)
def test_objectives_come_in_the_studys_order_and_their_own_sign(
    objectives: tuple[Objective, ...], expected: tuple[float, ...]
) -> None:
    found = measure(
        objectives, SCORES, 1200.0, dev_languages=("qaa", "qab"), source_language="eng"
    )
    assert found == pytest.approx(expected)


@given(
    st.lists(st.sampled_from(OBJECTIVES), min_size=1, unique=True),
    st.lists(st.sampled_from(CODES), min_size=1, unique=True),
)
def test_what_is_evaluated_is_what_the_objectives_need(
    objectives: list[Objective], dev: list[str]
) -> None:
    languages = evaluated_languages(objectives, dev_languages=dev, source_language="eng")
    assert len(set(languages)) == len(languages)
    assert set(languages) == {*dev, *(["eng"] if "source" in objectives else [])}
    scores = {language: SCORES[language] for language in languages}
    found = measure(objectives, scores, 7.0, dev_languages=dev, source_language="eng")
    assert len(found) == len(objectives)


@given(st.dictionaries(st.sampled_from(CODES), st.floats(0, 1), min_size=1))
def test_the_worst_language_is_never_above_the_mean(scores: dict[str, float]) -> None:
    mean, worst = measure(
        ("mean", "worst"), scores, 0.0, dev_languages=tuple(scores), source_language="eng"
    )
    assert worst == min(scores.values())
    assert worst <= mean + 1e-12


def test_the_source_may_be_a_dev_language_as_well() -> None:
    both = evaluated_languages(("source",), dev_languages=("eng", "qaa"), source_language="eng")
    assert both == ("eng", "qaa")
