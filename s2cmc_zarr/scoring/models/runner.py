"""Running a predictor on a scene: bands, scaling, missing pixels, tiles with a halo, padding, classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.pixels import select_bands
from s2cmc_zarr.schema import BAND_NAMES, UNLABELLED
from s2cmc_zarr.scoring.models.content import digest_of
from s2cmc_zarr.scoring.models.prediction import Pixels, Prediction
from s2cmc_zarr.scoring.models.specification import Specification


@runtime_checkable
class Predictor(Protocol):
    """What one brings to have a model: a specification, and a function of the bands that it names.

    It must be picklable, and `predict` may be called by several threads at once. It may also have

    * `classify(output) -> classes`: from the whole scene's probabilities, shape (class, y, x), to values of classes,
      uint8, shape (y, x), where the class of the highest probability is not what is wanted;
    * `digest`, str: over weights and parameters, where the fields of the object do not hold them.
    """

    @property
    def specification(self) -> Specification:
        """What it expects and gives."""
        ...

    def predict(self, reflectance: Pixels, /) -> npt.NDArray[Any]:
        """Predict from float32, shape (band, y, x), zero where there is no data.

        Gives the values of classes, uint8, shape (y, x), or their probabilities, float32, shape (class, y, x).
        """
        ...


class Tile(NamedTuple):
    """A part of a padded scene: where it is read, and which part of it is kept where."""

    rows: slice
    columns: slice
    kept_rows: slice
    kept_columns: slice


@dataclass(frozen=True)
class SceneModel:
    """A predictor as a model of whole scenes of all 13 bands; see `Model`.

    Missing are the pixels where all bands are zero or not finite, or a band that the predictor takes is not finite: it
    gets 0 there, and the mask has 255. It also has 255 where the predictor gives 255, or NaN for any class.

    Parameters
    ----------
    predictor : Predictor
    threads : int
        Tiles of a scene that are predicted at the same time. More than 1 helps where scenes are not already predicted
        in parallel, and the predictor gives the interpreter back.
    """

    predictor: Predictor
    threads: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.predictor.specification, Specification):
            kind = type(self.predictor.specification).__name__
            raise CatalogueError(
                f"the specification of {type(self.predictor).__name__} is {kind}, expected a Specification"
            )

    @property
    def specification(self) -> Specification:
        """What the predictor expects and gives."""
        return self.predictor.specification

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.specification.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the schema that it tells apart."""
        return self.specification.labels

    @property
    def variables(self) -> tuple[str, ...]:
        """Arrays of pixels that it needs."""
        return ("reflectance",)

    @property
    def gives_probability(self) -> bool:
        """Whether the predictor gives more than classes."""
        return self.specification.outputs != "classes"

    @property
    def digest(self) -> str:
        """SHA-256 over specification, parameters and weights."""
        specification = json.dumps(self.specification.to_stac_mlm(), sort_keys=True)
        return digest_of(self.predictor, specification, str(getattr(self.predictor, "digest", "")))

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict the mask, uint8, shape (y, x), of all 13 bands, float32, shape (band, y, x)."""
        return self.predict_scene("", reflectance=reflectance).mask

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:  # noqa: ARG002  every model's
        """Predict mask and, if the predictor gives any, probability of cloud; see `Model`.

        Raises
        ------
        CatalogueError
            If there are not 13 bands, or what the predictor gives has another shape, type or value than it specifies.
        """
        reflectance = arrays["reflectance"]
        if reflectance.ndim != 3 or len(reflectance) != len(BAND_NAMES):
            raise CatalogueError(
                f"model {self.name} got the shape {reflectance.shape}, expected ({len(BAND_NAMES)}, y, x): "
                f"the bands {', '.join(BAND_NAMES)}"
            )
        specification = self.specification
        bands, missing = select_bands(reflectance, specification.band_indices, specification.scale)
        output = self._predict(bands)
        if specification.outputs == "classes":
            mask, probability = self._folded(output, "predict"), None
        else:
            if specification.outputs == "logits":
                output = softmax(output, axis=0)
            undefined = np.isnan(output).any(axis=0)
            missing = undefined if missing is None else missing | undefined
            first, *others = specification.cloud
            probability = output[first].copy()
            for other in others:
                probability += output[other]
            probability[missing] = np.nan
            classify: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = getattr(
                self.predictor, "classify", most_probable
            )
            mask = self._folded(classify(output), "classify")
        if missing is not None:
            mask[missing] = UNLABELLED
        return Prediction(mask, probability)

    def _predict(self, bands: Pixels) -> npt.NDArray[Any]:
        specification = self.specification
        shape = bands.shape[1:]
        step = specification.size_multiple
        padded_shape = tuple(-(-size // step) * step for size in shape)
        if specification.tile is None and padded_shape == shape:
            return self._checked(self.predictor.predict(bands), shape)
        tile = specification.tile
        if tile is None:
            tiles = [Tile(*(slice(0, size) for size in padded_shape), *(slice(0, size) for size in shape))]
            margin = 0
        else:
            margin = specification.halo or 0
            tiles = list(divide(shape, tile, margin))
            padded_shape = tuple(max(part[axis].stop for part in tiles) for axis in (0, 1))
        width = [(margin, total - size - margin) for total, size in zip(padded_shape, shape, strict=True)]
        padded = np.pad(bands, [(0, 0), *width], mode="symmetric")

        def predict(part: Tile) -> npt.NDArray[Any]:
            given = self.predictor.predict(np.ascontiguousarray(padded[:, part.rows, part.columns]))
            size = (part.rows.stop - part.rows.start, part.columns.stop - part.columns.start)
            return self._checked(given, size)

        if self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                outputs = list(pool.map(predict, tiles))
        else:
            outputs = [predict(part) for part in tiles]
        whole = np.empty((*outputs[0].shape[:-2], *shape), dtype=outputs[0].dtype)
        for part, given in zip(tiles, outputs, strict=True):
            kept = whole[..., part.kept_rows, part.kept_columns]
            kept[...] = given[..., margin : margin + kept.shape[-2], margin : margin + kept.shape[-1]]
        return whole

    def _folded(self, classes: Any, method: str) -> npt.NDArray[np.uint8]:
        """Give the mask of values of classes, and refuse those that mean nothing."""
        if not isinstance(classes, np.ndarray) or classes.dtype != np.uint8:
            kind = classes.dtype if isinstance(classes, np.ndarray) else type(classes).__name__
            raise CatalogueError(f"{method} of model {self.name} gave {kind}, expected values of classes, uint8")
        count = len(self.specification.classes)
        unknown = (classes >= count) & (classes != UNLABELLED)
        if unknown.any():
            found = np.unique(classes[unknown]).tolist()[:5]
            raise CatalogueError(
                f"{method} of model {self.name} gave the value(s) {found}, expected 0 to {count - 1}, as it specifies "
                f"{count} classes, or {UNLABELLED}"
            )
        mask: npt.NDArray[np.uint8] = self.specification.values[classes]
        return mask

    def _checked(self, output: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        specification = self.specification
        if specification.outputs == "classes":
            dtype, expected = "uint8", shape
        else:
            dtype, expected = "float32", (len(specification.classes), *shape)
        if not isinstance(output, np.ndarray) or output.dtype != dtype or output.shape != expected:
            found = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
            raise CatalogueError(f"model {self.name} gave {found}, expected {dtype} {expected} as it specifies")
        return output


def most_probable(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Give the class of the highest probability, uint8, shape (y, x), the first if there are several."""
    classes: npt.NDArray[np.uint8] = probabilities.argmax(axis=0).astype(np.uint8)
    return classes


def divide(shape: tuple[int, ...], tile: int, halo: int) -> Iterator[Tile]:
    """Divide a scene that is padded by `halo` (and, after its end, as needed) into tiles that overlap by two halos.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the scene.
    tile : int
        Rows and columns of a tile, halo included.
    halo : int
        Pixels at each side of a tile that are predicted and not kept.

    Yields
    ------
    Tile
    """
    step = tile - 2 * halo
    for row in range(0, shape[0], step):
        for column in range(0, shape[1], step):
            yield Tile(
                slice(row, row + tile),
                slice(column, column + tile),
                slice(row, min(row + step, shape[0])),
                slice(column, min(column + step, shape[1])),
            )
