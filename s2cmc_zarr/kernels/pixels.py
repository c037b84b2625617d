"""Which pixels of a scene were observed, and what its mask says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS, UNLABELLED

Reflectance: TypeAlias = npt.NDArray[np.floating[Any]]
Mask: TypeAlias = npt.NDArray[np.uint8]


def has_data(reflectance: Reflectance, *, every_band: bool = False) -> npt.NDArray[np.bool_]:
    """Tell the pixels that were observed from those that were not.

    Level-1C products have 0 in all bands outside the swath; an unwritten scene of a store is NaN.

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).
    every_band : bool
        Also require that the value is finite in every band, as a model needs it.

    Returns
    -------
    numpy.ndarray
        bool, shape (y, x): False where every band is zero or not finite.
    """
    observed = np.zeros(reflectance.shape[1:], dtype=bool)
    for band in reflectance:
        observed |= np.isfinite(band) & (band != 0)
        if observed.all():
            break
    if every_band:
        for band in reflectance:
            observed &= np.isfinite(band)
    return observed


def select_bands(
    reflectance: Reflectance, bands: Sequence[int], scale: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
    """Take some bands, and 0 where a pixel cannot be used.

    Parameters
    ----------
    reflectance : numpy.ndarray
        float32, shape (band, y, x).
    bands : sequence of int
        Positions of those that are taken.
    scale : float
        What they are multiplied with.

    Returns
    -------
    selected : numpy.ndarray
        float32, shape (band taken, y, x), in memory of its own.
    missing : numpy.ndarray or None
        bool, shape (y, x): True, and `selected` 0, where `has_data` is False, or a band that is taken is not finite.
        None if there is no such pixel.
    """
    from s2cmc_zarr.kernels.compiled_pixels import select_bands as select

    shape = reflectance.shape[1:]
    pixels = np.ascontiguousarray(reflectance, dtype=np.float32).reshape(len(reflectance), -1)
    selected = np.empty((len(bands), *shape), dtype=np.float32)
    missing, count = select(pixels, np.array(bands), np.float32(scale), selected.reshape(len(bands), -1))
    return selected, missing.reshape(shape) if count else None


def count_values(mask: Mask) -> npt.NDArray[np.int64]:
    """Count the pixels of each class of a mask.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x).

    Returns
    -------
    numpy.ndarray
        int64, shape (class + 1,): the classes in the schema's order, then the unlabelled pixels.

    Raises
    ------
    CatalogueError
        If a value is neither a class nor 255.
    """
    from s2cmc_zarr.kernels.compiled_masks import count_bytes

    counts: npt.NDArray[np.int64] = count_bytes(np.ascontiguousarray(mask).reshape(-1))
    if counts[len(LABELS) : UNLABELLED].any():
        found = [value for value in np.flatnonzero(counts).tolist() if len(LABELS) <= value < UNLABELLED]
        classes = ", ".join(f"{value} ({label})" for value, label in enumerate(LABELS))
        raise CatalogueError(f"the mask has the value(s) {found}, expected {classes} or {UNLABELLED} (none)")
    return np.append(counts[: len(LABELS)], counts[UNLABELLED])
