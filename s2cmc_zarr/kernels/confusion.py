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
    return np.bincount(_cell(truth, prediction).ravel(), minlength=SIZE**2).reshape(SIZE, SIZE).astype(np.int64)


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
    distances = len(DISTANCE_EDGES)
    cell = np.minimum(distance, distances) * np.uint8(SIZE**2) + _cell(truth, prediction)
    counts = np.bincount(cell.ravel(), minlength=(distances + 1) * SIZE**2)
    return counts.reshape(distances + 1, SIZE, SIZE).astype(np.int64)


def _cell(truth: Mask, prediction: Mask) -> npt.NDArray[np.uint8]:
    cell: npt.NDArray[np.uint8] = np.minimum(truth, len(LABELS)) * np.uint8(SIZE) + np.minimum(prediction, len(LABELS))
    return cell
