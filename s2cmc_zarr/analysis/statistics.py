"""Statistics of reflectance in each class and band: per scene, and pooled in tables."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis import Output, map_scenes
from s2cmc_zarr.analysis.groups import By, drop_scene_coords, group_dims, members
from s2cmc_zarr.kernels import SceneStatistics, scene_statistics
from s2cmc_zarr.schema import LABELS

_CELL: Final = ("label", "band")
_OUTPUTS: Final = MappingProxyType(
    {
        "count": Output(_CELL, np.int64, "finite values of reflectance in pixels with data"),
        "mean": Output(_CELL, np.float64, "mean reflectance"),
        "variance": Output(_CELL, np.float64, "population variance of reflectance"),
        "minimum": Output(_CELL, np.float32, "minimum reflectance"),
        "maximum": Output(_CELL, np.float32, "maximum reflectance"),
        "non_finite_count": Output(_CELL, np.int64, "values that are not finite, in pixels with data"),
        "class_count": Output(("label",), np.int64, "pixels of the class, with data or without"),
        "unlabelled_count": Output((), np.int64, "unlabelled pixels, with data or without"),
        "no_data_count": Output((), np.int64, "pixels without data, labelled or not"),
    }
)
if tuple(_OUTPUTS) != SceneStatistics._fields:  # pragma: no cover
    raise AssertionError
