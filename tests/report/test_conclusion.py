from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rxtune.config import Configuration
from rxtune.report import winner_metrics, winner_tags
from rxtune.results import ZeroShot


def summary_of(winner: Any, gain: float | None = None) -> Any:
    return SimpleNamespace(winner=winner, gain=gain)


def zero_shot(**more: Any) -> ZeroShot:
    accuracy = {"eng": 0.9, "qaa": 0.7}
    return ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=("qaa",), **more)


def test_a_search_without_a_winner_has_neither_metrics_nor_tags() -> None:
    assert winner_metrics(summary_of(None)) == {}
    assert winner_tags(summary_of(None)) == {}


def test_the_winners_flags_are_tags_as_a_space_file_writes_them() -> None:
    configuration = Configuration(method="adv", radius=0.1, pgd_steps=1, random_start=True)
    tags = winner_tags(summary_of(SimpleNamespace(number=4, configuration=configuration)))
    assert (tags["best.trial"], tags["best.random_start"]) == ("4", "true")


def test_the_mean_over_mixed_pairs_is_a_metric() -> None:
    matrix = {"eng": {"eng": 0.9, "qaa": 0.6}, "qaa": {"eng": 0.4, "qaa": 0.7}}
    winner = SimpleNamespace(zero_shot=zero_shot(generalized=matrix), value=0.7)
    assert winner_metrics(summary_of(winner))["generalized_mean"] == 0.5


def test_a_mean_over_no_language_is_no_metric() -> None:
    winner = SimpleNamespace(zero_shot=zero_shot(), value=0.7)
    metrics = winner_metrics(summary_of(winner, gain=0.05))
    assert "held_out_mean_accuracy" not in metrics  # the only target is the dev language
    assert (metrics["dev_accuracy"], metrics["gain_over_best_plain"]) == (0.7, 0.05)
