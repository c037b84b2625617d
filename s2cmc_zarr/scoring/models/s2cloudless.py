"""The pixel classifier s2cloudless, with the weights and the post-processing of its package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.boosters import load_booster, probabilities_of_pixels
from s2cmc_zarr.scoring.models.installed import file_of, require, sha256
from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.specification import Specification


@dataclass(frozen=True)
class S2Cloudless:
    """Gradient-boosted trees on ten bands of single pixels, averaged and dilated over their neighbours.

    The model is that of the package `s2cloudless` (https://github.com/sentinel-hub/sentinel2-cloud-detector), its
    probabilities are to the bit those of LightGBM, and its masks those of `S2PixelCloudDetector`: the probability is
    averaged over a disk, compared with the threshold, and the cloud is dilated by a disk.

    Parameters
    ----------
    threshold : float
        Cloud is where the averaged probability is above it.
    average_over, dilation_size : int
        Radii of the disks in pixels, 0 for none. The defaults are those of the package's documentation, 4 and 2; those
        of its code are 1 and 1. They were chosen for pixels of 160 m and are applied to pixels as they are.

    Raises
    ------
    CatalogueError
        If the package is not installed, or a parameter is out of range.
    """

    threshold: float = 0.4
    average_over: int = 4
    dilation_size: int = 2

    def __post_init__(self) -> None:
        require("s2cloudless", "s2cloudless", "cv2")
        if not 0 <= self.threshold <= 1 or min(self.average_over, self.dilation_size) < 0:
            raise CatalogueError(
                f"s2cloudless got threshold={self.threshold}, average_over={self.average_over}, "
                f"dilation_size={self.dilation_size}; expected a threshold of 0 to 1 and radii that are not negative"
            )

    @property
    def specification(self) -> Specification:
        """What it expects and gives."""
        return Specification(
            name="s2cloudless",
            version="0.1",
            licence="CC-BY-SA-4.0",
            bands=("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12"),
            classes={"clear": "clear", "cloud": "cloud"},
            outputs="probabilities",
            resolution=160,
            halo=self.average_over + self.dilation_size,
            reference="https://github.com/sentinel-hub/sentinel2-cloud-detector",
        )

    @property
    def path(self) -> Path:
        """The model, as LightGBM's text."""
        return file_of("s2cloudless", "models", "pixel_s2_cloud_detector_lightGBM_v0.1.txt")

    @property
    def digest(self) -> str:
        """SHA-256 of the model."""
        return sha256(self.path)

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.float32]:
        """Predict probabilities of clear and cloud, float32, shape (2, y, x)."""
        return probabilities_of_pixels(load_booster(self.path), reflectance)

    def classify(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Average, compare and dilate as `S2PixelCloudDetector.get_mask_from_prob` does."""
        import cv2

        cloud: npt.NDArray[Any] = probabilities[1]
        if self.average_over:
            disk = _disk(self.average_over)
            cloud = cv2.filter2D(cloud, -1, disk / disk.sum(), borderType=cv2.BORDER_REFLECT)
        mask: npt.NDArray[Any] = (cloud > self.threshold).astype(np.uint8)
        if self.dilation_size:
            mask = cv2.dilate(mask, _disk(self.dilation_size))
        return mask


def _disk(radius: int) -> npt.NDArray[Any]:
    import cv2

    square = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=np.uint8)
    return cv2.circle(square, (radius, radius), radius, color=(1,), thickness=-1)
