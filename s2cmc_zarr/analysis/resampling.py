"""Intervals by resampling independent groups of scenes: matrices of how often each scene is drawn."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from s2cmc_zarr.choices import REPLICATES as REPLICATES
from s2cmc_zarr.errors import CatalogueError

Floats: TypeAlias = npt.NDArray[np.float64]


def resample(group: npt.ArrayLike, replicates: int = REPLICATES, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw whole independent groups with replacement, as many as there are.

    A sum over the scenes of a replicate is a row of the result times what each scene adds, so that a bootstrap of
    anything that follows from sums is one matrix product. The resamples of two models are the same if their seed is.

    Parameters
    ----------
    group : array_like
        Shape (scene,): scenes of equal value are drawn together.
    replicates : int
    seed : int
        Of NumPy's default generator: the same one gives the same resamples.

    Returns
    -------
    numpy.ndarray
        int64, shape (replicate, scene): how often each scene occurs.

    Raises
    ------
    CatalogueError
        If there are no scenes or replicates.
    """
    group_count, group_of_scene = _group_of_scene(group)
    if replicates < 1:
        raise CatalogueError(f"replicates are {replicates}, expected at least 1")
    equally = np.full(group_count, 1 / group_count)
    drawn: npt.NDArray[np.int64] = np.random.default_rng(seed).multinomial(group_count, equally, replicates)
    return np.asarray(drawn[:, group_of_scene])


def leave_one_out(group: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Leave out each independent group in turn: the replicates of the jackknife.

    Parameters
    ----------
    group : array_like
        Shape (scene,).

    Returns
    -------
    numpy.ndarray
        int64, shape (independent group, scene): 0 for the scenes that are left out, 1 for the others.

    Raises
    ------
    CatalogueError
        If there are no scenes.
    """
    group_count, group_of_scene = _group_of_scene(group)
    kept = np.not_equal.outer(np.arange(group_count), group_of_scene)
    return np.asarray(kept, dtype=np.int64)


def resampled_sum(weights: npt.NDArray[Any], values: npt.NDArray[Any]) -> Floats:
    """Sum over the scenes of each replicate.

    Parameters
    ----------
    weights : numpy.ndarray
        Shape (replicate, scene), from `resample` or `leave_one_out`.
    values : numpy.ndarray
        Shape (scene, …), finite.

    Returns
    -------
    numpy.ndarray
        float64, shape (replicate, …); exact for counts whose sum is below 2⁵³.
    """
    # Only products of floats go through BLAS.
    summed: Floats = np.tensordot(weights.astype(np.float64, copy=False), values.astype(np.float64, copy=False), axes=1)
    return summed


def percentile_interval(replicates: Floats, level: float = 0.95, axis: int = 0) -> Floats:
    """Give the percentile interval: the quantiles (1 − level) / 2 and (1 + level) / 2 of the replicates.

    Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), section 13.3. Replicates in which the statistic is
    undefined (NaN) are left out.

    Parameters
    ----------
    replicates : numpy.ndarray
        float64, the statistic in each replicate, along `axis`.
    level : float
        Nominal coverage, between 0 and 1.
    axis : int

    Returns
    -------
    numpy.ndarray
        float64, shape (2, …): lower and upper limits; NaN where no replicate is defined.

    Raises
    ------
    CatalogueError
        If the level is not between 0 and 1.
    """
    ordered, defined = _ordered(replicates, axis)
    return _quantiles(ordered, defined, _tails(level, ordered.shape[:-1]))


def bca_interval(
    replicates: Floats, estimate: npt.ArrayLike, jackknife: Floats, level: float = 0.95, axis: int = 0
) -> Floats:
    """Give the bias-corrected and accelerated interval.

    Efron (1987, doi 10.1080/01621459.1987.10478410): quantiles of the replicates that are moved by the bias, as the
    share of replicates below the estimate shows it, and by the acceleration, as the skewness of the jackknife shows it.
    It does not need the statistic to be symmetric or unbiased, unlike the percentile interval.

    Parameters
    ----------
    replicates : numpy.ndarray
        float64, the statistic in each replicate, along `axis`.
    estimate : array_like
        Shape (…): the statistic of the sample.
    jackknife : numpy.ndarray
        float64, the statistic without each independent group (`leave_one_out`), along `axis`.
    level : float
        Nominal coverage, between 0 and 1.
    axis : int

    Returns
    -------
    numpy.ndarray
        float64, shape (2, …): lower and upper limits; NaN where no replicate or the estimate is undefined. Where all
        replicates are on one side of the estimate no bias can be told, and the limits are those of the percentile
        interval.

    Raises
    ------
    CatalogueError
        If the level is not between 0 and 1.
    """
    estimate = np.asarray(estimate, dtype=np.float64)
    ordered, defined = _ordered(replicates, axis)
    tails = _tails(level, ordered.shape[:-1])
    difference = ordered - estimate[..., np.newaxis]
    # A replicate that draws every group once is the sample, but for the order in which it was summed.
    rounding = 1e-12 * np.fmax.reduce(np.abs(ordered), axis=-1)[..., np.newaxis]
    below = (difference < -rounding).sum(-1) + 0.5 * (np.abs(difference) <= rounding).sum(-1)
    share = below / np.maximum(defined, 1)
    bias = ndtri(np.where((share > 0) & (share < 1), share, 0.5))
    acceleration = _acceleration(np.moveaxis(jackknife, axis, -1))
    shifted = bias + ndtri(tails)
    moved = ndtr(bias + shifted / (1 - acceleration * shifted))
    limits = _quantiles(ordered, defined, moved)
    return np.where(np.isnan(estimate), np.nan, limits)


def exchange(group: npt.ArrayLike, replicates: int = REPLICATES, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw independent groups in which two models are exchanged: each with probability ½, or all ways once, if few.

    Parameters
    ----------
    group : array_like
        Shape (scene,): scenes of equal value are exchanged together.
    replicates : int
        If there are not more ways than that, 2ⁿ for n groups, each of them is given once.
    seed : int

    Returns
    -------
    numpy.ndarray
        int64, shape (replicate, scene): 1 where the models are exchanged. The first row is 0 if all ways are given.

    Raises
    ------
    CatalogueError
        If there are no scenes.
    """
    group_count, group_of_scene = _group_of_scene(group)
    if _all_ways(group_count, replicates):
        chosen = np.arange(2**group_count)[:, np.newaxis] >> np.arange(group_count) & 1
    else:
        chosen = np.random.default_rng(seed).integers(0, 2, (replicates, group_count))
    return np.asarray(chosen[:, group_of_scene], dtype=np.int64)


