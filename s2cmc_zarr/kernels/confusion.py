"""Agreement of two masks of one scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.boundaries import DISTANCE_EDGES
from s2cmc_zarr.kernels.pixels import Mask
from s2cmc_zarr.schema import LABELS

SIZE = len(LABELS) + 1
"""Classes, and 255."""


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
    counts: npt.NDArray[np.int64] = confusion_by_distance(truth, prediction, np.zeros_like(truth))[0]
    return counts


def confusion_by_distance(truth: Mask, prediction: Mask, distance: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count the pixels of each pair of a true and a predicted class, by the distance to the nearest boundary.

    Parameters
    ----------
    truth, prediction : numpy.ndarray
        uint8, shape (y, x): values of classes, or 255.
    distance : numpy.ndarray
        uint8, shape (y, x): of the truth, as `distance_classes` gives it.

    Returns
    -------
    numpy.ndarray
        int64, shape (distance + 1, class + 1, class + 1): the last is of the unlabelled pixels, which have no
        distance, so that the sum over the first axis is `confusion`.
    """
    from s2cmc_zarr.kernels.compiled_masks import count_cells

    counts: npt.NDArray[np.int64]
    counts = count_cells(truth.ravel(), prediction.ravel(), distance.ravel(), len(DISTANCE_EDGES))
    return counts
