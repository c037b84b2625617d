"""Packing reflectance to 16-bit digital numbers, with its error; an option, never the default."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import DefectError

QUANTIFICATION: Final = 10_000
"""Digital numbers per reflectance, as in Level-1C products."""
FILL_VALUE: Final = 65_535
"""Means no data in a packed array."""
DTYPE: Final = "uint16"
ATTRIBUTES: Final[MappingProxyType[str, Any]] = MappingProxyType(
    {
        "scale_factor": 1 / QUANTIFICATION,
        "_FillValue": FILL_VALUE,
        "comment": "packed: rounded to 1e-4; the coordinate packing_error has the largest error of each scene",
    }
)


def pack(values: npt.NDArray[np.float32], name: str) -> tuple[npt.NDArray[np.uint16], float]:
    """Round reflectance to whole digital numbers.

    Parameters
    ----------
    values : numpy.ndarray
        Reflectance, float32, any shape.
    name : str
        For messages.

    Returns
    -------
    packed : numpy.ndarray
        uint16, the same shape.
    error : float
        Largest absolute difference of reflectance that the rounding made.

    Raises
    ------
    DefectError
        If a value is not finite, negative or above 6.5534: nothing is clipped.
    """
    numbers = np.rint(values.astype(np.float64) * QUANTIFICATION)
    fits = (numbers >= 0) & (numbers < FILL_VALUE)
    if not fits.all():
        worst = values[~fits][0]
        raise DefectError(
            f"{name}: {int((~fits).sum()):,} values do not fit into 16 bits, the first is {worst}, expected 0 to "
            f"{(FILL_VALUE - 1) / QUANTIFICATION}; convert without packing"
        )
    error = float(np.abs(numbers / QUANTIFICATION - values).max()) if values.size else 0.0
    return numbers.astype(np.uint16), error
