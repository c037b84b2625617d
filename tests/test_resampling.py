from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from s2cmc_zarr.analysis.resampling import (
    bca_interval,
    exchange,
    exchange_p_value,
    holm,
    leave_one_out,
    percentile_interval,
    resample,
    resampled_sum,
)
from s2cmc_zarr.errors import CatalogueError

Floats = npt.NDArray[np.float64]


def bootstrap_mean(sample: Floats, group: Any, replicates: int = 400) -> tuple[Floats, Floats]:
    """Replicates and jackknife of the mean over scenes, as a user of the module makes them."""

    def mean(weights: npt.NDArray[np.int64]) -> Floats:
        scenes = resampled_sum(weights, np.ones_like(sample))
        return np.asarray(resampled_sum(weights, sample) / scenes)

    return mean(resample(group, replicates)), mean(leave_one_out(group))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 3))
def test_groups_are_drawn_whole(group: list[int], seed: int) -> None:
    drawn = resample(group, 20, seed)
    assert drawn.shape == (20, len(group))
    labels, first = np.unique(group, return_index=True)
    assert (drawn[:, first].sum(axis=1) == len(labels)).all()
    for label in labels:
        (positions,) = np.nonzero(np.array(group) == label)
        assert (drawn[:, positions] == drawn[:, positions[:1]]).all()
    np.testing.assert_array_equal(drawn, resample(group, 20, seed))


def test_each_group_is_equally_likely() -> None:
    drawn = resample(np.repeat(np.arange(10), 3), 20_000)
    assert stats.chisquare(drawn[:, ::3].sum(axis=0)).pvalue > 0.001
    # The number of times that one of n is drawn in n draws.
    np.testing.assert_allclose(drawn[:, 0].var(), 0.9, rtol=0.05)


def test_leave_one_out() -> None:
    np.testing.assert_array_equal(leave_one_out(["b", "a", "b"]), [[1, 0, 1], [0, 1, 0]])


def test_sums_are_exact() -> None:
    random = np.random.default_rng(0)
    counts = random.integers(0, 2**40, (7, 2, 3))
    drawn = resample(np.arange(7) // 2, 50)
    found = resampled_sum(drawn, counts)
    assert found.shape == (50, 2, 3)
    np.testing.assert_array_equal(found, np.einsum("rs,sij->rij", drawn, counts))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_percentile_interval_is_that_of_numpy(axis: int) -> None:
    random = np.random.default_rng(0)
    replicates = random.normal(size=(50, 40, 30))
    replicates[random.random(replicates.shape) < 0.2] = np.nan
    expected = np.nanquantile(replicates, [0.05, 0.95], axis=axis)
    np.testing.assert_allclose(percentile_interval(replicates, 0.9, axis), expected, rtol=1e-12)


@pytest.mark.parametrize("sample", ["skewed", "tied"])
def test_bca_interval_is_that_of_scipy(sample: str) -> None:
    random = np.random.default_rng(1)
    values: Floats = random.exponential(size=25) if sample == "skewed" else random.choice([0.0, 1.0, 8.0], 25)
    replicates, jackknife = bootstrap_mean(values, np.arange(25))
    for level in (0.8, 0.95):
        # scipy's own interval from our replicates, to which it adds none.
        ours = stats.bootstrap((values,), np.mean, n_resamples=2, method="percentile")
        ours = dataclasses.replace(ours, bootstrap_distribution=replicates)
        expected = stats.bootstrap(
            (values,), np.mean, n_resamples=0, bootstrap_result=ours, method="BCa", confidence_level=level
        ).confidence_interval
        found = bca_interval(replicates, values.mean(), jackknife, level)
        np.testing.assert_allclose(found, [expected.low, expected.high], rtol=1e-12)
        assert not np.allclose(found, percentile_interval(replicates, level), rtol=1e-6)


def test_intervals_of_many_statistics_are_those_of_each() -> None:
    random = np.random.default_rng(2)
    samples = random.exponential(size=(12, 2, 3))
    group = np.arange(12) // 2
    replicates, jackknife = bootstrap_mean(samples, group)
    together = bca_interval(replicates, samples.mean(0), jackknife)
    assert together.shape == (2, 2, 3)
    for row, column in np.ndindex(2, 3):
        cell = (slice(None), row, column)
        alone = bca_interval(replicates[cell], samples[cell].mean(), jackknife[cell])
        np.testing.assert_allclose(together[cell], alone, rtol=1e-12)


def test_what_does_not_vary_has_an_interval_without_width() -> None:
    certain = np.ones((100, 2))
    np.testing.assert_array_equal(percentile_interval(certain), np.ones((2, 2)))
    np.testing.assert_array_equal(bca_interval(certain, np.ones(2), np.ones((5, 2))), np.ones((2, 2)))


def test_what_is_undefined_has_no_interval() -> None:
    nothing = np.full((100, 2), np.nan)
    assert np.isnan(percentile_interval(nothing)).all()
    assert np.isnan(bca_interval(nothing, np.full(2, np.nan), nothing[:5])).all()
    assert np.isnan(exchange_p_value(np.full(2, np.nan), nothing, np.arange(9), 100)).all()


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_cover_the_truth_as_often_as_they_say(method: str) -> None:
    """Scenes of a group share an effect; 300 catalogues of 60 groups, of which 95 % should cover the mean."""
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(60), 3)
    catalogues = random.gamma(2, 1, (60, 300))[group] + random.gamma(2, 0.5, (180, 300))
    truth = 2 * 1 + 2 * 0.5

    def coverage(units: npt.NDArray[Any]) -> float:
        replicates, jackknife = bootstrap_mean(catalogues, units, 600)
        if method == "percentile":
            low, high = percentile_interval(replicates)
        else:
            low, high = bca_interval(replicates, catalogues.mean(0), jackknife)
        return float(((low <= truth) & (truth <= high)).mean())

    # Three standard errors of a share of 300, and a little for 60 groups being few.
    assert 0.91 <= coverage(group) <= 0.99
    # Taking the scenes as independent makes the intervals too narrow.
    assert coverage(np.arange(180)) < 0.90


