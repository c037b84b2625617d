"""Models of cloud masks: what a model is, and those that are built in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES

Model: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""Takes the reflectance of one scene, float32, shape (band, y, x), read-only, the 13 bands in the schema's order. Gives
its mask, shape (y, x): uint8 of the schema's values (255 where it gives none), or bool (cloud). It may have the
attributes `name` (str) and `labels` (sequence of str: the classes that it tells apart)."""

_GREEN: Final = BAND_NAMES.index("B03")
_RED: Final = BAND_NAMES.index("B04")
_SWIR: Final = BAND_NAMES.index("B11")


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

    name: ClassVar[str] = "braaten"
    labels: ClassVar[tuple[str, ...]] = ("clear", "cloud")
    doi: ClassVar[str] = "10.1016/j.rse.2015.08.006"

    def __call__(self, reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Predict a cloud mask.

        Parameters
        ----------
        reflectance : numpy.ndarray
            float32, shape (band, y, x), the 13 bands in the schema's order.

        Returns
        -------
        numpy.ndarray
            bool, shape (y, x): cloud.
        """
        green, red, swir = reflectance[_GREEN], reflectance[_RED], reflectance[_SWIR]
        cloud: npt.NDArray[np.bool_] = ((green > self.green) & (green > red)) | (green > self.bright)
        cloud &= swir > self.swir
        return cloud


MODELS: Final[MappingProxyType[str, Callable[..., Model]]] = MappingProxyType(
    {model.name: model for model in (BraatenCohenYang,)}
)
"""Built-in models by name."""


def load_model(name: str, **parameters: Any) -> Model:
    """Make a built-in model.

    Parameters
    ----------
    name : str
        ``"braaten"``: see `BraatenCohenYang`.
    **parameters
        Of the model, where its defaults are not wanted.

    Returns
    -------
    callable
        float32 reflectance of shape (band, y, x) to a mask of shape (y, x).

    Raises
    ------
    CatalogueError
        If there is no such model, or it has no such parameter.
    """
    try:
        model = MODELS[name]
    except KeyError:
        raise CatalogueError(f"no model {name!r}; built in: {', '.join(MODELS)}") from None
    known = signature(model).parameters
    if unknown := [parameter for parameter in parameters if parameter not in known]:
        raise CatalogueError(f"model {name!r} has no parameter {unknown[0]!r}; it has: {', '.join(known)}")
    return model(**parameters)
