"""What is counted of one scene and some models, and its mapping over scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.scenes import Output, SceneKernel, map_scenes
from s2cmc_zarr.errors import CatalogueError, blaming
from s2cmc_zarr.kernels.boundaries import DISTANCE_NAMES, distance_classes
from s2cmc_zarr.kernels.confusion import confusion_by_distance
from s2cmc_zarr.kernels.pixels import count_values, has_data
from s2cmc_zarr.kernels.probability import BIN_EDGES, probability_counts
from s2cmc_zarr.schema import LABELS, UNLABELLED
from s2cmc_zarr.scoring.models import Model, Prediction
from s2cmc_zarr.scoring.models.prediction import checked_mask

TRUTH: Final = (*LABELS, "unlabelled")
PREDICTION: Final = (*LABELS, "no_data")
OUTPUTS: Final = MappingProxyType(
    {
        "confusion": Output(("model", "truth", "prediction"), np.int64, "pixels of each true and predicted class"),
        "confusion_by_distance": Output(
            ("model", "distance", "truth", "prediction"),
            np.int64,
            "pixels of each true and predicted class, by distance in pixels to the nearest boundary of the truth",
        ),
        "probability_count": Output(
            ("model", "truth", "probability"), np.int64, "pixels of each true class and predicted probability of cloud"
        ),
        "probability_sum": Output(
            ("model", "truth", "probability"), np.float64, "sum of the predicted probabilities of cloud"
        ),
        "probability_square_sum": Output(
            ("model", "truth"), np.float64, "sum of the squares of the predicted probabilities of cloud"
        ),
    }
)

COORDS: Final[MappingProxyType[str, list[Any]]] = MappingProxyType(
    {
        "truth": list(TRUTH),
        "prediction": list(PREDICTION),
        "distance": list(DISTANCE_NAMES),
        "probability": BIN_EDGES[:-1].tolist(),
    }
)


@dataclass(frozen=True)
class SceneTruth:
    """What is known of a scene before a model sees it."""

    mask: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.uint8]
    observed: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, mask: npt.NDArray[np.uint8], reflectance: npt.NDArray[np.float32]) -> SceneTruth:
        """Check the mask and measure distances."""
        count_values(mask)
        return cls(mask, distance_classes(mask), has_data(reflectance, every_band=True))

    def count(self, model: str, prediction: Prediction) -> dict[str, npt.NDArray[Any]]:
        """Count the prediction of the model of this name: the names of `OUTPUTS`, without the dimension `model`."""
        by_distance = confusion_by_distance(self.mask, self.visible(prediction.mask), self.distance)
        probability = prediction.probability
        if probability is not None:
            probability = np.where(self.observed, probability, np.float32(np.nan))
        try:
            by_probability = probability_counts(self.mask, probability)
        except CatalogueError as error:
            raise CatalogueError(f"model {model}: {error}") from None
        return {"confusion": by_distance.sum(axis=0), "confusion_by_distance": by_distance[:-1], **by_probability}

    def visible(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Leave out of a predicted mask what no model could see."""
        return np.where(self.observed, mask, np.uint8(UNLABELLED))


@dataclass(frozen=True)
class ScoreScene:
    """A kernel: the counts of one scene with some models."""

    models: tuple[Model, ...]
    variables: tuple[str, ...]

    def __call__(self, scene: str, *arrays: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Predict with each model, and count."""
        pixels = read_only(dict(zip(self.variables, arrays, strict=True)))
        truth = SceneTruth.of(pixels["mask"], pixels["reflectance"])
        return stack([truth.count(model.name, predict(model, scene, pixels)) for model in self.models])


def count_scenes(ds: xr.Dataset, models: tuple[Model, ...], kernel: SceneKernel | None = None) -> xr.Dataset:
    """Map `ScoreScene`, or another kernel that gives the same, over scenes; see `score` for what is given."""
    return map_scenes(
        kernel or ScoreScene(models, needed_variables(models)),
        ds,
        needed_variables(models),
        OUTPUTS,
        {"model": [model.name for model in models], **COORDS},
        with_scene=True,
    )


def needed_variables(models: tuple[Model, ...]) -> tuple[str, ...]:
    """Name the arrays of pixels that models, and the comparison with the masks, need."""
    return tuple(dict.fromkeys(["reflectance", "mask", *(name for model in models for name in model.variables)]))


def read_only(pixels: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Protect arrays, which other tasks may hold, from models."""
    views = {name: array.view() for name, array in pixels.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


def predict(model: Model, scene: str, pixels: Mapping[str, npt.NDArray[Any]]) -> Prediction:
    """Ask a model for a scene; what is wrong with its answer says whose it is.

    Raises
    ------
    CatalogueError
        If the model raises whatever it may, which is the cause then; or if its answer is no `Prediction`, or has
        another shape, type or class than those of the model.
    """
    with blaming(f"model {model.name}"):
        prediction = model.predict_scene(scene, **{name: pixels[name] for name in model.variables})
    if not isinstance(prediction, Prediction):
        raise CatalogueError(f"model {model.name} gave {type(prediction).__name__}, expected a Prediction")
    shape = pixels["mask"].shape
    mask, probability = prediction
    if probability is not None and np.shape(probability) != shape:
        raise CatalogueError(
            f"model {model.name} gave probabilities of shape {np.shape(probability)}, expected {shape}"
        )
    return Prediction(checked_mask(mask, shape, model.labels, model.name), probability)


def stack(counts: list[dict[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Put the counts of several models together."""
    return {name: np.stack([count[name] for count in counts]) for name in OUTPUTS}


def describe(
    scores: xr.Dataset, labels: Sequence[Sequence[str]], digests: Sequence[str], probability: Sequence[bool]
) -> xr.Dataset:
    """Say beside the counts what each model tells apart, whether it gives probabilities, and which it was."""
    return scores.assign(
        predicts=(
            ("model", "prediction"),
            [[label in known for label in PREDICTION] for known in labels],
            {"long_name": "whether the model tells the class apart"},
        ),
        gives_probability=("model", list(probability), {"long_name": "whether the model gives probabilities"}),
        model_digest=("model", list(digests), {"long_name": "SHA-256 over what the model's predictions depend on"}),
    )
