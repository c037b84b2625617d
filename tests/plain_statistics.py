"""The counts of a scene in plain NumPy and float64, in two passes: what the compiled kernels are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.schema import LABELS, UNLABELLED


def plain_statistics(
    reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], edges: npt.ArrayLike = (0.0, 0.5, 1.0)
) -> dict[str, Any]:
    """All that `scene_statistics` counts, but for patches and distances."""
    values = reflectance.astype(np.float64)
    finite = np.isfinite(values)
    observed = (finite & (values != 0)).any(axis=0)
    cells = [[values[b][observed & (mask == label)] for b in range(len(values))] for label in range(len(LABELS))]
    good = [[cell[np.isfinite(cell)] for cell in row] for row in cells]

    def each(function: Any, dtype: Any = np.float64) -> npt.NDArray[Any]:
        return np.array([[function(cell) if cell.size else np.nan for cell in row] for row in good], dtype)

    spectra = [values[:, observed & (mask == label) & finite.all(axis=0)] for label in range(len(LABELS))]
    nothing = np.full((len(values), len(values)), np.nan)
    return {
        "class_count": np.array([(mask == label).sum() for label in range(len(LABELS))]),
        "unlabelled_count": (mask == UNLABELLED).sum(),
        "no_data_count": (~observed).sum(),
        "count": np.array([[cell.size for cell in row] for row in good]),
        "non_finite_count": np.array(
            [[a.size - b.size for a, b in zip(*rows, strict=True)] for rows in zip(cells, good, strict=True)]
        ),
        "mean": each(np.mean),
        "variance": each(np.var),
        "minimum": each(np.min, np.float32),
        "maximum": each(np.max, np.float32),
        "histogram": np.array(
            [
                [np.bincount(np.searchsorted(edges, cell, side="right"), minlength=np.size(edges) + 1) for cell in row]
                for row in good
            ]
        ),
        "covariance_count": np.array([found.shape[1] for found in spectra]),
        "covariance_mean": np.array([s.mean(axis=1) if s.size else nothing[0] for s in spectra]),
        "covariance": np.array([np.cov(s, bias=True).reshape(nothing.shape) if s.size else nothing for s in spectra]),
        "zero_count": (values == 0).sum(axis=(1, 2)),
        "negative_count": (finite & (values < 0)).sum(axis=(1, 2)),
        "saturated_count": (finite & (reflectance >= np.float32(6.5535))).sum(axis=(1, 2)),
        "infinite_count": np.isinf(values).sum(axis=(1, 2)),
        "nan_count": np.isnan(values).sum(axis=(1, 2)),
    }


def plain_patches(mask: npt.NDArray[np.uint8]) -> list[list[int]]:
    """Sizes of the patches of each class, by filling one after another."""
    left = mask.copy()
    sizes: list[list[int]] = [[] for _ in LABELS]
    for (row, column), label in np.ndenumerate(mask):
        if left[row, column] == UNLABELLED:
            continue
        todo, size = [(row, column)], 0
        while todo:
            y, x = todo.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and left[y, x] == label:
                left[y, x] = UNLABELLED
                size += 1
                todo += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        sizes[label].append(size)
    return sizes
