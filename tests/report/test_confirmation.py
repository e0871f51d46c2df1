"""Robust against plain over fresh seeds and items: corrected, and said in one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rxtune.config import Configuration
from rxtune.report import (
    Evidence,
    claim_metrics,
    claim_tags,
    failure_notes,
    holm,
    optimism_of_search,
    paired_comparison,
    verdict,
    weigh,
)
from rxtune.report.answers import Answers
from rxtune.results import ConfirmedRun, ZeroShot

ROBUST = Configuration(method="rs_rp", sigma=0.8, learning_rate=1.25)
PLAIN = Configuration(learning_rate=0.5)
BEST = (0.60, 0.62, 0.58, 0.61, 0.59)
DEFAULT = (0.57, 0.60, 0.59, 0.58, 0.55)
GOOD = (0.66, 0.67, 0.62, 0.66, 0.64)


def runs(
    trial: int | None, role: Any, configuration: Configuration, held_out: Any, **changes: Any
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


def confirmed_runs(
    robust: Any = GOOD, best: Any = BEST, default: Any = DEFAULT, **changes: Any
) -> list[ConfirmedRun]:
    return [
        *runs(7, "robust", ROBUST, robust, **changes),
        *runs(3, "best plain", PLAIN, best, **changes),
        *runs(0, "default plain", Configuration(), default, **changes),
    ]


def confirmed(*args: Any, **changes: Any) -> Any:
    return weigh(confirmed_runs(*args, **changes))


# --- the comparisons


def test_every_other_one_is_compared_with_the_best_plain_one_the_claim_first() -> None:
    found = weigh(
        [
            *runs(7, "robust", ROBUST, GOOD),
            *runs(9, "robust", Configuration(method="rs_rp"), BEST),
            *runs(None, "named", Configuration(method="adv"), BEST),
            *runs(0, "default plain", Configuration(), DEFAULT),
            *runs(3, "best plain", PLAIN, BEST),
        ]
    )
    pairs = [(c.candidate.label, c.plain.trial, c.is_tested) for c in found.contrasts]
    assert pairs == [
        ("trial 7 robust", 3, True),
        ("trial 9 robust", 3, True),
        ("named 1", 3, True),
        ("trial 0 default", 3, False),
    ]


def test_without_predictions_it_is_the_paired_t_test_and_says_so() -> None:
    found = confirmed()
    against_best = found.contrasts[0]
    expected = paired_comparison(GOOD, BEST)
    assert against_best.gain.mean == pytest.approx(expected.mean_difference)
    assert against_best.gain.p == against_best.p == pytest.approx(expected.p)
    assert against_best.gain.items is None
    (note,) = found.problems
    assert note.startswith("trial 7 robust, trial 0 default: t test over seeds alone")
    assert "not for other test items" in note


def test_the_default_plain_one_is_no_hypothesis() -> None:
    _, against_default = confirmed().contrasts
    assert against_default.gain is not None
    assert against_default.p is None
    assert not against_default.is_confirmed


def test_robust_and_named_ones_are_corrected_together() -> None:
    named = runs(4, "named", Configuration(method="adv"), (0.61, 0.64, 0.57, 0.63, 0.60))
    found = weigh([*runs(7, "robust", ROBUST, GOOD), *named, *runs(3, "best plain", PLAIN, BEST)])
    assert [c.p for c in found.contrasts] == pytest.approx(
        holm([c.gain.p for c in found.contrasts])
    )


def test_a_seed_that_failed_on_one_side_is_left_out_on_both() -> None:
    found = confirmed(best=(0.60, None, 0.58, 0.61, 0.59))
    without_second = [[values[i] for i in (0, 2, 3, 4)] for values in (GOOD, BEST)]
    gain = found.contrasts[0].gain
    assert gain.seeds == 4
    assert gain.mean == pytest.approx(paired_comparison(*without_second).mean_difference)
    assert failure_notes(found) == [
        "trial 3 plain with seed 2 has no result and is left out, with its pairs:"
        " diverged: update 3"
    ]


def test_a_baseline_that_is_the_best_plain_one_is_compared_once() -> None:
    both = runs(0, ("best plain", "default plain"), Configuration(), BEST)
    found = weigh([*runs(7, "robust", ROBUST, GOOD), *both])
    (only,) = found.contrasts
    assert only.p == only.gain.p
    assert "Holm" not in verdict(found)


# --- with predictions


def answers_of(all_runs: list[ConfirmedRun], items: int = 40) -> dict[Any, Answers]:
    """Return predictions that are right as often as each run's accuracies say."""
    found = {}
    for run in all_runs:
        languages = [lang for lang in run.zero_shot.accuracy for _ in range(items)]
        right = [
            number < round(items * accuracy)
            for accuracy in run.zero_shot.accuracy.values()
            for number in range(items)
        ]
        found[run.configuration, run.seed] = Answers(
            items=np.tile(np.arange(items).astype(str), len(run.zero_shot.accuracy)),
            languages=np.array(languages),
            labels=np.full(len(languages), "yes"),
            predictions=np.where(right, "yes", "no"),
        )
    return found


