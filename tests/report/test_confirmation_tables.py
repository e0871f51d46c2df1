"""The tables of a confirmation: readable in a terminal, whole in a file."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import Configuration
from rxtune.report import (
    Evidence,
    Table,
    blocks,
    configuration_table,
    confirmation_csv,
    confirmation_report,
    contrast_table,
    language_table,
    means_table,
    plain_text,
    sections,
    weigh,
)
from rxtune.results import ConfirmedRun, ZeroShot

ROBUST = Configuration(method="smooth_adv", sigma=0.548, radius=0.03, pgd_steps=1)
PLAIN = Configuration(learning_rate=0.5)


def make(
    trial: int | None, roles: Any, configuration: Configuration, means: Any, **more: Any
) -> list[ConfirmedRun]:
    """Return a run per seed, of which each held-out language has nearly the mean; None: failed."""
    languages = more.pop("languages", ("qaa", "qab"))
    return [
        ConfirmedRun(
            trial=trial,
            roles=roles,
            configuration=configuration,
            seed=seed,
            zero_shot=None if mean is None else result(mean, languages),
            reason="diverged: update 3" if mean is None else None,
            **more,
        )
        for seed, mean in enumerate(means, start=1)
    ]


def result(mean: float, languages: Any) -> ZeroShot:
    accuracy = {"eng": 0.9, "qaf": 0.3}
    accuracy |= {code: mean + (0.1 if n % 2 else -0.1) for n, code in enumerate(languages)}
    generalized = {one: dict.fromkeys(accuracy, mean) for one in accuracy}
    return ZeroShot(
        accuracy=accuracy,
        source_language="eng",
        dev_languages=("qaf",),
        split="test",
        generalized=generalized,
    )


def confirmed(robust: Any = (0.7, 0.72), default: Any = (0.5, 0.52), **more: Any) -> Any:
    cost = {"forward_equivalents": 300.0, "seconds": 12.34}
    return weigh(
        [
            *make(7, ("robust",), ROBUST, robust, forward_equivalents=500.0, seconds=5.0, **more),
            *make(None, ("named",), Configuration(method="rs_rp", sigma=1.0), robust, **more),
            *make(3, ("best plain",), PLAIN, (0.6, 0.61), **cost, **more),
            *make(0, ("default plain",), Configuration(), default, **cost, **more),
        ],
        Evidence(dev_scores={7: {"qaf": 0.5}}),
    )


def rows(table: Table) -> dict[str, dict[str, str]]:
    """Return a table by row and column."""
    return {row[0]: dict(zip(table.header[1:], row[1:], strict=True)) for row in table.rows}


def test_a_row_says_what_a_configuration_was_and_how_it_is_trained() -> None:
    found = rows(configuration_table(confirmed(default=(0.5, None))))
    assert found["trial 7 robust"] == {
        "in the search": "robust",
        "method": "smooth_adv",
        "learning_rate": "1",
        "sigma": "0.548",
        "radius": "0.03",
        "pgd_steps": "1",
        "seeds": "2",
    }
    assert found["named 1"]["sigma"] == "1"
    assert found["trial 3 plain"]["learning_rate"] == "0.5"
    assert found["trial 0 default"]["seeds"] == "1 of 2"


def test_languages_stand_in_columns_with_their_kind_below() -> None:
    table = language_table(confirmed())
    assert table.header == ("", "eng", "qaf", "qaa", "qab")
    assert table.rows[0] == ("", "source", "dev", "held-out", "held-out")
    assert rows(table)["trial 7 robust"] == {
        "eng": "90.0±0.0",
        "qaf": "30.0±0.0",
        "qaa": "61.0±1.4",
        "qab": "81.0±1.4",
    }


def test_means_are_over_targets_and_held_out_ones_with_cost_beside() -> None:
    found = rows(means_table(confirmed()))
    assert found["trial 7 robust"] == {
        "target mean": "57.3±0.9",
        "held-out mean": "71.0±1.4",
        "worst language": "qaf 30.0±0.0",
        "transfer gap": "32.7±0.9",
        "mixed pairs": "71.0±1.4",
        "cost": "1.67",
        "seconds": "5.0",
    }
    assert found["trial 0 default"]["cost"] == "1.00"
    assert found["trial 0 default"]["seconds"] == "12"
    assert (found["named 1"]["cost"], found["named 1"]["seconds"]) == ("–", "–")


def test_differences_are_to_the_best_plain_one() -> None:
    table = contrast_table(confirmed())
    found = rows(table)
    assert list(found) == [
        "trial 7 robust − trial 3 plain",
        "named 1 − trial 3 plain",
        "trial 0 default − trial 3 plain",
    ]
    assert found["trial 7 robust − trial 3 plain"]["difference"] == "+10.5"
    assert found["trial 7 robust − trial 3 plain"]["95 % CI"] == "4.1 to 16.9"
    # Without predictions there are no items that could have been drawn.
    assert {row["items"] for row in found.values()} == {"–"}
    assert found["trial 0 default − trial 3 plain"]["p (Holm)"] == "–"


def test_a_configuration_without_a_result_keeps_its_row() -> None:
    found = confirmed(default=(None, None))
    assert set(rows(language_table(found))["trial 0 default"].values()) == {"–"}
    assert set(rows(contrast_table(found))["trial 0 default − trial 3 plain"].values()) == {"–"}
    assert confirmation_csv(found).splitlines()[-1].startswith("trial 0 default,0,default plain")


def test_without_any_result_the_tables_stand_empty() -> None:
    found = confirmed()
    runs = [replace(r, zero_shot=None) for c in found.configurations for r in c.runs]
    assert language_table(weigh(runs)).rows[0] == ("trial 7 robust",)
    assert blocks(language_table(weigh(runs)))


@pytest.mark.parametrize("count", [6, 13, 40])
def test_every_table_fits_100_columns_however_many_languages(count: int) -> None:
    found = confirmed(languages=tuple(f"q{number:02d}" for number in range(count)))
    for table in sections(found).values():
        for block in blocks(table, 100):
            assert max(len(line) for line in plain_text(block).splitlines()) <= 100


def test_eight_languages_are_one_block() -> None:
    found = confirmed(languages=tuple(f"qa{letter}" for letter in "abcdeg"))
    assert len(blocks(language_table(found), 100)) == 1


@given(st.integers(1, 30), st.integers(20, 120))
def test_blocks_share_out_all_columns_in_order_and_repeat_the_first(
    columns: int, width: int
) -> None:
    table = Table(
        ("", *(f"c{n}" for n in range(columns))),
        (("row", *(str(n) * 3 for n in range(columns))),),
    )
    parts = blocks(table, width)
    assert sum((part.header[1:] for part in parts), ()) == table.header[1:]
    assert {part.rows[0][0] for part in parts} == {"row"}
    sizes = [len(part.header) for part in parts]
    assert max(sizes) - min(sizes) <= max(sizes) - 1


def test_the_csv_holds_numbers_that_can_be_plotted() -> None:
    records = list(csv.DictReader(io.StringIO(confirmation_csv(confirmed()))))
    robust, named, plain, default = records
    assert robust["qaa"] == "61.0"
    assert float(robust["qaa_sd"]) == pytest.approx(1.4142)
    assert float(robust["difference"]) == pytest.approx(10.5)
    assert float(robust["ci_low"]) < 10.5 < float(robust["ci_high"])
    assert robust["error"] == "t test"
    assert (robust["cost"], robust["trial"], named["trial"]) == ("1.666667", "7", "")
    assert plain["difference"] == plain["p_holm"] == default["p_holm"] == ""
    assert default["difference"] != ""


def test_the_report_has_the_verdict_all_tables_and_every_note() -> None:
    found = confirmed(default=(0.5, None))
    text = confirmation_report(found, "first")
    assert text.startswith("# Confirmation of `first`\n\n**not confirmed: ")
    for title in sections(found):
        assert f"## {title}\n" in text
    assert "note: trial 0 default with seed 2 has no result" in text
    assert "t test over seeds alone" in text
    assert "Optimism of the search: +20.0" in text
