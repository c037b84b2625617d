"""The loops over pairs of bands of a scene, compiled; see `s2cmc_zarr.kernels.compiled_bands`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.compiling import compiled
from s2cmc_zarr.schema import LABELS

_Array = npt.NDArray[Any]

_CLASSES: Final = len(LABELS)
_BLOCK: Final = 256
"""Pixels: 27 kB in float64 of 13 bands."""
_LARGEST: Final = np.finfo(np.float32).max
_SUM: Final = {"reassoc", "contract"}


@compiled(fastmath=_SUM)
def _sum(values: _Array) -> float:
    total = 0.0
    for index in range(values.size):
        total += np.float64(values[index])
    return total


@compiled(fastmath=_SUM)
def _product_sum(left: _Array, right: _Array) -> float:
    total = 0.0
    for index in range(left.size):
        total += left[index] * right[index]
    return total


@compiled()
def covariances(bands: _Array, labels: _Array) -> tuple[_Array, _Array, _Array]:
    """Count the pixels of each class that are finite in every band, their means and products of deviations.

    Within a block the means come first and the products second; blocks are merged after Chan, Golub and LeVeque (1983).
    Gives counts, shape (class,), means, (class, band), and sums of products, (class, band, band).
    """
    size = len(bands)
    count, mean = np.zeros(_CLASSES, np.int64), np.zeros((_CLASSES, size))
    products = np.zeros((_CLASSES, size, size))
    values, block_mean, difference = np.empty((size, _BLOCK)), np.empty(size), np.empty(size)
    where, finite = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.bool_)
    for start in range(0, labels.size, _BLOCK):
        length = min(_BLOCK, labels.size - start)
        finite[:] = True
        for band in range(size):
            plane = bands[band, start : start + length]
            for index in range(length):
                finite[index] &= abs(plane[index]) <= _LARGEST
        for label in range(_CLASSES):
            added = 0
            for index in range(length):
                if finite[index] and labels[start + index] == label:
                    where[added] = start + index
                    added += 1
            if not added:
                continue
            before = count[label]
            for band in range(size):
                for index in range(added):
                    values[band, index] = bands[band, where[index]]
                block_mean[band] = _sum(values[band, :added]) / added
                for index in range(added):
                    values[band, index] -= block_mean[band]
                difference[band] = block_mean[band] - mean[label, band]
            weight = before * added / (before + added)
            for band in range(size):
                for other in range(band + 1):
                    product = _product_sum(values[band, :added], values[other, :added])
                    products[label, band, other] += product + weight * difference[band] * difference[other]
                mean[label, band] += difference[band] * (added / (before + added))
            count[label] += added
    for band in range(size):
        for other in range(band):
            products[:, other, band] = products[:, band, other]
    return count, mean, products