def both_sides(metric: Any = "accuracy") -> list[ConfirmedRun]:
    sides = [
        *runs(7, "robust", ROBUST, (0.65, 0.675, 0.65)),
        *runs(3, "best plain", PLAIN, (0.6, 0.575, 0.6)),
    ]
    return [
        replace(
            r,
            zero_shot=replace(r.zero_shot, metric=metric, macro_f1=dict(r.zero_shot.accuracy)),
        )
        for r in sides
    ]


def test_with_predictions_items_are_resampled_and_the_mean_is_the_same() -> None:
    bare = weigh(both_sides()).contrasts[0].gain
    found = weigh(both_sides(), Evidence(answers=answers_of(both_sides())))
    gain = found.contrasts[0].gain
    assert gain.items == 40
    assert gain.mean == pytest.approx(bare.mean)
    assert gain.high - gain.low >= bare.high - bare.low
    assert found.problems == ()
    assert "over 3 seeds and 40 test items, trial 7" in verdict(found)


def test_items_that_are_no_translations_are_drawn_by_language() -> None:
    evidence = Evidence(answers=answers_of(both_sides()), is_parallel=False)
    assert weigh(both_sides(), evidence).contrasts[0].gain.items == 80


def test_predictions_that_lack_a_seed_are_not_used_at_all() -> None:
    answers = answers_of(both_sides())
    del answers[PLAIN, 2]
    found = weigh(both_sides(), Evidence(answers=answers))
    assert found.contrasts[0].gain == weigh(both_sides()).contrasts[0].gain
    assert "(t test; these test items taken as given)" in verdict(found)


def test_in_macro_f1_the_difference_is_one_of_macro_f1() -> None:
    answers = answers_of(both_sides())
    scores = {
        key: one.mean_and_influence(("qaa", "qab"), "macro_f1")[0] for key, one in answers.items()
    }
    gain = weigh(both_sides("macro_f1"), Evidence(answers=answers)).contrasts[0].gain
    expected = [scores[ROBUST, seed] - scores[PLAIN, seed] for seed in (1, 2, 3)]
    assert gain.mean == pytest.approx(sum(expected) / 3)
    assert gain.items == 40


# --- the optimism of the search


def test_optimism_is_the_winners_dev_score_minus_its_score_on_fresh_seeds() -> None:
    found = weigh(confirmed_runs(), Evidence(dev_scores={7: {"qaf": 0.42}, 3: {"qaf": 0.9}}))
    assert found.optimism.mean == pytest.approx(0.12)
    assert optimism_of_search(found) == (
        "Optimism of the search: +12.0 ± 0.0 points: trial 7 (robust) had dev score 42.0 in qaf"
        " when it was chosen; on 5 fresh seeds and the test split it has 30.0 there (includes the"
        " change from dev to test items)."
    )


@pytest.mark.parametrize("seen", [{}, {3: {"qaf": 0.5}}, {7: {}}, {7: {"else": 0.5}}])
def test_optimism_is_not_told_where_the_winners_dev_score_is_not_known(seen: Any) -> None:
    found = weigh(confirmed_runs(), Evidence(dev_scores=seen))
    assert found.optimism is None
    assert optimism_of_search(found) is None
    assert claim_tags(found)["optimism"] == ""


# --- the verdict


def test_a_clear_gain_is_confirmed_with_its_figures() -> None:
    assert verdict(confirmed()) == (
        "confirmed: +5.0 points held-out mean, 95 % CI 4.1 to 5.9, p < 0.001 over 5 seeds (t test;"
        " these test items taken as given), trial 7 (robust) against trial 3 (best plain)"
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


def test_a_named_configuration_is_the_claim_where_there_is_no_robust_trial() -> None:
    named = runs(None, "named", ROBUST, [mean - 0.1 for mean in BEST])
    found = weigh([*named, *runs(3, "best plain", PLAIN, BEST)])
    assert verdict(found).startswith("not confirmed: the named one is not better: −10.0 points")
    assert "named 1 against trial 3 (best plain)" in verdict(found)


def test_the_claims_figures_are_those_of_the_verdict() -> None:
    metrics = claim_metrics(confirmed())
    assert metrics["difference"] == pytest.approx(0.05)
    assert 0.04 < metrics["low"] < metrics["high"] < 0.06
    assert metrics["p"] < 0.001
    assert claim_tags(confirmed())["confirmed"] == "true"
    unsettled = confirmed(best=(None,) * 5)
    assert claim_metrics(unsettled) == {}
    assert claim_tags(unsettled)["confirmed"] == "false"
