"""Statistics of one scene: of reflectance in each class and band, and of the mask."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.bins import QUANTIFICATION, BinEdges
from s2cmc_zarr.kernels.boundaries import DISTANCE_EDGES, distance_classes
from s2cmc_zarr.kernels.pixels import Mask, Reflectance, count_values
from s2cmc_zarr.schema import LABELS, UNLABELLED

Statistic: TypeAlias = Literal["moments", "histogram", "covariance", "pixels", "patches", "distance"]

DEFAULT: Final[tuple[Statistic, ...]] = ("moments",)
SATURATED: Final = 65_535 / QUANTIFICATION
"""Reflectance of the digital number 65535, which Level-1C products give to saturated pixels (ESA, *Sentinel-2 Products
Specification Document*, special value SATURATED)."""
PATCH_SIZES: Final = tuple(2**power for power in range(20))
"""Lower bounds of the classes of patches by their pixels; a whole scene of 1022 x 1022 pixels is in the last one."""


def scene_statistics(
    reflectance: Reflectance,
    mask: Mask,
    include: Collection[Statistic] = DEFAULT,
    bins: BinEdges | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Count what is asked for in one scene; the outputs are described at `s2cmc_zarr.statistics`.

    Moments and covariances are taken in float64: within a block of pixels first the mean and then the products of the
    deviations from it, which does not cancel as the difference of two large sums would; blocks are merged after Chan,
    Golub and LeVeque (1983, doi 10.1080/00031305.1983.10483115).

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).
    mask : numpy.ndarray
        uint8, shape (y, x).
    include : collection of str
    bins : BinEdges, optional
        For "histogram", which needs them.

    Returns
    -------
    dict
        Names of outputs to arrays.

    Raises
    ------
    CatalogueError
        If the mask has a value that is neither a class nor 255.
    """
    from s2cmc_zarr.kernels.compiled_bands import class_parts, count_bands
    from s2cmc_zarr.kernels.compiled_covariances import covariances
    from s2cmc_zarr.kernels.compiled_pixels import count_special, observed_labels

    bands = np.ascontiguousarray(reflectance).reshape(len(reflectance), -1)
    *class_count, unlabelled_count = count_values(mask)
    labels, without_data = observed_labels(bands, np.ascontiguousarray(mask).reshape(-1))
    counted: dict[str, Any] = {
        "class_count": np.array(class_count),
        "unlabelled_count": np.array(unlabelled_count),
        "no_data_count": np.array(without_data),
    }
    if "moments" in include or "histogram" in include:
        offsets, bounds = class_parts(labels)
        edges, grid = bins or BinEdges((), (0.0, 0.0, 0.0))
        if "histogram" not in include:
            edges = ()
        moments = "moments" in include
        count, mean, square, extreme, histogram = count_bands(
            bands, offsets, bounds, moments, np.array(edges, dtype=np.float64), grid
        )
        pixels = np.diff(bounds).sum(axis=0)
        counted |= {"count": count, "non_finite_count": pixels[:, np.newaxis] - count}
        if moments:
            variance = square / np.where(count > 0, count, np.nan)
            counted |= {"mean": mean, "variance": variance, "minimum": extreme[0], "maximum": extreme[1]}
        if "histogram" in include:
            counted["histogram"] = histogram
    if "covariance" in include:
        number, mean, products = covariances(bands, labels)
        divisor = np.where(number > 0, number, np.nan)[:, np.newaxis]
        counted |= {
            "covariance_count": number,
            "covariance_mean": np.where(number[:, np.newaxis] > 0, mean, np.nan),
            "covariance": products / divisor[..., np.newaxis],
        }
    if "pixels" in include:
        names = ("zero_count", "negative_count", "saturated_count", "infinite_count", "nan_count")
        counted |= dict(zip(names, count_special(bands, np.float32(SATURATED)), strict=True))
    if "patches" in include:
        counted |= patches(mask)
    if "distance" in include:
        counted["distance_count"] = distance_counts(mask)
    return counted


def patches(mask: Mask) -> dict[str, npt.NDArray[np.int64]]:
    """Count patches, which are pixels of a class that are joined by edges, and their boundaries.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x): values of classes, or 255.

    Returns
    -------
    dict
        * ``patch_count``, ``patch_pixel_count``: int64, shape (label, size): patches of at least so many pixels and
          fewer than twice as many (`PATCH_SIZES`; the last class has no upper bound), and their pixels.
        * ``boundary_length``: int64, shape (label,): edges between a pixel of the class and one of another class. The
          scene's edge and unlabelled pixels are no boundary.
    """
    from scipy import ndimage

    from s2cmc_zarr.kernels.compiled_masks import boundary_lengths

    shape = len(LABELS), len(PATCH_SIZES)
    number, pixels = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for label in range(len(LABELS)):
        patch, count = ndimage.label(mask == label)
        sizes = np.bincount(patch.ravel(), minlength=count + 1)[1:]
        where = np.searchsorted(PATCH_SIZES, sizes, side="right") - 1
        number[label] = np.bincount(where, minlength=len(PATCH_SIZES))
        np.add.at(pixels[label], where, sizes)
    return {
        "patch_count": number,
        "patch_pixel_count": pixels,
        "boundary_length": boundary_lengths(np.ascontiguousarray(mask)),
    }


def distance_counts(mask: Mask) -> npt.NDArray[np.int64]:
    """Count the pixels of each class in each class of distance to another one; int64, shape (label, distance)."""
    size = len(DISTANCE_EDGES)
    cell = mask * np.uint8(size) + distance_classes(mask)
    counts = np.bincount(cell[mask != UNLABELLED], minlength=len(LABELS) * size)
    return counts.reshape(len(LABELS), size).astype(np.int64)
