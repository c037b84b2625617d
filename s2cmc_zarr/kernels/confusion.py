"""Agreement of two masks of one scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.pixels import Mask
from s2cmc_zarr.schema import LABELS


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
