"""Probabilities of one scene against its mask."""

from __future__ import annotations

from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.pixels import Mask
from s2cmc_zarr.schema import LABELS

BIN_COUNT: Final = 200
"""Bins of 0.005, so that customary thresholds such as 0.4 or 0.65 are among their edges."""
BIN_EDGES: Final = np.arange(BIN_COUNT + 1) / BIN_COUNT
"""Bin i holds the probabilities from edge i to below edge i + 1, the last one 1 too."""
ROUNDING: Final = 1e-5
"""What adds up probabilities in float32 gives a little more than 1 here and there, and less than 0 by subtracting."""


class ProbabilityCounts(TypedDict):
    """What `probability_counts` counts in one scene.

    Attributes
    ----------
    probability_count : numpy.ndarray
        int64, shape (class + 1, bin): pixels of each true class, then the unlabelled ones.
    probability_sum : numpy.ndarray
        float64, shape (class + 1, bin): sum of their probabilities.
    probability_square_sum : numpy.ndarray
        float64, shape (class + 1,): sum of the squares of the probabilities in all bins.
    """

    probability_count: npt.NDArray[np.int64]
    probability_sum: npt.NDArray[np.float64]
    probability_square_sum: npt.NDArray[np.float64]


def probability_counts(truth: Mask, probability: npt.NDArray[np.float32] | None) -> ProbabilityCounts:
    """Count probabilities by true class.

    The sums make the Brier score and the calibration error exact, which those of the middles of bins would not be.

    Parameters
    ----------
    truth : numpy.ndarray
        uint8, shape (y, x): values of classes, or 255.
    probability : numpy.ndarray or None
        float32, shape (y, x): of cloud, NaN where there is none. None: nowhere. What is outside 0 to 1 by `ROUNDING`
        at most counts as 0 or 1.

    Returns
    -------
    ProbabilityCounts

    Raises
    ------
    CatalogueError
        If a probability is further below 0 or above 1.
    """
    size = len(LABELS) + 1
    if probability is None:
        return {
            "probability_count": np.zeros((size, BIN_COUNT), dtype=np.int64),
            "probability_sum": np.zeros((size, BIN_COUNT)),
            "probability_square_sum": np.zeros(size),
        }
    from s2cmc_zarr.kernels.compiled_masks import count_probabilities

    count, total, square, smallest, largest = count_probabilities(truth.ravel(), probability.ravel(), BIN_EDGES)
    if smallest < -ROUNDING or largest > 1 + ROUNDING:
        raise CatalogueError(f"probabilities go from {smallest:.7g} to {largest:.7g}, expected 0 to 1")
    return {"probability_count": count, "probability_sum": total, "probability_square_sum": square}
