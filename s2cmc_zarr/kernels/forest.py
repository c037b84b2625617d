"""Leaves of a forest of decision trees, by bit masks instead of walks down the trees.

The idea is that of QuickScorer (Lucchese et al., SIGIR 2015, doi 10.1145/2766462.2767733): each split rules out the
leaves of one of its sides, and the AND of what all splits of a tree leave is the leaf that a pixel falls into. Where a
feature has few thresholds, the AND over all splits on it is tabulated for each bin, that is, for each pair of
thresholds between which a value may lie, and a pixel needs one look-up a feature and tree.

Unlike there, a split rules out leaves whichever way it goes, so that exactly one bit is left and leaves may have any
order. The most frequent come first: most pixels find theirs in the first word of 64 leaves, whose part of the table
stays in the first-level cache, and only the others look at the words after it.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

WORD: Final = 64
"""Leaves of a word."""


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:  # noqa: ARG001  the signature that Numba expects
    """Position of the lowest bit that is set, or 64 if there is none: one instruction, which Numba has no name for."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@njit(nogil=True, cache=True)
def tabulate_tree(left, right, rank, goes_left, row, bins, table):  # type: ignore[no-untyped-def]
    """Tabulate which leaves of a tree the bins of each feature leave.

    Parameters
    ----------
    left, right : numpy.ndarray
        int64, shape (split,): the split at either side, later than this one, or the complement (~) of a leaf.
    rank : numpy.ndarray
        int64, shape (leaf,): position of each leaf in the order of the bits.
    goes_left : numpy.ndarray
        bool, shape (split, bin): whether the bin of the split's feature goes to its left.
    row, bins : numpy.ndarray
        int64, shape (split,): first row of the split's feature in the table, and how many there are.
    table : numpy.ndarray
        uint64, shape (word, row): all bits set; is changed.
    """
    splits, words = len(left), len(table)
    below = np.zeros((splits, 2, words), dtype=np.uint64)
    for split in range(splits - 1, -1, -1):
        for side in range(2):
            child = left[split] if side == 0 else right[split]
            if child < 0:
                leaf = rank[~child]
                below[split, side, leaf // WORD] = np.uint64(1) << np.uint64(leaf % WORD)
            else:
                for word in range(words):
                    below[split, side, word] = below[child, 0, word] | below[child, 1, word]
        for word in range(words):
            keeps_left, keeps_right = ~below[split, 1, word], ~below[split, 0, word]
            for at in range(bins[split]):
                table[word, row[split] + at] &= keeps_left if goes_left[split, at] else keeps_right


@njit(nogil=True, cache=True)
def find_bins(values, thresholds, low, scale, cells, missing, bins):  # type: ignore[no-untyped-def]
    """Count the thresholds below each value of a feature.

    A cell of a regular lattice begins with some bin, and few of them hold more than one threshold. Both the cell of a
    value and its bin never decrease with the value, so the bin that a cell begins with is never too high.

    Parameters
    ----------
    values : numpy.ndarray
        float32, shape (pixel,).
    thresholds : numpy.ndarray
        float32, shape (threshold + 1,), increasing, the last infinite.
    low, scale : float32
        The cell of a value is (value - low) * scale, or the nearest one that there is.
    cells : numpy.ndarray
        Unsigned, shape (cell,): how many thresholds lie in earlier cells.
    missing : int
        Bin of NaN.
    bins : numpy.ndarray
        Unsigned, shape (pixel,): is written.
    """
    first, last, count = thresholds[0], thresholds[len(thresholds) - 2], len(thresholds) - 1
    end = np.float32(len(cells) - 1)
    for pixel in range(len(values)):
        value = values[pixel]
        if value <= first:
            found = np.int64(0)
        elif value > last:
            found = np.int64(count)
        elif value > first:
            found = np.int64(cells[np.int64(min(max((value - low) * scale, np.float32(0)), end))])
            while value > thresholds[found]:
                found += 1
        else:
            found = np.int64(missing)
        bins[pixel] = found


@njit(nogil=True, cache=True)
def add_leaves(bins, rows, tables, values, sums):  # type: ignore[no-untyped-def]
    """Add the values of each pixel's leaves, in the order of the trees, as float64.

    All indices are unsigned, since Numba would look for negative ones, which takes a third of the time.

    Parameters
    ----------
    bins : numpy.ndarray
        Unsigned, shape (pixel, feature).
    rows : tuple of uint64
        First row of each feature in the tables; as a tuple its length is known to the compiler.
    tables : numpy.ndarray
        uint64, shape (tree, word, row): see `tabulate_tree`.
    values : numpy.ndarray
        float64, shape (tree, word, 65): of the leaves; 0 at the end, for "in another word".
    sums : numpy.ndarray
        float64, shape (pixel,): is added to.
    """
    everything = np.uint64(0xFFFFFFFFFFFFFFFF)
    pending = np.empty(len(bins) + 1, dtype=np.uint32)
    for tree in range(len(tables)):
        table, leaves = tables[tree, 0], values[tree, 0]
        left = np.uint64(0)
        for pixel in range(np.uint64(len(bins))):
            word = everything
            for feature in range(len(rows)):
                word &= table[rows[feature] + np.uint64(bins[pixel, np.uint64(feature)])]
            sums[pixel] += leaves[_lowest_bit(word)]  # type: ignore[call-arg]
            pending[left] = pixel
            left += np.uint64(word == np.uint64(0))
        for at in range(1, tables.shape[1]):
            table, leaves = tables[tree, at], values[tree, at]
            kept = np.uint64(0)
            for entry in range(left):
                where = np.uint64(pending[entry])
                word = everything
                for feature in range(len(rows)):
                    word &= table[rows[feature] + np.uint64(bins[where, np.uint64(feature)])]
                sums[where] += leaves[_lowest_bit(word)]  # type: ignore[call-arg]
                pending[kept] = where
                kept += np.uint64(word == np.uint64(0))
            left = kept


@njit(nogil=True, cache=True)
def logistic(scores, steepness, probabilities):  # type: ignore[no-untyped-def]
    """Compute 1 / (1 + exp(-steepness * score)) in float64, with the C library's `exp` as LightGBM does."""
    for pixel in range(len(scores)):
        probabilities[pixel] = 1.0 / (1.0 + math.exp(-steepness * scores[pixel]))
