"""The loops over the pixels of a mask, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.compiling import compiled
from s2cmc_zarr.schema import LABELS, UNLABELLED

_Array = npt.NDArray[Any]

_CLASSES: Final = len(LABELS)
_TABLES: Final = 4
"""Of each histogram: neighbouring pixels are alike, and one counter would wait for its own last value."""


@compiled()
def count_bytes(values: _Array) -> _Array:
    """Count how often each value of uint8 occurs, shape (256,)."""
    counts = np.zeros((_TABLES, 256), np.int64)
    whole = values.size // _TABLES * _TABLES
    for start in range(0, whole, _TABLES):
        for table in range(_TABLES):
            counts[table, values[start + table]] += 1
    for index in range(whole, values.size):
        counts[0, values[index]] += 1
    total: _Array = counts.sum(axis=0)
    return total


@compiled()
def count_cells(truth: _Array, prediction: _Array, distance: _Array, distances: int) -> _Array:
    """Count flat arrays of uint8 by the three values; those that are too large are taken for the last one.

    Shape (distance + 1, class + 1, class + 1).
    """
    counts = np.zeros((_TABLES, distances + 1, _CLASSES + 1, _CLASSES + 1), np.int64)
    for index in range(truth.size):
        row, column = min(truth[index], _CLASSES), min(prediction[index], _CLASSES)
        counts[index % _TABLES, min(distance[index], distances), row, column] += 1
    total: _Array = counts.sum(axis=0)
    return total


@compiled()
def count_probabilities(truth: _Array, probability: _Array, edges: _Array) -> tuple[Any, ...]:
    """Count probabilities, float32, that are not NaN, by truth and bin; outside of 0 to 1, the nearest counts.

    Parameters
    ----------
    truth, probability : numpy.ndarray
        Shape (pixel,).
    edges : numpy.ndarray
        float64, shape (bin + 1,), regular from 0 to 1.

    Returns
    -------
    count, total, square : numpy.ndarray
        Shapes (class + 1, bin), the same with their sum, and (class + 1,) with the sum of squares.
    smallest, largest : float
        Of the probabilities as they were given, which are not checked.
    """
    bins = edges.size - 1
    count, total = np.zeros((_CLASSES + 1, bins), np.int64), np.zeros((_CLASSES + 1, bins))
    square, smallest, largest = np.zeros(_CLASSES + 1), np.inf, -np.inf
    for index in range(truth.size):
        given = np.float64(probability[index])
        if np.isnan(given):
            continue
        smallest, largest = min(smallest, given), max(largest, given)
        value, row = min(max(given, 0.0), 1.0), min(truth[index], _CLASSES)
        # The product is rounded, so that a value next to an edge may come out on its other side.
        position = min(int(value * bins), bins - 1)
        position -= value < edges[position] and position > 0
        position += value >= edges[position + 1] and position < bins - 1
        count[row, position] += 1
        total[row, position] += value
        square[row] += value * value
    return count, total, square, smallest, largest


@compiled()
def boundary_lengths(mask: _Array) -> _Array:
    """Count the edges of pixels between one class and another, for each of both, shape (class,)."""
    lengths = np.zeros(UNLABELLED + 1, np.int64)
    rows, columns = mask.shape
    for row in range(rows):
        for column in range(columns):
            value = mask[row, column]
            right = mask[row, column + 1] if column + 1 < columns else value
            below = mask[row + 1, column] if row + 1 < rows else value
            for other in (right, below):
                if other != value and other != UNLABELLED and value != UNLABELLED:
                    lengths[value] += 1
                    lengths[other] += 1
    return lengths[:_CLASSES]
