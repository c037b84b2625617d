"""Statistics of one scene's reflectance in each class and band."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.pixels import Mask, Reflectance, count_values, has_data
from s2cmc_zarr.schema import LABELS


class SceneStatistics(TypedDict):
    """What `scene_statistics` counts in one scene.

    Attributes
    ----------
    count : numpy.ndarray
        int64, shape (label, band): finite values, in the pixels of each class that have data.
    mean, variance : numpy.ndarray
        float64, shape (label, band): of these values; the variance is that of the population. NaN where there are none.
    minimum, maximum : numpy.ndarray
        float32, shape (label, band): of these values. NaN where there are none.
    non_finite_count : numpy.ndarray
        int64, shape (label, band): other values, in the pixels of each class that have data.
    class_count : numpy.ndarray
        int64, shape (label,): pixels of each class, with data or without.
    unlabelled_count : numpy.ndarray
        int64, shape (): pixels without a class, with data or without.
    no_data_count : numpy.ndarray
        int64, shape (): pixels without data, of whatever class or none.
    """

    count: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float32]
    maximum: npt.NDArray[np.float32]
    non_finite_count: npt.NDArray[np.int64]
    class_count: npt.NDArray[np.int64]
    unlabelled_count: npt.NDArray[np.int64]
    no_data_count: npt.NDArray[np.int64]


def scene_statistics(reflectance: Reflectance, mask: Mask) -> SceneStatistics:
    """Count, mean, variance, minimum and maximum of reflectance in each class and band.

    Moments are taken in float64 and in two passes, first the mean and then the squared deviations from it, which does
    not cancel as the difference of two large sums would.

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).
    mask : numpy.ndarray
        uint8, shape (y, x).

    Returns
    -------
    SceneStatistics

    Raises
    ------
    CatalogueError
        If the mask has a value that is neither a class nor 255.
    """
    *class_count, unlabelled_count = count_values(mask)
    data = has_data(reflectance)
    pixels = [np.flatnonzero(data & (mask == value)) for value in range(len(LABELS))]
    shape = (len(LABELS), len(reflectance))
    count = np.zeros(shape, dtype=np.int64)
    mean, variance = np.full((2, *shape), np.nan)
    minimum, maximum = np.full((2, *shape), np.nan, dtype=np.float32)
    for band, plane in enumerate(reflectance):
        flat = plane.ravel()
        for label, where in enumerate(pixels):
            values = flat[where]
            if not (finite := np.isfinite(values)).all():
                values = values[finite]
            if not values.size:
                continue
            cell = label, band
            count[cell] = values.size
            minimum[cell], maximum[cell] = values.min(), values.max()
            mean[cell] = values.mean(dtype=np.float64)
            deviation = np.subtract(values, mean[cell], dtype=np.float64)
            variance[cell] = np.square(deviation, out=deviation).mean()
    return SceneStatistics(
        count=count,
        mean=mean,
        variance=variance,
        minimum=minimum,
        maximum=maximum,
        non_finite_count=np.array([where.size for where in pixels], dtype=np.int64)[:, np.newaxis] - count,
        class_count=np.array(class_count, dtype=np.int64),
        unlabelled_count=np.array(unlabelled_count, dtype=np.int64),
        no_data_count=np.array(data.size - np.count_nonzero(data), dtype=np.int64),
    )
