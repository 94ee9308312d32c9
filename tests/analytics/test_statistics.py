"""The statistics, beside SciPy and statsmodels."""

import random
import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from voxledger.analytics.statistics import (
    ENOUGH,
    WEEKS,
    adjusted,
    benjamini_hochberg,
    deviation,
    robust_z,
    trend,
    two_proportion,
    wilson,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what statsmodels thinks of the pandas it imports
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

proportions = st.integers(ENOUGH, 10_000).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))
weeks = st.lists(st.integers(0, 10**6), min_size=WEEKS, max_size=12)
probabilities = st.lists(st.floats(0, 1), max_size=30)


@given(proportions, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_that_of_statsmodels(proportion, confidence):
    part, whole = proportion
    found = wilson(part, whole, confidence=confidence)
    low, high = proportion_confint(part, whole, 1 - confidence, method="wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-12)
    assert 0 <= found.low <= part / whole + 1e-12
    assert part / whole - 1e-12 <= found.high <= 1


@given(proportions, proportions)
def test_two_proportions_are_compared_as_statsmodels_does(now, before):
    assume(0 < now[0] + before[0] < now[1] + before[1])
    found = two_proportion(*now, *before)
    z, p = proportions_ztest([now[0], before[0]], [now[1], before[1]])
    low, high = confint_proportions_2indep(*now, *before, method="newcomb", compare="diff")
    assert found is not None
    assert (found.z, found.p) == pytest.approx((z, p), abs=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-9)
    mirrored = two_proportion(*before, *now)
    assert mirrored is not None
    assert mirrored.difference == pytest.approx(-found.difference)
    assert mirrored.p == pytest.approx(found.p)


@pytest.mark.parametrize("part", [0, 40])
def test_equal_proportions_without_any_variation_do_not_differ(part):
    found = two_proportion(part, 40, part, 40)
    assert found is not None
    assert (found.difference, found.z, found.p) == (0, 0, 1)


def test_too_few_observations_say_nothing():
    assert two_proportion(29, ENOUGH - 1, 5, 1000) is None
    assert two_proportion(5, 1000, 29, ENOUGH - 1) is None
    assert two_proportion(5, ENOUGH, 5, ENOUGH) is not None
    assert wilson(0, 0) is two_proportion(0, 0, 0, 0) is None
    assert deviation(5, [1] * (WEEKS - 1)) is robust_z(5, []) is trend([1, 2, 3]) is None


@pytest.mark.parametrize(("part", "whole"), [(-1, 5), (6, 5)])
def test_a_part_that_is_none_is_refused(part, whole):
    with pytest.raises(ValueError, match=f"{part} of {whole} is no proportion"):
        wilson(part, whole)


@given(st.integers(0, 10**6), weeks)
def test_the_robust_z_is_scaled_as_scipy_scales(value, history):
    scale = stats.median_abs_deviation(history, scale=1 / 1.4826)
    z = robust_z(value, history)
    assert z == (pytest.approx((value - stats.scoreatpercentile(history, 50)) / scale) if scale else None)


@given(st.integers(0, 10**6), weeks)
def test_the_p_of_a_deviation_is_students_and_agrees_with_its_interval(value, history):
    found = deviation(value, history)
    assert found is not None
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.z) / 1.3, 4), abs=1e-9)
    outside = not found.interval.low <= value <= found.interval.high
    assert outside == (found.p < 0.05) or found.p == pytest.approx(0.05)


def test_an_ordinary_week_is_called_unusual_as_often_as_is_said():
    chance = random.Random(7)
    weeks = [[chance.gauss(10_000, 500) for _ in range(WEEKS + 1)] for _ in range(4000)]
    ps = [found.p for week in weeks if (found := deviation(week[-1], week[:-1], counts=False))]
    for level in (0.1, 0.05, 0.01):
        assert sum(p < level for p in ps) / len(ps) == pytest.approx(level, rel=0.4)


def test_counts_that_never_changed_still_vary_by_chance():
    steady = [100] * WEEKS
    found, jump = deviation(110, steady), deviation(200, steady)
    assert found is not None
    assert jump is not None
    assert found.p > 0.3
    assert jump.p < 0.01
    assert deviation(110, steady, counts=False) is None


@given(probabilities, st.floats(0.01, 0.5))
def test_many_findings_are_believed_as_statsmodels_believes_them(ps, q):
    if not ps:
        assert benjamini_hochberg(ps, q) == ()
        return
    believed, values, _, _ = multipletests(ps, alpha=q, method="fdr_bh")
    assert adjusted(ps) == pytest.approx(tuple(values))
    assert adjusted(ps) == pytest.approx(tuple(stats.false_discovery_control(ps)))
    assert all(
        mine == its or value == pytest.approx(q)
        for mine, its, value in zip(benjamini_hochberg(ps, q), believed, values, strict=True)
    )


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted([0.5, 1.5])


@given(st.lists(st.integers(-(10**9), 10**9), min_size=4, max_size=12))
def test_a_trend_is_that_of_theil_and_sen(values):
    found = trend(values)
    slope, _, low, high = stats.theilslopes(values)
    assert found is not None
    assert (found.slope, found.interval.low, found.interval.high) == pytest.approx((slope, low, high), abs=1e-6)
    expected, interval = found.ahead(4)
    assert interval.low <= expected <= interval.high


def test_an_outlier_does_not_move_a_trend():
    found = trend([10, 20, 30, 4000, 50, 60, 70, 80])
    assert found is not None
    assert found.slope == 10
    assert found.ahead(2)[0] == 100
