"""Whether a part of the catalogue is like the whole."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.estimates import estimates, independent_groups, ratio, scene_counts, with_limits
from s2cmc_zarr.analysis.groups import By, group_dims, members, scene_table, table_dataset
from s2cmc_zarr.analysis.resampling import REPLICATES
from s2cmc_zarr.analysis.scene_tables import class_counts, cover_classes, cover_of, tag_matrix
from s2cmc_zarr.schema import TAGS

ATTRIBUTES: Final = ("difficulty", "annotator", "dataset", "month", "hemisphere")
"""Of which `representativeness` compares the distributions, where they are known, beside those of pixels and tags."""


def representativeness(
    ds: xr.Dataset, by: By, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> xr.Dataset:
    """Compare groups of scenes with all scenes, attribute by attribute.

    The total variation distance of two distributions is half the sum of the absolute differences of their frequencies:
    the share of scenes (of pixels, for the classes) that would have to change to make them equal (Levin, Peres and
    Wilmer, *Markov Chains and Mixing Times*, 2009, section 4.1). It is above 0 even for a random part, and so are its
    limits: read it against the distance of random parts, which stands beside it.

    Parameters
    ----------
    ds : xarray.Dataset
        A store, a release, the tag table alone, or counts of scenes.
    by : str, xarray.DataArray
        The parts, as for `members`: ``"dataset"``, or a bool array of the scenes that were chosen.
    level, replicates, seed
        As for `class_balance`.

    Returns
    -------
    xarray.Dataset
        In memory, float64, dims (group, attribute). The attributes are ``"class"`` (of pixels), ``"cloud_cover"``,
        those of `ATTRIBUTES` that are known, and every tag.

        * ``total_variation``, with ``_lower`` and ``_upper``.
        * ``random_total_variation``: below it lies the distance of `level` of the parts of as many scenes that are
          drawn at random, without replacement.
        * ``difference``, with ``_lower`` and ``_upper``: of the tag's frequency in the part from that in the whole; NaN
          for other attributes.
        * ``scene_count`` and ``group_count`` with dims (group,).

    Raises
    ------
    CatalogueError
        As `tag_counts`.
    """
    independent, groups = independent_groups(ds), members(ds, by)
    indicators, attribute_of = _indicators(ds)
    attributes = list(dict.fromkeys(attribute_of))
    belongs = xr.DataArray(
        np.array([[name == of for of in attribute_of] for name in attributes], dtype=np.float64),
        {"attribute": attributes},
        ("attribute", "category"),
    )
    is_tag = xr.DataArray([name in TAGS for name in attributes], dims="attribute")
    first = xr.DataArray([attribute_of.index(name) for name in attributes], dims="attribute")

    def frequencies(sums: xr.DataArray) -> xr.DataArray:
        totals = xr.dot(sums, belongs, dim="category")
        return ratio(sums, xr.dot(totals, belongs, dim="attribute"))

    def distance(difference: xr.DataArray) -> xr.DataArray:
        half: xr.DataArray = xr.dot(np.abs(difference), belongs, dim="category") / 2
        return half

    def of(sums: xr.Dataset) -> xr.Dataset:
        difference = frequencies(sums["in_part"]) - frequencies(sums["in_whole"])
        signed = difference.isel(category=first).where(is_tag)
        return xr.Dataset({"total_variation": distance(difference), "difference": signed})

    values = xr.Dataset({"in_part": groups * indicators, "in_whole": indicators})
    found = estimates(values, groups, independent, of, level=level, replicates=replicates, seed=seed)
    scene_count = groups.sum("scene")
    sizes, which = np.unique(scene_count.values, return_inverse=True)
    random = _random_parts(indicators.values, sizes, replicates, seed)
    sums = xr.DataArray(random, dims=("size", "replicate", "category"))
    distances = distance(frequencies(sums) - frequencies(indicators.sum("scene")))
    limit = distances.quantile(level, "replicate", skipna=False).drop_vars("quantile").values
    random_limit = xr.DataArray(limit[which.reshape(scene_count.shape)], dims=(*scene_count.dims, "attribute"))
    tables = with_limits(found, "total_variation", "total variation distance of the part from the whole")
    tables["random_total_variation"] = (
        random_limit.assign_coords(found["attribute"].coords),
        "upper limit of the distance of random parts of as many scenes",
    )
    tables |= with_limits(found, "difference", "frequency of the tag in the part less that in the whole")
    result = table_dataset(tables | scene_counts(groups, independent), (*group_dims(groups), "attribute"))
    return result.assign_attrs(found.attrs)


def _indicators(ds: xr.Dataset) -> tuple[xr.DataArray, list[str]]:
    """What each scene adds to each category, float64, dims (scene, category), and the attribute of each category."""
    tags, table = tag_matrix(ds), scene_table(ds)
    columns: list[tuple[str, npt.NDArray[np.float64]]] = []
    columns += [("class", counts) for counts in class_counts(ds).values.T]
    columns += [("cloud_cover", found) for found in cover_classes(cover_of(ds)).values.T]
    for name in ATTRIBUTES:
        if name in table:
            columns += [(name, found) for found in pd.get_dummies(table[name]).to_numpy(dtype=np.float64).T]
    for tag in tags["tag"].values.tolist():
        has = tags.sel(tag=tag).values
        columns += [(tag, has), (tag, ~has)]
    values = np.stack([column for _, column in columns], axis=1).astype(np.float64)
    return xr.DataArray(values, dims=("scene", "category")), [name for name, _ in columns]


def _random_parts(
    values: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64], replicates: int, seed: int
) -> npt.NDArray[np.float64]:
    """Sum `values` (scene, category) over scenes drawn without replacement; shape (size, replicate, category)."""
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(values)), (replicates, 1)), axis=1)
    return np.stack([(order < size).astype(np.float64) @ values for size in sizes])
