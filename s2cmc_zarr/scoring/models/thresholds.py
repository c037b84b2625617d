"""Cloud tests of single pixels that need no weights: thresholds of top-of-atmosphere reflectance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.specification import Specification

_CLEAR_AND_CLOUD: Final = {"clear": "clear", "cloud": "cloud"}


@dataclass(frozen=True)
class BraatenCohenYang:
    """Brightness test of the green band, with a short-wave infrared test that keeps out snow.

    A pixel is cloud where

        B11 > swir  and  ((B03 > green  and  B03 > B04)  or  B03 > bright)

    The tests of B03 and B04 are those of Braaten, Cohen and Yang for Landsat MSS (2015, doi 10.1016/j.rse.2015.08.006).
    That of B11 was added for Sentinel-2 by Sentinel Hub's custom script "Braaten-Cohen-Yang cloud detector"
    (https://custom-scripts.sentinel-hub.com/sentinel-2/cby_cloud_detection/): its code has the threshold 0.1, its text
    0.2, which it calls arbitrary.

    Parameters
    ----------
    swir, green, bright : float
        Thresholds of top-of-atmosphere reflectance.
    """

    swir: float = 0.1
    green: float = 0.175
    bright: float = 0.39

    specification: ClassVar[Specification] = Specification(
        name="braaten",
        version="2015",
        licence="CC-BY-SA-4.0",
        bands=("B03", "B04", "B11"),
        classes=_CLEAR_AND_CLOUD,
        reference="https://doi.org/10.1016/j.rse.2015.08.006",
    )

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict 0 (clear) and 1 (cloud), uint8, shape (y, x), from B03, B04 and B11, shape (3, y, x)."""
        green, red, swir = reflectance
        cloud: npt.NDArray[np.bool_] = ((green > self.green) & (green > red)) | (green > self.bright)
        cloud &= swir > self.swir
        return cloud.view(np.uint8)
