"""The loops over pixels of all bands, whatever their class, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.compiling import compiled
from s2cmc_zarr.schema import UNLABELLED

_Array = npt.NDArray[Any]

_BLOCK: Final = 4096
"""Pixels that are worked at together: so many values of a band, 16 kB, stay in the first-level cache."""
_LARGEST: Final = np.finfo(np.float32).max


@compiled()
def _observe(bands: _Array, start: int, observed: _Array) -> int:
    """Tell which pixels of a block are neither zero nor not finite in every band; gives how many are not observed."""
    observed[:] = False
    missing = observed.size
    for band in range(len(bands)):
        values = bands[band, start : start + observed.size]
        missing = 0
        for index in range(observed.size):
            observed[index] |= (abs(values[index]) <= _LARGEST) & (values[index] != 0)
            missing += not observed[index]
        if not missing:
            break
    return missing


@compiled()
def observed_labels(bands: _Array, mask: _Array) -> tuple[_Array, int]:
    """Give the mask with 255 where every band is zero or not finite, and the number of such pixels."""
    labels = mask.copy()
    without_data = 0
    buffer = np.empty(_BLOCK, np.bool_)
    for start in range(0, mask.size, _BLOCK):
        observed = buffer[: mask.size - start]
        missing = _observe(bands, start, observed)
        if missing:
            without_data += missing
            for index in range(observed.size):
                if not observed[index]:
                    labels[start + index] = UNLABELLED
    return labels, without_data


@compiled()
def select_bands(bands: _Array, chosen: _Array, scale: np.float32, selected: _Array) -> tuple[_Array, int]:
    """Write chosen bands, multiplied by a number, and 0 where a pixel is missing.

    Missing is a pixel where every band is zero or not finite, or a chosen one is not finite.

    Parameters
    ----------
    bands : numpy.ndarray
        float32, shape (band, pixel).
    chosen : numpy.ndarray
        int64: their positions.
    scale : float32
    selected : numpy.ndarray
        float32, shape (chosen, pixel): is written.

    Returns
    -------
    missing : numpy.ndarray
        bool, shape (pixel,).
    count : int
        Of missing pixels.
    """
    count = 0
    observed = np.empty(bands.shape[1], np.bool_)
    for start in range(0, observed.size, _BLOCK):
        here = observed[start : start + _BLOCK]
        _observe(bands, start, here)
        for position in range(len(chosen)):
            values = bands[chosen[position], start : start + _BLOCK]
            written = selected[position, start : start + _BLOCK]
            for index in range(here.size):
                here[index] &= abs(values[index]) <= _LARGEST
                written[index] = values[index] * scale
        missing = 0
        for index in range(here.size):
            missing += not here[index]
        if missing:
            count += missing
            for position in range(len(chosen)):
                for index in range(here.size):
                    if not here[index]:
                        selected[position, start + index] = 0
    return ~observed, count


@compiled()
def count_special(bands: _Array, saturated: np.float32) -> _Array:
    """Count zero, negative, saturated, infinite and NaN values, shape (5, band)."""
    counts = np.zeros((5, len(bands)), np.int64)
    for band in range(len(bands)):
        plane = bands[band]
        zero, negative, high, infinite, missing = 0, 0, 0, 0, 0
        for index in range(plane.size):
            value = plane[index]
            finite = abs(value) <= _LARGEST
            zero += value == 0
            negative += finite & (value < 0)
            high += finite & (value >= saturated)
            missing += value != value
            infinite += not finite
        counts[0, band], counts[1, band], counts[2, band] = zero, negative, high
        counts[3, band], counts[4, band] = infinite - missing, missing
    return counts
