"""The second annotator as a model: what two people disagree about, on the scoreboard of the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.models.content import digest_of
from s2cmc_zarr.scoring.models.prediction import Pixels, Prediction, checked_mask


@dataclass(frozen=True)
class SecondAnnotator:
    """Gives the catalogue's second masks, `alt_mask`: 60 scenes have one, the others are 255 all over."""

    name: ClassVar[str] = "annotator"
    labels: ClassVar[tuple[str, ...]] = LABELS
    variables: ClassVar[tuple[str, ...]] = ("reflectance", "alt_mask")
    gives_probability: ClassVar[bool] = False

    @property
    def digest(self) -> str:
        """SHA-256; the masks themselves belong to the data."""
        return digest_of(self)

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Refuse: pixels do not say what a person saw in them.

        Raises
        ------
        CatalogueError
            Always.
        """
        raise CatalogueError(
            f"model {self.name} predicts nothing from reflectance of shape {reflectance.shape}; "
            "expected predict_scene(scene, alt_mask=…)"
        )

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:
        """Give the scene's second mask; see `Model`.

        Raises
        ------
        CatalogueError
            If there is no `alt_mask`.
        """
        if "alt_mask" not in arrays:
            raise CatalogueError(f"{scene}: model {self.name} needs alt_mask; open the Dataset with it")
        mask = arrays["alt_mask"]
        return Prediction(checked_mask(mask, mask.shape, self.labels, self.name))
