"""Robust against plain over fresh seeds: paired, corrected, and said in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.config import Configuration
from rxtune.report import (
    confirmation_table,
    contrast_table,
    failure_notes,
    holm,
    paired_comparison,
    verdict,
    weigh,
)
from rxtune.results import ConfirmedRun, ZeroShot

ROBUST = Configuration(method="rs_rp", sigma=0.8, learning_rate=1.25)
PLAIN = Configuration(learning_rate=0.5)
BEST = (0.60, 0.62, 0.58, 0.61, 0.59)
DEFAULT = (0.57, 0.60, 0.59, 0.58, 0.55)
GOOD = (0.66, 0.67, 0.62, 0.66, 0.64)


def runs(
    trial: int, role: Any, configuration: Configuration, held_out: Any, **changes: Any
) -> list[ConfirmedRun]:
    """Return a run per seed; None for a held-out mean is a run that diverged."""
    roles = (role,) if isinstance(role, str) else role
    return [
        ConfirmedRun(
            trial=trial,
            roles=roles,
            configuration=configuration,
            seed=seed,
            zero_shot=None if mean is None else result(mean, **changes),
            reason="diverged: update 3" if mean is None else None,
        )
        for seed, mean in enumerate(held_out, start=1)
    ]


def result(held_out: float, dev_languages: tuple[str, ...] = ("qaf",)) -> ZeroShot:
    return ZeroShot(
        accuracy={"eng": 0.9, "qaa": held_out + 0.1, "qab": held_out - 0.1, "qaf": 0.3},
        source_language="eng",
        dev_languages=dev_languages,
        split="test",
    )


def confirmed(robust: Any = GOOD, best: Any = BEST, default: Any = DEFAULT, **changes: Any) -> Any:
    return weigh(
        [
            *runs(7, "robust", ROBUST, robust, **changes),
            *runs(3, "best plain", PLAIN, best, **changes),
            *runs(0, "default plain", Configuration(), default, **changes),
        ]
    )


# --- the comparisons


def test_each_robust_one_is_compared_with_both_plain_ones_the_best_first() -> None:
    found = weigh(
        [
            *runs(7, "robust", ROBUST, GOOD),
            *runs(9, "robust", Configuration(method="rs_rp"), BEST),
            *runs(0, "default plain", Configuration(), DEFAULT),
            *runs(3, "best plain", PLAIN, BEST),
        ]
    )
    pairs = [(contrast.robust.trial, contrast.plain.trial) for contrast in found.contrasts]
    assert pairs == [(7, 3), (7, 0), (9, 3), (9, 0)]


def test_the_comparison_is_the_paired_test_of_held_out_means_with_holms_correction() -> None:
    contrasts = confirmed().contrasts
    expected = [paired_comparison(GOOD, plain) for plain in (BEST, DEFAULT)]
    assert [c.paired.mean_difference for c in contrasts] == pytest.approx(
        [e.mean_difference for e in expected]
    )
    assert [c.p for c in contrasts] == pytest.approx(holm([e.p for e in expected]))


def test_a_seed_that_failed_on_one_side_is_left_out_on_both() -> None:
    found = confirmed(best=(0.60, None, 0.58, 0.61, 0.59))
    against_best, against_default = found.contrasts
    without_second = [[values[i] for i in (0, 2, 3, 4)] for values in (GOOD, BEST)]
    assert against_best.paired.pairs == 4
    assert against_best.paired.mean_difference == pytest.approx(
        paired_comparison(*without_second).mean_difference
    )
    assert against_default.paired.pairs == 5
    assert failure_notes(found) == [
        "trial 3 with seed 2 has no result and is left out, with its pairs: diverged: update 3"
    ]


def test_a_baseline_that_is_the_best_plain_one_is_compared_once() -> None:
    both = runs(0, ("best plain", "default plain"), Configuration(), BEST)
    found = weigh([*runs(7, "robust", ROBUST, GOOD), *both])
    (only,) = found.contrasts
    assert only.p == only.paired.p
    assert "Holm" not in verdict(found)


# --- the verdict


def test_a_clear_gain_is_confirmed_with_its_figures() -> None:
    assert verdict(confirmed()) == (
        "confirmed: +5.0 points held-out mean, 95 % CI 4.1 to 5.9, p < 0.001 (Holm, 2 comparisons)"
        " over 5 seeds, trial 7 (robust) against trial 3 (best plain)"
    )


def test_a_gain_within_the_noise_is_not_confirmed() -> None:
    text = verdict(confirmed(robust=(0.66, 0.58, 0.61, 0.60, 0.62)))
    assert text.startswith("not confirmed: the gain may be chance: +1.4 points held-out mean")
    assert "CI −3.5 to 6.3" in text


def test_a_loss_is_never_confirmed_however_sure() -> None:
    text = verdict(confirmed(robust=[mean - 0.1 for mean in BEST]))
    assert text.startswith("not confirmed: the robust one is not better: −10.0 points")


def test_the_correction_counts() -> None:
    robust = (0.63, 0.64, 0.58, 0.63, 0.61)
    alone = weigh(
        [*runs(7, "robust", ROBUST, robust), *runs(3, "best plain", PLAIN, (*BEST[:4], 0.62))]
    )
    assert 0.05 < alone.contrasts[0].p < 0.25
    bad = [runs(n, "robust", Configuration(sigma=n), BEST) for n in (8, 9)]
    among = weigh(
        [
            *runs(7, "robust", ROBUST, robust),
            *bad[0],
            *bad[1],
            *runs(3, "best plain", PLAIN, (*BEST[:4], 0.62)),
        ]
    )
    assert among.contrasts[0].p == pytest.approx(3 * alone.contrasts[0].p)


def test_the_claim_is_the_searchs_best_trial_even_where_another_is_better_now() -> None:
    found = weigh(
        [
            *runs(7, "robust", ROBUST, [mean - 0.1 for mean in BEST]),
            *runs(9, "robust", Configuration(method="rs_rp"), GOOD),
            *runs(3, "best plain", PLAIN, BEST),
        ]
    )
    assert verdict(found).startswith("not confirmed")
    assert found.contrasts[1].is_confirmed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"best": (0.6, None, None, None, None)}, "fewer than two seeds on which both trial 7"),
        ({"best": (None,) * 5}, "fewer than two seeds"),
        ({"dev_languages": ("qaa", "qab", "qaf")}, "nothing is held out"),
    ],
)
def test_what_cannot_be_tested_is_not_settled(changes: dict[str, Any], why: str) -> None:
    text = verdict(confirmed(**changes))
    assert text.startswith("not settled: ")
    assert why in text


def test_without_a_plain_run_nothing_is_settled() -> None:
    assert verdict(weigh(runs(7, "robust", ROBUST, GOOD))).startswith("not settled: there is no")


# --- the tables


def test_the_table_has_a_column_per_configuration_with_mean_and_spread() -> None:
    table = confirmation_table(confirmed(best=(0.60, None, 0.58, 0.61, 0.59)))
    assert table.header == (
        "",
        "trial 7 (robust)",
        "trial 3 (best plain)",
        "trial 0 (default plain)",
    )
    assert dict((row[0], row[1:]) for row in table.rows) == {
        "method": ("rs_rp", "standard", "standard"),
        "learning_rate": ("1.25", "0.5", "1"),
        "sigma": ("0.8", "–", "–"),
        "seeds": ("5", "4", "5"),
        "eng (source)": ("90.0 ± 0.0",) * 3,
        "qaf (dev)": ("30.0 ± 0.0",) * 3,
        "target mean": ("53.3 ± 1.3", "49.7 ± 0.9", "48.5 ± 1.3"),
        "held-out mean": ("65.0 ± 2.0", "59.5 ± 1.3", "57.8 ± 1.9"),
    }


def test_a_configuration_without_a_result_keeps_its_column() -> None:
    table = confirmation_table(confirmed(default=(None,) * 5))
    assert {row[-1] for row in table.rows if row[0] in ("eng (source)", "held-out mean")} == {"–"}


def test_the_comparisons_are_shown_with_both_p_values() -> None:
    rows = contrast_table(confirmed(default=(0.57, None, None, None, None))).rows
    assert rows == (
        ("trial 7 − trial 3 (best plain)", "+5.0", "4.1 to 5.9", "< 0.001", "< 0.001", "5"),
        ("trial 7 − trial 0 (default plain)", "–", "–", "–", "–", "–"),
    )
