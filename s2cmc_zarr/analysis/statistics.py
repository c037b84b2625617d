"""Statistics of reflectance in each class and band: per scene, and pooled in tables."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.counts import ALWAYS, INCLUDED
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.analysis.scenes import map_scenes
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.bins import Bins, bin_edges
from s2cmc_zarr.kernels.boundaries import DISTANCE_NAMES
from s2cmc_zarr.kernels.merging import merge_covariances
from s2cmc_zarr.kernels.statistics import DEFAULT, PATCH_SIZES, Statistic, scene_statistics
from s2cmc_zarr.schema import LABELS


def statistics(ds: xr.Dataset, include: Collection[Statistic] = DEFAULT, *, bins: Bins = None) -> xr.Dataset:
    """Count reflectance and masks per scene: everything that is asked for in one pass over the pixels.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with `reflectance` and `mask`; all scenes or some, all bands or some, in any chunks.
    include : collection of {"moments", "histogram", "covariance", "pixels", "patches", "distance"}
        What is not asked for is not computed.
    bins : array_like, "exact" or None
        Of the histogram: increasing edges of reflectance; ``"exact"``, one bin for each digital number of Level-1C
        products from 0 to 20,000 (about 3 MB a scene); or None, 0 to 2 in steps of 0.005.

    Returns
    -------
    xarray.Dataset
        Backed by Dask; each pixel is read once for all of it. Select scenes before, not after.

        Always, int64:

        * ``class_count`` (scene, label), ``unlabelled_count`` (scene,): these sum to the pixels of the scene, whether
          they have data or not.
        * ``no_data_count`` (scene,): pixels, labelled or not, of which every band is zero or not finite.

        "moments" and "histogram", of reflectance in the pixels of the class that have data:

        * ``count``, ``non_finite_count`` (scene, label, band), int64.
        * "moments": ``mean``, ``variance`` (float64; of the population), ``minimum``, ``maximum`` (float32) with the
          same dimensions; NaN where the count is 0.
        * "histogram": ``histogram`` (scene, label, band, bin), uint32, of the finite values; the coordinates
          ``bin_lower`` (in the bin) and ``bin_upper`` (in the next) are minus infinity and infinity at the ends.

        "covariance", in the pixels of the class that have data and are finite in every band: ``covariance_count``
        (scene, label), int64; ``covariance_mean`` (scene, label, band), ``covariance`` (scene, label, band,
        other_band), float64, of the population.

        "pixels", labelled or not, int64 (scene, band): ``zero_count``, ``negative_count``, ``saturated_count`` (at
        least 6.5535, which is digital number 65535), ``infinite_count``, ``nan_count``.

        "patches", which are pixels of a class that are joined by edges, int64: ``patch_count`` and
        ``patch_pixel_count`` (scene, label, patch_size), of at least so many pixels and fewer than twice as many;
        ``boundary_length`` (scene, label), edges of pixels between the class and another.

        "distance": ``distance_count`` (scene, label, distance), int64: pixels by the distance to the nearest pixel of
        another class, less one, in pixels.

    Raises
    ------
    CatalogueError
        If there are no scenes, an array is absent or not of the schema, or `include` or `bins` are not as above. When
        computed: if a mask has a value that is neither a class nor 255.
    """
    if isinstance(include, str):
        raise CatalogueError(f"include is {include!r}, expected a list of statistics such as [{include!r}]")
    asked = set(include)
    if unknown := sorted(map(str, asked - set(INCLUDED))):
        raise CatalogueError(f"there is no statistic {unknown[0]!r}; choose from: {', '.join(INCLUDED)}")
    if bins is not None and "histogram" not in asked:
        raise CatalogueError("bins were given, but no histogram is asked for; expected 'histogram' in include")
    edges = bin_edges(bins) if "histogram" in asked else None
    outputs = dict(ALWAYS)
    for statistic, named in INCLUDED.items():
        outputs |= named if statistic in asked else {}
    coords = {
        "label": LABELS,
        "bin": range(len(edges.edges) + 1 if edges else 0),
        "other_band": tuple(np.atleast_1d(ds["band"])),
        "patch_size": PATCH_SIZES,
        "distance": DISTANCE_NAMES,
    }
    dims = {dim for output in outputs.values() for dim in output.dims}
    kernel = partial(scene_statistics, include=tuple(sorted(asked)), bins=edges)
    named_dims = {dim: names for dim, names in coords.items() if dim in dims}
    result = map_scenes(kernel, ds, ("reflectance", "mask"), outputs, named_dims)
    if edges:
        result = result.drop_vars("bin").assign_coords(
            bin_lower=("bin", edges.lower, {"long_name": "smallest reflectance in the bin", "units": "1"}),
            bin_upper=("bin", edges.upper, {"long_name": "smallest reflectance above the bin", "units": "1"}),
        )
    return result


def tabulate(statistics: xr.Dataset, by: By = "tags") -> xr.Dataset:
    """Pool statistics over groups of scenes; reads no pixels.

    Means, variances and covariances are merged exactly, the latter two from those within scenes and those between their
    means (Chan, Golub and LeVeque 1983, doi 10.1080/00031305.1983.10483115), so that the result is that of one pass
    over the pixels of all scenes of the group.

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
        none. Of what `statistics` has:

        * every count, summed, int64, with the group's dimension in place of `scene`.
        * ``mean``, ``standard_deviation`` (of the population), ``minimum``, ``maximum`` with dims (group, label, band);
          NaN where the count is 0.
        * ``covariance`` (group, label, band, other_band), ``covariance_mean`` (group, label, band); NaN likewise.
        * ``class_fraction`` (group, label) of the labelled pixels, and ``scene_count`` (group,).

    Raises
    ------
    CatalogueError
        If there are no scenes or no such groups.
    """
    groups = members(statistics, by)
    scenes = without_scene_coords(statistics)
    scenes = scenes.drop_vars(set(scenes.coords) - set(scenes.indexes) - {"bin_lower", "bin_upper"})
    weights = groups.astype(np.int64)

    def total(counts: xr.DataArray) -> xr.DataArray:
        pooled: xr.DataArray = xr.dot(weights, counts, dim="scene")
        return pooled

    tables = {
        str(name): (total(counts), counts.attrs["long_name"])
        for name, counts in scenes.data_vars.items()
        if counts.dtype.kind in "iu"
    }
    if "mean" in scenes:
        filled = tables["count"][0].where(tables["count"][0] > 0)
        mean = total((scenes["count"] * scenes["mean"]).fillna(0)) / filled
        square = scenes["variance"] + (scenes["mean"] - mean) ** 2
        square_sum = (scenes["count"] * square).where(groups).sum("scene")
        tables |= {
            "mean": (mean, "mean reflectance"),
            "standard_deviation": ((square_sum / filled) ** 0.5, "population standard deviation of reflectance"),
            "minimum": (scenes["minimum"].where(groups).min("scene"), "minimum reflectance"),
            "maximum": (scenes["maximum"].where(groups).max("scene"), "maximum reflectance"),
        }
    if "covariance" in scenes:
        for name, table in _pooled_covariance(scenes, groups).items():
            tables[str(name)] = (table, scenes[name].attrs["long_name"])
    class_count, _ = tables["class_count"]
    labelled = class_count.sum("label")
    tables |= {
        "class_fraction": (class_count / labelled.where(labelled > 0), "fraction of the labelled pixels"),
        "scene_count": (weights.sum("scene"), "scenes"),
    }
    return table_dataset(tables, (*group_dims(groups), "label", "band", ...))


def _pooled_covariance(scenes: xr.Dataset, groups: xr.DataArray) -> xr.Dataset:
    cell, matrix = ["label", "band"], ["label", "band", "other_band"]
    mean, covariance = xr.apply_ufunc(
        merge_covariances,
        scenes["covariance_count"] * groups,
        scenes["covariance_mean"],
        scenes["covariance"],
        input_core_dims=[["scene", "label"], ["scene", *cell], ["scene", *matrix]],
        output_core_dims=[cell, matrix],
        output_dtypes=[np.float64, np.float64],
        dask="parallelized",
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return xr.Dataset({"covariance_mean": mean, "covariance": covariance})
