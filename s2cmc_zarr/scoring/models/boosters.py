"""LightGBM's forests of single pixels: through the tables where they can be, else through LightGBM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.forest import Forest, UnsupportedForestError, read_lightgbm
from s2cmc_zarr.scoring.models.installed import once, require, sha256
from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.specification import Specification


class Booster(Protocol):
    """Gives probabilities of pixels."""

    def probabilities(self, values: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        """Predict from float32, shape (feature, pixel): float64, shape (pixel,) or (pixel, class)."""
        ...


class LightGBMBooster:
    """LightGBM's own predictor, in one thread: the reference for `Forest`, and for what that does not support.

    Parameters
    ----------
    text : str
        As LightGBM's `save_model` writes it.

    Raises
    ------
    CatalogueError
        If LightGBM is not installed or cannot read the text.
    """

    def __init__(self, text: str) -> None:
        require("LightGBM", "lightgbm")
        import lightgbm

        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise CatalogueError(f"LightGBM cannot read the model: {error}") from None

    def raw_scores(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Forest.raw_scores`."""
        return self._predict(values, raw_score=True)

    def probabilities(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Forest.probabilities`; shape (pixel, class) if there are several classes."""
        return self._predict(values, raw_score=False)

    def _predict(self, values: npt.NDArray[np.float32], *, raw_score: bool) -> npt.NDArray[np.float64]:
        rows = np.ascontiguousarray(values.T)
        return np.asarray(self._booster.predict(rows, raw_score=raw_score, num_threads=1), dtype=np.float64)


def load_booster(path: Path) -> Booster:
    """Read a model in LightGBM's text form, once a process.

    Raises
    ------
    CatalogueError
        If it is no such model, or cannot be read.
    """
    return once(_load_booster, path, sha256(path))


def _load_booster(path: Path, digest: str) -> Booster:  # noqa: ARG001  part of the key
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return Forest(*read_lightgbm(text))
    except UnsupportedForestError:
        return LightGBMBooster(text)
    except CatalogueError as error:
        raise CatalogueError(f"{path}: {error}") from None


def probabilities_of_pixels(booster: Booster, reflectance: Pixels) -> npt.NDArray[np.float32]:
    """Predict each pixel of a scene on its own.

    Parameters
    ----------
    booster : Booster
    reflectance : numpy.ndarray
        float32, shape (band, y, x). Pixels that are zero in all bands are predicted once.

    Returns
    -------
    numpy.ndarray
        float32, shape (class, y, x); of two classes the second is the positive one.
    """
    pixels = reflectance.reshape(len(reflectance), -1)
    seen: npt.NDArray[np.bool_] = np.any(pixels, axis=0)
    if seen.all():
        given = booster.probabilities(pixels)
    else:
        dark = booster.probabilities(np.zeros((len(pixels), 1), dtype=np.float32))
        given = np.repeat(dark, len(seen), axis=0)
        given[seen] = booster.probabilities(pixels[:, seen])
    classes = np.stack([1.0 - given, given]) if given.ndim == 1 else given.T
    return classes.astype(np.float32).reshape(-1, *reflectance.shape[1:])


@dataclass(frozen=True)
class BoosterPredictor:
    """A model in LightGBM's text form with its specification; its features are the bands of single pixels.

    Parameters
    ----------
    path : pathlib.Path
        The text.
    specification : Specification
        Its outputs are probabilities; a binary model has two classes, the positive one last.
    threshold : float
        Of the probability of the second class of a binary model, above which it is predicted.
    """

    path: Path
    specification: Specification
    threshold: float = 0.5

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return sha256(self.path)

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.float32]:
        """Predict probabilities, float32, shape (class, y, x)."""
        return probabilities_of_pixels(load_booster(self.path), reflectance)

    def classify(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Give the most probable class, or of two, the second where it is above the threshold."""
        if len(probabilities) == 2:
            positive: npt.NDArray[np.bool_] = probabilities[1] > self.threshold
            return positive.astype(np.uint8)
        most: npt.NDArray[np.uint8] = probabilities.argmax(axis=0).astype(np.uint8)
        return most
