"""Distances of the pixels of a mask to another class, compiled: row by row, so that the compiler uses vectors.

Distances go along the column first, and from there the smallest sum of squares is looked for along the row. Neither is
followed beyond the last limit, which keeps them in 8 and 16 bits.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.compiling import compiled
from s2cmc_zarr.schema import LABELS, UNLABELLED

_Array = npt.NDArray[Any]

_CLASSES: Final = len(LABELS)


@compiled()
def _holds(values: _Array, label: np.uint8) -> bool:
    found = False
    for index in range(values.size):
        found |= values[index] == label
    return found


@compiled()
def _step_along_columns(values: _Array, label: np.uint8, before: _Array, distances: _Array, reach: np.uint8) -> None:
    """Distances of a row from those of the row before it, which must not be the same memory."""
    for index in range(values.size):
        other = (values[index] != label) & (values[index] != UNLABELLED)
        distances[index] = np.uint8(0) if other else min(np.uint8(before[index] + np.uint8(1)), reach)


@compiled()
def _square_nearer(above: _Array, below: _Array, squares: _Array) -> np.uint16:
    """Square the smaller distance of each pixel; gives the smallest square."""
    smallest = np.uint16(2**16 - 1)
    for index in range(above.size):
        distance = np.uint16(min(above[index], below[index]))
        squares[index] = distance * distance
        smallest = min(smallest, squares[index])
    return smallest


@compiled()
def _look_across(squares: _Array, left: _Array, right: _Array, added: np.uint16) -> None:
    for index in range(squares.size):
        squares[index] = min(squares[index], np.uint16(min(left[index], right[index]) + added))


@compiled()
def _pass_limit(squares: _Array, limit: np.uint16, values: _Array, label: np.uint8, passed: _Array) -> None:
    for index in range(values.size):
        passed[index] += np.uint8((squares[index] >= limit) & (values[index] == label))


@compiled()
def distance_limits_passed(mask: _Array, limits: _Array) -> _Array:
    """Count for each pixel the limits that its squared distance to the nearest pixel of another class reaches.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x).
    limits : numpy.ndarray
        uint16, increasing: squares of distances between centres, in pixels, the last one of a whole number up to 180.

    Returns
    -------
    numpy.ndarray
        uint8, shape (y, x); 255 where unlabelled.
    """
    rows, columns = mask.shape
    last = limits[-1]
    reach = np.int64(np.sqrt(last))
    above = np.full((2, _CLASSES, columns), np.uint8(reach))  # of the row before and this one, in turns
    below = np.full((_CLASSES, rows + 1, columns), np.uint8(reach))
    for label in range(_CLASSES):
        for row in range(rows - 1, -1, -1):
            _step_along_columns(mask[row], np.uint8(label), below[label, row + 1], below[label, row], np.uint8(reach))
    padded, squares = np.full(columns + 2 * reach, last), np.empty(columns, np.uint16)
    passed = np.zeros((rows, columns), np.uint8)
    for row in range(rows):
        for label in range(_CLASSES):
            here = above[row % 2, label]
            _step_along_columns(mask[row], np.uint8(label), above[1 - row % 2, label], here, np.uint8(reach))
            if not _holds(mask[row], np.uint8(label)):
                continue
            nearest = _square_nearer(here, below[label, row], padded[reach : reach + columns])
            squares[:] = padded[reach : reach + columns]
            if nearest < last:
                for across in range(1, reach):
                    left, right = padded[reach - across :], padded[reach + across :]
                    _look_across(squares, left, right, np.uint16(across * across))
            for limit in limits:
                _pass_limit(squares, limit, mask[row], np.uint8(label), passed[row])
        for column in range(columns):
            if mask[row, column] == UNLABELLED:
                passed[row, column] = UNLABELLED
    return passed
