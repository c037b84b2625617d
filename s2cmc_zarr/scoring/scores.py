"""Scores: confusion counts of a model's masks against the catalogue's, per scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.scenes import Output, map_scenes
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.confusion import confusion
from s2cmc_zarr.kernels.pixels import count_values, has_data
from s2cmc_zarr.schema import BAND_NAMES, LABELS, UNLABELLED
from s2cmc_zarr.scoring.models import Model, ModelLike, as_model, load_model

TRUTH: Final = (*LABELS, "unlabelled")
PREDICTION: Final = (*LABELS, "no_data")
_OUTPUTS: Final = MappingProxyType(
    {"confusion": Output(("truth", "prediction"), np.int64, "pixels of each true and predicted class")}
)


def score(ds: xr.Dataset, model: str | ModelLike, *, labels: Sequence[str] | None = None) -> xr.Dataset:
    """Count how a model's masks agree with the catalogue's, scene by scene.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with `reflectance` of all 13 bands and `mask`; all scenes or some, in any chunks.
    model : str or callable
        Name of a built-in model (see `load_model`), or a callable of one scene's reflectance, float32 of shape
        (band, y, x), read-only. It gives the scene's mask, shape (y, x): uint8 of 0 (clear), 1 (cloud) and 2 (cloud
        shadow), and 255 where it gives none; or bool, True for cloud. It must be picklable if workers are processes.
    labels : sequence of str, optional
        The classes that the model tells apart. Default: its attribute `labels`, or else ``("clear", "cloud")``.

    Returns
    -------
    xarray.Dataset
        Backed by Dask.

        * ``confusion``, int64, dims (scene, truth, prediction): every pixel of the scene is in one cell. The truths
          are the three classes and ``"unlabelled"``; the predictions are the three classes and ``"no_data"``, where
          the model gave none, a band is not finite, or every band is zero.
        * ``predicts``, bool, dims (prediction,): the classes that the model tells apart.

        Its coordinates are those of the scenes and ``model``, the model's name: results of several models can be
        concatenated along it.

    Raises
    ------
    CatalogueError
        If there are no scenes or such a model, an array is absent or not of the schema, or the labels are not classes.
        When computed: if what the model gives for a scene has another shape, dtype or other values.
    """
    found = ds["band"].values.tolist() if "band" in ds.coords else None
    if found != list(BAND_NAMES):
        raise CatalogueError(f"bands are {found}; a model expects all bands in this order: {', '.join(BAND_NAMES)}")
    predictor = load_model(model) if isinstance(model, str) else as_model(model, labels)
    name = str(getattr(predictor, "name", None) or getattr(predictor, "__name__", type(predictor).__name__))
    classes = tuple(labels or getattr(predictor, "labels", None) or ("clear", "cloud"))
    if not {"clear", "cloud"} <= set(classes) <= set(LABELS):
        raise CatalogueError(f"labels of model {name} are {classes}, expected clear, cloud and perhaps cloud_shadow")
    scores = map_scenes(
        ScoreScene(predictor, name, classes),
        ds,
        ("reflectance", "mask"),
        _OUTPUTS,
        {"truth": TRUTH, "prediction": PREDICTION},
    )
    predicts = xr.Variable(
        "prediction",
        [label in classes for label in PREDICTION],
        {"long_name": "whether the model tells the class apart"},
    )
    return scores.assign(predicts=predicts).assign_coords(model=name)


@dataclass(frozen=True)
class ScoreScene:
    """A kernel: the confusion counts of one scene's reflectance and mask with a model."""

    model: Model
    name: str
    labels: tuple[str, ...]

    def __call__(
        self, reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Predict, check and count."""
        count_values(mask)
        # Other tasks may hold the same array.
        reflectance = reflectance.view()
        reflectance.flags.writeable = False
        prediction = self._checked(self.model(reflectance), mask.shape)
        prediction = np.where(has_data(reflectance, every_band=True), prediction, np.uint8(UNLABELLED))
        return {"confusion": confusion(mask, prediction)}

    def _checked(self, prediction: Any, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        if not isinstance(prediction, np.ndarray) or prediction.dtype not in (np.uint8, np.bool_):
            kind = prediction.dtype if isinstance(prediction, np.ndarray) else type(prediction).__name__
            raise CatalogueError(f"model {self.name} gave {kind}, expected a NumPy array of uint8 or bool")
        if prediction.shape != shape:
            raise CatalogueError(f"model {self.name} gave the shape {prediction.shape}, expected {shape}")
        if prediction.dtype == np.bool_:
            if "cloud_shadow" in self.labels:
                raise CatalogueError(
                    f"model {self.name} gave bool, which is cloud or not, but its labels are {self.labels}; "
                    "expected uint8"
                )
            return prediction.astype(np.uint8)
        try:
            counts = count_values(prediction)
        except CatalogueError as error:
            raise CatalogueError(f"model {self.name}: {error}") from None
        undeclared = [label for label, count in zip(LABELS, counts, strict=False) if count and label not in self.labels]
        if undeclared:
            raise CatalogueError(
                f"model {self.name} predicted {undeclared[0]}, but its labels are {self.labels}; "
                f"give labels={LABELS}, or the model an attribute `labels`"
            )
        return prediction
