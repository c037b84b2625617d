"""Tables of scenes that need no reflectance: class balance, cloud cover, tags."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.estimates import estimates, independent_groups, ratio, scene_counts, with_limits
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset
from s2cmc_zarr.analysis.resampling import REPLICATES
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS

COVER_EDGES: Final = tuple(range(0, 101, 10))
"""Percent."""
COVERS: Final = ("0", *(f"{low}–{low + 10}" for low in COVER_EDGES[:-1]), "100")
"""Classes of cloud cover in percent: none, ten classes that hold neither 0 nor 100, all."""


def class_balance(
    ds: xr.Dataset, by: By = None, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> xr.Dataset:
    """Give the fraction of each class in the labelled pixels, with intervals over independent groups of scenes.

    In scenes whose shadows were not marked, clear means clear or cloud shadow; group by ``"shadows_marked"`` to tell
    them apart.

    Parameters
    ----------
    ds : xarray.Dataset
        With `class_count`, as `statistics` gives it, or else with the coordinate `table_class_count`, as a store, a
        release or the tag table alone has it.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`.
    level : float
        Nominal coverage of the intervals, between 0 and 1.
    replicates, seed : int
        Number of resamples, and the seed that makes them.

    Returns
    -------
    xarray.Dataset
        In memory: ``class_fraction`` with ``_lower`` and ``_upper`` (float64) and ``class_count`` (int64), dims (group,
        label); ``scene_count`` and ``group_count`` (independent groups) with dims (group,).

    Raises
    ------
    CatalogueError
        If there are no such groups or counts, or it is not known which scenes are independent.
    """
    independent, groups = independent_groups(ds), members(ds, by)
    values = xr.Dataset({"class_count": groups * class_counts(ds)})
    found = estimates(
        values,
        groups,
        independent,
        lambda sums: xr.Dataset({"class_fraction": ratio(sums["class_count"], sums["class_count"].sum("label"))}),
        level=level,
        replicates=replicates,
        seed=seed,
    )
    tables = with_limits(found, "class_fraction", "fraction of the labelled pixels")
    tables["class_count"] = (values["class_count"].sum("scene"), "pixels of the class")
    tables |= scene_counts(groups, independent)
    return table_dataset(tables, (*group_dims(groups), "label")).assign_attrs(found.attrs)


def cloud_cover(
    ds: xr.Dataset, by: By = None, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> xr.Dataset:
    """Give the distribution of cloud cover: of the fraction of cloud in the labelled pixels of a scene.

    Parameters
    ----------
    ds, by, level, replicates, seed
        As for `class_balance`.

    Returns
    -------
    xarray.Dataset
        In memory.

        * ``scene_fraction``, with ``_lower`` and ``_upper``, and ``scenes`` (int64) with dims (group, cloud_cover):
          ``"0"`` and ``"100"`` are the scenes without cloud and all cloud, the other classes hold neither; a limit
          belongs to the class below.
        * ``mean_cover``, with ``_lower`` and ``_upper``, and ``median_cover`` with dims (group,): fractions.
        * ``scene_count`` and ``group_count`` with dims (group,): scenes with labelled pixels.

    Raises
    ------
    CatalogueError
        As `class_balance`.
    """
    independent, groups = independent_groups(ds), members(ds, by)
    cover = cover_of(ds)
    groups = groups & cover.notnull()
    values = xr.Dataset(
        {"scenes": groups * cover_classes(cover), "scene_count": groups * 1, "cover_sum": groups * cover.fillna(0)}
    )
    found = estimates(
        values,
        groups,
        independent,
        lambda sums: xr.Dataset(
            {
                "scene_fraction": ratio(sums["scenes"], sums["scene_count"]),
                "mean_cover": ratio(sums["cover_sum"], sums["scene_count"]),
            }
        ),
        level=level,
        replicates=replicates,
        seed=seed,
    )
    tables = with_limits(found, "scene_fraction", "fraction of the scenes")
    tables["scenes"] = (values["scenes"].sum("scene"), "scenes of this cloud cover")
    tables |= with_limits(found, "mean_cover", "mean cloud cover of a scene")
    tables["median_cover"] = (_median(cover.where(groups)), "median cloud cover of a scene")
    tables |= scene_counts(groups, independent)
    return table_dataset(tables, (*group_dims(groups), "cloud_cover")).assign_attrs(found.attrs)


def tag_counts(
    ds: xr.Dataset, by: By = None, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> xr.Dataset:
    """Count the scenes of each tag.

    Parameters
    ----------
    ds : xarray.Dataset
        With the coordinate `tags`: a store, a release, the tag table alone, or counts of scenes.
    by, level, replicates, seed
        As for `class_balance`.

    Returns
    -------
    xarray.Dataset
        In memory: ``frequency``, with ``_lower`` and ``_upper``, and ``tag_scenes`` (int64) with dims (group, tag);
        ``scene_count`` and ``group_count`` with dims (group,).

    Raises
    ------
    CatalogueError
        If there are no tags or groups, the groups are tags, or it is not known which scenes are independent.
    """
    independent, groups, tags = independent_groups(ds), members(ds, by), tag_matrix(ds)
    if "tag" in groups.dims:
        raise CatalogueError("tags of tags are asked for: see tag_co_occurrence, or group by a group such as 'surface'")
    values = xr.Dataset({"tag_scenes": groups * tags, "scene_count": groups * 1})
    found = estimates(
        values,
        groups,
        independent,
        lambda sums: xr.Dataset({"frequency": ratio(sums["tag_scenes"], sums["scene_count"])}),
        level=level,
        replicates=replicates,
        seed=seed,
    )
    tables = with_limits(found, "frequency", "fraction of the scenes that have the tag")
    tables["tag_scenes"] = (values["tag_scenes"].sum("scene"), "scenes that have the tag")
    tables |= scene_counts(groups, independent)
    return table_dataset(tables, (*group_dims(groups), "tag")).assign_attrs(found.attrs)


def tag_co_occurrence(
    ds: xr.Dataset, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> xr.Dataset:
    """Count the scenes of every two tags, and say how much more often they come together than by chance.

    Parameters
    ----------
    ds, level, replicates, seed
        As for `tag_counts`.

    Returns
    -------
    xarray.Dataset
        In memory, dims (tag, other_tag): ``both_scenes`` (int64); ``conditional_frequency`` (float64), the fraction of
        the scenes of `tag` that have `other_tag`; ``lift`` (float64), that fraction divided by the fraction of all
        scenes that have `other_tag` (Brin et al. 1997, doi 10.1145/253262.253325, who call it interest): 1 if the two
        are independent. Both with ``_lower`` and ``_upper``; NaN where a tag has no scenes. Pairs that
        never come together have no limits: resamples cannot tell whether that is by chance.

    Raises
    ------
    CatalogueError
        If there are no tags, or it is not known which scenes are independent.
    """
    independent, everything, tags = independent_groups(ds), members(ds, None), tag_matrix(ds)
    other = tags.drop_vars("tag_group", errors="ignore").rename(tag="other_tag")
    values = xr.Dataset(
        {"both": (tags & other) * 1, "tag_scenes": tags * 1, "other_scenes": other * 1, "scenes": everything * 1}
    )

    def of(sums: xr.Dataset) -> xr.Dataset:
        conditional = ratio(sums["both"], sums["tag_scenes"])
        by_chance = sums["other_scenes"] / sums["scenes"]
        return xr.Dataset({"conditional_frequency": conditional, "lift": ratio(conditional, by_chance)})

    found = estimates(values, everything, independent, of, level=level, replicates=replicates, seed=seed)
    tables = {"both_scenes": (values["both"].sum("scene"), "scenes that have both tags")}
    tables |= with_limits(found, "conditional_frequency", "fraction of the scenes of the tag that have the other")
    tables |= with_limits(found, "lift", "conditional frequency / frequency of the other tag")
    return table_dataset(tables, ("tag", "other_tag")).assign_attrs(found.attrs)


def class_counts(ds: xr.Dataset) -> xr.DataArray:
    """Pixels of each class, int64, dims (scene, label): as counted, or else as the tag table says; in memory."""
    for name in ("class_count", "table_class_count"):
        if name in ds.variables:
            counts = ds[name].compute()
            return xr.DataArray(counts.values, {"label": list(LABELS)}, ("scene", "label"))
    raise CatalogueError("neither class_count nor the coordinate table_class_count is in the Dataset")


def cover_of(ds: xr.Dataset) -> xr.DataArray:
    """Fraction of cloud in the labelled pixels of each scene, float64, dims (scene,); NaN where there are none."""
    counts = class_counts(ds)
    return ratio(counts.sel(label="cloud", drop=True), counts.sum("label"))


def cover_classes(cover: xr.DataArray) -> xr.DataArray:
    """One of the classes of cloud cover for each scene, int64 of 0 and 1, dims (scene, cloud_cover)."""
    position = np.searchsorted(np.array(COVER_EDGES), 100 * cover.values, side="left")
    position = np.where(cover.values == 1, len(COVERS) - 1, position)
    one_of = (position[:, np.newaxis] == np.arange(len(COVERS))) & cover.notnull().values[:, np.newaxis]
    return xr.DataArray(one_of.astype(np.int64), {"cloud_cover": list(COVERS)}, ("scene", "cloud_cover"))


def tag_matrix(ds: xr.Dataset) -> xr.DataArray:
    """Tags of each scene, bool, dims (scene, tag), in memory."""
    if "tags" not in ds.coords:
        raise CatalogueError("no coordinate tags in the Dataset")
    return members(ds, "tags").transpose("scene", "tag")


def _median(values: xr.DataArray) -> xr.DataArray:
    """Median over the scenes; NaN, without the warning of NumPy, where there are none."""
    none = values.isnull().all("scene")
    return values.where(~none, 0).median("scene").where(~none)
