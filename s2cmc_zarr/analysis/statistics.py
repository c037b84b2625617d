"""Statistics of reflectance in each class and band: per scene, and pooled in tables."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.analysis.scenes import Output, map_scenes
from s2cmc_zarr.kernels.statistics import scene_statistics
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


def statistics(ds: xr.Dataset) -> xr.Dataset:
    """Count, mean, variance, minimum and maximum of reflectance per scene, class and band.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with `reflectance` and `mask`; all scenes or some, all bands or some, in any chunks.

    Returns
    -------
    xarray.Dataset
        Backed by Dask; each pixel is read once for all of it.

        * ``count``, ``non_finite_count`` (int64), ``mean``, ``variance`` (float64), ``minimum``, ``maximum`` (float32)
          with dims (scene, label, band): of reflectance, in the pixels of the class that have data. The variance is
          that of the population; all four are NaN where the count is 0.
        * ``class_count`` (int64) with dims (scene, label), ``unlabelled_count`` (int64) with dims (scene,): these sum
          to the pixels of the scene, whether they have data or not.
        * ``no_data_count`` (int64) with dims (scene,): pixels, labelled or not, of which every band is zero or not
          finite.

    Raises
    ------
    CatalogueError
        If there are no scenes, or an array is absent or not of the schema. When computed: if a mask has a value that is
        neither a class nor 255.
    """
    return map_scenes(scene_statistics, ds, ("reflectance", "mask"), _OUTPUTS, {"label": LABELS})


def tabulate(statistics: xr.Dataset, by: By = "tags") -> xr.Dataset:
    """Pool statistics over groups of scenes; reads no pixels.

    Means and variances are merged exactly, the latter from the variance within scenes and that between their means
    (Chan, Golub and LeVeque 1983, doi 10.1080/00031305.1983.10483115), so that the result is that of one pass over
    the pixels of all scenes of the group.

    Parameters
    ----------
    statistics : xarray.Dataset
        As `statistics` gives it, or such results concatenated along `scene`.
    by : str, xarray.DataArray or None
        Groups of scenes: None for all together, ``"tags"``, the name of any other coordinate of the scenes such as
        ``"difficulty"``, or a bool array with the dimension `scene` and at most one other.

    Returns
    -------
    xarray.Dataset
        In memory if `statistics` is. The group's dimension is `tag`, or named as the coordinate; with None there is
        none.

        * ``count``, ``mean``, ``standard_deviation`` (of the population), ``minimum``, ``maximum``,
          ``non_finite_count`` with dims (group, label, band); NaN where the count is 0.
        * ``class_count`` and ``class_fraction`` (of the labelled pixels) with dims (group, label).
        * ``unlabelled_count``, ``no_data_count`` and ``scene_count`` with dims (group,).

    Raises
    ------
    CatalogueError
        If there are no scenes or no such groups.
    """
    groups = members(statistics, by)
    scenes = without_scene_coords(statistics)
    scenes = scenes.drop_vars(set(scenes.coords) - set(scenes.indexes))
    weights = groups.astype(np.int64)

    def total(counts: xr.DataArray) -> xr.DataArray:
        pooled: xr.DataArray = xr.dot(weights, counts, dim="scene")
        return pooled

    count = total(scenes["count"])
    class_count = total(scenes["class_count"])
    filled = count.where(count > 0)
    mean = total((scenes["count"] * scenes["mean"]).fillna(0)) / filled
    square = scenes["variance"] + (scenes["mean"] - mean) ** 2
    square_sum = (scenes["count"] * square).where(groups).sum("scene")
    labelled = class_count.sum("label")
    tables = {
        "count": (count, "finite values of reflectance in pixels with data"),
        "mean": (mean, "mean reflectance"),
        "standard_deviation": ((square_sum / filled) ** 0.5, "population standard deviation of reflectance"),
        "minimum": (scenes["minimum"].where(groups).min("scene"), "minimum reflectance"),
        "maximum": (scenes["maximum"].where(groups).max("scene"), "maximum reflectance"),
        "non_finite_count": (total(scenes["non_finite_count"]), "values that are not finite, in pixels with data"),
        "class_count": (class_count, "pixels of the class, with data or without"),
        "class_fraction": (class_count / labelled.where(labelled > 0), "fraction of the labelled pixels"),
        "unlabelled_count": (total(scenes["unlabelled_count"]), "unlabelled pixels, with data or without"),
        "no_data_count": (total(scenes["no_data_count"]), "pixels without data, labelled or not"),
        "scene_count": (weights.sum("scene"), "scenes"),
    }
    return table_dataset(tables, (*group_dims(groups), "label", "band"))
