"""Kernels: pure functions that turn the pixels of one scene into small additive counts."""

from __future__ import annotations

from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS, UNLABELLED

Reflectance: TypeAlias = npt.NDArray[np.floating[Any]]
Mask: TypeAlias = npt.NDArray[np.uint8]


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


def has_data(reflectance: Reflectance, *, every_band: bool = False) -> npt.NDArray[np.bool_]:
    """Tell the pixels that were observed from those that were not.

    Level-1C products have 0 in all bands outside the swath; an unwritten scene of a store is NaN.

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).
    every_band : bool
        Also require that the value is finite in every band, as a model needs it.

    Returns
    -------
    numpy.ndarray
        bool, shape (y, x): False where every band is zero or not finite.
    """
    observed = np.zeros(reflectance.shape[1:], dtype=bool)
    for band in reflectance:
        observed |= np.isfinite(band) & (band != 0)
        if observed.all():
            break
    if every_band:
        for band in reflectance:
            observed &= np.isfinite(band)
    return observed


def count_values(mask: Mask) -> npt.NDArray[np.int64]:
    """Count the pixels of each class of a mask.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x).

    Returns
    -------
    numpy.ndarray
        int64, shape (class + 1,): the classes in the schema's order, then the unlabelled pixels.

    Raises
    ------
    CatalogueError
        If a value is neither a class nor 255.
    """
    counts = np.bincount(mask.ravel(), minlength=UNLABELLED + 1).astype(np.int64)
    if counts[len(LABELS) : UNLABELLED].any():
        found = [value for value in np.flatnonzero(counts).tolist() if len(LABELS) <= value < UNLABELLED]
        classes = ", ".join(f"{value} ({label})" for value, label in enumerate(LABELS))
        raise CatalogueError(f"the mask has the value(s) {found}, expected {classes} or {UNLABELLED} (none)")
    return np.append(counts[: len(LABELS)], counts[UNLABELLED])


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


def confusion(truth: Mask, prediction: Mask) -> npt.NDArray[np.int64]:
    """Count the pixels of each pair of a true and a predicted class.

    Parameters
    ----------
    truth, prediction : numpy.ndarray
        uint8, shape (y, x): values of classes, or 255.

    Returns
    -------
    numpy.ndarray
        int64, shape (class + 1, class + 1), truth by prediction: the classes in the schema's order, then 255.
        Every pixel is in one cell.
    """
    size = len(LABELS) + 1
    cell = np.minimum(truth, len(LABELS)) * np.uint8(size) + np.minimum(prediction, len(LABELS))
    return np.bincount(cell.ravel(), minlength=size * size).reshape(size, size).astype(np.int64)
