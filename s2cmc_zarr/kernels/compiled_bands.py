"""The loops that take moments and histograms of the bands of a scene, compiled.

Scenes are (band, pixel), worked at in blocks that stay in the processor's cache from one step to the next. Within a
block the values of a class are put side by side, so that loops have no branches and the compiler uses vector
instructions. Sums may be reordered ("reassoc"), which assumes nothing about NaN: where a sum is not finite, values are
looked at one by one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.compiling import compiled
from s2cmc_zarr.schema import LABELS, UNLABELLED

_Array = npt.NDArray[Any]

_CLASSES: Final = len(LABELS)
_BLOCK: Final = 4096
"""Values of a band: 16 kB, half of a first-level cache."""
_TABLES: Final = 4
"""Of each histogram: neighbouring pixels are alike, and one counter would wait for its own last value."""
_LARGEST: Final = np.finfo(np.float32).max
_SUM: Final = {"reassoc", "contract"}


@compiled()
def class_parts(labels: _Array) -> tuple[_Array, _Array]:
    """Sort the pixels of each block by class.

    Gives their offsets in the block, uint16, shape (pixel,), those of the first class first (a block of one class has
    none), and where each class begins and the last one ends, shape (block, class + 1).
    """
    blocks = (labels.size + _BLOCK - 1) // _BLOCK
    offsets, bounds = np.empty(labels.size, np.uint16), np.zeros((blocks, _CLASSES + 1), np.int64)
    counts = np.empty(256, np.int64)
    for block in range(blocks):
        start, stop = block * _BLOCK, min((block + 1) * _BLOCK, labels.size)
        counts[:] = 0
        for index in range(start, stop):
            counts[labels[index]] += 1
        for label in range(_CLASSES):
            bounds[block, label + 1] = bounds[block, label] + counts[label]
        if counts.max() == stop - start:  # of one class, or unlabelled: nothing to sort
            continue
        counts[:_CLASSES] = bounds[block, :_CLASSES]
        for index in range(start, stop):
            label = labels[index]
            if label != UNLABELLED:
                offsets[start + counts[label]] = index - start
                counts[label] += 1
    return offsets, bounds


@compiled(fastmath=_SUM)
def _sum(values: _Array) -> float:
    total = 0.0
    for index in range(values.size):
        total += np.float64(values[index])
    return total


@compiled(fastmath=_SUM)
def _square_sum(values: _Array, mean: float) -> float:
    total = 0.0
    for index in range(values.size):
        deviation = np.float64(values[index]) - mean
        total += deviation * deviation
    return total


@compiled()
def _extremes(bits: _Array) -> tuple[Any, Any]:
    """Smallest and largest of floats as ordered integers, which unlike floats are compared in vectors."""
    low, high = np.int32(2**31 - 1), np.int32(-(2**31))
    for index in range(bits.size):
        ordered = bits[index] ^ ((bits[index] >> np.int32(31)) & np.int32(2**31 - 1))
        low, high = min(low, ordered), max(high, ordered)
    return low, high


@compiled()
def _finite(values: _Array, buffer: _Array) -> _Array:
    count = 0
    for index in range(values.size):
        if abs(values[index]) <= _LARGEST:
            buffer[count] = values[index]
            count += 1
    return buffer[:count]


@compiled()
def _uniform_bins(values: _Array, scale: float, offset: float, low: float, last: int, bins: _Array) -> None:
    for index in range(values.size):
        # Exact: a float32 times a whole number below 2**29 fits into a float64.
        position = np.floor(np.float64(values[index]) * scale + offset) - low
        position = position if position > 0 else 0.0
        bins[index] = np.int32(position if position < last else np.float64(last))


@compiled()
def _uniform_bins_inside(values: _Array, scale: float, offset: float, low: float, bins: _Array) -> None:
    """The same where values are not negative and below the last edge, in half the time."""
    for index in range(values.size):
        bins[index] = np.int32(np.float64(values[index]) * scale + offset) - np.int32(low)


@compiled()
def _guide(edges: _Array) -> tuple[float, float, _Array]:
    """Divide the range of the edges into cells; gives their scale and offset, and how many edges are in lower cells."""
    cells = 8 * edges.size
    scale = min(cells / max(edges[-1] - edges[0], 1e-30), 1e30)
    offset = -edges[0] * scale
    own = np.empty(edges.size, np.int32)
    _uniform_bins(edges, scale, offset, 0.0, cells, own)
    return scale, offset, np.searchsorted(own, np.arange(cells + 1))


@compiled()
def _searched_bins(values: _Array, edges: _Array, scale: float, offset: float, guide: _Array, bins: _Array) -> None:
    _uniform_bins(values, scale, offset, 0.0, guide.size - 1, bins)
    for index in range(values.size):
        position = guide[bins[index]]
        while position < edges.size and edges[position] <= values[index]:
            position += 1
        bins[index] = position


@compiled()
def _increment(tables: _Array, bins: _Array) -> None:
    whole = bins.size // _TABLES * _TABLES
    for start in range(0, whole, _TABLES):
        for table in range(_TABLES):
            tables[table, bins[start + table]] += np.uint32(1)
    for index in range(whole, bins.size):
        tables[0, bins[index]] += np.uint32(1)


@compiled()
def count_bands(
    bands: _Array,
    offsets: _Array,
    bounds: _Array,
    moments: bool,
    edges: _Array,
    uniform: tuple[float, float, float],
) -> tuple[_Array, _Array, _Array, _Array, _Array]:
    """Count the finite values of each class and band, their moments and histograms.

    Within a block the mean comes first and the squared deviations from it second; blocks are merged after Chan, Golub
    and LeVeque (1983).

    Parameters
    ----------
    bands : numpy.ndarray
        float32, shape (band, pixel).
    offsets, bounds : numpy.ndarray
        Of `class_parts`.
    moments : bool
        Whether to take them.
    edges : numpy.ndarray
        float64, shape (edge,), of the bins; empty for no histogram.
    uniform : tuple of float
        (scale, offset, first): the bin of a value is floor(value * scale + offset) - first; scale 0: search the edges.

    Returns
    -------
    count, mean, square, extreme, histogram : numpy.ndarray
        Shapes (class, band), twice with the sum of squared deviations from the mean, (2, class, band) and (class, band,
        edge + 1).
    """
    shape = (_CLASSES, len(bands))
    width = edges.size + 1 if edges.size else 0
    count, sums, squares = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    extreme = np.full((2, _CLASSES, len(bands)), np.float32(np.nan))
    histogram = np.zeros((_CLASSES, len(bands), width), np.uint32)
    tables, bits = np.empty((_CLASSES, _TABLES, width), np.uint32), np.empty((2, _CLASSES), np.int32)
    buffer, finite, bins = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.int32)
    scale, offset, low = uniform
    search = edges.size and not scale
    guide = np.empty(0, np.int64)
    if search:
        scale, offset, guide = _guide(edges)
    # Non-negative floats are ordered as their bits are.
    top = np.array([edges[-1] if edges.size else 0.0], np.float32).view(np.int32)[0] - 1
    for band in range(len(bands)):
        tables[:] = 0
        bits[0], bits[1] = 2**31 - 1, -(2**31)
        for block in range(len(bounds)):
            start = block * _BLOCK
            plane = bands[band, start : start + _BLOCK]
            for label in range(_CLASSES):
                where = offsets[start + bounds[block, label] : start + bounds[block, label + 1]]
                if not where.size:
                    continue
                values = plane
                if where.size < plane.size:
                    values = buffer[: where.size]
                    for index in range(where.size):
                        values[index] = plane[where[index]]
                total = _sum(values)
                if not np.isfinite(total):
                    values = _finite(values, finite)
                    total = _sum(values)
                before, added = count[label, band], values.size
                if not added:
                    continue
                inside = False
                if moments:
                    squares[label, band] += _square_sum(values, total / added)
                    if before:
                        difference = total / added - sums[label, band] / before
                        squares[label, band] += difference * difference * (before * added / (before + added))
                    smallest, largest = _extremes(values.view(np.int32))
                    bits[0, label], bits[1, label] = min(bits[0, label], smallest), max(bits[1, label], largest)
                    inside = smallest >= 0 and largest < top
                if edges.size:
                    if search:
                        _searched_bins(values, edges, scale, offset, guide, bins)
                    elif inside:
                        _uniform_bins_inside(values, scale, offset, low, bins)
                    else:
                        _uniform_bins(values, scale, offset, low, edges.size, bins)
                    # An index without a sign is not checked for one.
                    _increment(tables[label], bins[:added].view(np.uint32))
                count[label, band] += added
                sums[label, band] += total
        for label in range(_CLASSES):
            if moments and count[label, band]:
                for side in range(2):
                    bits[side, label] ^= (bits[side, label] >> np.int32(31)) & np.int32(2**31 - 1)
                    extreme[side, label, band] = bits[side].view(np.float32)[label]
            for table in range(_TABLES if edges.size else 0):
                histogram[label, band] += tables[label, table]
    return count, sums / count, squares, extreme, histogram