def test_p_values_of_all_exchanges_are_those_of_scipy() -> None:
    random = np.random.default_rng(5)
    first, second = random.gamma(2, 1, (2, 9))
    difference = first - second
    ways = exchange(np.arange(9), 512)
    assert len(np.unique(ways, axis=0)) == len(ways) == 2**9
    found = exchange_p_value(difference.mean(), ((1 - 2 * ways) * difference).mean(axis=1), np.arange(9), 512)
    expected = stats.permutation_test(
        (first, second), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True
    )
    assert found == pytest.approx(expected.pvalue)


def test_p_values_are_uniform_without_a_difference_and_small_with_one() -> None:
    random = np.random.default_rng(4)
    # Of 50 groups few have a large effect, as few scenes have most of the errors.
    samples = random.normal(size=(50, 400)) * np.where(np.arange(50) < 4, 20, 1)[:, np.newaxis]

    def p_values(of: npt.NDArray[Any]) -> npt.NDArray[Any]:
        signs = 1 - 2 * exchange(np.arange(50), 500)
        return exchange_p_value(of.mean(axis=0), signs @ of / 50, np.arange(50), 500)

    assert stats.kstest(p_values(samples), "uniform").pvalue > 0.001
    for shifted in (samples + 100, samples - 100):
        assert (p_values(shifted) == 1 / 501).all()


def test_scenes_of_a_group_are_exchanged_together() -> None:
    group = np.array([3, 1, 3, 2, 1] * 8) + 10 * np.repeat(np.arange(8), 5)
    ways = exchange(group, 100)
    assert ways.shape == (100, 40)
    assert 0.4 < ways.mean() < 0.6
    for each in np.unique(group):
        of_group = ways[:, group == each]
        assert (of_group == of_group[:, :1]).all()


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_holm_is_that_of_statsmodels(p_values: list[float], absent: list[bool]) -> None:
    values = np.array(p_values)
    values[absent[: len(values)]] = np.nan
    tested = np.isfinite(values)
    found = holm(values)
    assert np.isnan(found[~tested]).all()
    if tested.any():
        np.testing.assert_allclose(found[tested], multipletests(values[tested], method="holm")[1], rtol=1e-12)
    np.testing.assert_array_equal(holm(np.stack([values, values], 1), axis=0)[:, 1], found)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: resample([]), "no scenes to resample"),
        (lambda: leave_one_out([]), "no scenes to resample"),
        (lambda: resample([1, 2], 0), "replicates are 0, expected at least 1"),
        (lambda: percentile_interval(np.ones(3), 95), "level is 95, expected a number between 0 and 1"),
    ],
)
def test_refusals(refused: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        refused()
