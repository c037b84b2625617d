"""Masks: one-hot as released, one value a pixel in the schema."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.schema import LABELS, UNLABELLED

_LABEL_OF_BITS = np.full(256, UNLABELLED, dtype=np.uint8)
for _label in range(len(LABELS)):
    _LABEL_OF_BITS[1 << _label] = _label


def decode_mask(one_hot: npt.NDArray[np.generic], name: str = "mask") -> npt.NDArray[np.uint8]:
    """Turn a one-hot mask into labels.

    Parameters
    ----------
    one_hot : numpy.ndarray
        bool or uint8 of 0 and 1, shape (row, column, class).
    name : str
        For messages.

    Returns
    -------
    numpy.ndarray
        uint8, shape (row, column): 0 clear, 1 cloud, 2 cloud shadow, 255 for a pixel without exactly one class.

    Raises
    ------
    DefectError
        If a byte is neither 0 nor 1.
    """
    values = one_hot.view(np.uint8)
    if values.size and values.max() > 1:
        raise DefectError(f"{name}: a byte of the mask is {int(values.max())}, expected 0 or 1")
    bits = values[..., 0].copy()
    for label in range(1, len(LABELS)):
        bits |= values[..., label] << label
    return _LABEL_OF_BITS[bits]


def encode_mask(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn labels back into the released form.

    Parameters
    ----------
    labels : numpy.ndarray
        uint8, shape (row, column).

    Returns
    -------
    numpy.ndarray
        uint8 of 0 and 1, shape (row, column, class), C order; all zero where a pixel is unlabelled.
    """
    one_hot: npt.NDArray[np.bool_] = labels[..., np.newaxis] == np.arange(len(LABELS), dtype=np.uint8)
    return one_hot.view(np.uint8)


def count_labels(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count the pixels of each class, shape (class,); unlabelled pixels are not counted."""
    return np.bincount(labels.ravel(), minlength=UNLABELLED + 1)[: len(LABELS)].astype(np.int64)
