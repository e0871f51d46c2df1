"""The hierarchical bootstrap: its properties, its closed form, its error rate."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from rxtune.report import paired_comparison
from rxtune.report.bootstrap import hierarchical_bootstrap, hierarchical_spread, strata_of

LANGUAGES = ("qaa", "qab")


def compare(differences: Any, joint: bool = True) -> Any:
    """Return the bootstrap of right minus right (S, N, L), items being translations."""
    by_seed, strata = prepared(differences, joint)
    return hierarchical_bootstrap(by_seed, strata)


def prepared(differences: Any, joint: bool = True) -> tuple[Any, list[Any]]:
    differences = np.asarray(differences, dtype=float)
    seeds, items, count = differences.shape
    means = differences.mean(axis=1, keepdims=True)
    influence = ((differences - means) / items).transpose(0, 2, 1).reshape(seeds, -1)
    languages = np.repeat(LANGUAGES[:count], items)
    ids = np.tile(np.arange(items).astype(str), count)
    return means.mean(axis=(1, 2)), strata_of(influence, languages, ids, joint=joint)


def draw(seed: int, seeds: int = 5, items: int = 60) -> Any:
    """Return differences with an effect of seeds, of items, and of single answers."""
    rng = np.random.default_rng(seed)
    chance = 0.3 + 0.1 * rng.standard_normal((seeds, 1, 1)) + 0.1 * rng.random((1, items, 1))
    first = rng.random((seeds, items, 2)) < chance + 0.1
    return first.astype(int) - (rng.random((seeds, items, 2)) < chance)


answers = st.tuples(st.integers(2, 6), st.integers(2, 30)).flatmap(
    lambda shape: arrays(np.int8, (*shape, 2), elements=st.integers(-1, 1))
)


# --- properties


@given(st.integers(2, 8), st.integers(2, 40), st.booleans())
def test_equal_predictions_differ_by_nothing(seeds: int, items: int, joint: bool) -> None:
    found = compare(np.zeros((seeds, items, 2)), joint)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_difference_without_any_spread_is_certain() -> None:
    found = compare(np.ones((3, 10, 2)))
    assert (found.mean, found.low, found.high, found.p) == (1.0, 1.0, 1.0, 0.0)


@given(answers, st.floats(-0.5, 0.5))
def test_a_constant_shift_moves_the_interval_and_keeps_its_width(
    differences: Any, shift: float
) -> None:
    by_seed, strata = prepared(differences)
    before = hierarchical_bootstrap(by_seed, strata)
    after = hierarchical_bootstrap(by_seed + shift, strata)
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-9)
    assert after.high - after.low == pytest.approx(before.high - before.low, abs=1e-9)


@given(answers, st.booleans(), st.randoms())
def test_the_order_of_seeds_and_items_says_nothing(
    differences: Any, joint: bool, random: Any
) -> None:
    seeds, items = list(range(len(differences))), list(range(differences.shape[1]))
    random.shuffle(seeds)
    random.shuffle(items)
    before, after = compare(differences, joint), compare(differences[seeds][:, items], joint)
    for name in ("mean", "low", "high", "p"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-9)


@given(answers)
def test_swapping_the_sides_turns_the_sign(differences: Any) -> None:
    one, other = compare(differences), compare(-differences)
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
    assert one.p == pytest.approx(other.p)


@given(answers)
def test_the_interval_excludes_zero_exactly_where_p_is_below_5_percent(differences: Any) -> None:
    found = compare(differences)
    if abs(found.p - 0.05) > 1e-9:
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


@given(answers)
def test_it_is_never_surer_than_the_t_test_over_seeds(differences: Any) -> None:
    by_seed, strata = prepared(differences)
    bare = paired_comparison(by_seed, np.zeros(len(by_seed)))
    assert hierarchical_bootstrap(by_seed, strata).p >= bare.p - 1e-9


# --- closed forms


def test_the_variances_are_those_of_drawn_replicates() -> None:
    differences = draw(1, seeds=4, items=30)
    by_seed, strata = prepared(differences)
    spread = hierarchical_spread(by_seed, strata)
    table = strata[0] * strata[0].shape[1] + by_seed[:, None]  # of every seed and item (S, N)
    seeds, items = table.shape
    rng = np.random.default_rng(0)
    drawn_seeds = rng.multinomial(seeds - 1, [1 / seeds] * seeds, size=40_000) / (seeds - 1)
    drawn_items = rng.multinomial(items - 1, [1 / items] * items, size=40_000) / (items - 1)
    replicates = {
        "seeds": drawn_seeds @ table.mean(axis=1),
        "items": drawn_items @ table.mean(axis=0),
        "both": np.einsum("bs,si,bi->b", drawn_seeds, table, drawn_items),
    }
    for name, drawn in replicates.items():
        assert getattr(spread, name) == pytest.approx(drawn.var(), rel=0.03), name


def test_where_seeds_alone_differ_it_is_the_t_test_over_seeds() -> None:
    by_seed = np.array([0.02, 0.05, 0.03, 0.04])
    found = hierarchical_bootstrap(by_seed, [np.zeros((4, 50))])
    bare = paired_comparison(by_seed, np.zeros(4))
    assert (found.low, found.high, found.p) == pytest.approx((bare.low, bare.high, bare.p))


def test_where_items_alone_differ_it_is_the_t_test_over_items() -> None:
    item = np.random.default_rng(3).integers(-1, 2, size=200)
    found = compare(np.broadcast_to(item[None, :, None], (5, 200, 1)))
    bare = stats.ttest_1samp(item, 0.0)
    assert found.p == pytest.approx(bare.pvalue)
    assert found.low == pytest.approx(bare.confidence_interval().low)


def test_items_drawn_with_their_translations_are_fewer_independent_ones() -> None:
    one = np.random.default_rng(4).integers(-1, 2, size=(1, 100, 1))
    same = np.broadcast_to(one, (5, 100, 2))
    widths = [found.high - found.low for found in (compare(same, True), compare(same, False))]
    assert widths[0] / widths[1] == pytest.approx(2**0.5, rel=0.01)


@pytest.mark.parametrize(("seeds", "items"), [(1, 10), (3, 1)])
def test_too_few_seeds_or_items_are_refused(seeds: int, items: int) -> None:
    with pytest.raises(ValueError, match=f"2 seeds and 2 items .* got {seeds} and {items}"):
        compare(np.zeros((seeds, items, 2)))


# --- error rate


def statistics_check() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "statistics_check.py"
    spec = importlib.util.spec_from_file_location("statistics_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["statistics_check"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seeds", [3, 5])
def test_chance_is_seldom_taken_for_an_effect_and_an_effect_is_covered(seeds: int) -> None:
    check = statistics_check()
    scenario = check.Scenario(
        name="small", seeds=seeds, items=100, languages=2, seed_points=(2.0, 3.0)
    )
    found = check.check(scenario, 2000, seed=1)
    assert found.false_alarms <= 0.06
    assert 0.93 <= found.coverage <= 0.97
    assert found.t_test > 0.08  # it takes the items as given
