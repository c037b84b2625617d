"""What is wrong with the pixels of one scene, as counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.pixels import Mask, Reflectance, has_data
from s2cmc_zarr.schema import LABELS, UNLABELLED


def count_mask_values(mask: Mask) -> dict[str, npt.NDArray[np.int64]]:
    """Count the values of a mask, whatever they are.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x).

    Returns
    -------
    dict of str to numpy.ndarray
        int64, and in all every pixel: ``class_count``, shape (class,), and, of shape (), ``unlabelled_count`` (255) and
        ``invalid_count`` (neither a class nor 255).
    """
    counts = np.bincount(mask.ravel(), minlength=UNLABELLED + 1).astype(np.int64)
    return {
        "class_count": counts[: len(LABELS)],
        "unlabelled_count": counts[UNLABELLED],
        "invalid_count": counts[len(LABELS) : UNLABELLED].sum(),
    }


def count_invalid_values(reflectance: Reflectance) -> dict[str, npt.NDArray[np.int64]]:
    """Count pixels without data, and values that cannot be reflectance.

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).

    Returns
    -------
    dict of str to numpy.ndarray
        int64: ``no_data_count``, shape (), pixels of which every band is zero or not finite; and, of shape (band,), the
        values in all other pixels that are not finite, ``non_finite_count``, or below zero, ``negative_count``.
    """
    data = has_data(reflectance)
    return {
        "no_data_count": np.array(data.size - np.count_nonzero(data), dtype=np.int64),
        "non_finite_count": np.array([np.count_nonzero(data & ~np.isfinite(band)) for band in reflectance]),
        "negative_count": np.array([np.count_nonzero(data & (band < 0)) for band in reflectance]),
    }