def exchange_p_value(
    estimate: npt.ArrayLike, exchanged: Floats, group: npt.ArrayLike, replicates: int = REPLICATES
) -> Floats:
    """Test whether two models differ: how often a contrast is as large after exchanges that would not matter if not.

    The paired randomisation test of Fisher (1935) and Pitman, in which independent groups of scenes are the pairs. It
    is exact however few groups there are, and however uneven their differences: groups in which the models do equally
    well count for nothing. Where the ways are drawn, 1 is added to both counts (Phipson and Smyth 2010,
    doi 10.2202/1544-6115.1585).

    Parameters
    ----------
    estimate : array_like
        Shape (…): the contrast.
    exchanged : numpy.ndarray
        float64, shape (replicate, …): the contrast after each of the exchanges of `exchange`.
    group : array_like
        As for `exchange`.
    replicates : int
        The same.

    Returns
    -------
    numpy.ndarray
        float64, shape (…): two-sided; NaN where the contrast is undefined.
    """
    estimate = np.abs(np.asarray(estimate, dtype=np.float64))
    # What is equal but for the order of sums is as large.
    as_large = np.abs(exchanged) >= estimate - 1e-12
    added = 0 if _all_ways(_group_of_scene(group)[0], replicates) else 1
    defined = np.isfinite(exchanged).sum(axis=0)
    p_value: Floats = (as_large.sum(axis=0) + added) / np.maximum(defined + added, 1)
    return np.where(np.isnan(estimate), np.nan, p_value)


def _all_ways(group_count: int, replicates: int) -> bool:
    # 2ⁿ is not more than that.
    return group_count < replicates.bit_length()


def holm(p_values: Floats, axis: int = -1) -> Floats:
    """Correct p-values for the number of tests.

    Holm's step-down procedure (1979, Scandinavian Journal of Statistics 6, 65–70) keeps the probability of one or more
    false discoveries among all tests below the level, whatever their dependence.

    Parameters
    ----------
    p_values : numpy.ndarray
        float64; the tests that belong together are along `axis`. NaN is no test.
    axis : int

    Returns
    -------
    numpy.ndarray
        float64, the same shape.
    """
    p_values = np.moveaxis(np.asarray(p_values, dtype=np.float64), axis, -1)
    order = np.argsort(p_values, axis=-1)  # NaN last
    tests = np.isfinite(p_values).sum(-1, keepdims=True)
    steps = np.take_along_axis(p_values, order, -1) * (tests - np.arange(p_values.shape[-1]))
    corrected = np.empty_like(p_values)
    np.put_along_axis(corrected, order, np.minimum(np.fmax.accumulate(steps, axis=-1), 1.0), -1)
    return np.moveaxis(np.where(np.isnan(p_values), np.nan, corrected), -1, axis)


def _group_of_scene(group: npt.ArrayLike) -> tuple[int, npt.NDArray[np.intp]]:
    labels, positions = np.unique(np.asarray(group), return_inverse=True)
    if not labels.size:
        raise CatalogueError("no scenes to resample; is the selection empty?")
    return len(labels), positions


def _tails(level: float, shape: tuple[int, ...]) -> Floats:
    if not 0 < level < 1:
        raise CatalogueError(f"level is {level}, expected a number between 0 and 1 such as 0.95")
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    return np.broadcast_to(tails.reshape(2, *(1,) * len(shape)), (2, *shape))


def _ordered(replicates: Floats, axis: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Sort the replicates along the last axis, NaN last, and count those that are not NaN."""
    # Sorting is several times faster where replicates lie side by side.
    ordered = np.sort(np.ascontiguousarray(np.moveaxis(replicates, axis, -1)), axis=-1)
    return ordered, np.asarray((~np.isnan(ordered)).sum(-1))


def _quantiles(ordered: Floats, defined: npt.NDArray[np.int64], probabilities: Floats) -> Floats:
    """Interpolate linearly between order statistics, as `numpy.quantile` does; a probability for each column."""
    position = np.maximum(defined - 1, 0) * probabilities
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, np.maximum(defined - 1, 0))
    low = np.take_along_axis(ordered[np.newaxis], left[..., np.newaxis], -1)[..., 0]
    high = np.take_along_axis(ordered[np.newaxis], right[..., np.newaxis], -1)[..., 0]
    return np.asarray(low + (position - left) * (high - low))


def _acceleration(jackknife: Floats) -> Floats:
    """Efron's equation 7.3: a sixth of the skewness of the jackknife's influence; 0 where nothing has influence."""
    defined = np.isfinite(jackknife).sum(-1, keepdims=True)
    influence = np.nansum(jackknife, axis=-1, keepdims=True) / np.maximum(defined, 1) - jackknife
    square = np.nansum(influence**2, axis=-1)
    cube = np.nansum(influence**3, axis=-1)
    return np.where(square > 0, cube / (6 * np.where(square > 0, square, 1.0) ** 1.5), 0.0)
