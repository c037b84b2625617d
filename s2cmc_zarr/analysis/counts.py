"""What `statistics` can count in a scene: names, dimensions, types and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from s2cmc_zarr.analysis.scenes import Output
from s2cmc_zarr.kernels.statistics import Statistic

_CELL: Final = ("label", "band")

ALWAYS: Final = MappingProxyType(
    {
        "class_count": Output(("label",), np.int64, "pixels of the class, with data or without"),
        "unlabelled_count": Output((), np.int64, "unlabelled pixels, with data or without"),
        "no_data_count": Output((), np.int64, "pixels without data, labelled or not"),
    }
)
_VALUES: Final = MappingProxyType(
    {
        "count": Output(_CELL, np.int64, "finite values of reflectance in pixels with data"),
        "non_finite_count": Output(_CELL, np.int64, "values that are not finite, in pixels with data"),
    }
)
INCLUDED: Final[Mapping[Statistic, Mapping[str, Output]]] = MappingProxyType(
    {
        "moments": _VALUES
        | {
            "mean": Output(_CELL, np.float64, "mean reflectance"),
            "variance": Output(_CELL, np.float64, "population variance of reflectance"),
            "minimum": Output(_CELL, np.float32, "minimum reflectance"),
            "maximum": Output(_CELL, np.float32, "maximum reflectance"),
        },
        "histogram": _VALUES | {"histogram": Output((*_CELL, "bin"), np.uint32, "values of reflectance in the bin")},
        "covariance": {
            "covariance_count": Output(("label",), np.int64, "pixels that are finite in every band, with data"),
            "covariance_mean": Output(_CELL, np.float64, "mean reflectance of the pixels finite in every band"),
            "covariance": Output((*_CELL, "other_band"), np.float64, "population covariance of reflectance"),
        },
        "pixels": {
            "zero_count": Output(("band",), np.int64, "pixels of reflectance 0"),
            "negative_count": Output(("band",), np.int64, "pixels of finite reflectance below 0"),
            "saturated_count": Output(("band",), np.int64, "pixels of finite reflectance of at least 6.5535"),
            "infinite_count": Output(("band",), np.int64, "pixels of infinite reflectance"),
            "nan_count": Output(("band",), np.int64, "pixels of which the reflectance is not a number"),
        },
        "patches": {
            "patch_count": Output(("label", "patch_size"), np.int64, "patches of so many pixels"),
            "patch_pixel_count": Output(("label", "patch_size"), np.int64, "pixels in patches of so many pixels"),
            "boundary_length": Output(("label",), np.int64, "edges of pixels between the class and another"),
        },
        "distance": {
            "distance_count": Output(("label", "distance"), np.int64, "pixels so far from another class"),
        },
    }
)
