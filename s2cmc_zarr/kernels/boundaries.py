"""How far the pixels of a mask are from the boundary of their class."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.kernels.pixels import Mask

DISTANCE_EDGES: Final = (0, 1, 2, 4, 8, 16)
"""Lower bounds of the classes of distance in pixels; the last class has no upper bound."""
DISTANCE_NAMES: Final = ("0 to 1", "1 to 2", "2 to 4", "4 to 8", "8 to 16", "16 and beyond")


def distance_classes(mask: Mask) -> npt.NDArray[np.uint8]:
    """Tell for every labelled pixel how far it is from the nearest pixel of another class.

    The distance is the Euclidean one between the centres of the two pixels, less one: 0 for a pixel that shares an edge
    with another class. Unlabelled pixels are no class.

    Parameters
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x): values of classes, or 255.

    Returns
    -------
    numpy.ndarray
        uint8, shape (y, x): position in `DISTANCE_EDGES`, the last one also where there is no other class; 255 where
        the pixel is unlabelled.
    """
    from s2cmc_zarr.kernels.compiled_distances import distance_limits_passed

    limits = np.square(np.array(DISTANCE_EDGES[1:], dtype=np.uint16) + 1)
    classes: npt.NDArray[np.uint8] = distance_limits_passed(np.ascontiguousarray(mask), limits)
    return classes
