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


@dataclass(frozen=True)
class Hollstein:
    """Decision tree of Hollstein et al. (2016, doi 10.3390/rs8080666), figure 8, on bands, differences and ratios.

    The splits and their thresholds agree with those of Sentinel Hub's custom script "hollstein"
    (https://github.com/sentinel-hub/custom-scripts); they were not compared with the figure itself. Ratios are compared
    as products, so that a band of 0 makes the ratio infinite. Cirrus is thin cloud; snow and water are clear.
    """

    specification: ClassVar[Specification] = Specification(
        name="hollstein",
        version="2016",
        licence="CC-BY-4.0",
        bands=("B01", "B02", "B03", "B05", "B06", "B07", "B8A", "B09", "B10", "B11"),
        classes={
            "clear": "clear",
            "water": "water",
            "shadow": "cloud shadow",
            "cirrus": "thin cloud",
            "cloud": "cloud",
            "snow": "snow",
        },
        reference="https://doi.org/10.3390/rs8080666",
    )

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict clear, water, shadow, cirrus, cloud and snow as 0 to 5, uint8, shape (y, x)."""
        b01, b02, b03, b05, b06, b07, b8a, b09, b10, b11 = reflectance
        clear, water, shadow, cirrus, cloud, snow = np.arange(6, dtype=np.uint8)

        dark_red = np.where(b09 - b11 < -0.097, clear, shadow)
        dark_blue = np.where(b09 - b11 < 0.021, water, shadow)
        hazy = np.where(b02 < 0.788 * b09, clear, cirrus)
        dim = np.where(
            b8a < 0.166,
            np.where(b03 - b07 < 0.027, dark_red, dark_blue),
            np.where(b02 < 14.689 * b10, hazy, clear),
        )

        flat = np.where(b06 - b07 < -0.016, cloud, cirrus)
        warm = np.where(b11 - b10 < 0.255, flat, np.where(b01 < 0.3, clear, cloud))
        cold = np.where(b03 < 0.525, np.where(b01 < 1.184 * b05, clear, shadow), snow)
        bright = np.where(b05 < 4.33 * b11, warm, cold)
        return np.where(b03 < 0.319, dim, bright).astype(np.uint8)


@dataclass(frozen=True)
class FmaskPotentialCloud:
    """Fmask's potential cloud pixels, without its thermal test and without what follows them.

    A pixel is potential cloud where all of these hold (Zhu and Woodcock 2012, doi 10.1016/j.rse.2011.10.028,
    equations 1 to 4)

        B12 > swir,  NDSI < 0.8,  NDVI < 0.8
        whiteness = Σ |B - mean| / mean < white,  over B02, B03, B04 and their mean
        B02 - 0.5 · B04 - haze > 0
        B08 / B11 > 0.75

    or B10 > cirrus (Zhu, Wang and Woodcock 2015, doi 10.1016/j.rse.2014.12.014, section 2.2.1). The equations agree
    with those of the package python-fmask, which also takes the last one as "or"; they were not compared with the
    papers.

    Parameters
    ----------
    swir, white, haze, cirrus : float
        Thresholds of top-of-atmosphere reflectance, `white` of whiteness.
    """

    swir: float = 0.03
    white: float = 0.7
    haze: float = 0.08
    cirrus: float = 0.01

    specification: ClassVar[Specification] = Specification(
        name="fmask",
        version="2015",
        licence="Apache-2.0",
        bands=("B02", "B03", "B04", "B08", "B10", "B11", "B12"),
        classes=_CLEAR_AND_CLOUD,
        reference="https://doi.org/10.1016/j.rse.2011.10.028",
    )

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict 0 (clear) and 1 (potential cloud), uint8, shape (y, x), from the bands of the specification."""
        blue, green, red, nir, cirrus, swir16, swir22 = reflectance
        mean = (blue + green + red) / 3
        whiteness = abs(blue - mean) + abs(green - mean) + abs(red - mean)
        cloud: npt.NDArray[np.bool_] = swir22 > self.swir
        cloud &= (green - swir16 < 0.8 * (green + swir16)) & (nir - red < 0.8 * (nir + red))
        cloud &= whiteness < self.white * mean
        cloud &= blue - 0.5 * red - self.haze > 0
        cloud &= nir > 0.75 * swir16
        cloud |= cirrus > self.cirrus
        return cloud.view(np.uint8)
