"""Merging the moments of parts of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]


def merge_covariances(
    count: _Array, mean: _Array, covariance: _Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Merge means and population covariances of parts into those of the whole, one part after another.

    After Chan, Golub and LeVeque (1983, doi 10.1080/00031305.1983.10483115), for products of two variables.

    Parameters
    ----------
    count : numpy.ndarray
        int, shape (..., part, class): how many values each part has, or that are to count.
    mean : numpy.ndarray
        Shape (part, class, band).
    covariance : numpy.ndarray
        Shape (part, class, band, band).

    Returns
    -------
    mean, covariance : numpy.ndarray
        float64, shapes (..., class, band) and (..., class, band, band); NaN where the count is 0.
    """
    shape = (*count.shape[:-2], *mean.shape[1:])
    total = np.zeros(shape[:-1])
    pooled, products = np.zeros(shape), np.zeros((*shape, shape[-1]))
    for part in range(len(mean)):
        added = count[..., part, :]
        merged = total + added
        share = np.divide(added, merged, out=np.zeros(shape[:-1]), where=merged > 0)
        # A part that is empty has no mean, and one that is left out must not spoil the sums.
        difference = np.where(added[..., np.newaxis] > 0, mean[part] - pooled, 0)
        between = difference[..., np.newaxis] * difference[..., np.newaxis, :]
        within = np.where(added[..., np.newaxis, np.newaxis] > 0, covariance[part], 0)
        products += added[..., np.newaxis, np.newaxis] * within + (total * share)[..., np.newaxis, np.newaxis] * between
        pooled += share[..., np.newaxis] * difference
        total = merged
    divisor = np.where(total > 0, total, np.nan)[..., np.newaxis]
    return np.where(np.isnan(divisor), np.nan, pooled), products / divisor[..., np.newaxis]
